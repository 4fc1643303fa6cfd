from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rioxarray  # noqa: F401 - gives cubes their .rio
import xarray as xr
import zarr
from affine import Affine
from rasterio.crs import CRS

from geoadapt.cubes.classes import CLOUD_CLASSES
from geoadapt.errors import GeoadaptError
from geoadapt.io.base import Window
from geoadapt.io.geotiff import RasterSpec
from geoadapt.io.zarr_write import ZarrSink, spatial_ref, write_cube

PLACE = Affine(10, 0, 600000, 0, -10, 5700000)
UTM = CRS.from_epsg(32631)


def cube(height: int = 90, width: int = 70) -> xr.DataArray:
    values = np.random.default_rng(0).random((2, 3, height, width), np.float32)
    values[0, 0, 0, 0] = np.nan
    return xr.DataArray(
        values,
        dims=("time", "band", "y", "x"),
        coords={
            "time": np.array(["2020-01-01", "2020-01-06"], "datetime64[ns]"),
            "band": ["blue", "green", "red"],
            "y": 5700000 - 10 * (np.arange(height) + 0.5),
            "x": 600000 + 10 * (np.arange(width) + 0.5),
            "spatial_ref": xr.DataArray(0, attrs=spatial_ref(UTM, PLACE)),
        },
        name="reflectance",
        attrs={"grid_mapping": "spatial_ref"},
    )


def test_a_cube_comes_back_with_its_values_labels_and_crs(tmp_path: Path) -> None:
    path = write_cube(cube(), tmp_path / "c.zarr", chunk=32, shard=64)
    with xr.open_zarr(path, chunks=None, decode_coords="all") as back:
        np.testing.assert_array_equal(back["reflectance"], cube())
        assert back.rio.crs.to_epsg() == 32631
        assert back.rio.transform() == PLACE
        assert list(back["band"].values) == ["blue", "green", "red"]
        assert back.attrs["proj:code"] == "EPSG:32631"
        assert back.attrs["spatial:transform"] == list(PLACE)[:6]
    array = zarr.open_group(path)["reflectance"]
    assert (array.chunks, array.shards, array.metadata.zarr_format) == ((1, 1, 32, 32), (1, 1, 64, 64), 3)
    assert [p.name for p in tmp_path.iterdir()] == ["c.zarr"]


def test_a_dask_cube_is_written_shard_by_shard(tmp_path: Path) -> None:
    path = write_cube(cube().chunk({"y": 17, "x": 23, "band": 2}), tmp_path / "c.zarr", chunk=32, shard=64)
    with xr.open_zarr(path, chunks=None) as back:
        np.testing.assert_array_equal(back["reflectance"], cube())


def test_a_cube_without_spatial_dims_is_an_error_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(GeoadaptError, match=r"dims \['a'\]"):
        write_cube(xr.DataArray(np.zeros(3), dims="a"), tmp_path / "c.zarr")
    assert list(tmp_path.iterdir()) == []


def test_labels_written_by_rows_come_back_with_flags_and_place(tmp_path: Path) -> None:
    values = np.random.default_rng(0).integers(0, 4, (1, 1500, 300)).astype(np.uint8)
    spec = RasterSpec(1500, 300, crs=UTM, transform=PLACE, nodata=255, categories=CLOUD_CLASSES)
    with ZarrSink(tmp_path / "l.zarr", spec, "labels") as sink:
        for row in range(0, 1500, 192):
            part = values[:, row : row + 192]
            sink.write(Window(row, 0, part.shape[1], 300), part)
        sink.commit()
    with xr.open_zarr(tmp_path / "l.zarr", chunks=None, decode_coords="all", mask_and_scale=False) as back:
        np.testing.assert_array_equal(back["labels"], values)
        assert back["labels"].attrs["flag_meanings"] == "clear cloud thin_cloud shadow"
        assert back.rio.crs.to_epsg() == 32631
        assert back["y"].values[0] == 5700000 - 5


def test_an_uncommitted_store_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), ZarrSink(tmp_path / "l.zarr", RasterSpec(30, 30)) as sink:
        sink.write(Window(0, 0, 30, 30), np.ones((1, 30, 30), np.uint8))
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []
