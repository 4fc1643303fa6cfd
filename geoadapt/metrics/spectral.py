"""Does a forecast keep its small scales? Energy along latitude circles, and ChaosBench's two-dimensional bins.

In: fields (…, h, w). Out: power by wavenumber [units²], and two distances between spectra.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from geoadapt.metrics.fields import Fields
from geoadapt.metrics.forecast import mean_of, ratio
from geoadapt.metrics.statistics import Totals

__all__ = [
    "amplitude_error",
    "power_error",
    "binned_power",
    "distance_sums",
    "divergence",
    "mean_divergence",
    "mean_residual",
    "power",
    "residual",
    "spectral_distances",
    "spectrum",
    "spectrum_ratio",
    "spectrum_sums",
    "truth_spectrum",
    "zonal_power",
]

Floats = NDArray[np.float64]
Values = NDArray[np.floating]
TOP = 0.9
"""ChaosBench looks at the wavenumbers above this share of the range."""


def zonal_power(values: Values, circle: bool = True) -> Floats:
    """Power by zonal wavenumber (…, h, w // 2 + 1); its sum is the mean of the squares along the row.

    On a part of a circle the straight line between a row's ends is taken away first (Errico 1985), and wavenumbers
    count waves in the window.
    """
    rows = values.astype(np.float64)
    w = rows.shape[-1]
    if not circle and w > 1:
        slope = (rows[..., -1:] - rows[..., :1]) / (w - 1)
        rows = rows - slope * (np.arange(w) - (w - 1) / 2)
    found = np.abs(np.fft.rfft(rows, norm="forward")) ** 2
    found[..., 1 : (w + 1) // 2] *= 2
    return np.asarray(found)


def spectrum_sums(fields: Fields) -> dict[str, Floats]:
    """``forecast_power`` (mean over the members) and ``truth_power``, rows weighted, (b, r, c, k).

    A region takes its rows' whole circles; a window's, the whole window's rows.
    """
    b, m, c, h, w = fields.forecast.shape
    space = fields.space
    # Every row once, with all of its points' weight in the region.
    rows = space.weights.reshape(h, w, -1).sum(axis=1)
    forecast = np.mean([zonal_power(fields.forecast[:, i], fields.circle) for i in range(m)], axis=0)
    truth = zonal_power(fields.truth, fields.circle)
    if fields.valid is not None:
        whole = np.asarray(fields.valid.all(axis=-1))[..., None]
        forecast, truth = (np.where(whole, part, np.nan) for part in (forecast, truth))

    def over_rows(values: Floats) -> Floats:
        used = [np.flatnonzero(weights) for weights in rows.T]
        parts = [np.tensordot(values[:, :, at], rows[at, r], axes=(2, 0)) for r, at in enumerate(used)]
        return np.stack(parts, axis=1)

    return {"forecast_power": over_rows(forecast), "truth_power": over_rows(truth)}


def spectrum(totals: Totals) -> Floats:
    """Power of the forecast by zonal wavenumber (…, k) [units²]."""
    return mean_of(totals, "forecast_power")


def truth_spectrum(totals: Totals) -> Floats:
    """Power of the truth by zonal wavenumber (…, k) [units²]."""
    return mean_of(totals, "truth_power")


def spectrum_ratio(totals: Totals) -> Floats:
    """The forecast's power over the truth's (…, k): below 1 it is too smooth."""
    return ratio(totals["forecast_power"], totals["truth_power"])


@lru_cache(maxsize=8)
def _bins(h: int, w: int) -> tuple[NDArray[np.intp], int]:
    """The bin (h·w,) of every cell of a Fourier transform, −1 for none, and how many there are."""
    ky, kx = np.fft.fftfreq(h) * h, np.fft.fftfreq(w) * w
    top = float(np.hypot(h // 2, w // 2))
    count = len(np.arange(0.5, top, 1))
    edges = np.linspace(0.5, top, count + 1)
    k = np.hypot(ky[:, None], kx).ravel()
    found = np.searchsorted(edges, k, side="right") - 1
    found[k >= edges[-1]] = count - 1
    return np.where(k < 0.5, -1, found), count


def power(values: Values) -> Floats:
    """|FFT|² of a batch's mean (b, c, h, w) → (c, h, w); a NaN becomes its field's mean (ChaosBench)."""
    filled = values.astype(np.float64)
    if np.isnan(filled).any():
        filled = np.where(np.isnan(filled), np.nanmean(filled, axis=(-2, -1), keepdims=True), filled)
    return np.asarray(np.abs(np.fft.fft2(filled.mean(axis=0))) ** 2)


def binned_power(values: Values) -> Floats:
    """Mean power (bins,) by total wavenumber of a batch's mean, all channels in one; wavenumber 0 is left out.

    Bins are equally wide between 0.5 and the largest wavenumber: ChaosBench's, not quite one wavenumber each.
    """
    cells = power(values)
    which, count = _bins(*cells.shape[-2:])
    flat = cells.reshape(len(cells), -1)
    which = np.broadcast_to(which, flat.shape)
    known = which >= 0
    total = np.bincount(which[known], weights=flat[known], minlength=count)
    return np.asarray(total / np.bincount(which[known], minlength=count))


def divergence(forecast: Floats, truth: Floats) -> float:
    """Σ T log(T / F) of two spectra that sum to 1."""
    return float(np.sum(truth * np.log(np.maximum(truth / forecast, 1e-9))))


def residual(forecast: Floats, truth: Floats) -> float:
    """√ mean (F − T)² of two spectra that sum to 1."""
    return float(np.sqrt(np.mean((forecast - truth) ** 2)))


def _top_shares(forecast: Values, truth: Values, top: float) -> tuple[Floats, Floats]:
    first, second = (binned_power(v) for v in (forecast, truth))
    kept = slice(int(top * len(first)), None)
    return first[kept] / first[kept].sum(), second[kept] / second[kept].sum()


def _cell_shares(forecast: Values, truth: Values) -> tuple[Floats, Floats]:
    first, second = (power(v) for v in (forecast, truth))
    return first / first.sum(axis=(-2, -1), keepdims=True), second / second.sum(axis=(-2, -1), keepdims=True)


def spectral_distances(forecast: Values, truth: Values, top: float | None = TOP) -> tuple[float, float]:
    """SpecDiv and SpecRes of batches (b, c, h, w), whose means are taken first (ChaosBench).

    Over the bins above the share ``top`` of the wavenumbers; with None over every cell of the transform, each channel's
    normalised on its own, as ChaosBench's training loss is.
    """
    pair = _cell_shares(forecast, truth) if top is None else _top_shares(forecast, truth, top)
    return divergence(*pair), residual(*pair)


def distance_sums(fields: Fields) -> dict[str, Floats]:
    """``divergence`` and ``residual`` of every date's ensemble mean (b, r, c), of the whole domain only.

    A batch is one date here, so that dates add. NaN propagates, unless what is missing is known.
    """
    b, c = fields.truth.shape[:2]
    found = np.full((2, b, c), np.nan)
    for date in range(b):
        for channel in range(c):
            pair = [fields.one(v, date, channel)[None, None] for v in (fields.mean, fields.truth)]
            if not any(np.isnan(v).any() for v in pair):
                found[:, date, channel] = spectral_distances(pair[0], pair[1])
    return {name: fields.whole_only(fields.weigh(v)) for name, v in zip(("divergence", "residual"), found, strict=True)}


def mean_divergence(totals: Totals) -> Floats:
    """SpecDiv, the mean over dates: how far the shares of the small scales are from the truth's (ChaosBench)."""
    return mean_of(totals, "divergence")


def mean_residual(totals: Totals) -> Floats:
    """SpecRes, the mean over dates (ChaosBench)."""
    return mean_of(totals, "residual")


def _amplitudes(values: Values, weights: Floats | None) -> Floats:
    """|rfft| along longitude, its mean over latitude (…, k)."""
    found = np.abs(np.fft.rfft(values.astype(np.float64)))
    return np.asarray((found if weights is None else found * weights[:, None]).mean(axis=-2))


def amplitude_error(forecast: Values, truth: Values, first: int = 3, weights: Floats | None = None) -> float:
    """Mean squared difference of the amplitudes' latitude means, from wavenumber ``first`` on (CREDIT's spectral loss).

    Fields (…, h, w); ``weights`` (h,) of mean 1.
    """
    pair = [_amplitudes(values, weights)[..., first:] for values in (forecast, truth)]
    return float(np.mean((pair[0] - pair[1]) ** 2))


def power_error(forecast: Values, truth: Values, first: int = 3, weights: Floats | None = None) -> float:
    """Mean squared difference of log(power + 1e-8), from wavenumber ``first`` on (CREDIT's PSD loss).

    Power counts both signs of a wavenumber, 2 |rfft|² / w²; ``weights`` (h,) of mean 1 weigh the squares.
    """
    pair = [2 * np.abs(np.fft.rfft(v.astype(np.float64), norm="forward")) ** 2 + 1e-8 for v in (forecast, truth)]
    squares = (np.log(pair[0][..., first:]) - np.log(pair[1][..., first:])) ** 2
    return float(np.mean(squares if weights is None else squares * weights[:, None]))
