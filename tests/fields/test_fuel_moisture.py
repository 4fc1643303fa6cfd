"""Live fuel moisture as samples: its own test, validation by site, physical units."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from geoadapt.errors import GeoadaptError
from geoadapt.fields.fuel_moisture import build
from geoadapt.fields.samples import SampleSet, samples_batch
from geoadapt.fields.samples_config import FuelMoistureConfig


@pytest.fixture(scope="module")
def root(data_dir: Path) -> Path:
    return data_dir / "benchmark" / "presto_fuel_moisture"


@pytest.fixture(scope="module")
def data(root: Path) -> SampleSet:
    return build(FuelMoistureConfig(root=str(root)))


def test_the_split_is_the_set_s_own_and_by_site(data):
    sizes = [len(part) for part in (data.train, data.val, data.test)]
    assert sum(sizes) == 2313 and sizes[2] == 735
    sites = [{s.group for s in part} for part in (data.train, data.val, data.test)]
    assert [len(s) for s in sites] == [92, 8, 50]
    assert not sites[0] & sites[1] and not (sites[0] | sites[1]) & sites[2]


def test_a_point_is_in_physical_units(data, root: Path):
    raw = np.load(root / "s1_s2_era5_srtm.npy")[0]
    first = next(s for s in (*data.train, *data.val) if s.name == "point 0")
    assert np.allclose(first.inputs["optical"].values[:, 0, 0, 0], raw[:, 2] / 1e4)
    assert np.allclose(first.inputs["sar"].values[:, 1, 0, 0], raw[:, 1])
    assert np.allclose(first.inputs["era5"].values[:, :, 0, 0], raw[:, 13:15])
    assert first.inputs["terrain"].values.shape == (1, 2, 1, 1)
    months = first.inputs["optical"].times.astype("datetime64[M]").astype(int) % 12
    assert months.tolist() == np.load(root / "month.npy")[0].tolist()
    assert 28 < first.latlon[0] < 49 and -124 < first.latlon[1] < -93


def test_a_missing_land_cover_is_not_water(tmp_path: Path, root: Path):
    for file in root.glob("*.npy"):
        shutil.copy(file, tmp_path / file.name)
    classes = np.load(root / "dynamic_world.npy")
    classes[::2, 1] = 9
    (tmp_path / "dynamic_world.npy").chmod(0o644)
    np.save(tmp_path / "dynamic_world.npy", classes)
    data = build(FuelMoistureConfig(root=str(tmp_path)))
    batch = samples_batch(list(data.test[:50]), data.target, data.layout)
    cover = batch.inputs["landcover"]
    known = classes[[int(s.name.split()[1]) for s in data.test[:50]]] != 9
    assert np.array_equal(cover.valid[:, :, 0, 0, 0].numpy(), known) and not known.all()
    assert np.array_equal(cover.values.sum(2)[:, :, 0, 0].numpy(), known)


def test_years_go_on_where_months_begin_anew(data):
    times = [s.inputs["optical"].times for s in data.train[:300]]
    assert all((np.diff(t) >= np.timedelta64(0, "s")).all() for t in times)


def test_damaged_files_are_said(tmp_path: Path, root: Path):
    for file in root.glob("*.npy"):
        shutil.copy(file, tmp_path / file.name)
    for file in tmp_path.iterdir():
        file.chmod(0o644)
    np.save(tmp_path / "latlon.npy", np.load(root / "latlon.npy")[:, ::-1])
    with pytest.raises(GeoadaptError, match="no latitude"):
        build(FuelMoistureConfig(root=str(tmp_path)))
    (tmp_path / "month.npy").unlink()
    with pytest.raises(GeoadaptError, match=r"month\.npy"):
        build(FuelMoistureConfig(root=str(tmp_path)))
    with pytest.raises(GeoadaptError, match="training sites"):
        build(FuelMoistureConfig(root=str(root), val_sites=100))
