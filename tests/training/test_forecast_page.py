"""The page of a forecasting run says what the numbers say, in the order of the segmentation page, in one file."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from geoadapt.cubes.weather import open_weather
from geoadapt.errors import GeoadaptError
from geoadapt.report.spectra import Spectra
from geoadapt.report.weather_maps import LatLon
from geoadapt.training.forecast_page import NAMES, ForecastExample, ForecastStory, write_forecast_page
from tests.report.test_page import Reader

SLP = "mean_sea_level_pressure"
LEADS = (24.0, 48.0, 72.0, 96.0, 120.0)
PLACE = LatLon(np.arange(70.0, 29, -2.5), np.arange(-70.0, 11, 2.5))
ENTRIES = {
    "persistence": "the last state",
    "climatology": "the mean of the date",
    "cnn": "a CNN on the same samples",
    "test": "LoRA on a frozen backbone",
}


def scores(
    channels: tuple[str, ...], gains: dict[str, float], base: float = 400.0, place: str = ""
) -> dict[str, float]:
    """Errors that grow with lead, and controls that are worse by ``gains``, each with an interval of ± 20."""
    found = {"test/parameters": 61440.0, "cnn/parameters": 340000.0}
    for channel in channels:
        for lead in LEADS:
            key, own = f"{channel}/{lead:g}h{place}", base + 4 * lead
            for who in ("test", *gains):
                value = own + gains.get(who, 0.0)
                ends = {"rmse": value, "rmse_low": value - 30, "rmse_high": value + 30, "acc": 0.9, "mae": 0.8 * value}
                found |= {f"{who}/{name}/{key}": v for name, v in ends.items()}
            for who, gain in gains.items():
                ends = {"rmse_gain": gain, "rmse_gain_low": gain - 20, "rmse_gain_high": gain + 20}
                found |= {f"{who}/{name}/{key}": v for name, v in ends.items()}
    return found


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> ForecastStory:
    """One channel on a window, with everything that a page can hold."""
    wave = 101_000 + 1500 * np.sin(np.deg2rad(6 * PLACE.longitude)) * np.cos(np.deg2rad(PLACE.latitude))[:, None]
    truth = np.stack([np.roll(wave, i, axis=1) for i in range(len(LEADS))])[:, None]
    truth[:, :, 0, :5] = np.nan
    power = np.stack([1e6 * np.arange(1.0, 17) ** -3] * len(LEADS))
    curves = tmp_path_factory.mktemp("run") / "curves.csv"
    rows = "".join(f"{i},{1 / i},{1.1 / i},{400 + 9 / i},{700 + 9 / i}\n" for i in range(1, 6))
    curves.write_text(f"step,train/loss,val/loss,val/rmse/{SLP}/24h,val/rmse/{SLP}/72h\n{rows}", encoding="utf-8")
    return ForecastStory(
        title="Forecasting: <slp>",
        channels=(SLP,),
        units=("Pa",),
        leads_hours=LEADS,
        entries=ENTRIES,
        metrics=scores((SLP,), {"persistence": 200.0, "climatology": 10.0, "cnn": -40.0}),
        data="Sea-level pressure of 2008",
        simulated=False,
        command="geoadapt train experiment=slp_natl",
        config={"seed": 0},
        curves=curves,
        place=PLACE,
        example=ForecastExample(np.datetime64("2008-02-01"), LEADS, truth + 100, truth),
        averages={"rmse": np.abs(truth) / 200, "bias": truth * 0 + 5},
        spectra={SLP: Spectra(np.arange(1.0, 17), {"truth": power, "test": power / 2})},
    )


def written(story: ForecastStory, folder: Path) -> str:
    return write_forecast_page(folder / "report.html", story).read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def html(story: ForecastStory, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The page of the whole story."""
    return written(story, tmp_path_factory.mktemp("page"))


@pytest.fixture(scope="module")
def lean(story: ForecastStory) -> ForecastStory:
    """The story without what takes long to draw."""
    return replace(story, example=None, averages={}, spectra={}, curves=None)


def section(html: str, heading: str) -> str:
    return html.split(f">{heading}</h2>")[1].split("</section>")[0]


def test_the_sections_stand_in_the_pages_order(html: str) -> None:
    assert re.findall(r"<h2[^>]*>(.*?)</h2>", html) == [
        "Is it worth it?", "Scores", "Scorecard", "Skill with lead time", "Maps", "Spectra",
        "A forecast beside the truth", "How the fit went", "Run it again",
    ]  # fmt: skip


def test_nothing_is_loaded_nothing_runs_and_everything_can_be_heard(html: str) -> None:
    reader = Reader(html)
    for tag, attrs in reader.tags:
        assert tag not in {"script", "link", "iframe", "object", "base"}, f"<{tag}> on the page"
        for key in ("src", "href", "xlink:href", "srcset"):
            value = attrs.get(key)
            assert value is None or value.startswith(("data:", "#")), f"{tag} {key}={value[:60]}"
    ids = [attrs["id"] for _, attrs in reader.tags if "id" in attrs]
    assert len(ids) == len(set(ids))
    assert all(attrs.get("alt") for attrs in reader.all("img")) and reader.all("img")
    assert all(attrs.get("role") == "img" and attrs.get("aria-label") for attrs in reader.all("svg"))
    assert "Forecasting: &lt;slp&gt;" in html and "<slp>" not in html


def test_verdicts_follow_from_the_paired_intervals_at_days_1_3_and_5(html: str) -> None:
    text = section(html, "Is it worth it?")
    assert re.findall(r"<h3>(.*?)</h3>", text) == ["Day 1", "Day 3", "Day 5"]
    for day in (1, 3, 5):
        assert f"Better than persistence: RMSE at day {day} −200 Pa (90 % interval −220 … −180)." in text
        assert f"Not better than climatology: RMSE at day {day} −10.0 Pa (90 % interval −30.0 … +10.0)." in text
        assert f"Worse than the CNN from scratch: RMSE at day {day} +40.0 Pa (90 % interval +20.0 … +60.0)." in text
    assert "One variable on a small window (42° × 82°) proves little about weather" in text


def test_without_controls_nothing_is_claimed(lean: ForecastStory, tmp_path: Path) -> None:
    alone = replace(lean, entries={"test": "a model"}, metrics=scores((SLP,), {}))
    html = written(alone, tmp_path)
    assert "nothing can be claimed" in section(html, "Is it worth it?")
    assert "nothing to hold the model against" in section(html, "Scorecard")
    assert "etter than" not in html


def test_simulated_data_are_called_so_at_the_top(lean: ForecastStory, tmp_path: Path) -> None:
    assert '<p class="subtitle">Simulated data. Sea-level' in written(replace(lean, simulated=True), tmp_path)
    assert "Simulated" not in written(lean, tmp_path)


def test_scores_name_everyone_and_the_model_comes_first(html: str) -> None:
    text = section(html, "Scores")
    first = text[: text.index("</table>")]
    assert re.findall(r'<th scope="row">(.*?)</th>', first) == [
        "this model", "persistence", "climatology", "the CNN from scratch",
    ]  # fmt: skip
    assert '496.0 <span class="range">466.0 … 526.0</span>' in first
    assert "LoRA on a frozen backbone" in text and "61,440" in text and "340,000" in text
    assert "More scores" in text and "Mean absolute error [Pa]" in text.split("More scores")[1]
    assert set(ENTRIES) <= set(NAMES)


def test_one_channel_has_a_card_of_controls(html: str) -> None:
    text = section(html, "Scorecard")
    assert re.findall(r'scope="rowgroup"[^>]*>(.*?)<', text) == ["persistence", "climatology", "the CNN from scratch"]
    assert "−28.7 %" in text and "<small>696.0</small>" in text, "496 against 696"
    assert text.count('<span class="unseen"> sure</span>') == 10, "climatology is within the interval at all five leads"


def test_many_channels_are_tallied_and_the_strongest_simple_control_is_the_cards_baseline(
    lean: ForecastStory, tmp_path: Path
) -> None:
    channels = ("temperature@850", "geopotential@500", "temperature@500", SLP)
    found = scores(channels, {"persistence": 200.0, "climatology": 10.0, "cnn": -40.0})
    found |= {f"{k}/tropics": v for k, v in scores(channels, {"climatology": 300.0}).items() if "/rmse" in k}
    many = replace(
        lean, channels=channels, units=("K", "m**2 s**-2", "K", "Pa"), metrics=found, example=None, averages={},
        spectra={}, curves=None,
    )  # fmt: skip
    html = written(many, tmp_path)
    worth = section(html, "Is it worth it?")
    assert re.findall(r"<td>(\d [a-z ]+)</td>", worth) == ["4 better"] * 3 + ["4 not better"] * 3 + ["4 worse"] * 3
    assert "RMSE of geopotential, 500 hPa at day 1 −200 m² s⁻² (90 %" in worth and "One variable" not in worth
    card = section(html, "Scorecard")
    assert "RMSE of this model against climatology, in percent" in card[: card.index("</table>")]
    assert re.findall(r"<summary>(.*?)</summary>", card) == ["Against persistence", "Against the CNN from scratch"]
    region = section(html, "By region and event")
    assert "Tropics" in region and "−37.7 %" in region, "496 against 796"
    assert "Maps</h2>" not in html and "Spectra</h2>" not in html and "How the fit went</h2>" not in html
    asked = written(replace(many, baseline="cnn"), tmp_path)
    assert "against the CNN from scratch, in percent" in section(asked, "Scorecard").split("</table>")[0]


def test_maps_spectra_and_the_moving_part_show_the_example(html: str) -> None:
    maps = section(html, "Maps")
    assert "the forecast from 2008-02-01" in maps and "Hatched: no data" in maps
    assert "forecast − truth 100.0 to 100.0 Pa" in maps, "the difference is the forecast minus the truth"
    assert maps.count("<figure") == 3, "the example, the RMSE and the bias"
    spectra = section(html, "Spectra")
    assert "0.500" in spectra and "this model keeps 0.50" in spectra
    moving = section(html, "A forecast beside the truth")
    assert "prefers-reduced-motion" in moving and "from day 1 to day 5" in moving
    fit = section(html, "How the fit went")
    assert "mean sea level pressure, day 3 ends at 701.8" in fit


def test_a_story_that_cannot_be_told_is_refused(story: ForecastStory) -> None:
    with pytest.raises(GeoadaptError, match="expected test, the model"):
        replace(story, entries={"cnn": "a CNN"})
    with pytest.raises(GeoadaptError, match="0 units of 1 channels"):
        replace(story, units=())
    with pytest.raises(GeoadaptError, match="maps without a grid"):
        replace(story, place=None)


def test_real_pressure_makes_a_small_page(story: ForecastStory, data_dir: Path, tmp_path: Path) -> None:
    cube = open_weather(
        data_dir / "weather/ncep_daily/ncep_slp_natl_2001_2008.nc", start="2008-01-01", end="2008-01-31"
    )
    values = cube[SLP].values.astype(np.float64)
    truth, start = values[1 : 1 + len(LEADS), None], values[0]
    place = LatLon(cube.latitude.values, cube.longitude.values)
    example = ForecastExample(cube.time.values[0], LEADS, np.broadcast_to(start, truth.shape), truth)
    path = write_forecast_page(tmp_path / "report.html", replace(story, place=place, example=example, averages={}))
    html = path.read_text(encoding="utf-8")
    assert path.stat().st_size < 1_000_000
    spoken = re.search(r"Day 1: forecast ([\d,]+) to ([\d,]+) Pa", html)
    assert spoken is not None
    assert [int(v.replace(",", "")) for v in spoken.groups()] == [round(start.min()), round(start.max())]
