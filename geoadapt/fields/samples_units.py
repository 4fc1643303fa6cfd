"""Samples in the units that a backbone declares, where these differ from the data's own.

In: a SampleSet with its units. Out: the same samples, converted when they are read.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from geoadapt.errors import GeoadaptError
from geoadapt.fields.samples import Labelled, OnDemand, Piece, SampleSet

__all__ = ["in_units"]

DAYS = (31, 28.25, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
"""Of each month."""
Convert = Callable[[Piece], Piece]


def in_units(data: SampleSet, wanted: Mapping[str, str]) -> SampleSet:
    """The set with every input in ``wanted`` units (input → units); inputs without any stay as they are.

    Raises GeoadaptError where nobody knows how to convert.
    """
    found: dict[str, Convert] = {}
    for name, own in data.units.items():
        if name not in wanted or wanted[name] == own:
            continue
        if (own, wanted[name]) not in CONVERSIONS:
            problem = f"{name} is in '{own}', the backbone takes '{wanted[name]}'"
            raise GeoadaptError("data", problem, "choose another backbone, or leave this input out")
        found[name] = CONVERSIONS[own, wanted[name]]
    if not found:
        return data
    train, val, test = (
        OnDemand(len(part), partial(_converted, part, found)) for part in (data.train, data.val, data.test)
    )
    units = {**data.units, **{name: wanted[name] for name in found}}
    return replace(data, units=units, train=train, val=val, test=test)


def _converted(samples: Sequence[Labelled], convert: Mapping[str, Convert], number: int) -> Labelled:
    sample = samples[number]
    changed = {name: one(sample.inputs[name]) for name, one in convert.items()}
    return replace(sample, inputs={**sample.inputs, **changed})


def _monthly(piece: Piece) -> Piece:
    """Precipitation per day as that of the month of its date."""
    if piece.times is None:
        raise GeoadaptError("era5", "has no dates, so its months' lengths are unknown", "give the samples times")
    months = piece.times.astype("datetime64[M]").astype(np.int64) % 12
    values = piece.values.copy()
    values[:, piece.channels.index("total_precipitation")] *= np.asarray(DAYS, np.float32)[months][:, None, None]
    return replace(piece, values=values)


CONVERSIONS: dict[tuple[str, str], Convert] = {("K, m per day", "K, m per month"): _monthly}
"""Units of the data and those of the backbone → how."""
