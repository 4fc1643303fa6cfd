"""How many steps a control is given, by a clock that the models themselves move: no test here depends on a machine."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from geoadapt.config import JobConfig, RuntimeConfig, job_from_plain
from geoadapt.fields.history import forecast_batch
from geoadapt.fields.loaders import Loaders
from geoadapt.fields.types import Batch, Field
from geoadapt.training import timing
from geoadapt.training.feeding import MakeLoaders
from geoadapt.training.forecast_setting import schedule
from geoadapt.training.timing import matching_steps
from tests.waves import TINY_WX, autumns

HISTORY = autumns()
STEPS = 40


class Machine:
    """Time passes by what is computed, and the slower the more else is running."""

    def __init__(self, load: float = 1.0) -> None:
        self.now, self.load, self.taken = 0.0, load, 0

    def work(self, seconds: float) -> None:
        self.now += seconds * self.load ** (self.taken // 2)
        self.taken += 1


class Costly(nn.Module):
    """Costs ``fixed`` a step, and ``each`` for every date that it forecasts; keeps count in a buffer."""

    def __init__(self, machine: Machine, fixed: float, each: float = 0.0) -> None:
        super().__init__()
        self.machine, self.costs = machine, (fixed, each)
        self.weight = nn.Parameter(torch.ones(1))
        self.norm = nn.BatchNorm2d(1)

    def forward(self, batch: Batch) -> Tensor:
        assert self.training and batch.target is not None
        fixed, each = self.costs
        self.machine.work(fixed + each * batch.target.values.shape[1])
        return torch.as_tensor(self.weight * self.norm(batch.target.values[:, 0]).sum())


class Sum:
    """A task whose loss is what the module gives."""

    def loss(self, output: Tensor, batch: Batch) -> Tensor:
        return output


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    """Whose load grows by a half each time that both models took a step."""
    made = Machine(1.5)
    monkeypatch.setattr(time, "process_time", lambda: made.now)
    monkeypatch.setattr(timing, "same_on_all", lambda value: value)
    return made


def job(**train: Any) -> JobConfig:
    return job_from_plain(
        {
            "backbone": {"name": "small_wx", **TINY_WX},
            "adapter": {"name": "lora", "r": 2},
            "head": {"name": "linear"},
            "task": {"name": "forecasting", "frames": 1, "leads": [24]},
            "data": {"name": "weather", "path": "slp.nc", "test_years": [2003]},
            "train": {"steps": STEPS, "batch": 2, "val_every": 10, "workers": 3, **train},
            "runtime": {"device": "cpu", "threads": 1, "precision": "fp32"},
        }
    )


def growing(*rollout: int) -> Any:
    """Loaders of a fit that looks ever further ahead."""

    def loaders(job: JobConfig) -> MakeLoaders:
        assert job.train.workers == 0, "workers would compute beside what is timed"
        ahead = schedule(rollout, job.train.steps)

        def from_step(start: int) -> Loaders:
            batches = (forecast_batch(HISTORY, [5, 9], 1, ahead(step)) for step in range(start, job.train.steps))
            return Loaders(batches, [])  # type: ignore[arg-type]

        return from_step

    return loaders


def steps(control: Costly, adapted: Costly, rollout: tuple[int, ...] = (1,), **more: Any) -> int:
    told = {"taken": STEPS, "most": 100, "parts": len(rollout), **more}
    return matching_steps(control, adapted, Sum(), job(), growing(*rollout), **told)  # type: ignore[arg-type]


def test_the_load_of_the_machine_does_not_decide_the_steps(machine: Machine) -> None:
    assert steps(Costly(machine, 1.0), Costly(machine, 3.0)) == 3 * STEPS
    assert machine.load ** (machine.taken // 2) > 5, "the load was the same all the time"


def test_every_part_of_a_growing_roll_out_counts(machine: Machine) -> None:
    machine.load = 1.0
    adapted, control = Costly(machine, 0.0, each=2.0), Costly(machine, 1.0)
    assert steps(control, adapted, (1,)) == 2 * STEPS
    assert steps(control, adapted, (1, 2)) == 3 * STEPS
    assert steps(control, adapted, (1, 2, 3)) == 4 * STEPS


@pytest.mark.parametrize(
    ("cost", "most", "expected"),
    [
        (1 / 8.1, 10, 320),  # 324 steps, of which the last 4 would be learned in vain
        (1 / 8.0, 4, 160),
        (20.0, 4, 2),  # no validation before the last step, and that is one
        (1000.0, 4, 1),
    ],
)
def test_steps_are_bounded_and_end_with_a_validation(machine: Machine, cost: float, most: int, expected: int) -> None:
    machine.load = 1.0
    assert steps(Costly(machine, cost), Costly(machine, 1.0), most=most) == expected


def test_a_fit_that_ended_early_gives_its_control_as_little_time(machine: Machine) -> None:
    assert steps(Costly(machine, 1.0), Costly(machine, 2.0), taken=10) == 20


def test_timing_leaves_a_model_as_it_was(machine: Machine) -> None:
    control, adapted = Costly(machine, 1.0), Costly(machine, 1.0).eval()
    before = {name: value.clone() for name, value in control.state_dict().items()}
    steps(control, adapted)
    assert all(torch.equal(before[name], value) for name, value in control.state_dict().items())
    assert control.training and not adapted.training
    assert all(p.grad is None for p in (*control.parameters(), *adapted.parameters()))


def test_every_process_takes_the_steps_of_the_first(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timing, "same_on_all", lambda value: 7)
    assert steps(Costly(machine, 1.0), Costly(machine, 2.0)) == 7


def test_seconds_per_step_are_those_of_the_clock_on_the_wall(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    machine.load = 1.0
    monkeypatch.setattr(time, "perf_counter", lambda: machine.now)
    one = replace(job().train, steps=3)
    made = growing(2)(replace(job(), train=replace(one, workers=0)))
    found = timing.seconds_per_step(Costly(machine, 1.0, 0.5), Sum(), None, one, job().runtime, 0, made)  # type: ignore[arg-type]
    assert found == pytest.approx(2.0)


def test_the_ground_that_is_read_counts_once_whatever_its_dates(monkeypatch: pytest.MonkeyPatch) -> None:
    class Reader(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.ones(1))

        def forward(self, batch: Batch) -> Tensor:
            assert not torch.is_grad_enabled()
            machine.work(2.0)
            return self.weight

    machine = Machine()
    monkeypatch.setattr(timing.time, "process_time", lambda: machine.now)
    batch = Batch({"optical": Field(torch.zeros(4, 6, 3, 50, 100), ("red", "green", "blue"))})
    speed = timing.megapixels_per_second(Reader(), batch, RuntimeConfig(precision="fp32"))
    assert speed == pytest.approx(4 * 50 * 100 / 1e6 / 2)
