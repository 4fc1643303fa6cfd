"""The page: one file that needs nothing else, says what the numbers say, and escapes what it is given."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from geoadapt.cubes.classes import CLOUD_CLASSES
from geoadapt.report.charts import Series, curves, intervals, series
from geoadapt.report.numbers import Interval, number, signed
from geoadapt.report.page import Page
from geoadapt.report.pictures import MapRow, Panel, legend, maps, picture
from geoadapt.report.provenance import provenance
from geoadapt.report.tables import confusion, table
from geoadapt.report.verdicts import Verdict, verdict

NASTY = "<script>alert('x')</script> & \"quotes\""
VOID = {"meta", "img", "br", "hr", "path", "use", "rect", "circle", "line", "link", "source", "input"}


class Reader(HTMLParser):
    """Collects tags with their attributes, and notices tags that are left open."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open and self.open.pop() == tag, f"</{tag}> closes something else"

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attrs for name, attrs in self.tags if name == tag]


def _photo() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 255, (40, 60, 3)).astype(np.uint8)


@pytest.fixture(scope="module")
def html() -> str:
    page = Page(NASTY, NASTY)
    page.add("Verdict", NASTY, verdict([Verdict(NASTY, NASTY, 0.1, 0.05, 0.2)]))
    page.add(
        NASTY,
        table([NASTY, "n"], [(NASTY, Interval(0.5, 0.4, 0.6)), ("b", None)], NASTY, own=0),
        confusion(np.eye(4) * 7, [NASTY, "b", "c", "d"]),
        intervals([(NASTY, 0.5, 0.4, 0.6), ("none", float("nan"), float("nan"), float("nan"))], NASTY),
    )
    page.add("Verdict", curves([Series(NASTY, (0, 1, 2), (3.0, 2.0, 1.0))], NASTY, NASTY, NASTY))
    row = MapRow(NASTY, NASTY, (Panel(NASTY, _photo(), photo=True), Panel("label", _photo())))
    page.add("Maps", maps([row], CLOUD_CLASSES), picture(_photo(), NASTY, NASTY))
    page.add("Again", provenance(f"geoadapt train '{NASTY}'", {NASTY: {"a": NASTY}}, {NASTY: NASTY}, [NASTY]))
    return page.html()


def test_nothing_is_loaded_from_outside(html: str) -> None:
    for tag, attrs in Reader(html).tags:
        assert tag not in {"script", "link", "iframe", "object", "base"}, f"<{tag}> on the page"
        for key in ("src", "href", "xlink:href", "data", "srcset"):
            value = attrs.get(key)
            assert value is None or value.startswith(("data:", "#")), f"{tag} {key}={value[:60]}"
    assert not re.search(r"url\((?!#)|@import", html), "the style loads something"
    assert "default-src 'none'" in html


def test_whatever_is_given_is_escaped_everywhere(html: str) -> None:
    assert "<script" not in html.lower()
    assert html.count("&lt;script&gt;") > 15


def test_tags_close_in_order_and_ids_are_unique(html: str) -> None:
    reader = Reader(html)
    assert not reader.open
    ids = [attrs["id"] for _, attrs in reader.tags if "id" in attrs]
    assert len(ids) == len(set(ids)), "two headings of the same name need two anchors"
    anchors = {f"#{i}" for i in ids}
    assert {str(a["href"]) for a in reader.all("a")} <= anchors


def test_pictures_charts_and_tables_can_be_heard(html: str) -> None:
    reader = Reader(html)
    assert reader.all("html")[0]["lang"] == "en"
    assert all(attrs.get("alt") for attrs in reader.all("img")) and len(reader.all("img")) == 3
    assert all(attrs.get("aria-label") and attrs.get("role") == "img" for attrs in reader.all("svg"))
    assert all(attrs.get("scope") in {"row", "col"} for attrs in reader.all("th"))
    assert len(reader.all("caption")) == len(reader.all("table")) == 2
    assert "width=device-width" in html and "prefers-color-scheme: dark" in html and "@media print" in html


def test_the_page_is_written_whole(tmp_path: Path) -> None:
    page = Page("Ünïcode", "")
    page.add("One", "text")
    path = page.write(tmp_path / "report.html")
    assert path.read_text(encoding="utf-8") == page.html()
    assert [p.name for p in tmp_path.iterdir()] == ["report.html"]


@pytest.mark.parametrize(
    ("low", "high", "begin"),
    [(0.01, 0.052, "Better than"), (-0.01, 0.052, "Not better than"), (-0.05, -0.01, "Worse than")],
)
def test_the_verdict_follows_from_the_interval_alone(low: float, high: float, begin: str) -> None:
    found = Verdict("the U-Net from scratch", "cloud IoU", 0.031, low, high)
    assert found.sentence().startswith(f"{begin} the U-Net from scratch: cloud IoU +0.031 (90 % interval ")
    assert found.sentence() in str(verdict([found]))


def test_the_verdict_prints_its_interval_with_signs() -> None:
    sentence = Verdict("the rule", "cloud IoU", 0.031, -0.01, 0.052).sentence()
    assert sentence == "Not better than the rule: cloud IoU +0.031 (90 % interval −0.010 … +0.052)."


def test_where_lower_is_better_the_verdict_turns() -> None:
    assert Verdict("persistence", "RMSE", -1.0, -2.0, -0.5, lower_is_better=True).outcome == "better"
    assert Verdict("persistence", "RMSE", 1.0, 0.5, 2.0, lower_is_better=True).outcome == "worse"


def test_an_interval_that_touches_zero_claims_nothing() -> None:
    assert Verdict("a", "b", 0.1, 0.0, 0.2).outcome == "even"
    assert Verdict("a", "b", -0.1, -0.2, 0.0).outcome == "even"


def test_without_an_interval_or_a_control_nothing_is_claimed() -> None:
    assert Verdict("the rule", "IoU", 0.1, float("nan"), 0.2).sentence().startswith("No verdict against the rule")
    assert "nothing can be claimed" in verdict([])


def test_confusion_shows_shares_of_the_row_and_survives_an_empty_one() -> None:
    text = str(confusion(np.array([[3, 1], [0, 0]]), ["a", "b"]))
    assert "75.0 %<small>3</small>" in text and "25.0 %<small>1</small>" in text
    assert text.count("0.0 %<small>0</small>") == 2


def test_numbers_stand_right_and_words_left() -> None:
    text = str(table(["who", "score", "what"], [("a", 0.5, "x"), ("b", None, "y")], "c"))
    assert '<th scope="col" class="number">score' in text and '<td class="number">0.500' in text
    assert "<td>x</td>" in text and '<td class="number">–</td>' in text


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.84, "0.840"), (84.0, "84.00"), (1234567, "1,234,567"), (-0.5, "−0.500"), (None, "–"), (float("nan"), "–"),
     (2.5e-7, "2.50e-07"), (0.0, "0.000"), (123456.7, "123,457")],
)  # fmt: skip
def test_numbers_read_the_same_everywhere(value: float | None, text: str) -> None:
    assert number(value) == text


def test_signs_are_always_shown() -> None:
    assert [signed(v) for v in (0.5, -0.5, 0.0)] == ["+0.500", "−0.500", "+0.000"]


def test_curves_skip_empty_cells_and_take_the_pages_colour() -> None:
    rows = [
        {"step": "0", "loss": "1.0", "val": ""},
        {"step": "10", "loss": "0.5", "val": "0.9"},
        {"step": "", "loss": "3"},
    ]
    lines = series(rows, ["loss", "val", "absent"])
    assert [(line.name, line.x, line.y) for line in lines] == [("loss", (0, 10), (1.0, 0.5)), ("val", (10,), (0.9,))]
    chart = str(curves(lines, "step", "loss", "Loss."))
    assert "currentColor" in chart and "#010203" not in chart
    assert "loss ends at 0.500" in chart
    assert "nothing was recorded" in curves([], "step", "loss", "Loss")


def test_intervals_place_dots_on_one_scale_and_mark_the_model() -> None:
    text = str(intervals([("model", 0.8, 0.7, 0.9), ("rule", 0.5, 0.4, 0.6)], "IoU"))
    dots = [float(p) for p in re.findall(r'class="dot" style="left: ([\d.]+)%', text)]
    assert len(dots) == 2 and 0 < dots[1] < dots[0] < 100
    assert text.count('class="guide"') == 1 and text.count('class="own"') == 1
    assert "no numbers" in intervals([("model", *(float("nan"),) * 3)], "IoU")


def test_legend_names_every_class() -> None:
    assert all(info.name.replace("_", " ") in legend(CLOUD_CLASSES) for info in CLOUD_CLASSES)
