from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from geoadapt.errors import GeoadaptError
from geoadapt.leaderboard.groups import from_plain, read_suite
from tests.leaderboard.published import SUITE

PLAIN: dict[str, Any] = {
    "datasets": {
        "a": {"task": "segmentation", "metric": "miou"},
        "b": {"task": "regression", "metric": "rmse", "direction": "min"},
    },
    "groups": {"both": {"label": "Both of them", "datasets": ["a", "b"]}},
    "seeds": 2,
}


def changed(path: str, value: Any) -> dict[str, Any]:
    """PLAIN with one value replaced."""
    *parents, last = path.split(".")
    copy: dict[str, Any] = {k: v for k, v in PLAIN.items()}
    place = copy
    for name in parents:
        place[name] = dict(place[name])
        place = place[name]
    place[last] = value
    return copy


def test_geobench2_has_its_nine_groups_and_63_memberships() -> None:
    suite = read_suite(SUITE)
    assert len(suite.groups) == 9 and len(suite.datasets) == 19
    assert sum(len(group.datasets) for group in suite.groups.values()) == 63


def test_no_data_set_is_in_both_resolution_groups_and_the_text_fits_the_members() -> None:
    suite = read_suite(SUITE)
    fine, coarse = suite.group("under_10m"), suite.group("10m and Above Resolution")
    assert not set(fine.datasets) & set(coarse.datasets)
    assert {"spacenet7", "dynamic_earthnet"} <= set(fine.datasets)  # 4 m and 3 m
    assert "finer than 10 m" in fine.about


def test_a_group_is_found_by_key_and_by_label() -> None:
    suite = from_plain(PLAIN, "s")
    assert suite.group("both") is suite.group("Both of them")
    with pytest.raises(GeoadaptError, match="did you mean 'both'"):
        suite.group("bot")


def test_seeds_may_be_a_list() -> None:
    assert from_plain({**PLAIN, "seeds": [0, 1, 2]}, "s").seeds == 3


@pytest.mark.parametrize(
    ("path", "value", "reason"),
    [
        ("groups.both.datasets", ["a", "bb"], "did you mean 'b'"),
        ("groups.both.datasets", ["a", "a"], "twice"),
        ("groups.both.datasets", [], "no data sets"),
        ("groups.both.abuot", "x", "did you mean 'about'"),
        ("datasets.a.metrik", "x", "did you mean 'metric'"),
        ("datasets.a", {"task": "segmentation"}, "lacks its metric"),
        ("datasets.a.direction", "up", "max or min"),
        ("seeds", 0, "no number of runs"),
        ("datasets", None, "no mapping"),
    ],
)
def test_a_wrong_suite_is_refused_with_the_reason(path: str, value: Any, reason: str) -> None:
    with pytest.raises(GeoadaptError, match=reason):
        from_plain(changed(path, value), "s")


def test_a_suite_that_is_not_there_has_a_nearest_name(tmp_path: Path) -> None:
    (tmp_path / "real.yaml").write_text("{}")
    with pytest.raises(GeoadaptError, match="did you mean 'real'"):
        read_suite(tmp_path / "rael.yaml")
