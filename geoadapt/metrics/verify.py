"""A stored forecast against truth: streamed by init date, scored by region, level, lead and event.

In: datasets in WeatherBench 2's layout, lazily opened, of any length. Out: a ``Verification``. A few dates are held.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from geoadapt.errors import GeoadaptError
from geoadapt.metrics.accumulate import Accumulator
from geoadapt.metrics.align import LEAD, TIME, Source, check_forecast, climate_reader, open_source, sources
from geoadapt.metrics.catalogue import finish, sums_of
from geoadapt.metrics.compare import compare, flat
from geoadapt.metrics.events import Event, during
from geoadapt.metrics.statistics import Statistics
from geoadapt.metrics.weights import Box
from geoadapt.words import counted

__all__ = ["Verification", "compare_verifications", "verify"]

Floats = NDArray[np.float64]
AT_ONCE = 64 * 2**20
"""Of a forecast that is held at a time [bytes]; at least one field with all of its members."""


@dataclass(frozen=True, slots=True)
class Verification:
    """Sums of a forecast's scores, the events among its regions, and what could not be scored."""

    statistics: Statistics
    scores: tuple[str, ...]
    events: tuple[Event, ...] = ()
    missing: tuple[str, ...] = ()
    """Sentences for people."""

    def parts(self) -> Iterator[tuple[str, Statistics]]:
        """Regions over all dates, under no name, then every event during its period."""
        names = {event.name for event in self.events}
        own = [i for i, region in enumerate(self.statistics.regions) if region not in names]
        sums = {name: values[:, :, own] for name, values in self.statistics.sums.items()}
        yield "", replace(self.statistics, regions=tuple(self.statistics.regions[i] for i in own), sums=sums)
        for event in self.events:
            part = during(self.statistics, event)
            if part.seen.any():
                yield event.name, part

    def flat(self) -> dict[str, float]:
        """Scores that are one number: ``METRIC/CHANNEL/LEADh``, and ``/REGION`` or ``/EVENT``."""
        return {key: value for _, part in self.parts() for key, value in flat(part, self.scores).items()}

    def score(self, name: str) -> Floats:
        """One score (n, r, c, *extra), also one that is many numbers: a spectrum, ranks, thresholds."""
        return finish(name, self.statistics.totals())

    def results(self, **options: Any) -> dict[str, float]:
        """``flat`` with the ends of its intervals, under WHO = ``test``; ``options`` as ``compare`` takes them."""
        return compare_verifications({"test": self}, **options)


def compare_verifications(models: Mapping[str, Verification], **options: Any) -> dict[str, float]:
    """``compare`` for several forecasts that were verified alike: regions on all common dates, events in their periods.

    Raises GeoadaptError where they share no date.
    """
    first = next(iter(models.values()))
    parts = {who: dict(found.parts()) for who, found in models.items()}
    found: dict[str, float] = {}
    for name in parts[next(iter(models))]:
        if all(name in own for own in parts.values()):
            found |= compare({who: own[name] for who, own in parts.items()}, first.scores, **options)
    return found


def verify(
    forecast: xr.Dataset,
    truth: xr.Dataset,
    *,
    climatology: xr.Dataset | None = None,
    variables: Sequence[str] | None = None,
    regions: Mapping[str, Box] | None = None,
    events: Sequence[Event] = (),
    weights: str = "area",
    scores: Sequence[str] = ("rmse", "mae", "bias"),
    thresholds: Mapping[str, Sequence[float]] | None = None,
    windows: Sequence[int] = (),
    missing: str = "propagate",
    at_once: int = AT_ONCE,
) -> Verification:
    """Score a forecast (time, prediction_timedelta, [number], [level], latitude, longitude) against truth.

    Truth is taken at the valid time, time + prediction_timedelta; where it has none, the forecast is left out and
    counted in ``missing``. ``climatology`` has the variables' names, with ``_std`` for the spread, and for SEEPS
    ``_seeps_dry_fraction`` and ``_seeps_threshold``, by hour and day of the year; it is taken at the valid time.
    ``missing`` is what a NaN does (see ``Accumulator``), ``at_once`` [bytes] what is read of a forecast at a time.
    Raises GeoadaptError for grids that differ, unknown names, and where nothing can be scored.
    """
    asked = check_forecast(forecast)
    found, lacking = sources(asked, truth, variables)
    boxes = dict(regions or {})
    for event in events:
        if event.name in boxes:
            raise GeoadaptError("events", f"'{event.name}' is also a region", "rename one of them")
        boxes[event.name] = event.box
    setting: dict[str, Any] = {
        "latitude": asked["latitude"].values,
        "longitude": asked["longitude"].values,
        "leads": np.asarray(asked[LEAD].values, "timedelta64[ns]"),
        "scores": tuple(scores),
        "weights": weights,
        "regions": boxes,
        "missing": missing,
        "windows": tuple(windows),
    }
    limits = _padded(found, thresholds)
    notes = list(lacking)
    parts = []
    for source in found:
        accumulator = Accumulator(source.channels, thresholds=limits.get(source.name), **setting)
        notes += _stream(source, accumulator, climatology, at_once)
        if not accumulator.empty:
            parts.append(accumulator.statistics())
    if not parts:
        raise GeoadaptError("truth", "; ".join(notes), "give truth for the time that was forecast")
    made = Verification(_joined(parts), tuple(scores), tuple(events), tuple(notes))
    return replace(made, missing=(*notes, *_warnings(made)))


def _warnings(made: Verification) -> list[str]:
    """What else whoever reads the scores should know."""
    found = []
    scored = {name for name, _ in made.parts()}
    found += [f"{e.name}: no forecast is valid in its period" for e in made.events if e.name not in scored]
    plain = [
        v for k, v in made.statistics.sums.items() if k in ("error", "absolute_error", "squared_error", "distance")
    ]
    if plain:
        spoilt = np.isnan(plain[0][:, :, 0]).sum(axis=(0, 1))
        named = zip(made.statistics.channels, spoilt, strict=True)
        found += [
            f"{c}: NaN in {counted(n, 'forecast')}, and so in the scores (missing=skip leaves out points)"
            for c, n in named
            if n
        ]
    return found


def _padded(found: Sequence[Source], thresholds: Mapping[str, Sequence[float]] | None) -> dict[str, Any]:
    """Thresholds by variable and channel, equally many, filled up with NaN; a variable's hold at each of its levels."""
    if not thresholds:
        return {}
    known = {name: source for source in found for name in (source.name, *source.channels)}
    for name in thresholds:
        if name not in known:
            raise GeoadaptError(f"thresholds.{name}", "is not scored", f"scored: {', '.join(known)}")
    most = max(len(values) for values in thresholds.values())
    table = {}
    for source in found:
        own = {c: list(thresholds.get(c, thresholds.get(source.name, ()))) for c in source.channels}
        table[source.name] = {c: values + [np.nan] * (most - len(values)) for c, values in own.items()}
    return table


def _stream(source: Source, accumulator: Accumulator, climatology: xr.Dataset | None, at_once: int) -> list[str]:
    """Add every date and lead of one variable; sentences about what was left out."""
    values, archive = open_source(source)
    readers = _readers(source, accumulator, climatology)
    times = np.asarray(values[TIME].values, "datetime64[ns]")
    leads = np.asarray(values[LEAD].values, "timedelta64[ns]")
    absent: list[np.datetime64] = []
    for dates, some in _batches(values, at_once):
        valid = times[dates][:, None] + leads[some]
        known = archive.knows(valid)
        absent += list(valid[~known])
        if not known.any():
            continue
        archive.load(valid[known])
        read = values.isel({TIME: dates, LEAD: some}).values
        for column, lead in enumerate(range(some.start, some.stop)):
            rows = known[:, column]
            if rows.any():
                when = valid[rows, column]
                given = {name: reader(when) for name, reader in readers.items() if not name.startswith("seeps/")}
                extra = {name[6:]: reader(when) for name, reader in readers.items() if name.startswith("seeps/")}
                block = read[rows, column]
                accumulator.add(times[dates][rows], lead, block, archive.at(when), extra=extra, **given)
    if not absent:
        return []
    first, last = min(absent), max(absent)
    span = f"{np.datetime_as_string(first, 'h')} to {np.datetime_as_string(last, 'h')}"
    return [f"{source.name}: no truth at the valid time of {counted(len(absent), 'forecast')} ({span})"]


def _readers(source: Source, accumulator: Accumulator, climatology: xr.Dataset | None) -> dict[str, Any]:
    """What the scores need of the climatology, as functions of the valid time."""
    needed = set(sums_of(accumulator.scores))
    wanted = {}
    if needed & {"anomaly_product", "forecast_anomaly", "truth_anomaly", "climatology_crps"}:
        wanted["climatology"] = source.name
    if "climatology_crps" in needed:
        wanted["sigma"] = f"{source.name}_std"
    if "seeps" in needed:
        wanted["seeps/dry_fraction"] = f"{source.name}_seeps_dry_fraction"
        wanted["seeps/wet_threshold"] = f"{source.name}_seeps_threshold"
    found: dict[str, Any] = {}
    for key, name in wanted.items():
        yearly = key == "seeps/dry_fraction"
        reader = None if climatology is None else climate_reader(source, climatology, name, yearly)
        if reader is None and (climatology is None or not key.startswith("seeps/")):
            raise GeoadaptError("climatology", f"has no '{name}', which {', '.join(accumulator.scores)} need", "add it")
        found[key] = reader or _nothing
    return found


def _nothing(times: NDArray[np.datetime64]) -> Floats:
    """For a variable that is no precipitation: SEEPS judges no point of it."""
    return np.full((len(times), 1, 1, 1), np.nan)


def _batches(values: xr.DataArray, at_once: int) -> Iterator[tuple[slice, slice]]:
    """Init dates and leads that are read together: whole chunks of the store, as many as fit."""
    count, leads = values.sizes[TIME], values.sizes[LEAD]
    state = values.dtype.itemsize * int(np.prod([n for d, n in values.sizes.items() if d not in (TIME, LEAD)]))
    chunks = dict(zip(values.dims, values.encoding.get("chunks") or (), strict=False))
    chunks |= {k: v[0] for k, v in values.chunksizes.items()}
    ahead = _whole(leads, int(chunks.get(LEAD, 1)), max(1, at_once // state))
    dates = _whole(count, int(chunks.get(TIME, 1)), max(1, at_once // (state * ahead)))
    for date in range(0, count, dates):
        for lead in range(0, leads, ahead):
            yield slice(date, min(date + dates, count)), slice(lead, min(lead + ahead, leads))


def _whole(size: int, chunk: int, fitting: int) -> int:
    """The largest multiple of a chunk that fits; part of one where it does not."""
    return min(size, fitting if fitting < chunk else fitting - fitting % chunk)


def _joined(parts: Sequence[Statistics]) -> Statistics:
    """The channels of all variables behind each other; dates that only some have weigh 0 elsewhere."""
    times = np.unique(np.concatenate([part.times for part in parts]))
    seen = np.zeros((len(times), len(parts[0].leads)), bool)
    sums: dict[str, list[Floats]] = {name: [] for name in parts[0].sums}
    for part in parts:
        at = np.searchsorted(times, part.times)
        seen[at] |= part.seen
        for name, values in part.sums.items():
            whole = np.zeros((len(times), *values.shape[1:]))
            whole[at] = values
            sums[name].append(whole)
    channels = tuple(channel for part in parts for channel in part.channels)
    joined = {name: np.concatenate(values, axis=3) for name, values in sums.items()}
    return replace(parts[0], times=times, channels=channels, seen=seen, sums=joined)
