from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_pipelines import ensure
from data_pipelines.pretraining import CHANNELS, REAL
from geoadapt.errors import GeoadaptError
from geoadapt.fields.chips import RandomChips
from geoadapt.fields.config import PretrainingDataConfig
from geoadapt.fields.pretraining import build
from geoadapt.fields.scenes import interleave


def config(root: Path, **changes: object) -> PretrainingDataConfig:
    return PretrainingDataConfig(root=str(root), scenes=2, size=64, block=32, val_fraction=0.25, **changes)  # type: ignore[arg-type]


def test_simulated_scenes_alone_make_a_data_set_without_labels(tmp_path: Path) -> None:
    plain = config(tmp_path, real=False)
    ensure(plain)
    data = build(plain)
    assert data.channels == CHANNELS and len(data.train) == 2 and not data.test
    assert all(scene.label is None for scene in data.train) and data.simulated
    assert data.note == "2 simulated scenes", "no real tile takes part"
    sample = RandomChips(data, 32, 4, 0)[1]
    assert set(np.unique(sample.label)) <= {0, 255}


def test_data_that_were_not_made_say_how_to_make_them(tmp_path: Path) -> None:
    with pytest.raises(GeoadaptError, match="geoadapt prepare data=pretraining"):
        build(config(tmp_path))


def test_only_the_four_sets_that_shipped_weights_may_see_are_read(tmp_path: Path, data_dir: Path) -> None:
    ensure(config(tmp_path))
    data = build(config(tmp_path))
    names = {scene.name for scene in data.train if not scene.name.startswith("simulated")}
    assert set(REAL) == {
        "cloudmask/l8_toa",
        "timeseries/eopatch_s2",
        "geotiff/s2_multires",
        "cloudremoval/le7_slcoff",
    }
    assert names == {
        "landsat8_l8_toa",
        *(f"sentinel2_eopatch_{i}" for i in range(5)),
        "sentinel2_s2_multires",
        "landsat7_le7_slcoff",
    }
    for scene in data.train:
        sample = RandomChips(data, 32, len(data.turns), 0)[data.turns.index(data.train.index(scene))]
        inside = sample.values[sample.valid]
        assert sample.where.scene == scene.name and 0 < np.median(inside) < 1, f"{scene.name} is not reflectance"


def test_a_missing_real_set_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GEOADAPT_DATA", str(tmp_path / "none"))
    with pytest.raises(GeoadaptError, match="l8_toa: is not there; set GEOADAPT_DATA"):
        ensure(config(tmp_path))


@given(st.integers(1, 60), st.integers(1, 20), st.floats(0.05, 0.95))
def test_every_scene_has_its_turn_and_the_share_is_kept(first: int, second: int, share: float) -> None:
    turns = interleave(first, second, share)
    counts = Counter(turns)
    assert set(counts) == set(range(first + second))
    taken = sum(counts[i] for i in range(first, first + second))
    assert abs(taken - share * len(turns)) <= 2 + share * 2


@pytest.mark.parametrize("share", [0.0, 0.001, 1.0])
def test_a_share_that_cannot_be_kept_is_refused_by_its_own_key(tmp_path: Path, share: float) -> None:
    with pytest.raises(GeoadaptError, match=r"data\.real_share: .*; choose 0\.01 to 0\.99"):
        config(tmp_path, real_share=share)
