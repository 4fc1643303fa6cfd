"""A file for a fit: sides by year of the target, chosen or default, and errors that say what there is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from geoadapt.errors import GeoadaptError
from geoadapt.fields.weather import WeatherData, build, build_simulated, open_history
from geoadapt.fields.weather_archives import build as build_archives
from geoadapt.fields.weather_config import SimulatedWeatherConfig, WeatherConfig, WeatherPretrainingDataConfig
from tests.waves import made, write_planet, write_slp


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_slp(tmp_path_factory.mktemp("weather") / "slp.nc", made(365 * 4 + 1))


def chosen(path: Path, **more: Any) -> WeatherData:
    return build(WeatherConfig(path=str(path), **{"test_years": [2004], **more}), 0)


def years(data: WeatherData, side: np.ndarray) -> list[int]:
    return sorted(set((data.history.times[side].astype("datetime64[Y]").astype(int) + 1970).tolist()))


def test_the_year_before_the_test_chooses_and_those_before_it_train(path: Path) -> None:
    data = chosen(path)
    assert (years(data, data.train), years(data, data.val), years(data, data.test)) == ([2001, 2002], [2003], [2004])
    assert not (data.train & data.val).any() and not (data.val & data.test).any()
    assert data.history.channels == ("mean_sea_level_pressure",) and data.history.units == ("Pa",)
    assert (np.diff(data.history.latitude) < 0).all(), "the file's own latitude ascends"
    np.testing.assert_array_equal(
        data.history.states[np.array([7])][0, 0], made(365 * 4 + 1).states[np.array([7])][0, 0]
    )
    assert "trained on 2001-2002, chosen on 2003, tested on 2004 by target date" in data.note
    other = chosen(path, train_years=[2001, 2003], val_years=[2002])
    assert (years(other, other.train), years(other, other.val)) == ([2001, 2003], [2002])


def test_years_that_are_not_there_are_refused_with_those_that_are(path: Path) -> None:
    for more, said in (
        ({"test_years": []}, r"data\.test_years: names no year; choose from 2001-2004"),
        ({"test_years": [2008]}, r"data\.test_years: \[2008\] are not in the archive; it has 2001-2004"),
        ({"val_years": [1999]}, r"data\.val_years: \[1999\] are not in the archive"),
        ({"train_years": [1999, 2001]}, r"data\.train_years: \[1999\] are not in the archive"),
        ({"train_years": [2002, 2003]}, r"data\.val_years: is empty, and \[2003\].* are train_years"),
        ({"test_years": [2001]}, r"data\.train_years: no date is left; the archive has 2001-2004"),
        ({"test_years": [2002]}, r"data\.train_years: no date is left"),
    ):
        with pytest.raises(GeoadaptError, match=said):
            chosen(path, **more)
    with pytest.raises(GeoadaptError, match=r"\[2004\] are .*_years too; name each year once"):
        WeatherConfig(test_years=[2004], val_years=[2004])
    with pytest.raises(GeoadaptError, match=r"data\.path: is empty"):
        open_history(WeatherConfig(test_years=[2004]))


def test_a_gap_is_an_error_unless_it_is_allowed(path: Path, tmp_path: Path) -> None:
    with xr.open_dataset(path, engine="netcdf4") as cube:
        cube.isel(time=np.r_[0:100, 103 : cube.sizes["time"]]).to_netcdf(tmp_path / "gap.nc")
    with pytest.raises(GeoadaptError):
        chosen(tmp_path / "gap.nc")
    history = chosen(tmp_path / "gap.nc", gaps="allow").history
    assert len(history.samples(np.ones(len(history.times), bool), 3, 2)) == 365 * 4 + 1 - 3 - 4 - 4
    assert history.step == np.timedelta64(1, "D")


def test_a_simulated_planet_says_so(tmp_path: Path) -> None:
    write_planet(tmp_path / "member_01.zarr", 3, 800)
    config = SimulatedWeatherConfig(
        root=str(tmp_path), member=1, val_years=[2002], test_years=[2003], step="24h", levels=[850]
    )
    data = build_simulated(config, 0)
    assert data.simulated and data.history.simulated and data.note.startswith("SIMULATED")
    assert set(data.history.channels) == {"mean_sea_level_pressure", "temperature@850"}
    assert data.history.step == np.timedelta64(1, "D")
    with pytest.raises(GeoadaptError, match="members are counted from 0"):
        SimulatedWeatherConfig(member=2)


TWO = {"t31": 2, "t42": 0}


@pytest.mark.parametrize("planets", [{"t31": 1}, {"31": 2}, {"t31": 0, "t42": 0}])
def test_planets_that_cannot_be_are_refused(planets: dict[str, int]) -> None:
    with pytest.raises(GeoadaptError, match=r"data\.planets"):
        WeatherPretrainingDataConfig(planets={"t42": 0, **planets})


def test_of_the_planets_of_a_pretraining_the_last_is_held_out(tmp_path: Path) -> None:
    for number in range(2):
        write_planet(tmp_path / "t31" / f"member_{number:02d}.zarr", number, 30)
    found = build_archives(WeatherPretrainingDataConfig(root=str(tmp_path), planets=TWO, real=False), 0)
    names = ["simulated t31 member_00", "simulated t31 member_01"]
    assert [side.history.name for side in found.sides] == [name for name in names for _ in range(2)]
    assert list(found.names) == names
    trained = [(bool(side.train.all()), bool(side.val.all())) for side in found.sides]
    assert trained == [(True, False)] * 2 + [(False, True)] * 2
    steps = [int(side.history.step / np.timedelta64(1, "h")) for side in found.sides]
    assert steps == [12, 24, 12, 24], "each planet with the archive's own interval, and with a day"
    assert found.sides[1].history.states is found.sides[0].history.states, "and held once"
    assert found.sides[0].leads == (1, 2) and found.sides[1].leads == (1, 2, 3)
    assert sum(side.share for side in found.sides) == pytest.approx(1) and found.simulated_share == 1


def test_real_archives_that_are_absent_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(2):
        write_planet(tmp_path / "t31" / f"member_{number:02d}.zarr", number, 30)
    monkeypatch.setenv("GEOADAPT_DATA", str(tmp_path / "nowhere"))
    with pytest.raises(GeoadaptError, match=r"ncep_slp_natl_2001_2008\.nc: is not there; .*data\.real=false"):
        build_archives(WeatherPretrainingDataConfig(root=str(tmp_path), planets=TWO), 0)
