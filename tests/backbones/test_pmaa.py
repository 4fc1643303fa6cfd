from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from geoadapt.adapters.attach import attach, probe
from geoadapt.adapters.config import FullConfig, LoraConfig
from geoadapt.backbones.config import PmaaConfig
from geoadapt.backbones.pmaa import PmaaRestorer, build, build_restorer, load_teacher
from geoadapt.backbones.pmaa_network import Discriminator, Generator, teacher
from geoadapt.backbones.weights import fingerprint
from geoadapt.errors import GeoadaptError
from geoadapt.fields.types import Batch, Field

CONFIG = PmaaConfig(random_weights=True, width=4)
BANDS = ("blue", "green", "red", "nir", "swir16")
DAY = 86_400


def series(b: int = 2, t: int = 3, h: int = 32, w: int = 40, *, hidden: bool = True) -> Batch:
    """Random images, the last one's left half hidden, the others dotted with gaps."""
    drawn = torch.Generator().manual_seed(0)
    values = torch.rand(b, t, 5, h, w, generator=drawn) * 0.5
    valid = (torch.rand(b, t, 1, h, w, generator=drawn) > 0.1).expand(values.shape).clone()
    if hidden:
        valid[:, -1, ..., : w // 2] = False
    times = (torch.arange(t) * 10 * DAY).expand(b, t)
    return Batch({"optical": Field(torch.where(valid, values, 0.0), BANDS, valid, times)})


def changed(batch: Batch, **changes: object) -> Batch:
    return Batch({"optical": replace(batch.inputs["optical"], **changes)})  # type: ignore[arg-type]


def picked(batch: Batch, frames: list[int]) -> Batch:
    field = batch.inputs["optical"]
    assert field.valid is not None and field.times is not None
    return changed(batch, values=field.values[:, frames], valid=field.valid[:, frames], times=field.times[:, frames])


def image(restorer: PmaaRestorer, batch: Batch) -> Tensor:
    with torch.inference_mode():
        return restorer(batch)


def size(module: torch.nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


@pytest.mark.parametrize(
    ("norm", "outputs", "count"),
    [("instance", 4, 3_439_689), ("instance", 3, 3_439_656), ("batch", 4, 3_471_881), ("batch", 3, 3_471_848)],
)
def test_the_generator_has_as_many_parameters_as_the_published_one(norm: str, outputs: int, count: int) -> None:
    with torch.device("meta"):
        made = Generator(4, outputs, norm=norm)
    assert size(made) == count
    assert (len(made.state_dict()) == 218) is (norm == "instance")


def test_teacher_and_discriminators_have_as_many_parameters_as_the_published_ones() -> None:
    with torch.device("meta"):
        assert size(teacher()) == 222_661 and len(teacher().state_dict()) == 168
        assert size(Discriminator(16)) == 2_844_609 and size(Discriminator(15)) == 2_843_585
        assert Discriminator(16)(torch.empty(1, 3, 4, 256, 256), torch.empty(1, 4, 256, 256)).shape == (1, 1, 7, 7)


def test_public_keys_are_read_strictly(tmp_path: Path) -> None:
    drawn = build(replace(CONFIG, seed=5))
    path = tmp_path / "pmaa.pth"
    state = drawn.network.state_dict()
    torch.save(state, path)
    read = build(PmaaConfig(width=4, weights=str(tmp_path)))
    assert all(torch.equal(value, state[key]) for key, value in read.network.state_dict().items())
    assert read.source is not None and read.source.sha256 == fingerprint(path) and read.source.licence == "MIT"
    assert not any(p.requires_grad for p in read.parameters()) and not read.training
    assert all(p.requires_grad for p in build_restorer(PmaaConfig(width=4, weights=str(path))).parameters())
    with pytest.raises(GeoadaptError, match="missing keys feature_extractor.conv_in.1"):
        build(PmaaConfig(width=4, weights=str(path), norm="batch"))
    del state["concat_unet.loc_glo_fus.4.global_act.0.weight"]
    torch.save(state, path)
    with pytest.raises(GeoadaptError, match=r"missing keys concat_unet.loc_glo_fus.4"):
        build(PmaaConfig(width=4, weights=str(path)))


def test_the_published_class_with_batch_norm_is_read_too(tmp_path: Path) -> None:
    drawn = build(replace(CONFIG, norm="batch"))
    torch.save(drawn.network.state_dict(), tmp_path / "pmaa.pth")
    read = build(PmaaConfig(width=4, weights=str(tmp_path), norm="batch"))
    given = series()
    assert torch.equal(read(given).maps[0], drawn(given).maps[0])
    assert not torch.allclose(read(given).maps[0], build(CONFIG)(given).maps[0], atol=1e-3)


def test_the_teacher_is_read_and_frozen(tmp_path: Path) -> None:
    drawn = teacher()
    torch.save(drawn.state_dict(), tmp_path / "Feature_Extrator_FS2.pth")
    read = load_teacher(tmp_path)
    assert not read.training and not any(p.requires_grad for p in read.parameters())
    assert all(torch.equal(value, drawn.state_dict()[key]) for key, value in read.state_dict().items())


@pytest.mark.parametrize(("fusion", "unets"), [("upstream", True), ("coarse", False)])
def test_only_the_published_fusion_leaves_the_coarsest_level_without_a_gradient(fusion: str, unets: bool) -> None:
    network = build_restorer(replace(CONFIG, fusion=fusion)).network.train()
    network.image(torch.rand(1, 3, 4, 32, 32) * 2 - 1).sum().backward()  # type: ignore[no-untyped-call]
    dead = {name: p.numel() for name, p in network.named_parameters() if p.grad is None}
    single = {name: n for name, n in dead.items() if "aux_conv" in name}
    assert sum(single.values()) == 4 * 4 * 9 + 4
    coarsest = {name: n for name, n in dead.items() if ".loc_glo_fus.4." in name}
    assert sum(coarsest.values()) == (3 * 3 * 16 if unets else 0)
    assert len(dead) == len(single) + len(coarsest)


@pytest.mark.parametrize(("height", "width"), [(1, 5), (17, 33), (32, 48), (50, 31)])
def test_any_size_is_restored_and_continued_by_reflection(height: int, width: int) -> None:
    restorer = build_restorer(CONFIG).eval()
    given = series(1, 3, height, width, hidden=False)
    got = image(restorer, given)
    assert got.shape == (1, 1, 4, height, width) and bool(((got >= 0) & (got <= 1)).all())
    if (height, width) == (17, 33):
        field = given.inputs["optical"]
        rows = torch.tensor([*range(17), *range(15, 0, -1)])
        cols = torch.tensor([*range(33), *range(31, 16, -1)])
        assert len(rows) == 32 and len(cols) == 48
        assert field.valid is not None
        whole = [v[..., rows[:, None], cols] for v in (field.values, field.valid)]
        assert torch.equal(got, image(restorer, changed(given, values=whole[0], valid=whole[1]))[..., :17, :33])


def test_it_takes_the_last_date_and_those_two_that_show_what_it_hides() -> None:
    restorer = build_restorer(CONFIG).eval()
    given = series(1, 6)
    field = given.inputs["optical"]
    assert field.valid is not None
    valid = field.valid.clone()
    valid[:, [0, 2, 4], :, :, :20] = False
    given = changed(given, valid=valid)
    assert torch.equal(image(restorer, given), image(restorer, picked(given, [1, 3, 5])))
    assert not torch.equal(image(restorer, given), image(restorer, picked(given, [3, 4, 5])))


def test_a_last_date_that_shows_nothing_takes_no_place_as_in_the_published_triples() -> None:
    given = series(1, 4)
    field = given.inputs["optical"]
    assert field.valid is not None
    valid = field.valid.clone()
    valid[:, -1] = False
    blank, triple = changed(given, valid=valid), picked(given, [0, 1, 2])
    restorer, backbone = build_restorer(CONFIG).eval(), build(CONFIG)
    assert torch.equal(restorer.seen(blank), restorer.seen(triple))
    assert torch.equal(backbone(blank).maps[0], backbone(triple).maps[0])
    assert not torch.equal(restorer.seen(given), restorer.seen(triple))


def test_channels_are_taken_by_name_and_what_is_not_valid_is_a_cloud() -> None:
    restorer = build_restorer(CONFIG).eval()
    given = series()
    field = given.inputs["optical"]
    assert field.valid is not None
    seen = restorer.seen(given)
    assert seen.shape == (2, 3, 4, 32, 40)
    red = field.values[:, :, 2]
    torch.testing.assert_close(seen[:, :, 0], torch.where(field.valid[:, :, 2], 2 * red - 1, 1.0))
    spoilt = changed(given, values=torch.where(field.valid, field.values, torch.nan))
    turned = Batch({"optical": field.select(tuple(reversed(BANDS)))})
    for other in (spoilt, turned):
        assert torch.equal(restorer.seen(other), seen)
    with pytest.raises(GeoadaptError, match="'nir'"):
        restorer(Batch({"optical": field.select(BANDS[:3])}))


def test_a_short_series_is_filled_up_with_clouds() -> None:
    restorer = build_restorer(CONFIG).eval()
    given = series(1, 3)
    field = given.inputs["optical"]
    assert field.valid is not None
    blind = field.valid.clone()
    blind[:, 0] = False
    assert torch.equal(image(restorer, picked(given, [1, 2])), image(restorer, changed(given, valid=blind)))


def test_nothing_is_said_where_no_date_shows_a_pixel_nor_in_bands_that_are_no_outputs() -> None:
    restorer = build_restorer(replace(CONFIG, outputs=("red", "green", "blue"))).eval()
    given = series()
    field = given.inputs["optical"]
    assert field.valid is not None
    valid = field.valid.clone()
    valid[0, :, :, 3:9, 4:7] = False
    restored = restorer.restore(changed(given, valid=valid))
    assert restored.scale is None and restored.image.shape == (2, 4, 32, 40)
    assert restorer.channels == ("red", "green", "blue", "nir")
    assert bool(restored.image[:, 3].isnan().all())
    known = valid.any(1)[:, [2, 1, 0]]
    assert torch.equal(restored.image[:, :3].isfinite(), known) and not bool(known.all())
    blind = restorer.restore(changed(given, valid=torch.zeros_like(valid)))
    assert bool(blind.image.isnan().all())


def test_other_bands_can_be_restored() -> None:
    restorer = build_restorer(replace(CONFIG, channels=BANDS, norm="batch")).eval()
    assert image(restorer, series()).shape == (2, 1, 5, 32, 40)


def test_it_learns_to_restore() -> None:
    given = series(1, 3, 32, 32)
    field = given.inputs["optical"]
    truth = field.values[:, 1:2, [2, 1, 0, 3]]
    torch.manual_seed(0)  # of what it drops
    restorer = build_restorer(replace(CONFIG, fusion="coarse"))
    optimizer = torch.optim.AdamW(restorer.parameters(), lr=1e-2)
    errors = []
    for _ in range(12):
        error = (restorer(given) - truth).abs().mean()
        optimizer.zero_grad()
        error.backward()
        optimizer.step()
        errors.append(error.item())
    assert errors[-1] < 0.7 * errors[0]


def test_random_weights_come_from_the_seed() -> None:
    one, same, other = (build(replace(CONFIG, seed=seed)) for seed in (1, 1, 2))
    assert one.source == same.source != other.source
    assert torch.equal(one(series()).maps[0], same(series()).maps[0])


def test_the_frozen_network_neither_drops_nor_drifts_in_training() -> None:
    model = build(replace(CONFIG, norm="batch"))
    before = {key: value.clone() for key, value in model.state_dict().items()}
    expected = model(series()).maps[0]
    assert torch.equal(model.train()(series()).maps[0], expected) and model.training
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    attached = attach(build(CONFIG), LoraConfig(r=2, dropout=0.5))
    dropouts = [m for n, m in attached.backbone.train().named_modules() if n.endswith("lora_dropout.default")]
    assert len(dropouts) == 32 and all(m.training for m in dropouts), "the adapter's own dropout is switched off"


def test_features_are_one_map_of_all_dates_or_one_of_each() -> None:
    fused = build(CONFIG)
    (together,) = fused(series(2, 5, 33, 40)).maps
    assert together.shape == (2, 1, 4, 33, 40) and fused.spec.dates == 3 and fused.spec.widths == (4,)
    single = build(replace(CONFIG, features="dates"))
    given = series(2, 5, 33, 40)
    (maps,) = single(given).maps
    assert maps.shape == (2, 5, 4, 33, 40) and single.spec.dates is None
    torch.testing.assert_close(single(picked(given, [1])).maps[0], maps[:, 1:2], atol=1e-5, rtol=1e-4)
    with torch.no_grad():
        made = fused.network.output_layer(together[:, 0])
    torch.testing.assert_close((made + 1) / 2, image(build_restorer(CONFIG).eval(), series(2, 5, 33, 40))[:, 0])


@pytest.mark.parametrize(("features", "modules"), [("fused", 2 * (6 + 5 + 3 + 2)), ("dates", 12)])
def test_lora_reaches_the_features_and_merges(features: str, modules: int) -> None:
    config = replace(CONFIG, features=features)
    attached = attach(build(config), LoraConfig(r=2))
    given = series(1)
    probe(attached, given)
    assert len(attached.modules()) == modules
    with torch.no_grad():
        plain = build(config)(given).maps[0]
        assert torch.equal(attached.backbone(given).maps[0], plain)
        for parameter in attached.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1)) * 0.1)
        before = attached.backbone(given).maps[0]
        attached.merge()
        after = attached.backbone(given).maps[0]
    assert not torch.allclose(before, plain, atol=1e-2)
    torch.testing.assert_close(before, after, atol=1e-3, rtol=1e-3)


def test_the_last_u_net_alone_can_be_adapted() -> None:
    attached = attach(build(CONFIG), LoraConfig(r=2, last_blocks=1))
    assert len(attached.modules()) == 16
    assert all(name.startswith("network.other_unet.1.") for name in attached.modules())


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"norm": "layer"}, "backbone.norm: 'layer'"),
        ({"fusion": "fine"}, "backbone.fusion: 'fine'"),
        ({"features": "fuse"}, "did you mean 'fused'"),
        ({"width": 0}, "choose 1 or more"),
        ({"channels": ("red", "red")}, "each once"),
        ({"outputs": ("cirrus",)}, "name some of"),
    ],
)
def test_what_cannot_be_is_said(changes: dict[str, object], words: str) -> None:
    with pytest.raises(GeoadaptError, match=words):
        PmaaConfig(**changes)  # type: ignore[arg-type]


def test_within_its_samples_span_it_follows_brightness_and_contrast() -> None:
    given = series(1, 3)
    field = given.inputs["optical"]
    brighter = changed(given, values=0.1 + 0.5 * field.values)
    published, own = (build_restorer(replace(CONFIG, scaling=way)).eval() for way in ("reflectance", "sample"))
    torch.testing.assert_close(own.seen(brighter), own.seen(given), atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(image(own, brighter), 0.1 + 0.5 * image(own, given), atol=1e-4, rtol=1e-4)
    off = image(published, brighter) - (0.1 + 0.5 * image(published, given))
    assert float(off.abs().mean()) > 0.02
    assert field.valid is not None
    assert float(own.seen(given).movedim(2, -1)[field.valid[:, :, [2, 1, 0, 3]].movedim(2, -1)].abs().mean()) < 0.5


def test_the_span_is_that_of_the_outputs_channels() -> None:
    whole = build_restorer(replace(CONFIG, scaling="sample")).eval()
    part = build_restorer(replace(CONFIG, scaling="sample", outputs=("nir", "red"))).eval()
    for restorer in (whole, part):
        restorer.begin(torch.full((4,), 0.2))
        restorer.network.output_layer[0].weight.data.zero_()  # type: ignore[union-attr, operator]
    torch.testing.assert_close(image(part, series()), image(whole, series())[:, :, [3, 0]])


def test_it_begins_where_land_usually_is() -> None:
    drawn, begun = (build_restorer(replace(CONFIG, outputs=("nir", "red"))).eval() for _ in range(2))
    begun.begin(torch.tensor([0.1, 0.2, 0.3, 0.4]))
    usual = torch.tensor([0.4, 0.1])
    before, layer = (r.network.output_layer[0] for r in (drawn, begun))
    torch.testing.assert_close((torch.tanh(layer.bias) + 1) / 2, usual)  # type: ignore[arg-type]
    torch.testing.assert_close(layer.weight, 0.1 * before.weight)  # type: ignore[operator]
    far, near = (float((image(r, series()).mean((0, 1, 3, 4)) - usual).abs().mean()) for r in (drawn, begun))
    assert near < 0.2 * far


def test_what_is_trained_drops_features_in_training() -> None:
    attached = attach(build(CONFIG), FullConfig())
    given = series(1)
    with torch.no_grad():
        expected = attached.backbone.eval()(given).maps[0]
        assert torch.equal(attached.backbone(given).maps[0], expected)
        assert not torch.equal(attached.backbone.train()(given).maps[0], expected)
