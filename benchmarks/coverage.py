"""How often the leaderboard's intervals cover the truth: a simulation, with plain percentiles beside it.

    python -m benchmarks.coverage                       prints the table as Markdown
    python -m benchmarks.coverage --studies 2000
    python -m benchmarks.coverage --runs 3

Each study makes data sets of different level and spread, whose seeds follow one shape, and asks of every interval
whether the score of infinitely many seeds lies in it. Where runs fail, it counts the studies that saw no failure at
all, and the coverage of the others: what no run has shown, no method can know of.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from geoadapt.leaderboard.bootstrap import TRIM, Floats, draws, iqm
from geoadapt.leaderboard.intervals import LEVEL, Cell, compare, interval, resample

Stream = np.random.Generator
Shape = Callable[[Stream, tuple[int, ...]], Floats]
FAILED = -1.5
"""Below it lies a run that failed; the others are near 0, and failures near -3."""


def _failing(share: float) -> Shape:
    return lambda stream, shape: 0.3 * stream.standard_normal(shape) - 3 * (stream.random(shape) < share)


FAILING: dict[str, Shape] = {
    "one run in five fails": _failing(0.2),
    "one run in ten fails": _failing(0.1),
    "one run in twenty fails": _failing(0.05),
}
SHAPES: dict[str, Shape] = {
    "normal": lambda stream, shape: stream.standard_normal(shape),
    "uniform": lambda stream, shape: stream.uniform(-1, 1, shape),
    "long tails (t, 3)": lambda stream, shape: stream.standard_t(3, shape),
    "skewed down (exponential)": lambda stream, shape: -stream.exponential(1, shape),
    "skewed up (exponential)": lambda stream, shape: stream.exponential(1, shape),
    "skewed down (log-normal)": lambda stream, shape: -stream.lognormal(0, 1, shape),
    **FAILING,
}
SPREAD = 0.5
"""Of the logarithm of the data sets' own spreads: most lie within a factor 2.7 of each other."""
WIDE = 1.5
"""Most lie within a factor 20."""
CASES: tuple[tuple[int, float, float], ...] = (
    (1, 0.0, SPREAD),
    (2, 3.0, SPREAD),
    (4, 0.0, SPREAD),
    (4, 3.0, SPREAD),
    (8, 3.0, SPREAD),
    (12, 3.0, SPREAD),
)
UNEVEN: tuple[tuple[int, float, float], ...] = ((4, 0.0, WIDE), (4, 3.0, WIDE), (12, 0.0, WIDE), (12, 3.0, WIDE))
"""Data sets, their distance, and how unlike their spreads are."""
MANY = 40_000
"""Seeds from which the truth is taken."""
WANTED = (0.85, 0.95)
"""How often a 90 % interval should hold the truth."""
TOGETHER = 5
"""Studies with data sets of the same level and spread."""


@dataclass(frozen=True, slots=True)
class Covered:
    """Shares of studies in which an interval holds the truth, and of how many studies."""

    score: float
    plain: float
    """Percentiles of scores whose runs were drawn within their own data sets."""
    difference: float
    """Of two entries, seed by seed."""
    unseen: float
    """The share of studies none of whose runs failed; NaN where none can fail."""
    seen: float
    """As ``score``, of the studies in which a run failed."""
    studies: int


def study(
    shape: str,
    datasets: int,
    studies: int,
    *,
    apart: float,
    spread: float = SPREAD,
    runs: int = 5,
    count: int = 500,
    seed: int = 0,
) -> Covered:
    """Coverage over ``studies`` groups of ``datasets`` data sets, with levels ``apart`` standard deviations apart."""
    stream = np.random.default_rng([seed, *shape.encode(), datasets, int(10 * apart), int(10 * spread)])
    hits, failed = np.zeros((studies, 3), bool), np.zeros(studies, bool)
    for number in range(studies):
        if number % TOGETHER == 0:
            level = apart * stream.standard_normal((2, datasets, 1))
            width = np.exp(spread * stream.standard_normal((datasets, 1)))
            truth = [
                _truth(one, runs) for one in level + width * SHAPES[shape](stream, (2, datasets, MANY // datasets))
            ]
        noise = SHAPES[shape](stream, (2, datasets, runs))
        hits[number] = _hits(level + width * noise, truth, count, number % TOGETHER)
        failed[number] = (noise[0] < FAILED).any()
    score, plain, difference = hits.mean(0).tolist()
    if shape not in FAILING:
        return Covered(score, plain, difference, np.nan, np.nan, studies)
    seen = float(hits[failed, 0].mean()) if failed.any() else np.nan
    return Covered(score, plain, difference, float(1 - failed.mean()), seen, studies)


def _hits(few: Floats, truth: Sequence[float], count: int, seed: int) -> tuple[bool, bool, bool]:
    """Whether our interval, plain percentiles and that of the difference hold the truth; values (entry, set, run)."""
    seeds = tuple(range(few.shape[-1]))
    one, two = ([Cell(f"d{i}", seeds, values) for i, values in enumerate(entry)] for entry in few)
    ours = interval(resample(one, count=count, seed=seed))
    drawn = iqm(np.concatenate([c.values[draws(c.dataset, seeds, count, seed)] for c in one], axis=1))
    low, high = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    both = compare(one, two, count=count, seed=seed)
    assert both is not None
    return (
        bool(ours.low <= truth[0] <= ours.high),
        bool(low <= truth[0] <= high),
        bool(both.difference.low <= truth[0] - truth[1] <= both.difference.high),
    )


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
    parser.add_argument("--runs", type=int, default=5, help="seeds of each data set")
    given = parser.parse_args(words)
    print(
        "| seeds are | data sets | levels apart | spreads alike within | covered by ours | plain percentiles "
        "| difference of two | studies without a failure | ours where one was seen |"
    )
    print("| -- | --: | --: | --: | --: | --: | --: | --: | --: |")
    all_shares = []
    for shape in SHAPES:
        for datasets, apart, spread in (*CASES, *(UNEVEN if shape in ("normal", "one run in ten fails") else ())):
            found = study(shape, datasets, given.studies, apart=apart, spread=spread, runs=given.runs)
            all_shares.append((found.score, found.plain, found.difference))
            shares = (found.score, found.plain, found.difference, found.unseen, found.seen)
            told = " | ".join("–" if np.isnan(share) else f"{100 * share:.0f} %" for share in shares)
            print(f"| {shape} | {datasets} | {apart:g} | x {np.exp(2 * spread):.2g} | {told} |", flush=True)
    means, low, high = np.mean(all_shares, 0), np.min(all_shares, 0), np.max(all_shares, 0)
    inside = np.sum((np.array(all_shares) >= WANTED[0]) & (np.array(all_shares) <= WANTED[1]), 0)
    print(f"\nOf {len(all_shares)} cells, and how many lie within {100 * WANTED[0]:.0f} to {100 * WANTED[1]:.0f} %:")
    for place, name in enumerate(("ours", "plain percentiles", "difference of two")):
        told = f"{100 * means[place]:.1f} % on average, {100 * low[place]:.0f} to {100 * high[place]:.0f} %"
        print(f"  {name}: {told}, {inside[place]} within")
    return 0


if __name__ == "__main__":
    sys.exit(main())
