from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from geoadapt.cli.compose import compose
from geoadapt.cli.train import data_note, make_data, outline, train
from geoadapt.errors import GeoadaptError
from geoadapt.inference.folder import hold
from tests.synth import scene


@pytest.fixture
def real(tmp_path: Path) -> Path:
    """Two tiny scenes in csmask's layout."""
    (tmp_path / "real").mkdir()
    for seed, name in enumerate(("sentinel2", "landsat7")):
        image = scene(6, 48, 48, seed).transpose(1, 2, 0)
        mask = np.random.default_rng(seed).integers(0, 5, (48, 48, 1)).astype(np.uint8)
        np.savez(tmp_path / "real" / f"{name}.npz", img=image, msk=mask)
    return tmp_path / "real"


def mixed(real: Path, made: Path) -> list[str]:
    simulated = f"data.simulated={{root: {made}, scenes: 2, size: 64, block: 32}}"
    return ["data=mixed", f"data.real={{name: csmask, root: {real}, test: [landsat7], block: 16}}", simulated]


def test_the_simulated_part_of_a_mixture_is_made_by_the_run_and_the_real_one_must_be_there(
    real: Path, tmp_path: Path
) -> None:
    made = tmp_path / "made"
    job = compose(mixed(real, made))
    line = next(line for line in outline(job) if line.startswith("data"))
    assert str(real) in line and f"{made}, made by the run" in line
    assert data_note(job) == [] and not made.exists(), "a dry run makes nothing"
    make_data(job)
    assert len(list((made / "images").glob("*.tif"))) == 2
    with pytest.raises(GeoadaptError, match="is no folder"):
        outline(compose(mixed(tmp_path / "nowhere", made)))


def test_data_of_ones_own_are_left_alone(real: Path) -> None:
    make_data(compose(["data=csmask", f"data.root={real}", "data.test=[landsat7]"]))
    assert len(list(real.iterdir())) == 2


def test_a_run_folder_belongs_to_one_run_at_a_time(real: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    with hold(run), pytest.raises(GeoadaptError, match=r"another run \(process \d+\) is writing here"):
        train(["data=csmask", f"data.root={real}", "data.test=[landsat7]"], run)
    assert [path.name for path in run.iterdir()] == [".lock"]
