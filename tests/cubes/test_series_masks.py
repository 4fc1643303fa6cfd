"""What is clear in a series: quality layers found beside scenes, given by the caller, or made by a function."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from geoadapt.cubes.reading import Reading
from geoadapt.cubes.series import open_series
from geoadapt.cubes.series_masks import MaskFile, mask_beside
from geoadapt.cubes.series_parts import Choice
from geoadapt.cubes.series_paths import parts_at
from geoadapt.errors import GeoadaptError
from geoadapt.io.base import Window
from geoadapt.io.listing import SceneFiles
from tests import synth
from tests.cubes.series_made import NAMES, both, labels, write

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


def test_masks_come_from_a_glob_a_mapping_or_nowhere(tmp_path: Path) -> None:
    for i, date in enumerate(("20220601", "20220602")):
        write(tmp_path / "scenes", date, i)
        synth.write_tif(tmp_path / "masks" / f"cloud_{date}.tif", labels(seed=i)[None])
    _, clear = both(open_series(tmp_path / "scenes", mask=str(tmp_path / "masks" / "*.tif")))
    np.testing.assert_array_equal(clear, np.stack([labels(seed=0), labels(seed=1)]) == 0)
    given_ = {
        "2022-06-01": tmp_path / "masks/cloud_20220602.tif",
        "scene_20220602": tmp_path / "masks/cloud_20220601.tif",
    }
    _, swapped = both(open_series(tmp_path / "scenes", mask=given_))
    np.testing.assert_array_equal(swapped, clear[::-1])
    with pytest.warns(UserWarning, match="no quality layer was found"), open_series(tmp_path / "scenes") as series:
        assert series.read()[1].all()
    with open_series(tmp_path / "scenes", mask="none") as series:
        assert series.read()[1].all() and series.info.notes == ()
    with pytest.raises(GeoadaptError, match="missing for 1 scene: .'scene_20220602'"):
        open_series(tmp_path / "scenes", mask={"2022-06-01": "a.tif"})
    with pytest.raises(GeoadaptError, match="no mask for scene scene_20220602"):
        open_series(tmp_path / "scenes", mask=str(tmp_path / "masks" / "*0601.tif"))
    with pytest.raises(GeoadaptError, match="did you mean 'auto'"):
        open_series(tmp_path / "scenes", mask="autos")


def test_a_treatment_that_there_is_not_is_refused_before_any_scene_is_opened(tmp_path: Path) -> None:
    with pytest.raises(GeoadaptError, match="treatment: 'snw' is unknown; did you mean 'snow'"):
        open_series(tmp_path, treatment={"snw": "cloudy"})


def test_a_mask_that_only_some_scenes_have_is_an_error(tmp_path: Path) -> None:
    write(tmp_path, "20220601", 0, labels())
    write(tmp_path, "20220602", 1)
    with pytest.raises(GeoadaptError, match="scene_20220602: has no quality layer"):
        open_series(tmp_path)
    assert both(open_series(tmp_path, mask="none"))[1].all()


def test_a_damaged_mask_names_its_file(tmp_path: Path) -> None:
    write(tmp_path, "20220601", 0, np.full((64, 48), 77, np.uint8))
    with open_series(tmp_path) as series, pytest.raises(GeoadaptError, match=r"scene_20220601_mask.tif: holds \[77\]"):
        series.read()


def test_a_function_makes_masks_of_every_window_before_doubles_are_merged(tmp_path: Path) -> None:
    bright = synth.scene(3, seed=0)
    bright[:, :10] = 0.9
    write(tmp_path, "20220601", values=bright, tail="T100000")
    write(tmp_path, "20220601", 1, tail="T110000")
    shapes = []

    def masker(values: NDArray[np.float32]) -> NDArray[np.bool_]:
        shapes.append(values.shape)
        return values[:, 0] < 0.8

    with open_series(tmp_path, mask=masker, duplicates="mosaic") as series:
        values, clear = series.read(Window(0, 0, 20, 48))
    assert shapes == [(2, 3, 20, 48)] and clear.all()
    np.testing.assert_array_equal(values[0, :, :10], synth.scene(3, seed=1)[:, :10])
    np.testing.assert_array_equal(values[0, :, 10:], bright[:, 10:20])
    with (
        open_series(tmp_path, mask=lambda values: values[:, 0], duplicates="first") as wrong,
        pytest.raises(GeoadaptError, match="its function gave float32"),
    ):
        wrong.read()


def test_a_quality_band_in_the_file_is_read_raw(tmp_path: Path) -> None:
    flags = np.where(labels() == 0, 0, 4).astype(np.int16)
    for i, day in enumerate((108, 140)):
        stored = np.concatenate([np.round(synth.scene(3, seed=i) * 1e4).astype(np.int16), flags[None]])
        synth.write_tif(tmp_path / f"LT50350321984{day}XXX01_stack.tif", stored, nodata=-9999)
    with open_series(tmp_path, names=(*NAMES, "fmask"), scale=1e-4) as series:
        values, clear = series.read()
        assert series.info.bands == NAMES
        assert series.info.sensors == ("landsat5", "landsat5")
        assert any("clear as fmask says, from a band of the file" in note for note in series.info.notes)
    np.testing.assert_allclose(values[1], synth.scene(3, seed=1), atol=1e-4)
    np.testing.assert_array_equal(clear[0], flags == 0)


def test_a_landsat_folder_brings_its_own_quality_band(tmp_path: Path) -> None:
    product = synth.write_landsat(tmp_path, level="L2SP")
    flags = np.full((40, 30), 21824, np.uint16)
    flags[:9] = 22280
    synth.write_tif(product / f"{product.name}_QA_PIXEL.TIF", flags[None], place=synth.transform(30))
    with open_series(tmp_path, bands=("red", "nir")) as series:
        _, clear = series.read()
        assert any("landsat_c2_qa_pixel" in note for note in series.info.notes)
    assert not clear[0, :9].any() and clear[0, 9:, 1:].all() and not clear[0, :, 0].any()
    (product / f"{product.name}_QA_PIXEL.TIF").rename(product / f"{product.name}_BQA.TIF")
    with pytest.raises(GeoadaptError, match="Collection 1, but its product .* is of Collection 2"):
        open_series(tmp_path, bands=("red", "nir"))


def test_band_files_and_quality_files_of_one_glob_find_each_other(tmp_path: Path) -> None:
    for i, day in enumerate(("2022004T154109", "2022020T154109")):
        name = f"HLS.L30.T31UFS.{day}.v2.0"
        for band, values in zip(("B03", "B04"), synth.scene(2, seed=i), strict=True):
            synth.write_tif(tmp_path / f"{name}.{band}.tif", np.round(values * 1e4).astype(np.int16)[None])
        synth.write_tif(tmp_path / f"{name}.Fmask.tif", np.where(labels(seed=i) == 0, 64, 2).astype(np.uint8)[None])
    for paths in (tmp_path, f"{tmp_path}/*.tif", f"{tmp_path}/*.B0[34].tif"):
        values, clear = both(open_series(paths))
        np.testing.assert_allclose(values[1], synth.scene(2, seed=1), atol=1e-4)
        np.testing.assert_array_equal(clear[0], labels(seed=0) == 0)
    with pytest.raises(GeoadaptError, match="quality layers, but no images"):
        open_series(f"{tmp_path}/*Fmask.tif")


def test_a_safe_product_brings_its_scene_classification(tmp_path: Path) -> None:
    product = synth.write_safe(tmp_path, level="2A", bands=("B04", "B11"))
    classes = np.full((60, 60), 4, np.uint8)
    classes[:, 30:] = 9
    image = next(product.rglob("*_B11_20m.jp2"))
    synth.write_tif(
        image.with_name(image.name.replace("B11_20m.jp2", "SCL_20m.tif")), classes[None], place=synth.transform(20)
    )
    with open_series(product) as series:
        values, clear = series.read()
        assert series.info.bands == ("red", "swir16")
        assert any("sentinel2_scl" in note for note in series.info.notes)
    assert clear.shape == (1, 120, 120)
    assert clear[0, 2:, :60].all() and not clear[0, :, 60:].any() and not clear[0, 0].any()


def near(hidden: NDArray[np.bool_], buffer: int) -> NDArray[np.bool_]:
    """What lies within ``buffer`` px of a hidden pixel (h, w), by its definition."""
    rows, cols = np.nonzero(hidden)
    y, x = np.mgrid[: hidden.shape[0], : hidden.shape[1]]
    apart = (y[..., None] - rows) ** 2 + (x[..., None] - cols) ** 2
    return np.asarray((apart <= buffer**2).any(-1))


@pytest.mark.parametrize("asset", ["SCL.tif?sig=a%2Fb.c", "SCL.tif"])
def test_the_items_of_a_search_are_found_in_its_answer_and_their_masks_behind_signed_links(
    tmp_path: Path, asset: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    features = [
        {
            "type": "Feature", "stac_version": "1.0.0", "id": f"S2_{day}", "geometry": None,
            "links": [{"rel": "self", "href": f"https://api.example.org/items/S2_{day}"}],
            "properties": {"datetime": f"2022-06-0{day}T10:00:00Z"},
            "assets": {
                "red": {"href": f"https://example.org/{day}/B04.tif?sig=a", "type": "image/tiff", "roles": ["data"]},
                "SCL": {"href": f"https://example.org/{day}/{asset}", "type": "image/tiff", "roles": ["metadata"]},
            },
        }
        for day in (1, 2)
    ]  # fmt: skip
    answer = tmp_path / "found.json"
    answer.write_text(json.dumps({"type": "FeatureCollection", "stac_version": "1.0.0", "features": features}))
    given: list[SceneFiles | str] = []
    monkeypatch.setattr("geoadapt.cubes.series_paths.scene_parts", lambda scenes, *_: given.extend(scenes) or ([], []))
    parts_at(str(answer), Reading(allow_external=True), Choice(), {}, None)
    masks = [mask_beside(scene, Choice()) for scene in given]
    assert masks == [MaskFile(f"https://example.org/{day}/{asset}", 0, "sentinel2_scl") for day in (1, 2)]


def test_a_buffer_widens_every_mask_and_windows_have_no_seams(tmp_path: Path) -> None:
    holes = synth.scene(3, seed=0)
    holes[:, 40:50, 30:] = np.nan
    for i, date in enumerate(("20220601", "20220602")):
        write(tmp_path, date, values=holes if i == 0 else synth.scene(3, seed=1), mask=labels(0.01, seed=i))
    plain, clear = both(open_series(tmp_path))
    with open_series(tmp_path, buffer=4) as series:
        values, wide = series.read()
        assert "what lies within 4 px of a masked pixel counts as masked too" in series.info.notes
        for tile in (7, 16, 41):
            for row in range(0, 64, tile):
                for col in range(0, 48, tile):
                    window = Window(row, col, min(tile, 64 - row), min(tile, 48 - col))
                    part, seen = series.read(window)
                    inside = np.s_[..., row : row + window.height, col : col + window.width]
                    np.testing.assert_array_equal(part, values[inside])
                    np.testing.assert_array_equal(seen, wide[inside])
    np.testing.assert_array_equal(values, plain)
    for n in range(2):
        cloud = (labels(0.01, seed=n) != 0) & np.isfinite(plain[n]).all(0)
        np.testing.assert_array_equal(wide[n], clear[n] & ~near(cloud, 4))  # what is missing hides nothing around it
    assert 0.2 < wide.mean() < 0.9 * clear.mean()
    with pytest.raises(GeoadaptError, match="buffer: -1 px"):
        open_series(tmp_path, buffer=-1)


def test_a_buffer_is_drawn_around_the_clouds_of_every_scene_of_a_mosaic(tmp_path: Path) -> None:
    one = labels(0)
    one[30, 20] = 1
    write(tmp_path, "20220601", 0, one, tail="T100000")
    write(tmp_path, "20220601", 1, labels(0), tail="T110000")
    values, clear = both(open_series(tmp_path, duplicates="mosaic", buffer=3))
    second = near(one != 0, 3)
    assert clear.all() and second.sum() == 29
    np.testing.assert_array_equal(values[0], np.where(second, synth.scene(3, seed=1), synth.scene(3, seed=0)))


def test_a_buffer_widens_what_a_function_masks(tmp_path: Path) -> None:
    write(tmp_path, "20220601")
    most = np.float32(np.quantile(synth.scene(3)[0], 0.999))
    bright = synth.scene(3)[0] > most

    with open_series(tmp_path, mask=lambda values: values[:, 0] <= most, buffer=2) as series:
        whole = series.read()[1][0]
        parts = [series.read(Window(row, 0, 16, 48))[1][0] for row in range(0, 64, 16)]
    np.testing.assert_array_equal(whole, ~near(bright, 2))
    np.testing.assert_array_equal(np.concatenate(parts), whole)
