"""The fixed samples of a cloud removal run, and what its data must be to give them.

In: series and a task's configuration. Out: samples, in the same order wherever they are asked for again.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any, overload

import numpy as np

from geoadapt.errors import GeoadaptError
from geoadapt.fields.gaps import GapDraws, Pool, SeriesSamples, draw_samples, iter_samples, mask_pool
from geoadapt.fields.hls_protocol import PositionSamples, by_positions, drawn_chip, fixed_chips
from geoadapt.fields.series import Sample, Series, SeriesData
from geoadapt.metrics.stretched import COLOURS, MARGIN
from geoadapt.tasks.config import RADIOMETRIC, REMOVAL_ASKED, CloudRemovalConfig

__all__ = [
    "check_protocol",
    "check_series",
    "drawn_samples",
    "eight_bits",
    "fixed_samples",
    "pool_for",
    "samples_to_fit",
    "task_of_card",
]


def check_series(data: object, name: str) -> None:
    """Raise GeoadaptError for data that hold no time series."""
    if not isinstance(data, SeriesData):
        raise GeoadaptError("data", f"{name} holds no time series", "choose data=simulated_series")


def check_protocol(task: CloudRemovalConfig, channels: Sequence[str], chip: int) -> None:
    """Raise GeoadaptError where the data cannot be scored as ``task.protocol`` says."""
    missing = [name for name in COLOURS if name not in channels]
    if task.protocol != RADIOMETRIC and (missing or chip <= 2 * MARGIN):
        problem = f"'{task.protocol}' scores red, green and blue in chips of more than {2 * MARGIN} px"
        hint = f"the data have {', '.join(channels)}, chips of {chip} px; choose task.protocol={RADIOMETRIC}"
        raise GeoadaptError("task.protocol", problem, hint)


def eight_bits(task: CloudRemovalConfig) -> str:
    """Whose 8-bit images are scored beside reflectance; empty = nobody's."""
    return "" if task.protocol == RADIOMETRIC else task.protocol


def task_of_card(removal: Mapping[str, Any]) -> CloudRemovalConfig:
    """What was asked of a bundle's restorer, from its card; bundles that do not say it were asked the default."""
    return CloudRemovalConfig(**{name: removal[name] for name in REMOVAL_ASKED if name in removal})


def fixed_samples(
    series: Sequence[Series], pool: Pool, task: CloudRemovalConfig, chip: int, seed: int, most: int
) -> tuple[Sample, ...]:
    """At most ``most`` samples, as many of every series, or of series spread over all; 0 = every chip on every date.

    Series with a published way of hiding give what that has, one chip for every hidden date.

    Raises GeoadaptError where there is none.
    """
    each = math.ceil(most / len(series)) if most else 0
    if 0 < most < len(series):
        series = _Spread(series, most)
    low, high = task.coverage
    if by_positions(series):
        made = fixed_chips(series, pool, chip, task.dates)
    else:
        made = iter_samples(series, pool, chip, seed, each, (low, high), frames=task.dates)
    found = tuple(islice(made, most or None))
    if not found:
        raise GeoadaptError(
            "data", f"{len(series)} series have no chip that can be hidden", "lower train.chip, widen task.coverage"
        )
    return found


class _Spread(Sequence[Series]):
    """Series in an order whose first ``most`` are spread evenly over all: data sets list theirs scene by scene."""

    def __init__(self, series: Sequence[Series], most: int) -> None:
        self.series, self.by_positions = series, by_positions(series)
        first = [int(n) for n in np.linspace(0, len(series) - 1, most)]
        self.order = [*first, *sorted(set(range(len(series))) - set(first))]

    def __len__(self) -> int:
        return len(self.order)

    @overload
    def __getitem__(self, index: int) -> Series: ...
    @overload
    def __getitem__(self, index: slice) -> list[Series]: ...
    def __getitem__(self, index: int | slice) -> Series | list[Series]:
        if isinstance(index, slice):
            return [self.series[n] for n in self.order[index]]
        return self.series[self.order[index]]


def drawn_samples(
    series: Sequence[Series], pool: Pool, count: int, chip: int, seed: int, task: CloudRemovalConfig
) -> list[Sample]:
    """``count`` training samples as they are, neither turned nor brightened."""
    coverage = (task.coverage[0], task.coverage[1])
    if not by_positions(series):
        return draw_samples(series, pool, count, chip, seed, coverage, frames=task.dates)
    draws = GapDraws(chip, coverage, task.dates)
    return [drawn_chip(series, pool, draws, (seed, number)) for number in range(count)]


def samples_to_fit(series: Sequence[Series]) -> type[SeriesSamples]:
    """What makes the batches of a fit on these series."""
    return PositionSamples if by_positions(series) else SeriesSamples


def pool_for(series: Sequence[Series], others: Sequence[Series]) -> Pool:
    """Patterns of the series' own clouds, else of ``others``; none where a truth is known, and nothing is pasted."""
    if series[0].truth is not None:
        return ()
    try:
        return mask_pool(series)
    except GeoadaptError:
        return mask_pool(others)
