"""The demo, made very small: the whole path runs and leaves what it names."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio

from geoadapt.cli.demo import Scale, demo


def test_the_demo_leaves_what_it_names(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "my demo [1]"
    small = Scale(scenes=4, side=128, pretrain_seconds=0.5, fit_steps=2, chip=32)
    assert demo(output, size=200, scale=small) == 0
    said = capsys.readouterr().out
    page = (output / "index.html").read_text(encoding="utf-8")
    assert str(output / "index.html") in said and "geoadapt predict '" in said
    assert "simulated" in said and "simulated" in page and "pre-trained in this run" in page
    assert 'href="run/report.html"' in page and (output / "run" / "report.html").is_file()
    masks = list((output / "masks").glob("*_labels.tif"))
    scene = next((output / "scene").glob("*.tif"))
    with rasterio.open(masks[0]) as mask, rasterio.open(scene) as image:
        assert mask.shape == (200, 200) and mask.crs == image.crs and mask.transform == image.transform
        assert set(np.unique(mask.read(1))) <= {0, 1, 2, 3, 255}
    assert (output / "run" / "bundle" / "bundle.json").is_file()
