"""Right within a neighbourhood: fractions skill score of events, and the energy score of latitude rows.

In: whole fields. Out: sums that add over dates; scores from them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter

from geoadapt.errors import GeoadaptError
from geoadapt.metrics.fields import Fields
from geoadapt.metrics.forecast import mean_of, ratio
from geoadapt.metrics.statistics import Totals

__all__ = ["energy", "energy_sums", "fractions", "fss", "fss_sums"]

Floats = NDArray[np.float64]


def fractions(events: NDArray[np.bool_], window: int, circle: bool) -> Floats:
    """Share of events (…, h, w) among ``window`` × ``window`` points; 0 where the window leaves the grid.

    On whole latitude circles it continues across their ends. ``window`` is odd.
    """
    if window < 1 or window % 2 == 0:
        raise GeoadaptError("windows", f"{window} px has no centre", "choose odd numbers of points")
    half, own = window // 2, events.astype(np.float64)
    size = (*[1] * (own.ndim - 2), window, window)
    mean = np.asarray(uniform_filter(own, size=size, mode="wrap"))
    if half:
        mean[..., :half, :] = mean[..., -half:, :] = 0
        if not circle:
            mean[..., :half] = mean[..., -half:] = 0
    return mean


def fss_sums(fields: Fields) -> dict[str, Floats]:
    """``fss_difference`` Σ w (F − T)² and ``fss_reference`` Σ w (F² + T²), (b, r, c, k, windows).

    F and T are the fractions of the ensemble mean and of the truth above the thresholds. A window with a missing value
    is NaN, or does not count where it is known to be missing.
    """
    if fields.thresholds is None or not fields.windows:
        raise GeoadaptError("fss", "needs thresholds and windows", "give both")
    limits = fields.thresholds[:, None, :, None, None]
    unknown = np.isnan(fields.mean) | np.isnan(fields.truth)
    excluded = np.zeros_like(unknown) if fields.valid is None else ~fields.valid
    found: dict[str, list[Floats]] = {"fss_difference": [], "fss_reference": []}
    for window in fields.windows:
        said, true = (fractions(v > limits, window, fields.circle) for v in (fields.mean, fields.truth))
        spoilt = (fractions(unknown & ~excluded, window, True) > 0.5 / window**2) | np.isnan(limits)
        counts = fractions(excluded, window, True) < 0.5 / window**2
        parts = ((said - true) ** 2, said**2 + true**2)
        for name, part in zip(found, parts, strict=True):
            found[name].append(fields.integrate(np.where(spoilt, np.nan, part), counts))
    return {name: np.stack(parts, -1) for name, parts in found.items()}


def fss(totals: Totals) -> Floats:
    """1 − Σ w (F − T)² / Σ w (F² + T²) (…, k, windows), between 0 and 1; NaN without any event."""
    return 1 - ratio(totals["fss_difference"], totals["fss_reference"])


def energy_sums(fields: Fields) -> dict[str, Floats]:
    """``energy_distance`` mean ‖xᵢ − y‖ and ``energy_difference`` ½ mean ‖xᵢ − xⱼ‖ over i ≠ j, (b, r, c).

    The norm is over the longitudes of a latitude row inside a region, unweighted; rows are weighted.
    """
    members, space = fields.forecast, fields.space
    b, m, c, h, w = members.shape
    deviations = members.astype(np.float64) - fields.truth[:, None]
    counted = np.ones((1, 1, 1, 1), bool) if fields.valid is None else fields.valid
    if fields.valid is not None:
        deviations = np.where(fields.valid[:, None], deviations, 0)
    shape = (b, len(space.regions), c)
    found = {"energy_distance": np.zeros(shape), "energy_difference": np.zeros(shape)}
    for r in range(len(space.regions)):
        inside = space.inside[:, r].reshape(h, w)
        rows, columns = inside.any(axis=1), inside.any(axis=0)
        own = deviations[..., rows, :][..., columns]
        weights = space.weights[:, r].reshape(h, w).sum(axis=1)[rows]
        # As many points of a row as count: the sums are divided by their weight.
        weights = weights * np.broadcast_to(counted, (b, c, h, w))[:, :, rows][..., columns].mean(axis=-1)
        found["energy_distance"][:, r] = (np.linalg.norm(own, axis=-1).mean(axis=1) * weights).sum(axis=-1)
        pairs = np.zeros((b, c, int(rows.sum())))
        for i in range(m):
            pairs += np.linalg.norm(own[:, :i] - own[:, i : i + 1], axis=-1).sum(axis=1)
        found["energy_difference"][:, r] = (pairs * weights).sum(axis=-1) / max(m * (m - 1), 1)
    return found


def energy(totals: Totals) -> Floats:
    """Fair energy score of latitude rows [units × √points]."""
    return mean_of(totals, "energy_distance") - mean_of(totals, "energy_difference")
