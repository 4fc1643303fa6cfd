"""The README's tables of forecasts: runs what is missing, collects it into a record, prints it as Markdown.

    python -m benchmarks.forecasts                                                prints the stored record
    python -m benchmarks.forecasts --run slp_natl data.path=FILE                  runs, stores, prints
    python -m benchmarks.forecasts --run simulated_weather data.root=FOLDER       the same on a simulated planet

Each run is one ``geoadapt train experiment=…`` with all controls; one that is finished with the same configuration is
not run again. With ``--record`` the record goes elsewhere.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks import runs
from benchmarks.runs import Run, spread, verdicts

RECORD = Path(__file__).parent / "results" / "forecasts.json"
LEADS = (24, 72, 120)
ALL = (24, 48, 72, 96, 120)
"""[h]: of the tables, and of the pictures."""
NAMES = {
    "persistence": "persistence",
    "climatology": "climatology",
    "damped": "damped persistence",
    "eof_ridge": "EOF ridge regression",
    "cnn": "small CNN from scratch, the same time",
    "test": "**small_wx**, LoRA",
    "random_backbone": "– random weights in its place",
    "full_finetune": "– every parameter trained",
    "zero_shot": "– as it was pre-trained",
}


@dataclass(frozen=True, slots=True)
class Table:
    """An experiment of the README: its words, and its channel and how that is told."""

    words: tuple[str, ...]
    channel: str
    unit: str
    digits: int


TABLES = {
    "slp_natl": Table(("data.test_years=[2008]",), "mean_sea_level_pressure", "Pa", 0),
    "simulated_weather": Table((), "mean_sea_level_pressure", "Pa, SIMULATED", 0),
}


def plan(name: str, seeds: Sequence[int], more: Sequence[str], root: Path) -> list[runs.Task]:
    """One run per seed."""
    words = (f"experiment={name}", *TABLES[name].words, *more)
    return [runs.Task(f"{name} seed {s}", (*words, f"seed={s}"), root / name / str(s)) for s in seeds]


def collect(name: str, planned: Sequence[runs.Task]) -> Run:
    """The finished runs of an experiment, with date and machine."""
    found = []
    for seed, task in enumerate(planned):
        scored = runs.finished(task)
        if scored is not None:
            found.append({"seed": seed, "seconds": scored["run/seconds"], "metrics": _kept(name, scored)})
    return {**runs.made_on(), "runs": found}


def _kept(name: str, scored: dict[str, float]) -> dict[str, float]:
    channel = TABLES[name].channel
    parts = [key.split("/") for key in scored]
    wanted = {"/".join(p) for p in parts if len(p) == 4 and p[1].startswith(("rmse", "acc")) and p[2] == channel}
    return {key: value for key, value in scored.items() if key in wanted or key.endswith(("/parameters", "_seconds"))}


def tables(record: dict[str, Run]) -> str:
    """All of a record as Markdown."""
    return "\n\n".join(part for name in TABLES if name in record for part in _tables(name, record[name]))


def _tables(name: str, record: Run) -> list[str]:
    if not record["runs"]:
        return []
    said = f"`{name}`: {record['date']}, {record['machine']}."
    return [score_table(name, record["runs"]), verdict_table(name, record["runs"]), said]


def score_table(name: str, found: Sequence[Run]) -> str:
    """A row per entry: mean RMSE over the seeds and their range, by lead."""
    table = TABLES[name]
    head = f"RMSE [{table.unit}]" + (f", mean of {len(found)} seeds" if len(found) > 1 else "")
    lines = [f"| {head} | trained | {' | '.join(f'day {lead // 24}' for lead in LEADS)} |", "|---" * 5 + "|"]
    for who, told in NAMES.items():
        cells = [_values(found, f"{who}/rmse/{table.channel}/{lead}h", table.digits) for lead in LEADS]
        if any(cell != "–" for cell in cells):
            trained = {run["metrics"].get(f"{who}/parameters") for run in found} - {None}
            lines.append(f"| {told} | {max(trained):,.0f} | {' | '.join(cells)} |")
    return "\n".join(lines)


def verdict_table(name: str, found: Sequence[Run]) -> str:
    """In how many runs the model is better / not different / worse, by paired 90 % intervals over weeks."""
    channel = TABLES[name].channel
    head = " | ".join(f"day {lead // 24}" for lead in LEADS)
    lines = [f"| better / no difference / worse than ({len(found)} runs) | {head} |", "|---" * 4 + "|"]
    for who, told in NAMES.items():
        if who == "test":
            continue
        ends = [[f"{who}/rmse_gain_{end}/{channel}/{lead}h" for end in ("low", "high")] for lead in LEADS]
        cells = [verdicts(found, low, high) for low, high in ends]
        if any(cell != "–" for cell in cells):
            lines.append(f"| {told.removeprefix('– ')} | {' | '.join(cells)} |")
    return "\n".join(lines)


def picture(name: str, record: Run, path: Path) -> None:
    """Skill against lead time, mean of the seeds, with the 90 % intervals of the first, as PNG."""
    from matplotlib.figure import Figure

    table = TABLES[name]
    drawing = Figure(figsize=(7.6, 4.2), layout="constrained", dpi=120)
    axes = drawing.add_subplot()
    for index, (who, told) in enumerate(NAMES.items()):
        rows = [[run["metrics"].get(f"{who}/rmse/{table.channel}/{lead}h") for lead in ALL] for run in record["runs"]]
        if not rows or None in rows[0]:
            continue
        means = [sum(column) / len(column) for column in zip(*rows, strict=True)]
        bold = who == "test"
        label = told.strip("–* ").replace("**", "")
        days = [lead / 24 for lead in ALL]
        axes.plot(
            days, means, label=label, lw=2.6 if bold else 1.3, marker="osv^D<>PX"[index], ms=4, zorder=3 if bold else 2
        )
        first = record["runs"][0]["metrics"]
        ends = [[first[f"{who}/rmse_{end}/{table.channel}/{lead}h"] for lead in ALL] for end in ("low", "high")]
        axes.fill_between(days, *ends, alpha=0.25 if bold else 0.07)
    axes.set_xlabel("lead time [days]")
    axes.set_ylabel(f"RMSE of {table.channel.replace('_', ' ')} [{table.unit}]")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=8, ncols=2)
    drawing.savefig(path, metadata={"Software": None})


def _values(found: Sequence[Run], key: str, digits: int) -> str:
    values = [run["metrics"][key] for run in found if run["metrics"].get(key) is not None]
    return spread(values, digits) if values else "–"


def main(words: Sequence[str] | None = None) -> int:
    """Run what is asked for and missing, print the tables; exit status 1 where a run failed."""
    return runs.run_tables(
        runs.Tables(list(TABLES), plan, collect, tables, picture), words, __doc__, Path("outputs/forecasts"), RECORD
    )


if __name__ == "__main__":
    sys.exit(main())
