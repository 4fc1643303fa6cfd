"""GEO-Bench-2's data sets: every stand-in becomes samples of the right inputs, units and targets; oddities are said."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from data_pipelines.geobench_standins import BIOMASS, RANGES, StandinSpec, write_standins
from data_pipelines.tortilla import Sample, tortilla, write_parts
from geoadapt.cubes.bands import COMMON_NAMES
from geoadapt.cubes.geobench2 import LATER, layout_of
from geoadapt.cubes.geobench2_table import GEOBENCH2
from geoadapt.errors import GeoadaptError
from geoadapt.fields.geobench2 import build
from geoadapt.fields.geobench2_config import Geobench2Config, Geobench2StandinConfig
from geoadapt.fields.samples import samples_batch
from tests.io.test_tortilla import geotiff

SIZE = 16
FEW = StandinSpec(train=3, val=1, test=1, size=SIZE)


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("standins")
    write_standins(folder, list(GEOBENCH2), FEW)
    return folder


def standin(root: Path, key: str, **more: object) -> Geobench2StandinConfig:
    return Geobench2StandinConfig(dataset=key, root=str(root), **more)


def test_the_table_has_the_fifteen_that_do_not_detect_and_the_four_that_do():
    assert len(GEOBENCH2) == 15 and len(LATER) == 4
    assert sum(layout.mapped for layout in GEOBENCH2.values()) == 11
    counts = {key: len(layout.classes) for key, layout in GEOBENCH2.items()}
    assert counts["benv2"] == 19 and counts["so2sat"] == 17 and counts["flair2"] == 13 and counts["pastis"] == 19
    assert all(key == layout.key and sum(layout.splits) > 500 for key, layout in GEOBENCH2.items())
    assert all(len(set(layout.classes)) == len(layout.classes) for layout in GEOBENCH2.values())


@pytest.mark.parametrize("key", GEOBENCH2)
def test_bands_and_units_are_those_of_the_house(key):
    others = {"gray", "alpha", "surface_height", "elevation", "cloud_probability", "vv_vh_ratio"}
    for modality in GEOBENCH2[key].inputs:
        assert set(modality.used) <= set(modality.stored)
        assert set(modality.used) <= {*COMMON_NAMES, *others}
        assert modality.units in RANGES


@pytest.mark.parametrize("key", GEOBENCH2)
def test_a_standin_becomes_a_batch_of_the_right_channels_units_and_target(root, key):
    data, layout = build(standin(root, key)), GEOBENCH2[key]
    assert data.simulated and "SIMULATED" in data.name and "SIMULATED" in data.note
    assert (len(data.train), len(data.val), len(data.test)) == (3, 1, 1)
    assert data.target.names == layout.classes and data.target.kind == layout.kind
    batch = samples_batch(data.train[:2], data.target, data.layout)
    assert set(batch.inputs) == {modality.input for modality in layout.inputs}
    for modality in layout.inputs:
        field = batch.inputs[modality.input]
        assert field.channels == modality.used
        assert tuple(field.values.shape) == (2, modality.dates, len(modality.used), SIZE, SIZE)
        assert field.valid is not None and bool(field.valid.all())
        low, high = RANGES[modality.units]
        step = max(modality.scale, 1e-4) if modality.scale < 1 else 1e-4
        assert low - step <= float(field.values.min()) and float(field.values.max()) <= high + step
        assert float(field.values.std()) > 0.03 * (high - low)
        wanted = "reflectance" if modality.units == "brightness" else modality.units
        assert data.units[modality.input] == wanted
    assert batch.target is not None and batch.target.valid is not None and bool(batch.target.valid.all())
    shapes = {"class": (1, 1, 1), "labels": (len(layout.classes), 1, 1)}
    assert tuple(batch.target.values.shape) == (2, 1, *shapes.get(layout.kind, (1, SIZE, SIZE)))
    top = {"labels": 1.0, "value_map": BIOMASS}.get(layout.kind, len(layout.classes) - 1)
    assert float(batch.target.values.min()) >= 0 and float(batch.target.values.max()) <= top
    assert {sample.group for sample in data.train}.isdisjoint(sample.group for sample in data.test)
    assert data.train[0].latlon is not None and data.train[0].resolution == layout.resolution


@pytest.mark.parametrize("key", ["kuro_siwo", "biomassters"])
def test_dates_are_in_order_and_the_last_ones_are_taken(root, key):
    every, two = build(standin(root, key)).train[0], build(standin(root, key, dates=2)).train[0]
    whole, last = every.inputs["sar"], two.inputs["sar"]
    assert whole.times is not None and (np.diff(whole.times) > np.timedelta64(0, "s")).all()
    np.testing.assert_array_equal(last.values, whole.values[-2:])
    if key == "kuro_siwo":
        assert two.inputs["terrain"].values.shape[0] == 1


def test_the_colour_of_a_class_is_learnt_from_the_training_samples(tmp_path):
    write_standins(tmp_path, ["so2sat"], StandinSpec(train=51, val=1, test=34, size=8))
    data = build(standin(tmp_path, "so2sat"))

    def features(samples):
        return np.array([[v for p in s.inputs.values() for v in p.values.mean((0, 2, 3))] for s in samples])

    seen, asked = features(data.train), features(data.test)
    labels, truth = (np.array([s.target for s in part]) for part in (data.train, data.test))
    scale = seen.std(0)
    centres = np.stack([seen[labels == c].mean(0) / scale for c in range(17)])
    guess = np.square(asked[:, None] / scale - centres).sum(-1).argmin(1)
    assert (guess == truth).mean() > 0.3


def test_samples_may_lie_in_several_files(tmp_path):
    write_standins(tmp_path, ["caffe"], replace(FEW, train=5))
    one = [sample.name for sample in build(standin(tmp_path, "caffe")).train]
    write_standins(tmp_path, ["caffe"], replace(FEW, train=5, files=3))
    assert len(list((tmp_path / "caffe").glob("*.part.tortilla"))) == 3
    assert [sample.name for sample in build(standin(tmp_path, "caffe")).train] == one


def test_inputs_are_chosen(root):
    data = build(standin(root, "so2sat", inputs=["sar"]))
    assert set(data.train[0].inputs) == {"sar"} == set(data.layout.channels)
    with pytest.raises(GeoadaptError, match=r"forestnet has no sar; choose from optical"):
        build(standin(root, "forestnet", inputs=["sar"]))


@pytest.mark.parametrize(("key", "task"), LATER.items())
def test_detection_has_its_place_and_says_that_it_is_not_here(key, task):
    with pytest.raises(GeoadaptError, match=task):
        Geobench2Config(dataset=key)


def test_an_unknown_key_is_answered_with_the_nearest():
    with pytest.raises(GeoadaptError, match="did you mean 'so2sat'"):
        Geobench2Config(dataset="so2sta")
    with pytest.raises(GeoadaptError, match="name one to train on"):
        build(Geobench2StandinConfig())


def test_an_empty_folder_says_what_to_download(tmp_path):
    with pytest.raises(GeoadaptError, match="huggingface.co/datasets/aialliance/pastis"):
        build(Geobench2Config(dataset="pastis", root=str(tmp_path)))


def real_like(folder: Path, **changes: object) -> Geobench2Config:
    """Fields of the World as others might store it: other names, no times, labels of their own."""
    rng = np.random.default_rng(0)
    samples = []
    for n, split in enumerate(("train", "train", "validation", "test")):
        image = rng.integers(300, 4000, (4, 8, 8)).astype(np.uint16)
        mask = rng.integers(0, 3, (1, 8, 8)).astype(np.uint8)
        mask[0, 0, 0] = 3
        parts = [Sample(f"patch_{n}_s2", geotiff(image)), Sample(f"patch_{n}_mask", geotiff(mask))]
        about = {"tortilla:data_split": split, "stac:centroid": f"POINT ({10 + n}.5 {-20.25})", "country": "A"}
        samples.append(Sample(f"p{n}", tortilla(parts), "TORTILLA", about))
    write_parts(folder, "geobench_fotw", samples)
    return Geobench2Config(dataset="fotw", root=str(folder), **changes)


def test_rasters_are_known_by_their_ids_and_places_by_their_centroids(tmp_path):
    data = build(real_like(tmp_path))
    sample = data.train[1]
    assert not data.simulated and "published are 4,000, 1,000 and 2,000" in data.note
    assert sample.inputs["optical"].channels == ("red", "green", "blue", "nir")
    assert sample.inputs["optical"].values.min() >= 0.03 and sample.inputs["optical"].values.max() < 0.4
    assert sample.latlon == (-20.25, 11.5) and sample.group == "A"
    assert sample.target[0, 0] == 255 and set(np.unique(sample.target)) <= {0, 1, 2, 255}


def test_a_factor_that_does_not_fit_is_noticed(tmp_path):
    with pytest.raises(GeoadaptError, match=r"median of .* reflectance, expected -0\.5 to 2.*data\.scale"):
        build(real_like(tmp_path, scale={"optical": 1.0})).train[0]


def test_classes_of_other_numbers_are_an_error_until_they_are_named(tmp_path):
    config = real_like(tmp_path)
    for path in tmp_path.glob("*"):
        path.unlink()
    mask = np.full((1, 8, 8), 127, np.uint8)
    mask[0, 0] = 64
    parts = [Sample("s2", geotiff(np.full((4, 8, 8), 900, np.uint16))), Sample("mask", geotiff(mask))]
    rows = [(f"p{n}", split) for n, split in enumerate(("train", "val", "test"))]
    made = [Sample(name, tortilla(parts), "TORTILLA", {"tortilla:data_split": split}) for name, split in rows]
    write_parts(tmp_path, "fotw", made)
    with pytest.raises(GeoadaptError, match=r"classes \[64\.0, 127\.0\], expected 0 to 2.*data\.classes"):
        build(config).train[0]
    target = build(replace(config, classes={64: 2, 127: 0})).train[0].target
    assert (target[0] == 2).all() and (target[1:] == 0).all()


@pytest.mark.parametrize(
    ("rasters", "said"),
    [
        ({"optical": "planet"}, r"no raster called planet: it holds patch_0_s2"),
        ({"label": "truth"}, r"0 rasters called truth: it holds patch_0_s2 \(-\), patch_0_mask"),
    ],
)
def test_rasters_that_are_not_found_are_listed(tmp_path, rasters, said):
    with pytest.raises(GeoadaptError, match=said):
        build(real_like(tmp_path, rasters=rasters)).train[0]


def test_a_missing_target_names_the_columns_that_there_are(tmp_path):
    image = Sample("s2", geotiff(np.full((10, 8, 8), 0.2, np.float32)))
    made = [
        Sample(f"p{n}", tortilla([image]), "TORTILLA", {"split": split, "zone": n})
        for n, split in enumerate(("train", "val", "test"))
    ]
    write_parts(tmp_path, "so2sat", made)
    config = Geobench2Config(dataset="so2sat", root=str(tmp_path), inputs=["optical"])
    with pytest.raises(GeoadaptError, match=r"no column label.*data\.label=COLUMN, of .*zone"):
        build(config).train[0]
    assert build(replace(config, label="zone")).test[0].target == 2


@pytest.mark.parametrize("stored", [["genus b", "genus m"], "genus b|genus m", '["genus b", "genus m"]'])
def test_names_of_classes_that_the_files_bring_are_taken(tmp_path, stored):
    words = [f"genus {letter}" for letter in "abcdefghijklmno"]
    image = Sample("aerial", geotiff(np.full((4, 8, 8), 90, np.uint8)))
    values = [words if isinstance(stored, list) else "|".join(words), stored, stored, stored]
    made = [
        Sample(f"p{n}", tortilla([image]), "TORTILLA", {"split": split, "labels": values[n]})
        for n, split in enumerate(("train", "train", "val", "test"))
    ]
    write_parts(tmp_path, "treesatai", made)
    data = build(Geobench2Config(dataset="treesatai", root=str(tmp_path)))
    assert data.target.names == tuple(words)
    assert np.flatnonzero(data.train[1].target).tolist() == [1, 12]
    assert data.train[0].target.sum() == 15


def test_a_sample_in_no_split_and_one_that_is_named_twice_are_refused(tmp_path):
    config = real_like(tmp_path)
    first = next(iter(tmp_path.glob("*.tortilla")))
    shutil.copy(first, tmp_path / "copy.tortilla")
    with pytest.raises(GeoadaptError, match="twice"):
        build(config)
    (tmp_path / "copy.tortilla").unlink()
    write_parts(tmp_path, "geobench_fotw", [Sample("p", geotiff(np.zeros((4, 8, 8), np.uint16)))])
    with pytest.raises(GeoadaptError, match="is in no split; expected a column tortilla:data_split"):
        build(config)


@pytest.mark.parametrize("key", ["burn_scars", "so2sat", "benv2"])
def test_plain_folders_give_the_same_samples(root, tmp_path, key):
    layout, data = layout_of(key), build(standin(root, key))
    names = {n: name for n, name in enumerate(data.target.names)}
    for split, word in (("train", "train"), ("val", "validation"), ("test", "test")):
        folder = tmp_path / word
        (folder / "labels").mkdir(parents=True)
        rows = ["name,label"]
        for sample in getattr(data, split):
            for modality in layout.inputs:
                values = sample.inputs[modality.input].values[0]
                stored = 10 ** (values / 10) if modality.decibel else values / modality.scale
                stored = np.sqrt(stored / 2) if modality.amplitude else stored
                place = folder / "images" / (modality.input if len(layout.inputs) > 1 else "")
                place.mkdir(parents=True, exist_ok=True)
                (place / f"{sample.name}.tif").write_bytes(geotiff(stored.astype(np.float32)))
            if layout.mapped:
                (folder / "labels" / f"{sample.name}.tif").write_bytes(geotiff(sample.target[None].astype(np.uint8)))
            elif layout.kind == "class":
                rows.append(f"{sample.name},{sample.target}")
            else:
                told = "|".join(names[int(k)] for k in np.flatnonzero(sample.target))
                rows.append(f'{sample.name},"{told}"')
        (folder / "labels.csv").write_text("\n".join(rows) + "\n")
    again = build(Geobench2Config(dataset=key, root=str(tmp_path)))
    for mine, other in zip(data.train, again.train, strict=True):
        assert mine.name == other.name
        np.testing.assert_array_equal(mine.target, other.target)
        for name, piece in mine.inputs.items():
            torch.testing.assert_close(
                torch.from_numpy(piece.values), torch.from_numpy(other.inputs[name].values), rtol=1e-4, atol=1e-4
            )
