"""Forecast and verify in one pass: fields come as they are made, sums over space stay.

In: forecasts (b, [m], c, h, w), truth (b, c, h, w) and a climatology at the valid time, at any lead, in any order.
Out: ``Statistics`` by init date. Evaluating a stored forecast runs through the same ``Accumulator``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from geoadapt.errors import GeoadaptError, nearest
from geoadapt.metrics.catalogue import FIELD_SUMS, MAPS, sums_of
from geoadapt.metrics.fields import Fields
from geoadapt.metrics.points import Points
from geoadapt.metrics.statistics import Statistics
from geoadapt.metrics.weights import Box, Space, make_space

__all__ = ["Accumulator"]

Floats = NDArray[np.float64]
Values = NDArray[np.floating]
BLOCK = 1 << 18
"""Values of the members that are worked on at once: what stays in a processor's second cache with its copies."""


@dataclass(frozen=True, slots=True)
class _Sample:
    """Fields of some dates at one lead, points flat: members (b, m, c, p), the rest (b, c, p)."""

    forecast: Values
    truth: Values
    climatology: Values | None
    sigma: Values | None
    extra: Mapping[str, Values]
    valid: NDArray[np.bool_] | None


@dataclass
class Accumulator:
    """Adds up what ``scores`` need; memory grows with the dates only by their sums.

    ``missing`` says what a NaN does: ``propagate`` makes every score NaN that it is part of, so that it is seen;
    ``skip`` leaves out the points where forecast, truth or climatology lack a value. Points that are known to have no
    truth belong in the ``mask`` of ``add`` instead.
    """

    channels: Sequence[str]
    latitude: ArrayLike
    longitude: ArrayLike
    leads: ArrayLike
    """(n,) as timedelta64."""
    scores: Sequence[str] = ("rmse", "mae", "bias")
    weights: str = "cos"
    regions: Mapping[str, Box] | None = None
    missing: str = "propagate"
    thresholds: Mapping[str, Sequence[float]] | None = None
    """Channel → values [units] above which an event is counted, for the scores of events."""
    windows: Sequence[int] = ()
    """Sides of the neighbourhoods of FSS [points], odd."""
    _space: Space = field(init=False, repr=False)
    _rows: dict[np.datetime64, dict[str, NDArray[np.float64]]] = field(default_factory=dict, init=False, repr=False)
    _names: tuple[str, ...] = field(init=False, repr=False)
    _limits: Floats | None = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if self.missing not in ("propagate", "skip"):
            raise GeoadaptError("missing", f"'{self.missing}' is unknown", "choose propagate or skip")
        self.channels = tuple(self.channels)
        self.leads = np.asarray(self.leads, "timedelta64[ns]")
        self._names = sums_of(self.scores)
        self._limits = _table(self.channels, self.thresholds)
        self._space = make_space(np.asarray(self.latitude), np.asarray(self.longitude), self.weights, self.regions)

    def add(
        self,
        init_times: ArrayLike,
        lead_index: int,
        forecast: ArrayLike,
        truth: ArrayLike,
        climatology: ArrayLike | None = None,
        *,
        sigma: ArrayLike | None = None,
        mask: ArrayLike | None = None,
        extra: Mapping[str, ArrayLike] | None = None,
    ) -> None:
        """Add forecasts (b, [m], c, h, w) of ``init_times`` (b,) at one lead, beside their truth (b, c, h, w).

        ``climatology`` and ``sigma`` (b, c, h, w) are at the valid time; ``mask`` (broadcast to b, c, h, w) is true
        where a point counts; ``extra`` (broadcast likewise) holds SEEPS's ``dry_fraction`` and ``wet_threshold`` [m].
        Raises GeoadaptError for shapes that do not fit and for a date that was added before.
        """
        dates = np.asarray(init_times, "datetime64[ns]").reshape(-1)
        self._check_new(dates, lead_index)
        sample = self._sample(len(dates), forecast, truth, climatology, sigma, mask, extra or {})
        found = self._sums(sample)
        leads = len(np.asarray(self.leads))
        for index, date in enumerate(dates):
            row = self._rows.setdefault(date, {"seen": np.zeros(leads)})
            row["seen"][lead_index] = 1
            for name, values in found.items():
                row.setdefault(name, np.zeros((leads, *values.shape[1:])))[lead_index] = values[index]

    @property
    def empty(self) -> bool:
        """Whether nothing was added yet."""
        return not self._rows

    def statistics(self) -> Statistics:
        """All that was added so far, dates ascending; raises GeoadaptError where nothing was."""
        if not self._rows:
            raise GeoadaptError("verification", "no forecast was added", "is there truth at any valid time?")
        times = np.array(sorted(self._rows), "datetime64[ns]")
        rows = [self._rows[time] for time in times]
        names = [name for name in rows[0] if name != "seen"]
        sums = {name: np.stack([row[name] for row in rows]) for name in names}
        seen = np.stack([row["seen"] for row in rows]) > 0
        leads = np.asarray(self.leads)
        return Statistics(times, leads, self._space.regions, tuple(self.channels), seen, sums)

    def _check_new(self, dates: NDArray[np.datetime64], lead_index: int) -> None:
        """Raise before anything is added: a sum that holds a part of what it was given cannot be mended."""
        leads = np.asarray(self.leads)
        if not 0 <= lead_index < leads.size:
            raise GeoadaptError("verification", f"lead {lead_index} of {leads.size}", "leads are counted from 0")
        known = [date for date in dates if date in self._rows and self._rows[date]["seen"][lead_index]]
        known += [date for date, count in zip(*np.unique(dates, return_counts=True), strict=True) if count > 1]
        if known:
            hours = leads[lead_index] / np.timedelta64(1, "h")
            raise GeoadaptError("verification", f"{known[0]} +{hours:g} h was added twice", "add every forecast once")

    def _sample(
        self,
        dates: int,
        forecast: ArrayLike,
        truth: ArrayLike,
        climatology: ArrayLike | None,
        sigma: ArrayLike | None,
        mask: ArrayLike | None,
        extra: Mapping[str, ArrayLike],
    ) -> _Sample:
        grid = (self._space.latitude.size, self._space.longitude.size)
        expected = (dates, len(self.channels), *grid)
        members = np.asarray(forecast)
        if members.ndim == 4:
            members = members[:, None]
        if members.ndim != 5 or (members.shape[0], *members.shape[2:]) != expected or members.shape[1] == 0:
            found = np.shape(forecast)
            raise GeoadaptError("forecast", f"has shape {found}, expected (b, [m], c, h, w) {expected}", "see add")
        flat = (*expected[:2], grid[0] * grid[1])

        def fitted(what: str, values: ArrayLike | None) -> Values | None:
            if values is None:
                return None
            if np.shape(values) != expected:
                raise GeoadaptError(what, f"has shape {np.shape(values)}, expected (b, c, h, w) {expected}", "see add")
            return _floating(np.asarray(values)).reshape(flat)

        known = None if mask is None else np.broadcast_to(np.asarray(mask, bool), expected).reshape(flat)
        known = None if known is None or known.all() else known
        y = fitted("truth", truth)
        assert y is not None
        sample = _Sample(
            _floating(members).reshape(dates, -1, *flat[1:]),
            y,
            fitted("climatology", climatology),
            fitted("sigma", sigma),
            {name: _floating(np.broadcast_to(np.asarray(v), expected)).reshape(flat) for name, v in extra.items()},
            known,
        )
        return _skipping(sample) if self.missing == "skip" else sample

    def _sums(self, sample: _Sample) -> dict[str, Floats]:
        """Name → (b, r, c, *extra)."""
        b, c, p = sample.truth.shape
        r = len(self._space.regions)
        found: dict[str, Floats] = {}
        for dates, channels, points in _pieces(b, sample.forecast.shape[1], c, p):
            at, valid = _block(sample, dates, channels, points)
            at.thresholds = None if self._limits is None else self._limits[:, channels].astype(at.truth.dtype)
            for name in (name for name in self._names if name in MAPS):
                sums = self._space.integrate(MAPS[name](at), points, valid)
                # (k, b, c, r) → (b, r, c, k)
                sums = np.moveaxis(sums, (-3, -1, -2), (0, 1, 2))
                total = found.setdefault(name, np.zeros((b, r, c, *sums.shape[3:])))
                total[dates, :, channels] += sums
        return found | self._field_sums(sample) | self._sizes(sample)

    def _sizes(self, sample: _Sample) -> dict[str, Floats]:
        """``weight`` and ``count`` of the points that count (b, r, c)."""
        b, c, p = sample.truth.shape
        valid = np.ones((1, 1, p), bool) if sample.valid is None else sample.valid
        weight, count = (valid @ table for table in (self._space.weights, self._space.inside.astype(np.float64)))
        shape = (b, c, len(self._space.regions))
        return {k: np.broadcast_to(v, shape).swapaxes(1, 2) for k, v in (("weight", weight), ("count", count))}

    def _field_sums(self, sample: _Sample) -> dict[str, Floats]:
        """Of whole fields, name → (b, r, c, *extra); a function that gives several sums runs once."""
        asked = {FIELD_SUMS[name]: name for name in self._names if name in FIELD_SUMS}
        grid = (self._space.latitude.size, self._space.longitude.size)
        fields = Fields(
            sample.forecast.reshape(*sample.forecast.shape[:-1], *grid),
            sample.truth.reshape(*sample.truth.shape[:-1], *grid),
            self._space,
            None if sample.valid is None else sample.valid.reshape(*sample.valid.shape[:-1], *grid),
            self._limits,
            tuple(self.windows),
        )
        found = [function(fields) for function in asked]
        return {name: values for part in found for name, values in part.items() if name in self._names}


def _table(channels: Sequence[str], thresholds: Mapping[str, Sequence[float]] | None) -> Floats | None:
    """Thresholds (k, c), NaN where a channel has fewer; None without any."""
    if not thresholds:
        return None
    for name in thresholds:
        if name not in channels:
            raise GeoadaptError(f"thresholds.{name}", "no such channel is scored", nearest(name, channels))
    table = np.full((max(len(v) for v in thresholds.values()), len(channels)), np.nan)
    for name, values in thresholds.items():
        table[: len(values), channels.index(name)] = values
    return table


def _floating(values: NDArray[np.generic]) -> Values:
    """float32 or float64, whatever came."""
    kind = np.float64 if values.dtype.itemsize >= 8 or values.dtype.kind not in "f" else np.float32
    return np.asarray(values, kind)


def _skipping(sample: _Sample) -> _Sample:
    valid = np.isfinite(sample.truth) & np.isfinite(sample.forecast).all(axis=1)
    for other in (sample.climatology, sample.sigma):
        if other is not None:
            valid &= np.isfinite(other)
    if sample.valid is not None:
        valid &= sample.valid
    return replace(sample, valid=None if valid.all() else valid)


def _pieces(b: int, m: int, c: int, p: int) -> Iterator[tuple[slice, slice, slice]]:
    """Dates, channels and points of blocks that fit the cache: several small fields, or a part of a large one."""
    points = max(BLOCK // m, 1)
    width = min(p, points)
    channels = min(c, max(points // width, 1))
    dates = min(b, max(points // (width * channels), 1))
    for date in range(0, b, dates):
        for channel in range(0, c, channels):
            for point in range(0, p, width):
                yield slice(date, date + dates), slice(channel, channel + channels), slice(point, point + width)


def _block(sample: _Sample, dates: slice, channels: slice, points: slice) -> tuple[Points, NDArray[np.bool_] | None]:
    part = np.s_[dates, channels, points]
    members = sample.forecast[dates, :, channels, points].swapaxes(0, 1)
    truth = sample.truth[part]
    deviations = np.empty(members.shape, np.result_type(members, truth))
    np.subtract(members, truth, out=deviations)
    clim = None if sample.climatology is None else sample.climatology[part]
    sigma = None if sample.sigma is None else sample.sigma[part]
    extra = {name: values[part] for name, values in sample.extra.items()}
    valid = None if sample.valid is None else sample.valid[part]
    return Points(deviations, truth, clim, sigma, members, extra=extra), valid
