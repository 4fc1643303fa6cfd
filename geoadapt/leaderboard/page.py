"""``geoadapt report``: one self-contained page of a leaderboard, with CSV, Markdown and PNG beside it.

In: folders of records, or of runs. Out: files, each whole or not at all.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from markupsafe import Markup

from geoadapt.leaderboard.groups import read_suite
from geoadapt.leaderboard.normalise import Normaliser
from geoadapt.leaderboard.page_chapter import Chapter, chapter_of
from geoadapt.leaderboard.page_costs import cost_parts
from geoadapt.leaderboard.page_counts import count_records
from geoadapt.leaderboard.page_published import published_part
from geoadapt.leaderboard.page_runs import Found, by_board, collect, suite_of
from geoadapt.leaderboard.page_tables import dataset_table, entry_list, group_table, overview
from geoadapt.leaderboard.page_weather import weather_cards
from geoadapt.leaderboard.page_words import filter_words
from geoadapt.report.leaderboard_cost import Mark, marks
from geoadapt.report.leaderboard_filter import Choice, filter_bar, filter_style
from geoadapt.report.page import Page, folded
from geoadapt.report.provenance import provenance, versions
from geoadapt.words import counted

__all__ = ["Report", "page_of", "report", "write_report"]

WAYS = ("frozen", "peft", "full", "scratch", "none")
"""In this order the filter names them."""


@dataclass(frozen=True, slots=True)
class Report:
    """What a report tells: a chapter per board."""

    found: Found
    chapters: dict[str, Chapter]
    command: str = ""


def report(
    paths: Sequence[Path],
    *,
    suite: Path | None = None,
    suites: Path | None = None,
    normaliser: Normaliser | None = None,
    command: str = "",
) -> Report:
    """What was run under ``paths``, board by board.

    A board is told by ``suite``, or by the one of its name in the folder ``suites``, or by what the runs themselves
    say. Raises GeoadaptError where nothing was run, or runs cannot be compared.
    """
    found = collect(paths)
    chapters = {}
    for number, (board, runs) in enumerate(by_board(found.runs).items()):
        chosen = read_suite(suite) if suite is not None else suite_of(board, runs, suites)
        chapters[board] = chapter_of(runs, chosen, normaliser, prefix=f"b{number}" if number else "")
    return Report(found, chapters, command)


def write_report(told: Report, path: Path) -> list[Path]:
    """The page at ``path``, and beside it the same as CSV, Markdown and PNG."""
    from geoadapt.leaderboard.export import write_tables
    from geoadapt.leaderboard.export_plots import write_plots

    return [page_of(told).write(path), *write_tables(told.chapters, path), *write_plots(told.chapters, path)]


def page_of(told: Report) -> Page:
    """The page: what it means, every capability, cost, every data set, and how it was made."""
    choices = _choices(told.chapters.values())
    styles = marks({key: choice.label for key, choice in choices.items()})
    page = Page(_title(told), _subtitle(told))
    page.bar = filter_bar(choices)
    page.styles = (_resource("leaderboard.css"), filter_style(choices))
    page.script = _resource("leaderboard.js")
    page.add("How to read it", *_reading(told))
    for board, chapter in told.chapters.items():
        _add_chapter(page, chapter, f"{board}: " if len(told.chapters) > 1 else "", styles)
    roots = [source.parent for source in told.found.sources]
    if cards := weather_cards(told.found.runs, roots):
        page.add("Weather scorecards", *cards)
    sources = {"runs": ", ".join(map(str, told.found.sources[:20])) + (" …" if len(told.found.sources) > 20 else "")}
    page.add("Make it again", provenance(told.command or "geoadapt report RUNS", {}, versions(), sources))
    return page


def _add_chapter(page: Page, chapter: Chapter, before: str, styles: dict[str, Mark]) -> None:
    groups = chapter.suite.groups
    published = published_part(chapter)
    also = [published] if published is not None else []
    if len(groups) > 1:
        page.add(f"{before}All capabilities", overview(chapter), *also)
    for key, group in groups.items():
        simulated = chapter.simulated_in(group)
        word = (
            Markup('<p><span class="tag">simulated</span> {}</p>').format(", ".join(simulated)) if simulated else None
        )
        parts = [*([group.about] if group.about else []), *([word] if word else []), group_table(chapter, key)]
        page.add(f"{before}{group.label}", *parts, *(also if len(groups) == 1 else []))
    page.add(f"{before}Score against cost", *cost_parts(chapter, styles))
    said = [f"All runs: {', '.join(v for v in chapter.shared.values() if v)}."] if any(chapter.shared.values()) else []
    page.add(f"{before}Data set by data set", *said, *_datasets(chapter))
    page.add(f"{before}Entries", "Where the runs of each entry stand, with commands and bundles:", entry_list(chapter))


def _datasets(chapter: Chapter) -> list[Markup]:
    parts = []
    for i, name in enumerate(chapter.suite.datasets):
        entries = sum((entry, name) in chapter.cells for entry in chapter.names)
        tag = Markup(' <span class="tag">simulated</span>') if name in chapter.simulated else ""
        dataset = chapter.suite.datasets[name]
        look = f", a closer look at the runs on {chapter.label(dataset.of)}" if dataset.of else ""
        about = f"{dataset.task.replace('_', ' ')}, {counted(entries, 'entry', 'entries')}{look}"
        head = Markup("{}{} <small>{}</small>").format(chapter.label(name), tag, about)
        body = dataset_table(chapter, name) if entries else Markup('<p class="note">Nothing was run on it.</p>')
        parts.append(
            Markup('<details class="dataset"{}><summary>{}</summary>{}</details>').format(
                Markup(" open") if i == 0 and len(chapter.suite.datasets) == 1 else "", head, body
            )
        )
    return parts


def _reading(told: Report) -> list[str]:
    """What the intervals mean and cannot know, then what every reader has to know of these runs."""
    first = next(iter(told.chapters.values()))
    percent = round(100 * first.board.level)
    parts = [
        f"An interval holds the score that many more seeds of the same training would have, {percent} times in 100: "
        "the seeds of each data set are drawn again, now and then with the luck of another data set's run, and the "
        "spread is widened for how few they are. It tells of luck in training alone, and nothing of other data sets or "
        "other test samples; where two intervals overlap, the verdicts, which compare seed by seed, say more. What no "
        "run here has shown it cannot know: where one run in ten fails, and none of these did, it is too narrow and "
        "too high.",
    ]
    for board, chapter in told.chapters.items():
        known = chapter.board.normaliser
        own = known.version.endswith("-own")
        scale = (
            "of this page: such scores compare with no other page's"
            if own
            else f"of the base {known.version} ({known.fingerprint})"
        )
        name = f"{board}: " if len(told.chapters) > 1 else ""
        parts.append(f"{name}A normalised score is 1 for the best and 0 for the worst run on each data set {scale}.")
    simulated = [c.label(n) for c in told.chapters.values() for n in c.suite.datasets if n in c.simulated]
    if simulated:
        parts.append(
            Markup(
                '<p><span class="tag">simulated</span> Simulated data, which prove that things work and not what '
                "they are worth on real scenes: {}.</p>"
            ).format(", ".join(simulated))
        )
    parts.append(
        "A dash is a score that is missing, never a zero; who rests on it is told why. An entry without all data sets "
        "of a capability has no score and no rank there."
    )
    notes = [*told.found.left_out, *(line for c in told.chapters.values() for line in c.foreign)]
    if notes:
        items = Markup("").join(Markup("<li>{}</li>").format(note) for note in notes)
        parts.append(
            folded(
                f"Left out: {counted(len(notes), 'note')}", Markup("<ul>{}</ul>").format(items), shown=len(notes) < 6
            )
        )
    return parts


def _title(told: Report) -> str:
    names = list(told.chapters)
    return f"Leaderboard: {names[0]}" if len(names) == 1 else "Leaderboards: " + ", ".join(names)


def _subtitle(told: Report) -> str:
    chapters = told.chapters.values()
    entries = sum(len(c.names) for c in chapters)
    datasets = sum(not d.of for c in chapters for d in c.suite.datasets.values())
    return count_records(chapters).words(entries, datasets)


def _choices(chapters: Iterable[Chapter]) -> dict[str, Choice]:
    """The ways of training that there are, in a fixed order, with how many entries went each."""
    found: dict[str, Choice] = {}
    entries = sorted(
        (named for chapter in chapters for named in chapter.names.values()),
        key=lambda named: (WAYS.index(named.way), named.regime),
    )
    for named in entries:
        count = found[named.regime].entries if named.regime in found else 0
        found[named.regime] = Choice(filter_words(named.way, named.entry[1]), count + 1)
    return found


def _resource(name: str) -> str:
    return files("geoadapt.report").joinpath(name).read_text(encoding="utf-8")
