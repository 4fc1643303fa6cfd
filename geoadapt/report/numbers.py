"""Numbers as text, the same way in every table and sentence."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

__all__ = ["MINUS", "Interval", "decimals", "metric_interval", "number", "signed"]

MINUS = "\N{MINUS SIGN}"
NOTHING = "\N{EN DASH}"


@dataclass(frozen=True, slots=True)
class Interval:
    """A value and the interval it lies in."""

    value: float
    low: float
    high: float


def number(value: float | int | None, digits: int = 3) -> str:
    """A number for people: grouped thousands, fixed decimals, a dash for nothing."""
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return NOTHING
    if isinstance(value, int):
        text = f"{value:,}"
    elif value and not 1e-3 <= abs(value) < 1e6:
        text = f"{value:.2e}"
    else:
        text = f"{value:,.{_decimals(value, digits)}f}"
    return text.replace("-", MINUS) if "e" not in text else text


def _decimals(value: float, digits: int) -> int:
    """Fewer decimals for larger numbers, so that a column keeps about the same precision."""
    return digits if abs(value) < 10 else max(0, digits - int(math.log10(abs(value))))


def signed(value: float, digits: int = 3) -> str:
    """A number with its sign, + or −."""
    if not math.isfinite(value):
        return NOTHING
    text = f"{value:+,.{digits}f}"
    return text.replace("-", MINUS)


def decimals(values: Iterable[float], digits: int = 3) -> int:
    """Decimals that show the largest of some numbers in ``digits`` digits, so that they stand alike."""
    largest = max((abs(v) for v in values if math.isfinite(v)), default=0.0)
    return max(0, digits - 1 - math.floor(math.log10(largest))) if largest else digits


def metric_interval(metrics: Mapping[str, float], who: str, key: str) -> Interval:
    """The value of ``WHO/key`` among flat metrics, with its interval; ``key`` is ``METRIC/NAME`` or ``METRIC``."""
    metric, _, name = key.partition("/")
    tail = f"/{name}" if name else ""
    value, low, high = (metrics.get(f"{who}/{metric}{end}{tail}", math.nan) for end in ("", "_low", "_high"))
    return Interval(value, low, high)
