"""``geoadapt predict`` with radar: a bundle that was trained with it must be given it, and what it hears counts."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import rasterio
import xarray as xr
from numpy.typing import NDArray

from data_pipelines.simulate.series_dataset import series_specs, write_series
from geoadapt.bundle.restorer import load_restorer
from geoadapt.cli import main
from geoadapt.config import InferConfig, job_from_plain
from geoadapt.cubes.series import open_series
from geoadapt.fields.series import Radar, Sample, Series, series_batch
from geoadapt.inference.restore_block import BlockJob
from geoadapt.inference.restore_radar import open_heard
from geoadapt.inference.restore_room import stack_room
from geoadapt.training.run import train

PLACES = {"train": 1, "val": 1, "test": 1}
SIZE, DATES, CHIP = 16, 6, 16
SMALL = [
    "infer.animation=false",
    "infer.zarr=false",
    "infer.composites=[]",
    "infer.tile=64",
    "infer.overlap=8",
    "infer.keep_clear=false",
]
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Simulated places with radar, and under ``bundle`` what a few steps on them gave."""
    folder = tmp_path_factory.mktemp("radar")
    write_series(folder / "data", series_specs(PLACES, SIZE, DATES, 0, 20.0, radar=True))
    job = job_from_plain(
        {
            "backbone": {"name": "galileo_nano", "random_weights": True},
            "adapter": {"name": "none"},
            "head": {"name": "removal", "width": 4},
            "task": {"name": "cloud_removal", "frames": 3, "val_samples": 2, "test_samples": 2},
            "data": {
                **{"name": "simulated_series", "root": str(folder / "data"), "size": SIZE, "dates": DATES},
                **{**PLACES, "radar": True, "test_months": [1, 2, 3, 4, 5, 6]},
            },
            "train": {
                **{"steps": 4, "batch": 2, "chip": CHIP, "val_every": 2, "bootstrap": 20, "controls": "none"},
                "lr": 0.05,
            },
            "runtime": {"device": "cpu", "threads": 1, "precision": "fp32"},
        }
    )
    train(job, folder, "geoadapt train")
    return folder


@pytest.fixture(scope="module")
def place(root: Path) -> str:
    return next((root / "data" / "series").glob("simulated_test_*.zarr")).name


def clear(folder: Path) -> NDArray[np.int16]:
    found = []
    for path in sorted(folder.glob("*_clear.tif")):
        with rasterio.open(path) as file:
            found.append(file.read())
    return np.stack(found)


def words(root: Path, place: str, out: Path, *more: str) -> list[str]:
    series = root / "data" / "series" / place
    return ["predict", str(series), "-b", str(root / "bundle"), "-o", str(out), "runtime.device=cpu", *SMALL, *more]


@pytest.fixture(scope="module")
def restored(root: Path, place: str) -> Path:
    """The place without its clouds, with its radar."""
    assert main(words(root, place, root / "out", f"infer.radar={root / 'data' / 'radar' / place}")) == 0
    return root / "out"


def test_a_bundle_that_was_trained_with_radar_is_refused_without(
    root: Path, place: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert json.loads((root / "bundle" / "bundle.json").read_text())["removal"]["heard"] == ["vv", "vh"]
    for more in ([], ["--dry-run"]):
        assert main(words(root, place, tmp_path / "out", *more)) == 1
        assert "infer.radar: " in (told := capsys.readouterr().err) and "was trained with radar (VV and VH)" in told
    series = str(root / "data" / "series" / place)
    given = ["--method", "linear", "-o", str(tmp_path / "out"), f"infer.radar={root / 'data' / 'radar' / place}"]
    assert main(["predict", series, *given]) == 1
    assert "linear takes no radar" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_the_room_that_a_stack_needs_counts_its_radar(root: Path, place: str) -> None:
    data, config = root / "data", InferConfig(tile=64, overlap=8)
    with open_heard(open_series(data / "series" / place), str(data / "radar" / place), ("vv", "vh")) as stack:
        alone, both = (
            stack_room(stack.info, BlockJob((0,)), config, learned=True, margin=4, heard=heard)
            for heard in (None, stack.heard)
        )
        square = len(stack.heard.times) * 2 * SIZE * SIZE
    assert both.memory - alone.memory == 3 * 4 * square > 0 and both.disk == alone.disk


def test_radar_reaches_the_model_as_in_training(root: Path, place: str, restored: Path) -> None:
    (result,) = json.loads((restored / "run.json").read_text())["stacks"]
    assert any("for each date the nearest in time: 2.0 days away in the median" in note for note in result["notes"])
    made = clear(restored)

    bundle = load_restorer(root / "bundle")
    with (
        open_series(root / "data" / "series" / place, bands=bundle.channels) as source,
        open_series(root / "data" / "radar" / place, units="raw", mask="none", bands=("vv", "vh")) as heard,
    ):
        values, seen = source.read()
        echoes = Radar(heard.read()[0], heard.info.times, ("vv", "vh"))
        info = source.info
        series = Series(
            "place", values, seen, info.times, info.bands, None, info.resolution or 0.0, info.sensors[0], echoes
        )
    nothing = np.zeros((SIZE, SIZE), bool)
    for date in range(len(series.times)):
        image = bundle.restore(series_batch([Sample(series, date, nothing)])).image[0].numpy()
        stored = made[date].astype(np.float32) * np.float32(1e-4)
        known = (made[date] != -32768) & np.isfinite(image)
        assert known.any()
        # where only the date itself shows a pixel, it stays as it was seen
        np.testing.assert_allclose(stored[known], image[known], atol=1.1e-4)


def test_other_radar_gives_another_image_and_what_is_no_decibel_is_refused(
    root: Path, place: str, restored: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = root / "data" / "radar" / place
    other = tmp_path / "louder.zarr"
    shutil.copytree(own, other)
    with xr.open_zarr(own, decode_cf=False) as store:
        louder = store.load()
    louder["image"].values[:] = np.where(louder["image"] == -32768, -32768, louder["image"] // 3)
    louder.to_zarr(other, mode="w", zarr_format=3, consolidated=False)
    assert main(words(root, place, tmp_path / "b", f"infer.radar={other}")) == 0
    one, two = clear(restored), clear(tmp_path / "b")
    assert (one != two).any() and ((one == -32768) == (two == -32768)).all()

    louder["image"].values[:] = np.abs(louder["image"].values)
    louder.to_zarr(other, mode="w", zarr_format=3, consolidated=False)
    capsys.readouterr()
    assert main(words(root, place, tmp_path / "c", f"infer.radar={other}")) == 1
    assert "backscatter of land is below 0 dB" in capsys.readouterr().err
