"""A search: what a place draws, which trial is best, and what a kill leaves."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import optuna
import pytest

from geoadapt.errors import GeoadaptError
from geoadapt.leaderboard.study import Chosen, Search, open_storage
from geoadapt.leaderboard.suite_config import Space

Watch = Callable[[float], None]


def good(chosen: Chosen, watch: Watch) -> tuple[float, str, str]:
    """Best at a rate of 1e-4."""
    return -abs(math.log10(chosen.lr) + 4), "max", "miou"


def search(folder: Path | None = None, **more: bool) -> Search:
    """In a file of ``folder``, or in memory, which is faster."""
    storage = optuna.storages.InMemoryStorage() if folder is None else open_storage(folder)
    return Search(storage, "study", Space(), 0, **more)


def all_drawn(places: int) -> list[Chosen]:
    one = search()
    return [one.run(place, good).chosen for place in range(places)]


def test_the_default_space_is_the_published_one() -> None:
    drawn = all_drawn(10)
    rates = np.log10([chosen.lr for chosen in drawn])
    assert rates.min() >= -6 and rates.max() <= -3 and rates.std() > 0.3, "spread over the orders of magnitude"
    assert {chosen.batch for chosen in drawn} <= {8, 16, 32} and len({chosen.batch for chosen in drawn}) > 1
    assert {chosen.weight_decay for chosen in drawn} == {0.01}


def test_a_search_that_is_taken_up_again_goes_on_as_it_would_have_gone(tmp_path: Path) -> None:
    parts = []
    for places in (range(4), range(4, 12), range(12, 13)):  # beyond ten, what is drawn depends on the scores before it
        one = search(tmp_path)
        parts += [one.run(place, good).chosen for place in places]
    assert parts == all_drawn(13)
    best = search(tmp_path).best(13)
    assert best is not None and best.score == max(-abs(math.log10(chosen.lr) + 4) for chosen in parts)


def test_what_a_killed_process_left_running_changes_nothing() -> None:
    class Killed(BaseException):
        pass

    def dies(chosen: Chosen, watch: Watch) -> tuple[float, str, str]:
        raise Killed

    whole = all_drawn(12)
    one = search()
    drawn = [one.run(place, good).chosen for place in range(11)]
    study = one._study
    study.ask().set_user_attr("place", 11)  # drawn by a process that is no more
    with pytest.raises(Killed):
        one.run(11, dies)
    assert list(one.ended()) == list(range(11)), "an interrupted place is to be made again"
    assert [*drawn, one.run(11, good).chosen] == whole
    assert not [t for t in study.get_trials() if t.state.name == "RUNNING"]


def test_less_is_better_where_the_task_says_so_and_of_equals_the_first_counts() -> None:
    one = search()
    for place, score in enumerate((0.3, 0.1, 0.1, 0.2)):
        one.run(place, lambda chosen, watch, score=score: (score, "min", "mae"))  # type: ignore[misc]
    best = one.best(4)
    assert best is not None and (best.place, best.score, best.monitor) == (1, 0.1, "mae")
    first = one.best(1)
    assert first is not None and first.place == 0, "what a longer search made does not count"


def test_a_trial_that_fails_is_told_and_is_never_the_best() -> None:
    one = search()

    def fails(chosen: Chosen, watch: Watch) -> tuple[float, str, str]:
        raise GeoadaptError("train", "the loss is nan at step 3", "lower train.lr")

    with pytest.raises(GeoadaptError):
        one.run(0, fails)
    with pytest.raises(GeoadaptError, match="is not a number"):
        one.run(1, lambda chosen, watch: (math.nan, "max", "miou"))
    assert one.best(2) is None
    assert "the loss is nan at step 3" in one.ended()[0].error
    one.run(0, good)
    assert one.ended()[0].error == "", "the later trial of a place counts"
    best = one.best(2)
    assert best is not None and best.place == 0


@pytest.mark.parametrize("pruning", [True, False])
def test_a_fit_that_falls_behind_the_median_is_given_up_where_that_is_wanted(pruning: bool) -> None:
    one = search(pruning=pruning)

    def validated(chosen: Chosen, watch: Watch) -> tuple[float, str, str]:
        level = float(len(one.ended()) < 6)
        for step in range(3):
            watch(level + step / 10)
        return level, "max", "miou"

    trials = [one.run(place, validated) for place in range(8)]
    assert [trial.pruned for trial in trials] == [False] * 6 + [pruning] * 2
    best = one.best(8)
    assert best is not None and best.place == 0


def test_a_file_that_holds_no_studies_is_named(tmp_path: Path) -> None:
    (tmp_path / "studies.db").write_bytes(b"what a full disk left" * 500)
    with pytest.raises(GeoadaptError, match=r"studies\.db: holds no studies: file is not a database; remove it"):
        open_storage(tmp_path)


def test_a_folder_may_have_any_name(tmp_path: Path) -> None:
    folder = tmp_path / "a %20 (ü)? #1"
    folder.mkdir()
    search(folder).run(0, good)
    assert list(search(folder).ended()) == [0]
