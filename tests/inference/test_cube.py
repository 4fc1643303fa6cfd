"""A bundle on cubes in memory or in dask gives what it gives on files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import torch
import xarray as xr
from torch import Tensor

from geoadapt.config import InferConfig
from geoadapt.cubes.open import open_cube
from geoadapt.errors import GeoadaptError
from geoadapt.inference.cube import Predictor
from geoadapt.inference.predict import predict
from geoadapt.io.zarr_write import write_cube
from tests.inference.fakes import FakeBundle, expected_labels
from tests.synth import scene, write_tif

NAMES = ("blue", "green", "red")
SMALL = InferConfig(tile=32, overlap=8, batch=2)


class FakePredictor(FakeBundle):
    """The fake bundle with the real way over cubes; it notes what it was told of date, pixel size and sensor."""

    predict = Predictor.predict
    _labels = Predictor._labels

    def scores(self, values: Tensor, valid: Tensor | None, **told: Any) -> Tensor:
        self.told, self.sensor = (told["time"], told["resolution"]), told["sensor"]
        return super().scores(values, valid, **told)


@pytest.mark.parametrize("chunks", [None, 16])
@pytest.mark.parametrize(("crs", "metres"), [("EPSG:32631", 10.0), ("EPSG:4326", 8.9), (None, None)])
def test_a_cube_gives_the_labels_of_its_file_from_the_same_facts(
    tmp_path: Path, crs: str | None, metres: float | None, chunks: int | None
) -> None:
    image = scene(3, 40, 50)
    image[:, 2, 3] = np.nan
    place = rasterio.Affine(1e-4, 0, 4, 0, -1e-4, 50) if crs == "EPSG:4326" else None
    path = write_tif(tmp_path / "a_20220601.tif", image, names=NAMES, crs=crs, place=place)
    bundle, other = FakePredictor(), FakePredictor()
    labels = bundle.predict(open_cube(path, chunks=chunks), SMALL)
    (result,) = predict([path], other, tmp_path / "out", SMALL)
    with rasterio.open(result.files["labels"]) as file:
        np.testing.assert_array_equal(labels.values[0], file.read(1))
    np.testing.assert_array_equal(labels.values[0], expected_labels(image))
    assert labels.dims == ("time", "y", "x")
    assert bundle.told[0] == other.told[0]
    assert bundle.told[1] == (None if metres is None else pytest.approx(other.told[1]))
    assert bundle.told[0].isoformat() == "2022-06-01T00:00:00+00:00"
    assert bundle.told[1] == (None if metres is None else pytest.approx(metres, abs=0.1))


def test_labels_of_a_cube_can_be_written(tmp_path: Path) -> None:
    path = write_tif(tmp_path / "a_20220601.tif", scene(3, 40, 50), names=NAMES)
    labels = FakePredictor().predict(open_cube(path), SMALL)
    with xr.open_zarr(write_cube(labels, tmp_path / "a.zarr"), mask_and_scale=False) as written:
        np.testing.assert_array_equal(written["labels"].values, labels.values)
        assert written["labels"].attrs["flag_meanings"] == "clear cloud thin_cloud shadow"


def test_a_cube_without_a_band_says_which(tmp_path: Path) -> None:
    path = write_tif(tmp_path / "a.tif", scene(2, 40, 50), names=NAMES[:2])
    with pytest.raises(GeoadaptError, match=r"lacks \['red'\].*has \['blue', 'green'\]"):
        FakePredictor().predict(open_cube(path), SMALL)
    assert torch.is_grad_enabled()


def test_a_model_is_told_which_sensor_took_a_cube_or_a_file(tmp_path: Path) -> None:
    path = write_tif(tmp_path / "a_20220601.tif", scene(3, 40, 50), names=NAMES)
    unknown, bundle, other = FakePredictor(), FakePredictor(), FakePredictor()
    unknown.predict(open_cube(path), SMALL)
    with rasterio.open(path, "r+") as file:
        file.update_tags(sensor="landsat7")
    bundle.predict(open_cube(path), SMALL)
    predict([path], other, tmp_path / "out", SMALL)
    assert (unknown.sensor, bundle.sensor, other.sensor) == (None, "landsat7", "landsat7")
