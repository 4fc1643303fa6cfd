"""The page of a forecasting run: verdicts first, then numbers, maps, spectra, and how to run it again."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from markupsafe import Markup

from geoadapt.report.charts import curves, intervals, recorded, series
from geoadapt.report.page import Page, folded
from geoadapt.report.provenance import provenance, versions
from geoadapt.report.scorecard import ScoreRow, channel_rows, control_rows, scorecard
from geoadapt.report.skill import lead_scores, metric_label, reach, score_table, skill_chart, tally, told_metrics
from geoadapt.report.tables import Cell, table
from geoadapt.report.verdicts import rmse_verdicts, verdict
from geoadapt.report.weather_maps import LatLon
from geoadapt.report.wording import (
    MAIN_METRICS,
    METRICS,
    capital,
    channel_words,
    headline_channels,
    lead_hours,
    lead_words,
    some_leads,
    telling_leads,
)
from geoadapt.training.forecast_pictures import map_parts, moving_parts, spectra_parts
from geoadapt.training.forecast_story import NAMES, ForecastExample, ForecastStory

__all__ = ["NAMES", "ForecastExample", "ForecastStory", "write_forecast_page"]

COLUMNS = 7
"""Most lead times in a table of scores."""
CARD_COLUMNS = 12
"""Most lead times in a scorecard."""
CURVES = 8
"""Most lines in a chart of the fit."""


def write_forecast_page(path: Path, story: ForecastStory) -> Path:
    """One self-contained HTML page, whole or not at all."""
    page = Page(story.title, f"{'Simulated data. ' if story.simulated else ''}{story.data}")
    page.add("Is it worth it?", *_verdicts(story))
    page.add("Scores", *_scores(story))
    page.add("Scorecard", *_scorecards(story))
    if places := _places(story):
        page.add("By region and event", *_by_place(story, places))
    page.add("Skill with lead time", *_skill(story))
    if story.place is not None and (story.example is not None or story.averages):
        page.add("Maps", *map_parts(story, story.place))
    if story.spectra:
        page.add("Spectra", *spectra_parts(story))
    if story.place is not None and story.example is not None:
        page.add("A forecast beside the truth", *moving_parts(story, story.example, story.place))
    if story.curves is not None:
        page.add("How the fit went", *_fit(story.curves))
    page.add("Run it again", provenance(story.command, story.config, versions(), {"data": story.data}))
    return page.write(path)


def _verdicts(story: ForecastStory) -> list[str]:
    """All of them for one channel; for many, how many are better, and the headline channels' folded."""
    leads = telling_leads(story.leads_hours)
    parts: list[str] = []
    if not story.controls:
        parts.append(verdict([]))
    elif len(story.channels) == 1:
        parts += _channel_verdicts(story, story.channels[0], leads)
    else:
        parts.append(tally(story.metrics, story.controls, story.channels, leads))
        for index, channel in enumerate(headline_channels(story.channels)):
            name = capital(channel_words(channel))
            parts.append(folded(name, *_channel_verdicts(story, channel, leads), shown=index == 0))
    parts.append(
        f"{story.method} {story.level} % intervals of the model's error minus the control's; better or worse is said "
        "only where the whole interval lies on that side of zero."
    )
    if len(story.channels) == 1:
        parts.append(
            f"One variable{_window(story.place)} proves little about weather: a claim about a weather model needs many "
            "variables and levels, the whole globe, and years of dates."
        )
    return parts


def _channel_verdicts(story: ForecastStory, channel: str, leads: Sequence[float]) -> list[str]:
    parts: list[str] = []
    for lead in leads:
        found = rmse_verdicts(
            story.metrics, story.controls, channel, lead, story.unit(channel), story.level,
            named=len(story.channels) > 1,
        )  # fmt: skip
        parts += [Markup("<h3>{}</h3>").format(capital(lead_words(lead))), verdict(found)]
    return parts


def _window(place: LatLon | None) -> str:
    if place is None:
        return ""
    west, east, south, north = place.extent
    globe = east - west > 359 and north - south > 170
    return "" if globe else f" on a small window ({north - south:.0f}° × {east - west:.0f}°)"


def _scores(story: ForecastStory) -> list[str]:
    names = story.names
    shown = headline_channels(story.channels)
    parts: list[str] = []
    for channel in shown:
        parts += _channel_scores(story, channel)
        parts.append(_whiskers(story, channel, telling_leads(story.leads_hours)[0]))
    rest = [name for name in story.channels if name not in shown]
    parts += [folded(capital(channel_words(channel)), *_channel_scores(story, channel)) for channel in rest]
    counts = {who: story.metrics.get(f"{who}/parameters") for who in names}
    headers = ["", "what it is", *(["trained parameters"] if any(counts.values()) else [])]
    cells: list[list[Cell]] = [
        [name, story.entries[who], None if (count := counts[who]) is None else int(count)]
        for who, name in names.items()
    ]
    parts.append(table(headers, [row[: len(headers)] for row in cells], "What was compared, on the same dates", own=0))
    return parts


def _channel_scores(story: ForecastStory, channel: str) -> list[str]:
    leads = some_leads(story.leads_hours, COLUMNS)
    unit = story.unit(channel)
    tables = {
        name: score_table(story.metrics, story.names, name, channel, leads, unit, story.level)
        for name in told_metrics(story.metrics, channel, leads)
    }
    more = [made for name, made in tables.items() if name not in MAIN_METRICS]
    parts: list[str] = [made for name, made in tables.items() if name in MAIN_METRICS]
    return [*parts, folded("More scores", *more)] if more else parts


def _whiskers(story: ForecastStory, channel: str, lead: float) -> str:
    rows = []
    for who, name in story.names.items():
        (found,) = lead_scores(story.metrics, who, "rmse", channel, [lead])
        rows.append((name, found.value, found.low, found.high))
    unit = story.unit(channel)
    label = f"{metric_label('rmse', unit)} of {channel_words(channel)} at {lead_words(lead)}"
    return intervals(rows, f"{label}, {story.level} % intervals")


def _scorecards(story: ForecastStory) -> list[str]:
    """One card against every control for a single channel; for many, a card per control, all but one folded."""
    controls, first = story.controls, story.reference
    if not first:
        return ["No controls were run, so there is nothing to hold the model against."]
    if len(story.channels) == 1:
        rows = control_rows(story.metrics, controls, story.channels[0], _card_leads(story))
        caption = f"{metric_label('rmse', story.units[0])} of this model against each control, in percent"
        return [_card(story, rows, f"{caption}; the control's own is printed small")]
    cards = {
        who: _card(
            story,
            channel_rows(story.metrics, who, story.channels, _card_leads(story)),
            f"RMSE of this model against {name}, in percent; the model's own is small, in the variable's unit",
        )
        for who, name in controls.items()
    }
    return [cards[first], *(folded(f"Against {controls[who]}", card) for who, card in cards.items() if who != first)]


def _card(story: ForecastStory, rows: Sequence[ScoreRow], caption: str) -> Markup:
    return scorecard(rows, _card_leads(story), caption, story.level)


def _card_leads(story: ForecastStory) -> list[float]:
    return some_leads(story.leads_hours, CARD_COLUMNS)


def _places(story: ForecastStory) -> list[str]:
    """Regions and events, as the fifth part of the keys names them."""
    found = (key.split("/", 4) for key in story.metrics if key.startswith("test/rmse/"))
    return list(dict.fromkeys(parts[4] for parts in found if len(parts) == 5))


def _by_place(story: ForecastStory, places: Sequence[str]) -> list[str]:
    first = story.reference
    if not first:
        return ["No controls were run, so there is nothing to hold the model against."]
    rows = [
        ScoreRow(capital(place.replace("_", " ")), f"{row.variable}{f', {row.level}' if row.level else ''}", row.cells)
        for place in places
        for row in channel_rows(story.metrics, first, headline_channels(story.channels), _card_leads(story), place)
    ]
    return [_card(story, rows, f"RMSE of this model against {story.names[first]} by region and event")]


def _skill(story: ForecastStory) -> list[str]:
    names = story.names
    parts: list[str] = []
    for channel in headline_channels(story.channels):
        if len(story.channels) > 1:
            parts.append(Markup("<h3>{}</h3>").format(capital(channel_words(channel))))
        parts += [
            skill_chart(story.metrics, names, name, channel, story.leads_hours, story.unit(channel), story.level)
            for name in told_metrics(story.metrics, channel, story.leads_hours)
            if name in MAIN_METRICS
        ]
        parts.append(reach(story.metrics, story.controls, channel, story.leads_hours))
    return [part for part in parts if part]


def _fit(path: Path) -> list[str]:
    rows = recorded(path)
    columns = list(rows[0]) if rows else []
    losses = series(rows, [name for name in ("train/loss", "val/loss") if name in columns])
    parts: list[str] = [curves(losses, "step", "loss", "Loss of the training samples and of the validation dates.")]
    scores: dict[str, list[str]] = {}
    for name in columns:
        kind, _, rest = name.partition("/")
        if kind == "val" and rest != "loss":
            scores.setdefault(rest.split("/")[0], []).append(name)
    for metric, names in scores.items():
        lines = [replace(line, name=_curve_name(line.name)) for line in series(rows, names[:CURVES])]
        label = METRICS.get(metric, metric)
        if lines:
            parts.append(
                curves(lines, "step", label, f"{capital(label)} on the validation dates, which choose the weights.")
            )
    return parts


def _curve_name(column: str) -> str:
    """``val/rmse/CHANNEL/24h`` as a reader would say it; any other column by its own name."""
    _, _, *rest = column.split("/")
    if len(rest) != 2 or math.isnan(hours := lead_hours(rest[1])):
        return column
    return f"{channel_words(rest[0])}, {lead_words(hours)}"
