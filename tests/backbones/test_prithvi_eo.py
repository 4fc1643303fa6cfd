from __future__ import annotations

import json
import logging
from dataclasses import replace
from datetime import UTC, datetime
from functools import lru_cache
from math import prod
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from geoadapt.adapters.attach import attach, probe
from geoadapt.adapters.config import FullConfig, HeadOnlyConfig, LoraConfig
from geoadapt.backbones.config import PrithviEoConfig
from geoadapt.backbones.create import create_backbone
from geoadapt.backbones.prithvi_eo import PrithviEo, build
from geoadapt.backbones.prithvi_eo_bands import BANDS
from geoadapt.backbones.prithvi_eo_encoder import Encoder
from geoadapt.backbones.prithvi_eo_keys import decoder_state, encoder_state, fill
from geoadapt.backbones.prithvi_eo_layers import Layout, positions
from geoadapt.backbones.prithvi_eo_mae import Decoder, PrithviEoMae, build_mae, patchify, unpatchify
from geoadapt.backbones.prithvi_eo_variants import VARIANTS
from geoadapt.errors import GeoadaptError
from geoadapt.fields.types import Batch, Field, ProjectedGrid
from tests.folders import folder

SMALL: dict[str, Any] = {
    "patch_size": 4,
    "width": 32,
    "depth": 4,
    "heads": 2,
    "decoder_width": 32,
    "decoder_depth": 1,
    "decoder_heads": 2,
}
TABLES = sorted(folder("golden").glob("keys_prithvi_eo_*.json"))
WRITTEN = [path for path in TABLES if "tiny" in path.stem or "_100" in path.stem]


def small(**overrides: Any) -> PrithviEoConfig:
    return PrithviEoConfig(random_weights=True, **{**SMALL, **overrides})


@lru_cache(maxsize=8)
def tiny() -> PrithviEo:
    return build(small())


def optical(b: int = 1, t: int = 1, h: int = 16, w: int = 16, channels: tuple[str, ...] = BANDS) -> Field:
    generator = torch.Generator().manual_seed(0)
    return Field(torch.rand(b, t, len(channels), h, w, generator=generator) * 0.5, channels)


def last(model: PrithviEo, field: Field) -> Tensor:
    with torch.no_grad():
        return model(Batch({"optical": field})).maps[-1]


def dated(field: Field, *dates: datetime) -> Field:
    seconds = [[d.replace(tzinfo=UTC).timestamp() for d in dates]] * len(field.values)
    return replace(field, times=torch.tensor(seconds, dtype=torch.float64))


def shapes(path: Path, part: str) -> dict[str, tuple[int, ...]]:
    table = json.loads(path.read_text(encoding="utf-8"))[part]
    return {key: tuple(shape) for key, shape in table.items()}


def variant_name(path: Path) -> str:
    return path.stem.removeprefix("keys_")


def checkpoint(table: dict[str, tuple[int, ...]]) -> dict[str, Tensor]:
    """Small numbers in the shapes of a table, each tensor's own, so that a mix-up shows."""
    return {key: torch.full(shape, (n % 97 + 1) / 1000) for n, (key, shape) in enumerate(table.items())}


def prefixed(key: str) -> str:
    decodes = "decoder" in key or "_dec" in key or key == "mask_token"
    return key if key.startswith(("encoder.", "decoder.")) else ("decoder." if decodes else "encoder.") + key


@pytest.mark.skipif(not TABLES, reason="the folder of GEOADAPT_GOLDEN is absent")
@pytest.mark.parametrize("path", TABLES, ids=variant_name)
def test_keys_and_shapes_are_those_of_the_public_checkpoint(path: Path) -> None:
    table = json.loads(path.read_text(encoding="utf-8"))
    with torch.device("meta"):
        encoder = PrithviEo(PrithviEoConfig(name=variant_name(path)))
        decoder = Decoder(encoder.layout)
    mae = PrithviEoMae(encoder, decoder)
    for module, part in ((mae, "mae_state_dict"), (encoder, "encoder_state_dict")):
        assert {key: tuple(value.shape) for key, value in module.state_dict().items()} == shapes(path, part)
    assert sum(p.numel() for p in mae.parameters()) == table["n_params_mae"]
    assert sum(p.numel() for p in encoder.parameters()) == table["n_params_encoder"]
    assert {name for name, _ in mae.named_buffers()} == set(table["buffers"])
    heads = table["config"]["num_heads"], table["config"]["decoder_num_heads"]
    assert (encoder.blocks[0].attn.heads, decoder.decoder_blocks[0].attn.heads) == heads
    assert encoder.layout.frames == table["config"]["num_frames"]


@pytest.mark.skipif(not TABLES, reason="the folder of GEOADAPT_GOLDEN is absent")
@pytest.mark.parametrize("path", TABLES, ids=variant_name)
def test_every_public_layout_fits_strictly(path: Path) -> None:
    state = {key: torch.empty(shape, device="meta") for key, shape in shapes(path, "mae_state_dict").items()}
    with torch.device("meta"):
        encoder = PrithviEo(PrithviEoConfig(name=variant_name(path)))
        decoder = Decoder(encoder.layout)
    fill(encoder, encoder_state(state, encoder, path), path)
    fill(decoder, decoder_state(state, decoder), path)
    del state["encoder.blocks.3.mlp.fc1.bias"]
    state["decoder.surplus"] = torch.empty(1, device="meta")
    with pytest.raises(GeoadaptError, match=r"missing keys blocks\.3\.mlp\.fc1\.bias"):
        fill(encoder, encoder_state(state, encoder, path), path)
    with pytest.raises(GeoadaptError, match="unknown keys surplus"):
        fill(decoder, decoder_state(state, decoder), path)


def written_forms() -> list[Any]:
    forms = [(path, part) for path in WRITTEN for part in ("mae_state_dict", "unprefixed_checkpoint_layout")]
    return [
        pytest.param(path, part, id=f"{variant_name(path)}-{part.partition('_')[0]}")
        for path, part in forms
        if part in json.loads(path.read_text(encoding="utf-8"))
    ]


@pytest.mark.skipif(not TABLES, reason="the folder of GEOADAPT_GOLDEN is absent")
@pytest.mark.parametrize(("path", "part"), written_forms())
def test_a_written_checkpoint_loads_whole_in_every_public_form(path: Path, part: str, tmp_path: Path) -> None:
    state = checkpoint(shapes(path, part))
    file = tmp_path / VARIANTS[variant_name(path)].file
    torch.save({"model_state_dict": state} if part == "mae_state_dict" else state, file)
    mae = build_mae(PrithviEoConfig(name=variant_name(path), weights=str(tmp_path)))
    loaded = mae.state_dict()
    tables = {"encoder.pos_embed", "decoder.decoder_pos_embed"}
    assert set(loaded) == {prefixed(key) for key in state}
    assert all(torch.equal(loaded[prefixed(key)], value) for key, value in state.items() if prefixed(key) not in tables)
    # the tables of the file hold one number each; the model's own are sines and cosines, zero for the class token
    encoder = build(PrithviEoConfig(name=variant_name(path), weights=str(file)))
    assert encoder.source is not None and encoder.source.file == file.name
    for own in (encoder.pos_embed, mae.decoder.decoder_pos_embed):
        assert not own[:, 0].any() and own[:, 1:].abs().max() > 0.9
    assert not any(p.requires_grad for p in encoder.parameters()) and not encoder.training


def test_a_plain_variant_reads_a_tl_file_and_not_the_other_way_round() -> None:
    told = Encoder(Layout(32, 1, 2, (1, 4, 4), 1, (8, 8), coords=("time", "location"), decoder_heads=2))
    plain = Encoder(Layout(32, 1, 2, (1, 4, 4), 1, (8, 8), decoder_heads=2))
    state = {f"encoder.{key}": value for key, value in told.state_dict().items()}
    fill(plain, encoder_state(state, plain, "file"), "file")
    assert torch.equal(plain.patch_embed.proj.weight, told.patch_embed.proj.weight)
    state = {f"encoder.{key}": value for key, value in plain.state_dict().items()}
    with pytest.raises(GeoadaptError, match=r"missing keys temporal_embed_enc\.scale, location_embed_enc\.scale"):
        fill(told, encoder_state(state, told, "file"), "file")


def test_prefixes_of_timm_and_half_precision_are_read() -> None:
    encoder = Encoder(Layout(32, 1, 2, (1, 4, 4), 1, (8, 8)))
    stored = {f"_timm_module.encoder.{k}": v.half() for k, v in encoder.state_dict().items()}
    with torch.device("meta"):
        other = Encoder(encoder.layout)
    fill(other, encoder_state(stored, other, "file"), "file")
    assert other.cls_token.dtype == torch.float32 and other.cls_token.device.type == "cpu"


def test_kernels_of_another_patch_size_are_resampled_and_the_rest_is_kept(tmp_path: Path) -> None:
    torch.save({f"encoder.{k}": v for k, v in tiny().state_dict().items()}, tmp_path / "weights.pt")
    model = build(replace(small(patch_size=8), random_weights=False, weights=str(tmp_path / "weights.pt")))
    assert model.patch_embed.proj.weight.shape == (32, 6, 1, 8, 8)
    assert torch.equal(model.blocks[3].mlp.fc2.weight, tiny().blocks[3].mlp.fc2.weight)
    # an even surface gives the same token whatever the patch size, at the same place of the table of positions
    fine, coarse = (Field(torch.full((1, 1, 6, side, side), 0.3), BANDS) for side in (16, 32))
    torch.testing.assert_close(last(model, coarse), last(tiny(), fine), atol=1e-4, rtol=1e-3)


def test_maps_come_from_four_evenly_spaced_blocks_and_every_date() -> None:
    with torch.device("meta"):
        taps = {name: PrithviEo(PrithviEoConfig(name=name)).taps for name in VARIANTS}
    assert taps["prithvi_eo_v1_100"] == taps["prithvi_eo_v2_tiny_tl"] == (3, 6, 9, 12)
    assert taps["prithvi_eo_v2_300"] == (6, 12, 18, 24) and taps["prithvi_eo_v2_600_tl"] == (8, 16, 24, 32)
    features = tiny()(Batch({"optical": optical(2, 3, 16, 24)}))
    assert [tuple(m.shape) for m in features.maps] == [(2, 3, 32, 4, 6)] * 4
    assert features.strides == tiny().spec.strides == (4, 4, 4, 4)


def test_chosen_taps_give_those_blocks_outputs() -> None:
    two = build(small(taps=(2, 4)))
    batch = Batch({"optical": optical()})
    all_maps, chosen = tiny()(batch).maps, two(batch).maps
    assert len(chosen) == len(two.spec.widths) == 2
    assert torch.equal(chosen[0], all_maps[1]) and torch.equal(chosen[1], all_maps[3])
    for wrong in ((0, 2), (3, 2), (2, 5)):
        with pytest.raises(GeoadaptError, match=r"backbone\.taps"):
            build(small(taps=wrong))


def test_a_map_keeps_rows_columns_and_dates_in_their_places() -> None:
    field = optical(1, 2, 8, 16)
    before = tiny()(Batch({"optical": field})).maps[0]
    field.values[:, 1, :, 4:, 12:] += 0.4
    after = tiny()(Batch({"optical": field})).maps[0]
    change = (after - before).abs().sum(2)[0]
    assert change.flatten().argmax() == 8 + 4 + 3, "the second date, the second row, the fourth column"


def test_heights_and_widths_that_are_no_multiple_are_refused_and_declared() -> None:
    assert tiny().spec.multiple == 4
    with pytest.raises(GeoadaptError, match=r"18 × 16 px is no multiple of the patch size 4 px; pad or crop"):
        last(tiny(), optical(h=18))
    with torch.device("meta"):
        assert PrithviEo(PrithviEoConfig(name="prithvi_eo_v2_600")).spec.multiple == 14


@pytest.mark.parametrize("version", [1, 2])
def test_channels_are_normalised_with_the_published_numbers(version: int) -> None:
    name = {1: "prithvi_eo_v1_100", 2: "prithvi_eo_v2_tiny_tl"}[version]
    swir22 = {1: (1611, 1155), 2: (1363, 1049)}[version]
    blue = {1: (775, 1282), 2: (1087, 2248)}[version]
    field = optical()
    pixels = build(small(name=name)).read(Batch({"optical": field})).pixels
    assert pixels.shape == (1, 6, 1, 16, 16)
    for place, (mean, std) in ((0, blue), (5, swir22)):
        torch.testing.assert_close(pixels[:, place], (field.values[:, :, place] * 1e4 - mean) / std)


def test_order_of_channels_strangers_and_the_other_near_infrared_do_not_matter() -> None:
    field = optical()
    order = (5, 3, 1, 0, 2, 4)
    shuffled = Field(field.values[:, :, list(order)], tuple(BANDS[i] for i in order))
    extra = Field(torch.cat([field.values, torch.rand(1, 1, 1, 16, 16)], 2), (*BANDS, "cirrus"))
    broad = Field(field.values, tuple("nir" if c == "nir08" else c for c in BANDS))
    both = Field(torch.cat([field.values, torch.rand(1, 1, 1, 16, 16)], 2), (*BANDS, "nir"))
    for other in (shuffled, extra, broad, both):
        assert torch.equal(last(tiny(), other), last(tiny(), field))


@pytest.mark.parametrize(("missing", "stand_in"), [("mean", 1e-4), ("zero", -1087 / 2248)])
def test_missing_values_are_filled_as_chosen_and_what_lay_there_does_not_count(missing: str, stand_in: float) -> None:
    model = build(small(missing=missing))
    field = optical()
    valid = torch.ones_like(field.values, dtype=torch.bool)
    valid[:, :, 0, 3, 5] = False
    spoilt = field.values.clone()
    spoilt[:, :, 0, 3, 5] = float("nan")
    pixels = model.read(Batch({"optical": Field(spoilt, BANDS, valid)})).pixels
    assert pixels[0, 0, 0, 3, 5].item() == pytest.approx(stand_in, rel=1e-5)
    without = model.read(Batch({"optical": field.select(BANDS[1:])})).pixels
    torch.testing.assert_close(without[:, 0], torch.full((1, 1, 16, 16), stand_in))
    assert torch.equal(without[:, 1:], pixels[:, 1:])


def test_a_batch_without_any_of_its_channels_is_refused() -> None:
    with pytest.raises(GeoadaptError, match="it needs 'optical' with some of"):
        tiny()(Batch({"optical": optical(channels=("coastal", "cirrus"))}))
    with pytest.raises(GeoadaptError, match="it needs 'optical'"):
        tiny()(Batch({"sar": optical(channels=("vv", "vh"))}))


def test_dates_and_places_are_told_and_can_be_withheld() -> None:
    field = optical(b=2)
    spring, autumn = dated(field, datetime(2021, 4, 1)), dated(field, datetime(2021, 10, 1))
    here = replace(field, grid=ProjectedGrid(10.0, torch.tensor([[47.0, 8.0], [-3.0, -60.0]])))
    plain = last(tiny(), field)
    assert not torch.allclose(last(tiny(), spring), plain)
    assert not torch.allclose(last(tiny(), spring), last(tiny(), autumn))
    assert not torch.allclose(last(tiny(), here), plain)
    silent = build(small(times=False, location=False))
    assert torch.equal(last(silent, replace(spring, grid=here.grid)), plain)
    untold = build(small(name="prithvi_eo_v2_300"))
    assert torch.equal(last(untold, spring), last(untold, field))


def test_unknown_dates_and_places_of_one_sample_are_not_told() -> None:
    field = optical(b=2, t=2)
    known = dated(field, datetime(2021, 4, 1), datetime(2021, 7, 1))
    assert known.times is not None
    times = known.times.clone()
    times[1] = float("nan")
    centre = torch.tensor([[47.0, 8.0], [float("nan"), 8.0]])
    mixed = last(tiny(), replace(field, times=times, grid=ProjectedGrid(10.0, centre)))
    torch.testing.assert_close(mixed[1], last(tiny(), field)[1], atol=1e-5, rtol=1e-4)
    whole = last(tiny(), replace(known, grid=ProjectedGrid(10.0, centre)))
    torch.testing.assert_close(mixed[0], whole[0], atol=1e-5, rtol=1e-4)


def test_years_and_days_are_counted_as_published() -> None:
    field = optical(t=3)
    given = dated(field, datetime(2021, 1, 1), datetime(2020, 12, 31, 23, 59), datetime(1999, 3, 1))
    year_day = tiny().read(Batch({"optical": given})).year_day
    assert year_day is not None
    assert year_day.tolist() == [[[2021, 1], [2020, 366], [1999, 60]]]


def test_more_dates_than_the_layout_was_built_for_are_told_each_its_own() -> None:
    field = dated(optical(t=3), datetime(2021, 1, 1), datetime(2021, 5, 1), datetime(2021, 9, 1))
    moved = dated(optical(t=3), datetime(2021, 1, 1), datetime(2021, 5, 1), datetime(2018, 12, 1))
    before, after = (tiny()(Batch({"optical": f})).maps[0] for f in (field, moved))
    change = (after - before).abs().sum((2, 3, 4))
    assert change[0].argmax() == 2


def test_fewer_channels_are_the_same_as_channels_at_their_mean() -> None:
    subset = ("red", "blue", "swir22")
    model = build(small(channels=subset, missing="mean"))
    assert model.patch_embed.extra is None and model.new == ()
    full = optical()
    assert tuple(model.patch_embed.proj.weight.shape) == (32, 6, 1, 4, 4), "the public kernels stay whole"
    torch.testing.assert_close(last(model, full), last(tiny(), full.select(subset)), atol=1e-3, rtol=1e-3)
    assert torch.equal(last(model, full), last(model, full.select(("blue", "red", "swir22"))))


def test_new_channels_start_as_the_mean_are_trainable_and_are_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    source = build(small())
    torch.save({f"encoder.{k}": v for k, v in source.state_dict().items()}, tmp_path / "weights.pt")
    channels = ("cirrus", "red", "coastal", "nir")
    config = replace(small(channels=channels), random_weights=False, weights=str(tmp_path / "weights.pt"))
    with caplog.at_level(logging.INFO, "geoadapt"):
        model = build(config)
    assert "new channels cirrus, coastal" in caplog.text and "mean of the pre-trained" in caplog.text
    extra = model.patch_embed.extra
    assert extra is not None and [n for n, p in model.named_parameters() if p.requires_grad] == ["patch_embed.extra"]
    mean = source.patch_embed.proj.weight.mean(1)
    assert torch.equal(extra[:, 0], mean) and torch.equal(extra[:, 1], mean)
    assert model.patch_embed.columns == (6, 2, 7, 3), "cirrus and coastal lie behind the six, nir is the fourth"
    assert model.mean[0] == pytest.approx(sum((1087, 1342, 1433, 2734, 1958, 1363)) / 6)
    before = last(model, optical(channels=channels))
    model(Batch({"optical": optical(channels=channels)})).maps[-1].square().mean().backward()
    assert extra.grad is not None and bool((extra.grad.abs().sum((0, 2, 3, 4)) > 0).all())
    with torch.no_grad():
        extra.add_(0.1)
    assert not torch.allclose(last(model, optical(channels=channels)), before)


@pytest.mark.parametrize("adapter", [HeadOnlyConfig(), LoraConfig(r=2), FullConfig()], ids=lambda a: a.name)
def test_every_adapter_trains_new_kernels_along_and_stores_them(adapter: Any, tmp_path: Path) -> None:
    config = small(channels=(*BANDS, "cirrus"))
    field = optical(channels=config.channels)
    attached = attach(build(config), adapter)
    extra = next(p for n, p in attached.backbone.named_parameters() if n.endswith("patch_embed.extra"))
    assert extra.requires_grad and any(p is extra for p in attached.parameters())
    probe(attached, Batch({"optical": field}))
    with torch.no_grad():
        extra.add_(0.1)
    attached.save(tmp_path)
    other = attach(build(config), adapter)
    assert not torch.equal(last(other.backbone, field), last(attached.backbone, field))
    other.load_folder(tmp_path)
    assert torch.equal(last(other.backbone, field), last(attached.backbone, field))
    before = last(other.backbone, field)
    other.merge()
    torch.testing.assert_close(last(other.backbone, field), before, atol=1e-5, rtol=1e-4)
    assert other.parameters() == [] and not any(p.requires_grad for p in other.backbone.parameters())


def test_trained_new_kernels_come_back_from_a_file(tmp_path: Path) -> None:
    config = small(channels=(*BANDS, "cirrus"))
    model = build(config)
    with torch.no_grad():
        model.patch_embed.extra.normal_()
    torch.save(model.state_dict(), tmp_path / "mine.pt")
    again = build(replace(config, random_weights=False, weights=str(tmp_path / "mine.pt")))
    assert torch.equal(again.patch_embed.extra, model.patch_embed.extra)


def test_the_same_seed_gives_the_same_random_weights_and_leaves_the_callers_draws_alone() -> None:
    torch.manual_seed(3)
    before = torch.rand(2)
    torch.manual_seed(3)
    a, b, other = build(small()), build(small()), build(small(seed=1))
    assert torch.equal(torch.rand(2), before)
    assert a.source is not None and b.source is not None and other.source is not None
    assert a.source.sha256 == b.source.sha256 != other.source.sha256
    bound = (6 / (32 + 6 * 16)) ** 0.5
    assert 0.9 * bound < a.patch_embed.proj.weight.abs().max() <= bound, "patches are Xavier over (d, everything else)"


def test_lora_reaches_every_layer_of_attention_and_mlp() -> None:
    attached = attach(build(small()), LoraConfig(r=2, targets=("attention", "mlp")))
    names = set(attached.modules())
    assert len(names) == 4 * 4 and {"blocks.0.attn.qkv", "blocks.3.attn.proj", "blocks.2.mlp.fc1"} <= names
    assert not any("patch_embed" in name for name in names)
    probe(attached, Batch({"optical": optical()}))


def test_positions_ignore_who_asked_first() -> None:
    with torch.inference_mode():
        first = positions((1, 2, 2), (1, 3, 5), 16)
    assert not first.is_inference() and first.shape == (1, 16, 16)
    assert positions((3, 2, 2), (2, 2, 2), 16).shape == (1, 9, 16)


def test_features_do_not_depend_on_batch_mates_and_are_finite_everywhere() -> None:
    field = optical(3, 2, 20, 12)
    together = last(tiny(), field)
    assert together.isfinite().all()
    alone = last(tiny(), Field(field.values[1:2], BANDS))
    torch.testing.assert_close(together[1:2], alone, atol=1e-5, rtol=1e-4)


def test_patches_are_cut_and_joined_without_loss() -> None:
    pixels = torch.rand(2, 3, 4, 6, 8)
    tokens = patchify(pixels, (2, 3, 4))
    assert tokens.shape == (2, 2 * 2 * 2, prod((2, 3, 4, 3)))
    assert tokens[0, 0, :3].tolist() == pixels[0, :, 0, 0, 0].tolist(), "the channel is the fastest axis"
    assert torch.equal(unpatchify(tokens, (2, 2, 2), (2, 3, 4)), pixels)
    with pytest.raises(GeoadaptError, match="no multiple of a patch"):
        patchify(pixels, (2, 4, 4))


def test_the_autoencoder_learns_counts_only_hidden_valid_values_and_shows_all_at_zero() -> None:
    mae = build_mae(small(), hide=0.5)
    batch = Batch({"optical": optical(4)})
    generator = torch.Generator().manual_seed(0)
    first = mae.paint(batch, generator=generator).loss
    optimiser = torch.optim.AdamW(mae.parameters(), lr=3e-3)
    for _ in range(30):
        optimiser.zero_grad()
        loss = mae.paint(batch, generator=generator).loss
        loss.backward()
        optimiser.step()
    assert loss < 0.6 * first
    valid = torch.zeros_like(batch.inputs["optical"].values, dtype=torch.bool)
    assert mae.paint(Batch({"optical": replace(optical(4), valid=valid)})).loss == 0
    everything = PrithviEoMae(mae.encoder, mae.decoder, hide=0.0)
    assert not everything(torch.rand(1, 6, 1, 8, 8)).mask.any()
    with pytest.raises(GeoadaptError, match="hide"):
        PrithviEoMae(mae.encoder, mae.decoder, hide=1.0)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("name", "prithvi_eo_v2_400", "did you mean 'prithvi_eo_v"),
        ("width", 40, "multiple of 16"),
        ("heads", 3, "multiple of 16 and of the heads"),
        ("depth", 0, "choose 1 or more"),
        ("missing", "meen", "did you mean 'mean'"),
        ("channels", ("red", "red"), "each once"),
        ("eps", 0.0, "positive"),
    ],
)
def test_wrong_values_say_what_to_choose(key: str, value: object, message: str) -> None:
    with pytest.raises(GeoadaptError, match=message):
        build(small(**{key: value}))


def test_create_backbone_builds_by_name_with_channels_and_overrides(tmp_path: Path) -> None:
    model = create_backbone(
        "prithvi_eo_v2_tiny_tl", channels=("red", "nir", "cirrus"), random_weights=True, taps=(1, 4), **SMALL
    )
    assert isinstance(model, PrithviEo) and model.settings.channels == ("red", "nir", "cirrus")
    torch.save(tiny().state_dict(), tmp_path / "a.pt")
    same = create_backbone("prithvi_eo_v2_tiny_tl", tmp_path / "a.pt", **SMALL)
    assert torch.equal(last(same, optical()), last(tiny(), optical()))  # type: ignore[arg-type]
    for name in ("galileo_nano", "small_eo"):
        made = create_backbone(name, channels=("red", "nir"), random_weights=True)
        assert isinstance(made, nn.Module) and not any(p.requires_grad for p in made.parameters())
        assert made(Batch({"optical": optical(channels=("blue", "green", "red", "nir"))})).maps


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("prithvi_eo_v2_tiny", {}, "did you mean 'prithvi_eo_v2_tiny_tl'"),
        ("galileo_nano", {"channels": ("red", "swir_16"), "random_weights": True}, "did you mean 'swir16'"),
        ("small_eo", {"wdth": 3}, "did you mean 'width'"),
        ("small_eo", {"checkpoint": "a.pt", "random_weights": True}, "given twice"),
        ("prithvi_eo_v2_tiny_tl", {"checkpoint": "nowhere.pt"}, "no weights of prithvi_eo_v2_tiny_tl here"),
    ],
)
def test_create_backbone_names_what_is_wrong(name: str, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(GeoadaptError, match=message):
        create_backbone(name, **arguments)
