"""Dates: as stored, as typed, double, missing, and of calendars that are not ours."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from geoadapt.cubes.calendar import check_times, moment_of, period
from geoadapt.cubes.stored_times import decode_times, timedeltas
from geoadapt.cubes.weather import open_weather
from geoadapt.errors import GeoadaptError
from tests.cubes.weather_synth import cube, written

DAYS = np.arange("2020-02-27", "2020-03-04", dtype="datetime64[D]").astype("datetime64[ns]")


def stored(values: object, units: str | None, calendar: str | None = None) -> xr.DataArray:
    attrs = {k: v for k, v in (("units", units), ("calendar", calendar)) if v is not None}
    return xr.DataArray(np.asarray(values), dims="time", attrs=attrs)


@pytest.mark.parametrize(
    ("raw", "dates"),
    [
        (stored([0, 24], "hours since 1900-01-01", "gregorian"), ["1900-01-01", "1900-01-02"]),
        (stored([146396.0], "Hour since 2001-12-31T23:00:00Z", "proleptic_gregorian"), ["2018-09-13T19"]),
        (stored([7223.916666666667], "days since 1870-10-01 00:00:00"), ["1890-07-11T22"]),
        (stored([120], "months since 1979-01-01"), ["1989-01-01"]),
        (stored([13], "months since 1979-01-31T06:00"), ["1980-03-02T06"]),
        (stored([20010101.25, 20001231.5], "day as %Y%m%d.%f"), ["2001-01-01T06", "2000-12-31T12"]),
        (stored([59, 60], "days since 2020-01-01", "standard"), ["2020-02-29", "2020-03-01"]),
        (stored([1483228800.0], "seconds since 1970-01-01"), ["2017-01-01"]),
        (stored(np.array(["2020-01-01"], "datetime64[s]"), None), ["2020-01-01"]),
    ],
)
def test_dates_are_decoded_to_the_second(raw: xr.DataArray, dates: list[str]) -> None:
    found, _ = decode_times(raw, "a.nc")
    np.testing.assert_array_equal(found, np.array(dates, "datetime64[ns]"))
    assert found.dtype == "datetime64[ns]"


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (stored([1, 2], None), "without units that say since when"),
        (stored([1.0, np.nan], "days since 2000-01-01"), "date 1 of 2 is missing"),
        (stored([0.5], "months since 1979-01-01"), "parts of months"),
        (stored([1], "days since 0000-00-00"), "a date that does not exist"),
        (stored([1], "days since 0900-01-01"), "outside of 1678–2262"),
        (stored([1], "fortnights since 2000-01-01"), "cannot be read"),
    ],
)
def test_dates_that_cannot_be_told_are_an_error(raw: xr.DataArray, message: str) -> None:
    with pytest.raises(GeoadaptError, match=message):
        decode_times(raw, "a.nc")


def test_an_undeclared_calendar_whose_years_have_365_days_is_doubted() -> None:
    _, said = decode_times(stored(np.arange(10) * 365.0, "days since 1870-10-01"), "a.nc")
    assert "the dates drift" in said[0]


def test_lead_times_need_units() -> None:
    leads = timedeltas(xr.DataArray([6, 12], dims="step", attrs={"units": "hours"}), "a.nc")
    np.testing.assert_array_equal(leads, np.array([6, 12], "timedelta64[h]").astype("timedelta64[ns]"))
    with pytest.raises(GeoadaptError, match="its lead times have units ''"):
        timedeltas(xr.DataArray([6, 12], dims="step"), "a.nc")


@pytest.mark.parametrize(
    "text",
    [
        "2020-02-29", "2020-02-29T00", "2020-02-29T00:00Z", "2020-02-29T00:00:00Z", "2020-02-29T02:00+02:00",
        "2020-02-28T19:00-0500", " 2020-02-29 ", np.datetime64("2020-02-29"), datetime(2020, 2, 29),
        datetime(2020, 2, 29, tzinfo=UTC),
    ],
)  # fmt: skip
def test_a_date_may_be_typed_in_many_ways(text: object) -> None:
    assert moment_of(text) == np.datetime64("2020-02-29", "ns")


@pytest.mark.parametrize("text", ["tomorrow", "2020-02-30", "", "NaT", "2020-02-29T00:00+99:00"])
def test_what_is_no_date_is_an_error_that_shows_one(text: str) -> None:
    with pytest.raises(GeoadaptError, match="is no date; expected such as 2020-01-01T00"):
        moment_of(text)


@pytest.mark.parametrize(
    ("start", "end", "places"),
    [
        (None, None, (0, 6)),
        ("2020-03", None, (3, 6)),
        (None, "2020-02", (0, 3)),
        ("2020-02-29", "2020-02-29", (2, 3)),
        ("2020", "2020", (0, 6)),
        ("2020-02-28T12:00Z", "2020-03-01T00:00Z", (2, 4)),
        (None, "2020-02-29T23:59", (0, 3)),
    ],
)
def test_a_period_includes_both_of_its_ends(start: str | None, end: str | None, places: tuple[int, int]) -> None:
    assert period(DAYS, start, end, "a.nc") == slice(*places)


def test_a_period_in_a_calendar_of_its_own_keeps_to_it() -> None:
    noleap, _ = decode_times(stored(np.arange(400), "days since 2000-01-01", "noleap"), "a.nc")
    assert period(noleap, "2000-03-01", "2000-03", "a.nc") == slice(59, 90)
    assert period(noleap, "2000-12", "2000", "a.nc") == slice(334, 365)
    thirty, _ = decode_times(stored(np.arange(400), "days since 2000-01-01", "360_day"), "a.nc")
    assert period(thirty, "2000-02-30", "2000-02-30", "a.nc") == slice(59, 60)
    with pytest.raises(GeoadaptError, match="2000-02-29: is no date of the calendar 'noleap'"):
        period(noleap, "2000-02-29", None, "a.nc")


def test_a_calendar_that_is_not_real_keeps_its_days() -> None:
    noleap, _ = decode_times(stored(np.arange(4), "days since 2000-02-27", "365_day"), "a.nc")
    assert [(t.calendar, t.month, t.day) for t in noleap] == [
        ("noleap", 2, 27), ("noleap", 2, 28), ("noleap", 3, 1), ("noleap", 3, 2)
    ]  # fmt: skip


def test_dates_are_regular_in_days_months_and_years() -> None:
    for text, unit in (("2000-01", "M"), ("1999", "Y"), ("2000-01-31", "D"), ("2000-01-01T00", "h")):
        times = (np.datetime64(text, unit) + np.arange(14)).astype("datetime64[ns]")
        keep, gap = check_times(times, "a.nc", duplicates="error", gaps="error")
        assert keep.size == 14 and gap == ""


def test_the_first_gap_is_named_and_the_others_counted() -> None:
    with pytest.raises(GeoadaptError, match=r"2020-02-27 is followed by 2020-02-29, where a step is 1 d") as caught:
        check_times(DAYS[[0, 2, 3, 4, 5]], "a.nc", duplicates="error", gaps="error")
    assert "gaps='allow'" in caught.value.hint
    months = np.array(["2000-01", "2000-02", "2000-04", "2000-05"], "datetime64[M]").astype("datetime64[ns]")
    with pytest.raises(GeoadaptError, match="2000-02-01 is followed by 2000-04-01, where a step is 1 month"):
        check_times(months, "a.nc", duplicates="error", gaps="error")


def test_a_period_is_checked_for_gaps_by_itself(tmp_path: Path) -> None:
    made = cube(8).isel(time=[0, 1, 2, 5, 6, 7])
    path = written(made, tmp_path / "a.nc")
    with pytest.raises(GeoadaptError, match="2020-02-29 is followed by 2020-03-03"):
        open_weather(path)
    assert open_weather(path, start="2020-03-03").sizes["time"] == 3
    assert "dates have a gap: 2020-02-29" in open_weather(path, gaps="allow").attrs["notes"]
