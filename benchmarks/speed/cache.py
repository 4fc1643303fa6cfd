"""What the feature cache saves: the time of an epoch, and accuracy at equal wall time, filling included.

Run ``python -m benchmarks.speed.cache``. Galileo-nano with its public weights on the real scenes of csmask where both
are at hand (GEOADAPT_WEIGHTS, GEOADAPT_DATA), otherwise small_eo with random weights on simulated scenes:
the table says which. One torch thread. First: one pass over the same views with the same head and batch, from the cache
and computed anew, without validation; rounds are interleaved, and the median of their ratios is printed. Then: whole
fits, validation included, each with as many steps as its time allows; of a cached one a third fills the cache. On a
shared machine the clock runs for others too: steps are planned by the processor's time, and both are printed.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.utils.data import DataLoader

from data_pipelines import ensure
from geoadapt.adapters.config import HeadOnlyConfig, LoraConfig
from geoadapt.backbones.config import GalileoConfig, SmallEoConfig
from geoadapt.backbones.weights import find_weights
from geoadapt.config import InferConfig, JobConfig, RuntimeConfig, TrainConfig
from geoadapt.errors import GeoadaptError
from geoadapt.fields.config import CsmaskConfig, SimulatedConfig
from geoadapt.heads.config import FcnConfig, LinearConfig, UnetConfig
from geoadapt.metrics.segmentation import mean_iou
from geoadapt.tasks.config import CloudSegmentationConfig
from geoadapt.training.cache import make_feed
from geoadapt.training.scoring import module_scorer, score_scenes
from geoadapt.training.setting import Setting, build_for, fit_adapted, parameter_groups, prepare

LIMIT = 0.10
CASES: dict[str, tuple[Any, Any]] = {
    "cached_epoch_over_uncached": (HeadOnlyConfig(), FcnConfig()),
    "cached_epoch_over_uncached_linear": (HeadOnlyConfig(), LinearConfig()),
    "cached_epoch_over_uncached_unet": (HeadOnlyConfig(), UnetConfig()),
    "cached_epoch_over_uncached_lora": (LoraConfig(last_blocks=1), FcnConfig()),
}
CPU = " (CPU)"
"""Behind the name of a time of the processor, not of the clock."""
VIEWS = 4
"""Of every chip, in the fits at equal wall time."""
FILLING = 1 / 3
"""Share of a cached fit's time."""


@dataclass(frozen=True, slots=True)
class Score:
    """One fit at a budget: its seconds by the clock and of the processor, its steps, and mean IoU on both sides."""

    mode: str
    budget: float
    seed: int
    seconds: float
    cpu: float
    steps: float
    val: float
    test: float


def base_job(folder: Path, quick: bool) -> tuple[JobConfig, str]:
    """The best that is at hand, and how it is called in the table."""
    backbone: Any = GalileoConfig()
    data: Any = CsmaskConfig(train=["sentinel2"], test=["landsat7"])
    note = "Galileo-nano, public weights; csmask, real scenes: train sentinel2, test landsat7"
    try:
        find_weights("galileo_nano", None, ("encoder.safetensors", "encoder.pt"))
        found = (Path(os.environ.get("GEOADAPT_DATA", "../shared/data")) / "cloudmask" / "ukis_csmask").is_dir()
    except GeoadaptError:
        found = False
    if quick or not found:
        backbone = SmallEoConfig(random_weights=True)
        size = 128 if quick else 512
        data = SimulatedConfig(root=str(folder / "simulated"), scenes=2, size=size, test_scenes=1, block=32)
        ensure(data)
        note = "small_eo, random weights; simulated scenes"
    job = JobConfig(
        backbone,
        HeadOnlyConfig(),
        FcnConfig(),
        CloudSegmentationConfig(),
        data,
        TrainConfig(chip=32 if quick else 64, cache_dir=str(folder / "cache")),
        InferConfig(),
        RuntimeConfig(device="cpu", threads=1, precision="fp32"),
    )
    return job, note


def time_epochs(job: JobConfig, chips: int, rounds: int, folder: Path) -> dict[str, list[float]]:
    """Seconds of an epoch from the cache and anew, in interleaved rounds after one that is not counted."""
    views = 2
    steps = -(-chips * views // job.train.batch)
    train = replace(job.train, cache=views, cache_chips=chips, steps=steps, val_every=steps)
    setting = prepare(replace(job, train=train), folder)
    model = build_for(setting, setting.job)
    groups = parameter_groups(model, setting.job)
    optimizer = torch.optim.AdamW([p for group in groups for p in group.parameters], lr=1e-4)
    feeds = {
        "cached": make_feed(model, setting.data, setting.job, folder),
        "anew": make_feed(model, setting.data, replace(setting.job, train=replace(train, cache_store=False)), folder),
    }
    runs: dict[str, list[float]] = {f"{name}{clock}": [] for name in feeds for clock in ("", CPU)}
    for index in range(rounds + 1):
        for name, feed in feeds.items():
            if feed.loaders is None:
                raise GeoadaptError("benchmark", "nothing to cache", "adapt later blocks")
            seconds, cpu = _epoch(feed.module, setting, feed.loaders(0).train, optimizer)
            if index:
                runs[name].append(seconds)
                runs[name + CPU].append(cpu)
    return runs


def _epoch(
    module: nn.Module, setting: Setting, loader: DataLoader[Any], optimizer: torch.optim.Optimizer
) -> tuple[float, float]:
    begin, cpu = time.perf_counter(), time.process_time()
    for batch in loader:
        setting.task.loss(module(batch), batch).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        optimizer.zero_grad()
    return time.perf_counter() - begin, time.process_time() - cpu


def fits_at_equal_time(
    job: JobConfig, budgets: Sequence[float], seeds: int, epoch: dict[str, float], folder: Path
) -> list[Score]:
    """Cached and uncached fits of about ``budgets`` seconds each; ``epoch`` holds seconds per step of both, and
    per sample of the filling.
    """  # noqa: D205, D212 - one sentence
    scores = []
    for seed in range(seeds):
        for budget in budgets:
            for mode in ("cached", "anew"):
                plan = _planned(replace(job, seed=seed), mode, budget, epoch)
                with tempfile.TemporaryDirectory(dir=folder) as name:
                    where = Path(name)
                    if mode == "cached":
                        plan = replace(plan, train=replace(plan.train, cache_dir=str(where / "cache")))
                    scores.append(_fitted(plan, mode, budget, where))
    return scores


def _planned(job: JobConfig, mode: str, budget: float, epoch: dict[str, float]) -> JobConfig:
    """As many steps as the time allows, and for the cache as many chips as a third of it fills."""
    filling = FILLING * budget if mode == "cached" else 0.0
    chips = max(job.train.batch, int(filling / epoch["fill"] / VIEWS))
    steps = max(2, int((budget - filling) / epoch[mode]))
    cache = (VIEWS, chips) if mode == "cached" else (0, 0)
    train = replace(job.train, steps=steps, val_every=max(1, steps // 4), cache=cache[0], cache_chips=cache[1])
    return replace(job, train=train)


def _fitted(plan: JobConfig, mode: str, budget: float, folder: Path) -> Score:
    setting = prepare(plan, folder)
    begin = time.process_time()
    model, result = fit_adapted(setting, plan, "fit")
    cpu = time.process_time() - begin
    scorer = module_scorer(model, setting.data.channels, setting.device)
    scored = score_scenes(scorer, setting.data.test, {}, setting.task.classes, plan.infer, multiple=model.spec.multiple)
    counts = sum(score.counts.sum(axis=0) for score in scored)
    return Score(mode, budget, plan.seed, result.seconds, cpu, result.steps, result.best, float(mean_iou(counts)))


def _print_epochs(runs: dict[str, dict[str, list[float]]], say: Callable[[str], None]) -> dict[str, float]:
    say(f"{'seconds per epoch':<40}{'anew':>9}{'cached':>9}{'ratio':>9}")
    ratios = {}
    for name, both in runs.items():
        ratios[name] = statistics.median(c / a for c, a in zip(both["cached"], both["anew"], strict=True))
        anew, cached = (statistics.median(both[key]) for key in ("anew", "cached"))
        verdict = (
            f"  (limit {LIMIT:g}) {'ok' if ratios[name] <= LIMIT else 'MISSED'}" if name == next(iter(runs)) else ""
        )
        say(f"{name:<40}{anew:>9.2f}{cached:>9.3f}{ratios[name]:>9.3f}{verdict}")
    return ratios


def _print_scores(scores: list[Score], budgets: Sequence[float], say: Callable[[str], None]) -> dict[str, float]:
    say(f"{'at equal wall time [s]':<24}{'':<8}{'wall s':>8}{'CPU s':>8}{'steps':>8}{'val mIoU':>10}{'test mIoU':>11}")
    ratios = {}
    for budget in budgets:
        means: dict[str, dict[str, float]] = {}
        for mode in ("anew", "cached"):
            own = [asdict(s) for s in scores if (s.budget, s.mode) == (budget, mode)]
            mean = {k: statistics.fmean(s[k] for s in own) for k in ("seconds", "cpu", "steps", "val", "test")}
            means[mode] = mean
            say(
                f"{budget:<24g}{mode:<8}{mean['seconds']:>8.1f}{mean['cpu']:>8.1f}{mean['steps']:>8.0f}"
                f"{mean['val']:>10.3f}{mean['test']:>11.3f}"
            )
        for side in ("val", "test"):
            ratios[f"{side}_miou_at_{budget:g}s"] = means["cached"][side] / max(means["anew"][side], 1e-9)
    return ratios


def main() -> None:
    """Measure, print two tables, and as the last line one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--chips", type=int, default=32, help="chips of the epoch that is timed, two views each")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--budgets", default="20,60", help="seconds of the fits at equal wall time; empty = none")
    parser.add_argument("--seeds", type=int, default=3, help="fits per budget")
    parser.add_argument("--quick", action="store_true", help="tiny, to see it run; its numbers mean nothing")
    parser.add_argument("--folder", type=Path, help="where to put the cache; a temporary folder if not given")
    arguments = parser.parse_args()
    chips, rounds, seeds = (4, 1, 1) if arguments.quick else (arguments.chips, arguments.rounds, arguments.seeds)
    budgets = [0.5] if arguments.quick else [float(part) for part in arguments.budgets.split(",") if part]
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory(dir=arguments.folder) as name:
        folder = Path(name)
        job, note = base_job(folder, arguments.quick)
        machine = platform.processor() or platform.machine()
        print(f"machine: {machine}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
        print(f"torch {torch.__version__}, 1 thread; {note}")
        train = job.train
        print(f"chips {train.chip}², batch {train.batch}; {2 * chips} views an epoch, {rounds} rounds")
        runs = {
            key: time_epochs(replace(job, adapter=adapter, head=head), chips, rounds, folder)
            for key, (adapter, head) in CASES.items()
        }
        ratios = _print_epochs(runs, print)
        steps = -(-2 * chips // train.batch)
        # on a machine that is shared, the processor's time is what the clock would show on an idle one
        timed = runs["cached_epoch_over_uncached"]
        first = {key: statistics.median(timed[key + CPU]) / steps for key in ("cached", "anew")}
        first["fill"] = (first["anew"] - first["cached"]) / train.batch
        scores = fits_at_equal_time(job, budgets, seeds, first, folder)
    if budgets:
        print(f"frozen backbone, fcn head, {seeds} seeds; anew: every chip is new; cached: {VIEWS} views of each chip")
        ratios |= _print_scores(scores, budgets, print)
    print(json.dumps({"name": "cache", "ratios": {key: round(value, 4) for key, value in ratios.items()}}))


if __name__ == "__main__":
    main()
