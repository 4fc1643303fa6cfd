"""Harmonic regression in time: the year's course of every pixel, fitted to its clear dates.

In: values (t, c, n) with what is valid, and days from the wanted date. Out: what the fit says of that date (c, n).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from geoadapt.errors import GeoadaptError

__all__ = ["HarmonicSettings", "fit_harmonic"]

YEAR = 365.25
"""[days]."""
AT_ONCE = 1 << 16
"""Fits that are solved at a time."""


@dataclass(frozen=True, slots=True)
class HarmonicSettings:
    """Which terms there are, and how many dates it takes to fit one."""

    harmonics: int = 2
    """Of the year: 1 or 2."""
    trend: bool = False
    """A straight line beside the seasons."""
    dates_per_term: float = 1.5
    """A pixel gets its next terms only when it has so many clear dates for each; until then, always below three dates,
    its fit is their mean."""
    ridge: float = 0.1
    """Weight of the squared coefficients other than the constant, in dates."""

    def __post_init__(self) -> None:
        if self.harmonics not in (1, 2):
            raise GeoadaptError("harmonics", f"{self.harmonics} of a year", "choose 1 or 2")
        if self.dates_per_term < 1:
            raise GeoadaptError("dates_per_term", f"{self.dates_per_term:g} is too few", "choose 1 or more")
        if not self.ridge > 0:
            raise GeoadaptError("ridge", f"{self.ridge:g} leaves some fits without an answer", "choose one above 0")

    def steps(self) -> tuple[int, ...]:
        """Numbers of terms that a fit may have: a constant, a pair for each harmonic, then the trend."""
        pairs = tuple(1 + 2 * n for n in range(self.harmonics + 1))
        return (*pairs, pairs[-1] + 1) if self.trend else pairs


def fit_harmonic(values: Tensor, valid: Tensor, days: Tensor, settings: HarmonicSettings) -> Tensor:
    """The regression's value on day 0 (c, n): ridge least squares of every pixel and band on its valid dates.

    y = a + Σₖ bₖ cos 2πkt + cₖ sin 2πkt (+ d t), t in years from the wanted date (Zhu & Woodcock 2014, eq. 1, where
    the number of terms depends on that of the clear dates likewise). NaN without a valid date.

    Args:
        values: (t, c, n), finite where valid.
        valid: (t, c, n).
        days: (t,) from the wanted date.
        settings: which terms.
    """
    terms = settings.steps()[-1]
    design = _terms(days.double() / YEAR, settings)[:, :terms]
    at_zero = _terms(torch.zeros_like(days[:1]).double(), settings)[0]
    step = max(1, AT_ONCE // values.shape[1])
    parts = []
    for start in range(0, values.shape[2], step):
        part = slice(start, start + step)
        held = torch.where(valid[..., part], values[..., part], 0.0).double()
        parts.append(_solve(held, valid[..., part], design, settings) @ at_zero)
    return torch.cat(parts, -1).to(values.dtype)


def _terms(years: Tensor, settings: HarmonicSettings) -> Tensor:
    columns = [torch.ones_like(years)]
    for k in range(1, settings.harmonics + 1):
        columns += [(2 * math.pi * k * years).cos(), (2 * math.pi * k * years).sin()]
    return torch.stack([*columns, years] if settings.trend else columns, -1)


def _solve(values: Tensor, valid: Tensor, design: Tensor, settings: HarmonicSettings) -> Tensor:
    """Coefficients (c, n, terms), 0 for terms that a pixel does not get, NaN without a valid date."""
    size = design.shape[1]
    # clouds hide all bands at once: then one matrix serves them all
    alike = bool((valid == valid[:, :1]).all())
    seen = (valid[:, :1] if alike else valid).permute(1, 2, 0).double()
    count = seen.sum(-1)
    used = torch.arange(size, device=count.device) < _allowed(count, settings)[..., None]
    gram = (seen @ (design[:, :, None] * design[:, None]).flatten(1)).unflatten(-1, (size, size))  # type: ignore[no-untyped-call]
    gram = torch.where(used[..., None] & used[..., None, :], gram, 0.0)
    ridge = torch.full_like(design[0], settings.ridge)
    ridge[0] = 0
    gram = gram + torch.diag_embed(torch.where(used & (count > 0)[..., None], ridge, 1.0))
    moments = torch.where(used, values.permute(1, 2, 0) @ design, 0.0)
    if alike:
        found = torch.linalg.solve(gram[0], moments.permute(1, 2, 0)).permute(2, 0, 1)
    else:
        found = torch.linalg.solve(gram, moments)
    return torch.where((count > 0)[..., None], found, torch.nan)


def _allowed(count: Tensor, settings: HarmonicSettings) -> Tensor:
    """Terms that so many dates may carry."""
    allowed = torch.ones_like(count)
    for terms in settings.steps()[1:]:
        allowed[count >= settings.dates_per_term * terms] = terms
    return allowed
