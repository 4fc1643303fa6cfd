from __future__ import annotations

import re
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from geoadapt.adapters.attach import attach, probe
from geoadapt.adapters.config import FullConfig, HeadOnlyConfig, LoraConfig
from geoadapt.backbones import BACKBONES
from geoadapt.backbones.base import SplitBackbone
from geoadapt.backbones.picture import Picture, build, variant_of
from geoadapt.backbones.picture_config import PictureConfig
from geoadapt.backbones.picture_models import CLASSES, VARIANTS, network
from geoadapt.errors import GeoadaptError
from geoadapt.fields.types import Batch, Field

CLOSE = {"atol": 1e-5, "rtol": 1e-4}
CONV: dict[str, Any] = {"widths": (8, 16, 24, 32), "depths": (1, 1, 2, 1)}
VIT: dict[str, Any] = {"widths": (32,), "depths": (4,), "heads": 2}
FAMILIES: dict[str, dict[str, Any]] = {
    "dinov2_small": VIT,
    "dinov3_vits16": VIT,
    "dinov3_convnext_tiny": CONV,
    "convnext_tiny": CONV,
    "convnextv2_atto": CONV,
    "resnet50": CONV,
}
PUBLISHED: dict[str, tuple[tuple[str, str], ...]] = {
    "dinov2_small": (
        (r"attention\.q_proj", "attention.attention.query"),
        (r"attention\.k_proj", "attention.attention.key"),
        (r"attention\.v_proj", "attention.attention.value"),
        (r"attention\.o_proj", "attention.output.dense"),
    ),
    "dinov3_vits16": ((r"^model\.layer\.", "layer."),),
    "dinov3_convnext_tiny": ((r"^model\.stages", "stages"),),
    "convnext_tiny": ((r"^", "convnext."),),
    "convnextv2_atto": ((r"^", "convnextv2."),),
    "resnet50": ((r"^", "resnet."),),
}
"""Name → how the file on the hub calls the network's tensors."""
FOUR = ("blue", "green", "red", "nir")


@lru_cache(maxsize=16)
def made(name: str, **changes: Any) -> Picture:
    return build(PictureConfig(name=name, random_weights=True, **{**FAMILIES[name], **changes}))


def optical(model: Picture, b: int = 1, t: int = 1, channels: tuple[str, ...] = FOUR, bright: float = 0.25) -> Field:
    side = model.spec.multiple
    drawn = torch.rand(b, t, len(channels), 2 * side, 3 * side, generator=torch.Generator().manual_seed(0))
    return Field(drawn * bright, channels)


def last(model: Picture, field: Field) -> Tensor:
    with torch.no_grad():
        return model(Batch({"optical": field})).maps[-1]


def test_every_published_model_is_registered() -> None:
    assert {name for name, entry in BACKBONES.items() if entry.config is PictureConfig} == set(VARIANTS)


@pytest.mark.parametrize(
    ("name", "millions"),
    [
        *(("dinov2_small", 22.06), ("dinov2_large", 304.37), ("dinov3_vits16", 21.60), ("dinov3_vitl16", 303.13)),
        *(("dinov3_convnext_tiny", 27.82), ("convnext_tiny", 27.82), ("convnext_xlarge", 348.14)),
        *(("convnextv2_atto", 3.39), ("convnextv2_tiny", 27.86), ("resnet50", 23.51)),
    ],
)
def test_published_sizes_have_the_published_number_of_parameters(name: str, millions: float) -> None:
    with torch.device("meta"):
        model = network(variant_of(PictureConfig(name=name)))
    count = sum(p.numel() for key, p in model.named_parameters() if not re.match(r"layer_?norm\.", key))
    if name.startswith("dinov2"):
        count += sum(p.numel() for key, p in model.named_parameters() if key.startswith("layernorm."))
    assert count / 1e6 == pytest.approx(millions, abs=0.006)


@pytest.mark.parametrize("name", FAMILIES)
def test_maps_have_the_declared_widths_and_strides_and_the_inputs_dates(name: str) -> None:
    model = made(name)
    field = optical(model, 2, 2)
    with torch.no_grad():
        features = model(Batch({"optical": field}))
    height, width = field.values.shape[-2:]
    assert features.strides == model.spec.strides
    assert [tuple(m.shape) for m in features.maps] == [
        (2, 2, d, height // s, width // s) for d, s in zip(model.spec.widths, model.spec.strides, strict=True)
    ]
    assert not any(p.requires_grad for p in model.parameters())
    second = last(model, replace(field, values=field.values[1:, 1:]))
    torch.testing.assert_close(features.maps[-1][1:, 1:], second, **CLOSE)


@pytest.mark.parametrize("name", FAMILIES)
def test_lower_then_upper_is_the_whole_after_every_block(name: str) -> None:
    model = made(name)
    batch = Batch({"optical": optical(model, 2, 2)})
    assert isinstance(model, SplitBackbone)
    with torch.no_grad():
        whole = model(batch)
        for block in range(model.spec.blocks + 1):
            state = model.lower(batch, block)
            assert all(len(x) == 2 for x in (*state.maps, state.tokens) if x is not None)
            for one, other in zip(model.upper(state, block).maps, whole.maps, strict=True):
                torch.testing.assert_close(one, other, **CLOSE)


@pytest.mark.parametrize("name", FAMILIES)
def test_a_published_folder_gives_what_transformers_makes_of_it(
    name: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    import transformers

    variant = variant_of(PictureConfig(name=name, **FAMILIES[name]))
    torch.manual_seed(3)
    drawn = network(variant, random=True)
    state = {}
    for key, value in drawn.state_dict().items():
        for new, old in PUBLISHED[name]:
            key = re.sub(new, old, key)
        state[key] = (value + 0.1 * torch.randn_like(value)).abs() if value.is_floating_point() else value
    if name.startswith("dinov"):
        state["embeddings.mask_token"] = torch.zeros(1, 32) if name == "dinov2_small" else torch.zeros(1, 1, 32)
    if name in ("convnext_tiny", "convnextv2_atto", "resnet50"):
        state["classifier.weight"] = torch.zeros(10, 32)
    if name == "dinov3_convnext_tiny":
        del state["embeddings.mask_token"]
    save_file(state, tmp_path / "model.safetensors")
    drawn.config.save_pretrained(tmp_path)  # type: ignore[operator, union-attr]
    theirs = getattr(transformers, CLASSES[variant.family][1]).from_pretrained(tmp_path).eval()
    mine = build(PictureConfig(name=name, weights=str(tmp_path), **FAMILIES[name]))
    field = optical(mine)
    pictures = mine.bands.read(Batch({"optical": field}), mine.spec.multiple)[1]
    with torch.no_grad():
        hidden = theirs(pictures, output_hidden_states=True)
    maps = mine(Batch({"optical": field})).maps
    if variant.heads:
        wanted = [*hidden.hidden_states[1:4], hidden.last_hidden_state]
        grid = maps[0].shape[-2:]
        wanted = [x[:, mine.extra_tokens :].unflatten(1, grid).movedim(-1, 1) for x in wanted]
    else:
        wanted = list(hidden.hidden_states[-4:])
    for got, want in zip(maps, wanted, strict=True):
        torch.testing.assert_close(got[:, 0], want, **CLOSE)
    assert mine.source is not None
    assert variant.repository in mine.source.where
    free = not name.startswith(("dinov3", "convnextv2"))
    assert ("published under the" in caplog.text) is not free


def test_weights_of_another_size_are_refused_and_missing_ones_say_where_they_are(tmp_path: Path, monkeypatch) -> None:
    save_file(made("convnext_tiny").state_dict(), tmp_path / "model.safetensors")
    with pytest.raises(GeoadaptError, match="keys"):
        build(PictureConfig(name="convnext_tiny", weights=str(tmp_path), **CONV))
    monkeypatch.setenv("GEOADAPT_WEIGHTS", str(tmp_path / "none"))

    def offline(repository: str, file: str) -> Path:
        raise OSError("no network")

    monkeypatch.setattr("geoadapt.backbones.weights._download", offline)
    with pytest.raises(GeoadaptError) as caught:
        build(PictureConfig(name="dinov3_vitl16", widths=(32,), depths=(1,), heads=2))
    assert "facebook/dinov3-vitl16-pretrain-lvd1689m" in str(caught.value)
    assert "download model.safetensors" in str(caught.value)


def test_red_green_and_blue_are_picked_by_name_and_standardised_as_pictures() -> None:
    model = made("convnextv2_atto")
    field = optical(model, bright=0.5)
    _, pictures = model.bands.read(Batch({"optical": field}), 32)
    for place, (name, mean, std) in enumerate(
        zip(("red", "green", "blue"), (0.485, 0.456, 0.406), (0.229, 0.224, 0.225), strict=True)
    ):
        seen = (field.values[0, :, FOUR.index(name)] / 0.3).clamp(max=1)
        torch.testing.assert_close(pictures[:, place], (seen - mean) / std)
    assert torch.equal(last(model, field), last(model, field.select(("nir", "red", "blue", "green"))))


def test_invalid_pixels_are_shown_at_the_mean_whatever_they_hold() -> None:
    model = made("resnet50")
    field = optical(model)
    valid = torch.rand(field.values.shape, generator=torch.Generator().manual_seed(1)) < 0.8
    spoilt = replace(field, values=torch.where(valid, field.values, torch.nan), valid=valid)
    assert torch.equal(last(model, spoilt), last(model, replace(field, valid=valid)))
    index = [FOUR.index(c) for c in ("red", "green", "blue")]
    assert not model.bands.read(Batch({"optical": spoilt}), 32)[1][~valid[0][:, index]].any()


def test_data_without_red_green_and_blue_are_refused_with_the_choices() -> None:
    model = made("dinov2_small")
    with pytest.raises(GeoadaptError) as caught:
        last(model, optical(model, channels=("nir", "swir16")))
    assert all(word in str(caught.value) for word in ("backbone.bands", "repeat", "mean", "new"))
    with pytest.raises(GeoadaptError, match="repeat"):
        build(PictureConfig(random_weights=True, channels=("nir", "swir16"), **VIT))
    with pytest.raises(GeoadaptError, match="are not named"):
        build(PictureConfig(random_weights=True, bands="mean", **VIT))
    with pytest.raises(GeoadaptError, match="no multiple of 14"):
        model(Batch({"optical": Field(torch.rand(1, 1, 4, 28, 30), FOUR)}))


def first_kernel(model: Picture) -> Tensor:
    return next(p for p in model.parameters() if p.ndim == 4)


@pytest.mark.parametrize("name", FAMILIES)
def test_repeated_and_mean_kernels_give_grey_pictures_the_published_answer(name: str) -> None:
    rgb = first_kernel(made(name))
    six = ("coastal", "blue", "green", "red", "nir", "swir16")
    repeat = made(name, bands="repeat", channels=six)
    mean = made(name, bands="mean", channels=six)
    torch.testing.assert_close(first_kernel(repeat), torch.cat([rgb, rgb], 1) / 2)
    torch.testing.assert_close(first_kernel(mean).sum(1), rgb.sum(1))
    assert repeat.spec.required == {"optical": six}
    assert last(repeat, optical(repeat, channels=six)).isfinite().all()
    assert repeat.bands.mean == [0.485, 0.456, 0.406] * 2


@pytest.mark.parametrize("name", FAMILIES)
def test_new_channels_get_kernels_of_their_own_and_only_these_are_trained(name: str) -> None:
    plain, model = made(name), made(name, bands="new", channels=("blue", "nir", "red", "green", "swir16"))
    assert model.bands.names == ("red", "green", "blue", "nir", "swir16")
    assert [p.shape[1] for _, p in model.named_parameters() if p.requires_grad] == [2]
    attached = attach(build(model.settings), HeadOnlyConfig())
    assert list(attached.named_parameters()) == list(model.trainable)
    field = optical(model, channels=model.bands.names)
    dark = field.values.clone()
    # at the pictures' mean a channel adds nothing, so that the others are seen as by the published network
    dark[:, :, 3:] = 0.3 * (0.485 + 0.456 + 0.406) / 3
    torch.testing.assert_close(last(model, replace(field, values=dark)), last(plain, field), **CLOSE)
    assert (last(model, field) - last(plain, field)).abs().max() > 1e-4


@pytest.mark.parametrize("name", FAMILIES)
def test_lora_reaches_the_output_in_every_target(name: str) -> None:
    model = build(PictureConfig(name=name, random_weights=True, **FAMILIES[name]))
    attached = attach(model, LoraConfig(r=2))
    groups = {"dinov2_small": 6, "dinov3_vits16": 6, "resnet50": 3}
    assert len(attached.modules()) == groups.get(name, 2) * sum(FAMILIES[name]["depths"])
    probe(attached, Batch({"optical": optical(model)}))
    last_only = attach(build(model.settings), LoraConfig(r=2, last_blocks=1))
    assert {key.split(".")[1] for key in last_only.modules()} == {str(model.spec.blocks - 1)}


def test_training_leaves_statistics_that_no_adapter_stores(tmp_path: Path) -> None:
    model = build(made("resnet50").settings)
    field = optical(model)
    kept = {key: value.clone() for key, value in model.named_buffers()}
    attached = attach(model, FullConfig())
    model.train()
    optimiser = torch.optim.SGD(attached.parameters(), lr=1e-3)
    for _ in range(2):
        optimiser.zero_grad()
        model(Batch({"optical": field})).maps[-1].square().mean().backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    assert all(torch.equal(value, kept[key]) for key, value in model.named_buffers())
    attached.save(tmp_path)
    other = attach(build(model.settings), FullConfig())
    other.load_folder(tmp_path)
    assert torch.equal(last(model.eval(), field), last(other.backbone, field))  # type: ignore[arg-type]


def test_random_weights_follow_the_seed_and_leave_the_global_state_alone() -> None:
    before = torch.get_rng_state()
    one, same, other = (build(PictureConfig(random_weights=True, seed=s, **VIT)) for s in (1, 1, 2))
    assert one.source == same.source
    assert one.source is not None and other.source is not None
    assert one.source.sha256 != other.source.sha256
    assert torch.equal(before, torch.get_rng_state())


def test_positions_of_dinov3_do_not_vary_in_training() -> None:
    model = made("dinov3_vits16")
    field = optical(model)
    quiet = last(model, field)
    model.train()
    try:
        assert torch.equal(last(model, field), quiet)
    finally:
        model.eval()


def test_an_unknown_name_gets_the_nearest() -> None:
    with pytest.raises(GeoadaptError, match="convnextv2_atto"):
        build(PictureConfig(name="convnextv2_ato"))
    with pytest.raises(GeoadaptError, match="backbone.white"):
        PictureConfig(white=0)
