from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from functools import lru_cache

import pytest
import torch
from torch import Tensor

from geoadapt.backbones.config import GalileoConfig
from geoadapt.backbones.galileo import SIZES, Galileo, build
from geoadapt.backbones.galileo_inputs import GROUPS, read_batch
from geoadapt.errors import GeoadaptError
from geoadapt.fields.types import Batch, Field, ProjectedGrid

SIX = ("blue", "green", "red", "nir", "swir16", "swir22")


@lru_cache(maxsize=8)
def galileo(window: int = 8, patch: int = 4, resolution: float = 10.0, location: bool = False) -> Galileo:
    return build(
        GalileoConfig(random_weights=True, patch_size=patch, window=window, resolution=resolution, location=location)
    )


def optical(b: int = 1, t: int = 1, h: int = 16, w: int = 16, channels: tuple[str, ...] = SIX, seed: int = 0) -> Field:
    generator = torch.Generator().manual_seed(seed)
    return Field(torch.rand(b, t, len(channels), h, w, generator=generator) * 0.5, channels)


def last(model: Galileo, field: Field) -> Tensor:
    with torch.no_grad():
        return model(Batch({"optical": field})).maps[-1]


def test_maps_have_the_declared_widths_strides_and_the_inputs_dates() -> None:
    model = galileo()
    features = model(Batch({"optical": optical(2, 3, 24, 40)}))
    assert features.strides == model.spec.strides == (4, 4, 4, 4)
    assert model.spec.widths == (128, 128, 128, 128)
    assert [tuple(m.shape) for m in features.maps] == [(2, 3, 128, 6, 10)] * 4


@pytest.mark.parametrize(("name", "heads"), [("galileo_tiny", 3), ("galileo_base", 12)])
def test_larger_models_give_a_map_per_fourth_of_their_depth(name: str, heads: int) -> None:
    with torch.device("meta"):
        model = Galileo(GalileoConfig(name=name))
    assert model.taps == (3, 6, 9, 12)
    assert model.spec.widths == (SIZES[name].width,) * 4
    assert model.blocks[0].attn.heads == heads
    assert model.pos_embed.shape == (24, SIZES[name].width // 4)


def test_parameters_are_frozen_and_tables_are_no_parameters() -> None:
    model = galileo()
    assert not model.training
    assert not any(p.requires_grad for p in model.parameters())
    assert sum(p.numel() for p in model.parameters()) == 1_036_704
    assert sum(v.numel() for v in model.state_dict().values()) == 1_037_856


def test_windows_are_independent_of_each_other() -> None:
    field = optical(h=64, w=64)
    whole = last(galileo(window=8), field)
    corner = last(galileo(window=8), replace(field, values=field.values[..., 32:, :32]))
    torch.testing.assert_close(whole[..., 8:, :8], corner, atol=1e-5, rtol=1e-4)


def test_one_window_over_everything_equals_no_windows() -> None:
    field = optical(h=24, w=32)
    torch.testing.assert_close(last(galileo(window=0), field), last(galileo(window=8), field))


@pytest.mark.parametrize(("h", "w"), [(4, 4), (4, 36), (36, 44), (68, 12), (52, 100)])
def test_every_size_of_scene_gets_finite_features_that_differ_from_zero(h: int, w: int) -> None:
    maps = last(galileo(window=8), optical(h=h, w=w))
    assert maps.shape == (1, 1, 128, h // 4, w // 4)
    assert maps.isfinite().all()
    assert (maps.abs().sum(2) > 0).all()


def test_padding_of_uneven_windows_does_not_leak() -> None:
    # 9 patches in windows of 8 are windows of 5 and 4 and a padded row; alone, the 4 have no padding
    field = optical(h=36, w=16)
    whole = last(galileo(window=8), field)
    tail = last(galileo(window=8), replace(field, values=field.values[..., 20:, :]))
    torch.testing.assert_close(whole[..., 5:, :], tail, atol=1e-5, rtol=1e-4)


def test_a_samples_features_do_not_depend_on_its_batch_mates() -> None:
    field = optical(3, h=32, w=32)
    valid = torch.ones_like(field.values, dtype=torch.bool)
    valid[1, :, :, :7, :20] = False
    valid[2] = False
    masked = replace(field, valid=valid)
    together = last(galileo(), masked)
    for n in range(3):
        alone = last(galileo(), replace(field, values=field.values[n : n + 1], valid=valid[n : n + 1]))
        torch.testing.assert_close(together[n : n + 1], alone, atol=1e-5, rtol=1e-4)


def test_one_invalid_pixel_hides_its_patch_and_what_it_holds_changes_nothing() -> None:
    field = optical(h=32, w=32)
    valid = torch.ones_like(field.values, dtype=torch.bool)
    valid[..., 5, 6] = False
    spoilt = field.values.clone()
    spoilt[..., 5, 6] = float("nan")
    a = last(galileo(), replace(field, valid=valid))
    b = last(galileo(), replace(field, values=spoilt, valid=valid))
    assert torch.equal(a, b)
    assert not a[0, 0, :, 1, 1].any()
    zeros = (a[0, 0] == 0).all(0)
    assert zeros.sum() == 1


def test_one_invalid_band_hides_its_group_only() -> None:
    field = optical()
    valid = torch.ones_like(field.values, dtype=torch.bool)
    valid[:, :, SIX.index("swir22")] = False
    without = last(galileo(), field.select(("blue", "green", "red", "nir")))
    torch.testing.assert_close(last(galileo(), replace(field, valid=valid)), without, atol=1e-5, rtol=1e-4)


def test_nothing_visible_gives_zeros_and_no_nan() -> None:
    field = optical(2)
    maps = last(galileo(), replace(field, valid=torch.zeros_like(field.values, dtype=torch.bool)))
    assert not maps.any()


def test_order_of_channels_and_strangers_among_them_do_not_matter() -> None:
    field = optical()
    order = (5, 3, 1, 0, 2, 4)
    shuffled = Field(field.values[:, :, list(order)], tuple(SIX[i] for i in order))
    extra = Field(torch.cat([field.values, torch.rand(1, 1, 1, 16, 16)], 2), (*SIX, "cirrus"))
    assert torch.equal(last(galileo(), shuffled), last(galileo(), field))
    assert torch.equal(last(galileo(), extra), last(galileo(), field))


def test_reflectance_is_read_as_ten_thousandths() -> None:
    groups = read_batch(Batch({"optical": optical()}), 4)
    blue = optical().values[:, :, 0] * 1e4
    mean, std = 1395.3408730676722, 917.7041440370853
    torch.testing.assert_close(groups.values["S2_RGB"][:, :, 0], (blue - (mean - 2 * std)) / (4 * std))


def test_vegetation_index_is_that_of_nir_and_red_and_zero_where_there_is_no_light() -> None:
    field = optical()
    field.values[..., 0, 0] = 0
    got = read_batch(Batch({"optical": field}), 4).values["NDVI"][:, :, 0]
    red, nir = field.values[:, :, 2], field.values[:, :, 3]
    torch.testing.assert_close(got[..., 1:, :], ((nir - red) / (nir + red))[..., 1:, :])
    assert not got[..., 0, 0].any()


def test_hidden_groups_are_not_projected() -> None:
    groups = read_batch(Batch({"optical": optical()}), 4)
    assert list(groups.values) == ["S2_RGB", "S2_NIR_10m", "S2_SWIR", "NDVI"]


def test_all_inputs_reach_the_features() -> None:
    fields = {
        "optical": optical(h=8, w=8, t=2),
        "sar": Field(torch.full((1, 2, 2, 8, 8), -12.0), ("vv", "vh")),
        "terrain": Field(torch.full((1, 1, 2, 8, 8), 300.0), ("elevation", "slope")),
        "era5": Field(torch.full((1, 2, 2, 1, 1), 280.0), ("2m_temperature", "total_precipitation")),
    }
    with torch.no_grad():
        full = galileo()(Batch(fields)).maps[-1]
        for name in fields:
            less = galileo()(Batch({n: f for n, f in fields.items() if n != name})).maps[-1]
            assert (full - less).abs().max() > 1e-4, f"{name} changes nothing"


def test_months_follow_the_dates_and_default_to_june() -> None:
    dates = [datetime(2020, 1, 31, tzinfo=UTC), datetime(1969, 12, 1, tzinfo=UTC)]
    times = torch.tensor([[d.timestamp() for d in dates] + [float("nan")]], dtype=torch.float64)
    field = replace(optical(t=3), times=times)
    assert read_batch(Batch({"optical": field}), 4).months.tolist() == [[0, 11, 5]]
    assert read_batch(Batch({"optical": optical()}), 4).months.tolist() == [[5]]
    july = replace(optical(), times=torch.tensor([[datetime(2021, 7, 1, tzinfo=UTC).timestamp()]]))
    assert not torch.equal(last(galileo(), july), last(galileo(), optical()))


def test_the_resolution_told_is_the_configured_one_or_the_inputs_own() -> None:
    landsat = replace(optical(), grid=ProjectedGrid(30.0))
    assert torch.equal(last(galileo(), landsat), last(galileo(), optical()))
    assert torch.equal(last(galileo(resolution=0), landsat), last(galileo(resolution=30), optical()))
    assert not torch.equal(last(galileo(resolution=0), landsat), last(galileo(), optical()))


def test_each_sample_is_told_its_own_resolution_and_the_usual_one_where_it_is_unknown() -> None:
    field = optical(b=3)
    told = torch.tensor([30.0, 12.5, float("nan")])
    together = last(galileo(resolution=0), replace(field, grid=ProjectedGrid(told)))
    for n, metres in enumerate((30.0, 12.5, 10.0)):
        alone = last(galileo(resolution=metres), replace(field, values=field.values[n : n + 1]))
        torch.testing.assert_close(together[n : n + 1], alone, atol=1e-5, rtol=1e-4)
    assert torch.equal(last(galileo(), replace(field, grid=ProjectedGrid(told))), last(galileo(), field))


def test_location_is_told_only_when_asked() -> None:
    here = replace(optical(), grid=ProjectedGrid(10.0, torch.tensor([[0.0, 90.0]])))
    assert torch.equal(last(galileo(), here), last(galileo(), optical()))
    groups = read_batch(Batch({"optical": here}), 4, location=True)
    torch.testing.assert_close(groups.values["location"], torch.tensor([[0.0, 1.0, 0.0]]), atol=1e-6, rtol=0)
    assert not torch.equal(last(galileo(location=True), here), last(galileo(), here))


@pytest.mark.parametrize("patch", [1, 2, 3, 8])
def test_patch_size_is_chosen_at_run_time(patch: int) -> None:
    maps = last(galileo(patch=patch), optical(h=24, w=24))
    assert maps.shape[-2:] == (24 // patch, 24 // patch)


@pytest.mark.parametrize(
    ("inputs", "words"),
    [
        ({"optical": optical(h=18)}, "18 × 16 px is no multiple of the patch size 4 px"),
        ({"terrain": optical()}, "needs 'optical' or 'sar'"),
        ({"optical": optical(channels=("blue", "swir16"))}, "no channel group is complete"),
        (
            {"optical": optical(t=2), "sar": Field(torch.zeros(1, 3, 2, 16, 16), ("vv", "vh"))},
            "3 dates, expected 1 of 2",
        ),
        ({"optical": optical(), "sar": Field(torch.zeros(1, 1, 2, 8, 8), ("vv", "vh"))}, "expected (16, 16)"),
        ({"optical": optical(t=25, h=4, w=4)}, "takes up to 24"),
    ],
)
def test_what_does_not_fit_is_named(inputs: dict[str, Field], words: str) -> None:
    with pytest.raises(GeoadaptError) as caught:
        galileo()(Batch(inputs))
    assert words in str(caught.value)


def test_an_unknown_size_gets_the_nearest_name() -> None:
    with pytest.raises(GeoadaptError, match="galileo_tiny"):
        build(GalileoConfig(name="galileo_tine"))


def test_random_weights_follow_the_seed_and_say_so() -> None:
    one, same, other = (build(GalileoConfig(random_weights=True, seed=s)) for s in (1, 1, 2))
    assert one.source == same.source
    assert one.source is not None and other.source is not None
    assert one.source.sha256 != other.source.sha256
    assert "random" in one.source.file


def test_building_leaves_the_global_random_state_alone() -> None:
    torch.manual_seed(3)
    before = torch.get_rng_state()
    build(GalileoConfig(random_weights=True, seed=9))
    assert torch.equal(before, torch.get_rng_state())


def test_every_input_of_the_spec_names_a_groups_channels() -> None:
    spec = galileo().spec
    assert set(spec.inputs) == set(spec.units)
    for group in GROUPS.values():
        if group.source != "location" and group.channels != ("ndvi",):
            assert set(group.channels) <= set(spec.inputs[group.source])


def test_double_precision_input_is_read_too() -> None:
    field = optical()
    torch.testing.assert_close(last(galileo(), replace(field, values=field.values.double())), last(galileo(), field))


def test_bfloat16_stays_near_float32() -> None:
    field = optical(h=32, w=32)
    exact = last(galileo(), field)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rough = last(galileo(), field)
    assert ((rough.float() - exact).norm() / exact.norm()) < 0.03
