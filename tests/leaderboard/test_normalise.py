from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from geoadapt.errors import GeoadaptError
from geoadapt.leaderboard.normalise import derive, read, write
from geoadapt.leaderboard.table import table_of
from tests.leaderboard.published import record

BASE = [
    *(record("a", "pastis", seed, value) for seed, value in enumerate((0.2, 0.6))),
    *(record("b", "pastis", seed, value) for seed, value in enumerate((0.4, math.nan))),
    *(record("a", "fuel", seed, value, metric="rmse", direction="min") for seed, value in enumerate((30.0, 20.0))),
    record("a", "one", 0, 0.5),
]


def test_the_range_is_that_of_all_base_runs_and_less_may_be_better() -> None:
    made = derive(table_of(BASE), "1")
    others = [record("c", "pastis", 0, 0.8), record("c", "fuel", 0, 25.0, metric="rmse", direction="min")]
    others.append(record("c", "fuel", 1, 15.0, metric="rmse", direction="min"))
    scaled = made.apply(table_of(others))
    np.testing.assert_allclose(scaled.values[0], [[1.5, np.nan], [0.5, 1.5]])
    assert made.ranges["pastis"].runs == 3


def test_a_data_set_without_a_range_is_missing_and_named() -> None:
    made = derive(table_of(BASE), "1")
    assert "one" not in made.ranges and made.left_out[0].startswith("one: 1 base runs")
    assert np.isnan(made.apply(table_of([record("c", "one", 0, 0.5)])).values).all()


def test_another_metric_or_direction_than_the_base_is_refused() -> None:
    made = derive(table_of(BASE), "1")
    with pytest.raises(GeoadaptError, match=r"runs report rmse \(max\), the normaliser 1 is of rmse \(min\)"):
        made.apply(table_of([record("c", "fuel", 0, 25.0, metric="rmse", direction="max")]))


def test_a_stored_normaliser_comes_back_and_is_pinned(tmp_path: Path) -> None:
    made = derive(table_of(BASE), "1")
    path = write(made, tmp_path / "normaliser.json")
    assert read(path, "1") == made
    with pytest.raises(GeoadaptError, match="is version '1', the board's is '2'"):
        read(path, "2")
    told = json.loads(path.read_text())
    told["ranges"]["pastis"]["high"] = 0.7
    path.write_text(json.dumps(told))
    with pytest.raises(GeoadaptError, match="changed after it was written"):
        read(path)
    told["ranges"]["pastis"]["high"] = 0.1
    path.write_text(json.dumps(told))
    with pytest.raises(GeoadaptError, match="the range of pastis is none"):
        read(path)


def test_mixed_directions_and_metrics_of_one_data_set_are_refused() -> None:
    with pytest.raises(GeoadaptError, match="largest in some runs and smallest in others"):
        table_of([record("a", "pastis", 0, 0.5), record("a", "pastis", 1, 0.5, direction="min")])
    with pytest.raises(GeoadaptError, match="'Multiclass_Jaccard_Index' and 'accuracy'"):
        table_of([record("a", "pastis", 0, 0.5), record("a", "pastis", 1, 0.5, metric="accuracy")])


def test_two_runs_of_one_seed_are_refused_unless_they_are_told_apart() -> None:
    runs = [record("a", "pastis", 0, 0.5, head="unet"), record("a", "pastis", 0, 0.6, head="linear")]
    with pytest.raises(GeoadaptError, match="two runs of seed 0: head unet and linear"):
        table_of(runs)
    assert table_of(runs, by=("backbone", "head")).entries == (("a", "unet"), ("a", "linear"))
