"""GRIB through cfgrib: what is written is what is read, nothing is left beside it, and without cfgrib it says so."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from geoadapt.cli import main
from geoadapt.cubes.open import open_cube
from geoadapt.cubes.weather import open_weather
from geoadapt.errors import GeoadaptError
from geoadapt.io.grib import is_grib, open_grib, reads_grib

NAMES = {"t": (130, "isobaricInhPa"), "2t": (167, "surface")}


def write_grib(path: Path, fields: list[tuple[str, int, int, np.ndarray]]) -> Path:
    """Messages (short name, level, day of January 2020, values (3, 4)) on a grid across Greenwich."""
    importlib.import_module("pyproj")
    import eccodes

    with path.open("wb") as stream:
        for name, level, day, values in fields:
            handle = eccodes.codes_grib_new_from_samples("regular_ll_sfc_grib1")
            number, kind = NAMES[name]
            grid = {
                "Ni": 4,
                "Nj": 3,
                "latitudeOfFirstGridPointInDegrees": 60.0,
                "latitudeOfLastGridPointInDegrees": 40.0,
            }
            grid |= {"longitudeOfFirstGridPointInDegrees": 350.0, "longitudeOfLastGridPointInDegrees": 20.0}
            grid |= {"iDirectionIncrementInDegrees": 10.0, "jDirectionIncrementInDegrees": 10.0}
            keys = {**grid, "table2Version": 128, "indicatorOfParameter": number, "dataDate": 20200100 + day}
            for key, value in {**keys, "dataTime": 0, "typeOfLevel": kind, "level": level}.items():
                eccodes.codes_set(handle, key, value)
            eccodes.codes_set(handle, "bitsPerValue", 24)
            eccodes.codes_set_values(handle, values.ravel())
            eccodes.codes_write(handle, stream)
            eccodes.codes_release(handle)
    return path


def sample(path: Path) -> tuple[Path, np.ndarray]:
    """Two days of temperature on two levels, and at 2 m."""
    values = np.random.default_rng(0).uniform(220, 300, (2, 3, 3, 4))
    messages = [("t", (850, 500)[k], 1 + day, values[day, k]) for day in (0, 1) for k in (0, 1)]
    messages += [("2t", 0, 1 + day, values[day, 2]) for day in (0, 1)]
    return write_grib(path, messages), values


@pytest.mark.parametrize("chunks", [None, {}])
def test_messages_become_a_cube(chunks: object, tmp_path: Path) -> None:
    path, values = sample(tmp_path / "a.grib")
    cube = open_weather(path, chunks=chunks)
    assert dict(cube.sizes) == {"time": 2, "level": 2, "latitude": 3, "longitude": 4}
    np.testing.assert_allclose(cube["temperature"], values[:, 1::-1], atol=1e-4)
    np.testing.assert_allclose(cube["2m_temperature"], values[:, 2], atol=1e-4)
    np.testing.assert_array_equal(cube["longitude"], [-10, 0, 10, 20])
    assert [p.name for p in tmp_path.iterdir()] == ["a.grib"]


def test_a_folder_that_cannot_be_written_to_is_no_hindrance(tmp_path: Path) -> None:
    path, _ = sample(tmp_path / "a.grib")
    tmp_path.chmod(0o500)
    try:
        assert open_weather(path).sizes["time"] == 2
    finally:
        tmp_path.chmod(0o700)


def test_a_cut_file_is_an_error(tmp_path: Path) -> None:
    path, _ = sample(tmp_path / "a.grib")
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(GeoadaptError, match=r"a\.grib: is no GRIB that can be read"):
        open_weather(path)


def test_a_file_is_grib_by_its_first_bytes(tmp_path: Path) -> None:
    path, _ = sample(tmp_path / "a.bin")
    assert is_grib(path) and reads_grib()
    (tmp_path / "b.grib").write_bytes(b"no such thing")
    assert not is_grib(tmp_path / "b.grib") and not is_grib(tmp_path)
    assert isinstance(open_cube(path), type(open_weather(path)))


def test_without_cfgrib_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, _ = sample(tmp_path / "a.grib")
    real = importlib.import_module

    def absent(name: str, package: str | None = None) -> object:
        if name == "cfgrib":
            raise ImportError("No module named 'cfgrib'")
        return real(name, package)

    monkeypatch.setattr("geoadapt.io.grib.importlib.import_module", absent)
    assert not reads_grib()
    with pytest.raises(GeoadaptError, match=r"needs cfgrib and ecCodes") as caught:
        open_grib(path)
    assert caught.value.hint == "pip install geoadapt[grib]"


def test_inspect_writes_nothing_but_its_own_words(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path, _ = sample(tmp_path / "a.grib")
    assert main(["inspect", "--json", str(path)]) == 0
    shown = capfd.readouterr().out
    assert shown.startswith("{") and '"driver": "GRIB"' in shown and "2m_temperature [K] from 't2m'" in shown


def test_python_exits_in_peace_after_grib_and_maps(tmp_path: Path) -> None:
    path, _ = sample(tmp_path / "a.grib")
    script = (
        "import sys; from geoadapt.cubes.weather import open_weather; open_weather(sys.argv[1]);"
        "import pyproj; pyproj.Transformer.from_crs(4326, 32631).transform(45, 3)"
    )
    done = subprocess.run([sys.executable, "-c", script, str(path)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
