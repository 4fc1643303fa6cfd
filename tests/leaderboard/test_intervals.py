from __future__ import annotations

import numpy as np
import pytest

from benchmarks.coverage import SHAPES, study
from geoadapt.leaderboard.bootstrap import PRIOR, Floats, draws, sources
from geoadapt.leaderboard.intervals import Cell, compare, interval, resample

STUDIED = {
    "normal": ((1, 0.0), (4, 3.0), (12, 3.0)),
    "skewed down (exponential)": ((1, 0.0), (4, 3.0), (12, 3.0)),
    "skewed up (exponential)": ((1, 0.0), (4, 0.0)),
    "skewed down (log-normal)": ((4, 3.0), (12, 3.0)),
}
SEEDS = (0, 1, 2, 3, 4)


def cells(values: Floats, first: int = 0) -> list[Cell]:
    """One cell per row of values (data set, run)."""
    seeds = tuple(range(first, first + values.shape[1]))
    return [Cell(f"d{i}", seeds, row) for i, row in enumerate(values)]


def noise(datasets: int, runs: int = 5, seed: int = 0) -> Floats:
    return np.random.default_rng(seed).standard_normal((datasets, runs))


@pytest.mark.parametrize("shape", STUDIED)
def test_intervals_of_five_seeds_cover_the_truth_85_to_95_times_in_100(shape: str) -> None:
    found = [study(shape, datasets, 200, apart=apart, count=400) for datasets, apart in STUDIED[shape]]
    assert 0.85 <= np.mean([f.score for f in found]) <= 0.95
    assert 0.85 <= np.mean([f.difference for f in found]) <= 0.95
    assert np.mean([f.plain for f in found]) < np.mean([f.score for f in found]) - 0.03
    assert shape in SHAPES


def test_a_run_in_ten_that_fails_is_allowed_for_where_data_sets_lie_far_apart() -> None:
    found = study("one run in ten fails", 4, 500, apart=3.0, count=400)
    assert 0.85 <= found.score <= 0.95 and 0.85 <= found.difference <= 0.95
    assert found.plain < 0.8
    assert found.unseen == pytest.approx(0.9**20, abs=0.04)
    assert found.seen > found.score


@pytest.mark.parametrize("runs", (2, 3))
def test_intervals_of_two_and_three_seeds_on_one_data_set_hold_too(runs: int) -> None:
    found = study("normal", 1, 400, apart=0.0, runs=runs, count=400)
    assert 0.85 <= found.score <= 0.95 and 0.85 <= found.difference <= 0.95


def test_a_failure_that_no_run_of_the_group_has_shown_is_not_known_of() -> None:
    found = study("one run in ten fails", 2, 300, apart=3.0, count=400)
    assert found.unseen == pytest.approx(0.9**10, abs=0.05)
    assert found.score < 0.85 < found.seen


def test_a_failure_on_one_data_set_counts_as_possible_on_the_others() -> None:
    quiet = 0.01 * noise(4) + np.array([[0.0], [1.0], [2.0], [3.0]])
    failed = quiet.copy()
    failed[0, 0] -= 2  # its place among the runs that are cut stays, and so does the score
    before, after = (interval(resample(cells(values))) for values in (quiet, failed))
    assert after.score == before.score
    assert after.low < before.low - 0.1


def test_one_draw_in_six_takes_another_data_sets_deviation_and_any_of_them() -> None:
    taken = sources(1, "d1", SEEDS, (5, 5, 5), 4000, 0)
    own = (taken >= 5) & (taken < 10)
    assert np.mean(~own) == pytest.approx(PRIOR / (5 + PRIOR), abs=0.01)
    assert (taken[own] == 5 + draws("d1", SEEDS, 4000, 0)[own]).all()
    often = np.bincount(taken[~own], minlength=15)
    assert (often[5:10] == 0).all() and often.max() < 1.3 * often[often > 0].min()


def test_what_is_borrowed_stays_paired_where_another_data_set_lacks_a_run() -> None:
    whole, short = (sources(0, "d0", SEEDS, sizes, 1000, 0) for sizes in ((5, 5, 5), (5, 4, 5)))
    starts = np.array([0, 5, 10]), np.array([0, 5, 9])
    last = [taken >= start[2] for taken, start in zip((whole, short), starts, strict=True)]
    assert (last[0] == last[1]).all() and (whole[last[0]] - 10 == short[last[1]] - 9).all()


def looks(values: Floats, of: str = "runs") -> list[Cell]:
    """One look per row of values (look, run), all at the same runs."""
    return [Cell(f"{of}-{i}", SEEDS, row, of) for i, row in enumerate(values)]


@pytest.mark.parametrize("apart", (0.0, 3.0))
@pytest.mark.parametrize("groups", (1, 2))
def test_intervals_over_several_looks_at_the_same_runs_cover_the_truth_too(apart: float, groups: int) -> None:
    stream = np.random.default_rng(1)

    def entry() -> Floats:
        common, own = stream.standard_normal((groups, 1, 5)), stream.standard_normal((groups, 3, 5))
        return np.asarray(np.sqrt(0.8) * common + np.sqrt(0.2) * own + apart * np.arange(3)[:, None], np.float64)

    held, between, blind = [], [], []
    for _ in range(300):
        one, two = ([c for n, rows in enumerate(entry()) for c in looks(rows, f"runs{n}")] for _ in range(2))
        found, told = interval(resample(one, count=300)), compare(one, two, count=300)
        assert told is not None
        held.append(found.low <= apart <= found.high)
        between.append(told.difference.low <= 0 <= told.difference.high)
        apiece = interval(resample([Cell(c.dataset, c.seeds, c.values) for c in one], count=300))
        blind.append(apiece.low <= apart <= apiece.high)
    assert 0.85 <= np.mean(held) <= 0.95 and 0.85 <= np.mean(between) <= 0.95
    assert np.mean(blind) < np.mean(held) - 0.05, "as if each look had runs of its own"


def test_the_same_scores_looked_at_twice_are_known_no_better() -> None:
    runs = noise(1)[0]
    once, twice = (interval(resample(looks(np.tile(runs, (count, 1))))) for count in (1, 2))
    assert (twice.high - twice.low) / (once.high - once.low) == pytest.approx(1, abs=0.2)
    other = interval(resample(cells(np.tile(runs, (2, 1)))))
    assert other.high - other.low < 0.85 * (twice.high - twice.low)


def test_an_interval_holds_its_score() -> None:
    stream = np.random.default_rng(0)
    for _ in range(200):
        values = stream.standard_normal((2, 3, 1)) + stream.standard_t(1, (2, 3, 2))
        one, two = interval(resample(cells(values[0]), count=50)), compare(*map(cells, values), count=50)
        assert two is not None
        assert all(found.low <= found.score <= found.high for found in (one, two.difference))


def test_more_seeds_and_less_noise_make_it_narrower() -> None:
    def width(values: Floats) -> float:
        found = interval(resample(cells(values)))
        return found.high - found.low

    assert width(noise(4)) > width(noise(4, 40)) * 2
    assert width(noise(4)) == pytest.approx(10 * width(0.1 * noise(4)))


def test_the_score_is_the_interquartile_mean_of_all_runs() -> None:
    values = np.arange(8.0).reshape(2, 4)
    found = interval(resample(cells(values)))
    assert found.score == pytest.approx(3.5) and found.low < 3.5 < found.high


def test_one_seed_tells_nothing_of_its_spread() -> None:
    found = interval(resample([*cells(noise(2)), Cell("single", (3,), np.array([0.5]))]))
    assert np.isfinite(found.score) and np.isnan(found.low) and np.isnan(found.high)


def test_equal_seeds_of_equal_score_have_an_interval_of_no_width() -> None:
    found = interval(resample(cells(np.ones((2, 5)))))
    assert (found.low, found.high) == (1.0, 1.0)


def test_a_comparison_of_the_same_seeds_is_paired_and_sharper() -> None:
    common = noise(4)
    better = common + 0.1 + 0.01 * noise(4, seed=1)
    paired = compare(cells(better), cells(common))
    other = compare(cells(better), cells(common, first=10))
    assert paired is not None and other is not None
    assert paired.how == "paired by data set and seed" and other.how == "unpaired: the seeds differ"
    assert paired.difference.high - paired.difference.low < 0.2 * (other.difference.high - other.difference.low)
    assert paired.better > 0.99 and 0.5 < other.better < 0.9
    assert paired.difference.low > 0 > other.difference.low


def test_a_comparison_turned_round_is_the_same_with_the_other_sign() -> None:
    one, two = cells(noise(3)), cells(noise(3, seed=5))
    there, back = compare(one, two), compare(two, one)
    assert there is not None and back is not None
    assert there.better == pytest.approx(1 - back.better)
    assert there.difference.low == pytest.approx(-back.difference.high)


def test_only_common_data_sets_are_compared_and_the_others_are_named() -> None:
    one, two = cells(noise(3)), cells(noise(2, seed=5))
    found = compare(one, [*two, Cell("other", (0, 1), np.zeros(2))])
    assert found is not None and found.datasets == ("d0", "d1") and found.left_out == ("d2", "other")
    assert compare(one, [Cell("other", (0, 1), np.zeros(2))]) is None


def test_a_seed_that_one_lacks_unpairs_its_data_set_only() -> None:
    one, two = cells(noise(2)), cells(noise(2, seed=5))
    two[1] = Cell("d1", (0, 1, 2, 3), two[1].values[:4])
    found = compare(one, two)
    assert found is not None and found.paired == ("d0",) and "1 of 2" in found.how


def test_an_entry_against_itself_is_even() -> None:
    found = compare(cells(noise(3)), cells(noise(3)))
    assert found is not None and found.better == 0.5 and found.difference.low == found.difference.high == 0


def test_probability_of_better_is_even_where_nothing_differs() -> None:
    found = [compare(cells(noise(4, seed=s)), cells(noise(4, seed=1000 + s)), count=200) for s in range(200)]
    sure = [c.better for c in found if c is not None]
    assert 0.4 < np.mean(sure) < 0.6
    assert 0.05 <= np.mean([b > 0.95 or b < 0.05 for b in sure]) <= 0.15  # one in ten by chance
