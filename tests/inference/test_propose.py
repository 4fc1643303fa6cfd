"""The instability map and the tiles named for labelling: right, in the right place, and never silently incomplete."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import rasterio
import torch
from rio_cogeo import cog_validate
from shapely.geometry import shape
from torch import Tensor

from geoadapt.config import InferConfig
from geoadapt.errors import GeoadaptError
from geoadapt.inference.doubt import DOUBT_SCALE, TileScore
from geoadapt.inference.predict import ItemResult, predict
from geoadapt.inference.propose import propose, read_scores, write_scores
from tests.inference.fakes import FakeBundle
from tests.synth import CRS, scene, transform, write_tif

NAMES = ("blue", "green", "red")
HALF = InferConfig(tile=32, overlap=16, batch=2)
pytestmark = pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")


@dataclass
class Unsteady(FakeBundle):
    """Its probabilities shift with the mean of the tile, so that overlapping tiles disagree."""

    def scores(self, values: Tensor, valid: Tensor | None, **told: object) -> Tensor:
        self.calls.append(tuple(values.shape))
        first = 20 * (values[:, 0] - values.mean(dim=(1, 2, 3))[:, None, None])
        return torch.stack([0 * first, first, 0 * first - 9, -first], 1).softmax(1)


def write(path: Path, height: int = 96, width: int = 80, seed: int = 0, **more: object) -> Path:
    return write_tif(path, scene(3, height, width, seed), names=NAMES, **more)  # type: ignore[arg-type]


def test_the_instability_map_is_a_cog_with_nodata_where_one_tile_lies_and_an_asset_that_says_so(tmp_path: Path) -> None:
    image = scene(3, 96, 80)
    image[:, 40, 50] = np.nan
    path = write_tif(tmp_path / "a.tif", image, names=NAMES)
    (result,) = predict([path], Unsteady(), tmp_path / "out", replace(HALF, instability=True))
    assert result.status == "done", result.error
    made = result.files["instability"]
    assert cog_validate(made, strict=True, quiet=True)[0]
    with rasterio.open(made) as file, rasterio.open(path) as source:
        stored = file.read(1)
        assert (file.crs, file.transform, file.nodata) == (source.crs, source.transform, 255)
        assert (file.descriptions, file.scales, file.dtypes) == (("instability",), (DOUBT_SCALE,), ("uint8",))
    unknown = np.zeros((96, 80), bool)
    for rows in (slice(None, 16), slice(-16, None)):
        for cols in (slice(None, 16), slice(-16, None)):
            unknown[rows, cols] = True
    unknown[40, 50] = True
    np.testing.assert_array_equal(stored == 255, unknown)
    assert 0 < stored[~unknown].max() <= 250
    asset = json.loads(result.files["item"].read_text())["assets"]["instability"]
    assert asset["raster:bands"][0]["nodata"] == 255 and asset["raster:bands"][0]["scale"] == DOUBT_SCALE
    assert "overlapping tiles" in asset["title"]


def test_a_steady_model_is_stable_everywhere_and_a_single_tile_knows_nothing(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tif")
    (steady,) = predict([path], FakeBundle(), tmp_path / "out", replace(HALF, instability=True))
    (single,) = predict([path], Unsteady(), tmp_path / "one", InferConfig(tile=96, instability=True))
    with rasterio.open(steady.files["instability"]) as file:
        assert set(np.unique(file.read(1))) == {0, 255}
    with rasterio.open(single.files["instability"]) as file:
        assert (file.read(1) == 255).all()


def test_a_map_that_knows_nothing_anywhere_is_said(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tif")

    def notes(tile: int, overlap: int) -> str:
        config = InferConfig(tile=tile, overlap=overlap, instability=True)
        (result,) = predict([path], Unsteady(), tmp_path / f"{tile}-{overlap}", config)
        return " ".join(result.notes)

    assert "no pixel of it lies in two tiles" in notes(96, 16)
    assert "no pixel of it lies in two tiles" in notes(16, 0), "96 × 80 px in tiles of 16 px leave nothing over"
    assert "two tiles" not in notes(32, 0), "the last column of tiles is pushed inwards over the one before it"
    assert "two tiles" not in notes(32, 16)


def test_labels_do_not_change_when_more_is_asked_for(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tif")
    (plain,) = predict([path], Unsteady(), tmp_path / "plain", HALF)
    (more,) = predict([path], Unsteady(), tmp_path / "more", replace(HALF, instability=True), tile_scores=True)
    assert plain.files["labels"].read_bytes() == more.files["labels"].read_bytes()
    assert set(more.files) - set(plain.files) == {"instability", "tiles"}


def scored(folder: Path, name: str, scores: list[TileScore], labels: Path | None = None) -> ItemResult:
    """A result whose tiles have these scores."""
    path = labels or write_tif(folder / f"{name}_labels.tif", np.zeros((1, 8, 8), np.uint8), crs=None)
    tiles = write_scores(folder / f"{name}_tiles.csv", scores)
    return ItemResult(name, f"{name}.tif", "done", {"labels": path, "tiles": tiles})


def tiles(doubts: dict[tuple[int, int], float], side: int = 10, **more: float) -> list[TileScore]:
    """Squares by (row, column) of the grid of tiles."""
    full = {"valid": 1.0, "known": 0.0, "instability": math.nan} | more
    return [TileScore(r * side, c * side, side, side, doubt=d, **full) for (r, c), d in doubts.items()]


def named(folder: Path, results: list[ItemResult], count: int) -> list[tuple[str, int, int]]:
    return [(t.scene, t.row // 10, t.col // 10) for t in propose(results, folder, count).tiles]


def test_the_most_doubtful_tiles_of_all_scenes_come_first_and_neighbours_only_at_the_end(tmp_path: Path) -> None:
    a = scored(tmp_path, "a", tiles({(0, 0): 0.9, (0, 1): 0.8, (1, 1): 0.7, (0, 2): 0.5, (5, 5): 0.1}))
    b = scored(tmp_path, "b", tiles({(0, 1): 0.6, (3, 3): 0.2}))
    assert named(tmp_path, [a, b], 3) == [("a", 0, 0), ("b", 0, 1), ("a", 0, 2)]
    assert named(tmp_path, [a, b], 6) == [
        ("a", 0, 0), ("b", 0, 1), ("a", 0, 2), ("b", 3, 3), ("a", 5, 5), ("a", 0, 1),
    ]  # fmt: skip
    assert len(named(tmp_path, [a, b], 99)) == 7


def test_what_counts_is_doubt_plus_instability_where_it_is_known(tmp_path: Path) -> None:
    shaky = tiles({(0, 0): 0.2}, known=0.5, instability=0.3)
    a = scored(tmp_path, "a", [*shaky, *tiles({(5, 0): 0.4}), *tiles({(5, 5): 0.3})])
    found = propose([a], tmp_path, 3).tiles
    assert [(t.row, t.score) for t in found] == [(0, 0.5), (50, 0.4), (50, 0.3)]
    assert "overlapping tiles differ by 0.300" in found[0].why and "no pixel lies in two tiles" in found[1].why
    assert found[1].instability is None


def test_mostly_empty_and_cut_tiles_come_last_and_empty_ones_never(tmp_path: Path) -> None:
    sliver = TileScore(50, 0, 2, 10, 1.0, 0.0, 0.9, math.nan)
    empty = TileScore(70, 0, 10, 10, 0.0, 0.0, math.nan, math.nan)
    a = scored(tmp_path, "a", [sliver, empty, *tiles({(0, 0): 0.1}), *tiles({(9, 0): 0.8}, valid=0.2)])
    assert named(tmp_path, [a], 9) == [("a", 0, 0), ("a", 5, 0), ("a", 9, 0)]


def test_a_whole_neighbour_comes_before_a_sliver(tmp_path: Path) -> None:
    sliver = TileScore(90, 0, 2, 10, 1.0, 0.0, 0.9, math.nan)
    a = scored(tmp_path, "a", [sliver, *tiles({(0, 0): 0.5, (0, 1): 0.4})])
    assert named(tmp_path, [a], 3) == [("a", 0, 0), ("a", 0, 1), ("a", 9, 0)]
    assert named(tmp_path, [a], 2) == [("a", 0, 0), ("a", 0, 1)]


def test_the_files_say_the_same_and_the_polygons_lie_on_the_tiles(tmp_path: Path) -> None:
    out = tmp_path / "out"
    results = predict([write(tmp_path / "a.tif")], Unsteady(), out, HALF, tile_scores=True)
    proposed = propose(results, out, 2)
    plain = json.loads((out / "propose.json").read_text())
    shapes = json.loads((out / "propose.geojson").read_text())
    assert plain["tiles"] == [f["properties"] for f in shapes["features"]]
    assert [t["rank"] for t in plain["tiles"]] == [1, 2] and plain["missing"] == {}
    for tile, feature in zip(proposed.tiles, shapes["features"], strict=True):
        middle = transform() @ (tile.col + tile.width / 2, tile.row + tile.height / 2)
        lon, lat = (v[0] for v in rasterio.warp.transform(CRS, "EPSG:4326", [middle[0]], [middle[1]]))
        area = shape(feature["geometry"])
        assert area.is_valid and (area.centroid.x, area.centroid.y) == pytest.approx((lon, lat), abs=1e-6)
    item = json.loads(results[0].files["item"].read_text())
    assert item["assets"]["tiles"]["type"] == "text/csv"


def test_a_scene_without_a_place_has_tiles_without_a_polygon(tmp_path: Path) -> None:
    results = predict([write(tmp_path / "a.tif", crs=None)], Unsteady(), tmp_path / "out", HALF, tile_scores=True)
    propose(results, tmp_path / "out", 1)
    (feature,) = json.loads((tmp_path / "out/propose.geojson").read_text())["features"]
    assert feature["geometry"] is None and feature["properties"]["scene"] == "a"


def test_the_real_worst_tile_is_found(tmp_path: Path) -> None:
    image = np.full((3, 128, 128), 0.02, np.float32)
    image[:, 64:96, 32:64] = np.random.default_rng(0).uniform(0, 0.3, (32, 32))
    path = write_tif(tmp_path / "a.tif", image, names=NAMES)
    results = predict([path], FakeBundle(), tmp_path / "out", HALF, tile_scores=True)
    (tile,) = propose(results, tmp_path / "out", 1).tiles
    assert (tile.row, tile.col) == (64, 32)


def test_skipped_scenes_keep_their_scores_and_those_finished_without_are_run_again(tmp_path: Path) -> None:
    path, out = write(tmp_path / "a.tif"), tmp_path / "out"

    def run(bundle: FakeBundle, tile_scores: bool) -> ItemResult:
        return predict([path], bundle, out, HALF, tile_scores=tile_scores)[0]

    assert run(Unsteady(), False).status == "done"
    (missing,) = propose([run(Unsteady(), False)], out, 1).missing.values()
    assert "without tile scores" in missing
    again = run(Unsteady(), True)
    assert again.status == "done" and "was run again for them" in again.notes[0]
    skipped = run(idle := Unsteady(), True)
    assert (skipped.status, idle.calls) == ("skipped", [])
    assert propose([skipped], out, 3) == propose([again], out, 3)
    assert run(Unsteady(), False).status == "skipped", "the scores must not undo a finished scene"


def test_outputs_of_other_settings_in_the_same_place_are_not_taken_for_these(tmp_path: Path) -> None:
    path, out = write(tmp_path / "a.tif"), tmp_path / "out"
    more = replace(HALF, instability=True, threshold=0.9)
    (first,) = predict([path], Unsteady(), out, more)
    labels = first.files["labels"].read_bytes()
    (other,) = predict([path], Unsteady(), out, replace(HALF, threshold=0.1))
    assert other.files["labels"].read_bytes() != labels
    (again,) = predict([path], Unsteady(), out, more)
    assert again.status == "done" and again.files["labels"].read_bytes() == labels


def test_failed_scenes_and_damaged_scores_are_listed_and_the_others_are_asked(tmp_path: Path) -> None:
    good = scored(tmp_path, "good", tiles({(0, 0): 0.5}))
    cut, gone = scored(tmp_path, "cut", []), scored(tmp_path, "gone", [])
    cut.files["tiles"].write_text(cut.files["tiles"].read_text() + "1,2,3\n")
    gone.files["tiles"].unlink()
    found = propose([ItemResult("bad", "bad.tif", "failed", error="x"), cut, gone, good], tmp_path, 2)
    assert [t.scene for t in found.tiles] == ["good"]
    assert set(found.missing) == {"bad", "cut", "gone"}
    assert json.loads((tmp_path / "propose.json").read_text())["missing"] == found.missing
    assert "holds no tile scores" in found.missing["cut"]


def test_scores_are_read_as_they_were_written(tmp_path: Path) -> None:
    made = [TileScore(0, 0, 32, 16, 0.5, 0.25, 0.125, 0.0625), TileScore(32, 0, 3, 16, 0.0, 0.0, math.nan, math.nan)]
    found = read_scores(write_scores(tmp_path / "t.csv", made))
    assert found[0] == made[0] and str(found[1]) == str(made[1])
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    with pytest.raises(GeoadaptError, match=r"other\.csv: holds no tile scores \(the columns are others\)"):
        read_scores(tmp_path / "other.csv")


def test_in_a_folder_of_their_own_scenes_proposals_are_neither_scenes_nor_overwritten(tmp_path: Path) -> None:
    write(tmp_path / "propose.tif")
    for _ in range(2):
        results = predict([tmp_path], Unsteady(), tmp_path, replace(HALF, instability=True), tile_scores=True)
        assert [r.status == "failed" for r in results] == [False]
        assert results[0].files["item"] != tmp_path / "propose.json"
        propose(results, tmp_path, 1)
    assert json.loads((tmp_path / "propose.json").read_text())["asked"] == 1
