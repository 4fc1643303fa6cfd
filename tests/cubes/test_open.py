"""One door for everything: globs, parts, dates, stores, lazy reading."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import numpy as np
import pytest
import rasterio
import xarray as xr
from rasterio.warp import transform_bounds
from shapely.geometry import Point, box

from geoadapt.cubes.open import open_cube
from geoadapt.cubes.scene import open_scene
from geoadapt.errors import GeoadaptError
from tests import synth

NAMES = ("blue", "green", "red")


def degrees(left: float, bottom: float, right: float, top: float) -> tuple[float, float, float, float]:
    return transform_bounds(synth.CRS, "EPSG:4326", left, bottom, right, top)


def test_lazy_and_plain_reading_agree(tmp_path: Path) -> None:
    product = synth.write_safe(tmp_path, bands=("B02", "B11"))
    plain, lazy = open_cube(product), open_cube(product, chunks={"y": 50, "x": 33})
    assert plain.chunks is None
    assert lazy.chunks[2] == (50, 50, 20)
    xr.testing.assert_identical(plain, lazy.compute(scheduler="threads"))


def test_a_bad_chunk_size_is_named(tmp_path: Path) -> None:
    path = synth.write_tif(tmp_path / "a.tif", synth.scene(3), names=NAMES)
    with pytest.raises(GeoadaptError, match="chunks"):
        open_cube(path, chunks={"rows": 3})


def test_a_box_reads_the_pixels_it_touches_and_keeps_their_place(tmp_path: Path) -> None:
    path = synth.write_tif(tmp_path / "a.tif", synth.scene(3), names=NAMES)
    whole = open_cube(path)
    box_degrees = degrees(synth.LEFT + 100, synth.TOP - 300, synth.LEFT + 200, synth.TOP - 150)
    part = open_cube(path, bbox=box_degrees)
    assert 0 <= part.sizes["y"] - 15 <= 2
    assert 0 <= part.sizes["x"] - 10 <= 2
    xr.testing.assert_equal(part.drop_vars("spatial_ref"), whole.sel(x=part["x"], y=part["y"]).drop_vars("spatial_ref"))
    assert part.rio.transform().c == part["x"].values[0] - 5


def test_an_area_masks_what_lies_outside(tmp_path: Path) -> None:
    path = synth.write_tif(tmp_path / "a.tif", synth.scene(3), names=NAMES)
    centre = degrees(synth.LEFT + 200, synth.TOP - 300, synth.LEFT + 200, synth.TOP - 300)
    part = open_cube(path, aoi=Point(centre[0], centre[1]).buffer(0.001))
    inside = np.isfinite(part.values[0, 0])
    assert 0.6 < inside.mean() < 0.9
    assert not inside[0, 0]
    assert inside[inside.shape[0] // 2, inside.shape[1] // 2]


def test_a_box_beside_the_scene_says_where_the_scene_is(tmp_path: Path) -> None:
    path = synth.write_tif(tmp_path / "a.tif", synth.scene(3), names=NAMES)
    with pytest.raises(GeoadaptError, match=r"does not touch the area.*spans west, south, east, north = 4\.4"):
        open_cube(path, bbox=(10, 10, 11, 11))


@pytest.mark.parametrize("bbox", [(1, 2, 3), (4.4, 52, 4.5, 51), (600000, 1, 600100, 2), (4.4, 51, 4.4, 52)])
def test_a_box_that_is_none_is_refused(tmp_path: Path, bbox: tuple[float, ...]) -> None:
    path = synth.write_tif(tmp_path / "a.tif", synth.scene(3), names=NAMES)
    with pytest.raises(GeoadaptError, match="bbox"):
        open_cube(path, bbox=bbox)


def test_scenes_of_a_glob_are_stacked_by_date(tmp_path: Path) -> None:
    for i, date in enumerate(("20220603", "20220601", "20220602")):
        synth.write_tif(tmp_path / f"scene_{date}.tif", synth.scene(3, seed=i), names=NAMES)
    cube = open_cube(str(tmp_path / "scene_*.tif"))
    assert [str(t)[:10] for t in cube["time"].values] == ["2022-06-01", "2022-06-02", "2022-06-03"]
    np.testing.assert_array_equal(cube.values[0], synth.scene(3, seed=1))
    assert open_cube(tmp_path).identical(cube.assign_attrs(source=str(tmp_path)))


def test_a_stack_names_its_sensor_where_one_took_all_of_it(tmp_path: Path) -> None:
    for date, sensor in (("20220601", "landsat7"), ("20220602", "landsat7"), ("20220603", "landsat8")):
        path = synth.write_tif(tmp_path / f"scene_{date}.tif", synth.scene(3), names=NAMES)
        with rasterio.open(path, "r+") as file:
            file.update_tags(sensor=sensor)
    assert "sensor" not in open_cube(tmp_path).attrs
    assert open_cube(sorted(tmp_path.glob("*.tif"))[:2]).attrs["sensor"] == "landsat7"


def test_a_name_that_looks_like_a_glob_is_itself(tmp_path: Path) -> None:
    path = synth.write_tif(tmp_path / "a [1] (copy), ü=x.tif", synth.scene(3), names=NAMES)
    assert open_cube(path).shape == (1, 3, 64, 48)


def test_a_glob_that_matches_nothing_says_what_is_there(tmp_path: Path) -> None:
    synth.write_tif(tmp_path / "a.tif", synth.scene(1))
    with pytest.raises(GeoadaptError, match=r"matches nothing; found there: a\.tif"):
        open_cube(str(tmp_path / "*.jp2"))


def test_scenes_without_a_date_or_with_one_date_twice_are_refused(tmp_path: Path) -> None:
    paths = [synth.write_tif(tmp_path / f"{n}.tif", synth.scene(3), names=NAMES) for n in ("a", "b")]
    with pytest.raises(GeoadaptError, match="2 of 2 scenes have no date"):
        open_cube(paths)
    twice = [synth.write_tif(tmp_path / f"{n}_20220101.tif", synth.scene(3), names=NAMES) for n in ("a", "b")]
    with pytest.raises(GeoadaptError, match="same date"):
        open_cube(twice)


def test_single_band_files_given_one_by_one_are_one_scene(tmp_path: Path) -> None:
    folder = synth.write_landsat(tmp_path)
    files = sorted(folder.glob("*_B[2-5].TIF"))
    assert list(open_cube(files)["band"].values) == ["blue", "green", "red", "nir"]


def test_a_folder_of_products_is_stacked(tmp_path: Path) -> None:
    synth.write_landsat(tmp_path, mission=8, level="L2SP")
    cube = open_cube(tmp_path, bands=("red",))
    assert cube.shape == (1, 1, 40, 30)


def test_a_stac_collection_is_read_by_date_with_its_scale(tmp_path: Path) -> None:
    cube = open_cube(synth.write_stac(tmp_path, ("2022-06-02", "2022-06-01")), bands=("nir", "blue"))
    np.testing.assert_allclose(cube.values[:, :, 5, 5], [[0.31, 0.21], [0.30, 0.20]], atol=1e-6)
    assert int(np.isnan(cube.values).sum()) == 4
    assert open_cube(tmp_path / "2022-06-01" / "item.json").shape == (1, 2, 20, 16)


@pytest.mark.filterwarnings("ignore::zarr.errors.UnstableSpecificationWarning")
@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize(("zarr_format", "name"), [(2, "a.zarr"), (3, "a.zarr"), (None, "a.nc")])
def test_stores_give_the_same_cube_decoded_once(tmp_path: Path, zarr_format: int | None, name: str, times: int) -> None:
    written = synth.write_store(tmp_path / name, zarr_format, times=times)["image"]
    for chunks in (None, 8):
        cube = open_cube(tmp_path / name, bands=("nir", "blue"), chunks=chunks)
        np.testing.assert_allclose(cube.values, written.sel(band=["nir", "blue"]).values, atol=5.1e-5)
        assert cube.rio.crs.to_epsg() == 32631
        assert (cube.chunks is None) == (chunks is None)


def test_weather_becomes_its_canonical_dataset(data_dir: Path) -> None:
    fields = open_cube(data_dir / "weather" / "era5" / "era5_1995-07-14T12.nc")
    assert isinstance(fields, xr.Dataset)
    assert 250 < float(fields["2m_temperature"].mean()) < 320
    with pytest.raises(GeoadaptError, match="holds fields"):
        open_cube(data_dir / "weather" / "era5" / "era5_1995-07-14T12.nc", bbox=(0, 0, 1, 1))


def test_missing_bands_are_listed_with_those_found(tmp_path: Path) -> None:
    path = synth.write_tif(tmp_path / "a.tif", synth.scene(3), names=NAMES)
    with pytest.raises(GeoadaptError, match=r"bands \['swir16'\] are missing; wanted \['red', 'swir16'\], found"):
        open_cube(path, bands=("red", "swir16"))


def test_a_stand_in_is_said(tmp_path: Path) -> None:
    path = synth.write_tif(tmp_path / "a.tif", synth.scene(2), names=("red", "nir08"))
    cube = open_cube(path, bands=("nir",))
    assert "nir is taken from nir08" in cube.attrs["notes"]


def test_an_area_and_a_box_together_are_refused(tmp_path: Path) -> None:
    path = synth.write_tif(tmp_path / "a.tif", synth.scene(3), names=NAMES)
    with pytest.raises(GeoadaptError, match="both bbox and aoi"):
        open_cube(path, bbox=(4, 51, 5, 52), aoi=box(4, 51, 5, 52))


def test_a_crossing_of_the_antimeridian_is_cut_out(data_dir: Path) -> None:
    with pytest.warns(UserWarning, match="not known as reflectance"):
        cube = open_cube(data_dir / "geotiff" / "cog_dateline.tif", bbox=(179.5, 51.0, -179.5, 51.5))
    assert 400 < cube.sizes["x"] < 1000
    assert 300 < cube.sizes["y"] < 800


def test_errors_survive_a_trip_between_processes() -> None:
    error = pickle.loads(pickle.dumps(GeoadaptError("a", "b", "c")))
    assert (error.path, error.problem, error.hint) == ("a", "b", "c")


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_rasters_beside_band_files_are_never_passed_over(tmp_path: Path) -> None:
    for name in ("red", "blue", "scene2", "QA_PIXEL", "preview"):
        synth.write_tif(tmp_path / f"{name}.tif", synth.scene(1))
    with pytest.raises(GeoadaptError, match=r"scenes hold different bands: .*\['blue', 'red'\] and .*scene2\.tif"):
        open_cube(tmp_path)
    with pytest.raises(GeoadaptError, match=r"holds 2 scenes .*scene2\.tif"):
        open_scene(tmp_path)
    (tmp_path / "scene2.tif").unlink()
    assert open_scene(tmp_path).info.bands == ("blue", "red")


def test_one_raster_called_like_a_band_hides_none_of_its_bands_and_no_other_raster(tmp_path: Path) -> None:
    for name, day in (("2022-06-01_red", 1), ("2022-06-02", 2)):
        synth.write_tif(tmp_path / f"{name}.tif", synth.scene(3, seed=day), names=NAMES)
    cube = open_cube(tmp_path)
    assert cube.shape[:2] == (2, 3)
    np.testing.assert_array_equal(cube.values[0], synth.scene(3, seed=1))
    (tmp_path / "2022-06-02.tif").unlink()
    with pytest.raises(GeoadaptError, match=r"_red\.tif: holds 3 bands, but is taken for the band 'red' alone"):
        open_cube(tmp_path)


def test_scenes_in_folders_of_their_own_are_all_found(tmp_path: Path) -> None:
    synth.write_tif(tmp_path / "one" / "s_20220601.tif", synth.scene(3), names=NAMES)
    for name in NAMES:
        synth.write_tif(tmp_path / "two" / f"s_20220602_{name}.tif", synth.scene(1))
    assert open_cube(tmp_path, bands=NAMES).sizes["time"] == 2


def test_the_answer_of_a_stac_search_is_read_like_a_collection(tmp_path: Path) -> None:
    dates = ("2022-06-01", "2022-06-02")
    whole = open_cube(synth.write_stac(tmp_path, dates))
    features = [json.loads((tmp_path / d / "item.json").read_text()) for d in dates]
    for feature, date in zip(features, dates, strict=True):
        for asset in feature["assets"].values():
            asset["href"] = asset["href"].replace("./", f"./{date}/")
    search = tmp_path / "search.json"
    search.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    np.testing.assert_array_equal(open_cube(search).values, whole.values)


def test_a_date_in_the_files_tags_is_taken_and_said(tmp_path: Path) -> None:
    for name, text in (("a", "2022:06:01 10:11:12"), ("b", "2022-06-01T12:11:12+02:00")):
        path = synth.write_tif(tmp_path / f"{name}.tif", synth.scene(3), names=NAMES)
        with rasterio.open(path, "r+") as file:
            file.update_tags(TIFFTAG_DATETIME=text, sensor="sentinel2_l2a")
        cube = open_cube(path)
        assert str(cube["time"].values[0])[:19] == "2022-06-01T10:11:12"
        assert "the date 2022-06-01 is the file's own tag" in cube.attrs["notes"]
        assert cube.attrs["sensor"] == "sentinel2_l2a"
    named = (tmp_path / "a.tif").rename(tmp_path / "a_20210101.tif")
    assert str(open_cube(named)["time"].values[0])[:10] == "2021-01-01"


def test_a_home_folder_may_be_written_with_a_tilde(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synth.write_tif(tmp_path / "a.tif", synth.scene(3), names=NAMES)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert open_cube("~/a.tif").shape == open_cube("~/*.tif").shape == (1, 3, 64, 48)
