"""Series in a STAC catalogue, in one store, or in files whose layers are dates."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from odc.geo.geobox import GeoBox

from geoadapt.cubes.series import open_series
from geoadapt.errors import GeoadaptError
from geoadapt.io.base import Window
from tests import synth
from tests.cubes.series_made import NAMES, both, labels, moved, stack

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


def write_items(folder: Path) -> Path:
    """A STAC item collection of two HLS-like scenes with a quality asset."""
    features = []
    for i, date in enumerate(("2022-06-03", "2022-06-01")):
        scene = f"HLS.L30.T31UFS.{date}"
        place: dict[str, object] = {}
        for band, values in zip(("red", "green"), synth.scene(2, seed=i), strict=True):
            synth.write_tif(folder / f"{i}" / f"{band}.tif", values[None])
            place[band] = {
                "href": f"./{i}/{band}.tif", "type": "image/tiff", "roles": ["data"],
                "eo:bands": [{"common_name": band}],
            }  # fmt: skip
        flags = np.where(labels(seed=i) == 0, 64, 2).astype(np.uint8)
        synth.write_tif(folder / f"{i}" / f"{scene}.v2.0.Fmask.tif", flags[None])
        place["Fmask"] = {"href": f"./{i}/{scene}.v2.0.Fmask.tif", "type": "image/tiff", "roles": ["metadata"]}
        features.append(
            {
                "type": "Feature", "stac_version": "1.0.0", "id": scene, "links": [], "assets": place,
                "properties": {"datetime": f"{date}T10:00:00Z"}, "geometry": None,
            }
        )  # fmt: skip
    path = folder / "found.json"
    path.write_text(json.dumps({"type": "FeatureCollection", "stac_version": "1.0.0", "features": features}))
    return path


def test_the_answer_of_a_stac_search_is_a_series(tmp_path: Path) -> None:
    with open_series(write_items(tmp_path)) as series:
        values, clear = series.read()
        assert series.info.names == ("HLS.L30.T31UFS.2022-06-01", "HLS.L30.T31UFS.2022-06-03")
        assert str(series.info.times[0]) == "2022-06-01T10:00:00"
        assert any("hls_fmask" in note for note in series.info.notes)
    assert series.info.bands == ("green", "red")
    np.testing.assert_array_equal(values[0], synth.scene(2, seed=1)[::-1])
    np.testing.assert_array_equal(clear[0], labels(seed=1) == 0)


def write_store(path: Path, clear: bool = True) -> Path:
    values = stack()
    values[2] = np.nan
    times = np.array(["2022-06-01", "2022-06-08", "2022-07-01", "2022-07-05", "2022-09-30"], "datetime64[ns]")
    y, x = synth.TOP - 10 * (np.arange(64) + 0.5), synth.LEFT + 10 * (np.arange(48) + 0.5)
    cube = xr.Dataset(
        {"image": (("time", "band", "y", "x"), values)},
        coords={"time": times, "band": list(NAMES), "y": y, "x": x},
    )
    if clear:
        cube["clear"] = (("time", "y", "x"), np.stack([labels(seed=i) == 0 for i in range(5)]).astype(np.uint8))
    cube = cube.rio.write_crs(synth.CRS)
    if path.suffix == ".nc":
        cube.to_netcdf(path)
    else:
        cube.to_zarr(path, zarr_format=2, consolidated=True)
    return path


@pytest.mark.parametrize("name", ["series.zarr", "series.nc"])
def test_a_store_with_dates_is_a_series(tmp_path: Path, name: str) -> None:
    path = write_store(tmp_path / name)
    with open_series(path, bands=("red", "blue"), start="2022-06-08") as series:
        values, clear = series.read(Window(3, 4, 20, 30))
        assert series.info.names[0] == "series_2022-06-08" and len(series.info.times) == 4
        assert series.info.crs is not None and series.info.crs.to_epsg() == 32631
        assert series.info.transform == synth.transform()
        assert "clear as clear says, from 'clear'" in series.info.notes
    assert np.isnan(values[1]).all() and not clear[1].any()
    np.testing.assert_array_equal(values[[0, 2, 3]], stack()[[1, 3, 4]][:, [2, 0], 3:23, 4:34])
    np.testing.assert_array_equal(clear[0], (labels(seed=1) == 0)[3:23, 4:34])


def test_a_store_may_come_to_another_grid(tmp_path: Path) -> None:
    path = write_store(tmp_path / "series.zarr", clear=False)
    values, clear = both(open_series(path, grid=GeoBox((32, 24), moved(0, 0, 20), synth.CRS)))
    means = stack().reshape(5, 3, 32, 2, 24, 2).mean((3, 5))
    np.testing.assert_allclose(values[[0, 1, 3, 4]], means[[0, 1, 3, 4]], atol=1e-6)
    assert np.isnan(values[2]).all() and clear.any((1, 2)).tolist() == [True, True, False, True, True]


def test_a_store_may_have_a_variable_per_band_with_unsigned_numbers(tmp_path: Path) -> None:
    stored = np.round(stack(3) * 1e4).astype(np.uint16)
    stored[1] = 65535
    variables = {
        f"S2-L2A-B0{k + 2}": (("t", "y", "x"), stored[:, k].view(np.int16), {"_Unsigned": "true"}) for k in range(3)
    }
    times = np.array(["2022-06-01", "2022-07-01", "2022-08-01"], "datetime64[ns]")
    path = tmp_path / "inputs.nc"
    xr.Dataset(variables, coords={"t": times}).to_netcdf(path)
    values, clear = both(open_series(path, scale=1e-4, nodata=65535))
    np.testing.assert_allclose(values[[0, 2]], stack(3)[[0, 2]], atol=1e-4)
    assert np.isnan(values[1]).all() and clear.all((1, 2)).tolist() == [True, False, True]
    with pytest.raises(GeoadaptError, match="reflectance is 0–1"):
        open_series(path, nodata=65535)


def test_a_sensor_that_the_caller_names_tells_the_scale_of_stores_and_dated_files(tmp_path: Path) -> None:
    stored = np.round(stack(3) * 1e4).astype(np.uint16)
    stored[1, :, :9] = 0
    times = np.array(["2022-06-01", "2022-07-01", "2022-08-01"], "datetime64[ns]")
    store = tmp_path / "bare.nc"
    variables = {name: (("time", "y", "x"), stored[:, k]) for k, name in enumerate(("blue", "green", "red"))}
    xr.Dataset(variables | {"lwir": (("time", "y", "x"), stored[:, 0])}, coords={"time": times}).to_netcdf(store)
    files = {name: synth.write_tif(tmp_path / f"{name}.tif", stored[:, k]) for k, name in enumerate(("blue", "green"))}
    for series in (open_series(store, sensor="sentinel2"), open_series(files, sensor="sentinel2", times=list(times))):
        values, clear = both(series)
        expected = np.where(stored == 0, np.nan, stored * np.float32(1e-4))[:, : values.shape[1]]
        np.testing.assert_allclose(values, expected, atol=1e-6)
        assert not clear[1, :9].any() and clear[1, 9:].all()
    with open_series(store, sensor="sentinel2", bands=("lwir",), mask="none", units="raw") as warm:
        assert warm.read()[0].max() > 100  # The scale is that of reflectance.


def test_a_store_without_dates_says_what_it_holds(tmp_path: Path) -> None:
    path = tmp_path / "one.nc"
    xr.Dataset({"height": (("y", "x"), np.zeros((4, 4), np.float32))}).to_netcdf(path)
    with pytest.raises(GeoadaptError, match=r"no image with dates .*found height"):
        open_series(path)


def test_files_whose_layers_are_dates_are_a_series(tmp_path: Path) -> None:
    values = stack(4)
    for k, name in enumerate(("blue", "mir")):
        synth.write_tif(tmp_path / f"{name}.tif", values[:, k])
    (tmp_path / "timeline").write_text("2007-09-14\n2007-09-30\n2007-11-01\n2008-01-01\n")
    with open_series(tmp_path, names={"mir": "swir22"}, end="2007-12-31") as series:
        found, clear = series.read(Window(2, 3, 10, 11))
        assert series.info.bands == ("blue", "swir22") and len(series.info.times) == 3
    np.testing.assert_array_equal(found, values[:3, :2, 2:12, 3:14])
    assert clear.all()
    one, _ = both(
        open_series({"red": tmp_path / "mir.tif"}, times=np.arange("2020-01", "2020-05", dtype="datetime64[M]"))
    )
    np.testing.assert_array_equal(one[:, 0], values[:, 1])
    with pytest.raises(GeoadaptError, match="holds 4 layers, but 2 dates were given"):
        open_series(tmp_path, times=["2020-01-01", "2020-02-01"])
    with pytest.raises(GeoadaptError, match="no dates"):
        open_series({"red": tmp_path / "mir.tif"})
