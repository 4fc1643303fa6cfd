"""The leaderboard in a real browser: sorting, filters, links, a phone, paper, and nothing to complain about."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from geoadapt.leaderboard.page import page_of, report
from tests.browser.chromium import Chromium, program
from tests.leaderboard.page_made import stored

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(program() is None, reason="no Chromium here: install one, or name it in GEOADAPT_BROWSER"),
]
VISIBLE = "[...document.querySelectorAll('table.board')][{table}].tBodies[0].rows"
SHOWN = f"[...{VISIBLE}].filter(row => row.offsetParent !== null)"
PHONE = (390, 844)


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("board")
    return page_of(report([stored(folder / "runs")])).write(folder / "a board.html")


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    with Chromium(tmp_path_factory.mktemp("profile")) as found:
        yield found


def column(browser: Chromium, place: int, table: int = 0) -> list[str]:
    """What a column shows, from the top."""
    found: list[str] = browser.run(f"{SHOWN.format(table=table)}.map(row => row.cells[{place}].innerText.trim())")
    return found


def head(place: int, table: int = 0) -> str:
    return f"document.querySelectorAll('table.board')[{table}].tHead.rows[0].cells[{place}]"


def numbers(shown: list[str]) -> list[float]:
    return [float(words.split()[0]) for words in shown if words != "–"]


def test_a_click_sorts_best_first_then_the_other_way_and_missing_stays_last(browser: Chromium, page: Path) -> None:
    browser.open(page)
    assert browser.run(f"{head(1)}.getAttribute('aria-sort')") == "descending"
    assert column(browser, 1)[-1] == "–"
    browser.run(f"{head(1)}.querySelector('button').click()")
    up = column(browser, 1)
    assert browser.run(f"{head(1)}.getAttribute('aria-sort')") == "ascending"
    assert numbers(up) == sorted(numbers(up)) and len(numbers(up)) == 6 and up[-1] == "–"
    browser.run(f"{head(3)}.querySelector('button').click()")
    down = column(browser, 3)
    assert numbers(down) == sorted(numbers(down), reverse=True) and len(numbers(down)) == 7
    assert browser.run(f"{head(1)}.getAttribute('aria-sort')") is None


def test_the_keyboard_sorts_too(browser: Chromium, page: Path) -> None:
    browser.open(page)
    browser.run(f"{head(0)}.querySelector('button').focus()")
    browser.press("Enter", 13)
    names = column(browser, 0)
    assert names == sorted(names, key=str.lower) and browser.run(f"{head(0)}.getAttribute('aria-sort')") == "ascending"
    browser.press(" ", 32)
    assert column(browser, 0) == names[::-1]


def test_the_filter_hides_a_way_of_training_everywhere_and_says_so(browser: Chromium, page: Path) -> None:
    browser.open(page)
    before = column(browser, 0)
    browser.run("document.getElementById('show-peft-lora').click()")
    assert column(browser, 0) == [name for name in before if "LoRA" not in name] != before
    hidden = (
        "[...document.querySelectorAll('[data-regime=peft-lora]')].every(e => getComputedStyle(e).display === 'none')"
    )
    assert browser.run(hidden)
    assert browser.run("document.getElementById('shown').textContent") == "5 of 7 entries, normalised scores"
    browser.run("document.getElementById('show-peft-lora').click()")
    assert column(browser, 0) == before


def test_raw_scores_sort_their_own_way(browser: Chromium, page: Path) -> None:
    browser.open(page)
    regression = browser.run(
        "[...document.querySelectorAll('table.board caption')].findIndex(c => c.innerText.startsWith('Regression'))"
    )
    normal = column(browser, 3, regression)
    browser.run("document.getElementById('scale-raw').click()")
    raw = numbers(column(browser, 3, regression))
    assert raw == sorted(raw) and raw[0] > 1 > numbers(normal)[1]
    assert browser.run(f"{head(3, regression)}.getAttribute('aria-sort')") == "ascending"
    assert column(browser, 3, regression)[0] != normal[0]
    everything: Any = browser.run("document.querySelectorAll('#shown')[0].textContent")
    assert everything == "7 of 7 entries, raw scores"


def test_what_a_row_tells_in_full_has_room(browser: Chromium, page: Path) -> None:
    browser.open(page)
    cell = "document.querySelector('td.fold')"
    before = browser.run(f"{cell}.offsetWidth")
    browser.run(f"{cell}.querySelector('details').open = true")
    assert browser.run(f"{cell}.offsetWidth") > max(before, 480)


def test_a_link_opens_what_it_leads_into(browser: Chromium, page: Path) -> None:
    browser.open(page)
    place = "document.querySelector('.entries a').getAttribute('href').slice(1)"
    seen = f"document.getElementById({place}).checkVisibility({{contentVisibilityAuto: true}})"
    assert not browser.run(seen)
    browser.run("document.querySelector('.entries a').click()")
    browser.run("new Promise(done => setTimeout(done, 300))")
    assert browser.run(seen)
    top = browser.run(f"document.getElementById({place}).getBoundingClientRect().top")
    assert 0 <= top < 900


@pytest.mark.parametrize("width", [PHONE[0], 768, 1400])
def test_tables_scroll_within_themselves(browser: Chromium, page: Path, width: int) -> None:
    browser.open(page, width, PHONE[1])
    browser.run("document.querySelectorAll('details').forEach(part => { part.open = true; })")
    assert browser.run("document.documentElement.scrollWidth") == width
    wide = "[...document.querySelectorAll('.scroll')].some(part => part.scrollWidth > part.clientWidth)"
    assert browser.run(wide) or width > PHONE[0]


def test_without_a_script_the_page_stands_sorted_and_the_filter_works(browser: Chromium, page: Path) -> None:
    browser.open(page, scripts=False)
    for part in ("DOM", "CSS"):
        browser.call(f"{part}.enable")
    root = browser.call("DOM.getDocument")["root"]["nodeId"]

    def count(selector: str) -> int:
        return len(browser.call("DOM.querySelectorAll", nodeId=root, selector=selector)["nodeIds"])

    assert count("thead button") == 0 and count("tbody tr") > 20
    box = browser.call("DOM.querySelector", nodeId=root, selector="#show-frozen")["nodeId"]
    row = browser.call("DOM.querySelector", nodeId=root, selector="tr[data-regime=frozen]")["nodeId"]
    x, y = browser.call("DOM.getContentQuads", nodeId=box)["quads"][0][:2]
    assert browser.call("DOM.getContentQuads", nodeId=row)["quads"]
    for kind in ("mousePressed", "mouseReleased"):
        browser.call("Input.dispatchMouseEvent", type=kind, x=x + 5, y=y + 5, button="left", clickCount=1)
    style = browser.call("CSS.getComputedStyleForNode", nodeId=row)["computedStyle"]
    assert next(s["value"] for s in style if s["name"] == "display") == "none"


def test_on_paper_the_tables_stand_in_full(browser: Chromium, page: Path, tmp_path: Path) -> None:
    browser.open(page, 1000)
    browser.call("Emulation.setEmulatedMedia", media="print")
    assert browser.run("getComputedStyle(document.querySelector('.scroll')).overflowX") == "visible"
    assert browser.run("getComputedStyle(document.querySelector('nav')).display") == "none"
    # a head that is repeated on the next sheet is drawn without its buttons
    heads = "[...document.querySelectorAll('table.board th[data-best]')].filter(e => e.checkVisibility())"
    assert browser.run(f"{heads}.every(head => !head.querySelector('button').checkVisibility())")
    assert browser.run(f"{heads}.length") > 10
    assert browser.run(f"{heads}.every(head => head.querySelector('span').innerText.trim() !== '')")
    over = "head.scrollHeight > head.clientHeight + 1 || head.scrollWidth > head.clientWidth + 1"
    assert not browser.run(f"[...document.querySelectorAll('table.board thead th')].some(head => {over})")
    browser.call("Emulation.setEmulatedMedia", media="")
    pdf = browser.printed(tmp_path / "board.pdf").read_bytes()
    assert pdf.startswith(b"%PDF") and pdf.count(b"/Type /Page\n") >= 2


def test_the_browser_has_nothing_to_complain_about_and_loads_nothing(browser: Chromium, page: Path) -> None:
    """Over all that was done before: the last test of this file."""
    assert browser.errors == []
    assert {url.partition("#")[0] for url in browser.requests} == {page.resolve().as_uri()}
