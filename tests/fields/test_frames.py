"""Which dates a backbone sees, and that folding them changes nothing but the axes."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from geoadapt.fields.features import Features
from geoadapt.fields.frames import (
    DAY,
    days_from_target,
    fold_dates,
    masked,
    nearest_dates,
    nearest_frames,
    radar_of,
    shown_frames,
    unfold_dates,
)
from geoadapt.fields.types import Batch, Field, ProjectedGrid

DAYS = (-60.0, -30.0, -5.0, 7.0, 50.0, 0.0)


def field(days: tuple[float, ...] = DAYS) -> Field:
    """Two samples, all valid but for the target's left half; the values of date t are t."""
    frames = len(days)
    values = torch.arange(float(frames))[None, :, None, None, None].expand(2, -1, 3, 8, 8).clone()
    valid = torch.ones_like(values, dtype=torch.bool)
    valid[:, -1, :, :, :4] = False
    times = (torch.tensor(days) * DAY + 1e9).long().expand(2, -1)
    grid = ProjectedGrid(torch.tensor([10.0, 30.0]), torch.tensor([[40.0, 5.0], [50.0, 6.0]]))
    return Field(values, ("red", "nir", "swir16"), valid, times, grid, ("sentinel2", None))


def shown(chosen: Field, sample: int = 0) -> list[int]:
    return [int(v) for v in chosen.values[sample, :, 0, 0, -1]]


def test_the_target_stays_last_and_the_nearest_come_by_date() -> None:
    given = field()
    assert shown(nearest_frames(given, 3)) == [2, 3, 5]
    assert shown(nearest_frames(given, 1)) == [5]
    assert nearest_frames(given, 6) is given and nearest_frames(given, 99) is given
    chosen = nearest_frames(given, 4)
    assert chosen.times is not None and given.times is not None
    assert torch.equal(chosen.times, given.times[:, shown(chosen)])


def test_a_date_that_shows_nothing_of_what_is_hidden_gives_way_to_one_farther_off() -> None:
    given = field()
    valid = given.valid.clone()  # type: ignore[union-attr]
    valid[0, 2, :, :, :4] = False
    valid[0, 3] = False
    chosen = nearest_frames(replace(given, valid=valid), 3)
    assert shown(chosen, 0) == [1, 4, 5] and shown(chosen, 1) == [2, 3, 5]


def test_a_target_that_shows_nothing_gives_way_where_that_is_wanted_and_no_other_does() -> None:
    given = field()
    valid = given.valid.clone()  # type: ignore[union-attr]
    valid[0, -1] = False
    blank = replace(given, valid=valid)
    assert shown(shown_frames(blank, 3), 0) == [1, 2, 3] and shown(shown_frames(blank, 3), 1) == [2, 3, 5]
    assert shown(nearest_frames(blank, 3), 0) == [2, 3, 5], "who has to paint it is shown it, blank as it is"
    assert shown_frames(blank, 6) is blank
    assert shown(shown_frames(replace(given, valid=None), 3)) == shown(nearest_frames(replace(given, valid=None), 3))


def test_days_are_counted_from_the_target_with_and_without_dates() -> None:
    given = field()
    assert days_from_target(given)[0].tolist() == pytest.approx(DAYS)
    assert days_from_target(replace(given, times=None))[1].tolist() == [-5, -4, -3, -2, -1, 0]


def test_folding_keeps_every_dates_own_values_dates_and_place() -> None:
    given = field()
    static = Field(torch.tensor([1.0, 2.0])[:, None, None, None, None].expand(-1, 1, 1, 8, 8), ("elevation",))
    folded = fold_dates(Batch({"optical": given, "terrain": static}))
    optical = folded.inputs["optical"]
    assert optical.values.shape == (12, 1, 3, 8, 8) and optical.times is not None and given.times is not None
    assert torch.equal(optical.values.reshape(2, 6, 3, 8, 8), given.values)
    assert torch.equal(optical.times.reshape(2, 6), given.times)
    assert optical.sensor == ("sentinel2",) * 6 + (None,) * 6
    assert isinstance(optical.grid, ProjectedGrid) and isinstance(optical.grid.resolution, torch.Tensor)
    assert optical.grid.resolution.tolist() == [10.0] * 6 + [30.0] * 6
    assert optical.grid.centre is not None and optical.grid.centre[:, 0].tolist() == [40.0] * 6 + [50.0] * 6
    assert folded.inputs["terrain"].values[:, 0, 0, 0, 0].tolist() == [1.0] * 6 + [2.0] * 6
    maps = torch.randn(2, 6, 4, 2, 2)
    back = unfold_dates(Features((maps.flatten(0, 1)[:, None],), (4,)), 6)
    assert torch.equal(back.maps[0], maps)


def test_the_radar_image_nearest_in_time_stands_beside_each_date_and_padding_never_does() -> None:
    optical = field((-60.0, -5.0, 0.0))
    values = torch.arange(1.0, 5.0)[None, :, None, None, None].expand(2, -1, 2, 8, 8)
    valid = torch.ones_like(values, dtype=torch.bool)
    valid[:, 0] = False
    times = (torch.tensor([-59.0, -59.0, -4.0, 30.0]) * DAY + 1e9).long().expand(2, -1)
    radar = Field(values, ("vv", "vh"), valid, times)
    found = radar_of(radar, optical)
    assert found is not None and found.valid is not None and found.valid.all()
    assert found.values[0, :, 0, 0, 0].tolist() == [2.0, 3.0, 3.0] and found.times is optical.times
    assert radar_of(replace(radar, times=None), optical) is None


def test_masking_hides_whatever_stood_where_nothing_is_valid() -> None:
    given = field()
    poisoned = replace(given, values=torch.where(given.valid, given.values, torch.nan))  # type: ignore[arg-type]
    assert torch.equal(masked(poisoned).values, torch.where(given.valid, given.values, 0.0))  # type: ignore[arg-type]
    assert masked(replace(given, valid=None)).values is given.values
    once = masked(poisoned)
    assert masked(once) is once, "what is masked is not copied"


def test_of_a_long_series_the_dates_nearest_in_time_are_looked_at() -> None:
    given = field()
    assert shown(nearest_dates(given, 3)) == [2, 3, 5] and shown(nearest_dates(given, 1)) == [5]
    assert nearest_dates(given, 0) is given and nearest_dates(given, 6) is given


def test_a_date_without_a_valid_pixel_is_looked_at_last() -> None:
    given = field()
    assert given.valid is not None
    valid = given.valid.clone()
    valid[0, 2] = False
    chosen = nearest_dates(replace(given, valid=valid), 3)
    assert shown(chosen, 0) == [1, 3, 5] and shown(chosen, 1) == [2, 3, 5]
