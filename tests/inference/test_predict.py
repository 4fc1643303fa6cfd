from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.control import GroundControlPoint
from rasterio.rpc import RPC
from rio_cogeo import cog_validate

from geoadapt.config import InferConfig
from geoadapt.cubes.classes import CLOUD_CLASSES
from geoadapt.errors import GeoadaptError
from geoadapt.inference.predict import predict
from geoadapt.inference.scenes import find_all
from tests.inference.fakes import FakeBundle, expected_labels
from tests.synth import scene, write_stac, write_tif

NAMES = ("blue", "green", "red")
pytestmark = pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")


@pytest.mark.parametrize("size", [(100, 100), (209, 33), (1, 40)])
def test_a_scene_of_any_size_gives_labels_on_its_own_grid_and_all_that_belongs_to_them(
    tmp_path: Path, size: tuple[int, int]
) -> None:
    image = scene(3, *size)
    image[:, 0, 3] = np.nan
    path = write_tif(tmp_path / "it's a (copy) [1], ü.tif", image, names=NAMES)
    told: list[tuple[str, int, int]] = []
    (result,) = predict(
        [path],
        FakeBundle(),
        tmp_path / "out",
        InferConfig(tile=64, overlap=16, probabilities=True),
        progress=lambda *what: told.append(what),
        command="geoadapt predict …",
    )
    assert result.status == "done", result.error
    assert set(result.files) == {"labels", "probabilities", "style", "quicklook", "item"}
    with rasterio.open(path) as source, rasterio.open(result.files["labels"]) as labels:
        np.testing.assert_array_equal(labels.read(1), expected_labels(image))
        assert (labels.crs, labels.transform) == (source.crs, source.transform)
    for kind in ("labels", "probabilities"):
        assert cog_validate(result.files[kind], strict=True, quiet=True)[0]
    assert sum(result.pixels.values()) == size[0] * size[1] - 1
    assert told[-1][1:] == (size[0], size[0])
    assert any("1 px" in note and "nodata" in note for note in result.notes)
    item = json.loads(result.files["item"].read_text())
    assert item["geometry"]["type"] == "Polygon"
    assert set(item["assets"]) == {"labels", "probabilities", "style", "quicklook"}
    assert all((tmp_path / "out" / a["href"]).exists() for a in item["assets"].values())
    run = json.loads((tmp_path / "out/run.json").read_text())
    assert run["command"] == "geoadapt predict …" and run["scenes"][0]["counts"]["missing_pixels"] == 1


def test_an_image_without_georeference_gives_labels_without(tmp_path: Path) -> None:
    path = write_tif(tmp_path / "a.tif", scene(3, 40, 50), names=NAMES, crs=None)
    (result,) = predict([path], FakeBundle(), tmp_path / "out", InferConfig(tile=32, overlap=8))
    with rasterio.open(result.files["labels"]) as labels:
        assert labels.crs is None and labels.transform.is_identity
    assert json.loads(result.files["item"].read_text())["geometry"] is None


def test_a_box_cuts_the_scene_on_its_own_pixels(tmp_path: Path) -> None:
    from geoadapt.cubes.area import bounds_degrees

    path = write_tif(tmp_path / "a.tif", scene(3, 80, 60), names=NAMES)
    with rasterio.open(path) as source:
        part = source.transform @ rasterio.Affine.translation(20, 30)
        box = bounds_degrees(source.crs, part, 10, 12)
    (result,) = predict([path], FakeBundle(), tmp_path / "out", InferConfig(tile=32, overlap=8), bbox=box)
    assert result.status == "done", result.error
    with rasterio.open(result.files["labels"]) as labels, rasterio.open(path) as source:
        col, row = (labels.transform.c - source.transform.c) / 10, (source.transform.f - labels.transform.f) / 10
        assert (col, row) == (int(col), int(row)) and 18 <= col <= 20 and 28 <= row <= 30
        assert labels.width < 20 and labels.height < 20


def test_a_real_landsat_folder_with_a_file_per_band(tmp_path: Path, data_dir: Path) -> None:
    results = predict([data_dir / "cloudmask/l8_toa"], FakeBundle(), tmp_path, InferConfig(cloud_buffer=2))
    assert [r.status for r in results] == ["done"], results[0].error
    first = next((data_dir / "cloudmask/l8_toa").glob("*_B2_toa.tif"))
    with rasterio.open(results[0].files["labels"]) as labels, rasterio.open(first) as band:
        assert (labels.shape, labels.crs, labels.transform) == (band.shape, band.crs, band.transform)
        assert {0, 1} <= set(np.unique(labels.read(1)))


def test_wanting_a_threshold_on_cloud_of_a_bundle_without_cloud_is_an_error_before_any_work(tmp_path: Path) -> None:
    bundle = FakeBundle(classes=FakeBundle().classes[:1])
    with pytest.raises(GeoadaptError, match="predicts no class 'cloud'"):
        predict([tmp_path], bundle, tmp_path / "out", InferConfig(threshold=0.5))


def test_missing_bands_are_named_with_what_was_found(tmp_path: Path) -> None:
    path = write_tif(tmp_path / "a.tif", scene(2, 40, 40), names=("green", "red"))
    (result,) = predict([path], FakeBundle(), tmp_path / "out", InferConfig())
    assert result.status == "failed" and "blue" in result.error and "green" in result.error


def test_outputs_are_never_taken_for_scenes(tmp_path: Path) -> None:
    write_tif(tmp_path / "a.tif", scene(3, 40, 40), names=NAMES)
    for _ in range(2):
        results = predict([tmp_path], FakeBundle(), tmp_path, InferConfig(tile=32, overlap=8))
        assert [r.name for r in results] == ["a"]


def test_folders_are_searched_to_the_bottom_and_every_scene_has_its_own_name(tmp_path: Path) -> None:
    for name in ("x/a.tif", "x/a.tiff", "y/deep/a.tif", "b.tif", "y/" + "n" * 230 + ".tif"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        write_tif(tmp_path / name, scene(3, 8, 8), names=NAMES)
    names = [s.name for s in find_all([tmp_path])]
    assert len(set(names)) == 5
    assert {"b", "y/deep/a"} <= set(names)
    assert max(len(n.rsplit("/", 1)[-1]) for n in names) <= 180
    assert [s.name for s in find_all([tmp_path / "x" / "*.tif"])] == ["a"]
    assert len(find_all([tmp_path / "b.tif", tmp_path / "b.tif"])) == 1, "the same file twice is one scene"


def test_an_empty_folder_and_a_pattern_without_match_say_what_was_looked_for(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("")
    with pytest.raises(GeoadaptError, match=r"holds no scene .*\*\.tif.*found notes\.txt"):
        find_all([tmp_path])
    with pytest.raises(GeoadaptError, match="matches nothing"):
        find_all([tmp_path / "*.tif"])


def test_a_bundles_own_threshold_decides_unless_another_is_asked_for(tmp_path: Path) -> None:
    path = write_tif(tmp_path / "a.tif", scene(3, 40, 50), names=NAMES)
    tiles = InferConfig(tile=32, overlap=8)
    bundle = FakeBundle(threshold=0.32)
    (own,) = predict([path], bundle, tmp_path / "own", tiles)
    (asked,) = predict([path], bundle, tmp_path / "asked", replace(tiles, threshold=0.2))
    assert 0 < own.pixels["cloud"] < asked.pixels["cloud"]


@pytest.mark.parametrize("bands", ["stacked", "apart"])
def test_a_scene_placed_by_control_points_gives_labels_with_the_same_points(tmp_path: Path, bands: str) -> None:
    points = [GroundControlPoint(row, col, 4 + col / 100, 52 - row / 100) for row in (0, 40) for col in (0, 50)]
    image = scene(3, 40, 50)
    layers = {"a.tif": (image, NAMES)}
    if bands == "apart":
        layers = {f"s/s_{name}.tif": (image[[i]], ()) for i, name in enumerate(NAMES)}
    for name, (values, names) in layers.items():
        path = write_tif(tmp_path / "in" / name, values, names=names, crs=None)
        with rasterio.open(path, "r+") as file:
            file.gcps = points, rasterio.CRS.from_epsg(4326)
    (result,) = predict([tmp_path / "in"], FakeBundle(), tmp_path / "out", InferConfig(tile=32, overlap=8))
    assert result.status == "done", result.error
    with rasterio.open(result.files["labels"]) as labels:
        found, crs = labels.gcps
        np.testing.assert_array_equal(labels.read(1), expected_labels(image))
    assert crs.to_epsg() == 4326
    assert [(p.row, p.col, p.x, p.y) for p in found] == [(p.row, p.col, p.x, p.y) for p in points]


def test_every_item_of_a_stac_collection_is_run_and_stays_in_the_output_folder(tmp_path: Path) -> None:
    path = write_stac(tmp_path / "in", ("2022-06-01", "2022-06-02"), names=NAMES)
    for item in (tmp_path / "in").glob("*/item.json"):
        item.write_text(item.read_text().replace('"id": "item-', '"id": "../../item-'))
    results = predict([path], FakeBundle(), tmp_path / "out", InferConfig(tile=32, overlap=8))
    assert [r.status for r in results] == ["done", "done"], [r.error for r in results]
    assert len({r.files["labels"] for r in results}) == 2
    assert all(r.files["labels"].resolve().is_relative_to(tmp_path / "out") for r in results)


def test_rasters_beside_band_files_are_scenes_and_layers_of_the_product_are_not(tmp_path: Path) -> None:
    for name in ("B02", "B03", "B04", "SCL", "B02_20m"):
        write_tif(tmp_path / "chip" / f"{name}.tif", scene(1, 8, 8))
    for name in ("s", "sun"):
        write_tif(tmp_path / "chip" / f"{name}.tif", scene(3, 8, 8), names=NAMES)
    assert [s.name for s in find_all([tmp_path], "sentinel2_l2a")] == ["chip", "chip/s", "chip/sun"]
    unknown = find_all([tmp_path])
    assert [(s.name, s.error is None) for s in unknown] == [("chip", False), ("chip/s", True), ("chip/sun", True)]


def test_a_folder_scene_with_its_outputs_inside_is_finished_until_a_band_changes(tmp_path: Path) -> None:
    for i, name in enumerate(NAMES):
        write_tif(tmp_path / "s" / f"s_{name}.tif", scene(3, 30, 30)[[i]])

    def status() -> list[str]:
        tiles = InferConfig(tile=32, overlap=8)
        return [r.status for r in predict([tmp_path / "s"], FakeBundle(), tmp_path / "s/out", tiles)]

    assert [status(), status()] == [["done"], ["skipped"]]
    write_tif(tmp_path / "s" / "s_red.tif", scene(3, 30, 30, 9)[[2]])
    os.utime(tmp_path / "s" / "s_red.tif", (2_000_000_000, 2_000_000_000))
    assert status() == ["done"]


def test_a_scene_called_run_does_not_take_the_place_of_the_account(tmp_path: Path) -> None:
    write_tif(tmp_path / "in" / "run.tif", scene(3, 30, 30), names=NAMES)
    (result,) = predict([tmp_path / "in"], FakeBundle(), tmp_path / "out", InferConfig(tile=32, overlap=8))
    assert result.files["item"] != tmp_path / "out/run.json"
    assert "counts" in json.loads((tmp_path / "out/run.json").read_text())


def test_a_place_by_rational_polynomials_is_said_to_be_lost(tmp_path: Path) -> None:
    path = write_tif(tmp_path / "a.tif", scene(3, 40, 50), names=NAMES, crs=None)
    one, line, sample = [1.0] + [0.0] * 19, [0.0, 1.0] + [0.0] * 18, [0.0, 0.0, 1.0] + [0.0] * 17
    with rasterio.open(path, "r+") as file:
        file.rpcs = RPC(0.0, 1.0, 48.0, 1.0, one, line, 20.0, 20.0, 11.0, 1.0, one, sample, 25.0, 25.0)
    (result,) = predict([path], FakeBundle(), tmp_path / "out", InferConfig(tile=32, overlap=8))
    assert any("placed by RPCs, which its outputs do not carry" in note for note in result.notes)


def test_links_that_lead_back_and_folders_that_cannot_be_read_neither_repeat_nor_hide_scenes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a", "locked"):
        write_tif(tmp_path / "in" / name / "s.tif", scene(3, 8, 8), names=NAMES)
    (tmp_path / "in" / "a" / "back").symlink_to(tmp_path / "in")
    assert [s.name for s in find_all([tmp_path / "in"])] == ["a/s", "locked/s"]
    listing = Path.iterdir

    def refused(path: Path) -> Iterator[Path]:
        if path.name == "locked":
            raise PermissionError(13, "Permission denied")
        return listing(path)

    monkeypatch.setattr(Path, "iterdir", refused)
    found = find_all([tmp_path / "in"])
    assert [(s.name, str(s.error or "")[-50:]) for s in found] == [
        ("a/s", ""),
        ("locked/unreadable", "cannot be searched: Permission denied; check its rights"[-50:]),
    ]


def test_a_skipped_scene_names_its_files_by_kind_and_outputs_of_other_settings_do_not_undo_it(tmp_path: Path) -> None:
    path = write_tif(tmp_path / "a.tif", scene(3, 30, 30), names=NAMES)
    tiles = InferConfig(tile=32, overlap=8)
    (more,) = predict([path], FakeBundle(), tmp_path / "out", replace(tiles, probabilities=True))
    (done,) = predict([path], FakeBundle(), tmp_path / "out", tiles)
    (again,) = predict([path], FakeBundle(), tmp_path / "out", tiles)
    assert [more.status, done.status, again.status] == ["done", "done", "skipped"]
    assert again.files == done.files


def test_one_scene_written_in_two_ways_is_run_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_tif(tmp_path / "a.tif", scene(3, 8, 8), names=NAMES)
    monkeypatch.chdir(tmp_path)
    assert len(find_all(["a.tif", "./a.tif", tmp_path / "a.tif"])) == 1


@pytest.mark.parametrize(
    ("config", "absent"),
    [
        (InferConfig(thin_cloud="clear"), "clear"),
        (InferConfig(cloud_buffer=2), "clear"),
        (InferConfig(threshold=0.5), "cloud"),
    ],
)
def test_a_class_that_the_bundle_does_not_predict_is_an_error_before_any_computation(
    tmp_path: Path, config: InferConfig, absent: str
) -> None:
    classes = tuple(c for c in CLOUD_CLASSES if c.name != absent)
    path = write_tif(tmp_path / "a.tif", scene(3, 20, 20), names=NAMES)
    with pytest.raises(GeoadaptError, match=f"predicts no class '{absent}'"):
        predict([path], bundle := FakeBundle(classes=classes), tmp_path / "out", config)
    assert bundle.calls == [] and not (tmp_path / "out").exists()
