from __future__ import annotations

import json
import re
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks.peers import side, ukis_csmask
from geoadapt.cubes.classes import NODATA
from geoadapt.errors import GeoadaptError
from geoadapt.fields.scenes import Dataset, LabelledScene
from geoadapt.io.arrays import ArraySource
from tests.folders import ROOT

# A stand-in for a peer: cloud where the first band is bright, shadow where it is dark, 255 where it is missing.
PROGRAM = """
import json, sys
from pathlib import Path
import numpy as np
folder = Path(sys.argv[1])
job = json.loads((folder / "job.json").read_text())
for n in range(job["count"]):
    first = np.load(folder / f"{n}.npy")[..., 0]
    labels = np.where(np.isnan(first), 255, np.where(first > 0.5, 1, np.where(first < 0.1, 2, 0)))
    np.save(folder / f"{n}.labels.npy", labels.astype(np.uint8))
(folder / "about.json").write_text(json.dumps({"version": "9", "channels": job["channels"], "path": sys.path}))
"""


@pytest.fixture
def program(tmp_path: Path) -> Path:
    path = tmp_path / "program.py"
    path.write_text(PROGRAM)
    return path


def labelled(channels: tuple[str, ...] = ukis_csmask.CHANNELS) -> LabelledScene:
    """Left third cloud, middle clear, right third shadow; one bright pixel is called clear, one pixel is missing."""
    truth = np.repeat(np.array([1, 0, 3], np.uint8), 32)[None, None].repeat(64, axis=1)
    image = np.choose(truth[0], [0.3, 0.7, 0.0, 0.05]).astype(np.float32)[None].repeat(len(channels), axis=0)
    truth[0, 0, 0] = 0
    image[:, 1, 40] = np.nan
    return LabelledScene(
        "a/b c", ArraySource(image, channels), ArraySource(truth, ("label",), nodata=NODATA), (0, 1, 3)
    )


def dataset(scene: LabelledScene) -> Dataset:
    return Dataset("made", scene.image.info.bands, (scene,), (), {}, {})


def test_labels_come_back_and_are_scored_as_ours_are(program: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ukis_csmask, "environment", lambda name: Path(sys.executable))
    monkeypatch.setattr(ukis_csmask, "HERE", program.parent)
    program.rename(program.parent / "call_ukis_csmask.py")
    record = ukis_csmask.measure(dataset(labelled()))
    found = record["runs"][0]["metrics"]  # type: ignore[index]
    pixels = 64 * 32
    assert found["iou/cloud"] == pytest.approx((pixels - 1) / pixels)
    assert found["iou/shadow"] == 1
    assert found["iou/clear"] == pytest.approx((pixels - 1) / pixels), "the missing pixel counts as asked for"
    assert found["iou_low/cloud"] <= found["iou/cloud"] <= found["iou_high/cloud"]
    assert record["channels"] == list(ukis_csmask.CHANNELS)
    assert "| a/b c | 1.000 |" in ukis_csmask.table(record)


def test_a_shadow_counts_as_clear_where_the_labels_know_none() -> None:
    scene = replace(labelled(), classes=(0, 1))
    truth = np.repeat(np.array([1, 0, 0], np.uint8), 32)[None, None].repeat(64, axis=1)
    scene = replace(scene, label=ArraySource(truth, ("label",), nodata=NODATA))
    said = np.repeat(np.array([1, 0, 2], np.uint8), 32)[None].repeat(64, axis=0)
    found = ukis_csmask.score(said, scene)
    assert found["iou/clear"] == 1 and "iou/shadow" not in found


def test_a_scene_without_a_band_is_refused_by_name() -> None:
    with pytest.raises(GeoadaptError, match=r"a/b c: lacks \['swir22'\]"):
        ukis_csmask.image_of(labelled(ukis_csmask.CHANNELS[:5]), ukis_csmask.CHANNELS[:5])


def test_a_program_sees_nothing_of_this_project(program: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", "/elsewhere")
    _, about = side.call(Path(sys.executable), program, {"s": np.zeros((2, 2, 1), np.float32)}, ("blue",))
    assert not {"/elsewhere", str(program.parent)} & set(about["path"])  # type: ignore[call-overload]


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("import sys; sys.exit('no model here')", "no model here"),
        ("pass", "left no labels for s"),
        (
            "import sys, numpy as n; n.save(sys.argv[1] + '/0.labels.npy', n.zeros((3, 3)))",
            r"gave labels \(3, 3\) float64",
        ),
    ],
)
def test_a_program_that_fails_is_named_with_what_it_said(tmp_path: Path, code: str, words: str) -> None:
    path = tmp_path / "program.py"
    path.write_text(code)
    with pytest.raises(GeoadaptError, match=rf"program\.py: .*{words}"):
        side.call(Path(sys.executable), path, {"s": np.zeros((2, 2, 1), np.float32)}, ("blue",))


def test_without_a_network_the_error_says_so_and_nothing_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    for name in ("PIP_FIND_LINKS", "PIP_CONFIG_FILE"):
        monkeypatch.setenv(name, "/dev/null")
    with pytest.raises(GeoadaptError, match=r"ukis_csmask\.txt: .*is there a network\?"):
        side.environment("ukis_csmask", tmp_path)
    assert not list(tmp_path.iterdir()), "a half-made environment would be taken for a whole one"


def test_an_environment_is_made_once_and_again_when_its_requirements_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(side, "HERE", tmp_path)
    (tmp_path / "nothing.txt").write_text("# no package\n")
    python = side.environment("nothing", tmp_path / ".venv")
    mark = python.parent / "mark"
    mark.touch()
    assert side.environment("nothing", tmp_path / ".venv") == python and mark.exists()
    (tmp_path / "nothing.txt").write_text("# no package either\n")
    side.environment("nothing", tmp_path / ".venv")
    assert not mark.exists()


def test_every_requirement_is_pinned_and_names_no_place() -> None:
    for path in sorted((ROOT / "benchmarks" / "peers").glob("*.txt")):
        lines = [line for line in path.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
        odd = [line for line in lines if not re.fullmatch(r"[A-Za-z0-9._-]+==[0-9][\w.]*", line)]
        assert lines and not odd, f"{path.name}: {odd}"


def test_the_stored_record_is_the_one_that_the_readme_can_print() -> None:
    record = json.loads(ukis_csmask.RECORD.read_text(encoding="utf-8"))
    assert {run["test"] for run in record["runs"]} == {"landsat7", "sentinel2"}
    assert record["version"] == "1.0.0" and record["date"] and record["machine"]
    assert ukis_csmask.table(record).count("\n") == 3
