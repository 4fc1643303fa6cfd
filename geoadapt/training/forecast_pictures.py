"""The pictures on the page of a forecasting run: maps, spectra, and a forecast that moves beside the truth."""

from __future__ import annotations

import numpy as np
from markupsafe import Markup

from geoadapt.report.animation import animation
from geoadapt.report.spectra import kept_table, spectra_chart
from geoadapt.report.weather_maps import LatLon, MapColumn, difference_scale, field_scale, weather_maps
from geoadapt.report.wording import (
    METRICS,
    capital,
    channel_words,
    headline_channels,
    lead_words,
    some_leads,
    telling_leads,
    unit_words,
)  # fmt: skip
from geoadapt.training.forecast_story import ForecastExample, ForecastStory

__all__ = ["map_parts", "moving_parts", "spectra_parts"]

STATES = 60
"""Most states of the animation."""


def map_parts(story: ForecastStory, place: LatLon) -> list[str]:
    """Forecast, truth and difference by lead time, and scores over the test dates, of the first headline channel."""
    channel = headline_channels(story.channels)[0]
    index, unit = story.channels.index(channel), story.unit(channel)
    parts: list[str] = []
    if story.example is not None:
        parts.append(_example_maps(story.example, channel, index, unit, place))
    leads = telling_leads(story.leads_hours)
    rows = [story.leads_hours.index(lead) for lead in leads]
    for metric, fields in story.averages.items():
        shown = fields[rows, index]
        scale = difference_scale(shown) if metric == "bias" else field_scale(shown)
        name = METRICS.get(metric, metric)
        columns = [
            MapColumn(capital(lead_words(lead)), one[None], scale) for lead, one in zip(leads, shown, strict=True)
        ]
        caption = f"{capital(name)} of {channel_words(channel)} over the test dates."
        parts.append(weather_maps(columns, [name], place, unit, caption, f"{name} of {channel_words(channel)}"))
    return parts


def _example_maps(example: ForecastExample, channel: str, index: int, unit: str, place: LatLon) -> Markup:
    leads = telling_leads(example.leads_hours)
    rows = [example.leads_hours.index(lead) for lead in leads]
    ahead, known = example.forecast[rows, index], example.truth[rows, index]
    shared = field_scale(ahead, known)
    error = ahead - known
    columns = [
        MapColumn("forecast", ahead, shared),
        MapColumn("truth", known, shared),
        MapColumn("forecast \N{MINUS SIGN} truth", error, difference_scale(error)),
    ]
    caption = (
        f"{capital(channel_words(channel))}: the forecast from {_date(example.init)}, one of many and no measure of "
        f"skill.{'' if np.isfinite(error).all() else ' Hatched: no data.'} The page loads nothing from outside, so "
        "coastlines are drawn only where the data hold a land mask."
    )
    return weather_maps(columns, [capital(lead_words(h)) for h in leads], place, unit, caption, channel_words(channel))


def spectra_parts(story: ForecastStory) -> list[str]:
    """Spectra of the headline channels, and what the forecasts keep of the small scales."""
    parts: list[str] = []
    shown = telling_leads(story.leads_hours)
    for channel in headline_channels([name for name in story.channels if name in story.spectra]):
        spectra, names = story.spectra[channel], story.names
        caption = f"Power of {channel_words(channel)} by {spectra.label}, mean over the test dates."
        parts.append(spectra_chart(spectra, names, story.leads_hours, shown, unit_words(story.unit(channel)), caption))
        parts.append(kept_table(spectra, names, story.leads_hours, shown))
    return parts


def moving_parts(story: ForecastStory, example: ForecastExample, place: LatLon) -> list[str]:
    """The example, moving, of the first headline channel."""
    channel = headline_channels(story.channels)[0]
    index = story.channels.index(channel)
    chosen = [example.leads_hours.index(lead) for lead in some_leads(example.leads_hours, STATES)]
    leads = [example.leads_hours[i] for i in chosen]
    dates = [example.init + np.timedelta64(round(lead * 3600), "s") for lead in leads]
    labels = [f"{capital(lead_words(lead))}, {_date(date)}" for lead, date in zip(leads, dates, strict=True)]
    subject = f"{capital(channel_words(channel))} from {_date(example.init)}"
    alt = (
        f"{subject}, forecast on the left and truth on the right, from {lead_words(leads[0])} to "
        f"{lead_words(leads[-1])}."
    )
    return [
        animation(
            example.forecast[chosen, index],
            example.truth[chosen, index],
            labels,
            place,
            story.unit(channel),
            alt,
            f"{subject}. Where the system asks for less motion, the last state stands still.",
        )  # fmt: skip
    ]


def _date(date: np.datetime64) -> str:
    """To the minute, and to the day at midnight UTC."""
    text = str(date.astype("datetime64[m]")).replace("T", " ")
    return text.removesuffix(" 00:00") if text.endswith(" 00:00") else f"{text} UTC"
