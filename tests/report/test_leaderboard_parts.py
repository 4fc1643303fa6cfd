"""Parts of a leaderboard: drawn intervals, sortable tables, filters, and scores against cost."""

from __future__ import annotations

import math
import re

import pytest

from geoadapt.report.leaderboard_cost import SHAPES, CostPoint, cost_chart, cost_ticks, cost_words, front, marks
from geoadapt.report.leaderboard_filter import Choice, filter_bar, filter_style
from geoadapt.report.leaderboard_table import Cell, Column, Line, both, interval_text, missing, plain, sortable
from geoadapt.report.leaderboard_whisker import Scale, whisker
from geoadapt.report.numbers import Interval
from tests.report.test_page import NASTY, Reader

NOTHING = Interval(math.nan, math.nan, math.nan)


def ends(drawn: str) -> list[float]:
    return [float(v) for v in re.findall(r"[MH]([\d.]+)", drawn)]


def test_an_interval_is_drawn_where_its_numbers_lie() -> None:
    scale = Scale(0.0, 1.0)
    low, high, value = ends(whisker(Interval(0.5, 0.25, 0.75), scale))
    assert (low + high) / 2 == pytest.approx(value, abs=0.2)
    assert (high - low) == pytest.approx(scale.place(0.75) - scale.place(0.25), abs=0.2)
    assert ends(whisker(Interval(0.5, -9, 9), scale))[:2] == [scale.place(0), scale.place(1)]
    assert ends(whisker(Interval(0.5, math.nan, math.nan), scale)) == [value]
    assert whisker(NOTHING, scale) == ""


def test_a_scale_holds_all_values_and_is_none_without_any() -> None:
    scale = Scale.around([Interval(3, 0, 9), Interval(5, 5, 5), NOTHING])
    assert scale.low < 3 and scale.high > 5 and scale.low > 0
    assert Scale.around([Interval(2, 2, 2)]).low < 2 < Scale.around([Interval(2, 2, 2)]).high
    assert math.isnan(Scale.around([NOTHING]).low)


def test_a_table_carries_its_keys_and_escapes_its_words() -> None:
    columns = [Column(NASTY), Column("score", "max", "min", NASTY, sorted=True), Column("drawn", closed=True)]
    cells = [
        Cell(both("a", "b", 1, 2).html),
        both(interval_text(Interval(0.5, 0.4, 0.6)), missing(NASTY).html, 0.5, math.nan),
    ]
    html = sortable(NASTY, columns, [Line("peft-lora", [*cells, plain(None, NASTY)], "e1")])
    assert "<script>" not in html and not Reader(html).open
    assert '<tr data-regime="peft-lora" id="e1">' in html and " data-v=0.5 data-r>" in html
    assert 'data-best="max" data-raw-best="min" aria-sort="descending"' in html
    assert html.count("data-best=") == 2, "a closed column has nothing to sort by"
    assert "0.500 <small>0.400 … 0.600</small>" in html


def test_one_run_is_said_to_be_one_and_nothing_is_a_dash() -> None:
    assert "one run" in interval_text(Interval(0.5, math.nan, math.nan))
    assert interval_text(NOTHING, "it failed") == '<abbr title="it failed">–</abbr>'


def test_a_filter_has_a_box_and_a_rule_per_way_and_takes_no_odd_keys() -> None:
    choices = {"frozen": Choice("frozen", 3), "peft-lora": Choice(NASTY, 2)}
    bar, style = filter_bar(choices), filter_style(choices)
    assert bar.count('type="checkbox"') == 2 and "<script>" not in bar and 'id="show-peft-lora" checked' in bar
    assert '.filters:has(#show-frozen:not(:checked)) ~ main [data-regime="frozen"] { display: none; }' in style
    assert "body" not in style, "a browser looks through all of a body again for every folded row that it prints"
    with pytest.raises(ValueError, match="no key"):
        filter_style({"a}b": Choice("x", 1)})


def test_ticks_of_costs_are_three_at_least_within_a_decade_too() -> None:
    assert cost_ticks(0.0, 6.0) == [10.0**power for power in range(7)]
    within = cost_ticks(math.log10(11), math.log10(37))
    assert len(within) >= 2 and all(11 <= tick <= 37 for tick in within)


def point(name: str, score: float, cost: float, regime: str = "full") -> CostPoint:
    return CostPoint(name, regime, Interval(score, score - 0.01, score + 0.01), cost, f"at-{name}")


def test_the_front_is_what_nothing_cheaper_reaches() -> None:
    points = [point("dear", 0.8, 900), point("free", 0.2, 0), point("good", 0.8, 100), point("bad", 0.1, 50)]
    assert [p.name for p in front(points)] == ["free", "good"]


def test_a_cost_chart_places_links_and_names_its_points() -> None:
    points = [
        point("free", 0.2, 0, "none"),
        point("cheap", 0.5, 1e3),
        point("dear", 0.9, 1e6),
        point("unknown", 0.7, math.nan),
    ]
    html = cost_chart(points, marks({"none": "rules", "full": "full"}), "parameters", "score", "Cost.")
    x = {
        name: float(re.search(rf'href="#at-{name}".*?<path d="M([\d.]+) [\d.]+m', html)[1])
        for name in ("free", "cheap", "dear")
    }  # type: ignore[index]
    assert x["free"] < x["cheap"] < x["dear"]
    assert "<title>dear: 0.900 (0.890 … 0.910), 1 M</title>" in html
    assert "1 without it or without a score are left out" in html and "at-unknown" not in html
    assert html.count("<text data-regime") == 3 and not Reader(html).open


def test_a_chart_without_a_point_says_so_and_one_point_is_a_chart() -> None:
    styles = marks({"full": "full"})
    assert "nothing is known" in cost_chart([point("a", math.nan, 3)], styles, "seconds", "score", "Cost.")
    assert "at-a" in cost_chart([point("a", 0.5, 3)], styles, "seconds", "score", "Cost.")


def test_costs_in_words_and_marks_that_differ() -> None:
    assert [cost_words(v) for v in (0, 8.5, 12_000, 3.4e6, 2e9)] == ["0", "8.5", "12 k", "3.4 M", "2 G"]
    made = marks({key: key for key in "abcdefg"})
    assert len({(m.colour, m.shape) for m in made.values()}) == 7 and set(m.shape for m in made.values()) == set(SHAPES)
