"""small_wx takes any channels on any grid; what is missing has no say, and what it is told of place and date has."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from geoadapt.adapters.attach import attach, probe
from geoadapt.adapters.config import LoraConfig
from geoadapt.backbones.config import SmallWxConfig
from geoadapt.backbones.small_wx import SmallWx, build
from geoadapt.backbones.small_wx_names import channel_codes
from geoadapt.bundle.forecaster import forecast_inputs
from geoadapt.errors import GeoadaptError
from geoadapt.fields.types import Batch, Field, LatLonGrid, ProjectedGrid
from geoadapt.heads.config import LinearConfig
from geoadapt.heads.linear import build as build_head
from geoadapt.training.pretrain import save_half
from tests.waves import TINY_WX, tiny_wx

NAMES = ("mean_sea_level_pressure", "temperature@850", "geopotential@500", "total_column_water_vapour")


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def grid(height: int, width: int, globe: bool = False) -> LatLonGrid:
    latitude = torch.linspace(80, -80, height) if globe else torch.linspace(60, 40, height)
    return LatLonGrid(latitude, torch.arange(width) * (360 / width if globe else 2.5))


def batch(height: int = 6, width: int = 9, *, times: int = 2, globe: bool = False, count: int = 2) -> Batch:
    when = (20000 + torch.arange(times))[None] * 86400 + torch.arange(count)[:, None] * 864000
    field = Field(drawn(count, times, len(NAMES), height, width), NAMES, None, when, grid(height, width, globe))
    return Batch({"atmosphere": field}, lead_time=torch.full((count,), 86400.0))


def features(model: SmallWx, given: Batch) -> Tensor:
    with torch.no_grad():
        out: Tensor = model(given).maps[-1]
    return out


def changed(given: Batch, **changes: Any) -> Batch:
    return replace(given, inputs={**given.inputs, "atmosphere": replace(given.inputs["atmosphere"], **changes)})


def test_the_order_of_the_channels_does_not_matter() -> None:
    model, given = build(tiny_wx()), batch()
    order = (2, 0, 3, 1)
    turned = changed(
        given,
        values=given.inputs["atmosphere"].values[:, :, order],
        channels=tuple(NAMES[i] for i in order),
    )
    torch.testing.assert_close(features(model, turned), features(model, given), atol=1e-5, rtol=1e-5)
    renamed = changed(given, channels=tuple(NAMES[i] for i in order))
    assert not torch.allclose(features(model, renamed), features(model, given), atol=1e-2)


def test_names_and_levels_it_never_saw_have_codes_of_their_own() -> None:
    names = ("brightness_of_things", "things_of_brightness@37.5", "temperature@850", "temperature@70", "temperature")
    codes = channel_codes(names, torch.device("cpu"))
    assert codes.isfinite().all() and codes.shape[0] == len(names)
    assert len({tuple(code.tolist()) for code in codes}) == len(names)
    model = build(tiny_wx())
    kernels = model.readout_kernels(names)
    assert kernels.shape == (5, 16) and torch.pdist(kernels).min() > 1e-3


@pytest.mark.parametrize("patch", [1, 2])
def test_what_is_missing_has_no_influence_but_that_it_is_missing(patch: int) -> None:
    model, given = build(tiny_wx(patch_size=patch)), batch()
    field = given.inputs["atmosphere"]
    valid = drawn(*field.values.shape, seed=1) > 0
    seen = [
        features(model, changed(given, values=torch.where(valid, field.values, fill), valid=valid))
        for fill in (0.0, -30.0, 1e6)
    ]
    assert torch.equal(seen[0], seen[1]) and torch.equal(seen[0], seen[2])
    as_zero = changed(given, values=torch.where(valid, field.values, 0.0))
    assert not torch.allclose(seen[0], features(model, as_zero), atol=1e-3)


@pytest.mark.parametrize(("patch", "size"), [(2, (7, 9)), (3, (7, 11)), (4, (9, 4))])
def test_odd_sides_are_rounded_up_and_the_head_gives_the_inputs_grid(patch: int, size: tuple[int, int]) -> None:
    """721 rows under patches of 2 are 361 tokens, whose pixels beyond the last row are dropped: nothing is resized."""
    model, given = build(tiny_wx(patch_size=patch)), batch(*size)
    seen = features(model, given)
    assert seen.shape == (2, 1, 16, -(-size[0] // patch), -(-size[1] // patch))
    head = build_head(LinearConfig(), model.spec, forecast_inputs(NAMES))
    with torch.no_grad():
        out = head(model(given), given)
        pixels = head.shuffle(head.project(seen[:, 0]))
    assert out.shape == (2, 1, len(NAMES), *size)
    assert torch.equal(out[:, 0], pixels[..., : size[0], : size[1]])


def test_the_last_patch_of_an_odd_side_is_the_mean_of_what_there_is() -> None:
    model, given = build(tiny_wx(patch_size=2)), batch(5, 7)
    values = given.inputs["atmosphere"].values
    pooled = model._pooled(values)
    torch.testing.assert_close(pooled[..., 2, 3], values[..., 4, 6])
    torch.testing.assert_close(pooled[..., 0, 3], values[..., 0:2, 6].mean(-1))
    torch.testing.assert_close(pooled[..., 1, 1], values[..., 2:4, 2:4].mean((-2, -1)))


@pytest.mark.parametrize("globe", [True, False], ids=["globe", "region"])
def test_a_globe_has_no_seam_and_a_region_has_edges(globe: bool) -> None:
    model, given = build(tiny_wx()), batch(6, 12, globe=globe)
    field = given.inputs["atmosphere"]
    assert isinstance(field.grid, LatLonGrid)
    east = field.grid.longitude
    along = torch.cat([east[1:], east[:1] + 12 * (east[1] - east[0])])
    rolled = changed(given, values=field.values.roll(-1, -1), grid=LatLonGrid(field.grid.latitude, along))
    same = torch.allclose(features(model, rolled), features(model, given).roll(-1, -1), atol=1e-4)
    assert same == globe


def test_on_a_globe_both_ends_of_a_row_are_neighbours() -> None:
    """Attention aside, a change in the last column is seen in the first one by the convolutions of a globe alone."""
    reached = {}
    for globe in (True, False):
        model, given = build(tiny_wx(depth=1)), batch(6, 12, globe=globe)
        values = given.inputs["atmosphere"].values.clone()
        values[..., -1] += 1e-2
        moved = features(model, changed(given, values=values)) - features(model, given)
        reached[globe] = moved.abs().amax((0, 1, 2, 3))
    # the norms are over the whole map, so that everything moves a little
    assert reached[True][0] > 4 * reached[True][4:8].max()
    assert reached[False][0] < 2 * reached[False][4:8].max()
    assert min(reached[globe][-1] / reached[globe][4:8].max() for globe in (True, False)) > 4


def test_static_fields_lead_date_and_place_change_what_is_seen() -> None:
    model, given = build(tiny_wx()), batch()
    plain = features(model, given)
    field = given.inputs["atmosphere"]
    assert field.times is not None and isinstance(field.grid, LatLonGrid)
    static = Field(drawn(2, 1, 1, 6, 9), ("land_sea_mask",), grid=field.grid)
    others = {
        "static": replace(given, inputs={**given.inputs, "static": static}),
        "lead": replace(given, lead_time=torch.full((2,), 3 * 86400.0)),
        "season": changed(given, times=field.times + 90 * 86400),
        "hour": changed(given, times=field.times + 6 * 3600),
        "place": changed(given, grid=LatLonGrid(field.grid.latitude - 20, field.grid.longitude)),
    }
    for what, other in others.items():
        assert not torch.allclose(features(model, other), plain, atol=1e-3), what
    assert features(model, replace(given, lead_time=None)).isfinite().all()


def test_older_states_enter_by_their_age() -> None:
    model, given = build(tiny_wx()), batch()
    field = given.inputs["atmosphere"]
    assert field.times is not None
    apart = field.times.clone()
    apart[:, 0] -= 86400
    assert not torch.allclose(features(model, changed(given, times=apart)), features(model, given), atol=1e-3)
    apart[1, 0] += 86400
    with pytest.raises(GeoadaptError, match="samples whose dates lie differently far apart"):
        features(model, changed(given, times=apart))


def test_samples_do_not_see_each_other() -> None:
    model, given = build(tiny_wx()), batch()
    field = given.inputs["atmosphere"]
    assert field.times is not None and given.lead_time is not None
    alone = Batch(
        {"atmosphere": replace(field, values=field.values[1:], times=field.times[1:])}, lead_time=given.lead_time[1:]
    )
    torch.testing.assert_close(features(model, alone), features(model, given)[1:], atol=1e-5, rtol=1e-5)


def test_a_map_projection_is_refused() -> None:
    with pytest.raises(GeoadaptError, match="small_wx needs latitude and longitude"):
        features(build(tiny_wx()), changed(batch(), grid=ProjectedGrid(10.0)))


def test_random_twins_are_those_of_their_seed() -> None:
    state = torch.random.get_rng_state()
    one, again, other = (build(tiny_wx(seed=seed)) for seed in (3, 3, 4))
    assert torch.equal(torch.random.get_rng_state(), state)
    assert torch.equal(features(one, batch()), features(again, batch()))
    assert not torch.allclose(features(one, batch()), features(other, batch()), atol=1e-3)
    assert one.source.sha256 == again.source.sha256 != other.source.sha256
    assert not any(p.requires_grad for p in one.parameters()) and not one.training


@pytest.mark.parametrize("group", ["attention", "conv"])
def test_lora_reaches_the_output_through_every_group(group: str) -> None:
    model = build(tiny_wx())
    before = features(model, batch())
    attached = attach(model, LoraConfig(r=2, targets=(group,)))
    probe(attached, batch())
    assert torch.equal(features(model, batch()), before), "it starts without effect"
    modules = {"attention": 2, "conv": 2}
    assert len(attached.modules()) == modules[group]
    with torch.no_grad():
        for parameter in attached.parameters():
            parameter.add_(0.05)
    adapted = features(model, batch())
    assert not torch.allclose(adapted, before, atol=1e-3)
    attached.merge()
    torch.testing.assert_close(features(model, batch()), adapted, atol=1e-4, rtol=1e-4)


def test_weights_come_back_from_half_precision(tmp_path: Path) -> None:
    model = build(tiny_wx(seed=5))
    file = save_half(model.state_dict(), tmp_path / "small_wx" / "small_wx.safetensors")
    plain = {**TINY_WX, "random_weights": False}
    for where in (file, file.parent):
        back = build(SmallWxConfig(**plain, weights=str(where)))
        for name, value in model.state_dict().items():
            assert torch.equal(back.state_dict()[name], value.half().float()), name
        torch.testing.assert_close(features(back, batch()), features(model, batch()), atol=2e-2, rtol=2e-2)
        assert back.source.sha256 and back.source.licence == "Apache-2.0"
    with pytest.raises(GeoadaptError, match="wrong shapes .*these are the weights of something else"):
        build(SmallWxConfig(**{**plain, "width": 32}, weights=str(file)))


def test_absent_weights_are_an_error_with_the_places_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(GeoadaptError, match=r"no weights of small_wx here; .*small_wx\.safetensors"):
        build(SmallWxConfig(weights=str(tmp_path)))
    monkeypatch.setenv("GEOADAPT_WEIGHTS", str(tmp_path))
    monkeypatch.setattr("geoadapt.backbones.weights._weight_folders", lambda: [tmp_path])
    with pytest.raises(GeoadaptError, match="small_wx: no weights found; looked in .*"):
        build(SmallWxConfig())


def test_drop_path_drops_whole_samples_and_only_in_training() -> None:
    model, given = build(tiny_wx(drop_path=0.5)), batch(count=2)
    still = features(model, given)
    assert torch.equal(features(model, given), still)
    model.train()
    torch.manual_seed(0)
    seen = torch.stack([features(model, given) for _ in range(6)])
    assert len({round(float(x), 4) for x in seen.abs().sum((1, 2, 3, 4, 5))}) > 1


@pytest.mark.parametrize(
    ("key", "value"), [("heads", 3), ("heads", 5), ("width", 0), ("drop_path", 1.0), ("kernel", 4)]
)
def test_sizes_that_cannot_be_are_refused(key: str, value: float) -> None:
    with pytest.raises(GeoadaptError, match=rf"backbone\.{'heads' if key == 'heads' else key}"):
        tiny_wx(**{key: value})


def test_half_precision_stays_near(tmp_path: Path) -> None:
    model, given = build(tiny_wx()), batch()
    plain = features(model, given)
    with torch.autocast("cpu", torch.bfloat16):
        half = features(model, given).float()
    assert np.corrcoef(plain.flatten(), half.flatten())[0, 1] > 0.99


def test_a_mirrored_world_has_mirrored_weather() -> None:
    """Rows the other way round, the other hemisphere, half a year later, and what blew north blows south."""
    model = build(tiny_wx())
    names = ("mean_sea_level_pressure", "v_component_of_wind@500")
    values, when = drawn(2, 2, 2, 6, 9), (20000 + torch.arange(2))[None].expand(2, 2) * 86400
    north = Batch({"atmosphere": Field(values, names, None, when, grid(6, 9))}, lead_time=torch.full((2,), 86400.0))
    turned = values.flip(-2) * torch.tensor([1.0, -1.0])[:, None, None]
    over = LatLonGrid(-torch.linspace(60, 40, 6).flip(0), torch.arange(9) * 2.5)
    south = changed(north, values=turned, grid=over, times=when - round(365.2425 * 43200))
    torch.testing.assert_close(features(model, south), features(model, north).flip(-2), atol=1e-4, rtol=1e-4)
    as_it_was = changed(south, values=values.flip(-2))
    assert not torch.allclose(features(model, as_it_was), features(model, south), atol=1e-3)
