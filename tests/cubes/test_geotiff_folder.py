"""Every file of the folder of odd GeoTIFFs: the cube it gives, or the one error."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest

from geoadapt.cubes.inspect import inspect
from geoadapt.cubes.open import open_cube
from geoadapt.errors import GeoadaptError

# name → (bands, height, width), CRS, missing values
CUBES: dict[str, tuple[tuple[int, int, int], str | None, int]] = {
    "201609281750_FINUTM.tif": ((1, 7316, 4963), "EPSG:3067", 0),
    "RGB.byte.gcp.vrt": ((3, 718, 791), "EPSG:32618", 555356),
    "RGB.byte.rpc.vrt": ((3, 718, 791), None, 555356),
    "RGB.byte.tif": ((3, 718, 791), "EPSG:32618", 555356),
    "RGBA.uint16.tif": ((3, 411, 634), "EPSG:32612", 399774),
    "all-nodata.tif": ((4, 2475, 71), "EPSG:32628", 4 * 2475 * 71),
    "byte.tif": ((1, 20, 20), "EPSG:26711", 0),
    "cog_cmap.tif": ((1, 8704, 7168), "EPSG:3857", 27741584),
    "cog_dateline.tif": ((1, 2355, 2325), "EPSG:32660", 0),
    "cog_gcps.tif": ((1, 837, 1280), None, 0),
    "cog_int16.tif": ((1, 2667, 2658), "EPSG:32621", 3414419),
    "cog_nodata_nan.tif": ((1, 549, 549), "EPSG:32610", 154081 + 4),
    "cog_nonearth.tif": ((1, 884, 921), "Equirectangular EUROPA", 734778),
    "cog_rgb_mask.tif": ((3, 232, 383), "EPSG:26913", 8217),
    "cog_scale.tif": ((2, 256, 256), "unnamed", 12),
    "dataset_missing_nodata_nan.tif": ((1, 800, 800), "EPSG:4326", 639451),
    "dataset_nocrs.tif": ((1, 167, 202), "EPSG:3035", 0),
    "dgm50hs_col_32_368_5616_nw_bigtiff.tiff": ((3, 294, 315), "EPSG:25832", 0),
    "float32.tif": ((1, 2, 3), None, 0),
    "float_nan.tif": ((1, 2, 3), None, 1),
    "float_raster_with_nodata.tif": ((1, 12, 13), "IGNF:ETRS89LAEA", 58),
    "gcps.tif": ((3, 200, 200), None, 0),
    "goes.tif": ((3, 542, 542), "unnamed", 191136),
    "inverted_lat.tif": ((1, 360, 720), "EPSG:4326", 360 * 720),
    "red.tif": ((3, 64, 64), "EPSG:4326", 0),
    "rotated.tif": ((1, 15, 10), None, 0),
    "s2_multires": ((6, 1024, 512), "EPSG:32631", 0),
    "stere.tif": ((3, 265, 273), "unnamed", 0),
    "test_esri_wkt.tif": ((1, 2, 2), "ESRI:102039", 0),
    "test_rpcs.tif": ((1, 274, 232), "EPSG:4326", 10516),
    "world.byte.tif": ((1, 1200, 2880), "EPSG:4326", 0),
}
ERRORS: dict[str, str] = {
    "cint16.tif": "holds complex numbers",
    "cog_tags.tif": "band 'green' holds 1000…1001 after the declared scale and offset",
    "dataset_with_offsets.tif": "band 'green' holds 1000…1001 after the declared scale and offset",
    "corrupt.tif": "cannot be read from row 512 of 1024 on",
    "no_band.h5": "holds no band of its own",
    "two-subs.h5": "holds no band of its own",
}


def test_the_table_names_every_file_of_the_folder(data_dir: Path) -> None:
    assert {p.name for p in (data_dir / "geotiff").iterdir()} == set(CUBES) | set(ERRORS)


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("name", CUBES)
def test_a_file_gives_the_cube_it_must_give(data_dir: Path, name: str) -> None:
    shape, crs, missing = CUBES[name]
    cube = open_cube(data_dir / "geotiff" / name)
    assert cube.dims == ("time", "band", "y", "x")
    assert cube.dtype == np.float32
    assert cube.shape == (1, *shape)
    assert int(np.isnan(cube.values).sum()) == missing
    found = cube.rio.crs
    if crs is None:
        assert found is None
    else:
        assert crs in found.to_string()


@pytest.mark.parametrize("name", ERRORS)
def test_a_file_gives_the_one_error_it_must_give(data_dir: Path, name: str) -> None:
    with pytest.raises(GeoadaptError, match=ERRORS[name]) as error:
        open_cube(data_dir / "geotiff" / name)
    assert error.value.path.endswith(name)
    assert error.value.hint


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("name", ["cog_tags.tif", "dataset_with_offsets.tif"])
def test_raw_units_keep_numbers_that_are_no_reflectance(data_dir: Path, name: str) -> None:
    cube = open_cube(data_dir / "geotiff" / name, units="raw")
    assert cube.shape == (1, 1, 256, 256)
    assert int(np.isnan(cube.values).sum()) == 6
    assert 999 < float(cube.min()) < float(cube.max()) < 1002


@pytest.mark.parametrize("name", sorted({*CUBES, *ERRORS} - {"corrupt.tif"}))
def test_inspect_reads_all_that_gdal_reads(data_dir: Path, name: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        report = inspect(data_dir / "geotiff" / name)
    text = report.as_text()
    if name in CUBES:
        (bands, height, width), crs, _ = CUBES[name]
        assert (len(report.bands), report.height, report.width) == (bands, height, width)
        assert (report.crs or "none") in text
        assert crs is None or report.crs is not None
    elif name.endswith(".h5"):
        assert len(report.subdatasets) == 2
        assert "open one of its subdatasets" in text


def test_inspect_says_of_a_corrupt_file_that_it_is_damaged(data_dir: Path) -> None:
    with pytest.raises(GeoadaptError, match="cannot be read"):
        inspect(data_dir / "geotiff" / "corrupt.tif")


def test_a_subdataset_is_opened_by_the_name_that_the_error_lists(data_dir: Path) -> None:
    report = inspect(data_dir / "geotiff" / "two-subs.h5")
    with pytest.warns(UserWarning, match="not known as reflectance"):
        cube = open_cube(report.subdatasets[0])
    assert cube.shape == (1, 1, 3, 3)


def test_real_landsat_folder_has_its_bands_date_and_reflectance(data_dir: Path) -> None:
    with pytest.warns(UserWarning, match="a border is all zero"):
        cube = open_cube(data_dir / "cloudmask" / "l8_toa", bands=("blue", "green", "red", "nir", "swir16", "swir22"))
    assert list(cube["band"].values) == ["blue", "green", "red", "nir", "swir16", "swir22"]
    assert str(cube["time"].values[0])[:10] == "2015-10-22"
    assert cube.attrs["units"] == "reflectance"
    assert float(cube.sel(band="blue").max()) == pytest.approx(0.4503708)
    assert float(cube.sel(band="nir").max()) == pytest.approx(0.6429807)
