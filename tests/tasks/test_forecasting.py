"""Losses and scores of a forecast, against numpy."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from geoadapt.errors import GeoadaptError
from geoadapt.fields.types import Batch, Field, LatLonGrid
from geoadapt.tasks.config import ForecastingConfig
from geoadapt.tasks.forecasting import Forecasting, build, cosines

NAMES = ("mean_sea_level_pressure", "temperature@850")
SCALE = np.array([300.0, 2.0])
LATITUDE = np.array([80.0, 60.0, 10.0])
COS = np.cos(np.deg2rad(LATITUDE))[:, None]


def task(**config: object) -> Forecasting:
    return build(ForecastingConfig(**config), NAMES, torch.tensor(SCALE), 21600.0)  # type: ignore[arg-type]


def case(steps: int = 3, samples: int = 4, holes: bool = False, seed: int = 0) -> tuple[torch.Tensor, Batch]:
    rng = np.random.default_rng(seed)
    shape = (samples, steps, 2, 3, 5)
    target, said = (rng.normal(size=shape) * SCALE[:, None, None] for _ in range(2))
    valid = rng.random(shape) > 0.2 if holes else None
    if valid is not None:
        target = np.where(valid, target, 0.0)
    grid = LatLonGrid(torch.tensor(LATITUDE), torch.arange(5.0))
    given = Field(torch.tensor(target, dtype=torch.float32), NAMES, None if valid is None else torch.tensor(valid))
    return torch.tensor(said, dtype=torch.float32), Batch({}, replace(given, grid=grid))


def parts(said: torch.Tensor, batch: Batch) -> tuple[np.ndarray, np.ndarray]:
    """Errors in usual changes, and the weight of each (b, n, c, h, w)."""
    assert batch.target is not None
    off = (said - batch.target.values).double().numpy() / SCALE[:, None, None]
    valid = np.ones(off.shape) if batch.target.valid is None else batch.target.valid.double().numpy()
    return off, COS * valid


@pytest.mark.parametrize("holes", [False, True], ids=["whole", "holes"])
@pytest.mark.parametrize("kind", ["mse", "mae"])
@pytest.mark.parametrize("weights", [{}, {"temperature@850": 3.0}], ids=["alike", "weighted"])
def test_the_loss_is_the_mean_error_by_area_and_channel(kind: str, weights: dict[str, float], holes: bool) -> None:
    said, batch = case(holes=holes)
    off, weight = parts(said, batch)
    weight = weight * np.array([1.0, weights.get(NAMES[1], 1.0)])[:, None, None]
    error = off**2 if kind == "mse" else np.abs(off)
    expected = (error * weight).sum() / weight.sum()
    assert float(task(loss=kind, weights=weights).loss(said, batch)) == pytest.approx(expected, rel=1e-5)


def test_a_channel_that_weighs_nothing_has_no_gradient_and_what_is_missing_none_either() -> None:
    said, batch = case(holes=True)
    assert batch.target is not None and batch.target.valid is not None
    said = torch.where(batch.target.valid, said, torch.nan).requires_grad_()
    loss = task(weights={NAMES[1]: 0.0}).loss(said, batch)
    assert bool(loss.isfinite())
    loss.backward()  # type: ignore[no-untyped-call]
    assert said.grad is not None
    gradient = torch.where(batch.target.valid, said.grad, 0.0)
    assert gradient[:, :, 0].abs().sum() > 0 and (gradient[:, :, 1] == 0).all()


def test_scores_are_rmse_by_channel_and_lead_in_si_units_over_all_batches() -> None:
    one, two = case(seed=0, holes=True), case(seed=1, samples=2, holes=True)
    tally = task(weights={NAMES[1]: 3.0}).tally()
    squares, weights = np.zeros((3, 2)), np.zeros((3, 2))
    for said, batch in (one, two):
        tally.add(said, batch)
        off, weight = parts(said, batch)
        squares += (off**2 * weight).sum((0, 3, 4))
        weights += (np.ones(off.shape) * weight).sum((0, 3, 4))
    rmse = np.sqrt(squares / weights) * SCALE
    found = tally.scores()
    for lead, hours in enumerate((6, 12, 18)):
        for c, name in enumerate(NAMES):
            assert found[f"rmse/{name}/{hours}h"] == pytest.approx(rmse[lead, c], rel=1e-5)
    assert len(found) == 7
    share = np.array([0.25, 0.75])
    geometric = np.exp((np.log(rmse / SCALE) * share).sum(1).mean())
    assert found["error"] == pytest.approx(geometric, rel=1e-5), "all leads count alike, channels by their weights"


def test_batches_of_other_lengths_and_processes_add_up() -> None:
    """What is summed has the same length however many leads a batch has."""
    (said, batch), (short, early) = case(3), case(1, seed=1)
    both, first, second = (task().tally() for _ in range(3))
    for tally in (both, first):
        tally.add(said, batch)
    for tally in (both, second):
        tally.add(short, early)
    assert first.sums.shape == second.sums.shape == task().tally().sums.shape
    second.sums = second.sums + first.sums
    assert second.scores() == both.scores()
    assert set(second.scores()) == {"error", *(f"rmse/{n}/{h}h" for n in NAMES for h in (6, 12, 18))}


def test_a_validation_reaches_as_many_steps_as_the_longest_lead_has() -> None:
    said, batch = case(20)
    tally = task(leads=(24, 120)).tally()
    tally.add(said, batch)
    assert {f"rmse/{NAMES[0]}/{hours}h" for hours in (6, 24, 120)} < set(tally.scores())
    hourly = build(ForecastingConfig(leads=(120,)), NAMES, torch.tensor(SCALE), 3600.0).tally()
    hourly.add(*case(120, samples=1))
    assert len(hourly.scores()) == 1 + 120 * len(NAMES)


def test_a_lead_at_which_nothing_is_known_is_left_out_and_the_others_keep_their_names() -> None:
    said, batch = case(3)
    assert batch.target is not None
    valid = torch.ones_like(said, dtype=torch.bool)
    valid[:, 1] = False
    tally = task().tally()
    tally.add(said, replace(batch, target=replace(batch.target, valid=valid)))
    whole = task().tally()
    whole.add(said, batch)
    found, expected = tally.scores(), whole.scores()
    assert {key for key in expected if key not in found} == {f"rmse/{n}/12h" for n in NAMES}
    assert found[f"rmse/{NAMES[0]}/18h"] == pytest.approx(expected[f"rmse/{NAMES[0]}/18h"])


def test_what_cannot_be_weighed_is_refused() -> None:
    with pytest.raises(GeoadaptError, match=r"task\.weights\.temperature@800: is no channel of the data; .*850"):
        task(weights={"temperature@800": 1.0})
    with pytest.raises(GeoadaptError, match=r"task\.weights: nothing is weighed"):
        task(weights=dict.fromkeys(NAMES, 0.0))
    with pytest.raises(GeoadaptError, match="has no target; ask for steps ahead"):
        task().loss(case()[0], Batch({}))
    with pytest.raises(GeoadaptError, match="batch: looks 65 steps ahead; task.leads reach 20"):
        task().tally().add(*case(65, 1))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        *(("leads", v) for v in ((), (24, 6), (0,))),
        *(("rollout", v) for v in ((), (3, 1))),
        *(("frames", v) for v in (0,)),
        *(("output", v) for v in ("increments",)),
        *(("loss", v) for v in ("rmse",)),
        *(("through", v) for v in ("none",)),
        *(("anomalies", v) for v in ("day",)),
    ],
)
def test_settings_that_cannot_be_are_refused(key: str, value: object) -> None:
    with pytest.raises(GeoadaptError, match=rf"task\.{key}"):
        ForecastingConfig(**{key: value})  # type: ignore[arg-type]


def test_poles_weigh_nothing_and_all_rows_one_on_average() -> None:
    like = torch.zeros(1, 1, 1, 5, 8)
    weights = cosines(LatLonGrid(torch.linspace(90, -90, 5), torch.arange(8.0)), like)
    assert weights.shape == (5, 1) and float(weights.mean()) == pytest.approx(1)
    assert float(weights[0]) == pytest.approx(0, abs=1e-6) and bool((weights >= 0).all())
    assert cosines(None, like).tolist() == [[1.0]] * 5
