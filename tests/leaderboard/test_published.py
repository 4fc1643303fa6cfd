"""Every published number of GEO-Bench-2's leaderboard, from the published runs."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from geoadapt.leaderboard.geobench2 import Published, displayed, per_dataset, published
from geoadapt.leaderboard.groups import Suite, read_suite
from geoadapt.leaderboard.normalise import Normaliser, derive
from geoadapt.leaderboard.table import Table, table_of
from tests.leaderboard.published import BASE, SUITE, reference, submission

SUBMISSIONS = ("full_ft/114be1f0", "full_ft/2ce4a907", "frozen/80100fc6")
SHOWN: dict[str, dict[str, tuple[float | None, ...]]] = {
    "full_ft/114be1f0": {
        "clay_v1_base": (77.8, 66.1, 81.7, 77.6, 45.9, 67.8, 67.4, 67.3, 72.8),
        "resnet50": (26.8, 21.2, 11.1, 39.9, 23.9, 23.5, 43.9, 28.4, 34.1),
        "dofa_base_patch16_224": (None, 53.4, 64.1, 60.4, 61.7, None, 65.2, 58.7, 64.0),
    },
    "full_ft/2ce4a907": {"terramind_v1_large": (67.4, 81.8, 98.1, 76.7, 63.7, 43.5, 63.4, 79.6, 57.2)},
    "frozen/80100fc6": {
        "satlas_swin_b_sentinel2_si_ms": (None, -15.3, 43.7, 17.0, -65.0, None, -23.1, -0.3, -9.5),
    },
}
"""Rows of the leaderboard as it shows them: Core, MS, MT, pixel, classes, detection, under 10 m, from 10 m, RGB/NIR."""


@cache
def suite() -> Suite:
    return read_suite(SUITE)


@cache
def normaliser(folder: Path) -> Normaliser:
    return derive(table_of([r for name in BASE for r in submission(folder, name)], by=("board", "backbone")), "1")


@cache
def scored(folder: Path, name: str) -> tuple[Table, Table, Published]:
    raw = table_of(submission(folder, name), by=("backbone",))
    scaled = normaliser(folder).apply(raw)
    return raw, scaled, published(scaled, suite())


def test_published_normaliser_comes_from_the_two_base_submissions(golden_dir: Path) -> None:
    stored = reference(golden_dir)["normalizer_stored"]
    found = {name: [known.low, known.high] for name, known in normaliser(golden_dir).ranges.items()}
    assert found == stored and len(found) == 19


def test_published_groups_and_metrics_are_those_of_the_suite(golden_dir: Path) -> None:
    told = reference(golden_dir)
    assert {g.label: sorted(g.datasets) for g in suite().groups.values()} == {
        label: sorted(members) for label, members in told["dimensions"].items()
    }
    assert suite().metrics() == told["metrics"] and suite().seeds == told["required_seeds"]
    assert suite().datasets["biomassters"].scale == told["biomassters_std"]


@pytest.mark.parametrize("name", SUBMISSIONS)
def test_published_capability_scores_and_errors(golden_dir: Path, name: str) -> None:
    _, _, found = scored(golden_dir, name)
    labels = [suite().groups[key].label for key in found.groups]
    for table, kind in ((found.score, "capability"), (found.sem, "capability_sem")):
        expected = reference(golden_dir)["expected"][name][kind]
        assert {entry for (entry,) in found.entries} == set(expected)
        want = np.array([[expected[e][label] for label in labels] for (e,) in found.entries], np.float64)
        np.testing.assert_allclose(table, want, rtol=0, atol=1e-12)
        assert np.isfinite(want).sum() > 20


@pytest.mark.parametrize("name", SUBMISSIONS)
def test_published_digits_are_shown(golden_dir: Path, name: str) -> None:
    _, _, found = scored(golden_dir, name)
    rows = dict(zip((entry for (entry,) in found.entries), displayed(found.score), strict=True))
    for entry, shown in SHOWN[name].items():
        np.testing.assert_array_equal(rows[entry], np.array(shown, np.float64), entry)


@pytest.mark.parametrize("name", SUBMISSIONS)
def test_published_ranks(golden_dir: Path, name: str) -> None:
    _, _, found = scored(golden_dir, name)
    told = pd.DataFrame(reference(golden_dir)["expected"][name]["capability"]).T.astype(float)
    want = told.rank(ascending=False, method="max")
    labels = [suite().groups[key].label for key in found.groups]
    np.testing.assert_array_equal(found.ranks, want.loc[[e for (e,) in found.entries], labels].to_numpy())


@pytest.mark.parametrize("name", SUBMISSIONS)
def test_published_data_sets(golden_dir: Path, name: str) -> None:
    raw, scaled, _ = scored(golden_dir, name)
    found = per_dataset(raw, scaled)
    rows = {entry: i for i, (entry,) in enumerate(raw.entries)}
    for mine, theirs in (("iqm", "dataset_iqm"), ("mean", "dataset_mean"), ("sem", "dataset_sem")):
        expected = reference(golden_dir)["expected"][name][theirs]
        assert len(expected) >= 3
        for entry, told in expected.items():
            want = np.array([told[d] for d in raw.datasets], np.float64)
            np.testing.assert_allclose(found[mine][rows[entry]], want, rtol=0, atol=1e-12, err_msg=f"{entry} {mine}")
