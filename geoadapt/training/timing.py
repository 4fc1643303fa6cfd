"""What a step costs: of training in seconds and beside another model's, of inference in pixels.

In: modules, the batches of a fit and its precision. Out: seconds per step [s]; steps that take as long as another fit;
megapixels per second.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import islice

import numpy as np
import torch
from torch import nn

from geoadapt.config import JobConfig, RuntimeConfig, TrainConfig
from geoadapt.fields.scenes import Dataset
from geoadapt.fields.types import Batch
from geoadapt.tasks.base import Task
from geoadapt.tasks.processes import same_on_all
from geoadapt.training.feeding import MakeLoaders, draw, fed
from geoadapt.training.precision import chosen_precision

__all__ = ["matching_steps", "megapixels_per_second", "seconds_per_step"]

log = logging.getLogger(__name__)
ROUNDS = 5
"""How often two models take turns; once more before, which is not counted."""

Clock = Callable[[], float]


def seconds_per_step(
    module: nn.Module,
    task: Task,
    data: Dataset | None,
    config: TrainConfig,
    runtime: RuntimeConfig,
    seed: int,
    loaders: MakeLoaders | None = None,
) -> float:
    """Median seconds of a few training steps that leave the module as it was, in the precision of a fit [s]."""
    batches = fed(data, config, seed, 1, loaders)(0).train
    step = _Stepper(task, config, runtime, seed, next(module.parameters()).device, time.perf_counter)
    with _untouched(module):
        taken = [step(module, batch, index) for index, batch in enumerate(islice(batches, 4))]
    return same_on_all(float(np.median(taken[1:] or taken)))


def matching_steps(
    control: nn.Module,
    adapted: nn.Module,
    task: Task,
    job: JobConfig,
    loaders: Callable[[JobConfig], MakeLoaders],
    *,
    taken: int,
    most: int,
    parts: int = 1,
) -> int:
    """Steps of ``control`` that cost what the ``taken`` steps of ``adapted`` did, at most ``most`` times as many.

    Both take turns on the same batches, in the precision of a fit, so that what else the machine does is the same for
    both; on a CPU what is counted is the time that this process computed. The batches are of each of the ``parts`` of
    the fit whose steps differ, such as those of a roll-out that grows. Steps beyond one validation are rounded to whole
    ones: what is learned after the last one cannot be chosen. The same on all processes.
    """
    device = next(control.parameters()).device
    clock = time.process_time if device.type == "cpu" else time.perf_counter
    step = _Stepper(task, job.train, job.runtime, job.seed, device, clock)
    here = loaders(replace(job, train=replace(job.train, workers=0)))
    batches = _of_parts(here, job.train.steps, parts)
    ratios = []
    with _untouched(control), _untouched(adapted):
        for turn in range(ROUNDS + 1):
            seconds = np.zeros(2)
            for part in batches:
                batch = part[turn % len(part)]
                seconds += [step(module, batch, turn) for module in (adapted, control)]
            ratios.append(seconds[0] / max(seconds[1], 1e-9))
    ratio = float(np.median(ratios[1:]))
    steps = max(1, min(int(taken * ratio), most * taken))
    if steps > job.train.val_every:
        steps = round(steps / job.train.val_every) * job.train.val_every
    # each process measures its own time, and all must take the same steps
    steps = same_on_all(steps)
    spread = f"{min(ratios[1:]):.3g} to {max(ratios[1:]):.3g}"
    log.info("a step of the adapted model takes %.3g of the control's (%s): %d steps", ratio, spread, steps)
    return steps


def megapixels_per_second(module: nn.Module, batch: Batch, runtime: RuntimeConfig) -> float:
    """Ground that a trained module reads in a second, without loading: all dates of a pixel count once [10⁶ px/s].

    The median of a few passes, in the precision of a fit; on a CPU of the time that this process computed, so that it
    is a core's, whatever else the machine does.
    """
    device = next(module.parameters()).device
    clock = time.process_time if device.type == "cpu" else time.perf_counter
    batch = batch.to(device)
    pixels = max(field.values.shape[0] * field.values[0, 0, 0].numel() for field in batch.inputs.values())
    taken = []
    with (
        torch.inference_mode(),
        torch.autocast(device.type, torch.bfloat16, enabled=chosen_precision(runtime) == "bf16"),
    ):
        for _ in range(ROUNDS):
            begin = _now(device, clock)
            module(batch)
            taken.append(_now(device, clock) - begin)
    return pixels / max(float(np.median(taken[1:])), 1e-9) / 1e6


def _of_parts(loaders: MakeLoaders, steps: int, parts: int) -> list[list[Batch]]:
    """A few batches from the beginning of each part of a fit."""
    # rounded up: the step before still belongs to the part before
    starts = [min(steps - 1, -(-part * steps // parts)) for part in range(parts)]
    return [list(islice(loaders(start).train, ROUNDS + 1)) for start in starts]


class _Stepper:
    """Takes training steps that move no weight, and says what each took."""

    def __init__(
        self, task: Task, config: TrainConfig, runtime: RuntimeConfig, seed: int, device: torch.device, clock: Clock
    ) -> None:
        self.task, self.config, self.seed, self.device, self.clock = task, config, seed, device, clock
        self.half = chosen_precision(runtime) == "bf16"

    def __call__(self, module: nn.Module, batch: Batch, step: int) -> float:
        """Seconds from the batch to the gradients [s]."""
        batch = batch.to(self.device)
        begin = _now(self.device, self.clock)
        draw(module, self.seed, step, batch, self.config.batch)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.half):
            loss = self.task.loss(module(batch), batch)
        loss.backward()  # type: ignore[no-untyped-call]
        taken = _now(self.device, self.clock) - begin
        module.zero_grad(set_to_none=True)
        return taken


def _now(device: torch.device, clock: Clock) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return clock()


@contextmanager
def _untouched(module: nn.Module) -> Iterator[None]:
    """In training, and afterwards with the mode and the running statistics that it had."""
    training = module.training
    kept: Sequence[torch.Tensor] = [buffer.clone() for buffer in module.buffers()]
    module.train()
    try:
        yield
    finally:
        module.train(training)
        with torch.no_grad():
            for buffer, before in zip(module.buffers(), kept, strict=True):
                if not torch.equal(buffer, before):
                    buffer.copy_(before)
