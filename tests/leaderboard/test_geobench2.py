"""The published algorithm on a table of our own, against pandas, which the leaderboard draws with."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import trim_mean

from geoadapt.leaderboard.bootstrap import published_draws
from geoadapt.leaderboard.geobench2 import displayed, per_dataset, published
from geoadapt.leaderboard.groups import from_plain
from geoadapt.leaderboard.normalise import derive
from geoadapt.leaderboard.table import table_of
from tests.leaderboard.published import record

DATASETS = ("pastis", "fotw", "caffe", "benv2")
SUITE = from_plain(
    {
        "datasets": {name: {"task": "segmentation", "metric": "Multiclass_Jaccard_Index"} for name in DATASETS},
        "groups": {"three": {"datasets": ["pastis", "fotw", "caffe"]}, "two": {"datasets": ["benv2", "pastis"]}},
    },
    "suite",
)


def runs(sizes: dict[tuple[str, str], int]) -> list[tuple[str, str, int, float]]:
    stream = np.random.default_rng(7)
    return [(b, d, int(s), float(stream.random())) for (b, d), n in sizes.items() for s in stream.permutation(n)]


FIVE = {(b, d): 5 for b in ("zeta", "alpha", "mid") for d in DATASETS}


@pytest.mark.parametrize(
    "sizes",
    [
        FIVE,
        {**FIVE, ("mid", "fotw"): 3, ("alpha", "caffe"): 8},
        {k: n for k, n in FIVE.items() if k != ("alpha", "caffe")},
    ],
    ids=["five everywhere", "other numbers of runs", "one data set missing"],
)
def test_scores_are_those_of_resampled_pandas_groups(sizes: dict[tuple[str, str], int]) -> None:
    rows = runs(sizes)
    raw = table_of([record(*row) for row in rows], by=("backbone",))
    made = derive(raw, "1")
    found = published(made.apply(raw), SUITE)
    frame = pd.DataFrame(rows, columns=["backbone", "dataset", "seed", "value"])
    low, high = (frame.groupby("dataset")["value"].transform(f) for f in ("min", "max"))
    frame["z"] = (frame["value"] - low) / (high - low)
    for column, group in enumerate(SUITE.groups.values()):
        part = frame[frame["dataset"].isin(group.datasets)]
        replicates = [
            part.groupby(["backbone", "dataset"])
            .sample(frac=1, replace=True, random_state=100 + i)
            .groupby("backbone")["z"]
            .apply(lambda z: trim_mean(z, 0.25))
            for i in range(100)
        ]
        drawn = pd.concat(replicates, axis=1)
        for row, (entry,) in enumerate(found.entries):
            if all((entry, d) in sizes for d in group.datasets):
                assert found.score[row, column] == pytest.approx(drawn.loc[entry].mean(), abs=1e-12)
                assert found.sem[row, column] == pytest.approx(drawn.loc[entry].std() / 10, abs=1e-12)
            else:
                assert np.isnan([found.score[row, column], found.sem[row, column], found.ranks[row, column]]).all()


def test_a_run_of_equal_cells_is_one_stream() -> None:
    sizes = [5, 5, 3, 8, 8, 8, 5]
    stream = np.random.RandomState(123)
    begin = np.cumsum([0, *sizes])
    expected = [b + stream.choice(size, size=size, replace=True) for b, size in zip(begin, sizes, strict=False)]
    np.testing.assert_array_equal(published_draws(sizes, 123), np.concatenate(expected))


def test_ties_take_the_larger_rank() -> None:
    rows = [
        (b, d, s, v) for b, off in (("a", 0.0), ("b", 0.0), ("c", -0.3)) for d in DATASETS for s, v in [(0, 0.4 + off)]
    ]
    raw = table_of([record(*row) for row in rows], by=("backbone",))
    found = published(derive(raw, "1").apply(raw), SUITE)
    np.testing.assert_array_equal(found.ranks, [[2, 2], [2, 2], [3, 3]])
    np.testing.assert_array_equal(displayed(found.score), [[100, 100], [100, 100], [0, 0]])


def test_five_seeds_lose_one_at_either_end() -> None:
    raw = table_of([record("a", "pastis", s, v) for s, v in enumerate((0.0, 0.1, 0.2, 0.6, 1.0))])
    found = per_dataset(raw, derive(raw, "1").apply(raw))
    assert found["iqm"][0, 0] == pytest.approx(0.3) and found["mean"][0, 0] == pytest.approx(0.38)
