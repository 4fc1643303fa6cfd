"""``geoadapt forecast``: what was typed reaches the engine, and what it says reaches the user."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from geoadapt.cli import main
from geoadapt.cli.times import parse_length, parse_times
from geoadapt.errors import GeoadaptError
from tests.inference.forecasters import Convolved, archive


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with an archive and two empty bundles, which load as small forecasters."""
    monkeypatch.chdir(tmp_path)
    for number, name in enumerate(("b", "c")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "bundle.json").write_text(str(number))
    monkeypatch.setattr(
        "geoadapt.bundle.forecaster.load_forecaster",
        lambda folder, device, **more: Convolved(seed=int((folder / "bundle.json").read_text())),
    )
    history = archive()
    states = np.asarray(history.states)
    dims = ("time", "level", "latitude", "longitude")
    xr.Dataset(
        {
            "t": (dims, states[:, [2, 0]], {"units": "K"}),
            "msl": (("time", "latitude", "longitude"), 1e5 + states[:, 1], {"units": "Pa"}),
        },
        {
            "time": history.times.astype("datetime64[ns]"),
            "level": ("level", [500, 850], {"units": "hPa"}),
            "latitude": history.latitude,
            "longitude": history.longitude,
        },
    ).to_netcdf(tmp_path / "era (5).nc")
    return tmp_path


WORDS = ["forecast", "era (5).nc", "--bundle", "b", "--lead", "3d", "--output", "fc.zarr", "runtime.threads=1"]


def opened(path: Path) -> xr.Dataset:
    with xr.open_dataset(path, engine="zarr", chunks=None) as found:
        return found.load()


def test_a_range_of_dates_becomes_a_store_and_is_resumed(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = [*WORDS, "--init", "2008-01-03", "--init", "2008-01-05/2008-01-07/48h", "--batch", "2"]
    assert main(words) == 0
    said = capsys.readouterr()
    assert "3 init times: 3 done; fc.zarr, see fc.zarr.run/run.json" in said.out and said.err == ""
    found = opened(here / "fc.zarr")
    assert [int(day) for day in found["time"].dt.day] == [3, 5, 7]
    assert dict(found.sizes) == {"time": 3, "prediction_timedelta": 3, "level": 2, "latitude": 6, "longitude": 8}
    assert found["mean_sea_level_pressure"].attrs["units"] == "Pa"
    assert 9e4 < float(found["mean_sea_level_pressure"].mean()) < 1.1e5
    assert main([*words, "--json"]) == 0
    assert {r["status"] for r in json.loads(capsys.readouterr().out)} == {"skipped"}
    assert json.loads((here / "fc.zarr.run/run.json").read_text())["command"].startswith(
        "geoadapt forecast 'era (5).nc'"
    )


def test_a_date_that_is_missing_is_listed_and_gives_status_1(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*WORDS, "--init", "2008-01-05,2008-03-01"]) == 1
    said = capsys.readouterr()
    assert "failed   2008-03-01T00:00:00: era (5).nc lacks 2008-03-01; it has 2008-01-01 to 2008-01-12" in said.err
    assert "2 init times: 1 done, 1 failed" in said.out
    assert main([*WORDS, "--init", "1999-01-01T00:00+02:00", "--output", "other.zarr"]) == 1
    assert "lacks 1998-12-31T22; it has 2008-01-01 to 2008-01-12" in capsys.readouterr().err
    assert not (here / "other.zarr").exists()


def test_ensembles_variables_and_boxes_reach_the_engine(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = [*WORDS, "--init", "2008-01-05T00:00Z", "--members", "3", "--seed", "4", "--amplitude", "0.1"]
    assert main([*words, "--variables", "msl", "--bbox", "-1,-90,2,57"]) == 0
    found = opened(here / "fc.zarr")
    assert list(found) == ["mean_sea_level_pressure"]
    assert found["longitude"].values.tolist() == [-1, 0, 1, 2] and float(found["latitude"].max()) <= 57
    assert found.sizes["number"] == 3
    assert main([*words, "--perturb", "dropout", "--output", "d.zarr"]) == 0
    plain = ["--init", "2008-01-05", "--bundle", "c", "--output", "two.zarr"]  # beside b
    assert main([*WORDS, *plain]) == 0
    two = opened(here / "two.zarr")["temperature"]
    assert two.sizes["number"] == 2 and (two.std("number") > 0).all()
    capsys.readouterr()
    assert main([*WORDS, "--init", "2008-01-05", "--output", "two.zarr"]) == 1
    assert "holds forecasts by 'convolved, convolved'" in capsys.readouterr().err


def test_a_dry_run_says_what_it_would_take_and_writes_nothing(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = [*WORDS, "--init", "2008-01-03/2008-01-07/24h", "--members", "2", "--dry-run"]
    assert main(words) == 0
    said = capsys.readouterr().out
    assert "init      5 times from 2008-01-03 to 2008-01-07 × 2 members (initial)" in said
    assert "leads     3 up to 72 h" in said
    assert re.search(r"estimate  \d+ s on cpu, \d+ MiB of memory .*, at most \d+ MiB on disk", said)
    assert main([*WORDS, "--init", "2008-01-01,2008-01-05", "--dry-run"]) == 1
    assert "failing   era (5).nc lacks 2007-12-31" in capsys.readouterr().err
    assert not (here / "fc.zarr").exists() and not (here / "fc.zarr.run").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["forecast"], "forecast: no archive is named"),
        (["forecast", "a.nc", "--init", "2008", "--lead", "1d", "-o", "x"], "--bundle: is missing"),
        ([*WORDS, "--init", "last week"], "--init: 'last week' is no date; write 2008-01-01"),
        ([*WORDS, "--init", "2008-01-02/2008-01-01/24h"], "ends before it begins"),
        ([*WORDS, "--init", "2008-01-01/2008-02-01"], "is neither a date nor a range"),
        ([*WORDS, "--init", "2008-01-01", "--lead", "ten days"], "--lead: 'ten days' is no length of time"),
        ([*WORDS, "--init", "2008-01-01", "--members", "few"], "--members: 'few'; write a whole number"),
        ([*WORDS, "--init", "2008-01-01", "--members", "0"], "--members: 0; choose more than 0"),
        ([*WORDS, "--init", "2008-01-01", "--perturb", "initial"], "is given for a single forecast; add --members"),
        ([*WORDS, "--init", "2008-01-01", "--members", "2", "--perturb", "intial"], "did you mean 'initial'?"),
        ([*WORDS, "--init", "2008-01-01", "--every", "2d"], "--every: 172800 s does not divide"),
        ([*WORDS, "--init", "2008-01-01", "--bundle", "nowhere"], "nowhere: is no bundle"),
        ([*WORDS, "--init", "2008-01-01", "--bbox", "1,2"], "--bbox: '1,2'; write four numbers"),
        ([*WORDS, "--init", "2008-01-01", "runtime.devise=cpu"], "did you mean 'runtime.device'?"),
    ],
)
def test_a_wrong_request_has_status_2_and_writes_nothing(
    words: list[str], message: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 2
    assert message in capsys.readouterr().err
    assert not (here / "fc.zarr").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["absent.nc"], "absent.nc: does not exist"),
        (["era (5).nc", "--lead", "36h"], "--lead: 36 h is no multiple of 24 h"),
        (["era (5).nc", "--variables", "geopotential"], "geopotential: is not predicted"),
    ],
)
def test_what_the_archive_or_the_model_cannot_give_is_said(
    words: list[str], message: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["forecast", *WORDS[2:], "--init", "2008-01-05", *words]) == 1
    assert message in capsys.readouterr().err
    assert not (here / "fc.zarr").exists()


def test_dates_and_lengths_are_read_as_people_write_them() -> None:
    found = parse_times("2008-01-02T06, 2008-01-01T00:00+02:00, 2008-01-01/2008-01-03/1d", "--init")
    assert [str(t) for t in found] == [
        "2007-12-31T22:00:00",
        "2008-01-01T00:00:00",
        "2008-01-02T00:00:00",
        "2008-01-02T06:00:00",
        "2008-01-03T00:00:00",
    ]
    assert [parse_length(text, "x") for text in ("10d", "6h", "30min", "1.5d", "2w")] == [
        864000,
        21600,
        1800,
        129600,
        1209600,
    ]
    for wrong in ("", "d", "-1d", "0h", "6", "6 hours", "0.0001s"):
        with pytest.raises(GeoadaptError):
            parse_length(wrong, "x")
    with pytest.raises(GeoadaptError, match="more than 1000000 dates"):
        parse_times("1900-01-01/2100-01-01/1min", "--init")
