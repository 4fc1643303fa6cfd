"""The records of a benchmark's folder while it runs: what is finished already, by whichever process.

In: records. Out: the file, and whether a run is in it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from geoadapt.errors import GeoadaptError
from geoadapt.leaderboard.records import BARRED, RunRecord, append, read

__all__ = ["Ledger"]

TOLD = ("missing", "failed", BARRED)


class Ledger:
    """Reads the file again only where it has grown."""

    def __init__(self, folder: Path) -> None:
        """``records.jsonl`` in ``folder``, which may not be there yet."""
        self.path = folder / "records.jsonl"
        self._size = -1
        self._known: dict[tuple[Any, ...], RunRecord] = {}
        self._left_out: tuple[str, ...] = ()

    def known(self) -> dict[tuple[Any, ...], RunRecord]:
        """The records that count, by identity."""
        size = self.path.stat().st_size if self.path.exists() else 0
        if size != self._size:
            found = read(self.path) if size else None
            self._known = {} if found is None else {run.identity: run for run in found.runs}
            self._left_out = () if found is None else found.left_out
            self._size = size
        return self._known

    def left_out(self) -> tuple[str, ...]:
        """Lines that are no record, and runs that were made again."""
        self.known()
        return self._left_out

    def finished(self, blank: RunRecord, config_hash: str) -> bool:
        """Whether the run that ``blank`` would be has a score, made with this configuration."""
        found = self.known().get(blank.identity)
        return found is not None and found.config_hash == config_hash and not math.isnan(found.value)

    def add(self, records: Sequence[RunRecord]) -> None:
        """Write finished runs, in one piece."""
        append(self.path, records)

    def note(self, blanks: Sequence[RunRecord]) -> None:
        """Write that runs have no score and why: of the first in any case, of others where an older score would stay.

        Nothing is written twice.
        """
        known = self.known()
        for place, blank in enumerate(blanks):
            found = known.get(blank.identity)
            stale = found is not None and not math.isnan(found.value)
            told = found is not None and all(found.extra.get(key) == blank.extra.get(key) for key in TOLD)
            if stale or (place == 0 and not told):
                append(self.path, [blank])

    def refuse_others(self, blanks: Sequence[RunRecord]) -> None:
        """Raise GeoadaptError where the file holds the same entry on the same data made in another way."""
        mine = {(b.board, b.dataset, b.backbone, b.adapter): b for b in blanks}
        for run in self.known().values():
            asked = mine.get((run.board, run.dataset, run.backbone, run.adapter))
            for name in ("head", "regime", "metric", "direction"):
                if asked is not None and getattr(asked, name) != getattr(run, name):
                    was, now = getattr(run, name), getattr(asked, name)
                    problem = f"holds {run.backbone} + {run.adapter} on {run.dataset} with {name} {was}, and now {now}"
                    raise GeoadaptError(self.path, problem, "choose another hydra.run.dir")
