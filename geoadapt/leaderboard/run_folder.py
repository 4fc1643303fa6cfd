"""A run folder of ``geoadapt train`` as records: the model, and its controls as entries of their own.

In: ``metrics.json``, ``config.yaml`` and the bundle's card. Out: records that stand beside those of a benchmark.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from geoadapt.adapters import REGIMES as ADAPTER_REGIMES
from geoadapt.errors import GeoadaptError
from geoadapt.leaderboard.page_words import CONTROLS, RANDOM
from geoadapt.leaderboard.records import Direction, Regime, RunRecord
from geoadapt.report.wording import headline_channels, lead_hours, telling_leads

__all__ = ["HEADLINES", "METRICS", "read_run", "stored_metrics"]

METRICS = "metrics.json"
MODEL = "test"
HEADLINES: Mapping[str, tuple[str, Direction]] = {
    "cloud_segmentation": ("miou", "max"),
    "segmentation": ("miou", "max"),
    "classification": ("accuracy", "max"),
    "multilabel": ("macro_f1", "max"),
    "regression": ("rmse", "min"),
    "cloud_removal": ("mae/masked", "min"),
    "forecasting": ("rmse", "min"),
}
"""Task → the metric that a board compares its runs by, and which way it counts."""


def stored_metrics(folder: Path) -> dict[str, float]:
    """``metrics.json`` of a run folder, without what is unknown; raises GeoadaptError where it cannot be read."""
    path = folder / METRICS
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        return {str(key): float(value) for key, value in told.items() if value is not None}
    except OSError as error:
        raise GeoadaptError(path, f"cannot be read: {error.strerror or error}", "name a run folder") from error
    except (ValueError, TypeError, AttributeError) as error:
        raise GeoadaptError(path, f"is no mapping of names to numbers: {error}", "make the run again") from error


def read_run(folder: Path) -> list[RunRecord]:
    """The model of a run, then its controls; raises GeoadaptError for a folder that holds no fit with a test."""
    metrics, config = stored_metrics(folder), _config(folder)
    task = str(config["task"].get("name", ""))
    if task not in HEADLINES:
        raise GeoadaptError(folder, f"task '{task}' has no score to compare", f"known: {', '.join(HEADLINES)}")
    metric, direction = HEADLINES[task]
    key = _key(metrics, metric)
    if not key:
        raise GeoadaptError(folder, f"{METRICS} has no {MODEL}/{metric}", "its test was not read")
    card = _card(folder)
    told: dict[str, Any] = {
        "config_hash": hashlib.sha256((folder / "config.yaml").read_bytes()).hexdigest()[:12],
        "command": str(card.get("command", "")),
        "bundle": str(folder / "bundle") if (folder / "bundle").is_dir() else None,
        "simulated": bool(card.get("simulated", False)),
    }
    backbone, adapter, regime = _entry(config)
    common = (_dataset(config["data"]), task, key, direction)
    model = RunRecord(
        *("runs", backbone, adapter, regime, str(config["head"].get("name") or "none"), *common),
        *(metrics[f"{MODEL}/{key}"], int(config["seed"])),
        trainable=int(metrics.get(f"{MODEL}/parameters", 0)),
        seconds=metrics.get(f"{MODEL}/train_seconds", math.nan),
        mpx_per_second=metrics.get(f"{MODEL}/mpx_per_second", math.nan),
        extra={"folder": str(folder), **_controls(metrics, key)},
        **told,
    )
    return [model, *_twins(model, metrics, told)]


def _config(folder: Path) -> dict[str, Any]:
    from omegaconf import OmegaConf

    path = folder / "config.yaml"
    try:
        plain = OmegaConf.to_container(OmegaConf.load(path), resolve=False)
    except Exception as error:
        raise GeoadaptError(path, f"cannot be read: {str(error).splitlines()[0]}", "a run folder has one") from error
    for name in ("backbone", "adapter", "head", "task", "data"):
        if not isinstance(plain, dict) or not isinstance(plain.get(name), dict):
            raise GeoadaptError(path, f"has no {name}", "it is no fit: name a run folder of geoadapt train")
    assert isinstance(plain, dict)
    return {"seed": 0, **{str(key): value for key, value in plain.items()}}


def _card(folder: Path) -> dict[str, Any]:
    """What the bundle says of its run, as far as it is told."""
    try:
        found = json.loads((folder / "bundle" / "bundle.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _entry(config: Mapping[str, Any]) -> tuple[str, str, Regime]:
    backbone = str(config["backbone"].get("name") or "none")
    adapter = str(config["adapter"].get("name") or "none")
    regime: Regime = ADAPTER_REGIMES.get(adapter, "peft")  # type: ignore[assignment]
    if not config["backbone"].get("random_weights"):
        return backbone, adapter, regime
    return backbone + RANDOM, adapter, "scratch" if regime == "full" else regime


def _dataset(data: Mapping[str, Any]) -> str:
    tested = data.get("test")
    parts = [str(data.get("name") or "data")]
    if isinstance(tested, list) and tested:
        parts.append("+".join(map(str, tested)))
    return "/".join(parts)


def _key(metrics: Mapping[str, float], metric: str) -> str:
    """The metric as it stands after WHO/: itself, or of the channel and the lead time that tell most."""
    if f"{MODEL}/{metric}" in metrics:
        return metric
    found = [key.removeprefix(f"{MODEL}/") for key in metrics if key.startswith(f"{MODEL}/{metric}/")]
    by_lead = [
        key.split("/") for key in found if len(key.split("/")) == 3 and math.isfinite(lead_hours(key.split("/")[2]))
    ]
    if not by_lead:
        return min((key for key in found if key.count("/") == 1), default="")
    (channel,) = headline_channels(sorted({parts[1] for parts in by_lead}), 1)
    lead = telling_leads(sorted(lead_hours(parts[2]) for parts in by_lead if parts[1] == channel))[0]
    return f"{metric}/{channel}/{lead:g}h"


def _controls(metrics: Mapping[str, float], key: str) -> dict[str, Any]:
    """Of every control its value, and how much better the model is, with the paired interval of that."""
    metric, _, rest = key.partition("/")
    tail = f"/{rest}" if rest else ""
    values = {
        name.split("/")[0]: value
        for name, value in metrics.items()
        if name.partition("/")[2] == key and not name.startswith(f"{MODEL}/")
    }
    gains = {
        who: [metrics[f"{who}/{metric}_gain{end}{tail}"] for end in ("", "_low", "_high")]
        for who in values
        if all(f"{who}/{metric}_gain{end}{tail}" in metrics for end in ("", "_low", "_high"))
    }
    return {"controls": values, "gains": gains}


def _twins(model: RunRecord, metrics: Mapping[str, float], told: Mapping[str, Any]) -> list[RunRecord]:
    """The controls that can be entries of their own."""
    found = []
    for who, value in model.extra["controls"].items():
        regime = CONTROLS[who][1] if who in CONTROLS else None
        if regime is None and who != "random_backbone":
            continue
        entry: tuple[str, str, Regime] = (who, "none", regime or "none")
        if who == "random_backbone":
            entry = (model.backbone + RANDOM, model.adapter, "scratch" if model.regime == "full" else model.regime)
        elif who == "full_finetune":
            entry = (model.backbone, "full", "full")
        found.append(
            RunRecord(
                *(model.board, *entry, model.head, model.dataset, model.task, model.metric, model.direction, value),
                model.seed,
                trainable=int(metrics.get(f"{who}/parameters", 0)),
                extra={"control": who, "beside": f"{model.backbone} + {model.adapter}"},
                **{**told, "bundle": None},
            )
        )
    return found
