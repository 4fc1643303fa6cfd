"""Reports say what is there and what is odd."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from rasterio.shutil import copy

from data_pipelines.simulate.dataset import write_image
from data_pipelines.simulate.scene import SceneSpec, simulate_scene
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


def test_dates_and_sensors_of_our_own_simulated_scenes_are_shown(tmp_path: Path) -> None:
    path = write_image(tmp_path / "a.tif", simulate_scene(SceneSpec(64, 1, "sentinel2", "2021-07-05", 0.3)))
    report = inspect(path)
    assert (report.time or "")[:10] == "2021-07-05"
    assert report.sensor == "sentinel2"
    assert report.warnings == ()


def test_a_store_with_an_odd_calendar_or_odd_attributes_is_described_and_doubted(tmp_path: Path) -> None:
    values = ("time", "y", "x"), np.ones((2, 5, 6), np.float32), {"missing_value": -1.0, "_FillValue": -2.0}
    time = ("time", [0, 1], {"units": "days since 0000-00-00 00:00:00", "calendar": "365_days"})
    xr.Dataset({"ts": values}, {"time": time}).to_netcdf(tmp_path / "a.nc")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        report = inspect(tmp_path / "a.nc")
    assert (report.height, report.width, report.bands[0].name) == (5, 6, "ts")
    assert "multiple fill values" in " ".join(report.warnings)


def test_everything_that_gdal_reads_is_described(data_dir: Path) -> None:
    odd = ("climate/control/b003_TS_200-299.nc", "precip/bcsd_obs_1999.nc", "weather/levels/NCEP_06_climo.nc")
    plain = ("precip/ST4.2002030112.06h.grb", "precip/knmi/RAD_NL25_RAP_5min_201008260000.h5")
    for name in (*odd, *plain):
        report = inspect(data_dir / name)
        assert report.bands and report.height > 1, name


def test_a_folder_is_reported_by_its_first_raster_or_as_the_one_raster_that_it_is(tmp_path: Path) -> None:
    first = synth.write_tif(tmp_path / "many" / "a.tif", synth.scene(3), names=("blue", "green", "red"))
    synth.write_tif(tmp_path / "many" / "b.tif", synth.scene(1))
    report = inspect(tmp_path / "many")
    assert (report.kind, report.driver, len(report.bands)) == ("raster", "GTiff", 3)
    assert "holds 2 scenes" in report.warnings[0]
    copy(first, tmp_path / "old", driver="MFF2")
    assert inspect(tmp_path / "old").driver == "MFF2"
    (tmp_path / "none").mkdir()
    with pytest.raises(GeoadaptError, match="holds no raster"):
        inspect(tmp_path / "none")
