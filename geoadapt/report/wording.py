"""Names for people: channels, units, lead times and scores, the same on every table, chart and map."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from geoadapt.cubes.variables import split_channel

__all__ = [
    "MAIN_METRICS", "METRICS", "capital", "channel_words", "headline_channels", "lead_axis", "lead_hours", "lead_key",
    "lead_words", "safe_text", "some_leads", "telling_leads", "unit_words",
]  # fmt: skip

DAY = 24
"""[h]"""
MAIN_LEADS = (24, 72, 120)
"""Days 1, 3 and 5 [h]."""
MAIN_CHANNELS = (
    "geopotential@500", "temperature@850", "2m_temperature", "mean_sea_level_pressure", "10m_wind_speed",
    "10m_u_component_of_wind", "specific_humidity@700", "total_precipitation_24hr", "total_precipitation_6hr",
)  # fmt: skip
"""What forecasters look at first, in order."""
METRICS = {
    "rmse": "RMSE",
    "acc": "anomaly correlation",
    "bias": "bias",
    "crps": "CRPS",
    "spread_skill": "spread\N{EN DASH}skill ratio",
    "mae": "mean absolute error",
    "activity": "activity",
    "crps_plain": "CRPS of the members as they are",
    "crps_almost_fair": "almost fair CRPS",
    "crpss": "CRPS skill against the climatology",
    "spread": "ensemble spread",
    "unbiased_rmse": "RMSE without the members' share",
    "mean_spread": "mean spread",
    "mean_spread_skill": "mean spread\N{EN DASH}skill ratio",
    "msssim": "MS-SSIM",
    "spec_div": "spectral divergence",
    "spec_res": "spectral residual",
    "seeps": "SEEPS",
    "fss": "fractions skill score",
    "brier": "Brier score",
}
"""Scores as they stand in ``WHO/METRIC/CHANNEL/LEADh``, and what they are called."""
MAIN_METRICS = tuple(METRICS)[:5]
"""Those that a page shows before anyone asks."""
POWERS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def channel_words(channel: str) -> str:
    """``temperature@850`` as "temperature, 850 hPa"."""
    variable, level = split_channel(channel)
    return variable.replace("_", " ") + ("" if level is None else f", {level:g} hPa")


def unit_words(unit: str) -> str:
    """``m**2 s**-2`` as "m² s⁻²"; also ``m2 s-2`` and ``m^2``."""
    found = re.sub(r"(?:\*\*|\^)(-?\d+)", lambda m: m.group(1).translate(POWERS), unit)
    return re.sub(r"(?<=[A-Za-z])-?\d+\b", lambda m: m.group(0).translate(POWERS), found)


def lead_key(hours: float) -> str:
    """A lead time [h] as metrics name it: ``24h``."""
    return f"{hours:g}h"


def lead_hours(key: str) -> float:
    """The lead time [h] that ``24h`` names; NaN where it names none."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)h", key)
    return float(found.group(1)) if found else math.nan


def lead_words(hours: float) -> str:
    """Whole days as "day 3", anything else as "6 h"."""
    return f"day {hours / DAY:g}" if hours and hours % DAY == 0 else f"{hours:g} h"


def lead_axis(leads: Sequence[float]) -> tuple[list[float], str]:
    """Lead times [h] as positions on an axis, in days from two days up, and what the axis is called."""
    if max(leads, default=0) < 2 * DAY:
        return [float(h) for h in leads], "lead time [h]"
    return [h / DAY for h in leads], "lead time [days]"


def telling_leads(leads: Sequence[float]) -> list[float]:
    """Days 1, 3 and 5 as far as they are among the leads [h]; without any of them, the first, middle and last."""
    main = [h for h in leads if h in MAIN_LEADS]
    return main or sorted({leads[0], leads[len(leads) // 2], leads[-1]} if leads else set())


def some_leads(leads: Sequence[float], most: int) -> list[float]:
    """At most ``most`` of the leads [h]: all, or the whole days, or the telling ones and others spread between."""
    if len(leads) <= most:
        return list(leads)
    days = [h for h in leads if h % DAY == 0]
    if 1 < len(days) <= most:
        return days
    chosen = {*telling_leads(leads)[: most - 1], leads[-1]}
    for i in range(most):
        if len(chosen) < most:
            chosen.add(leads[round(i * (len(leads) - 1) / max(1, most - 1))])
    return sorted(chosen)


def headline_channels(channels: Sequence[str], most: int = 3) -> list[str]:
    """The channels that stand for the rest: those forecasters look at first, then the first ones."""
    main = [name for name in MAIN_CHANNELS if name in channels]
    return [*main, *(name for name in channels if name not in main)][:most]


def capital(words: str) -> str:
    """The words with a capital first letter, the others as they are."""
    return words[:1].upper() + words[1:]


def safe_text(words: str) -> str:
    r"""Words for a drawing: a dollar sign is one, and does not begin a formula."""
    return words.replace("$", r"\$")
