"""A leaderboard as CSV, one line per entry and group or data set, and as Markdown, one table per group.

In: chapters. Out: files beside the page. What is missing is empty, never a zero.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from geoadapt.io.atomic import write_text
from geoadapt.leaderboard.page_chapter import UNKNOWN, Chapter
from geoadapt.leaderboard.page_verdicts import in_short
from geoadapt.leaderboard.page_words import filter_words
from geoadapt.leaderboard.table import Entry
from geoadapt.report.numbers import NOTHING, Interval, number

__all__ = ["COLUMNS", "csv_text", "markdown_text", "write_tables"]

COLUMNS = (
    *("board", "kind", "name", "backbone", "adapter", "regime", "score", "low", "high", "rank", "rank_low"),
    *("rank_high", "first", "raw", "raw_low", "raw_high", "metric", "direction", "runs", "trainable", "seconds"),
    *("mpx_per_second", "memory_mb", "simulated", "missing", "verdict"),
)


def write_tables(chapters: Mapping[str, Chapter], page: Path) -> list[Path]:
    """``page`` with the suffixes .csv and .md."""
    return [
        write_text(page.with_suffix(".csv"), csv_text(chapters)),
        write_text(page.with_suffix(".md"), markdown_text(chapters)),
    ]


def csv_text(chapters: Mapping[str, Chapter]) -> str:
    """All boards in one file; numbers in full."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    for board, chapter in chapters.items():
        for row in (*_groups(chapter), *_datasets(chapter)):
            writer.writerow({"board": board, **{name: _told(value) for name, value in row.items()}})
    return text.getvalue()


def markdown_text(chapters: Mapping[str, Chapter]) -> str:
    """A heading and a table per capability: rank, score with its interval, every data set as reported."""
    parts = []
    for board, chapter in chapters.items():
        for key, group in chapter.suite.groups.items():
            simulated = chapter.simulated_in(group)
            parts.append(
                f"## {board}: {group.label}\n\n{group.about}\n" if group.about else f"## {board}: {group.label}\n"
            )
            if simulated:
                parts.append(f"Simulated data: {', '.join(simulated)}.\n")
            parts.append(_markdown(chapter, key))
    percent = round(100 * next(iter(chapters.values())).board.level)
    parts.append(f"Scores are normalised: 1 is the best run on a data set, 0 the worst. Intervals hold {percent} %.\n")
    return "\n".join(parts)


def _groups(chapter: Chapter) -> Iterator[dict[str, object]]:
    for key, group in chapter.suite.groups.items():
        common = chapter.common_metric(key) or ("", "")
        for entry in chapter.ordered(key):
            score = chapter.board.scores[key][entry]
            yield {
                **_common("group", key, entry),
                **_ends(chapter.normal(key, entry), chapter.raw(key, entry)),
                **{name: getattr(score, name) for name in ("rank", "rank_low", "rank_high", "first")},
                "metric": common[0],
                "direction": common[1],
                "runs": _runs(chapter, entry, group.datasets),
                **_costs(chapter, entry, list(group.datasets)),
                "simulated": " ".join(m for m in group.datasets if m in chapter.simulated),
                "missing": chapter.why(entry, score.missing),
                "verdict": "; ".join(in_short(chapter.judge.in_group(key, entry)).values()),
            }


def _runs(chapter: Chapter, entry: Entry, datasets: Iterable[str]) -> int:
    """Runs behind a group's scores: several looks at the same runs count once."""
    looked = {chapter.suite.datasets[name].of or name: name for name in datasets}
    return sum(math.isfinite(run.value) for name in looked.values() for run in chapter.cells.get((entry, name), ()))


def _datasets(chapter: Chapter) -> Iterator[dict[str, object]]:
    for name, dataset in chapter.suite.datasets.items():
        for entry in chapter.names:
            if (entry, name) not in chapter.cells:
                continue
            normal, raw = chapter.on(name, entry)
            known = [run for run in chapter.cells[entry, name] if math.isfinite(run.value)]
            yield {
                **_common("dataset", name, entry),
                **_ends(normal, raw),
                "metric": dataset.metric,
                "direction": dataset.direction,
                "runs": len(known),
                **_costs(chapter, entry, [name]),
                "simulated": name if name in chapter.simulated else "",
                "missing": "" if known else chapter.why(entry, [name]),
                "verdict": "; ".join(in_short(chapter.judge.on_dataset(name, entry, known)).values()) if known else "",
            }


def _common(kind: str, name: str, entry: Entry) -> dict[str, object]:
    return {"kind": kind, "name": name, **dict(zip(("backbone", "adapter", "regime"), entry, strict=True))}


def _ends(normal: Interval, raw: Interval) -> dict[str, object]:
    return {
        **{"score": normal.value, "low": normal.low, "high": normal.high},
        **{"raw": raw.value, "raw_low": raw.low, "raw_high": raw.high},
    }


def _costs(chapter: Chapter, entry: Entry, names: list[str]) -> dict[str, object]:
    return {what: chapter.cost(entry, what, names) for what in ("trainable", "seconds", "mpx_per_second", "memory_mb")}


def _told(value: object) -> object:
    """Empty for what is unknown."""
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return ""
    return f"{value + 0.0:.9g}" if isinstance(value, float) else value


def _markdown(chapter: Chapter, key: str) -> str:
    members = chapter.suite.groups[key].datasets
    heads = [f"{chapter.label(m)} ({chapter.suite.datasets[m].metric})" for m in members]
    lines = [
        _row(["rank", "entry", "training", "score", *heads]),
        _row(["---:", "---", "---", *["---:"] * (1 + len(heads))]),
    ]
    for entry in chapter.ordered(key):
        named, score = chapter.names[entry], chapter.board.scores[key][entry]
        values = [chapter.on(m, entry)[1] if (entry, m) in chapter.cells else UNKNOWN for m in members]
        rank = NOTHING if score.rank is None else str(score.rank)
        if score.rank_low is not None:
            rank += f" ({score.rank_low}\N{EN DASH}{score.rank_high})"
        cells = [rank, named.name, filter_words(named.way, entry[1]), _interval(chapter.normal(key, entry))]
        lines.append(
            _row([*cells, *(number(v.value, chapter.decimals[m]) for m, v in zip(members, values, strict=True))])
        )
    return "\n".join(lines) + "\n"


def _interval(shown: Interval) -> str:
    ends = f" ({number(shown.low)} … {number(shown.high)})" if math.isfinite(shown.low) else ""
    return number(shown.value) + ends


def _row(cells: list[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
