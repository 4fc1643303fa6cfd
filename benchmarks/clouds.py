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
import os
import platform
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from statistics import mean
from typing import Any

from geoadapt.cli.compose import compose
from geoadapt.config import job_from_plain
from geoadapt.errors import GeoadaptError

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
Run = dict[str, Any]


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
    """The metrics of a run that is whole and was made by the same configuration.

    A key that the stored one lacks had its default, and one that this process does not know came later.
    """
    from omegaconf import OmegaConf
    from yaml import YAMLError

    folder = planned.folder(root)
    try:
        metrics: dict[str, float] = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
        stored: Any = OmegaConf.to_container(OmegaConf.load(folder / "config.yaml"))
        wanted = _composed(planned.words)
        same = asdict(job_from_plain(_known(stored, wanted))) == wanted
    except (OSError, ValueError, AttributeError, YAMLError, GeoadaptError):
        return None
    return metrics if same else None


@cache
def _composed(words: tuple[str, ...]) -> Run:
    return asdict(compose(words))


def _known(stored: Run, wanted: Run) -> Run:
    """What is stored, without the keys that are not among the wanted."""
    return {
        part: {key: value for key, value in stored[part].items() if key in keys}
        if isinstance(keys, dict)
        else stored[part]
        for part, keys in wanted.items()
        if part in stored
    }


def run(planned: Planned, root: Path) -> str:
    """Run ``geoadapt train`` in a process of its own; gives what went wrong, or nothing."""
    folder = planned.folder(root)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "metrics.json").unlink(missing_ok=True)  # of another configuration: it must not pass for this run's
    console = folder / "console.txt"
    words = [sys.executable, "-m", "geoadapt", "train", *planned.words, f"hydra.run.dir={folder}"]
    with console.open("w", encoding="utf-8") as stream:
        status = subprocess.run(words, stdout=stream, stderr=subprocess.STDOUT, check=False).returncode
    if status == 0 and finished(planned, root) is not None:
        return ""
    lines = console.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return f"exit status {status}: {lines[-1] if lines else 'it said nothing'}"


def run_missing(planned: Sequence[Planned], root: Path) -> list[str]:
    """Run what is not finished, one after the other; a run that fails does not stop the others and is given back."""
    failures = []
    for index, one in enumerate(planned, 1):
        name = f"[{index}/{len(planned)}] {one.kind} {one.backbone} {one.scene} seed {one.seed}"
        if finished(one, root) is not None:
            print(f"{name}: finished before", flush=True)
            continue
        begin = time.perf_counter()
        problem = run(one, root)
        print(f"{name}: {problem or 'done'}, {time.perf_counter() - begin:.0f} s", flush=True)
        if problem:
            failures.append(f"{name}: {problem}")
    return failures


def collect(planned: Iterable[Planned], root: Path) -> Run:
    """The record of the finished runs: scores and gains by kind, backbone, scene and seed, with date and machine."""
    runs = []
    for one in planned:
        found = finished(one, root)
        if found is None:
            continue
        whos = sorted({key.partition("/")[0] for key in found} & {"test", *COMMON, *AGAINST})
        kept = {f"{who}/{key}": found.get(f"{who}/{key}") for who in whos for key in KEPT}
        kept |= {f"{who}/{key}": found.get(f"{who}/{key}") for who in whos if who != "test" for key in GAINS}
        head = {"kind": one.kind, "backbone": one.backbone, "test": one.scene, "seed": one.seed}
        runs.append(head | {"seconds": found["run/seconds"], "metrics": kept})
    machine = f"{platform.machine()}, {os.cpu_count()} cores"
    return {"date": f"{datetime.now(UTC):%Y-%m-%d}", "machine": machine, "runs": runs}


def tables(record: Run) -> str:
    """All of a record as Markdown: scores, verdicts, probe, and what is not there."""
    adapted = [run for run in record["runs"] if run["kind"] == "adapted"]
    probes = [run for run in record["runs"] if run["kind"] == "probe"]
    parts = [score_table(adapted), verdict_table(adapted), probe_table(probes)]
    return "\n\n".join([*filter(None, parts), f"{record['date']}, {record['machine']}."])


def score_table(runs: Sequence[Run]) -> str:
    """A row per entry: mean IoU over the seeds and their range, in both directions."""
    if not runs:
        return ""
    present = [key for key in BACKBONES if any(run["backbone"] == key for run in runs)]
    first = [run for run in runs if run["backbone"] == present[0]]
    lines = [*_head(first), *(_row(name, who, first) for who, name in COMMON.items())]
    for key in present:
        own = [run for run in runs if run["backbone"] == key]
        lines.append(_row(f"**{BACKBONES[key].name}**, LoRA", "test", own))
        if BACKBONES[key].pretrained:
            lines.append(_row("– random weights in its place", "random_backbone", own))
            lines.append(_row("– every parameter trained", "full_finetune", own))
    note = f"The first {len(COMMON)} rows are from the runs of {BACKBONES[present[0]].name}."
    return "\n".join([*lines, "", note])


def verdict_table(runs: Sequence[Run]) -> str:
    """Per backbone, in how many runs it is better / not different / worse, by paired 90 % intervals over blocks."""
    if not runs:
        return ""
    cells = [f"{spoken}: {metric[4:]}" for who, spoken in AGAINST.items() for metric in _asked(who)]
    lines = [f"| better / no difference / worse than | {' | '.join(cells)} |", "|---" * (1 + len(cells)) + "|"]
    for key, choice in BACKBONES.items():
        own = [run for run in runs if run["backbone"] == key]
        if own:
            found = [_verdict(own, who, metric) for who in AGAINST for metric in _asked(who)]
            lines.append(f"| {choice.name}, LoRA ({len(own)} runs) | {' | '.join(found)} |")
    return "\n".join(lines)


def probe_table(runs: Sequence[Run]) -> str:
    """Frozen features under one linear layer: pre-trained beside random weights, and the verdict."""
    if not runs:
        return ""
    lines = _head(runs)
    for key, choice in BACKBONES.items():
        own = [run for run in runs if run["backbone"] == key]
        if own:
            lines.append(_row(f"**{choice.name}**, frozen, linear layer", "test", own))
            lines.append(_row("– random weights in its place", "random_backbone", own))
            said = "; ".join(f"{metric[4:]} {_verdict(own, 'random_backbone', metric)}" for metric in METRICS)
            lines.append(f"| – better / no difference / worse: {said} |" + " |" * (1 + len(METRICS) * len(SCENES)))
    return "\n".join(lines)


def _head(runs: Sequence[Run]) -> list[str]:
    seeds = sorted({run["seed"] for run in runs})
    cells = " | ".join(f"{direction}: cloud | shadow" for direction in SCENES.values())
    of = f"IoU, mean of {len(seeds)} seeds" if len(seeds) > 1 else "IoU"
    return [f"| {of} | trained | {cells} |", "|---" * (2 + len(METRICS) * len(SCENES)) + "|"]


def _row(name: str, who: str, runs: Sequence[Run]) -> str:
    trained = {run["metrics"].get(f"{who}/parameters") for run in runs} - {None}
    cells = [f"{max(trained):,.0f}" if trained and max(trained) else "–"]
    for scene in SCENES:
        for metric in METRICS:
            values = [run["metrics"].get(f"{who}/{metric}") for run in runs if run["test"] == scene]
            known = [] if metric not in _asked(who) else [value for value in values if value is not None]
            cells.append(_spread(known) if known else "–")
    return f"| {name} | {' | '.join(cells)} |"


def _spread(values: Sequence[float]) -> str:
    """The mean, and the range where there is one to see."""
    low, high = min(values), max(values)
    return f"{mean(values):.3f}" + (f" ({low:.3f}–{high:.3f})" if high - low > 5e-4 else "")


def _asked(who: str) -> tuple[str, ...]:
    """What an entry can be asked for: the rule knows no shadow."""
    return METRICS[:1] if who == "rule" else METRICS


def _verdict(runs: Sequence[Run], who: str, metric: str) -> str:
    name = metric.partition("/")[2]
    ends = [[run["metrics"].get(f"{who}/iou_gain_{end}/{name}") for end in ("low", "high")] for run in runs]
    known = [(low, high) for low, high in ends if low is not None and high is not None]
    better, worse = sum(low > 0 for low, _ in known), sum(high < 0 for _, high in known)
    return f"{better} / {len(known) - better - worse} / {worse}" if known else "–"


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
    failures = run_missing(plan(kinds, given.only or BACKBONES, seeds, given.overrides), given.folder)
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
