"""Scores against lead time: what is known is drawn and said, what is not is left out, and names read well."""

from __future__ import annotations

import math
import re
from pathlib import Path

import pytest

from geoadapt.report.charts import Series, curves, recorded
from geoadapt.report.numbers import decimals, signed
from geoadapt.report.skill import metric_label, reach, score_table, skill_chart, skill_series, tally, told_metrics
from geoadapt.report.verdicts import rmse_verdicts
from geoadapt.report.wording import (
    channel_words,
    headline_channels,
    lead_axis,
    lead_hours,
    lead_key,
    lead_words,
    some_leads,
    telling_leads,
    unit_words,
)

SLP = "mean_sea_level_pressure"
NAMES = {"test": "this model", "persistence": "persistence"}
LEADS = (24.0, 72.0, 120.0)


def metrics(*outcomes: str) -> dict[str, float]:
    """Errors of the model at the first leads, and whether persistence is beaten there."""
    ends = {"better": (100.0, 200.0), "even": (-50.0, 250.0), "worse": (-200.0, -100.0)}
    found: dict[str, float] = {}
    for lead, outcome in zip(LEADS, outcomes, strict=False):
        low, high = ends[outcome]
        key, gain = f"{SLP}/{lead_key(lead)}", (low + high) / 2
        found |= {f"test/rmse/{key}": 400.0 + lead, f"persistence/rmse/{key}": 400.0 + lead + gain}
        found |= {f"test/rmse_low/{key}": 380.0 + lead, f"test/rmse_high/{key}": 420.0 + lead}
        found |= {f"persistence/rmse_gain/{key}": gain}
        found |= {f"persistence/rmse_gain_low/{key}": low, f"persistence/rmse_gain_high/{key}": high}
    return found


@pytest.mark.parametrize(
    ("outcome", "sentence"),
    [
        ("better", "Better than persistence: RMSE at day 1 −150 Pa (90 % interval −200 … −100)."),
        ("even", "Not better than persistence: RMSE at day 1 −100 Pa (90 % interval −250 … +50)."),
        ("worse", "Worse than persistence: RMSE at day 1 +150 Pa (90 % interval +100 … +200)."),
    ],
)
def test_a_gain_above_zero_is_an_error_below_the_controls(outcome: str, sentence: str) -> None:
    controls = {"persistence": "persistence"}
    (found,) = rmse_verdicts(metrics(outcome), controls, SLP, 24, "Pa", named=False)
    assert found.sentence() == sentence
    (named,) = rmse_verdicts(metrics(outcome), controls, SLP, 24, "Pa")
    assert "RMSE of mean sea level pressure at day 1" in named.sentence()


def test_without_a_gain_there_is_no_verdict() -> None:
    (found,) = rmse_verdicts({}, {"cnn": "the CNN from scratch"}, SLP, 24)
    assert found.sentence().startswith("No verdict against the CNN from scratch: RMSE")


def test_a_line_holds_the_leads_that_are_known_and_the_model_is_its_own() -> None:
    own, other = skill_series(metrics("better", "even"), NAMES, "rmse", SLP, LEADS)
    assert (own.x, own.y, own.low, own.own) == ((1.0, 3.0), (424.0, 472.0), (404.0, 452.0), True)
    assert (other.x, other.low, other.own) == ((1.0, 3.0), (), False), "no interval, no band"


def test_the_chart_has_a_band_and_says_its_ends() -> None:
    text = str(skill_chart(metrics("better", "better", "better"), NAMES, "rmse", SLP, LEADS, "Pa"))
    assert "this model ends at 520.0; persistence ends at 670.0" in text
    assert "the bands are 90 % intervals" in text and "RMSE [Pa]" in text and "lead time [days]" in text
    plain = str(skill_chart({f"test/acc/{SLP}/24h": 0.9}, NAMES, "acc", SLP, LEADS, "Pa"))
    assert "the bands" not in plain and "[Pa]" not in plain


def test_bands_add_an_area_to_a_curve() -> None:
    line = Series("a", (1, 2), (3.0, 4.0))
    banded = Series("a", (1, 2), (3.0, 4.0), (2.0, 3.0), (4.0, 5.0))
    areas = [str(curves([s], "x", "y", "c")).count("fill-opacity: 0.16") for s in (line, banded)]
    assert areas == [0, 1]


def test_charts_of_one_page_share_no_names() -> None:
    lines = [Series("a", (1, 2), (3.0, 4.0)), Series("b", (1, 2), (4.0, 4.0))]
    pages = [str(curves(lines, "x", label, "c")) for label in ("first", "second")]
    found = [set(re.findall(r' id="([^"]+)"', page)) for page in pages]
    assert found[0] and not found[0] & found[1]
    for page, ids in zip(pages, found, strict=True):
        assert set(re.findall(r'href="#([^"]+)"', page)) | set(re.findall(r"url\(#([^)]+)\)", page)) == ids


def test_a_dollar_in_a_name_is_a_dollar() -> None:
    lines = [Series("cost in $x^", (1, 2), (3.0, 4.0)), Series("b", (1,), (2.0,))]
    assert ">cost in $x^<" in curves(lines, "x", "y", "c")


@pytest.mark.parametrize(
    ("outcomes", "words"),
    [
        (("better", "better", "better"), "up to day 5, the longest lead time"),
        (("better", "even", "better"), "up to day 1"),
        (("even", "better", "better"), "not at day 1, the shortest lead time"),
    ],
)
def test_skill_reaches_as_far_as_it_holds_without_a_break(outcomes: tuple[str, ...], words: str) -> None:
    assert f"<td>{words}</td>" in reach(metrics(*outcomes), {"persistence": "persistence"}, SLP, LEADS)


def test_without_a_control_nothing_is_said_of_the_reach() -> None:
    assert reach({}, {"cnn": "the CNN"}, SLP, LEADS) == ""


def test_the_tally_counts_channels_by_outcome() -> None:
    both = metrics("better", "worse") | {k.replace(SLP, "b"): v for k, v in metrics("better", "even").items()}
    text = str(tally(both, {"persistence": "persistence"}, (SLP, "b", "absent"), LEADS))
    assert re.findall(r"<td>(.*?)</td>", text) == [
        "2 better, 1 unknown", "1 not better, 1 worse, 1 unknown", "3 unknown",
    ]  # fmt: skip


def test_a_table_leaves_out_who_was_not_scored_and_sets_off_the_model() -> None:
    names = {"persistence": "persistence", "test": "this model", "cnn": "the CNN from scratch"}
    text = str(score_table(metrics("better"), names, "rmse", SLP, LEADS, "Pa"))
    assert "the CNN" not in text and '<tr class="own"><th scope="row">this model' in text
    assert "RMSE [Pa] of mean sea level pressure, with 90 % intervals" in text
    assert '424.0 <span class="range">404.0 … 444.0</span>' in text


def test_only_scores_that_exist_are_told() -> None:
    found = {f"test/acc/{SLP}/24h": 0.9, f"test/rmse/{SLP}/48h": 1.0, f"cnn/bias/{SLP}/24h": 1.0}
    assert told_metrics(found, SLP, LEADS) == ["acc"]
    assert metric_label("rmse", "m**2 s**-2") == "RMSE [m² s⁻²]"


def test_leads_and_channels_read_well() -> None:
    assert [lead_words(h) for h in (6, 24, 36, 240)] == ["6 h", "day 1", "36 h", "day 10"]
    assert [lead_key(h) for h in (24.0, 0.5)] == ["24h", "0.5h"]
    assert lead_hours("72h") == 72 and math.isnan(lead_hours("day 3"))
    assert channel_words("temperature@850") == "temperature, 850 hPa"
    assert lead_axis((6, 12)) == ([6.0, 12.0], "lead time [h]")
    assert lead_axis((24, 72))[0] == [1.0, 3.0]


@pytest.mark.parametrize(
    ("unit", "text"), [("m**2 s**-2", "m² s⁻²"), ("kg kg-1", "kg kg⁻¹"), ("W m^-2", "W m⁻²"), ("Pa", "Pa"), ("1", "1")]
)
def test_units_have_their_powers_raised(unit: str, text: str) -> None:
    assert unit_words(unit) == text


def test_some_leads_are_telling_ones() -> None:
    hourly = [float(h) for h in range(6, 246, 6)]
    assert telling_leads(hourly) == [24, 72, 120]
    assert telling_leads([6.0, 12.0, 18.0, 30.0]) == [6, 18, 30]
    assert some_leads(hourly, 12) == [24.0 * d for d in range(1, 11)]
    few = some_leads(hourly, 6)
    assert len(few) == 6 and {24, 72, 120, 240} <= set(few)
    assert some_leads(LEADS, 6) == list(LEADS)


def test_headlines_are_what_forecasters_look_at_first() -> None:
    assert headline_channels(("humidity", SLP, "geopotential@500", "b", "c")) == ["geopotential@500", SLP, "humidity"]


def test_numbers_beside_each_other_share_their_decimals() -> None:
    assert [decimals(v) for v in ((-483.2, -516.0), (0.0123, 0.2), (1.2e-5,), (math.nan, 0.0))] == [0, 3, 7, 3]
    assert signed(-12345.6, 0) == "−12,346"


def test_recorded_rows_are_read_by_name(tmp_path: Path) -> None:
    path = tmp_path / "curves.csv"
    path.write_text("step,train/loss\n1,0.5\n2,\n", encoding="utf-8")
    assert recorded(path) == [{"step": "1", "train/loss": "0.5"}, {"step": "2", "train/loss": ""}]
