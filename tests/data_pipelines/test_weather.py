"""The simulated archive: canonical, whole or absent, honest about what it is, and weather that moves and changes."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from data_pipelines.simulate import weather
from data_pipelines.simulate.weather import MANIFEST, WeatherSpec, member_path, write_weather
from geoadapt.errors import GeoadaptError

CHOSEN = {"years": 0.12, "members": 2, "seed": 2, "interval_hours": 12, "truncation": 15, "spinup_days": 30}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_weather(tmp_path_factory.mktemp("weather (1) [ü]") / "archive", **CHOSEN)  # type: ignore[arg-type]


def _open(root: Path, member: int) -> xr.Dataset:
    return xr.open_zarr(member_path(root, member), consolidated=False).load()


def test_cubes_are_canonical(root: Path) -> None:
    cube = _open(root, 0)
    assert cube.mean_sea_level_pressure.dims == ("time", "latitude", "longitude")
    assert cube.geopotential.dims == ("time", "level", "latitude", "longitude")
    assert {str(v.dtype) for v in cube.data_vars.values()} == {"float32"}
    assert cube.geopotential_at_surface.dims == ("latitude", "longitude")
    assert list(cube.level) == [500.0, 850.0] and cube.level.attrs["units"] == "hPa"
    assert (np.diff(cube.latitude) < 0).all() and (np.diff(cube.longitude) > 0).all()
    assert cube.time.dtype == "datetime64[ns]" and str(cube.time.values[0])[:13] == "2001-01-01T00"
    assert len(cube.time) == round(0.12 * 365.25 * 2)
    assert set(np.diff(cube.time)) == {np.timedelta64(12, "h")}
    units = {name: v.attrs["units"] for name, v in cube.data_vars.items()}
    assert units["mean_sea_level_pressure"] == "Pa" and units["geopotential"] == "m2 s-2"
    assert units["u_component_of_wind"] == units["v_component_of_wind"] == "m s-1"
    assert all(np.isfinite(v.values).all() for v in cube.data_vars.values())


def test_everything_calls_itself_simulated(root: Path) -> None:
    for member in range(2):
        cube = xr.open_zarr(member_path(root, member), consolidated=False)
        assert cube.attrs["simulated"] == "true" and "SIMULATED" in cube.attrs["note"]
        assert {v.attrs["simulated"] for v in cube.data_vars.values()} == {"true"}
    plain = json.loads((root / MANIFEST).read_text())
    assert plain["simulated"] is True and len(plain["members"]) == 2


def test_a_sample_is_whole_chunks(root: Path) -> None:
    cube = xr.open_zarr(member_path(root, 0), consolidated=False)
    for name, shape in (("mean_sea_level_pressure", (1, 24, 48)), ("geopotential", (1, 2, 24, 48))):
        assert cube[name].encoding["chunks"] == shape


def test_it_looks_like_weather(root: Path) -> None:
    for member in range(2):
        cube = _open(root, member)
        weight = np.cos(np.radians(cube.latitude))
        pressure = cube.mean_sea_level_pressure
        mean = pressure.weighted(weight).mean(("latitude", "longitude"))
        assert (abs(mean - 101325) < 300).all()
        middle = (abs(cube.latitude) > 35) & (abs(cube.latitude) < 65)
        storms = (pressure - pressure.mean("time")).sel(latitude=middle)
        assert 400 < float(storms.std()) < 2000
        ahead = storms.values[2:] * storms.values[:-2]
        assert 0.3 < ahead.mean() / (storms.values**2).mean() < 0.95
        wind = cube.u_component_of_wind.mean(("time", "longitude"))
        assert 12 < float(wind.sel(level=500).max()) < 50
        assert float(wind.sel(level=500).max()) > float(wind.sel(level=850).max())
        assert 50_000 < float(cube.geopotential.sel(level=500).mean()) < 58_000
        assert 12_000 < float(cube.geopotential.sel(level=850).mean()) < 16_000


def test_storms_move_east(root: Path) -> None:
    """The shift that best matches one state with the next one, in the storm tracks of all members together."""
    matches = np.zeros(48)
    for member in range(2):
        height = _open(root, member).geopotential.sel(level=500)
        track = height.sel(latitude=(abs(height.latitude) > 35) & (abs(height.latitude) < 60))
        waves = np.fft.rfft((track - track.mean("time")).values, axis=-1)
        waves[..., :3] = 0
        matches += np.fft.irfft((waves[1:] * waves[:-1].conj()).sum((0, 1)), 48)
    best = int(matches.argmax())
    assert 0 < best <= 3


def test_wind_is_nearly_geostrophic(root: Path) -> None:
    cube = _open(root, 1)
    height = cube.geopotential.sel(level=500)
    slope = height.differentiate("longitude") * np.degrees(1) / 6.37122e6
    latitude = np.radians(cube.latitude)
    expected = slope / np.cos(latitude) / (2 * 7.292e-5 * np.sin(latitude))
    inner = (abs(cube.latitude) > 35) & (abs(cube.latitude) < 60)
    found = cube.v_component_of_wind.sel(level=500, latitude=inner).values[..., 1:-1]
    wanted = expected.sel(latitude=inner).values[..., 1:-1]
    assert np.corrcoef(found.ravel(), wanted.ravel())[0, 1] > 0.9


def test_members_are_other_planets(root: Path) -> None:
    cubes = [_open(root, member) for member in range(2)]
    planets = [json.loads(cube.attrs["planet"]) for cube in cubes]
    for name in planets[0]:
        assert len({planet[name] for planet in planets}) == 2
    first, second = (cube.mean_sea_level_pressure - cube.mean_sea_level_pressure.mean("time") for cube in cubes[:2])
    assert abs(float(xr.corr(first, second))) < 0.2
    assert abs(float(xr.corr(cubes[0].geopotential_at_surface, cubes[1].geopotential_at_surface))) < 0.7


def test_asked_again_nothing_is_touched_and_what_is_missing_returns_the_same(tmp_path: Path) -> None:
    short = {**CHOSEN, "years": 0.02, "spinup_days": 1}
    root = write_weather(tmp_path, **short)  # type: ignore[arg-type]
    before = {path: path.stat().st_mtime_ns for path in root.rglob("*") if path.name != MANIFEST}
    write_weather(root, **short)  # type: ignore[arg-type]
    assert before == {path: path.stat().st_mtime_ns for path in root.rglob("*") if path.name != MANIFEST}
    first = _open(root, 1)
    shutil.rmtree(member_path(root, 1))
    write_weather(root, **short)  # type: ignore[arg-type]
    xr.testing.assert_identical(first, _open(root, 1))


def test_another_archive_is_not_mixed_with(root: Path) -> None:
    with pytest.raises(GeoadaptError, match="would mix"):
        write_weather(root, **{**CHOSEN, "seed": 3})  # type: ignore[arg-type]


def test_a_broken_run_leaves_no_member(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(weather, "_append", broken)
    with pytest.raises(GeoadaptError, match="No space left"):
        write_weather(tmp_path / "a", **{**CHOSEN, "years": 0.01, "members": 1, "spinup_days": 1})  # type: ignore[arg-type]
    assert not list((tmp_path / "a").iterdir())


@pytest.mark.parametrize(
    "change", [{"members": 0}, {"years": 0}, {"interval_hours": 7}, {"interval_hours": 36}, {"truncation": 5}]
)
def test_specs_without_sense_are_refused(change: dict[str, float]) -> None:
    with pytest.raises(GeoadaptError):
        WeatherSpec(**{**CHOSEN, **change})  # type: ignore[arg-type]
