"""The README's tables of real scenes: runs what is missing, collects it into a record, prints it as Markdown.

    python -m benchmarks.clouds                                             prints the stored record
    python -m benchmarks.clouds --run --probe --folder outputs/clouds       runs, stores, prints
    python -m benchmarks.clouds --run --only dl_l8s2_uv --seeds 0 --folder outputs/try train.steps=10

Each run is one ``geoadapt train`` on one of the two real scenes, tested on the other; one that is finished with the
same configuration is not run again, so the command may be interrupted. With overrides of one's own nothing is stored
unless ``--record`` says where. The probe is the frozen backbone under one linear layer that sees no pixels: what the
features alone know.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks import runs
from benchmarks.runs import Run, spread, verdicts

RECORD = Path(__file__).parent / "results" / "clouds.json"
SCENES = {"landsat7": "Sentinel-2 → Landsat-7", "sentinel2": "Landsat-7 → Sentinel-2"}
"""Test scene → how the direction is called."""
COMMON = {
    "rule": "rule: blue > 0.2",
    "lda": "per-pixel linear discriminant",
    "unet": "small U-Net from scratch, the same time",
}
"""Controls without a backbone."""
AGAINST = {
    "unet": "the U-Net",
    "random_backbone": "random weights",
    "full_finetune": "full fine-tuning",
    "rule": "the rule",
}
METRICS = ("iou/cloud", "iou/shadow")
KEPT = ("miou", "parameters", *(f"iou{end}/{name}" for name in ("cloud", "shadow") for end in ("", "_low", "_high")))
GAINS = tuple(f"iou_gain{end}/{name}" for name in ("cloud", "shadow") for end in ("", "_low", "_high"))
PROBE = (
    *("adapter=none", "head=linear", "train.controls=random_backbone"),
    *("train.steps=400", "train.lr=1e-2", "infer.threshold=null"),
)
"""A linear layer alone learns slowly: at the rate of the whole model its validation score still rises at the end."""


@dataclass(frozen=True, slots=True)
class Choice:
    """A backbone of the table: how it is called and chosen."""

    name: str
    overrides: tuple[str, ...]
    pretrained: bool = True


BACKBONES = {
    "galileo_nano": Choice("Galileo-nano", ("backbone=galileo_nano",)),
    "small_eo": Choice("small_eo (ours)", ("backbone=small_eo",)),
    "dl_l8s2_uv": Choice("dl_l8s2_uv", ("backbone=dl_l8s2_uv",)),
    "prithvi_random": Choice(
        "Prithvi-EO-2.0 tiny, random weights (control)",
        ("backbone=prithvi_eo_v2_tiny_tl", "backbone.random_weights=true", "backbone.patch_size=8"),
        pretrained=False,
    ),
}


@dataclass(frozen=True, slots=True)
class Planned:
    """One run: which table it is for, what it is, and the words after ``geoadapt train`` that make it."""

    kind: str
    backbone: str
    scene: str
    seed: int
    words: tuple[str, ...]

    def folder(self, root: Path) -> Path:
        """Where it goes."""
        return root / self.kind / self.backbone / f"{self.scene}-{self.seed}"

    def task(self, root: Path) -> runs.Task:
        """The run, as it is carried out."""
        name = f"{self.kind} {self.backbone} {self.scene} seed {self.seed}"
        return runs.Task(name, self.words, self.folder(root))


def plan(kinds: Sequence[str], backbones: Iterable[str], seeds: Sequence[int], more: Sequence[str]) -> list[Planned]:
    """The runs of the tables; seeds come last, so that a table that is not finished is even."""
    return [
        Planned(kind, backbone, scene, seed, tuple(_words(kind, BACKBONES[backbone], scene, seed, more)))
        for kind in kinds
        for seed in seeds
        for backbone in backbones
        for scene in SCENES
        if kind == "adapted" or BACKBONES[backbone].pretrained
    ]


def _words(kind: str, choice: Choice, scene: str, seed: int, more: Sequence[str]) -> Iterator[str]:
    yield "experiment=cloud_segmentation"
    yield "data=csmask"
    yield from choice.overrides
    if kind == "probe":
        yield from PROBE
    else:
        twins = ("random_backbone", "full_finetune") if choice.pretrained else ()
        yield f"train.controls={','.join((*COMMON, *twins))}"
    if not choice.pretrained:
        yield f"backbone.seed={seed}"
    yield from (f"data.test=[{scene}]", f"seed={seed}", *more)


def finished(planned: Planned, root: Path) -> dict[str, float] | None:
    """The metrics of a run that is whole and was made by the same configuration."""
    return runs.finished_in(planned.words, planned.folder(root))


def collect(planned: Iterable[Planned], root: Path) -> Run:
    """The record of the finished runs: scores and gains by kind, backbone, scene and seed, with date and machine."""
    found = []
    for one in planned:
        scored = finished(one, root)
        if scored is None:
            continue
        whos = sorted({key.partition("/")[0] for key in scored} & {"test", *COMMON, *AGAINST})
        kept = {f"{who}/{key}": scored.get(f"{who}/{key}") for who in whos for key in KEPT}
        kept |= {f"{who}/{key}": scored.get(f"{who}/{key}") for who in whos if who != "test" for key in GAINS}
        head = {"kind": one.kind, "backbone": one.backbone, "test": one.scene, "seed": one.seed}
        found.append(head | {"seconds": scored["run/seconds"], "metrics": kept})
    return {**runs.made_on(), "runs": found}


def tables(record: Run) -> str:
    """All of a record as Markdown: scores, verdicts, probe, and what is not there."""
    adapted = [run for run in record["runs"] if run["kind"] == "adapted"]
    probes = [run for run in record["runs"] if run["kind"] == "probe"]
    parts = [score_table(adapted), verdict_table(adapted), probe_table(probes)]
    return "\n\n".join([*filter(None, parts), f"{record['date']}, {record['machine']}."])


def score_table(found: Sequence[Run]) -> str:
    """A row per entry: mean IoU over the seeds and their range, in both directions."""
    if not found:
        return ""
    present = [key for key in BACKBONES if any(run["backbone"] == key for run in found)]
    first = [run for run in found if run["backbone"] == present[0]]
    lines = [*_head(first), *(_row(name, who, first) for who, name in COMMON.items())]
    for key in present:
        own = [run for run in found if run["backbone"] == key]
        lines.append(_row(f"**{BACKBONES[key].name}**, LoRA", "test", own))
        if BACKBONES[key].pretrained:
            lines.append(_row("– random weights in its place", "random_backbone", own))
            lines.append(_row("– every parameter trained", "full_finetune", own))
    note = f"The first {len(COMMON)} rows are from the runs of {BACKBONES[present[0]].name}."
    return "\n".join([*lines, "", note])


def verdict_table(found: Sequence[Run]) -> str:
    """Per backbone, in how many runs it is better / not different / worse, by paired 90 % intervals over blocks."""
    if not found:
        return ""
    cells = [f"{spoken}: {metric[4:]}" for who, spoken in AGAINST.items() for metric in _asked(who)]
    lines = [f"| better / no difference / worse than | {' | '.join(cells)} |", "|---" * (1 + len(cells)) + "|"]
    for key, choice in BACKBONES.items():
        own = [run for run in found if run["backbone"] == key]
        if own:
            said = [_verdict(own, who, metric) for who in AGAINST for metric in _asked(who)]
            lines.append(f"| {choice.name}, LoRA ({len(own)} runs) | {' | '.join(said)} |")
    return "\n".join(lines)


def probe_table(found: Sequence[Run]) -> str:
    """Frozen features under one linear layer: pre-trained beside random weights, and the verdict."""
    if not found:
        return ""
    lines = _head(found)
    for key, choice in BACKBONES.items():
        own = [run for run in found if run["backbone"] == key]
        if own:
            lines.append(_row(f"**{choice.name}**, frozen, linear layer", "test", own))
            lines.append(_row("– random weights in its place", "random_backbone", own))
            said = "; ".join(f"{metric[4:]} {_verdict(own, 'random_backbone', metric)}" for metric in METRICS)
            lines.append(f"| – better / no difference / worse: {said} |" + " |" * (1 + len(METRICS) * len(SCENES)))
    return "\n".join(lines)


def _head(found: Sequence[Run]) -> list[str]:
    seeds = sorted({run["seed"] for run in found})
    cells = " | ".join(f"{direction}: cloud | shadow" for direction in SCENES.values())
    of = f"IoU, mean of {len(seeds)} seeds" if len(seeds) > 1 else "IoU"
    return [f"| {of} | trained | {cells} |", "|---" * (2 + len(METRICS) * len(SCENES)) + "|"]


def _row(name: str, who: str, found: Sequence[Run]) -> str:
    trained = {run["metrics"].get(f"{who}/parameters") for run in found} - {None}
    cells = [f"{max(trained):,.0f}" if trained and max(trained) else "–"]
    for scene in SCENES:
        for metric in METRICS:
            values = [run["metrics"].get(f"{who}/{metric}") for run in found if run["test"] == scene]
            known = [] if metric not in _asked(who) else [value for value in values if value is not None]
            cells.append(spread(known) if known else "–")
    return f"| {name} | {' | '.join(cells)} |"


def _asked(who: str) -> tuple[str, ...]:
    """What an entry can be asked for: the rule knows no shadow."""
    return METRICS[:1] if who == "rule" else METRICS


def _verdict(found: Sequence[Run], who: str, metric: str) -> str:
    name = metric.partition("/")[2]
    return verdicts(found, f"{who}/iou_gain_low/{name}", f"{who}/iou_gain_high/{name}")


def main(words: Sequence[str] | None = None) -> int:
    """Run what is asked for and missing, print the tables; exit status 1 where a run failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", action="store_true", help="run what is missing of the table")
    parser.add_argument("--probe", action="store_true", help="run what is missing of the probe")
    parser.add_argument("--only", nargs="+", choices=list(BACKBONES), metavar="BACKBONE", help=", ".join(BACKBONES))
    parser.add_argument("--seeds", default="0,1,2", help="comma-separated")
    parser.add_argument("--folder", type=Path, default=Path("outputs/clouds"), help="where the run folders are")
    parser.add_argument("--record", type=Path, help="where the record goes, if not to benchmarks/results")
    parser.add_argument("overrides", nargs="*", help="more for geoadapt train, such as train.steps=10")
    given = parser.parse_intermixed_args(words)
    kinds = [kind for kind, asked in (("adapted", given.run), ("probe", given.probe)) if asked]
    if not kinds:
        print(tables(json.loads((given.record or RECORD).read_text(encoding="utf-8"))))
        return 0
    seeds = [int(seed) for seed in given.seeds.split(",")]
    planned = plan(kinds, given.only or BACKBONES, seeds, given.overrides)
    failures = runs.run_missing([one.task(given.folder) for one in planned])
    record = collect(plan(("adapted", "probe"), BACKBONES, seeds, given.overrides), given.folder)
    target = given.record or (None if given.overrides else RECORD)
    if target is not None:
        target.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    print(f"\n{tables(record)}")
    for failure in failures:
        print(f"failed: {failure}", file=sys.stderr)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
