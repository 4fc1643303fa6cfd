"""A backbone that a run trained as a whole, stored by itself: another run starts from it with ``backbone.weights``.

In: a finished run with ``adapter=full``. Out: ``backbone/NAME/NAME.safetensors`` in half precision, and its card.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from geoadapt.backbones.config import PrithviEoConfig, SmallSeriesConfig
from geoadapt.backbones.weights import fingerprint
from geoadapt.config import JobConfig
from geoadapt.errors import GeoadaptError
from geoadapt.io.atomic import write_text
from geoadapt.model import AdaptedModel
from geoadapt.training.fit_types import FitResult
from geoadapt.training.pretrain import made_on, read_curve, save_half
from geoadapt.training.results import MODEL

__all__ = ["check_keeping", "keep_backbone"]

KEY = "train.keep_backbone"
PREFIXES = {PrithviEoConfig: "encoder.", SmallSeriesConfig: ""}
"""Whose weights can be written → what stands before the names of their tensors in the file."""


def check_keeping(job: JobConfig) -> None:
    """Raise GeoadaptError where a backbone is to be stored that is not trained, or that nothing could read."""
    if not job.train.keep_backbone:
        return
    if job.adapter.name != "full":
        raise GeoadaptError(KEY, f"adapter={job.adapter.name} leaves the backbone as it is", "choose adapter=full")
    if not isinstance(job.backbone, tuple(PREFIXES)):
        hint = "choose backbone=small_series, small_eo or a Prithvi-EO"
        raise GeoadaptError(KEY, f"weights of {job.backbone.name} are not written", hint)


def keep_backbone(
    job: JobConfig,
    model: AdaptedModel,
    data: Any,
    result: FitResult,
    metrics: Mapping[str, float],
    command: str,
    run_dir: Path,
) -> Path:
    """Write weights and card below ``run_dir``; ``data`` has a note, and says what it trained on; gives the folder."""
    name = job.backbone.name
    folder: Path = run_dir / "backbone" / name
    # the tables of positions are computed anyway
    prefix = next(prefix for kind, prefix in PREFIXES.items() if isinstance(job.backbone, kind))
    state = {f"{prefix}{k}": v for k, v in model.backbone.state_dict().items() if not k.endswith("pos_embed")}
    weights = save_half(state, folder / f"{name}.safetensors")
    card = {
        "name": name,
        "what": f"trained whole for {job.task.name}, without its head, float16",
        "channels": list(model.spec.inputs["optical"]),
        "units": "reflectance 0-1",
        "parameters": sum(p.numel() for p in model.backbone.parameters()),
        "data": data.note,
        "trained_on": [one.name for one in data.train],
        "simulated": bool(data.simulated),
        "command": command,
        "seed": job.seed,
        "steps": result.steps,
        "best_step": result.best_step,
        "seconds": round(result.seconds),
        **made_on(job),
        "test": {k: round(v, 6) for k, v in metrics.items() if k.startswith(f"{MODEL}/") and k.count("/") == 2},
        "loss_curve": read_curve(run_dir / "curves.csv"),
        "licence": "Apache-2.0",
        "config": {**asdict(job.backbone), "weights": None},
        "sha256": fingerprint(weights),
    }
    write_text(folder / "card.json", json.dumps(card, indent=1) + "\n")
    return folder
