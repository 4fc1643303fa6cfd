"""``geoadapt report``: one self-contained page of a leaderboard, with CSV, Markdown and PNG beside it.

In: folders of records, or of runs. Out: files, each whole or not at all.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from markupsafe import Markup

from geoadapt.leaderboard.exchange import SUITE, Said
from geoadapt.leaderboard.groups import read_suite
from geoadapt.leaderboard.normalise import Normaliser
from geoadapt.leaderboard.page_chapter import Chapter, chapter_of
from geoadapt.leaderboard.page_costs import cost_parts
from geoadapt.leaderboard.page_counts import count_records
from geoadapt.leaderboard.page_published import published_part
from geoadapt.leaderboard.page_runs import Found, by_board, collect, suite_of
from geoadapt.leaderboard.page_tables import dataset_table, entry_list, group_table, overview
from geoadapt.leaderboard.page_weather import weather_cards
from geoadapt.leaderboard.page_words import ways
from geoadapt.report.leaderboard_cost import Mark, marks
from geoadapt.report.leaderboard_filter import Choice, filter_bar, filter_style
from geoadapt.report.page import Page, folded
from geoadapt.report.provenance import provenance, versions
from geoadapt.words import counted

__all__ = ["Report", "page_of", "report", "submission_suite", "write_report"]


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
    said: Said | None = None,
    command: str = "",
) -> Report:
    """What was run under ``paths``, board by board.

    A board is told by ``suite``, or by the one of its name in the folder ``suites``, or by what the runs themselves
    say; a submission by the suite that checks it, which is ``suite`` or GEO-Bench-2's own in ``suites``. ``said`` is
    what results of other boards leave open. Raises GeoadaptError where nothing was run, or runs cannot be compared.
    """
    found = collect(paths, submissions=submission_suite(suite, suites), said=said)
    chapters = {}
    for number, (board, runs) in enumerate(by_board(found.runs).items()):
        known = read_suite(suite) if suite is not None else found.suites.get(board)
        chosen = known or suite_of(board, runs, suites)
        chapters[board] = chapter_of(runs, chosen, normaliser, prefix=f"b{number}" if number else "")
    return Report(found, chapters, command)


def submission_suite(suite: Path | None, suites: Path | None) -> Path | None:
    """The file of the suite that submissions are checked by: ``suite``, or GEO-Bench-2's own in ``suites``."""
    return suites / f"{SUITE}.yaml" if suite is None and suites is not None else suite


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
        entries = len(chapter.ordered_on(name))
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
        "A capability's score is the interquartile mean of all runs on its data sets: the best and the worst quarter "
        "count for nothing, so that of four data sets an entry's worst may. Its columns by data set show it whole.",
        f"Beside a rank, among all entries, stands its {percent} % range, and P(first) is the probability of being "
        f"first. Better and worse mean that the whole {percent} % interval of the difference lies on that side of "
        "zero, and not better that it holds zero. Where there is no difference, one verdict in "
        f"{round(1 / (1 - first.board.level))} finds one all the same.",
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
        "A dash is a score that is missing, never a zero; who rests on it, or opens its row, is told why. An entry "
        "without all data sets of a capability has no score and no rank there."
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
    datasets = {name for chapter in chapters for name, dataset in chapter.suite.datasets.items() if not dataset.of}
    return count_records(chapters).words(entries, len(datasets))


def _choices(chapters: Iterable[Chapter]) -> dict[str, Choice]:
    """The ways of training that there are, in a fixed order, with how many entries went each."""
    entries = [named for chapter in chapters for named in chapter.names.values()]
    count = Counter(named.regime for named in entries)
    return {key: Choice(label, count[key]) for key, label in ways(entries).items()}


def _resource(name: str) -> str:
    return files("geoadapt.report").joinpath(name).read_text(encoding="utf-8")
