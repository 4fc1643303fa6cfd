"""Labelled vegetation series of MODIS in Brazil, as the R package sits stores them (Simoes 2021): NDVI, and EVI.

In: an ``.rda`` file with a table of samples (longitude, latitude, label, time_series). Out: a SampleSet of pixels.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from geoadapt.errors import GeoadaptError
from geoadapt.fields.roots import ASK, data_root
from geoadapt.fields.samples import Labelled, Layout, Piece, SampleSet, Target
from geoadapt.fields.samples_config import SitsSamplesConfig
from geoadapt.fields.samples_split import PARTS, split_groups
from geoadapt.io.rdata import frame_columns, read_rdata

__all__ = ["build"]

WANTED = ("longitude", "latitude", "label", "time_series")
PIXEL = 231.66
"""Of MOD13Q1 [m]."""


def build(config: SitsSamplesConfig, seed: int = 0) -> SampleSet:
    """The samples of ``config.table``, split by squares of ``config.block`` degrees; ``seed`` changes nothing.

    Raises GeoadaptError where the file is missing, damaged, or holds no such table.
    """
    path = data_root(config.root, "timeseries/sits_modis_jp2") / f"{config.table}.rda"
    columns = _table(path)
    labels = [str(label) for label in columns["label"]]
    names = tuple(sorted(set(labels)))
    classes = np.array([names.index(label) for label in labels])
    places = list(zip(columns["latitude"], columns["longitude"], strict=True))
    squares = [f"{np.floor(lat / config.block):.0f} {np.floor(lon / config.block):.0f}" for lat, lon in places]
    pieces = [_piece(series, f"{path.name}, sample {n + 1}") for n, series in enumerate(columns["time_series"])]
    bands = pieces[0].channels
    part = split_groups(squares, classes, (config.val_fraction, config.test_fraction), config.split_seed)
    made = [
        Labelled(f"sample {n}", {"optical": pieces[n]}, int(classes[n]), squares[n], _latlon(places[n]), PIXEL, "modis")
        for n in range(len(labels))
    ]
    parts = {name: [made[n] for n in np.flatnonzero(part == number)] for number, name in enumerate(PARTS)}
    told = ", ".join(f"{name} {len(samples)} of {len({s.group for s in samples})}" for name, samples in parts.items())
    counts = ", ".join(f"{count} {name}" for name, count in sorted(Counter(labels).items()))
    lone = [name for name in names if len({s for s, label in zip(squares, labels, strict=True) if label == name}) == 1]
    alone = f" {' and '.join(lone)} lies in a single square: one part alone has it." if lone else ""
    dates = max(len(piece.values) for piece in pieces)
    note = (
        f"{config.table} of the R package sits: {len(made):,} series of {dates} dates of MODIS MOD13Q1 in Brazil, "
        f"{' and '.join(name.upper() for name in bands)} alone, no reflectance; {counts}; split by squares of "
        f"{config.block:g}°: {told} squares.{alone}"
    )
    return SampleSet(
        name=f"sits_{config.table}",
        train=parts["train"],
        val=parts["val"],
        test=parts["test"],
        target=Target("class", names),
        layout=Layout({"optical": bands}, {"optical": dates}),
        note=note,
        licence="MODIS NASA public domain; labels of INPE (e-sensing/sits)",
    )


def _table(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise GeoadaptError(path, "is not there", ASK)
    columns = frame_columns(next(iter(read_rdata(path).values()), None), str(path))
    missing = [name for name in WANTED if name not in columns]
    if missing:
        raise GeoadaptError(path, f"its table lacks {', '.join(missing)}", f"it has {', '.join(columns)}")
    return columns


def _piece(series: Any, where: str) -> Piece:
    """The series of one sample, its dates in ascending order."""
    columns = frame_columns(series, where)
    bands = [name for name in columns if name != "Index"]
    if "Index" not in columns or not bands:
        raise GeoadaptError(where, f"its series holds {', '.join(columns)}", "expected Index and vegetation indices")
    times = np.asarray(columns["Index"], "datetime64[s]")
    order = np.argsort(times)
    values = np.stack([np.asarray(columns[name], np.float32) for name in bands], 1)[order]
    return Piece(values[..., None, None], tuple(name.lower() for name in bands), times[order])


def _latlon(place: tuple[Any, Any]) -> tuple[float, float]:
    return float(place[0]), float(place[1])
