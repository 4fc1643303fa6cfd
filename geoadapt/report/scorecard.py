"""The scorecard: how much better or worse than a baseline, by variable, level and lead time.

In: flat metrics. Out: a table whose cells say the difference in percent, with a colour, and a mark where it is sure.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from markupsafe import Markup

from geoadapt.cubes.variables import split_channel
from geoadapt.report.numbers import metric_interval, number, signed
from geoadapt.report.wording import capital, channel_words, lead_key, lead_words

__all__ = ["Change", "ScoreRow", "change", "channel_rows", "control_rows", "scorecard"]

PERCENT = 100
LIMIT = 50
"""Where the colours end [%]: the same on every card, so that cards can be held beside each other."""
MARKS = (-50, -20, -5, -1, 1, 5, 20, 50)
"""Differences in the key [%]."""
SURE = "\N{BLACK CIRCLE}"
MISSING = "\N{EN DASH}"


@dataclass(frozen=True, slots=True)
class Change:
    """The model's score against the baseline's [%], below zero where the model's is smaller."""

    percent: float
    low: float = math.nan
    high: float = math.nan
    note: str = ""
    """Small print under it: one of the two scores."""

    @property
    def sure(self) -> bool:
        """Whether the whole interval lies on one side of zero; without an interval nothing is sure."""
        return self.low > 0 or self.high < 0


@dataclass(frozen=True, slots=True)
class ScoreRow:
    """One line of the card: the variable, what tells it from others of that variable, and a cell per lead."""

    variable: str
    level: str
    cells: tuple[Change, ...]


def change(metrics: Mapping[str, float], baseline: str, key: str, noted: str = "test") -> Change:
    """The model's RMSE against a baseline's from flat metrics, ``key`` being ``CHANNEL/LEADh`` or longer.

    The interval is that of the paired difference ``BASELINE/rmse_gain…``, in percent of the baseline's RMSE; the RMSE
    of ``noted`` stands under it.
    """
    own = metrics.get(f"test/rmse/{key}", math.nan)
    other = metrics.get(f"{baseline}/rmse/{key}", math.nan)
    if not (math.isfinite(own) and math.isfinite(other) and other > 0):
        return Change(math.nan)
    gain = metric_interval(metrics, baseline, f"rmse_gain/{key}")
    low, high = (-PERCENT * end / other for end in (gain.high, gain.low))
    return Change(PERCENT * (own - other) / other, low, high, number(metrics.get(f"{noted}/rmse/{key}")))


def channel_rows(
    metrics: Mapping[str, float], baseline: str, channels: Sequence[str], leads: Sequence[float], place: str = ""
) -> list[ScoreRow]:
    """One row per channel, variable by variable as the channels first name them; ``place`` is a region or event."""
    order = list(dict.fromkeys(split_channel(name)[0] for name in channels))
    tail = f"/{place}" if place else ""
    rows = []
    for name in sorted(channels, key=lambda c: order.index(split_channel(c)[0])):
        variable, level = split_channel(name)
        cells = tuple(change(metrics, baseline, f"{name}/{lead_key(lead)}{tail}") for lead in leads)
        rows.append(ScoreRow(capital(channel_words(variable)), "" if level is None else f"{level:g} hPa", cells))
    return rows


def control_rows(
    metrics: Mapping[str, float], controls: Mapping[str, str], channel: str, leads: Sequence[float]
) -> list[ScoreRow]:
    """One channel against every control, a row each, with the control's RMSE under it."""
    return [
        ScoreRow(name, "", tuple(change(metrics, who, f"{channel}/{lead_key(lead)}", who) for lead in leads))
        for who, name in controls.items()
    ]


def scorecard(rows: Sequence[ScoreRow], leads: Sequence[float], caption: str, level: int = 90) -> Markup:
    """Rows × lead times [h] as a table: percent in words, colour and sign; a dot where it is sure."""
    if not any(math.isfinite(cell.percent) for row in rows for cell in row.cells):
        return Markup('<p class="note">{}: no numbers.</p>').format(caption)
    head = Markup("").join(Markup('<th scope="col">{}</th>').format(capital(lead_words(lead))) for lead in leads)
    groups = [list(group) for _, group in groupby(rows, key=lambda row: row.variable)]
    body = Markup("\n").join(Markup("<tbody>\n{}\n</tbody>").format(_group(group)) for group in groups)
    return Markup(
        '<div class="scroll" role="region" aria-label="{0}" tabindex="0"><table class="scorecard">\n'
        "<caption>{0}</caption>\n"
        '<thead><tr><td colspan="2"></td>{1}</tr></thead>\n{2}</table></div>{3}'
    ).format(caption, head, body, _key(level))


def _group(rows: Sequence[ScoreRow]) -> Markup:
    alone = not any(row.level for row in rows)
    wide = Markup(' colspan="2"') if alone else Markup("")
    first = Markup('<th scope="rowgroup" rowspan="{}"{}>{}</th>').format(len(rows), wide, rows[0].variable)
    lines = []
    for index, row in enumerate(rows):
        cells = Markup("").join(_cell(cell) for cell in row.cells)
        begin = first if index == 0 else Markup("")
        level = Markup("") if alone else Markup('<th scope="row">{}</th>').format(row.level)
        lines.append(Markup("<tr>{}{}{}</tr>").format(begin, level, cells))
    return Markup("\n").join(lines)


def _cell(cell: Change) -> Markup:
    if not math.isfinite(cell.percent):
        return Markup('<td class="unknown">{}</td>').format(MISSING)
    mark = Markup('<b aria-hidden="true">{}</b><span class="unseen"> sure</span>').format(SURE) if cell.sure else ""
    note = Markup("<small>{}</small>").format(cell.note) if cell.note else ""
    shown = round(cell.percent, 1) + 0.0  # no minus before a zero
    return Markup("<td{}>{} %{}{}</td>").format(_shade(cell.percent), signed(shown, 1), mark, note)


def _shade(percent: float) -> Markup:
    """Class and strength of a colour; by the root, so that small differences are seen beside large ones."""
    side = "lower" if percent < 0 else "higher"
    share = min(1.0, abs(percent) / LIMIT) ** 0.5
    return Markup(' class="{}" style="--share: {}"').format(side, f"{share:.3f}")


def _key(level: int) -> Markup:
    squares = Markup("").join(Markup("<span{}>{} %</span>").format(_shade(v), signed(v, 0)) for v in MARKS)
    return Markup('<p class="key"><span>better</span>{}<span>worse</span><span>{}</span></p>').format(
        squares, f"{SURE} the paired {level} % interval excludes zero"
    )
