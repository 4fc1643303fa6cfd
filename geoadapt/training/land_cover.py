"""Scores by land cover, where a data set tells it: which scenes or samples belong together, and a table of them.

In: a word or None for each scene or sample of a test. Out: ``land_cover_forest`` and the like, as it ends the keys of
``metrics.json`` (``WHO/miou/land_cover_forest``, ``WHO/mae/land_cover_forest``), and parts of a page.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from geoadapt.report.tables import Cell, table

__all__ = ["LAND_COVER", "land_cover_parts", "land_covers"]

LAND_COVER = "land_cover_"
"""How the name of a metric by land cover begins."""
NOTE = "Compare entries within a column: from one column to the next the clouds differ too, and not the ground alone."


def land_covers(told: Sequence[str | None]) -> dict[str, list[int]]:
    """Name of a metric by land cover, in alphabetical order, to where it is told; empty where it is told nowhere."""
    found: dict[str, list[int]] = {}
    for n, words in enumerate(told):
        # a slash would be read as another part of the metric's key
        if name := re.sub(r"[^a-z0-9]+", "_", (words or "").lower()).strip("_"):
            found.setdefault(f"{LAND_COVER}{name}", []).append(n)
    return dict(sorted(found.items()))


def land_cover_parts(
    metrics: Mapping[str, float], names: Mapping[str, str], metric: str, count: str, caption: str, scale: float = 1
) -> list[str]:
    """A table of ``WHO/metric`` by land cover, a row for each of ``names``; nothing where the metrics tell none.

    ``count`` is the metric that says of how many each is, such as ``test/scenes``; values are shown ``scale`` times.
    """
    start = f"{count}/{LAND_COVER}"
    found = sorted(key.removeprefix(f"{count}/") for key in metrics if key.startswith(start))
    if not found:
        return []
    rows: list[list[Cell]] = []
    for who, shown in names.items():
        values = (metrics.get(f"{who}/{metric}/{name}") for name in found)
        rows.append([shown, *(None if value is None else scale * value for value in values)])
    heads = [f"{_words(name)} ({int(metrics[f'{count}/{name}'])})" for name in found]
    return [table(["", *heads], rows, caption, own=0), NOTE]


def _words(name: str) -> str:
    return name.removeprefix(LAND_COVER).replace("_", " ")
