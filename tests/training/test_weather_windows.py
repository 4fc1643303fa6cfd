"""What a weather backbone is pre-trained on: windows that depend on seed and number, and targets that are honest."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from geoadapt.fields.history import History
from geoadapt.fields.types import Batch, Field, LatLonGrid
from geoadapt.standard import Standard, fit_standard
from geoadapt.tasks.weather_pretraining import WeatherPretraining
from geoadapt.training.weather_windows import WindowBatches
from geoadapt.training.window_archives import Archive, make_archive, standardised
from tests.waves import CHANNELS, made


def every(history: History) -> np.ndarray:
    return np.ones(len(history.times), bool)


def archive(history: History, leads: tuple[int, ...] = (1, 3), share: float = 1.0, frames: int = 3) -> Archive:
    held = standardised(history, standard(history))
    return make_archive(history, held, every(history), leads, share, frames)


def standard(history: History) -> Standard:
    return fit_standard(history, every(history))


GLOBE = replace(made(500, CHANNELS, 12, 24, globe=True), name="globe")
REGION = made(500, seed=5)
BOTH = (archive(GLOBE, share=3.0), archive(REGION))


def batches(*archives: Archive, count: int = 30, **more: object) -> WindowBatches:
    return WindowBatches(archives or BOTH, count, 4, more.pop("seed", 0), **{"window": (6, 8), **more})  # type: ignore[arg-type]


def given(batch: Batch) -> tuple[Field, Field]:
    assert batch.target is not None
    return batch.inputs["atmosphere"], batch.target


def same(one: Batch, other: Batch) -> bool:
    return one.where == other.where and all(
        torch.equal(a.values, b.values) for a, b in zip(given(one), given(other), strict=True)
    )


def test_batches_depend_on_the_seed_and_their_number() -> None:
    one, again, other = batches(), batches(), batches(seed=1)
    assert all(same(one[i], again[i]) for i in range(6))
    assert not any(same(one[i], other[i]) for i in range(6))


def test_archives_are_drawn_by_their_share_and_give_every_kind_of_batch() -> None:
    found = [batches()[i] for i in range(60)]
    names = [batch.where[0].scene for batch in found]
    assert 0.6 < names.count("globe") / 60 < 0.9
    assert {batch.where[0].shift for batch in found} == {"paint", "forecast"}
    fields = [given(batch)[0] for batch in found]
    assert {len(f.channels) for f in fields} == {1, 2} and {f.values.shape[1] for f in fields} == {1, 2, 3}
    sizes = {tuple(f.values.shape[-2:]) for f in fields}
    assert sizes == {(6, 8), (5, 8), (6, 24)}, "what is smaller is seen whole, and a globe all around at times"
    wide = [b for b in (replace(batches(), batch=16)[i] for i in range(30)) if given(b)[0].values.shape[-1] == 24]
    assert {len(given(b)[0].values) for b in wide} == {5}, "in batches of about the same cost"
    for batch in found:
        field, target = given(batch)
        assert field.values.isfinite().all() and target.values.isfinite().all()
        assert target.channels == field.channels and target.values.shape[1] == 1
        assert len({w.scene for w in batch.where}) == 1


def test_processes_share_every_batch() -> None:
    whole = batches()
    parts = [replace(whole, world=2, rank=rank) for rank in range(2)]
    for i in range(10):
        for rank, part in enumerate(parts):
            for all_, mine in zip(given(whole[i]), given(part[i]), strict=True):
                torch.testing.assert_close(all_.values[rank::2], mine.values, rtol=1e-4, atol=1e-5)


def test_only_what_is_hidden_is_to_be_painted() -> None:
    task = WeatherPretraining()
    for i in range(10):
        batch = batches(paint=1.0)[i]
        field, target = given(batch)
        assert field.valid is not None and target.valid is not None
        assert torch.equal(target.valid[:, 0], ~field.valid[:, -1])
        assert (field.values[~field.valid] == 0).all(), "what is hidden is not shown"
        assert torch.equal(field.valid.all(1), field.valid.any(1)), "and hidden at all dates"
        assert 0.1 < float(target.valid.float().mean()) < 0.9
        elsewhere = torch.where(target.valid, target.values, 1e3)
        assert float(task.loss(elsewhere, batch)) == 0
        assert float(task.loss(target.values + 1, batch)) == pytest.approx(1, rel=1e-5)
        assert batch.lead_time is not None and batch.lead_time.tolist() == [0.0] * 4


def test_a_forecast_is_the_change_since_the_last_state_in_usual_changes() -> None:
    one = BOTH[1]
    seen = set()
    for i in range(40):
        batch = batches(one, paint=0.0)[i]
        field, target = given(batch)
        assert batch.lead_time is not None and field.times is not None
        lead = round(float(batch.lead_time[0]) / 86400)
        seen.add(lead)
        for sample, where in enumerate(batch.where):
            now = REGION.states[np.array([where.row])]
            then = REGION.states[np.array([where.row + lead])]
            scaled = [
                standard(REGION)(torch.from_numpy(v), field.times[sample, -1:] + ahead)
                for v, ahead in ((now, 0), (then, lead * 86400))
            ]
            expected = (scaled[1] - scaled[0])[0] / one.changes[lead][:, None, None]
            torch.testing.assert_close(target.values[sample, 0], expected, rtol=2e-3, atol=2e-3)
            torch.testing.assert_close(field.values[sample, -1], scaled[0][0], rtol=2e-3, atol=2e-3)
        assert field.valid is None and target.valid is not None and target.valid.all()
    assert seen == {1, 3}
    assert one.changes[3] > one.changes[1], "the further ahead, the larger the usual change"


def test_a_window_across_the_seam_has_ascending_longitudes_and_its_own_values() -> None:
    crossed = 0
    one = archive(GLOBE)
    for i in range(30):
        batch = batches(one, paint=0.0)[i]
        field, _ = given(batch)
        assert isinstance(field.grid, LatLonGrid) and field.times is not None
        longitude = field.grid.longitude.numpy()
        np.testing.assert_allclose(np.diff(longitude), 15.0)
        crossed += bool(longitude.max() >= 360)
        columns = [int(np.flatnonzero(np.isclose(GLOBE.longitude, x % 360))[0]) for x in longitude]
        rows = [int(np.flatnonzero(np.isclose(GLOBE.latitude, x))[0]) for x in field.grid.latitude.numpy()]
        names = [CHANNELS.index(c) for c in field.channels]
        raw = torch.from_numpy(GLOBE.states[np.array([batch.where[0].row])])
        expected = standard(GLOBE)(raw, field.times[0, -1:])[0][names][:, rows][..., columns]
        torch.testing.assert_close(field.values[0, -1], expected, rtol=2e-3, atol=2e-3)
    assert crossed


def test_a_region_has_no_seam() -> None:
    for i in range(20):
        field, _ = given(batches(BOTH[1], window=(4, 4))[i])
        assert isinstance(field.grid, LatLonGrid) and float(field.grid.longitude.max()) <= 335


def test_a_single_state_is_painted_and_never_forecast() -> None:
    single = replace(GLOBE, states=np.asarray(GLOBE.states)[:1], times=GLOBE.times[:1], name="single", _place={})
    held = standardised(single, fit_standard(single, every(single), "channel", changes=False))
    one = make_archive(single, held, every(single), (), 1.0, 3)
    assert one.leads == () and one.frames == 1
    for i in range(4):
        batch = batches(one, paint=0.0)[i]
        assert batch.where[0].shift == "paint" and given(batch)[0].values.shape[1] == 1


def test_what_is_missing_is_neither_shown_nor_asked_for() -> None:
    states = np.asarray(REGION.states).copy()
    states[np.random.default_rng(0).random(states.shape) < 0.2] = np.nan
    holed = replace(REGION, states=states, _place={})
    one = archive(holed)
    for i in range(8):
        batch = batches(one)[i]
        field, target = given(batch)
        assert field.valid is not None and target.valid is not None
        known = np.isfinite(states[[w.row for w in batch.where], 0])
        assert not (field.valid[:, -1, 0].numpy() & ~known).any()
        assert not (target.valid[:, 0, 0].numpy() & ~known).any(), "a change from what is unknown is unknown"
        assert field.values.abs().max() < 8 and target.values.abs().max() < 12
