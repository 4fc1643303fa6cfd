from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from geoadapt.errors import GeoadaptError
from geoadapt.leaderboard.board import board_of, compare_entries
from geoadapt.leaderboard.groups import from_plain, read_suite
from geoadapt.leaderboard.normalise import derive
from geoadapt.leaderboard.ranks import rank_range
from geoadapt.leaderboard.records import RunRecord, append, read
from geoadapt.leaderboard.table import table_of
from tests.leaderboard.published import SUITE, record

MIOU = "Multiclass_Jaccard_Index"
PLAIN = {
    "datasets": {
        "clouds": {"task": "segmentation", "metric": MIOU},
        "fuel": {"task": "regression", "metric": "rmse", "direction": "min"},
        "flood": {"task": "segmentation", "metric": MIOU},
    },
    "groups": {"all": {"datasets": ["clouds", "fuel", "flood"]}, "pixels": {"datasets": ["clouds", "flood"]}},
}
BOARD = from_plain(PLAIN, "s")
GOOD, POOR, LACKING = ("good", "none", "full"), ("poor", "none", "full"), ("lacking", "none", "full")


def runs(name: str, level: float, *, seed: int = 0, without: str = "", seeds: int = 5) -> list[RunRecord]:
    stream = np.random.default_rng(seed)
    found = []
    for dataset in BOARD.datasets.values():
        if dataset.key != without:
            values = level + 0.02 * stream.standard_normal(seeds)
            values = 10 * (1 - values) if dataset.direction == "min" else values
            how = dataset.metric, dataset.direction
            found += [
                record(name, dataset.key, s, float(v), metric=how[0], direction=how[1]) for s, v in enumerate(values)
            ]
    return found


def test_lower_is_better_where_the_suite_says_so_and_ranks_follow() -> None:
    board = board_of([*runs("poor", 0.3), *runs("good", 0.8, seed=1)], BOARD)
    good, poor = board.scores["all"][GOOD], board.scores["all"][POOR]
    assert good.estimate is not None and poor.estimate is not None
    assert good.estimate.low > poor.estimate.high
    assert (good.rank, good.rank_low, good.rank_high, good.first) == (1, 1, 1, 1.0)
    assert (poor.rank, poor.rank_low, poor.rank_high, poor.first) == (2, 2, 2, 0.0)
    assert board.datasets["fuel"][GOOD].raw.score < board.datasets["fuel"][POOR].raw.score
    normal = board.datasets["fuel"][GOOD].normal
    assert normal.low < normal.score < normal.high and normal.score > board.datasets["fuel"][POOR].normal.score


def test_what_is_missing_is_missing_and_ranks_nobody() -> None:
    board = board_of(
        [*runs("poor", 0.3), *runs("good", 0.8, seed=1), *runs("lacking", 0.5, seed=2, without="fuel")], BOARD
    )
    lacking = board.scores["all"][LACKING]
    assert lacking.estimate is None and lacking.rank is None and lacking.missing == ("fuel",)
    assert board.scores["all"][POOR].rank == 2
    assert board.scores["pixels"][LACKING].rank == 2 and board.scores["pixels"][POOR].rank == 3
    assert LACKING not in board.datasets["fuel"]
    assert np.isnan(board.published.score[board.raw.entries.index(LACKING)][0])


def test_a_score_of_nan_is_a_missing_run() -> None:
    broken = [
        r if (r.dataset, r.seed) != ("fuel", 2) else record("good", "fuel", 2, math.nan, metric="rmse", direction="min")
        for r in runs("good", 0.8)
    ]
    board = board_of([*broken, *runs("poor", 0.3, seed=1)], BOARD)
    score = board.scores["all"][GOOD]
    assert score.estimate is not None and score.rank == 1 and score.short == ("fuel",)
    assert board.datasets["fuel"][GOOD].runs == 4


def test_one_seed_has_a_score_and_no_interval() -> None:
    board = board_of([*runs("good", 0.8, seeds=1), *runs("poor", 0.3)], BOARD)
    score = board.scores["all"][GOOD]
    assert score.estimate is not None and math.isnan(score.estimate.low)
    assert score.rank == 1 and score.rank_low is None and score.first is None
    assert set(score.short) == set(BOARD.datasets)


def test_runs_that_the_suite_cannot_compare_are_named() -> None:
    others = [record("good", "pastis", s, 0.5) for s in range(3)] + [
        record("good", "clouds", 9, 0.5, metric="accuracy")
    ]
    board = board_of([*runs("good", 0.8), *runs("poor", 0.3, seed=1), *others], BOARD)
    assert board.left_out == (
        "3 runs on pastis, which is no data set of suite",
        f"1 runs on clouds report accuracy, the suite compares {MIOU}",
    )
    assert board.datasets["clouds"][GOOD].runs == 5


def test_a_board_without_records_is_empty() -> None:
    board = board_of([], BOARD)
    assert board.scores["all"] == {} and board.published.score.shape == (0, 2)


def test_a_normaliser_of_others_gives_other_scores() -> None:
    base = derive(table_of([*runs("worst", 0.1), *runs("best", 0.9)]), "base")
    board = board_of(runs("good", 0.5, seed=1), BOARD, base)
    score = board.scores["all"][GOOD].estimate
    assert score is not None and 0.4 < score.score < 0.6 and board.normaliser.version == "base"


def test_two_entries_are_compared_over_what_both_have() -> None:
    board = board_of([*runs("good", 0.8), *runs("lacking", 0.5, seed=2, without="fuel")], BOARD)
    found = compare_entries(board, "all", GOOD, LACKING)
    assert (
        found is not None
        and found.better > 0.99
        and found.left_out == ("fuel",)
        and found.paired == ("clouds", "flood")
    )
    with pytest.raises(GeoadaptError, match="did you mean 'good \\+ none \\+ full'"):
        compare_entries(board, "all", ("god", "none", "full"), POOR)


def test_entries_that_cannot_be_told_apart_share_their_ranks() -> None:
    stream = np.random.default_rng(0)
    low, high, first = rank_range(stream.standard_normal((3, 2000)))
    np.testing.assert_array_equal(low, [1, 1, 1])
    np.testing.assert_array_equal(high, [3, 3, 3])
    np.testing.assert_allclose(first, 1 / 3, atol=0.05)


def test_replicates_that_are_unknown_have_no_rank() -> None:
    low, high, first = rank_range(np.array([[1.0, 1.0], [np.nan, np.nan], [0.0, 0.0]]))
    np.testing.assert_array_equal([low, high, first], [[1, np.nan, 2], [1, np.nan, 2], [1, np.nan, 0]])


def test_ten_thousand_records_make_a_board(tmp_path: Path) -> None:
    suite = read_suite(SUITE)
    stream = np.random.default_rng(0)
    append(
        tmp_path,
        (
            record(f"b{b}", d.key, seed, float(stream.random()), metric=d.metric)
            for b in range(106)
            for d in suite.datasets.values()
            for seed in range(5)
        ),
    )
    found = read(tmp_path)
    board = board_of(found.runs, suite)
    assert len(found.runs) == 10_070
    assert all(score.rank is not None for group in board.scores.values() for score in group.values())
    assert np.isfinite(board.published.score).all() and len(board.datasets["pastis"]) == 106


def test_those_that_tie_share_the_ranks_that_they_take_up() -> None:
    low, high, first = rank_range(np.array([[1.0, 1.0], [1.0, 1.0], [0.0, 0.0]]))
    assert low.tolist() == [1, 1, 3] and high.tolist() == [2, 2, 3]
    assert first.tolist() == [0.5, 0.5, 0]


def test_looks_at_the_same_runs_are_drawn_together() -> None:
    """Lead times of the same forecasts tell no more of other seeds than one of them."""
    stream = np.random.default_rng(0)
    told = {"task": "forecasting", "metric": "rmse", "direction": "min"}
    plain = {
        "datasets": {"day1": told, "day3": {**told, "of": "day1"}, "own": told},
        "groups": {"looks": {"datasets": ["day1", "day3"]}, "sets": {"datasets": ["day1", "own"]}},
    }
    suite = from_plain(plain, "suite")
    runs = []
    for backbone in ("a", "b", "c"):
        for seed, value in enumerate(stream.random(5)):
            for name in suite.datasets:
                more = {"metric": "rmse", "direction": "min"}
                runs.append(record(backbone, name, seed, float(value), **more))
    board = board_of(runs, suite)
    for scores in zip(board.scores["looks"].values(), board.scores["sets"].values(), strict=True):
        looks, sets = (score.estimate.high - score.estimate.low for score in scores if score.estimate is not None)
        assert sets < 0.95 * looks
    pair = [compare_entries(board, group, *board.raw.entries[:2]) for group in ("looks", "sets")]
    looks, sets = (told.difference.high - told.difference.low for told in pair if told is not None)
    assert sets < 0.95 * looks
