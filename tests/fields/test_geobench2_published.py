"""GEO-Bench-2's data sets as its own scripts write them: names of rasters, orders of bands and dates, label values."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from data_pipelines.tortilla import Sample, tortilla, write_parts
from geoadapt.cubes.geobench2_files import PUBLISHED
from geoadapt.cubes.geobench2_table import GEOBENCH2
from geoadapt.errors import GeoadaptError
from geoadapt.fields.geobench2 import build
from geoadapt.fields.geobench2_config import Geobench2Config
from geoadapt.fields.samples import Labelled, SampleSet
from tests.io.test_tortilla import geotiff

SPLITS = ("train", "validation", "test")
SIDE = 8


def ramp(*numbers: float, kind: type = np.uint16) -> np.ndarray:
    """Bands (c, h, w), each of one number."""
    return np.stack([np.full((SIDE, SIDE), n, kind) for n in numbers])


def mask(*rows: int) -> np.ndarray:
    """A map (1, h, w) whose first rows hold these, the last of them everywhere else."""
    values = np.full((1, SIDE, SIDE), rows[-1], np.uint8)
    for n, value in enumerate(rows):
        values[0, n] = value
    return values


def hdf5(values: np.ndarray) -> bytes:
    import h5py

    stream = io.BytesIO()
    with h5py.File(stream, "w") as file:
        file["data"] = values
    return stream.getvalue()


def published(folder: Path, key: str, parts: list[Sample], about: dict[str, Any] | None = None) -> SampleSet:
    """The same sample in every split."""
    rows = [(f"sample_{split}", {"tortilla:data_split": split, **(about or {})}) for split in SPLITS]
    write_parts(folder, f"geobench_{key}", [Sample(n, tortilla(parts), "TORTILLA", row) for n, row in rows])
    return build(Geobench2Config(dataset=key, root=str(folder)))


def first(data: SampleSet) -> Labelled:
    return data.train[0]


def test_semantic_masks_of_buildings_are_told_from_instances_and_begin_at_one(tmp_path: Path) -> None:
    bands = ramp(*range(300, 1100, 100))
    parts = [
        Sample("ps-ms", geotiff(bands)),
        Sample("pan", geotiff(ramp(500))),
        Sample("semantic_mask", geotiff(mask(0, 1, 0), nodata=0)),
        Sample("instance_mask", geotiff(mask(0, 7, 0), nodata=0)),
    ]
    data = published(tmp_path, "spacenet2", parts)
    sample = first(data)
    assert [data.target.names[n] for n in sample.target[:3, 0]] == ["no building", "building", "no building"]
    assert sample.inputs["optical"].values.shape == (1, 8, SIDE, SIDE)
    np.testing.assert_allclose(sample.inputs["optical"].values[0, 4], 700 / 2047)


def test_land_cover_of_flair_begins_at_one_and_ends_in_other(tmp_path: Path) -> None:
    parts = [
        Sample("aerial", geotiff(ramp(90, 80, 70, 60, 50, kind=np.uint8))),
        Sample("mask", geotiff(mask(1, 13, 19))),
    ]
    data = published(tmp_path, "flair2", parts)
    sample = first(data)
    assert [data.target.names[n] for n in sample.target[:3, 0]] == ["building", "other", "other"]
    np.testing.assert_allclose(sample.inputs["surface"].values, 10.0)
    np.testing.assert_allclose(sample.inputs["optical"].values[0, :, 0, 0] * 255, [90, 80, 70, 60])


def test_a_label_value_that_is_no_class_says_which_are(tmp_path: Path) -> None:
    parts = [Sample("aerial", geotiff(ramp(90, 80, 70, 60, 50, kind=np.uint8))), Sample("mask", geotiff(mask(0, 1)))]
    with pytest.raises(GeoadaptError, match=r"holds the classes \[0\.0\], expected 1 to 19"):
        first(published(tmp_path, "flair2", parts))


@pytest.mark.parametrize(
    ("key", "name", "stored"),
    [("treesatai", "aerial", (40, 30, 20, 10)), ("dynamic_earthnet", "planet_0", (200, 300, 100, 400))],
)
def test_bands_are_brought_from_the_files_order_into_that_of_the_house(
    tmp_path: Path, key: str, name: str, stored: tuple[int, ...]
) -> None:
    """Near infrared, green, blue, red of aerial images; blue, green, red, near infrared of Planet's."""
    order = {"treesatai": (3, 1, 2, 0), "dynamic_earthnet": (2, 1, 0, 3)}[key]
    kind = np.uint8 if key == "treesatai" else np.uint16
    parts = [Sample(name, geotiff(ramp(*stored, kind=kind)), about={"modality": name.split("_")[0]})]
    if GEOBENCH2[key].mapped:
        parts.append(Sample("label", geotiff(mask(0, 6)), about={"modality": "label"}))
    piece = first(published(tmp_path, key, parts, {"species_labels": ["Abies", "Tilia"]})).inputs["optical"]
    assert piece.channels == ("red", "green", "blue", "nir")
    scale = GEOBENCH2[key].inputs[0].scale
    np.testing.assert_allclose(piece.values[0, :, 0, 0], [stored[n] * scale for n in order], rtol=1e-6)


def test_genera_are_read_by_name(tmp_path: Path) -> None:
    parts = [Sample("aerial", geotiff(ramp(40, 30, 20, 10, kind=np.uint8)))]
    data = published(
        tmp_path, "treesatai", parts, {"species_labels": ["Quercus", "Cleared"], "dist_labels": [0.7, 0.3]}
    )
    assert sorted(data.target.names[n] for n in np.flatnonzero(first(data).target)) == ["cleared", "quercus"]


def test_six_days_stand_for_a_month_and_a_short_one_keeps_its_last(tmp_path: Path) -> None:
    def days(count: int) -> list[Sample]:
        made = [
            Sample(
                f"planet_{n}",
                geotiff(ramp(100 + n, 100, 100, 100)),
                about={"modality": "planet", "stac:time_start": f"2018-01-{n + 1:02d}"},
            )
            for n in range(count)
        ]
        return [*made, Sample("label", geotiff(mask(2)), about={"modality": "label", "stac:time_start": "2018-01-01"})]

    piece = first(published(tmp_path / "a", "dynamic_earthnet", days(30))).inputs["optical"]
    np.testing.assert_allclose(piece.values[:, 2, 0, 0], [0.0100, 0.0104, 0.0109, 0.0114, 0.0119, 0.0124], rtol=1e-5)
    assert piece.times is not None
    assert [str(day)[8:10] for day in piece.times] == ["01", "05", "10", "15", "20", "25"]
    short = first(published(tmp_path / "b", "dynamic_earthnet", days(8))).inputs["optical"]
    np.testing.assert_allclose(short.values[:, 2, 0, 0], [n * 1e-4 for n in range(102, 108)], rtol=1e-5)


def test_months_that_are_named_in_words_keep_their_order(tmp_path: Path) -> None:
    months = ("September", "October", "November", "December", "January", "February")
    parts = [
        Sample(f"chip_S1_{month}", geotiff(ramp(-n, -9, -8, -7, kind=np.float32)), about={"modality": "S1"})
        for n, month in enumerate(months, 1)
    ]
    parts += [
        Sample(f"chip_S2_{month}", geotiff(ramp(*[100 * n] * 11)), about={"modality": "S2"})
        for n, month in enumerate(months, 1)
    ]
    parts.append(Sample("chip_AGBM", geotiff(ramp(55, kind=np.float32)), about={"modality": "AGBM"}))
    sample = first(published(tmp_path, "biomassters", parts))
    np.testing.assert_allclose(sample.inputs["sar"].values[:, 0, 0, 0], [-1, -2, -3, -4, -5, -6])
    np.testing.assert_allclose(sample.inputs["optical"].values[:, 0, 0, 0], np.arange(1, 7) / 100, rtol=1e-6)
    assert (sample.target == 55).all()


def test_arrays_in_hdf5_are_series_with_days_as_numbers(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    optical = rng.integers(100, 4000, (14, 10, SIDE, SIDE)).astype(np.int16)
    radar = rng.uniform(-20, -5, (5, 3, SIDE, SIDE)).astype(np.float32)
    days = [20180900 + n for n in range(1, 15)]
    crops = np.concatenate([mask(0, 3, 19), mask(9), mask(9)])

    def part(name: str, values: np.ndarray, dates: list[int]) -> Sample:
        return Sample(name, hdf5(values), "HDF5", {"dates": dates, "stac:time_start": "2018-09-01"})

    parts = [part("s2", optical, days), part("s1a", radar, days[:5]), part("s1d", radar - 1, days[:5])]
    sample = first(
        published(tmp_path, "pastis", [*parts, part("semantic", crops, []), part("instance", crops[:1], [])])
    )
    piece = sample.inputs["optical"]
    np.testing.assert_allclose(piece.values, optical[-12:] * 1e-4, rtol=1e-5)
    assert piece.times is not None
    assert [str(day)[:10] for day in piece.times[[0, -1]]] == ["2018-09-03", "2018-09-14"]
    np.testing.assert_allclose(sample.inputs["sar"].values, radar[:, :2])
    assert sample.target[:3, 0].tolist() == [0, 3, 255]


def test_an_amplitude_of_either_sign_becomes_decibels(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    radar = rng.normal(0, [[[0.5]], [[0.2]]], (2, SIDE, SIDE)).astype(np.float32)
    parts = [Sample("s1", geotiff(radar)), Sample("s2", geotiff(ramp(*[0.2] * 10, kind=np.float32)))]
    data = published(tmp_path, "so2sat", parts, {"labels": "Bush, scrub"})
    values = first(data).inputs["sar"].values[0]
    assert np.isfinite(values).all()
    np.testing.assert_allclose(10 ** (values / 10), 2 * radar**2, rtol=1e-4)
    assert data.target.names[first(data).target] == "bush, scrub"


def test_two_events_before_the_flood_and_one_after_it_share_a_day(tmp_path: Path) -> None:
    day = {"stac:time_start": "2020-05-01"}
    names = ("pre_event_1", "pre_event_2", "post_event")
    parts = [Sample(name, geotiff(ramp(0.1 * n, 0.05, kind=np.float32)), about=day) for n, name in enumerate(names, 1)]
    parts += [
        Sample("dem", geotiff(ramp(120, kind=np.float32)), about=day),
        Sample("mask", geotiff(mask(0, 1, 2, 3)), about=day),
        Sample("invalid_data", geotiff(mask(1)), about=day),
    ]
    data = published(tmp_path, "kuro_siwo", parts)
    sample = first(data)
    np.testing.assert_allclose(10 ** (sample.inputs["sar"].values[:, 0, 0, 0] / 10), [0.1, 0.2, 0.3], rtol=1e-5)
    assert [data.target.names[n] for n in sample.target[:4, 0]] == ["no water", "permanent water", "flood", "no data"]
    assert float(sample.inputs["terrain"].values.max()) == 120


def test_zones_of_glaciers_may_be_grey_values(tmp_path: Path) -> None:
    parts = [Sample("image", geotiff(ramp(90, kind=np.uint8))), Sample("mask", geotiff(mask(0, 64, 127, 254)))]
    assert first(published(tmp_path, "caffe", parts)).target[:4, 0].tolist() == [0, 1, 2, 3]


def test_a_time_of_nothing_is_none(tmp_path: Path) -> None:
    parts = [
        Sample("image", geotiff(ramp(*[0.2] * 6, kind=np.float32)), about={"stac:time_start": 0}),
        Sample("label", geotiff(mask(1)), about={"stac:time_start": 0}),
    ]
    assert first(published(tmp_path, "burn_scars", parts)).inputs["optical"].times is None


def test_every_set_has_a_file_with_a_hash_of_its_own() -> None:
    assert PUBLISHED.keys() == GEOBENCH2.keys()
    digests = [digest for files in PUBLISHED.values() for digest in files.values()]
    assert len(digests) == len(set(digests)) and {len(digest) for digest in digests} == {64}
    assert GEOBENCH2["so2sat"].address.endswith("/aialliance/mso2sat")


def test_what_is_not_data_is_so_whatever_says_it(tmp_path: Path) -> None:
    image = ramp(*[0.2] * 6, kind=np.float32)
    image[:, 0, 0], image[:, 0, 1], image[:, 0, 2] = -9999, 7, np.nan
    labels = np.where(mask(0, 1) == 0, np.nan, mask(0, 1)).astype(np.float32)
    parts = [Sample("label", geotiff(labels)), Sample("image", geotiff(image, nodata=7))]
    sample = first(published(tmp_path, "burn_scars", parts))
    seen = np.isfinite(sample.inputs["optical"].values[0, 0])
    assert (~seen).sum() == 3 and not seen[0, :3].any()
    assert (sample.target[0] == 255).all() and (sample.target[1:] == 1).all()


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ("name,label\na,0\nb,1\n", r"names \['b'\], which are not in"),
        ("name,label\na,0\na,1\n", r"names \['a'\] twice"),
        ("name,label\nb,0\n", r"does not name \['a'\]"),
    ],
)
def test_a_table_of_labels_names_every_image_once_and_no_other(tmp_path: Path, rows: str, said: str) -> None:
    for split in SPLITS:
        (tmp_path / split / "images").mkdir(parents=True)
        (tmp_path / split / "images" / "a.tif").write_bytes(geotiff(ramp(*range(6), kind=np.uint8)))
        (tmp_path / split / "labels.csv").write_text(rows)
    with pytest.raises(GeoadaptError, match=said):
        build(Geobench2Config(dataset="forestnet", root=str(tmp_path)))
