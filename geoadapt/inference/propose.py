"""Which tiles are most worth labelling next: the most doubtful ones of all scenes, spread out.

In: per scene a CSV of tile scores, written while it was run. Out: ``propose.json`` and ``propose.geojson`` in the
output folder, the same tiles in both.
"""

from __future__ import annotations

import csv
import heapq
import io
import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rasterio
from affine import Affine
from rasterio.crs import CRS
from shapely.geometry import mapping

from geoadapt.errors import GeoadaptError
from geoadapt.inference.doubt import TileScore
from geoadapt.io.atomic import write_text
from geoadapt.io.gdal import quiet
from geoadapt.io.stac_write import footprint

if TYPE_CHECKING:
    from geoadapt.inference.predict import ItemResult

__all__ = ["Proposal", "Proposed", "propose", "read_scores", "write_scores"]

METHOD = (
    "score = mean of 1 − the largest probability over the tile's pixels + mean instability (how far apart the "
    "probabilities of overlapping tiles are) where it is known; neighbours of a chosen tile come when no other whole "
    "tile is left, and tiles that are mostly nodata or cut off come last"
)
_NEIGHBOURS = 8
_NEAR = 1e-6
"""Points of an outline that lie this close to the line between others are left out [degrees], about a decimetre."""
_FULL = 0.5
"""Share of the largest tile's pixels that must have a prediction for a tile to be ranked before the cut ones."""


@dataclass(frozen=True, slots=True)
class Proposal:
    """One tile: pixels of the scene's outputs, how doubtful it is, and why it is named."""

    rank: int
    scene: str
    source: str
    row: int
    col: int
    height: int
    width: int
    score: float
    doubt: float
    instability: float | None
    """None where no pixel lies in more than one tile."""
    why: str

    def line(self) -> str:
        """One line for people."""
        place = f"row {self.row}, column {self.col}, {self.height} × {self.width} px"
        return f"{self.rank:>3}  {self.scene}  {place}  score {self.score:.3f}: {self.why}"


@dataclass(frozen=True, slots=True)
class Proposed:
    """The tiles, best first, and the scenes that could not be asked, with the reason."""

    tiles: tuple[Proposal, ...]
    missing: dict[str, str]


@dataclass(frozen=True, slots=True)
class _Candidate:
    scene: int
    tile: TileScore
    whole: bool
    why: str

    @property
    def order(self) -> tuple[bool, float]:
        return self.whole, self.tile.score

    def touches(self, other: _Candidate) -> bool:
        a, b = self.tile, other.tile
        return (
            self.scene == other.scene
            and a.row <= b.row + b.height
            and b.row <= a.row + a.height
            and a.col <= b.col + b.width
            and b.col <= a.col + a.width
        )


def propose(results: Sequence[ItemResult], output: Path, count: int) -> Proposed:
    """Name the ``count`` most doubtful tiles of the scenes, as ``predict(…, tile_scores=True)`` left them."""
    candidates: list[_Candidate] = []
    missing: dict[str, str] = {}
    for index, result in enumerate(results):
        try:
            scores = read_scores(_scores_of(result))
        except GeoadaptError as error:
            missing[result.name] = f"{error.problem}; {error.hint}"
            continue
        # Each chosen tile rules out its neighbours: of one scene no more than these can be needed.
        most = count * (_NEIGHBOURS + 1)
        candidates += heapq.nlargest(most, _candidates(index, scores), key=lambda c: c.order)
    chosen = _spread(sorted(candidates, key=lambda c: c.order, reverse=True), count)
    tiles = tuple(_proposal(rank, c, results[c.scene]) for rank, c in enumerate(chosen, 1))
    _write(Proposed(tiles, missing), [results[c.scene] for c in chosen], output, count)
    return Proposed(tiles, missing)


def write_scores(path: Path, scores: Sequence[TileScore]) -> Path:
    """Write one line per tile, whole or not at all; what is unknown stays empty."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(f.name for f in fields(TileScore))
    for score in scores:
        cells = asdict(score).values()
        table.writerow("" if math.isnan(cell) else f"{cell:.7g}" for cell in cells)
    return write_text(path, text.getvalue())


def read_scores(path: Path) -> list[TileScore]:
    """The tiles that ``write_scores`` wrote; raises GeoadaptError for anything else."""
    names = [f.name for f in fields(TileScore)]
    try:
        with path.open(encoding="utf-8", newline="") as file:
            table = csv.reader(file)
            if next(table, None) != names:
                raise ValueError("the columns are others")
            return [_parsed(row) for row in table]
    except (OSError, ValueError) as error:
        raise GeoadaptError(
            path, f"holds no tile scores ({error})", "run the scene again, infer.overwrite=true"
        ) from error


def _parsed(row: list[str]) -> TileScore:
    place, shares = row[:4], row[4:]
    valid, known, doubt, instability = (math.nan if cell == "" else float(cell) for cell in shares)
    top, left, height, width = map(int, place)
    return TileScore(top, left, height, width, valid, known, doubt, instability)


def _scores_of(result: ItemResult) -> Path:
    if result.status == "failed":
        raise GeoadaptError(result.name, "failed", "see its error")
    if "tiles" not in result.files:
        raise GeoadaptError(result.name, "was run without tile scores", "run it again with --propose")
    return result.files["tiles"]


def _candidates(scene: int, scores: Sequence[TileScore]) -> Iterator[_Candidate]:
    """The tiles that have a prediction."""
    largest = max((s.height * s.width for s in scores), default=0)
    seen = [s for s in scores if s.valid > 0]
    sure = 1 - _mean([s.doubt for s in seen], [s.valid * s.height * s.width for s in seen])
    both = [s for s in seen if s.known > 0]
    apart = _mean([s.instability for s in both], [s.known * s.valid * s.height * s.width for s in both])
    for score in seen:
        whole = score.valid * score.height * score.width >= _FULL * largest
        yield _Candidate(scene, score, whole, _why(score, sure, apart))


def _mean(values: Sequence[float], weights: Sequence[float]) -> float:
    total = sum(weights)
    return sum(v * w for v, w in zip(values, weights, strict=True)) / total if total else math.nan


def _why(score: TileScore, sure: float, apart: float) -> str:
    said = f"the most probable class has {1 - score.doubt:.2f} on average ({sure:.2f} in the whole scene)"
    if not score.known:
        return f"{said}, and no pixel lies in two tiles"
    return f"{said}, and overlapping tiles differ by {score.instability:.3f} ({apart:.3f})"


def _spread(ranked: Sequence[_Candidate], count: int) -> list[_Candidate]:
    """The first ``count`` that do not touch one another, then the first of those left; whole tiles before others."""
    chosen: list[_Candidate] = []
    for whole in (True, False):
        left: list[_Candidate] = []
        for candidate in (c for c in ranked if c.whole is whole):
            if len(chosen) == count:
                return chosen
            (left if any(candidate.touches(other) for other in chosen) else chosen).append(candidate)
        chosen += left[: count - len(chosen)]
    return chosen


def _proposal(rank: int, candidate: _Candidate, result: ItemResult) -> Proposal:
    tile = candidate.tile
    return Proposal(
        rank,
        result.name,
        result.source,
        tile.row,
        tile.col,
        tile.height,
        tile.width,
        round(tile.score, 6),
        round(tile.doubt, 6),
        round(tile.instability, 6) if tile.known else None,
        candidate.why,
    )


def _write(proposed: Proposed, results: Sequence[ItemResult], output: Path, count: int) -> None:
    plain = {
        "asked": count,
        "method": METHOD,
        "tiles": [asdict(tile) for tile in proposed.tiles],
        "missing": proposed.missing,
    }
    write_text(output / "propose.json", json.dumps(plain, indent=2, ensure_ascii=False) + "\n")
    features = [_feature(tile, result) for tile, result in zip(proposed.tiles, results, strict=True)]
    shapes = {"type": "FeatureCollection", "features": features}
    write_text(output / "propose.geojson", json.dumps(shapes, indent=1, ensure_ascii=False) + "\n")


def _feature(tile: Proposal, result: ItemResult) -> dict[str, Any]:
    """The tile's outline in longitude and latitude; a null geometry where the scene has no place."""
    crs, transform = _place(result.files["labels"])
    if transform is not None:
        transform = transform @ Affine.translation(tile.col, tile.row)
    area = footprint(tile.height, tile.width, crs, transform)
    outline = None if area is None else mapping(area.simplify(_NEAR))
    return {"type": "Feature", "geometry": outline, "properties": asdict(tile)}


def _place(labels: Path) -> tuple[CRS | None, Affine | None]:
    with quiet(), rasterio.open(labels) as file:
        placed = file.crs is not None and not file.transform.is_identity
        return (file.crs, file.transform) if placed else (None, None)
