"""``geoadapt predict`` on a stack: what was typed reaches the engine, and what it says reaches the user."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import rasterio
import torch
from numpy.typing import NDArray
from torch import Tensor

from geoadapt.cli import main
from geoadapt.cubes.classes import CLOUD_CLASSES
from tests.inference.stacks import BANDS, Blur, stack
from tests.synth import write_tif

SMALL = ["infer.tile=24", "infer.overlap=8", "infer.animation=false", "infer.composites=[median]"]
METHOD = ["--method", "temporal_median", *SMALL]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with the dates of a stack, their masks, and an empty bundle of the task."""
    monkeypatch.chdir(tmp_path)
    source = stack()
    for time, image, clear in zip(source.info.times, source.values, source.clear, strict=True):
        day = str(time)[:10].replace("-", "")
        write_tif(tmp_path / "my stack" / f"s_{day}.tif", np.nan_to_num(image, nan=-1), names=BANDS, nodata=-1)
        write_tif(tmp_path / "masks" / f"m_{day}_SCL.tif", np.where(clear, 4, 9)[None].astype(np.uint8))
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "bundle.json").write_text('{"task": "cloud_removal"}')
    return tmp_path


def sources(folder: Path) -> NDArray[np.uint8]:
    found = []
    for path in sorted(folder.glob("*_source.tif")):
        with rasterio.open(path) as file:
            found.append(file.read(1))
    return np.stack(found)


def test_the_clouds_of_a_folder_are_removed_with_its_masks(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["predict", "my stack", *METHOD, "--mask", "masks/*_SCL.tif", "-o", "out (1)"]
    assert main(words) == 0
    shown = capsys.readouterr().out
    assert "done     out (1)/my stack: 4 dates" in shown and "restored by composite" in shown
    source = stack()
    want = np.where(source.clear, 1, np.where(source.clear.any(0), 3, 0))
    assert np.array_equal(sources(here / "out (1)"), want)
    assert json.loads((here / "out (1)" / "run.json").read_text())["command"] == "geoadapt " + shlex.join(words)
    assert main(words) == 0
    assert "skipped  out (1)/my stack" in capsys.readouterr().out
    write_tif(here / "masks" / "m_20200116_SCL.tif", np.full((1, 40, 50), 4, np.uint8))
    assert main([*words, "--json"]) == 0
    (result,) = json.loads(capsys.readouterr().out)
    assert result["status"] == "done" and result["pixels"]["observed_clear"] > 0
    assert (sources(here / "out (1)")[1] == 1).all()


def test_several_paths_are_one_stack_and_dates_can_be_named(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    paths = [f"my stack/s_{day}.tif" for day in ("20200105", "20200116", "20200127")]
    assert main(["predict", *paths, *METHOD, "--mask", "none", "--dates", "2020-01-16", "-o", "out", "--json"]) == 0
    (result,) = json.loads(capsys.readouterr().out)
    assert [kind for kind in result["files"] if kind.endswith("_clear")] == ["20200116_clear", "median_clear"]
    assert result["source"] == ", ".join(paths)


def test_a_mask_beside_a_scene_that_changes_makes_the_outputs_stale(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for path in (here / "masks").iterdir():
        path.rename(here / "my stack" / path.name.replace("m_", "s_"))
    paths = [f"my stack/s_{day}.tif" for day in ("20200105", "20200116")]
    words = ["predict", *paths, *METHOD, "infer.zarr=false", "-o", "out"]
    assert main(words) == 0 and main(words) == 0
    assert "skipped  " in capsys.readouterr().out
    write_tif(here / "my stack" / "s_20200116_SCL.tif", np.full((1, 40, 50), 9, np.uint8))
    assert main(words) == 0
    shown = capsys.readouterr().out
    assert "done     " in shown and "1 date without a clear pixel: 2020-01-16" in shown


def test_a_removal_bundle_is_run_on_the_stack(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    given: list[tuple[object, ...]] = []

    def load(folder: object, device: str, **more: object) -> Blur:
        given.append((folder, device, more["weights"], more["allow_mismatch"]))
        return Blur(("red", "blue"))

    monkeypatch.setattr("geoadapt.bundle.restorer.load_restorer", load)
    words = ["predict", "my stack", "-b", "b", "-o", "out", "--mask", "masks/*.tif", "--weights", "w", *SMALL]
    assert main([*words, "runtime.device=cpu"]) == 0
    assert given == [(Path("b"), "cpu", "w", False)]
    assert "method   blur" in capsys.readouterr().out
    assert set(np.unique(sources(here / "out"))) == {0, 1, 2}
    with rasterio.open(next((here / "out").glob("*_scale.tif"))) as scale:
        assert scale.descriptions == ("red", "blue") and scale.nodata == 65535


class Bright:
    """A cloud bundle without a network: cloud where blue is above 0.5."""

    name, channels, multiple, threshold, sha256 = "bright", ("blue",), 16, None, "0" * 64
    classes = CLOUD_CLASSES[:2]

    def scores(self, values: Tensor, valid: Tensor | None, **more: Any) -> Tensor:
        assert values.shape[-1] % 16 == 0 and bool(torch.isfinite(values).all()) and more["time"] is not None
        cloud = (values[:, :1] > 0.5).float()
        return torch.cat([1 - cloud, cloud], dim=1)


class Narrow(Bright):
    """A network that knows nothing of the outermost pixels of what it is shown, and calls them cloud."""

    multiple = 1

    def scores(self, values: Tensor, valid: Tensor | None, **more: Any) -> Tensor:
        cloud = torch.ones_like(values[:, :1])
        cloud[..., 1:-1, 1:-1] = 0
        return torch.cat([1 - cloud, cloud], dim=1)


def ship(bundle: object, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have ``bundle`` be the one that comes with the package, in ``folder``."""
    monkeypatch.setattr("geoadapt.cli.predict_series.shipped_bundle", lambda: folder)
    monkeypatch.setattr("geoadapt.bundle.load.load_bundle", lambda *args, **more: bundle)
    monkeypatch.setattr("geoadapt.bundle.card.read_card", lambda folder: (SimpleNamespace(backbone={}), ""))
    monkeypatch.setattr("geoadapt.cli.predict_series.shipped_weights", lambda name: None)


def test_masks_are_made_by_a_cloud_bundle_in_the_same_pass(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ship(Bright(), here / "b", monkeypatch)
    assert main(["predict", "my stack", *METHOD, "--mask", "bundle", "-o", "out"]) == 0
    source = stack()
    assert np.array_equal(sources(here / "out") == 1, source.clear)
    assert main(["predict", "my stack", *METHOD, "--mask", "bundle", "infer.cloud_buffer=2", "-o", "wide"]) == 0
    kept = sources(here / "wide") == 1
    assert (source.clear | ~kept).all() and kept.sum() < 0.9 * source.clear.sum()


def test_a_bundle_that_masks_sees_the_surroundings_of_every_block(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ship(Narrow(), here / "b", monkeypatch)
    assert main(["predict", "my stack", *METHOD, "--mask", "bundle", "infer.zarr=false", "-o", "out"]) == 0
    inside = np.isfinite(stack().values).all(1)[:, 1:-1, 1:-1]
    assert np.array_equal((sources(here / "out") == 1)[:, 1:-1, 1:-1], inside)


def test_another_threshold_or_another_bundle_makes_other_masks(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ship(Bright(), here / "b", monkeypatch)
    words = ["predict", "my stack", *METHOD, "--mask", "bundle", "infer.zarr=false", "-o", "out"]

    def status(*more: str) -> str:
        assert main([*words, *more]) == 0
        return next(line.split()[0] for line in capsys.readouterr().out.splitlines() if "out/my stack" in line)

    assert [status(), status(), status("infer.threshold=0.2")] == ["done", "skipped", "done"]
    (here / "b" / "bundle.json").write_text('{"task": "cloud_segmentation"}')
    assert status("infer.threshold=0.2") == "done"


def test_what_files_do_not_tell_can_be_said(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for path in (here / "my stack").iterdir():
        with rasterio.open(path) as file:
            bare = np.where(file.read() == -1, 7, file.read() * 5000 + 100).astype(np.int16)
        bands = 3 if "0127" in path.name else 4
        write_tif(path, bare[:bands], names=BANDS[:bands])
    words = ["predict", "my stack", *METHOD, "--mask", "none", "-o", "out"]
    assert main(words) == 1
    words += ["--scale", "2e-4", "--offset=-0.02", "--nodata", "7"]
    assert main(words) == 1
    assert "choose common ones: bands=['blue', 'green', 'red']" in capsys.readouterr().err
    assert main([*words, "--bands", "red,blue"]) == 0
    want = stack().values[0, [2, 0]]
    with rasterio.open(here / "out" / "my stack_20200105_clear.tif") as file:
        found = np.where(file.read() == file.nodata, np.nan, file.read() * file.scales[0])
        assert file.descriptions == ("red", "blue")
    known = np.isfinite(want).all(0)
    np.testing.assert_allclose(found[:, known], want[:, known], atol=3e-4)


def test_a_scheme_can_be_said_where_names_do_not_tell(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for path in (here / "masks").iterdir():
        path.rename(path.with_name(path.name.replace("SCL", "Fmask")))
    words = ["predict", "my stack", *METHOD, "--mask", "masks/*.tif", "-o", "out"]
    assert main(words) == 1
    assert "may hold the bits of HLS or the labels of Fmask" in capsys.readouterr().err
    assert main([*words, "--mask-scheme", "sentinel2_scl"]) == 0
    assert np.array_equal(sources(here / "out") == 1, stack().clear)


def test_a_bundle_masks_a_model_of_other_bands(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("geoadapt.bundle.load.load_bundle", lambda *args, **more: Bright())
    monkeypatch.setattr("geoadapt.bundle.restorer.load_restorer", lambda *args, **more: Blur(("nir", "red")))
    assert main(["predict", "my stack", "-b", "b", "--mask", "b", "-o", "out", *SMALL, "infer.zarr=false"]) == 0
    assert np.array_equal(sources(here / "out") == 1, stack().clear)
    with rasterio.open(next((here / "out").glob("*_clear.tif"))) as clear:
        assert clear.descriptions == ("nir", "red")


def test_a_dry_run_says_what_a_stack_would_need_and_writes_nothing(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["predict", "my stack", *METHOD, "--mask", "masks/*.tif", "-o", "out", "--dates", "2020-01-16"]
    assert main([*words, "--dry-run"]) == 0
    shown = capsys.readouterr().out
    assert "stack   my stack: 40 × 50 px, blue, green, red, nir" in shown
    assert "dates   4 from 2020-01-05T00:00:00 to 2020-02-07T00:00:00; 1 to be restored" in shown
    assert "MiB of memory beside the model" in shown and not (here / "out").exists()


def test_a_stack_that_cannot_be_read_is_listed_and_gives_status_1(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = here / "my stack" / "s_20200116.tif"
    path.write_bytes(path.read_bytes()[:300])
    assert main(["predict", "my stack", *METHOD, "--mask", "none", "-o", "out"]) == 1
    assert "failed   " in capsys.readouterr().err
    assert json.loads((here / "out" / "run.json").read_text())["counts"]["failed"] == 1
    assert not list((here / "out").glob("*.tif"))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--method", "temporal_medain", "-o", "out"], "did you mean 'temporal_median'?"),
        (["--method", "linear"], "--output: is missing"),
        (["--method", "linear", "-b", "b", "-o", "out"], "--method: is given beside --bundle"),
        (["--method", "linear", "-o", "out", "--grid", "frist"], "--grid: 'frist'"),
        (["--method", "linear", "-o", "out", "--propose", "3"], "--propose: is not for stacks"),
        (["--method", "linear", "-o", "out", "infer.composites=[mean]"], "infer.composites: 'mean'"),
        (["--method", "linear", "-o", "out", "--scale", "few"], "--scale: 'few' is no number"),
        (["--method", "linear", "-o", "out", "--mask-scheme", "sentinel2_slc"], "did you mean 'sentinel2_scl'?"),
        (["-b", "b", "-o", "out", "--bands", "red"], "--bands: is given beside --bundle"),
        (["--mask", "none", "-o", "out"], "--mask: belongs to stacks whose clouds are removed"),
    ],
)
def test_a_wrong_request_has_status_2_and_writes_nothing(
    words: list[str], message: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["predict", "my stack", *words]) == 2
    assert message in capsys.readouterr().err
    assert not (here / "out").exists()
