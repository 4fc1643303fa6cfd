from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
from rio_cogeo import cog_validate

from geoadapt.cubes.classes import CLOUD_CLASSES
from geoadapt.errors import GeoadaptError
from geoadapt.io.base import Window
from geoadapt.io.geotiff import CogSink, RasterSpec
from geoadapt.io.qgis import style_path, write_style
from tests.synth import CRS, transform

pytestmark = pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")


def labels(height: int, width: int) -> np.ndarray:
    rows, cols = np.mgrid[0:height, 0:width]
    return ((rows // 40 + cols // 30) % 4).astype(np.uint8)[None]


def write(path: Path, values: np.ndarray, spec: RasterSpec, step: int = 37) -> Path:
    with CogSink(path, spec) as sink:
        for row in range(0, spec.height, step):
            part = values[:, row : row + step]
            sink.write(Window(row, 0, part.shape[1], spec.width), part)
        return sink.commit()


@pytest.mark.parametrize("compress", ["DEFLATE", "ZSTD"])
def test_a_label_cog_is_valid_lossless_and_says_what_its_values_mean(tmp_path: Path, compress: str) -> None:
    values = labels(1300, 1100)
    values[:, :100] = 255
    spec = RasterSpec(
        1300, 1100, crs=rasterio.CRS.from_string(CRS), transform=transform(), nodata=255,
        names=("label",), categories=CLOUD_CLASSES, compress=compress,
    )  # fmt: skip
    path = write(tmp_path / "labels.tif", values, spec)
    assert cog_validate(path, strict=True, quiet=True) == (True, [], [])
    with rasterio.open(path) as made:
        np.testing.assert_array_equal(made.read(), values)
        assert (made.nodata, made.descriptions, made.transform) == (255, ("label",), transform())
        assert made.crs.to_epsg() == int(CRS.split(":")[1])
        assert made.compression.value == compress
        assert made.colormap(1)[3] == (*CLOUD_CLASSES[3].colour, 255)
        assert made.colormap(1)[255][3] == 0
        assert made.tags(1)["CLASS_2"] == "thin_cloud"
        assert made.overviews(1) == [2, 4]
    with rasterio.open(path, overview_level=1) as small:
        assert set(np.unique(small.read())) <= {0, 1, 2, 3, 255}, "label overviews must not invent values"
    assert list(tmp_path.iterdir()) == [path]


def test_overviews_of_continuous_values_are_averages(tmp_path: Path) -> None:
    values = np.tile(np.array([[0, 200], [0, 200]], np.uint8), (600, 600))[None]
    path = write(tmp_path / "p.tif", values, RasterSpec(1200, 1200, scale=1 / 250, nodata=255, names=("cloud",)))
    with rasterio.open(path, overview_level=0) as small:
        assert (small.read() == 100).all()
    with rasterio.open(path) as made:
        assert made.scales == (1 / 250,)


def test_an_image_without_georeference_stays_without(tmp_path: Path) -> None:
    path = write(tmp_path / "plain.tif", labels(70, 40), RasterSpec(70, 40, categories=CLOUD_CLASSES))
    with pytest.warns(rasterio.errors.NotGeoreferencedWarning), rasterio.open(path) as made:
        assert made.crs is None
        assert made.transform.is_identity
    assert b"ModelPixelScale" not in path.read_bytes()


def test_windows_in_any_order_give_the_same_pixels(tmp_path: Path) -> None:
    values = labels(600, 700)
    with CogSink(tmp_path / "x.tif", RasterSpec(600, 700)) as sink:
        for row, col in ((300, 0), (0, 350), (300, 350), (0, 0)):
            sink.write(Window(row, col, 300, 350), values[:, row : row + 300, col : col + 350])
        path = sink.commit()
    with rasterio.open(path) as made:
        np.testing.assert_array_equal(made.read(), values)


def test_what_was_never_written_is_nodata(tmp_path: Path) -> None:
    with CogSink(tmp_path / "x.tif", RasterSpec(600, 30, nodata=255)) as sink:
        sink.write(Window(550, 0, 50, 30), np.ones((1, 50, 30), np.uint8))
        path = sink.commit()
    with rasterio.open(path) as made:
        assert (made.read(1)[:550] == 255).all() and (made.read(1)[550:] == 1).all()


def test_leaving_without_commit_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), CogSink(tmp_path / "odd [name]*.tif", RasterSpec(30, 30)) as sink:
        sink.write(Window(0, 0, 30, 30), labels(30, 30))
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_values_of_another_shape_are_an_error(tmp_path: Path) -> None:
    with CogSink(tmp_path / "x.tif", RasterSpec(30, 30)) as sink, pytest.raises(GeoadaptError, match="do not fit"):
        sink.write(Window(0, 0, 30, 30), np.zeros((2, 30, 30), np.uint8))


def test_the_qgis_style_names_and_colours_every_class(tmp_path: Path) -> None:
    path = write_style(tmp_path / "a_labels.tif", CLOUD_CLASSES)
    assert path == style_path(tmp_path / "a_labels.tif") == tmp_path / "a_labels.qml"
    text = path.read_text()
    for entry in CLOUD_CLASSES:
        assert (
            f'value="{entry.value}" color="#{bytes(entry.colour).hex()}" label="{entry.name.replace("_", " ")}"' in text
        )


@pytest.mark.parametrize("band", [1, 3])
def test_a_file_that_reads_back_differently_is_not_kept(
    band: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = RasterSpec(1100, 40, count=3, dtype="float32", nodata=float("nan"))
    values = np.random.default_rng(0).random((3, 1100, 40)).astype(np.float32)
    values[:, 5] = np.nan
    copy = rasterio.shutil.copy

    def damaged(source: Path, target: Path, **options: object) -> None:
        with rasterio.open(source, "r+") as file:
            kept = file.read(band)
            file.write(np.where(np.arange(1100)[:, None] == 1050, 0, kept).astype(np.float32), band)
        copy(source, target, **options)
        with rasterio.open(source, "r+") as file:
            file.write(kept, band)

    with CogSink(tmp_path / "whole.tif", spec) as sink:
        sink.write(Window(0, 0, 1100, 40), values)
        sink.commit()
    monkeypatch.setattr(rasterio.shutil, "copy", damaged)
    with CogSink(tmp_path / "x.tif", spec) as sink:
        sink.write(Window(0, 0, 1100, 40), values)
        with pytest.raises(GeoadaptError, match=f"band {band} reads back differently"):
            sink.commit()
    assert [path.name for path in tmp_path.iterdir()] == ["whole.tif"]
