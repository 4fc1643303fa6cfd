from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
import rasterio
import torch
from torch import Tensor

from geoadapt.adapters.attach import attach, probe
from geoadapt.adapters.config import FullConfig, HeadOnlyConfig, LoraConfig
from geoadapt.backbones.config import SpaGanConfig
from geoadapt.backbones.spagan import CHANNELS, SpaGan, build
from geoadapt.backbones.weights import fingerprint
from geoadapt.errors import GeoadaptError
from geoadapt.fields.types import Batch, Field

CONFIG = SpaGanConfig(random_weights=True)
BANDS = ("blue", "green", "red", "nir")


def batch(b: int = 2, t: int = 2, h: int = 12, w: int = 17) -> Batch:
    values = torch.rand(b, t, 4, h, w, generator=torch.Generator().manual_seed(0)) * 0.3
    return Batch({"optical": Field(values, BANDS)})


@cache
def pair(data_dir: Path) -> tuple[Tensor, Tensor]:
    """The cloudy and the clear image (3, h, w) [reflectance] in blue, green and red."""
    folder = data_dir / "cloudremoval" / "sen12mscr"
    images = []
    for name in ("s2_cloudy", "s2_cloudfree"):
        with rasterio.open(next((folder / name).glob("*.tif"))) as file:
            images.append(torch.from_numpy(file.read([2, 3, 4]).astype("float32") / 10_000))
    return images[0], images[1]


def psnr(image: Tensor, truth: Tensor, white: float) -> float:
    off = (image / white).clamp(0, 1) - (truth / white).clamp(0, 1)
    return float(-10 * off.square().mean().log10())


@pytest.mark.parametrize(
    ("order", "white", "before", "after"),
    [("rgb", 0.3, 9.40, 11.70), ("rgb", 1.0, 16.63, 15.13), ("bgr", 0.3, 9.40, 10.32), ("bgr", 1.0, 16.63, 15.93)],
)
def test_the_public_weights_score_on_the_sen12mscr_patch_as_the_public_code_did(
    data_dir: Path, weights_dir: Path, order: str, white: float, before: float, after: float
) -> None:
    """The measured numbers are those of bands 4, 3, 2; the other two are what blue, green, red give here."""
    model = build(SpaGanConfig(weights=str(weights_dir), order=order, white=white))
    cloudy, clear = pair(data_dir)
    with torch.inference_mode():
        image, attention = model.remove(Batch({"optical": Field(cloudy[None, None], CHANNELS["bgr"])}))
    assert psnr(cloudy, clear, white) == pytest.approx(before, abs=0.005)
    assert psnr(image[0, 0], clear, white) == pytest.approx(after, abs=0.005)
    assert attention.shape == (1, 1, 1, 256, 256) and 0 <= attention.min() <= attention.max() <= 1


@pytest.mark.parametrize(("variant", "sha256"), [("RICE1", "1a9f87f50e4b439b"), ("RICE2", "9706b2e29b331366")])
def test_the_public_files_fit_and_are_named_by_their_hash(weights_dir: Path, variant: str, sha256: str) -> None:
    model = build(SpaGanConfig(weights=str(weights_dir), variant=variant))
    assert sum(p.numel() for p in model.parameters()) == 219_300
    assert not any(p.requires_grad for p in model.parameters()) and not model.training
    source = model.source
    assert source is not None and source.licence == "MIT"
    assert source.sha256 == fingerprint(weights_dir / "spagan" / source.file)
    assert source.sha256.startswith(sha256)


def test_a_file_with_the_published_names_is_read_and_one_that_lacks_a_tensor_is_not(tmp_path: Path) -> None:
    drawn = build(replace(CONFIG, seed=3))
    state = {f"gen.gen.{key}": value for key, value in drawn.gen.state_dict().items()}
    path = tmp_path / "RICE2_gen_model_epoch_200.pth"
    torch.save(state, path)
    read = build(SpaGanConfig(weights=str(tmp_path)))
    for key, value in drawn.state_dict().items():
        assert torch.equal(read.state_dict()[key], value), f"{key} differs"
    del state["gen.gen.res_block17.group1.conv3.weight"]
    torch.save(state, path)
    with pytest.raises(GeoadaptError, match="missing keys res_block17.group1.conv3.weight"):
        build(SpaGanConfig(weights=str(tmp_path)))


def test_every_date_has_a_map_of_its_own_that_no_other_date_changes() -> None:
    model = build(CONFIG)
    given = batch(2, 3)
    (maps,) = model(given).maps
    assert maps.shape == (2, 3, 32, 12, 17) and model.spec.widths == (32,) and model.spec.strides == (1,)
    field = given.inputs["optical"]
    alone = replace(field, values=field.values[:, 1:2])
    torch.testing.assert_close(model(Batch({"optical": alone})).maps[0], maps[:, 1:2], atol=1e-5, rtol=1e-5)


def test_bands_are_taken_by_name_and_the_image_comes_back_in_the_batchs_order() -> None:
    field = batch().inputs["optical"]
    turned = field.select(("nir", "red", "blue", "green"))
    model = build(CONFIG)
    assert torch.equal(*(model(Batch({"optical": f})).maps[0] for f in (field, turned)))
    one, other = (model.remove(Batch({"optical": f}))[0] for f in (field, turned))
    assert torch.equal(one[:, :, [2, 0, 1]], other)
    other_order = build(replace(CONFIG, order="rgb"))
    assert not torch.equal(other_order(Batch({"optical": field})).maps[0], model(Batch({"optical": field})).maps[0])


def test_what_is_not_valid_is_white_whatever_stands_there() -> None:
    model = build(CONFIG)
    field = batch().inputs["optical"]
    valid = torch.rand(field.values.shape, generator=torch.Generator().manual_seed(1)) > 0.3
    maps = [
        model(Batch({"optical": replace(field, values=torch.where(valid, field.values, hidden), valid=valid)})).maps[0]
        for hidden in (0.0, float("nan"))
    ]
    white = model(Batch({"optical": replace(field, values=torch.where(valid, field.values, 0.3))})).maps[0]
    assert torch.equal(maps[0], white) and torch.equal(maps[1], white)


def test_features_pass_to_the_next_pixel_in_four_directions() -> None:
    irnn = build(CONFIG).gen.SAM1.irnn1
    with torch.no_grad():
        for number, side in enumerate(("up", "right", "down", "left")):
            conv = irnn.get_submodule(f"{side}_weight")
            conv.weight.fill_(number + 2.0)  # type: ignore[operator, union-attr]
            conv.bias.zero_()  # type: ignore[operator, union-attr]
        x = torch.zeros(1, 32, 5, 5)
        x[0, :, 2, 2] = 1.0
        above, right, below, left = irnn(x).chunk(4, 1)
    # a bright pixel is the neighbour above of the one below it
    assert above[0, 0, 3, 2] == 2 and right[0, 0, 2, 1] == 3 and below[0, 0, 1, 2] == 4 and left[0, 0, 2, 3] == 5
    for part in (above, right, below, left):
        assert int((part[0, 0] != 0).sum()) == 2 and part[0, 0, 2, 2] == 1


def test_random_weights_come_from_the_seed_and_keep_their_size_through_the_blocks() -> None:
    one, same, other = (build(replace(CONFIG, seed=seed)) for seed in (1, 1, 2))
    assert one.source == same.source != other.source
    (maps,) = one(batch()).maps
    assert torch.equal(maps, same(batch()).maps[0]) and not torch.equal(maps, other(batch()).maps[0])
    assert 0.05 < float(maps.std()) < 20


def adapted(last_blocks: int | None = None) -> tuple[SpaGan, set[str]]:
    model = build(CONFIG)
    attached = attach(model, LoraConfig(r=2, last_blocks=last_blocks))
    probe(attached, batch(1, 1))
    return model, set(attached.modules())


def test_lora_reaches_the_features_from_every_block_and_from_the_last_ones_alone() -> None:
    _, names = adapted()
    assert len(names) == 2 * 17
    _, last = adapted(last_blocks=2)
    assert last == {f"gen.res_block{n}.group1.conv{k}" for n in (16, 17) for k in (1, 3)}


def test_lora_merges_and_the_other_adapters_attach() -> None:
    attached = attach(build(CONFIG), LoraConfig(r=2))
    with torch.no_grad():
        plain = build(CONFIG)(batch()).maps[0]
        assert torch.equal(attached.backbone(batch()).maps[0], plain)
        for parameter in attached.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1)) * 0.1)
        before = attached.backbone(batch()).maps[0]
        attached.merge()
        after = attached.backbone(batch()).maps[0]
    assert not torch.allclose(before, plain, atol=1e-2)
    torch.testing.assert_close(before, after, atol=1e-3, rtol=1e-3)
    assert not attach(build(CONFIG), HeadOnlyConfig()).parameters()
    assert len(attach(build(CONFIG), FullConfig()).parameters()) == 83


@pytest.mark.parametrize(
    ("changes", "words"),
    [({"variant": "RICE3"}, "RICE3"), ({"order": "gbr"}, "gbr"), ({"white": 0.0}, "positive reflectance")],
)
def test_what_cannot_be_is_said(changes: dict[str, object], words: str) -> None:
    with pytest.raises(GeoadaptError, match=words):
        SpaGanConfig(**changes)  # type: ignore[arg-type]


def test_a_batch_without_a_visible_band_is_refused() -> None:
    field = batch().inputs["optical"].select(("green", "red", "nir"))
    with pytest.raises(GeoadaptError, match="needs 'optical' with"):
        build(CONFIG)(Batch({"optical": field}))
