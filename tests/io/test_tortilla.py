"""Tortilla files: samples are found by their table, read from their bytes, and damage is named."""

from __future__ import annotations

import io
import struct

import h5py
import numpy as np
import pytest
from rasterio.io import MemoryFile

from data_pipelines.tortilla import Sample, tortilla, write_parts
from geoadapt.errors import GeoadaptError
from geoadapt.io.gdal import quiet
from geoadapt.io.tortilla import HEADER, Item, inside, items_in, tortillas_under, whole_file


def geotiff(values: np.ndarray, nodata: float | None = None, names: tuple[str, ...] = ()) -> bytes:
    count, height, width = values.shape
    with quiet(), MemoryFile() as memory:
        with memory.open(
            driver="GTiff", count=count, height=height, width=width, dtype=values.dtype.name, nodata=nodata
        ) as file:
            file.write(values)
            for n, name in enumerate(names, 1):
                file.set_band_description(n, name)
        return bytes(memory.read())


@pytest.fixture
def images() -> list[np.ndarray]:
    return [np.random.default_rng(n).integers(0, 9999, (3, 6, 5)).astype(np.uint16) for n in range(5)]


def test_the_header_is_that_of_the_specification(images):
    data = tortilla([Sample("a", geotiff(images[0]))], parts=3)
    offset, length, parts = struct.unpack("<QQQ", data[2:26])
    assert data[:2] == b"#y" and parts == 3
    assert offset + length == len(data)
    assert data[26:HEADER] == bytes(174)
    assert data[offset : offset + 4] == b"PAR1" == data[-4:]


def test_samples_are_read_from_their_bytes(tmp_path, images):
    names = ("red", "green", "blue")
    samples = [Sample(f"s{n}", geotiff(v, 7, names), about={"label": n}) for n, v in enumerate(images)]
    (path,) = write_parts(tmp_path, "set", samples)
    items = items_in(path)
    assert [(item.name, item.row["label"]) for item in items] == [(f"s{n}", n) for n in range(5)]
    for item, values in zip(items, images, strict=True):
        image = item.read()
        np.testing.assert_array_equal(image.values, values)
        assert image.nodata == 7 and image.bands == names


def test_a_nested_sample_holds_items_whose_offsets_count_from_its_own_beginning(tmp_path, images):
    samples = []
    for n, values in enumerate(images):
        parts = [Sample(m, geotiff(values + k), "GTiff", {"modality": m}) for k, m in enumerate("ab")]
        samples.append(Sample(f"s{n}", tortilla(parts), "TORTILLA"))
    (path,) = write_parts(tmp_path, "set", samples)
    for item, values in zip(items_in(path), images, strict=True):
        first, second = inside(item)
        assert (first.row["modality"], second.row["modality"]) == ("a", "b")
        np.testing.assert_array_equal(first.read().values, values)
        np.testing.assert_array_equal(second.read().values, values + 1)
    assert inside(first) == [first]


def test_parts_are_joined_in_order_and_a_missing_one_is_named(tmp_path, images):
    paths = write_parts(tmp_path, "set", [Sample(f"s{n}", geotiff(v)) for n, v in enumerate(images)], parts=3)
    assert [path.name for path in paths] == [f"set.{n:04d}.part.tortilla" for n in range(3)]
    found = tortillas_under(tmp_path)
    assert found == {"set": paths}
    assert [item.name for path in found["set"] for item in items_in(path)] == [f"s{n}" for n in range(5)]
    paths[1].unlink()
    with pytest.raises(GeoadaptError, match=r"2 of 3 parts.*set\.0001\.part\.tortilla"):
        tortillas_under(tmp_path)
    paths[2].unlink()
    with pytest.raises(GeoadaptError, match="1 of 3 parts"):
        tortillas_under(tmp_path)


def stored(tmp_path, fill) -> Item:
    stream = io.BytesIO()
    with h5py.File(stream, "w") as file:
        fill(file)
    (path,) = write_parts(tmp_path, "set", [Sample("a", stream.getvalue(), "HDF5")])
    return items_in(path)[0]


def test_dates_of_an_array_in_hdf5_stand_behind_each_other(tmp_path):
    values = np.random.default_rng(0).integers(0, 9, (4, 3, 6, 5)).astype(np.int16)

    def fill(file):
        file["data"] = values

    image = stored(tmp_path, fill).read()
    np.testing.assert_array_equal(image.values, values.reshape(12, 6, 5))
    assert image.nodata is None and image.bands == ("",) * 12


def elsewhere(file):
    file["data"] = h5py.ExternalLink("/etc/hostname", "x")


def from_a_file(file):
    file.create_dataset("data", (2, 2), "u1", external=[("/etc/hostname", 0, 4)])


def huge(file):
    file.create_dataset("data", (2**20, 2**20), "u1", chunks=(2**10, 2**10))


@pytest.mark.parametrize(
    ("fill", "said"),
    [
        (
            lambda file: file.create_dataset("image", data=np.zeros((2, 2))),
            r"holds \['image'\]; expected an array called",
        ),
        (lambda file: file.create_group("data"), "no array of its own"),
        (lambda file: file.create_dataset("data", data=[b"text"]), "expected numbers"),
        (elsewhere, "expected an array called data"),
        (from_a_file, "no array of its own"),
        (huge, "declares 1,024 GiB"),
    ],
)
def test_an_array_in_hdf5_that_is_none_or_lies_elsewhere_is_refused(tmp_path, fill, said):
    with pytest.raises(GeoadaptError, match=said):
        stored(tmp_path, fill).read()


def test_damaged_hdf5_is_named(tmp_path):
    (path,) = write_parts(tmp_path, "set", [Sample("a", b"\x89HDF\r\n\x1a\n" + bytes(300), "HDF5")])
    with pytest.raises(GeoadaptError, match="› a: cannot be read"):
        items_in(path)[0].read()


def test_a_file_of_its_own_is_an_item(tmp_path, images):
    path = tmp_path / "a,b.tif"
    path.write_bytes(geotiff(images[0]))
    np.testing.assert_array_equal(whole_file(path).read().values, images[0])


def damaged(data: bytes, how: str) -> bytes:
    offset, length = struct.unpack("<QQ", data[2:18])
    return {
        "cut": data[: len(data) // 2],
        "empty": b"",
        "pointer": b"version https://git-lfs.github.com/spec/v1\n" + bytes(300),
        "far": data[:2] + struct.pack("<QQ", offset, length * 1000) + data[18:],
        "table": data[:offset] + bytes(length),
    }[how]


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("cut", "its table ends at"),
        ("empty", "begins with b''"),
        ("pointer", "Git LFS"),
        ("far", "its table ends at"),
        ("table", "no Parquet"),
    ],
)
def test_a_damaged_file_is_named_with_what_is_wrong(tmp_path, images, how, said):
    path = tmp_path / "set.tortilla"
    path.write_bytes(damaged(tortilla([Sample("a", geotiff(images[0]))]), how))
    with pytest.raises(GeoadaptError, match=said) as error:
        items_in(path)
    assert str(path) in str(error.value)


def test_a_sample_outside_of_the_file_and_pixels_that_are_damaged_are_refused(tmp_path, images):
    path = tmp_path / "set.tortilla"
    raster = geotiff(images[0])
    data = tortilla([Sample("a", raster, about={"x": 1})])
    moved = data.replace(struct.pack("<q", len(raster)), struct.pack("<q", len(raster) * 50))
    path.write_bytes(moved)
    with pytest.raises(GeoadaptError, match="sample 'a' is said to lie at"):
        items_in(path)
    path.write_bytes(data[:HEADER] + bytes(len(raster)) + data[HEADER + len(raster) :])
    with pytest.raises(GeoadaptError, match="› a: cannot be read"):
        items_in(path)[0].read()


@pytest.mark.parametrize("kind", ["VRT", "BYTES", "WMS", "../x"])
def test_only_formats_of_rasters_are_opened(tmp_path, images, kind):
    (path,) = write_parts(tmp_path, "set", [Sample("a", geotiff(images[0]), kind)])
    with pytest.raises(GeoadaptError, match=f"of the format '{kind}'"):
        items_in(path)[0].read()
