"""What a benchmark found, as text: entries by data sets, means over the seeds.

In: records and the plan that made them. Out: lines of a table, the same however often the work was interrupted.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np

from geoadapt.leaderboard.records import RunRecord
from geoadapt.leaderboard.runs import FAILED, MISSING
from geoadapt.leaderboard.suite_config import Plan
from geoadapt.report.numbers import number
from geoadapt.words import counted

__all__ = ["lines"]

Cell = tuple[str, str]


def lines(plan: Plan, records: Iterable[RunRecord]) -> list[str]:
    """A row per entry and control, a column per data set: mean and standard deviation over the seeds of the plan.

    Closer looks at the same runs are left to the page.
    """
    found: dict[tuple[str, str], list[RunRecord]] = {}
    for record in records:
        if record.board == plan.suite.name and record.seed in plan.seeds:
            found.setdefault((f"{record.backbone} + {record.adapter}", record.dataset), []).append(record)
    rows = [*(entry.name for entry in plan.entries), *(f"{control.name} + none" for control in plan.controls)]
    own = {key: d for key, d in plan.suite.datasets.items() if not d.of}
    heads = [f"{key} ({d.metric} {'↑' if d.direction == 'max' else '↓'})" for key, d in own.items()]
    table = [["", *heads]]
    for row in dict.fromkeys(rows):
        cells = [_cell(found.get((row, key), [])) for key in own]
        table.append([row.removesuffix(" + none"), *cells])
    widths = [max(len(line[column]) for line in table) for column in range(len(table[0]))]
    text = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in table]
    return [*text, f"mean ± standard deviation over {counted(len(plan.seeds), 'seed')}"]


def _cell(runs: Sequence[RunRecord]) -> str:
    values = np.array([run.value for run in sorted(runs, key=lambda run: run.seed) if math.isfinite(run.value)])
    if not len(values):
        told = {key for run in runs for key in (MISSING, FAILED) if run.extra.get(key)}
        return FAILED if FAILED in told else MISSING if told else "–"
    spread = f" ± {number(float(values.std(ddof=1)))}" if len(values) > 1 else ""
    return f"{number(float(values.mean()))}{spread}"
