"""The demo, made very small: the whole path runs and leaves what it names."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
import rasterio

from geoadapt.cli import main
from geoadapt.cli.demo import Scale, demo
from geoadapt.errors import GeoadaptError
from geoadapt.shipped import FOLDER


def test_the_demo_leaves_what_it_names(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "my demo [1]"
    small = Scale(scenes=4, side=128, fit_steps=2, chip=32)
    assert demo(output, size=200, scale=small) == 0
    said = capsys.readouterr().out
    page = (output / "index.html").read_text(encoding="utf-8")
    assert str(output / "index.html") in said and "geoadapt predict '" in said and "--weights" not in said
    card = json.loads((FOLDER / "small_eo" / "card.json").read_text(encoding="utf-8"))
    assert "simulated" in said and "simulated" in page and "small_eo, came pre-trained with geoadapt" in page
    assert f"{card['parameters']:,} parameters" in page and card["data"] in page
    assert 'href="run/report.html"' in page and (output / "run" / "report.html").is_file()
    masks = list((output / "masks").glob("*_labels.tif"))
    scene = next((output / "scene").glob("*.tif"))
    with rasterio.open(masks[0]) as mask, rasterio.open(scene) as image:
        assert mask.shape == (200, 200) and mask.crs == image.crs and mask.transform == image.transform
        assert set(np.unique(mask.read(1))) <= {0, 1, 2, 3, 255}
    off = re.search(r"were (0\.\d+) off on average, and are (0\.\d+) off after", page)
    assert off is not None and float(off[2]) < 0.5 * float(off[1]), "the place is no clearer than before"
    assert len(list((output / "restored").glob("*_clear.tif"))) >= 12
    bundle = json.loads((output / "run" / "bundle" / "bundle.json").read_text(encoding="utf-8"))
    assert bundle["source"]["sha256"] == card["sha256"], "another backbone than the one that ships was adapted"


def test_a_dry_run_says_what_the_demo_would_do_and_writes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "demo"
    assert main(["demo", "--dry-run", "--output", str(output), "--size", "300"]) == 0
    said = capsys.readouterr().out
    assert "one of 300 × 300 px" in said and "nothing was run" in said
    assert not output.exists()
    (tmp_path / "file").write_text("")
    assert main(["demo", "--dry-run", "--output", str(tmp_path / "file" / "demo")]) == 1
    assert "is a file; choose a folder" in capsys.readouterr().err


def test_a_copy_without_the_backbone_is_said_before_anything_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("geoadapt.shipped.FOLDER", tmp_path / "package")
    with pytest.raises(GeoadaptError, match="small_eo: this copy of geoadapt comes without weights; install"):
        demo(tmp_path / "demo")
    assert main(["demo", "--dry-run", "--output", str(tmp_path / "demo")]) == 1
    assert list(tmp_path.iterdir()) == []
