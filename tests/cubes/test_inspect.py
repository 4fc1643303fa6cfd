"""Reports say what is there and what is odd."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from geoadapt.cubes.inspect import inspect
from geoadapt.errors import GeoadaptError
from tests import synth


def test_a_report_holds_bands_ranges_place_and_doubts(tmp_path: Path) -> None:
    array = np.full((2, 20, 30), 4000, np.uint16)
    array[0, 5, 5], array[1, 0, :] = 65535, 0
    report = inspect(synth.write_tif(tmp_path / "a.tif", array, names=("red", "nir"), nodata=0))
    text = report.as_text()
    assert (report.driver, report.height, report.width, report.crs) == ("GTiff", 20, 30, "EPSG:32631")
    assert [b.name for b in report.bands] == ["red", "nir"]
    assert (report.bands[0].minimum, report.bands[0].maximum) == (4000, 65535)
    assert report.bands[1].missing == pytest.approx(0.05)
    assert "looks unscaled: red, nir exceed 2" in text
    assert "looks saturated: red reach 65535" in text
    assert 4.4 < report.bounds[0] < report.bounds[2] < 4.5


def test_a_scaled_named_file_has_no_doubts(tmp_path: Path) -> None:
    array = (synth.scene(2) * 10000).astype(np.uint16)
    report = inspect(synth.write_tif(tmp_path / "a.tif", array, names=("red", "nir"), scale=1e-4, nodata=0))
    assert report.warnings == ()


@pytest.mark.filterwarnings("ignore::zarr.errors.UnstableSpecificationWarning")
def test_products_folders_and_stores_are_reported(tmp_path: Path) -> None:
    safe = inspect(synth.write_safe(tmp_path, bands=("B02", "B11")))
    assert safe.sensor == "sentinel2_l1c"
    assert safe.time == "2023-07-14T10:56:29.024000+00:00"
    assert [(b.name, b.scale, b.offset) for b in safe.bands] == [("blue", 1e-4, -0.1), ("swir16", 1e-4, -0.1)]
    stac = inspect(synth.write_stac(tmp_path / "stac", ("2022-06-01", "2022-06-02")))
    assert "holds 2 scenes" in stac.warnings[0]
    assert stac.subdatasets == ("item-2022-06-01", "item-2022-06-02")
    synth.write_store(tmp_path / "a.zarr")
    store = inspect(tmp_path / "a.zarr")
    assert (store.driver, store.height, store.width, store.crs) == ("Zarr", 24, 20, "EPSG:32631")
    assert store.bands[0].scale == pytest.approx(1e-4)
    assert store.bands[0].maximum > 1000
    for report in (safe, stac, store):
        assert json.loads(json.dumps(report.as_dict()))["path"] == report.path


def test_what_is_absent_is_named(tmp_path: Path) -> None:
    with pytest.raises(GeoadaptError, match="does not exist"):
        inspect(tmp_path / "absent.tif")
