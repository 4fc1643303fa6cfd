from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from functools import lru_cache

import pytest
import torch
from torch import Tensor

from geoadapt.adapters.attach import attach, probe
from geoadapt.adapters.config import LoraConfig
from geoadapt.backbones.base import SplitBackbone
from geoadapt.backbones.config import PrestoConfig
from geoadapt.backbones.galileo_inputs import LANDCOVER
from geoadapt.backbones.presto import Presto, build
from geoadapt.backbones.presto_decoder import PrestoDecoder
from geoadapt.backbones.presto_inputs import INPUTS, read_pixels
from geoadapt.backbones.weights import find_weights, load_state
from geoadapt.errors import GeoadaptError
from geoadapt.fields.types import Batch, Field, LatLonGrid, ProjectedGrid

CLOSE = {"atol": 1e-5, "rtol": 1e-4}


@lru_cache(maxsize=8)
def presto(location: bool = True, pixels: int = 4096, seed: int = 0, stride: int = 1) -> Presto:
    return build(PrestoConfig(random_weights=True, location=location, pixels=pixels, seed=seed, stride=stride))


def drawn(channels: tuple[str, ...], b: int = 1, t: int = 2, h: int = 3, w: int = 4, seed: int = 0) -> Field:
    generator = torch.Generator().manual_seed(seed)
    return Field(torch.rand(b, t, len(channels), h, w, generator=generator) * 0.5, channels)


def optical(b: int = 1, t: int = 2, h: int = 3, w: int = 4, channels: tuple[str, ...] = INPUTS["optical"]) -> Field:
    return drawn(channels, b, t, h, w)


def some_valid(field: Field, share: float = 0.7) -> Field:
    chosen = torch.rand(field.values.shape, generator=torch.Generator().manual_seed(5)) < share
    return replace(field, valid=chosen)


def last(model: Presto, *fields: Field, **more: Field) -> Tensor:
    with torch.no_grad():
        return model(Batch({**({"optical": fields[0]} if fields else {}), **more})).maps[0]


def test_one_map_of_one_vector_per_pixel() -> None:
    model = presto()
    features = model(Batch({"optical": optical(2, 3, 5, 7)}))
    assert [tuple(m.shape) for m in features.maps] == [(2, 1, 128, 5, 7)]
    assert features.strides == model.spec.strides == (1,)
    assert model.spec.widths == (128,)


def test_parameters_are_frozen_and_tables_are_no_parameters() -> None:
    model = presto()
    assert not model.training
    assert not any(p.requires_grad for p in model.parameters())
    assert sum(p.numel() for p in model.parameters()) == 402_240
    assert sum(v.numel() for v in model.state_dict().values()) == 404_160


def test_every_pixel_is_a_series_of_its_own() -> None:
    field = some_valid(optical(2, 3, 4, 5))
    whole = last(presto(), field)
    assert field.valid is not None
    for row, col in ((0, 0), (3, 4), (2, 1)):
        cut = (..., slice(row, row + 1), slice(col, col + 1))
        alone = last(presto(), replace(field, values=field.values[cut], valid=field.valid[cut]))
        torch.testing.assert_close(whole[cut], alone, **CLOSE)


@pytest.mark.parametrize("pixels", [1, 5, 24])
def test_how_many_pixels_go_together_changes_nothing(pixels: int) -> None:
    field = some_valid(optical(2))
    torch.testing.assert_close(last(presto(pixels=pixels), field), last(presto(), field), **CLOSE)


@pytest.mark.parametrize(
    ("stride", "rows", "cols"), [(2, [1, 3, 4], [1, 3, 5, 6]), (3, [1, 4], [1, 4, 6]), (9, [4], [4])]
)
def test_a_stride_encodes_the_middle_pixel_of_every_square(stride: int, rows: list[int], cols: list[int]) -> None:
    whole, radar = some_valid(optical(2, 2, 5, 7)), drawn(INPUTS["sar"], 2, 2, 5, 7)
    grid = LatLonGrid(torch.linspace(50, 46, 5), torch.linspace(5, 11, 7))
    given = replace(whole, grid=grid)
    every, few = last(presto(), given, sar=radar), presto(stride=stride)(Batch({"optical": given, "sar": radar}))
    torch.testing.assert_close(few.maps[0], every[..., rows, :][..., cols], **CLOSE)
    assert few.strides == presto(stride=stride).spec.strides == (stride,)


def test_a_stride_serves_one_cell_of_weather_and_the_cache_too() -> None:
    fields = {"optical": optical(1, 2, 6, 6), "era5": drawn(INPUTS["era5"], 1, 2, 1, 1)}
    model = presto(stride=4)
    assert isinstance(model, SplitBackbone)
    whole = model(Batch(fields)).maps[0]
    assert tuple(whole.shape) == (1, 1, 128, 2, 2)
    again = model.upper(model.lower(Batch(fields), 1), 1).maps[0]
    torch.testing.assert_close(again, whole, **CLOSE)


def test_a_stride_below_one_is_an_error() -> None:
    with pytest.raises(GeoadaptError, match="backbone.stride"):
        PrestoConfig(stride=0)


def test_in_training_pixels_in_parts_give_the_same_gradients() -> None:
    found = []
    for pixels in (4096, 5):
        model = build(PrestoConfig(random_weights=True, pixels=pixels))
        weight = model.blocks[0].attn.qkv.weight.requires_grad_(True)
        model(Batch({"optical": some_valid(optical(2))})).maps[0].square().sum().backward()
        found.append(weight.grad)
    torch.testing.assert_close(found[0], found[1], **CLOSE)


def test_what_a_hidden_value_holds_changes_nothing() -> None:
    field = some_valid(optical())
    assert field.valid is not None
    spoilt = torch.where(field.valid, field.values, torch.nan)
    assert torch.equal(last(presto(), replace(field, values=spoilt)), last(presto(), field))


def test_one_hidden_band_hides_its_group_on_that_date_only() -> None:
    field = optical(t=2)
    valid = torch.ones_like(field.values, dtype=torch.bool)
    valid[:, 1, INPUTS["optical"].index("swir22")] = False
    groups, _ = read_pixels(Batch({"optical": replace(field, valid=valid)}))
    hidden = {name for name, seen in groups.visible.items() if seen is not None}
    assert hidden == {"S2_SWIR"}
    assert torch.equal(groups.visible["S2_SWIR"], torch.tensor([True, False]).expand(12, 2))


def test_a_group_that_is_hidden_everywhere_is_as_one_that_is_not_there() -> None:
    field = optical()
    valid = torch.ones_like(field.values, dtype=torch.bool)
    valid[:, :, INPUTS["optical"].index("rededge075")] = False
    without = field.select(tuple(c for c in INPUTS["optical"] if not c.startswith("rededge")))
    torch.testing.assert_close(last(presto(), replace(field, valid=valid)), last(presto(), without), **CLOSE)


def test_nothing_visible_gives_zeros_and_with_a_place_the_places_own_vector() -> None:
    field = replace(optical(2), valid=torch.zeros(2, 2, 10, 3, 4, dtype=torch.bool))
    assert not last(presto(), field).any()
    here = replace(field, grid=ProjectedGrid(10.0, torch.tensor([[10.0, 20.0], [50.0, -60.0]])))
    maps = last(presto(), here)
    assert maps.isfinite().all()
    assert torch.equal(maps[..., 0, 0], maps[..., 2, 3])
    assert not torch.equal(maps[0], maps[1])


def test_the_place_is_left_out_where_it_is_unknown_or_not_asked_for() -> None:
    field = optical(2)
    half = torch.tensor([[10.0, 20.0], [float("nan"), float("nan")]])
    told = last(presto(), replace(field, grid=ProjectedGrid(10.0, half)))
    plain = last(presto(), field)
    torch.testing.assert_close(told[1], plain[1], **CLOSE)
    assert (told[0] - plain[0]).abs().max() > 1e-3
    assert torch.equal(last(presto(location=False), replace(field, grid=ProjectedGrid(10.0, half))), plain)


def test_a_grid_of_latitudes_tells_each_pixel_its_own_place() -> None:
    field = optical(h=2, w=2)
    same = replace(field, values=field.values[..., :1, :1].expand_as(field.values))
    grid = LatLonGrid(torch.tensor([50.0, 40.0]), torch.tensor([0.0, 90.0]))
    series, _ = read_pixels(Batch({"optical": replace(same, grid=grid)}))
    assert series.place is not None
    torch.testing.assert_close(series.place[3], torch.tensor([0.0, 0.766044, 0.642788]), atol=1e-5, rtol=0)
    alone = last(presto(), replace(same, grid=ProjectedGrid(10.0, torch.tensor([[40.0, 90.0]]))))
    torch.testing.assert_close(last(presto(), replace(same, grid=grid))[..., 1, 1], alone[..., 1, 1], **CLOSE)


def test_months_follow_the_dates_and_default_to_june() -> None:
    times = torch.tensor(
        [[datetime(2020, 1, 31, tzinfo=UTC).timestamp(), datetime(1969, 12, 1, tzinfo=UTC).timestamp(), float("nan")]]
    ).double()
    field = optical(t=3, h=1, w=2)
    assert read_pixels(Batch({"optical": replace(field, times=times)}))[0].months.tolist() == [[0, 11, 5]] * 2
    assert read_pixels(Batch({"optical": field}))[0].months.tolist() == [[5, 5, 5]] * 2


def test_every_input_reaches_the_features() -> None:
    fields = {
        "optical": optical(),
        "sar": replace(drawn(INPUTS["sar"]), values=torch.full((1, 2, 2, 3, 4), -12.0)),
        "era5": Field(torch.tensor([290.0, 0.002]).reshape(1, 1, 2, 1, 1).expand(1, 2, -1, -1, -1), INPUTS["era5"]),
        "terrain": Field(torch.full((1, 1, 2, 3, 4), 300.0), INPUTS["terrain"]),
        "landcover": drawn(LANDCOVER, t=1),
    }
    full = last(presto(), **fields)
    for name in fields:
        less = last(presto(), **{n: f for n, f in fields.items() if n != name})
        assert (full - less).abs().max() > 1e-4, f"{name} changes nothing"


def test_land_cover_is_the_likeliest_class_and_unknown_where_it_is_hidden() -> None:
    cover = drawn(LANDCOVER, t=2, h=1, w=2)
    cover.values[:, :, 4, 0, 0] = 0.9
    valid = torch.ones_like(cover.values, dtype=torch.bool)
    valid[:, 1] = False
    series, _ = read_pixels(Batch({"optical": optical(t=2, h=1, w=2), "landcover": replace(cover, valid=valid)}))
    assert series.classes is not None
    assert series.classes[0].tolist() == [4, 9]


def test_order_of_channels_and_strangers_among_them_do_not_matter() -> None:
    field = optical()
    turned = tuple(reversed(field.channels))
    assert torch.equal(last(presto(), field.select(turned)), last(presto(), field))
    extra = Field(torch.cat([field.values, torch.rand(1, 2, 1, 3, 4)], 2), (*field.channels, "cirrus"))
    assert torch.equal(last(presto(), extra), last(presto(), field))


@pytest.mark.parametrize(
    ("inputs", "words"),
    [
        ({"terrain": drawn(INPUTS["terrain"])}, "needs 'optical' or 'sar'"),
        ({"optical": optical(channels=("blue", "swir16"))}, "no channel group is complete"),
        ({"optical": optical(t=25)}, "takes up to 24"),
        ({"optical": optical(t=2), "sar": drawn(INPUTS["sar"], t=3)}, "3 dates, expected 1 of 2"),
        ({"optical": optical(), "sar": drawn(INPUTS["sar"], h=2)}, "expected (3, 4)"),
        ({"optical": optical(), "landcover": drawn(("water",), t=1)}, "'trees'"),
    ],
)
def test_what_does_not_fit_is_named(inputs: dict[str, Field], words: str) -> None:
    with pytest.raises(GeoadaptError) as caught:
        presto()(Batch(inputs))
    assert words in str(caught.value)


@pytest.mark.parametrize("share", [0.7, 1.0])
def test_lower_then_upper_is_the_whole_after_every_block(share: float) -> None:
    model = presto(pixels=7)
    batch = Batch({"optical": some_valid(optical(2), share)})
    assert isinstance(model, SplitBackbone)
    with torch.no_grad():
        whole = model(batch).maps[0]
        for block in range(model.spec.blocks + 1):
            state = model.lower(batch, block)
            assert all(len(x) == 2 for x in (*state.maps, state.tokens, state.seen) if x is not None)
            torch.testing.assert_close(model.upper(state, block).maps[0], whole, **CLOSE)


def test_random_weights_follow_the_seed() -> None:
    one, same, other = (build(PrestoConfig(random_weights=True, seed=s)) for s in (1, 1, 2))
    assert one.source == same.source
    assert one.source is not None and other.source is not None
    assert one.source.sha256 != other.source.sha256


def test_lora_goes_into_the_joint_projection_and_reaches_the_output() -> None:
    attached = attach(build(PrestoConfig(random_weights=True)), LoraConfig(r=8, targets=(r"blocks\.\d\.attn\.qkv",)))
    assert sum(p.numel() for p in attached.parameters()) == 8_192
    batch = Batch({"optical": some_valid(optical())})
    probe(attached, batch)
    everywhere = attach(build(PrestoConfig(random_weights=True)), LoraConfig(r=2))
    assert set(everywhere.modules()) == {
        f"blocks.{n}.{layer}" for n in (0, 1) for layer in ("attn.qkv", "attn.proj", "mlp.fc1", "mlp.fc2")
    }
    probe(everywhere, batch)


def test_the_public_file_is_read_whole(weights_dir) -> None:
    path = find_weights("presto", str(weights_dir / "presto"), ("default_model.pt",))
    state = load_state(path)
    own = {f"encoder.{key}": value for key, value in presto().state_dict().items()}
    decoder = {f"decoder.{key}": value for key, value in PrestoDecoder().state_dict().items()}
    assert {key: tuple(v.shape) for key, v in state.items()} == {
        key: tuple(v.shape) for key, v in {**own, **decoder}.items()
    }
    for key in ("encoder.pos_embed", "encoder.month_embed.weight"):
        torch.testing.assert_close(state[key], own[key], atol=1e-6, rtol=0)
    for key in ("decoder.pos_embed", "decoder.month_embed.weight"):
        torch.testing.assert_close(state[key], decoder[key], atol=1e-6, rtol=0)


def test_weights_of_something_else_are_refused(tmp_path) -> None:
    torch.save({"encoder.norm.weight": torch.ones(128)}, tmp_path / "default_model.pt")
    with pytest.raises(GeoadaptError, match="missing keys"):
        build(PrestoConfig(weights=str(tmp_path)))


def test_the_decoder_can_share_the_encoders_channel_table() -> None:
    model = presto()
    assert PrestoDecoder(model.channel_embed).channel_embeddings.weight is model.channel_embed.weight
