"""The tables of a leaderboard: all capabilities at a glance, one with its data sets, one data set with its runs.

In: a chapter. Out: sortable tables, in the order of their scores.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

from geoadapt.leaderboard.page_chapter import UNKNOWN, Chapter
from geoadapt.leaderboard.page_runs_told import told_runs
from geoadapt.leaderboard.page_verdicts import in_short
from geoadapt.leaderboard.page_words import Named
from geoadapt.leaderboard.records import Direction
from geoadapt.leaderboard.table import Entry
from geoadapt.report.leaderboard_table import Cell, Column, Line, both, interval_text, missing, plain, sortable
from geoadapt.report.leaderboard_whisker import Scale, whisker
from geoadapt.report.numbers import Interval, number
from geoadapt.report.verdicts import MARKS, Verdict
from geoadapt.words import counted

__all__ = ["dataset_table", "entry_list", "group_anchor", "group_table", "overview", "row_anchor"]

SIMULATED = "simulated"
BESIDE = Column("beside its controls, and its runs", closed=True)
NO_RAW = "no metric in common"
COSTS = (
    Column("trainable", "min", about="Parameters that were trained, the median over its runs"),
    Column("seconds", "min", about="Of training [s], the median over its runs"),
    Column("Mpx/s", "max", about="Inference without loading [10⁶ px/s of a core or a GPU], the median over its runs"),
    Column("memory", "min", about="Peak memory [MiB], the median over its runs"),
)


@dataclass(frozen=True, slots=True)
class _Drawn:
    """What is drawn of a data set: one scale is the other, moved and stretched, so that one drawing does for both."""

    shown: Mapping[Entry, Interval]
    scale: Scale

    @classmethod
    def of(cls, normal: Mapping[Entry, Interval], raw: Mapping[Entry, Interval], sign: int) -> _Drawn:
        shown = normal
        if not any(math.isfinite(i.value) for i in normal.values()):
            shown = {e: Interval(-sign * i.value, -sign * i.low, -sign * i.high) for e, i in raw.items()}
        return cls(shown, Scale.around(shown.values()))


def overview(chapter: Chapter) -> Markup:
    """Every entry in every capability, in the order of the leading one."""
    groups = list(chapter.suite.groups)
    columns = [Column("entry")]
    for key in groups:
        group = chapter.suite.groups[key]
        mark = SIMULATED if chapter.simulated_in(group) else ""
        columns.append(
            Column(group.label, "max", _raw_best(chapter, key), group.about, sorted=key == chapter.leading, mark=mark)
        )
    order = sorted(groups, key=lambda key: key != chapter.leading)
    entries = list(dict.fromkeys(e for key in order for e in chapter.ordered(key)[: chapter.most]))
    lines = []
    for entry in entries:
        named = chapter.names[entry]
        lines.append(Line(named.regime, [_name(named), *(_glance(chapter, key, entry) for key in groups)]))
    caption = "Score in every capability, with its rank: 1 is the best run on a data set, 0 the worst."
    return sortable(caption, columns, lines, "All capabilities")


def group_table(chapter: Chapter, key: str) -> Markup:
    """One capability: rank, score and interval, every data set, what it cost, and the verdicts."""
    group = chapter.suite.groups[key]
    ordered = chapter.ordered(key)
    entries = ordered[: chapter.most]
    normal = {e: chapter.normal(key, e) for e in entries}
    raw = {e: chapter.raw(key, e) for e in entries}
    scales = Scale.around(normal.values()), Scale.around(raw.values())
    percent = round(100 * chapter.board.level)
    columns = [
        Column("entry"),
        Column("rank", "min", about=f"Among all entries, also hidden ones, and its {percent} % range"),
        Column("P(first)", "max", about="Probability of being first"),
        Column("score", "max", _raw_best(chapter, key), f"Interquartile mean, {percent} % interval", sorted=True),
        Column(_ends(*scales), closed=True, about="The intervals on one scale, its ends in the head"),
        BESIDE,
        *COSTS[:2],
        *(_dataset_column(chapter, name) for name in group.datasets),
        *COSTS[2:],
    ]  # fmt: skip
    lines = []
    for entry in entries:
        named = chapter.names[entry]
        costs = _costs(chapter, entry, group.datasets)
        cells = [
            _name(named),
            _rank(chapter, key, entry),
            _first(chapter, key, entry),
            _score(chapter, key, entry, normal[entry], raw[entry]),
            both(whisker(normal[entry], scales[0]), whisker(raw[entry], scales[1]), None, None),
            _beside(
                chapter.judge.in_group(key, entry),
                _where(named, chapter.why(entry, chapter.board.scores[key][entry].missing)),
                _alone(named, scored=math.isfinite(normal[entry].value)),
            ),
            *costs[:2],
            *(_on(chapter, name, entry) for name in group.datasets),
            *costs[2:],
        ]
        lines.append(Line(named.regime, cells, group_anchor(chapter, key, entry)))
    caption = f"{group.label}: {_count(len(entries), len(ordered))}, the best first."
    return sortable(caption, columns, lines, group.label)


def dataset_table(chapter: Chapter, name: str) -> Markup:
    """One data set: every entry with its interval, its runs, and how to make them again."""
    ordered = chapter.ordered_on(name)
    shown = ordered[: chapter.most]
    normal_of, raw_of = ({e: chapter.on(name, e)[side] for e in ordered} for side in (0, 1))
    sign = -1 if chapter.suite.datasets[name].direction == "max" else 1
    drawn = _Drawn.of(normal_of, raw_of, sign)
    metric, direction = chapter.suite.datasets[name].metric, chapter.suite.datasets[name].direction
    columns = [
        Column("entry"),
        Column("score", "max", direction, f"Interquartile mean of {metric} over the runs", sorted=True),
        Column(_ends(drawn.scale, Scale.around(raw_of.values()), sign), closed=True, about="The best is on the right"),
        BESIDE,
        Column(f"mean {metric}", direction, about="The plain mean over the runs, as reported"),
        Column("runs", "max"),
        Column("head"),
        *COSTS,
    ]
    lines = [_dataset_line(chapter, name, e, normal_of[e], raw_of[e], drawn) for e in shown]
    word = "Simulated data. " if name in chapter.simulated else ""
    best = "less is better" if direction == "min" else "more is better"
    caption = f"{word}{chapter.label(name)}: {_count(len(shown), len(ordered))}; {metric}, {best}."
    return sortable(caption, columns, lines, chapter.label(name))


def _count(shown: int, entries: int) -> str:
    return (
        f"the best {shown} of {entries} entries, all are in the CSV"
        if shown < entries
        else counted(shown, "entry", "entries")
    )


def group_anchor(chapter: Chapter, key: str, entry: Entry) -> str:
    """Where an entry stands in a capability."""
    return f"{chapter.names[entry].anchor}g{list(chapter.suite.groups).index(key)}"


def entry_list(chapter: Chapter) -> Markup:
    """Every entry, and where on the page its runs stand."""
    lines = []
    shown = {name: set(chapter.ordered_on(name)[: chapter.most]) for name in chapter.suite.datasets}
    for entry, named in chapter.names.items():
        links = Markup(", ").join(
            Markup('<a href="#{}">{}</a>').format(row_anchor(chapter, name, entry), chapter.label(name))
            for name in chapter.suite.datasets
            if entry in shown[name]
        )
        told = Markup('<li id="{}" data-regime="{}"><b>{}</b>: {}</li>')
        lines.append(told.format(named.anchor, named.regime, named.name, links))
    return Markup('<ul class="entries">{}</ul>').format(Markup("\n").join(lines))


def row_anchor(chapter: Chapter, name: str, entry: Entry) -> str:
    """Where an entry's runs on a data set stand."""
    return f"{chapter.names[entry].anchor}d{chapter.board.raw.datasets.index(name)}"


def _dataset_line(chapter: Chapter, name: str, entry: Entry, normal: Interval, raw: Interval, drawn: _Drawn) -> Line:
    named, runs = chapter.names[entry], chapter.cells[entry, name]
    found = chapter.board.datasets[name].get(entry)
    why = chapter.why(entry, [name])
    no_range = "all runs have one score, so there is no scale" if math.isfinite(raw.value) else why
    known = [run for run in runs if math.isfinite(run.value)]
    digits = chapter.decimals[name]
    cells = [
        _name(named),
        both(interval_text(normal, no_range), interval_text(raw, why, digits), normal.value, raw.value),
        Cell(whisker(drawn.shown[entry], drawn.scale)),
        _beside(
            chapter.judge.on_dataset(name, entry, known),
            told_runs(runs, chapter.shared),
            _alone(named, scored=bool(known)),
        ),
        plain(found.mean if found else None, why, digits),
        plain(len(known), why),
        Cell(Markup.escape(", ".join(dict.fromkeys(run.head for run in runs))), kind="t"),
        *_costs(chapter, entry, [name]),
    ]
    return Line(named.regime, cells, row_anchor(chapter, name, entry))


def _name(named: Named) -> Cell:
    return Cell(escape(named.name))


def _rank(chapter: Chapter, key: str, entry: Entry) -> Cell:
    score = chapter.board.scores[key][entry]
    if score.rank is None:
        return missing(chapter.why(entry, score.missing) or "it has no score")
    known = score.rank_low is not None and score.rank_high is not None
    ends = f" <small>{score.rank_low}\N{EN DASH}{score.rank_high}</small>" if known else ""
    return Cell(Markup(f"{score.rank}{ends}"), float(score.rank))


def _first(chapter: Chapter, key: str, entry: Entry) -> Cell:
    score = chapter.board.scores[key][entry]
    if score.first is None:
        return missing(chapter.why(entry, score.missing) or "one run tells no spread")
    return plain(score.first, digits=2)


def _score(chapter: Chapter, key: str, entry: Entry, normal: Interval, raw: Interval) -> Cell:
    score = chapter.board.scores[key][entry]
    why = chapter.why(entry, score.missing)
    no_raw = why or NO_RAW
    digits = chapter.digits(key)
    text = both(interval_text(normal, why), interval_text(raw, no_raw, digits), normal.value, raw.value)
    if not score.short:
        return text
    few = f"fewer than {chapter.suite.seeds} runs on {', '.join(map(chapter.label, score.short))}"
    mark = Markup('<abbr title="{}">*</abbr>').format(few)
    return Cell(text.html + mark, text.key, text.raw, text.kind)


def _glance(chapter: Chapter, key: str, entry: Entry) -> Cell:
    score = chapter.board.scores[key][entry]
    why = chapter.why(entry, score.missing)
    normal, raw = chapter.normal(key, entry), chapter.raw(key, entry)
    rank = Markup(f" <small>#{score.rank}</small>") if score.rank is not None else Markup("")
    digits = chapter.digits(key)
    sides = (_short(normal, why), _short(raw, why or NO_RAW, digits))
    texts = [side + (rank if math.isfinite(v.value) else "") for side, v in zip(sides, (normal, raw), strict=True)]
    return both(texts[0], texts[1], normal.value, raw.value)


def _short(value: Interval, why: str, digits: int = 3) -> Markup:
    return Markup.escape(number(value.value, digits)) if math.isfinite(value.value) else interval_text(UNKNOWN, why)


def _on(chapter: Chapter, name: str, entry: Entry) -> Cell:
    normal, raw = chapter.on(name, entry)
    if not math.isfinite(raw.value):
        return missing(chapter.why(entry, [name]))
    flat = "all runs have one score, so there is no scale"
    return both(_short(normal, flat), _short(raw, "", chapter.decimals[name]), normal.value, raw.value)


def _dataset_column(chapter: Chapter, name: str) -> Column:
    dataset = chapter.suite.datasets[name]
    mark = f"{dataset.metric}{', ' + SIMULATED if name in chapter.simulated else ''}"
    return Column(chapter.label(name), "max", dataset.direction, f"{dataset.task}: {dataset.metric}", mark=mark)


def _costs(chapter: Chapter, entry: Entry, names: Sequence[str]) -> tuple[Cell, ...]:
    fields = ("trainable", "seconds", "mpx_per_second", "memory_mb")
    trained, seconds, speed, memory = (chapter.cost(entry, what, names) for what in fields)
    return (
        plain(int(trained) if math.isfinite(trained) else None, "it has no run with a score"),
        plain(seconds, "nobody measured it", 1),
        plain(speed, "nobody measured it"),
        plain(memory, "nobody measured it"),
    )


def _beside(verdicts: Sequence[Verdict], more: Markup, alone: str) -> Cell:
    """The verdicts in short, and behind a click in full, with what else there is to say."""
    short = "; ".join(
        f"<span class={MARKS[key][1]}>{escape(words)}</span>" for key, words in in_short(verdicts).items()
    )
    items = "".join(f"<li>{escape(v.sentence())}</li>" for v in verdicts)
    listed = f"<ul>{items}</ul>" if items else ""
    return Cell(Markup(f"<details><summary>{short or escape(alone)}</summary>{listed}{more}</details>"), kind="fold")


def _alone(named: Named, *, scored: bool) -> str:
    if named.way == "none":
        return "a rule: others are held against it"
    return "no control to hold it against" if scored else "no score, so no verdict"


def _where(named: Named, why: str) -> Markup:
    """A link to an entry's runs, and why it has no score: in words, since a finger cannot rest on a dash."""
    missed = f"<p>{escape(why)}.</p>" if why else ""
    return Markup(f'{missed}<a href="#{escape(named.anchor)}">runs, commands, bundles</a>')


def _raw_best(chapter: Chapter, key: str) -> Direction:
    common = chapter.common_metric(key)
    return common[1] if common is not None else "max"


def _ends(normal: Scale, raw: Scale, sign: int = -1) -> Markup:
    """The ends of a drawing on both scales; with ``sign`` 1 less of the raw score is better, and its low end right."""
    ends = (raw.low, raw.high) if sign < 0 else (raw.high, raw.low)
    told = (
        f"{number(low, 2)} … {number(high, 2)}" if low < high or high < low else ""
        for low, high in ((normal.low, normal.high), ends)
    )
    return Markup('<span class="n">{}</span><span class="r">{}</span>').format(*told)
