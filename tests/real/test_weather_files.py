"""Every weather file of the shared data: the cube that it must give, or the error that says why it cannot.

A value of each cube is compared with what xarray or ecCodes read at the same place, by another path than ours.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from geoadapt.cubes.weather import open_weather
from geoadapt.errors import GeoadaptError

UNGRIDDED = "is not lat–lon|no field on latitude and longitude"


@dataclass(frozen=True)
class Gives:
    """What ``open_weather`` must make of a file."""

    sizes: dict[str, int]
    variables: dict[str, str]
    """Long name → the file's own name."""
    latitude: tuple[float, float]
    longitude: tuple[float, float]
    options: dict[str, Any] = field(default_factory=dict)
    notes: str = ""
    factor: float = 1.0
    offset: float = 0.0
    """What the first variable of the file is multiplied by, and what is added, to become SI."""


@dataclass(frozen=True)
class Refuses:
    """What ``open_weather`` must say of a file that it cannot make a cube of."""

    message: str
    options: dict[str, Any] = field(default_factory=dict)


UK = {"time": 744, "latitude": 20, "longitude": 28}
PCM = Gives(
    {"time": 110, "latitude": 64, "longitude": 128}, {"2m_temperature": "TREFHT"},
    (87.8638, -87.8638), (0, 357.1875), notes="the dates drift, if the model had no leap years",
)  # fmt: skip
PRECIPITATION = "mean_total_precipitation_rate"


def _uk(name: str, own: str) -> Gives:
    return Gives(UK, {name: own}, (59.75, 50.25), (-10.75, 2.75), notes="latitude was ascending")


CASES: dict[str, Gives | Refuses] = {
    "weather/levels/NCEP_06_climo.nc": Gives(
        {"time": 1, "latitude": 64, "longitude": 128, "level": 17},
        {
            "mean_sea_level_pressure": "PSL", "surface_pressure": "PS", "temperature": "T", "geopotential": "Z3",
            "specific_humidity": "SHUM", "relative_humidity": "RELHUM", "vertical_velocity": "OMEGA",
            "u_component_of_wind": "U", "v_component_of_wind": "V", "2m_temperature": "TREFHT",
            "skin_temperature": "TS", "total_column_water_vapour": "PREH2O", "toa_outgoing_longwave_flux": "FLUT",
            "surface_upward_latent_heat_flux": "LHFLX", "surface_upward_sensible_heat_flux": "SHFLX",
            "mean_top_net_short_wave_radiation_flux": "FSNTOA",
        },
        (87.8638, -87.8638), (0, 357.1875), {"units": {"time": "months since 1979-01-01"}},
        "specific_humidity has no level 10, 20, 30, 50, 70, 100, 150, 200, 250: NaN there", 100.0,
    ),
    "weather/levels/eraint_uvz.nc": Gives(
        {"month": 2, "level": 3, "latitude": 241, "longitude": 480},
        {"geopotential": "z", "u_component_of_wind": "u", "v_component_of_wind": "v"},
        (90, -90), (0, 359.25), notes="longitude was rolled to 0–360",
    ),
    "weather/levels/rectilinear_grid_3D.nc": Gives(
        {"time": 1, "level": 17, "latitude": 96, "longitude": 192},
        {"temperature": "t", "relative_humidity": "rhumidity"},
        (88.57216851400727, -88.57216851400727), (0, 358.125), notes="'rhumidity' declares no units",
    ),
    "weather/ncep_daily/ncep_iberia_upper_djf_1983_1997.nc": Gives(
        {"time": 1354, "latitude": 5, "longitude": 7, "level": 1},
        {"mean_sea_level_pressure": "psl", "temperature": "ta850", "specific_humidity": "hus850"},
        (45, 35), (-10, 5), {"gaps": "allow"}, "1983-02-28 is followed by 1983-12-01, where a step is 1 d",
    ),
    "weather/ncep_daily/ncep_slp_natl_2001_2008.nc": Gives(
        {"time": 2922, "latitude": 17, "longitude": 33}, {"mean_sea_level_pressure": "slp"}, (70, 30), (-70, 10)
    ),
    "weather/ncep_daily/ncep_iberia_surface_djf_1983_1997.nc": Gives(
        {"time": 1354, "latitude": 6, "longitude": 8}, {"2m_temperature": "tas", PRECIPITATION: "pr"},
        (44.76110076904297, 35.23749923706055), (-9.375, 3.75), {"gaps": "allow"}, "converted from degC to K",
        offset=273.15,
    ),
    "weather/xclim_era5/daily_surface_cancities_1990-1993.nc": Refuses(r"no field on latitude and longitude.*location"),
    "weather/downscaling/era5.3d.198001.nc": Refuses(UNGRIDDED),
    "weather/downscaling/conus404.static.nc": Refuses(UNGRIDDED),
    "weather/downscaling/conus404.3d.198001.nc": Refuses(UNGRIDDED),
    "weather/downscaling/conus404.2d.198001.nc": Refuses(UNGRIDDED),
    "weather/downscaling/era5.2d.198001.nc": Refuses(r"latitude is a table over \('y', 'x'\)"),
    "weather/era5/era5_1995-07-14T12.nc": Gives(
        {"time": 1, "latitude": 105, "longitude": 237},
        {
            "2m_temperature": "t2m", "10m_u_component_of_wind": "u10", "10m_v_component_of_wind": "v10",
            "2m_dewpoint_temperature": "d2m", "surface_pressure": "sp",
        },
        (50, 24), (235, 294), notes="left out, for their names are not known: t2m_C, d2m_C",
    ),
    "weather/era5/era5_tl31_19590102T00.nc": Gives(
        {"time": 1, "latitude": 32, "longitude": 64, "level": 37},
        {n: n for n in (
            "geopotential", "temperature", "specific_humidity", "u_component_of_wind", "v_component_of_wind",
            "sea_surface_temperature", "sea_ice_cover", "specific_cloud_ice_water_content",
            "specific_cloud_liquid_water_content",
        )},
        (85.7605871204438, -85.7605871204438), (0, 354.375), notes="latitude was ascending",
    ),
    "weather/era5/era5-2mt-2019-03-uk.grib": Gives(
        {"time": 744, "latitude": 33, "longitude": 49}, {"2m_temperature": "t2m"}, (58, 50), (-10, 2)
    ),
    "weather/wfde5_uk/wind_speed.nc": _uk("10m_wind_speed", "Wind"),
    "weather/wfde5_uk/surface_downwelling_shortwave_flux_in_air.nc": _uk(
        "mean_surface_downward_short_wave_radiation_flux", "SWdown"
    ),
    "weather/wfde5_uk/surface_downwelling_longwave_flux_in_air.nc": _uk(
        "mean_surface_downward_long_wave_radiation_flux", "LWdown"
    ),
    "weather/wfde5_uk/air_temperature.nc": _uk("2m_temperature", "Tair"),
    "weather/wfde5_uk/precipitation_flux.nc": _uk(PRECIPITATION, "pr"),
    "weather/wfde5_uk/specific_humidity.nc": _uk("2m_specific_humidity", "Qair"),
    "weather/grib/regular_ll_wrong_increment.grib": Gives(
        {"time": 1, "latitude": 37, "longitude": 72}, {"2m_temperature": "t2m"}, (90, -90), (0, 355),
        notes="its increment of 2° contradicts its ends 90 and -90",
    ),
    "weather/grib/era5-levels-members.grib": Gives(
        {"time": 4, "number": 10, "level": 2, "latitude": 61, "longitude": 120},
        {"geopotential": "z", "temperature": "t"}, (90, -90), (0, 357),
    ),
    "weather/grib/lambert_grid.grib": Refuses("its grid is not lat–lon but lambert"),
    "weather/grib/multi_param_on_multi_dims.grib": Gives(
        {"time": 1, "prediction_timedelta": 4, "level": 4, "latitude": 37, "longitude": 72},
        {"geopotential": "z", "temperature": "t", "u_component_of_wind": "u"}, (90, -90), (0, 355),
    ),
    "weather/grib/tp_on_different_grid_resolutions.grib": Refuses(r"different grids: 'tp' 37 × 72 .* and 'tp' 46 × 90"),
    "weather/grib/era5-levels-corrupted.grib": Refuses("no GRIB that can be read: WrongLengthError"),
    "weather/grib/forecast_monthly_ukmo.grib": Gives(
        {"time": 8, "number": 28, "prediction_timedelta": 20, "latitude": 6, "longitude": 11},
        {"2m_temperature": "t2m"}, (45, 40), (10, 20), notes="4312 of 4480 fields of 't2m' hold no value",
    ),
    "weather/grib/hpa_and_pa.grib": Gives(
        {"time": 1, "prediction_timedelta": 1, "level": 3, "latitude": 37, "longitude": 72}, {"temperature": "t"},
        (90, -90), (0, 355), notes="1 of 2 fields of 't' hold no value",
    ),
    "weather/grib/alternate-scanning.grib": Gives(
        {"time": 1, "prediction_timedelta": 1, "latitude": 171, "longitude": 291}, {"2m_temperature": "t2m"},
        (51, 34), (-10, 19),
    ),
    "weather/grib/regular_ll_msl.grib": Gives(
        {"time": 1, "number": 1, "prediction_timedelta": 1, "latitude": 181, "longitude": 360},
        {"mean_sea_level_pressure": "prmsl"}, (90, -90), (0, 359),
    ),
    "weather/grib/fields_with_missing_values.grib": Gives(
        {"time": 2, "latitude": 91, "longitude": 180}, {"2m_temperature": "t2m"}, (90, -90), (0, 358)
    ),
    "weather/grib/reduced_gg.grib": Refuses("its grid is not lat–lon but reduced_gg"),
    "climate/scenarios/A1B_north_america.nc": Gives(
        {"time": 240, "latitude": 37, "longitude": 49}, {"2m_temperature": "air_temperature"}, (60, 15), (225, 315),
        notes="'air_temperature' lies 1.5 m above ground",
    ),
    "climate/sst/ostia_monthly.nc": Gives(
        {"time": 54, "latitude": 18, "longitude": 432}, {"skin_temperature": "surface_temperature"},
        (4.4444504, -4.9999924), (0, 359.16666),
    ),
    "climate/control/b003_TS_200-299.nc": Gives(
        {"time": 100, "latitude": 64, "longitude": 128}, {"skin_temperature": "TS"},
        (87.86379, -87.86379), (0, 357.1875), notes="time counts from 0000-00-00 00:00:00, read as 0000-01-01 00:00:00",
    ),
    **{f"climate/pcm_ensemble/TREFHT.B06.{n}.atm.1890-1999ANN.nc": PCM for n in (59, 60, 61, 66, 67, 68)},
    "s2s/GMAO-GEOS-V2p1.RMM1.nc": Refuses(r"no field on latitude and longitude; found RMM1 \('S', 'M', 'L'\)"),
    "s2s/PM_MPI-ESM-LR_control.nc": Refuses(UNGRIDDED),
    "s2s/PM_MPI-ESM-LR_ds.nc": Refuses(UNGRIDDED),
    "s2s/RMM1.observed.interannual.1974-06.2017-07.nc": Refuses(UNGRIDDED),
    "precip/bcsd_obs_1999.nc": Refuses(r"'pr': it is said to be in 'mm/m', which is no unit of .* \(kg m-2 s-1 or m\)"),
    "precip/test_stageiv_xyt.nc": Refuses(UNGRIDDED),
    "precip/ST4.2002030112.06h.grb": Refuses("its grid is not lat–lon but polar_stereographic"),
    "precip/cfs_hindcast/cfs_iberia_pr_djf_1983_1997.nc": Gives(
        {"time": 1354, "number": 9, "latitude": 10, "longitude": 16}, {PRECIPITATION: "pr"},
        (43.93681716918945, 35.43292999267578), (-10.312957763671875, 3.749994993209839), {"gaps": "allow"},
        factor=1 / 86400,
    ),
    **{
        f"precip/mrms/PrecipRate_00.00_20190610-00{m:02d}00.grib2": Refuses("no variable whose name is known")
        for m in (0, 2, 4, 6)
    },
}  # fmt: skip
GIVEN = {name: case for name, case in CASES.items() if isinstance(case, Gives)}
REFUSED = {name: case for name, case in CASES.items() if isinstance(case, Refuses)}


def test_no_file_is_left_out(data_dir: Path) -> None:
    rooms = ("weather", "climate", "s2s", "precip")
    found = {
        p for room in rooms for p in (data_dir / room).rglob("*") if p.suffix in (".nc", ".grib", ".grb", ".grib2")
    }
    assert {str(p.relative_to(data_dir)) for p in found} == set(CASES)


@pytest.mark.parametrize("name", GIVEN)
def test_a_file_gives_its_cube(name: str, data_dir: Path) -> None:
    case = GIVEN[name]
    cube = open_weather(data_dir / name, **case.options)
    assert dict(cube.sizes) == case.sizes
    assert {str(n): a.attrs["source_name"] for n, a in cube.data_vars.items()} == case.variables
    for dim, ends in (("latitude", case.latitude), ("longitude", case.longitude)):
        np.testing.assert_array_equal(cube[dim].values[[0, -1]], ends)
    assert (np.diff(cube["latitude"]) < 0).all() and (np.diff(cube["longitude"]) > 0).all()
    assert case.notes in cube.attrs.get("notes", "")
    assert all(a.dtype == np.float32 and a.attrs["units"] for a in cube.data_vars.values())
    if name.endswith(".nc"):
        _same_as_xarray(data_dir / name, cube, case)


@pytest.mark.parametrize("name", REFUSED)
def test_a_file_that_is_no_cube_says_why(name: str, data_dir: Path) -> None:
    with pytest.raises(GeoadaptError, match=REFUSED[name].message) as caught:
        open_weather(data_dir / name, **REFUSED[name].options)
    assert caught.value.path.startswith(str(data_dir)) and caught.value.hint


def test_values_of_ecmwf_messages_stand_where_their_coordinates_say(data_dir: Path) -> None:
    pytest.importorskip("eccodes")
    cube = open_weather(data_dir / "weather/grib/era5-levels-members.grib")
    count = 0
    for message in _messages(data_dir / "weather/grib/era5-levels-members.grib"):
        day, hour = str(message["dataDate"]), message["dataTime"] // 100
        place = {
            "time": np.datetime64(f"{day[:4]}-{day[4:6]}-{day[6:]}T{hour:02d}"),
            "number": message["number"],
            "level": float(message["level"]),
        }
        field = cube[{"z": "geopotential", "t": "temperature"}[message["shortName"]]].sel(place)
        np.testing.assert_array_equal(field.values, message["values"].reshape(61, 120).astype(np.float32))
        count += 1
    assert count == 160


def test_a_grid_that_is_scanned_back_and_forth_has_no_torn_rows(data_dir: Path) -> None:
    field = open_weather(data_dir / "weather/grib/alternate-scanning.grib")["2m_temperature"].values[0, 0]
    assert np.abs(np.diff(field, axis=0)).mean() < 0.6  # 1.2 K were every second row left as it is stored
    assert np.abs(np.diff(field, axis=1)).mean() < 0.6


def test_a_level_in_pascal_and_one_in_hectopascal_do_not_meet(data_dir: Path) -> None:
    cube = open_weather(data_dir / "weather/grib/hpa_and_pa.grib")
    np.testing.assert_array_equal(cube["level"], [0.01, 0.1, 1.0])
    means = cube["temperature"].mean(("time", "prediction_timedelta", "latitude", "longitude")).values
    assert np.isnan(means[0])  # all of this message is marked as missing
    np.testing.assert_allclose(means[1:], [234.878, 258.998], atol=1e-3)


def test_a_grid_with_a_wrong_increment_is_warm_at_its_equator(data_dir: Path) -> None:
    zonal = open_weather(data_dir / "weather/grib/regular_ll_wrong_increment.grib")["2m_temperature"].mean(
        ("time", "longitude")
    )
    assert abs(float(zonal.idxmax("latitude"))) <= 15


def test_missing_values_of_a_bitmap_are_nan(data_dir: Path) -> None:
    pytest.importorskip("eccodes")
    cube = open_weather(data_dir / "weather/grib/fields_with_missing_values.grib")["2m_temperature"]
    missing = [
        int((m["values"] == 9999).sum()) for m in _messages(data_dir / "weather/grib/fields_with_missing_values.grib")
    ]
    assert min(missing) > 0
    assert np.isnan(cube.values).sum((1, 2)).tolist() == missing


def test_the_control_run_is_monthly_in_a_calendar_without_leap_years(data_dir: Path) -> None:
    times = open_weather(data_dir / "climate/control/b003_TS_200-299.nc")["time"].values
    with xr.open_dataset(data_dir / "climate/control/b003_TS_200-299.nc", engine="netcdf4", decode_times=False) as raw:
        dates = raw["date"].values
    assert times[0].calendar == "noleap"
    assert [t.year * 10000 + t.month * 100 + t.day for t in times] == dates.tolist()


def test_a_calendar_of_360_days_keeps_its_dates(data_dir: Path) -> None:
    times = open_weather(data_dir / "climate/scenarios/A1B_north_america.nc", start="1900-06-01", end="1901")[
        "time"
    ].values
    assert [(t.calendar, t.year, t.month, t.day) for t in times] == [("360_day", y, 6, 1) for y in (1900, 1901)]


def test_undeclared_precipitation_of_a_month_is_read_as_the_caller_says(data_dir: Path) -> None:
    cube = open_weather(data_dir / "precip/bcsd_obs_1999.nc", units={"pr": "mm"})
    assert cube["total_precipitation"].attrs["units"] == "m"
    assert 0 < float(cube["total_precipitation"].max()) < 1
    assert 270 < float(cube["2m_temperature"].mean()) < 300


def test_an_unknown_parameter_comes_as_it_is_where_it_is_asked_for_by_name(data_dir: Path) -> None:
    cube = open_weather(
        data_dir / "precip/mrms/PrecipRate_00.00_20190610-000000.grib2", variables=["unknown"], chunks={}
    )
    assert cube["unknown"].sizes == {"time": 1, "latitude": 3500, "longitude": 7000}
    assert str(cube["time"].values[0])[:16] == "2019-06-10T00:00"


def test_files_of_one_grid_and_period_become_one_cube(data_dir: Path) -> None:
    cube = open_weather(str(data_dir / "weather/wfde5_uk/*.nc"))
    assert len(cube.data_vars) == 6 and dict(cube.sizes) == UK


def test_files_of_two_grids_are_no_cube(data_dir: Path) -> None:
    folder = data_dir / "weather/ncep_daily"
    with pytest.raises(GeoadaptError, match=r"lies on different grids: 'ta850' 5 × 7 .* and 'tas' 6 × 8"):
        open_weather(sorted(folder.glob("*iberia_s*.nc")) + sorted(folder.glob("*iberia_u*.nc")), gaps="allow")


def _same_as_xarray(path: Path, cube: xr.Dataset, case: Gives) -> None:
    """The first variable, value by value, with what xarray reads at the same latitude and longitude."""
    name, own = next(iter(case.variables.items()))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with xr.open_dataset(path, engine="netcdf4", decode_times=False) as raw:
            stored = raw[own].load()
    names = {"lat": "latitude", "lon": "longitude", "member": "number", "lev": "level"}
    stored = stored.rename({k: v for k, v in names.items() if k in stored.dims})
    stored = stored.sortby("level") if "level" in stored.dims else stored
    tolerance = 0.0 if case.factor == 1 and case.offset == 0 else 2e-7
    for latitude, longitude in ((0, 0), (-1, -1), (2, 3)):
        ours = cube[name].isel(latitude=latitude, longitude=longitude)
        away = np.abs((stored["longitude"].values - float(ours["longitude"]) + 180) % 360 - 180)
        theirs = stored.isel(longitude=int(away.argmin())).sel(latitude=float(ours["latitude"]), method="nearest")
        axes = [d for d in ours.dims if d in theirs.dims]
        expected = theirs.transpose(*axes).values.astype(np.float64) * case.factor + case.offset
        np.testing.assert_allclose(ours.squeeze(), expected.astype(np.float32).squeeze(), rtol=tolerance)


def _messages(path: Path) -> list[dict[str, Any]]:
    """Keys and values of all messages, straight from ecCodes."""
    import pyproj  # noqa: F401, I001  before ecCodes, which brings a PROJ of its own
    import eccodes

    keys = ("dataDate", "dataTime", "level", "shortName")
    found = []
    with path.open("rb") as stream:
        while (handle := eccodes.codes_grib_new_from_file(stream)) is not None:
            message = {k: eccodes.codes_get(handle, k) for k in keys}
            message["number"] = eccodes.codes_get(handle, "number") if eccodes.codes_is_defined(handle, "number") else 0
            found.append({**message, "values": eccodes.codes_get_values(handle)})
            eccodes.codes_release(handle)
    return found
