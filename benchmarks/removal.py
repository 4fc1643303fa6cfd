"""The README's tables of cloud removal: runs what is missing, collects it into a record, prints it as Markdown.

    python -m benchmarks.removal                                                prints the stored record
    python -m benchmarks.removal --run simulated_series data.root=FOLDER        runs, stores, prints
    python -m benchmarks.removal --run worldcereal --seeds 3                    the same on a small real set

Each run is one ``geoadapt train experiment=cloud_removal`` with all controls; one that is finished with the same
configuration is not run again. With ``--record`` the record goes elsewhere.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks import runs
from benchmarks.runs import Run, spread, verdicts

RECORD = Path(__file__).parent / "results" / "removal.json"
NAMES = {
    "temporal_mean": "temporal mean",
    "temporal_median": "temporal median",
    "nearest_clear": "nearest clear date",
    "linear": "linear interpolation in time",
    "harmonic": "harmonic regression",
    "last_clear": "last clear date",
    "pmaa": "PMAA from scratch, the same time",
    "test": "**the adapted model**",
    "random_backbone": "– random weights in its place",
    "full_finetune": "– every parameter trained",
}
SCORES = {"mae": ("MAE", 4), "rmse": ("RMSE", 4), "psnr": ("PSNR [dB]", 1), "ssim": ("SSIM", 3), "sam": ("SAM [°]", 2)}
"""Metric → how it is told, and its digits; of the hidden pixels, over all bands."""


@dataclass(frozen=True, slots=True)
class Table:
    """A data set: how it is told, and the words that its runs have beside the experiment's."""

    told: str
    words: tuple[str, ...] = ()
    data: str = ""
    """The data set, where the table is not called like it."""


FEW = ("train.steps=100", "train.val_every=50", "task.val_samples=48", "task.test_samples=128")
"""Of the small real sets."""
SINGLE = ("backbone=small_eo", "head=removal", "task.frames=6")
"""A backbone of single dates, and a head that sees the pixels of all."""
SERIES = "_series"
"""Behind the name of a real set: the same with the backbone of series."""
REAL = {
    "worldcereal": Table(
        "WorldCereal, 12 monthly Sentinel-2 composites, 100 × 100 px, split by place", (*FEW, "train.chip=32")
    ),
    "modis_mt": Table(
        "MOD13Q1 in Mato Grosso, 137 dates, 27 × 37 px, split by date", (*FEW, "train.chip=24", "task.dates=24")
    ),
    "l8ny18": Table("Landsat 8 over New York, coarse, 5 and 6 dates, 78 × 77 px, split by place", FEW),
    "landsat_p035r032": Table(
        "Landsat 4, 5 and 7, 447 dates, 5 × 5 px, split by date", (*FEW, "train.chip=8", "task.dates=24")
    ),
}
TABLES = {
    "simulated_series": Table("SIMULATED places with a known truth; other places and months in the test"),
    **{name: Table(f"{real.told}; small_eo", (*SINGLE, *real.words)) for name, real in REAL.items()},
    **{name + SERIES: Table(f"{real.told}; small_series", real.words, name) for name, real in REAL.items()},
}


def plan(name: str, seeds: Sequence[int], more: Sequence[str], root: Path) -> list[runs.Task]:
    """One run per seed."""
    words = ("experiment=cloud_removal", f"data={TABLES[name].data or name}", *TABLES[name].words, *more)
    return [runs.Task(f"{name} seed {s}", (*words, f"seed={s}"), root / name / str(s)) for s in seeds]


def collect(name: str, planned: Sequence[runs.Task]) -> Run:
    """The finished runs of a data set, with date and machine."""
    found = []
    for seed, task in enumerate(planned):
        scored = runs.finished(task)
        if scored is not None:
            found.append({"seed": seed, "seconds": scored["run/seconds"], "metrics": _kept(scored)})
    return {**runs.made_on(), "runs": found}


def _kept(scored: dict[str, float]) -> dict[str, float]:
    ends = ("/masked", "/parameters", "_seconds")
    return {key: value for key, value in scored.items() if key.endswith(ends)}


def tables(record: dict[str, Run]) -> str:
    """All of a record as Markdown."""
    return "\n\n".join(part for name in TABLES if name in record for part in _tables(name, record[name]))


def _tables(name: str, record: Run) -> list[str]:
    if not record["runs"]:
        return []
    said = f"`{name}`: {TABLES[name].told}. {record['date']}, {record['machine']}."
    return [said, score_table(record["runs"])]


def score_table(found: Sequence[Run]) -> str:
    """A row per entry: means over the seeds, and in how many runs the model is better / not different / worse."""
    heads = " | ".join(told for told, _ in SCORES.values())
    count = f"{len(found)} seeds" if len(found) > 1 else "1 seed"
    lines = [f"| hidden pixels, {count} | {heads} | better / no difference / worse |", "|---" * (len(SCORES) + 2) + "|"]
    for who, told in NAMES.items():
        cells = [_mean(found, f"{who}/{metric}/masked", digits) for metric, (_, digits) in SCORES.items()]
        if all(cell == "–" for cell in cells):
            continue
        gain = "" if who == "test" else verdicts(found, *(f"{who}/mae_gain_{end}/masked" for end in ("low", "high")))
        lines.append(f"| {told} | {' | '.join(cells)} | {gain} |")
    return "\n".join(lines)


def _mean(found: Sequence[Run], key: str, digits: int) -> str:
    values = [run["metrics"][key] for run in found if run["metrics"].get(key) is not None]
    return spread(values, digits) if values else "–"


def main(words: Sequence[str] | None = None) -> int:
    """Run what is asked for and missing, print the tables; exit status 1 where a run failed."""
    return runs.run_tables(
        runs.Tables(list(TABLES), plan, collect, tables), words, __doc__, Path("outputs/removal"), RECORD
    )


if __name__ == "__main__":
    sys.exit(main())
