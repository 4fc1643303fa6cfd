"""How often the leaderboard's intervals cover the truth: a simulation, with plain percentiles beside it.

    python -m benchmarks.coverage                       prints the table as Markdown
    python -m benchmarks.coverage --studies 2000

Each study makes data sets of different level and spread, whose seeds follow one shape, and asks of every interval
whether the score of infinitely many seeds lies in it.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from geoadapt.leaderboard.bootstrap import TRIM, Floats, iqm
from geoadapt.leaderboard.intervals import LEVEL, Cell, compare, interval, resample

Stream = np.random.Generator
SHAPES: dict[str, Callable[[Stream, tuple[int, ...]], Floats]] = {
    "normal": lambda stream, shape: stream.standard_normal(shape),
    "uniform": lambda stream, shape: stream.uniform(-1, 1, shape),
    "long tails (t, 3)": lambda stream, shape: stream.standard_t(3, shape),
    "skewed down (exponential)": lambda stream, shape: -stream.exponential(1, shape),
    "skewed up (exponential)": lambda stream, shape: stream.exponential(1, shape),
    "skewed down (log-normal)": lambda stream, shape: -stream.lognormal(0, 1, shape),
    "one run in ten fails": lambda stream, shape: (
        0.3 * stream.standard_normal(shape) - 3 * (stream.random(shape) < 0.1)
    ),
}
MANY = 40_000
"""Seeds from which the truth is taken."""
TOGETHER = 5
"""Studies with data sets of the same level and spread."""


@dataclass(frozen=True, slots=True)
class Covered:
    """Shares of studies in which an interval holds the truth, and of how many studies."""

    score: float
    plain: float
    """Percentiles of the same replicates as they are."""
    difference: float
    """Of two entries, seed by seed."""
    studies: int


def study(
    shape: str, datasets: int, studies: int, *, apart: float, runs: int = 5, count: int = 500, seed: int = 0
) -> Covered:
    """Coverage over ``studies`` groups of ``datasets`` data sets, with levels ``apart`` standard deviations apart."""
    stream = np.random.default_rng([seed, *shape.encode(), datasets, int(10 * apart)])
    seeds = tuple(range(runs))
    hits = np.zeros(3)
    for number in range(studies):
        if number % TOGETHER == 0:
            level = apart * stream.standard_normal((2, datasets, 1))
            width = np.exp(0.5 * stream.standard_normal((datasets, 1)))
            truth = [
                _truth(one, runs) for one in level + width * SHAPES[shape](stream, (2, datasets, MANY // datasets))
            ]
        few = level + width * SHAPES[shape](stream, (2, datasets, runs))
        cells = [[Cell(f"d{i}", seeds, values) for i, values in enumerate(one)] for one in few]
        drawn = resample(cells[0], count=count, seed=number % TOGETHER)
        ours = interval(drawn)
        low, high = np.quantile(drawn.replicates, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
        both = compare(cells[0], cells[1], count=count, seed=number % TOGETHER)
        assert both is not None
        hits += [
            ours.low <= truth[0] <= ours.high,
            low <= truth[0] <= high,
            both.difference.low <= truth[0] - truth[1] <= both.difference.high,
        ]
    score, plain, difference = (hits / studies).tolist()
    return Covered(score, plain, difference, studies)


def _truth(values: Floats, runs: int) -> float:
    """What infinitely many seeds would score: values (data set, seed), cut as the score of ``runs`` seeds is."""
    count = len(values) * runs
    cut = int(TRIM * count) / count
    ordered = np.sort(values, axis=None)
    edge = int(cut * ordered.size)
    return float(ordered[edge : ordered.size - edge].mean()) if cut < TRIM else float(iqm(ordered))


def main(words: Sequence[str] | None = None) -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=int, default=500)
    given = parser.parse_args(words)
    print("| seeds are | data sets | levels apart | covered by ours | plain percentiles | difference of two |")
    print("| -- | --: | --: | --: | --: | --: |")
    for shape in SHAPES:
        for datasets, apart in ((1, 0.0), (4, 0.0), (4, 3.0), (12, 3.0)):
            found = study(shape, datasets, given.studies, apart=apart)
            shares = " | ".join(f"{100 * s:.0f} %" for s in (found.score, found.plain, found.difference))
            print(f"| {shape} | {datasets} | {apart:g} | {shares} |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
