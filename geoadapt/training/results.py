"""What a run leaves: flat metrics ``WHO/METRIC/NAME``, with intervals and paired gains over the controls."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from geoadapt.cubes.classes import NODATA
from geoadapt.io.atomic import write_text
from geoadapt.metrics.intervals import interval
from geoadapt.metrics.segmentation import Counts, bootstrap, iou, mean_iou, scores
from geoadapt.metrics.selective import aurc, least_aurc
from geoadapt.training.land_cover import land_covers
from geoadapt.training.scoring import SceneScore

__all__ = ["MODEL", "RunResult", "join_curves", "jsonable", "summarise", "write_metrics"]

MODEL = "test"
"""WHO stands for the model under test; every other WHO is a control's name."""


@dataclass(frozen=True, slots=True)
class RunResult:
    """Where a run left what."""

    folder: Path
    metrics: dict[str, float]
    bundle: Path
    """Of a pre-training run: the folder of its weights."""
    page: Path


def summarise(
    scored: Mapping[str, list[SceneScore]], names: tuple[str, ...], *, draws: int, seed: int
) -> dict[str, float]:
    """Flat metrics ``WHO/METRIC/NAME`` with 90 % intervals, and each control's paired difference to the model.

    Where scenes tell their land cover, ``WHO/miou/land_cover_NAME`` is that of its scenes alone.
    """
    blocks: dict[str, Counts] = {who: np.concatenate([s.counts for s in scenes]) for who, scenes in scored.items()}
    flat: dict[str, float] = {}
    for who, counts in blocks.items():
        flat |= {f"{who}/{key}": value for key, value in scores(counts.sum(axis=0), names).items()}
    per_class = bootstrap(blocks, iou, draws=draws, seed=seed)
    means = bootstrap(blocks, mean_iou, draws=draws, seed=seed)
    for who in blocks:
        drawn = {f"iou/{name}": per_class[who][:, i] for i, name in enumerate(names)} | {"miou": means[who]}
        model = {f"iou/{name}": per_class[MODEL][:, i] for i, name in enumerate(names)} | {"miou": means[MODEL]}
        for key, values in drawn.items():
            metric, _, rest = key.partition("/")
            tail = f"/{rest}" if rest else ""
            low, high = interval(values)
            flat |= {f"{who}/{metric}_low{tail}": low, f"{who}/{metric}_high{tail}": high}
            if who != MODEL:
                low, high = interval(model[key] - values)
                flat[f"{who}/{metric}_gain{tail}"] = flat[f"{MODEL}/{key}"] - flat[f"{who}/{key}"]
                flat |= {f"{who}/{metric}_gain_low{tail}": low, f"{who}/{metric}_gain_high{tail}": high}
    return flat | _by_land_cover(scored) | _doubt_metrics(scored[MODEL], draws=draws, seed=seed)


def _by_land_cover(scored: Mapping[str, list[SceneScore]]) -> dict[str, float]:
    """Mean IoU of the scenes of each land cover that is told, and how many they are."""
    flat: dict[str, float] = {}
    for name, members in land_covers([scene.land_cover for scene in scored[MODEL]]).items():
        for who, scenes in scored.items():
            value = float(mean_iou(np.concatenate([scenes[n].counts for n in members]).sum(axis=0)))
            if np.isfinite(value):
                flat |= {f"{who}/miou/{name}": value, f"{MODEL}/scenes/{name}": float(len(members))}
    return flat


def _doubt_metrics(scenes: Sequence[SceneScore], *, draws: int, seed: int) -> dict[str, float]:
    """How well each measure of doubt orders the errors, and how much better than softmax confidence."""
    if not all(scene.doubts for scene in scenes):
        return {}
    blocks = {name: np.concatenate([s.doubts[name] for s in scenes]) for name in scenes[0].doubts}
    asked = sum(int((s.truth != NODATA).sum()) for s in scenes)
    known = int(blocks["confidence"].sum())
    flat = {f"{MODEL}/instability_share": known / asked if asked else 0.0}
    if not known:
        return flat
    drawn = bootstrap(blocks, aurc, draws=draws, seed=seed)
    areas = {name: float(aurc(counts.sum(axis=0))) for name, counts in blocks.items()}
    perfect = float(least_aurc(blocks["confidence"].sum(axis=0)))
    flat[f"{MODEL}/aurc/perfect"] = perfect
    for name, area in areas.items():
        low, high = interval(drawn[name])
        flat |= {f"{MODEL}/aurc/{name}": area, f"{MODEL}/aurc_low/{name}": low, f"{MODEL}/aurc_high/{name}": high}
        flat[f"{MODEL}/eaurc/{name}"] = area - perfect
        if name != "confidence":
            low, high = interval(drawn["confidence"] - drawn[name])
            flat[f"{MODEL}/aurc_gain/{name}"] = areas["confidence"] - area
            flat |= {f"{MODEL}/aurc_gain_low/{name}": low, f"{MODEL}/aurc_gain_high/{name}": high}
    return flat


def jsonable(metrics: Mapping[str, float]) -> dict[str, float | None]:
    """The metrics in order, what is not a number as null."""
    return {key: (value if np.isfinite(value) else None) for key, value in sorted(metrics.items())}


def write_metrics(folder: Path, metrics: Mapping[str, float]) -> None:
    """``metrics.json`` in a run folder, which is made where it is not there."""
    folder.mkdir(parents=True, exist_ok=True)
    write_text(folder / "metrics.json", json.dumps(jsonable(metrics), indent=2) + "\n")


def join_curves(newest: Path, target: Path) -> None:
    """The curves of a fit, with those of the parts that it was resumed from (``logs-STEP/metrics.csv``) before them."""
    start = int(newest.parent.name.rpartition("-")[2])
    parts = [pd.read_csv(newest) if newest.is_file() else pd.DataFrame({"step": pd.Series(dtype=int)})]
    for older in sorted(
        newest.parent.parent.glob("logs-*"), key=lambda p: int(p.name.rpartition("-")[2]), reverse=True
    ):
        first = int(older.name.rpartition("-")[2])
        if first < start and (older / newest.name).is_file():
            rows = pd.read_csv(older / newest.name)
            parts.insert(0, rows[rows["step"] < start])
            start = first
    write_text(target, pd.concat(parts).to_csv(index=False))
