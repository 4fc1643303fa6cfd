"""A stack without its clouds: the same by blocks as at once, nothing invented, nothing observed changed."""

from __future__ import annotations

import json
import os
import re
import warnings
from collections import Counter
from dataclasses import replace
from itertools import groupby, product
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pystac
import pytest
import rasterio
import torch
import xarray as xr
from numpy.typing import NDArray
from PIL import Image

from geoadapt.baselines.composites import build_composite
from geoadapt.config import InferConfig
from geoadapt.errors import GeoadaptError
from geoadapt.fields.series import Sample, Series, series_batch
from geoadapt.fields.types import Batch, ProjectedGrid
from geoadapt.inference.predict import ItemResult
from geoadapt.inference.restore import restore_stack
from geoadapt.inference.restore_blocks import plan_blocks
from geoadapt.inference.restore_method import DateRestorer, Method
from geoadapt.inference.restore_scan import SCANS, scan
from geoadapt.inference.restore_store import Store
from geoadapt.inference.restore_where import chosen_dates, safe_name
from geoadapt.io.zarr_cube import CubeSpec
from tests.inference.stacks import BANDS, BARE, COMPOSITE, MEDIAN, SMALL, ArrayStack, Blur, job, method, stack

WHOLE = replace(SMALL, tile=512)
NODATA = -32768
DAY = np.timedelta64(1, "D")


def run(source: ArrayStack, output: Path, how: Method = MEDIAN, config: InferConfig = SMALL, **more: Any) -> ItemResult:
    result = restore_stack(job(source, output, how, config, **more))
    assert result.status == "done", result.error
    return result


def cube(output: Path) -> xr.Dataset:
    with xr.open_zarr(output / "place_cube.zarr", mask_and_scale=False) as held:
        loaded: xr.Dataset = held.load()
    return loaded


def nanmedian(values: NDArray[np.floating]) -> NDArray[np.floating]:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "All-NaN slice")
        return np.asarray(np.nanmedian(values, 0))


def expected(source: ArrayStack, image: NDArray[np.float32]) -> NDArray[np.int16]:
    """What is stored where ``image`` (t, c, h, w) or (c, h, w) fills the gaps."""
    seen = source.clear[:, None] & np.isfinite(source.values)
    filled = np.where(seen, source.values, image)
    filled = np.where(seen.any(0) & np.isfinite(filled), np.rint(filled / np.float32(1e-4)), NODATA)
    return filled.astype(np.int16)


@pytest.mark.parametrize("how", [MEDIAN, COMPOSITE, method()], ids=["median", "by date", "model"])
def test_blocks_give_what_the_whole_gives_on_every_pixel(tmp_path: Path, how: Method) -> None:
    source = stack()
    run(source, tmp_path / "blocks", how)
    run(source, tmp_path / "whole", how, WHOLE)
    blocks, whole = cube(tmp_path / "blocks"), cube(tmp_path / "whole")
    assert set(blocks) == set(whole)
    assert source.kept_open == (0 if how.learned else None), "where windows overlap no file stays open"
    for name in whole:
        assert np.array_equal(blocks[name], whole[name]), name
    for path in sorted((tmp_path / "whole").glob("*.tif")):
        with rasterio.open(path) as one, rasterio.open(tmp_path / "blocks" / path.name) as other:
            assert np.array_equal(one.read(), other.read()), path.name
    if not how.learned:
        seen = source.clear[:, None] & np.isfinite(source.values)
        held = np.where(seen, source.values, np.nan)
        assert np.array_equal(whole["clear"], expected(source, nanmedian(held)))


def test_a_model_of_too_small_a_margin_would_show_at_the_blocks_edges(tmp_path: Path) -> None:
    run(stack(), tmp_path / "blocks", method(), replace(BARE, overlap=2))
    run(stack(), tmp_path / "whole", method(), replace(BARE, tile=512))
    assert not np.array_equal(cube(tmp_path / "blocks")["clear"], cube(tmp_path / "whole")["clear"])


@pytest.mark.parametrize("name", SCANS)
def test_a_scan_over_all_dates_is_the_composite_of_every_date_to_the_last_bit(name: str) -> None:
    source = stack(dates=7, height=12, width=15, cloudy=0.6)
    times = source.info.times.copy()
    times[3:] += np.timedelta64(5, "D")  # neither evenly spaced nor all different distances
    seen = source.clear[:, None] & np.isfinite(source.values)
    series = Series("s", source.values, source.clear, times, BANDS)
    hidden = np.zeros(source.clear.shape[1:], bool)
    found = dict(scan(name, source.values, seen, times, range(7)))
    restorer = build_composite(name, BANDS)
    for date in range(7):
        image = restorer.restore(series_batch([Sample(series, date, hidden)])).image[0].numpy()
        assert np.array_equal(found[date], image, equal_nan=True), date


def test_clear_pixels_stay_as_they_are_unless_asked_otherwise(tmp_path: Path) -> None:
    source = stack()
    run(source, tmp_path / "kept", method(), BARE)
    run(source, tmp_path / "anew", method(), replace(BARE, keep_clear=False))
    kept, anew = cube(tmp_path / "kept"), cube(tmp_path / "anew")
    observed = np.broadcast_to(source.clear[:, None], source.values.shape)
    stored = np.rint(source.values / np.float32(1e-4))
    assert np.array_equal(kept["clear"].values[observed], stored[observed].astype(np.int16))
    assert (anew["clear"].values[observed] != kept["clear"].values[observed]).mean() > 0.5
    assert np.array_equal(kept["source"] == 1, source.clear)
    known = np.broadcast_to(source.clear.any(0), source.clear.shape)
    assert np.array_equal(anew["source"], np.where(known, 2, 0))
    assert (kept["expected_error"].values[observed] == 65535).all()
    restored = np.broadcast_to((known & ~source.clear)[:, None], source.values.shape)
    assert (kept["expected_error"].values[restored] < 101).all()
    assert (anew["expected_error"].values[restored | observed] < 101).all()


def degenerate() -> ArrayStack:
    """Dates 0 empty, 1 all cloud, 2 clear on the left half alone, 3 clear nowhere."""
    source = stack(dates=4, height=20, width=24, cloudy=0.0)
    source.clear[:] = False
    source.clear[2, :, :12] = True
    source.values[0] = np.nan
    return source


@pytest.mark.parametrize("how", [MEDIAN, COMPOSITE, method()], ids=["median", "by date", "model"])
def test_a_pixel_that_no_date_shows_clearly_stays_nodata_whatever_a_model_says(tmp_path: Path, how: Method) -> None:
    source = degenerate()
    result = run(source, tmp_path, how)
    made = cube(tmp_path)
    assert (made["clear"].values[..., 12:] == NODATA).all() and (made["source"].values[..., 12:] == 0).all()
    assert (made["clear"].values[..., :12] != NODATA).all()
    flag = 2 if how.learned else 3
    assert [set(np.unique(date[:, :12])) for date in made["source"].values] == [{flag}, {flag}, {1}, {flag}]
    assert (made["count"].values == np.where(np.arange(24) < 12, 1, 0)).all()
    assert any("50.0% of all dates' pixels stay nodata" in note for note in result.notes)
    if how.learned:
        assert (made["expected_error"].values[..., 12:] == 65535).all()
    else:
        only = np.rint(source.values[2, :, :, :12] / np.float32(1e-4)).astype(np.int16)
        assert all(np.array_equal(date[..., :12], only) for date in made["clear"].values)


def test_a_stack_without_a_clear_pixel_is_all_nodata_and_no_model_runs(tmp_path: Path) -> None:
    source, model = stack(dates=3, cloudy=0.0), Blur()
    source.clear[:] = False
    result = run(source, tmp_path, method(model))
    assert model.calls == []
    made = cube(tmp_path)
    assert (made["clear"].values == NODATA).all() and (made["source"].values == 0).all()
    assert (made["median"].values == NODATA).all() and (made["best_pixel_day"].values == 65535).all()
    assert "expected_error" not in made and "20200105_scale" not in result.files
    assert result.pixels["unknown"] == 3 * 40 * 50


def test_dates_without_a_clear_pixel_and_months_without_a_date_are_told(tmp_path: Path) -> None:
    source = stack(6)
    source.info = replace(source.info, times=source.info.times + np.array([0, 0, 0, 150, 160, 170]) * DAY)
    source.clear[[1, 4]] = False
    notes = run(source, tmp_path / "all", config=replace(SMALL, composites=["monthly"])).notes
    assert "2 dates without a clear pixel: 2020-01-16, 2020-07-27" in notes
    assert "no composite of 5 months without a date: 2020-02, 2020-03, 2020-04, 2020-05, 2020-06" in notes
    assert not any("composite" in note for note in run(source, tmp_path / "none", config=BARE).notes)
    anew = run(source, tmp_path / "anew", config=replace(BARE, keep_clear=False)).notes
    assert not any("without a clear pixel" in note for note in anew)  # There nothing is as it was observed.


def test_a_single_date_is_itself_and_its_clouds_are_holes(tmp_path: Path) -> None:
    source = stack(dates=1)
    run(source, tmp_path, method())
    made = cube(tmp_path)
    assert np.array_equal(made["source"].values == 1, source.clear)
    assert (made["clear"].values[0][:, ~source.clear[0]] == NODATA).all()


def test_where_a_model_has_nothing_to_say_nothing_stands(tmp_path: Path) -> None:
    class Silent(Blur):
        def restore(self, batch: Batch) -> Any:
            made = super().restore(batch)
            made.image[..., :2] = torch.nan
            return made

    source = stack(height=16, width=16)
    run(source, tmp_path, method(Silent()), replace(BARE, overlap=0))
    made = cube(tmp_path)
    hidden = ~source.clear[:, :, :2]
    assert hidden.any() and (made["source"].values[:, :, :2][hidden] == 0).all()
    assert (made["expected_error"].values[..., :2] == 65535).all()
    known = np.broadcast_to(source.clear.any(0), source.clear.shape)
    assert np.array_equal(made["source"].values[:, :, 2:] > 0, known[:, :, 2:])


def test_composites_are_those_of_the_clear_dates_with_their_counts(tmp_path: Path) -> None:
    source = stack()
    source.clear[1] |= ~source.clear.any(0)  # so that every pixel has a date to be of
    run(source, tmp_path)
    made = cube(tmp_path)
    held = np.where(source.clear[:, None], source.values, np.nan)
    middle = nanmedian(held)
    stored = np.rint(middle.astype(np.float32) / np.float32(1e-4))
    assert np.array_equal(made["median"], np.where(np.isfinite(stored), stored, NODATA))
    assert np.array_equal(made["count"], source.clear.sum(0))
    days = source.info.times.astype("datetime64[D]").astype(int)
    chosen = np.searchsorted(days, made["best_pixel_day"].values)
    row, col = np.mgrid[0:40, 0:50]
    assert source.clear[chosen, row, col].all()
    assert np.array_equal(
        made["best_pixel"], np.rint(source.values[chosen, :, row, col] / np.float32(1e-4)).transpose(2, 0, 1)
    )
    away = np.nansum((held - middle) ** 2, 1)
    away[~source.clear] = np.inf
    assert np.allclose(away[chosen, row, col], away.min(0), atol=1e-7)
    months = source.info.times.astype("datetime64[M]")
    assert np.array_equal(made["month"].values.astype("datetime64[M]"), np.unique(months))
    for index, month in enumerate(np.unique(months)):
        inside = months == month
        assert np.array_equal(made["monthly_count"][index], source.clear[inside].sum(0))
        one = held[inside]
        want = np.rint(nanmedian(one).astype(np.float32) / np.float32(1e-4))
        assert np.array_equal(made["monthly_median"][index], np.where(np.isfinite(want), want, NODATA))


def test_of_composites_only_those_that_are_asked_for_are_made(tmp_path: Path) -> None:
    result = run(stack(), tmp_path, config=replace(SMALL, composites=["monthly"], zarr=False))
    assert {"202001_median_clear", "202001_median_count", "20200105_clear"} <= set(result.files)
    assert not {"median_clear", "best_pixel_clear", "cube"} & set(result.files)
    assert not list(tmp_path.glob("*.zarr")) and not list(tmp_path.glob(".*.work"))


def test_files_say_what_they_hold_and_where(tmp_path: Path) -> None:
    source = stack()
    result = run(source, tmp_path, method())
    with rasterio.open(result.files["20200116_clear"]) as clear:
        assert clear.descriptions == BANDS and clear.nodata == NODATA and clear.scales == (1e-4,) * 4
        assert clear.crs == source.info.crs and clear.transform == source.info.transform
        assert clear.tags()["METHOD"] == "blur" and clear.tags()["DATETIME_OF_SCENE"].startswith("2020-01-16")
        assert clear.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
    with rasterio.open(result.files["20200116_source"]) as flags:
        assert flags.tags(1)["CLASS_2"] == "restored_by_model" and flags.nodata == 0
        assert np.array_equal(flags.read(1) == 1, source.clear[1])
    with rasterio.open(result.files["best_pixel_day"]) as day:
        assert day.nodata == 65535 and day.dtypes == ("uint16",)
    held = xr.open_zarr(result.files["cube"])
    assert held["clear"].dims == ("time", "band", "y", "x") and list(held["band"].values) == list(BANDS)
    assert np.allclose(held["clear"].values[1][:, source.clear[1]], source.values[1][:, source.clear[1]], atol=6e-5)
    assert held["x"].values[0] == 600_005 and str(held["time"].values[1])[:10] == "2020-01-16"


def test_items_and_their_collection_are_linked_and_dated(tmp_path: Path) -> None:
    result = run(stack(), tmp_path, method())
    collection = pystac.Collection.from_file(str(result.files["collection"]))
    items = {item.id: item for item in collection.get_items()}
    assert len(items) == 4 + 2 + 2
    one = items["place_20200105"]
    assert one.datetime is not None and f"{one.datetime:%Y-%m-%d}" == "2020-01-05"
    assert {"clear", "source", "scale", "quicklook"} == set(one.assets)
    assert all(Path(str(asset.get_absolute_href())).exists() for asset in one.assets.values())
    assert one.collection_id == "place" and one.get_collection() is not None
    median = items["place_median"]
    assert median.datetime is None and median.properties["start_datetime"] == "2020-01-05T00:00:00Z"
    assert set(collection.assets) == {"cube"}
    interval = collection.extent.temporal.intervals[0]
    assert [f"{when:%Y%m%d}" for when in interval if when] == ["20200105", "20200207"]


def test_pictures_show_each_date_before_and_after(tmp_path: Path) -> None:
    result = run(stack(), tmp_path, config=replace(BARE, animation=True))
    with Image.open(result.files["20200116_quicklook"]) as look:
        assert look.size == (50 + 6 + 50, 40)
        picture = np.asarray(look).astype(int)
    cloud = ~stack().clear[1]
    before, after = picture[:, :50], picture[:, 56:]
    assert (before[cloud].mean() - after[cloud].mean()) > 60
    assert np.array_equal(before[~cloud], after[~cloud])
    with Image.open(result.files["animation"]) as moving:
        assert getattr(moving, "n_frames", 1) == 4


def test_only_the_dates_that_are_named_are_restored_but_all_are_used(tmp_path: Path) -> None:
    source = stack()
    run(source, tmp_path / "all", config=replace(SMALL, composites=["median"]))
    result = run(
        source,
        tmp_path / "some",
        config=replace(SMALL, composites=["median"]),
        dates="2020-01-16, 2020-02-01/2020-02-20",
    )
    assert [k for k in result.files if k.endswith("_source")] == [f"{d}_source" for d in ("20200116", "20200207")]
    assert np.array_equal(cube(tmp_path / "some")["clear"], cube(tmp_path / "all")["clear"][[1, 3]])
    assert np.array_equal(cube(tmp_path / "some")["count"], cube(tmp_path / "all")["count"])
    failed = restore_stack(job(source, tmp_path / "none", dates="2021-01-01"))
    assert failed.status == "failed" and "it has 4 dates from 2020-01-05 to 2020-02-07" in failed.error


def test_two_scenes_of_one_day_are_told_apart_by_their_time(tmp_path: Path) -> None:
    source = stack(dates=2)
    times = np.array(["2020-01-05T10:00:00", "2020-01-05T10:30:00"], "datetime64[s]")
    result = run(ArrayStack(source.values, source.clear, times), tmp_path, config=BARE)
    assert {"20200105T100000_clear", "20200105T103000_clear"} <= set(result.files)


def test_values_beyond_what_is_stored_are_cut_and_told(tmp_path: Path) -> None:
    source = stack()
    source.values[2, 0, 20, 20] = 9.0
    source.clear[2, 20, 20] = True
    result = run(source, tmp_path, config=BARE)
    assert cube(tmp_path)["clear"].values[2, 0, 20, 20] == 32767
    assert any("values beyond ±3.2767 were cut" in note for note in result.notes)


def test_out_of_memory_halves_the_dates_at_once_and_says_so(tmp_path: Path) -> None:
    def limited(batch: Batch) -> None:
        if len(batch.inputs["optical"].values) > 1:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")

    result = run(stack(), tmp_path / "one", method(Blur(before=limited)), BARE)
    assert "out of memory with 3 dates at once; going on with 1" in result.notes
    run(stack(), tmp_path / "many", method(), BARE)
    assert np.array_equal(cube(tmp_path / "one")["clear"], cube(tmp_path / "many")["clear"])


def test_a_model_sees_sides_of_its_multiple_and_no_more_dates_than_asked(tmp_path: Path) -> None:
    model = Blur()
    run(stack(height=30, width=21), tmp_path, method(model), BARE)
    assert {(shape[-2] % 4, shape[-1] % 4) for shape in model.calls} == {(0, 0)}
    assert max(shape[0] for shape in model.calls) == SMALL.batch
    assert {shape[1] for shape in model.calls} == {4}


def test_a_model_is_given_the_batches_that_it_was_trained_on() -> None:
    source = stack(width=48)
    series = Series("place", source.values, source.clear, source.info.times, BANDS, sensor="landsat8")
    hidden = np.zeros(source.clear.shape[1:], bool)
    given: list[Batch] = []
    model = Blur(before=given.append)
    list(DateRestorer(method(model), BANDS, batch=2).restore(series, [0, 2, 3]))
    made = [series_batch([Sample(series, date, hidden) for date in dates]) for dates in ([0, 2], [3])]
    for batch, want in zip(given, made, strict=True):
        one, other = batch.inputs["optical"], want.inputs["optical"]
        assert batch.where == want.where and one.channels == other.channels and one.sensor == other.sensor
        assert one.valid is not None and other.valid is not None and one.times is not None and other.times is not None
        assert torch.equal(one.values, other.values) and torch.equal(one.valid, other.valid)
        assert torch.equal(one.times, other.times) and one.times.dtype == other.times.dtype
        assert isinstance(one.grid, ProjectedGrid) and isinstance(other.grid, ProjectedGrid)
        assert torch.equal(torch.as_tensor(one.grid.resolution), torch.as_tensor(other.grid.resolution))


def test_a_model_of_other_bands_is_refused(tmp_path: Path) -> None:
    result = restore_stack(job(stack(), tmp_path, method(Blur(("red", "nir")))))
    assert result.status == "failed" and "takes ['red', 'nir']; the stack has ['blue'" in result.error


def test_a_finished_stack_is_skipped_until_what_is_asked_of_it_changes(tmp_path: Path) -> None:
    def status(how: Method = MEDIAN, config: InferConfig = BARE, **more: Any) -> str:
        return restore_stack(job(stack(2, 20, 20), tmp_path, how, config), **more).status

    assert [status(), status()] == ["done", "skipped"]
    assert status(method()) == "done"
    assert status() == "done"
    assert status(config=replace(BARE, composites=["median"])) == "done"
    assert status(config=replace(BARE, overwrite=True)) == "done"
    path = tmp_path / "place_20200116_clear.tif"
    path.unlink()
    assert [status(), status()] == ["done", "skipped"]
    shard = next(p for p in (tmp_path / "place_cube.zarr/clear").rglob("*") if p.is_file() and p.name != "zarr.json")
    data, stat = bytearray(shard.read_bytes()), shard.stat()
    data[-1] ^= 1
    shard.write_bytes(bytes(data))
    os.utime(shard, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert [status(), status(verify=True)] == ["skipped", "done"]


def test_a_failed_stack_is_listed_and_leaves_nothing_behind(tmp_path: Path) -> None:
    source = stack()
    broken = ArrayStack(source.values, source.clear, source.info.times, fail_at=3)
    result = restore_stack(job(broken, tmp_path))
    assert result.status == "failed" and "the disk is gone" in result.error
    assert json.loads((tmp_path / "run.json").read_text())["counts"]["failed"] == 1
    assert sorted(p.name for p in tmp_path.iterdir()) == [".lock", "run.json"]


def test_too_small_a_disk_is_told_in_numbers_that_say_something(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = SimpleNamespace(free=2**17)
    monkeypatch.setattr("geoadapt.inference.restore_room.shutil.disk_usage", lambda folder: free)
    result = restore_stack(job(stack(), tmp_path / "out", MEDIAN, SMALL))
    assert result.status == "failed" and re.search(r"needs about 0\.[2-9] MiB, 0\.1 MiB are free", str(result.error))


def test_an_output_inside_of_the_stack_is_refused(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    asked = replace(job(stack(), tmp_path / "in" / "out"), paths=(str(tmp_path / "in"),))
    with pytest.raises(GeoadaptError, match="lies inside of the stack"):
        restore_stack(asked)
    assert not (tmp_path / "in" / "out").exists()


@pytest.mark.parametrize(
    ("height", "width", "tile", "margin", "most"),
    [
        (40, 50, 16, 4, 12),
        (1100, 1600, 256, 32, 4),
        (1100, 1600, 256, 0, 1),
        (1100, 1600, 512, 32, 9),
        (5, 3, 16, 8, 1),
    ],
)
def test_blocks_cover_every_pixel_once_and_have_squares_decoded_few_times(
    height: int, width: int, tile: int, margin: int, most: int
) -> None:
    times = np.zeros((height, width), int)
    blocks = plan_blocks(height, width, tile, margin)
    for block in blocks:
        fills, reads = block.fills, block.reads
        times[fills.row : fills.row + fills.height, fills.col : fills.col + fills.width] += 1
        assert reads.row >= 0 and reads.col + reads.width <= width
        assert reads.row == max(0, fills.row - margin)
        part = np.zeros((reads.height, reads.width))[block.inner]
        assert part.shape == (fills.height, fills.width)
    assert (times == 1).all()
    assert [block.index for block in blocks] == list(range(len(blocks)))
    together = [window for window, _ in groupby(block.together for block in blocks)]
    assert len(together) == len(set(together)), "what is read at once is read once"
    for block in blocks:
        whole, own = block.together, block.reads
        assert whole.row <= own.row and own.row + own.height <= whole.row + whole.height
        assert whole.col <= own.col and own.col + own.width <= whole.col + whole.width
        assert max(whole.height, whole.width) <= max(2 * tile if 2 * tile <= 512 else tile, 1) + 2 * margin
    decoded: Counter[tuple[int, int]] = Counter()
    last: set[tuple[int, int]] = set()
    for window in together:
        rows = range(window.row // 512, (window.row + window.height - 1) // 512 + 1)
        cols = range(window.col // 512, (window.col + window.width - 1) // 512 + 1)
        touched = set(product(rows, cols))
        decoded.update(touched - last)
        last = touched if len(touched) == 1 else set()  # one square of all dates is what the cache holds
    assert max(decoded.values()) <= most


def test_names_and_dates_of_any_kind() -> None:
    assert safe_name("../../a/b") == "_.._a_b" and safe_name("x" * 500) == "x" * 120 and safe_name("") == "stack"
    times = np.array(["2020-01-05", "2020-02-05", "2021-02-05"], "datetime64[s]")
    assert chosen_dates("", times) == (0, 1, 2)
    assert chosen_dates("2020-02-05/2021-12-31,2020-01-05", times) == (0, 1, 2)
    with pytest.raises(GeoadaptError, match="has no date"):
        chosen_dates("", times[:0])


def test_a_chunk_that_a_kill_tore_is_gone_when_the_store_is_taken_up_again(tmp_path: Path) -> None:
    spec = CubeSpec(8, 8, ("red",), np.array(["2020-01-01"], "datetime64[s]"))
    Store(tmp_path / "work", {"a": 1}, spec, [], 8)
    torn = tmp_path / "work" / "cube.zarr" / "count" / "c" / "0" / "1.ab.partial"
    torn.parent.mkdir(parents=True)
    torn.write_bytes(b"torn")
    Store(tmp_path / "work", {"a": 1}, spec, [], 8)
    assert torn.parent.is_dir() and not torn.exists()
