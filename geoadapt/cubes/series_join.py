"""Parts of a series put in order: what they hold alike, which dates are double, and on which grid they are read.

In: parts, and how they are to be joined. Out: a ``Plan``, which can be opened any number of times.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox

from geoadapt.cubes.series_grid import METHODS, Sampler, common_grid
from geoadapt.cubes.series_parts import Part
from geoadapt.errors import GeoadaptError, nearest
from geoadapt.words import counted

__all__ = ["Joining", "Plan", "join"]

_TOLD = 6
DUPLICATES = ("error", "first", "mosaic")


@dataclass(frozen=True, slots=True)
class Joining:
    """How parts are brought together, as ``open_series`` describes it; checked when it is made."""

    grid: str | GeoBox = "first"
    resolution: float | None = None
    resampling: str = "bilinear"
    duplicates: str = "error"
    max_gap: float | None = None
    """[days]."""
    buffer: int = 0
    """[px]."""

    def __post_init__(self) -> None:
        for name, known in (("duplicates", DUPLICATES), ("resampling", METHODS)):
            if getattr(self, name) not in known:
                word = getattr(self, name)
                raise GeoadaptError(name, f"'{word}' is unknown", nearest(word, known))
        if self.max_gap is not None and not self.max_gap > 0:
            raise GeoadaptError("max_gap", f"{self.max_gap} days", "choose more than 0, or None for no check")
        if self.buffer < 0:
            raise GeoadaptError("buffer", f"{self.buffer} px", "choose 0 or more")


@dataclass(frozen=True, slots=True)
class Plan:
    """How parts become dates: where each date of each part goes, and which of them are one day."""

    parts: tuple[Part, ...]
    slots: tuple[NDArray[np.intp], ...]
    """Per part, for each of its dates the place among all frames in order of time; −1 = left out."""
    groups: tuple[tuple[int, ...], ...]
    """Per date of the series the frames that make it up."""
    frames: int
    times: NDArray[np.datetime64]
    names: tuple[str, ...]
    sensors: tuple[str | None, ...]
    bands: tuple[str, ...]
    grid: GeoBox | None
    size: tuple[int, int]
    resampling: str
    notes: tuple[str, ...]
    doubts: tuple[str, ...]
    buffer: int = 0
    """What lies within this distance of a masked pixel counts as masked too [px]."""


def join(parts: Sequence[Part], how: Joining, where: str) -> Plan:
    """The plan of a series; raises GeoadaptError where parts differ in bands or cannot be brought together."""
    if not parts:
        raise GeoadaptError(where, "holds no date between start and end", "widen start=… and end=…")
    _check_bands(parts)
    parts = sorted(parts, key=lambda p: (p.times[0], p.names[0]))
    frames = sorted(
        ((p.times[i], p.names[i], k, i) for k, p in enumerate(parts) for i in range(len(p.times))),
        key=lambda f: (f[0], f[1]),
    )
    groups = _days(frames, how.duplicates)
    times = np.array([frames[g[0]][0] for g in groups], "datetime64[s]")
    _check_gaps(times, how.max_gap, where)
    kept = [frame for group in groups for frame in group]
    place = {(frames[f][2], frames[f][3]): n for n, f in enumerate(kept)}
    slots = [np.array([place.get((k, i), -1) for i in range(len(p.times))], np.intp) for k, p in enumerate(parts)]
    used = [k for k, slot in enumerate(slots) if (slot >= 0).any()]
    counts = np.cumsum([0, *(len(g) for g in groups)])
    target, size, said, doubts = _target([parts[k] for k in used], how)
    merged = sum(len(g) > 1 for g in groups)
    if merged:
        said.append(f"{counted(merged, 'date')} put together from more than one scene: the first clear pixel counts")
    dropped = len(frames) - len(kept)
    if dropped:
        said.append(f"{counted(dropped, 'scene')} left out: another one of the day comes first")
    if how.buffer:
        said.append(f"what lies within {how.buffer} px of a masked pixel counts as masked too")
    members = [[frames[f] for f in g] for g in groups]
    return Plan(
        parts=tuple(parts[k] for k in used),
        slots=tuple(slots[k] for k in used),
        groups=tuple(tuple(range(a, b)) for a, b in zip(counts[:-1].tolist(), counts[1:].tolist(), strict=True)),
        frames=len(kept),
        times=times,
        names=tuple(" + ".join(f[1] for f in m) for m in members),
        sensors=tuple(parts[m[0][2]].sensors[m[0][3]] for m in members),
        bands=parts[0].bands,
        grid=target,
        size=size,
        resampling=how.resampling,
        notes=(*_some(n for k in used for n in parts[k].notes), *said),
        doubts=(*_some(_doubts([parts[k] for k in used])), *doubts),
        buffer=how.buffer,
    )


def _doubts(parts: Sequence[Part]) -> Iterator[str]:
    """What may be wrong with the numbers of all parts, or with those of the scenes that are named."""
    shared = Counter(doubt for part in parts for doubt in set(part.doubts))
    for part in parts:
        yield from (d if shared[d] == len(parts) else f"{part.names[0]}: {d}" for d in part.doubts)


def _some(sentences: Iterable[str]) -> list[str]:
    """Each once, and not all of them where every scene has its own."""
    told = list(dict.fromkeys(sentences))
    return told if len(told) <= _TOLD else [*told[:_TOLD], f"and {len(told) - _TOLD} more such sentences on scenes"]


def _check_bands(parts: Sequence[Part]) -> None:
    first = parts[0]
    for part in parts[1:]:
        if part.bands != first.bands:
            common = [b for b in first.bands if all(b in p.bands for p in parts)]
            raise GeoadaptError(
                part.names[0],
                f"holds bands {list(part.bands)}, but {first.names[0]} holds {list(first.bands)}",
                f"choose common ones: bands={common}" if common else "they have no band in common",
            )


def _days(frames: Sequence[tuple[np.datetime64, str, int, int]], duplicates: str) -> list[list[int]]:
    """Frames by day; raises GeoadaptError where a day has more than one and that is not wanted."""
    groups: list[list[int]] = []
    for n, frame in enumerate(frames):
        if groups and frames[groups[-1][0]][0].astype("datetime64[D]") == frame[0].astype("datetime64[D]"):
            groups[-1].append(n)
        else:
            groups.append([n])
    doubles = [g for g in groups if len(g) > 1]
    if doubles and duplicates == "error":
        one, other = (frames[n] for n in doubles[0][:2])
        raise GeoadaptError(
            one[1],
            f"and {other[1]} are both of {one[0].astype('datetime64[D]')} ({len(doubles)} days are double)",
            "say duplicates='first', or duplicates='mosaic' for neighbouring scenes",
        )
    return [g[:1] for g in groups] if duplicates == "first" else groups


def _check_gaps(times: NDArray[np.datetime64], most: float | None, where: str) -> None:
    """Raise GeoadaptError where two dates in a row lie more than ``most`` days apart; None = they may."""
    if most is None or len(times) < 2:
        return
    apart = np.diff(times) / np.timedelta64(1, "D")
    wide = np.flatnonzero(apart > most)
    if not wide.size:
        return
    told = [f"{times[i].astype('datetime64[D]')} and {times[i + 1].astype('datetime64[D]')}" for i in wide[:_TOLD]]
    more = f" and {wide.size - _TOLD} more" if wide.size > _TOLD else ""
    raise GeoadaptError(
        where,
        f"has no date between {'; '.join(told)}{more}: {apart.max():g} days at most, where {most:g} are allowed",
        "add the missing scenes, or say a larger max_gap",
    )


def _target(parts: Sequence[Part], how: Joining) -> tuple[GeoBox | None, tuple[int, int], list[str], list[str]]:
    """The series' grid, its size, how scenes come to it, and doubts about that."""
    placed = [p for p in parts if p.grid is not None]
    if not placed:
        sizes = {p.size for p in parts}
        if len(sizes) > 1 or how.grid != "first" or how.resolution is not None:
            raise GeoadaptError(parts[0].names[0], f"has no georeference; sizes are {sorted(sizes)}", "georeference it")
        return None, parts[0].size, [], ["scenes have no georeference: they are taken to lie on one grid"]
    if len(placed) < len(parts):
        lost = next(p for p in parts if p.grid is None)
        raise GeoadaptError(lost.names[0], "has no georeference, the other scenes have one", "georeference it")
    grids = [p.grid for p in placed if p.grid is not None]
    target = common_grid(grids, [p.names[0] for p in placed], how.grid, how.resolution)
    samplers = [Sampler(g, target, how.resampling) for g in grids]
    methods = Counter(s.method for s in samplers if s.method != "as they are")
    said = [f"{n} of {len(parts)} scenes are brought to the common grid by {how}" for how, n in methods.items()]
    outside = [p.names[0] for p, s in zip(placed, samplers, strict=True) if not s.touches]
    lost_dates = (
        f"{counted(len(outside), 'scene')} off the grid, so that the dates are missing: {', '.join(outside[:3])}"
    )
    return target, (target.height, target.width), said, [lost_dates] if outside else []
