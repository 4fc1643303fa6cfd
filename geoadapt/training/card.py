"""The card of a run's bundle: what every task says of its model, and what one adds.

In: a job, its model, what was measured. Out: a BundleCard.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from geoadapt.bundle.card import BundleCard
from geoadapt.config import JobConfig
from geoadapt.model import AdaptedModel
from geoadapt.training.results import MODEL

__all__ = ["card_of", "note_of"]


def note_of(job: JobConfig, count: object) -> str:
    """The model under test in a line; ``count`` is of its parameters."""
    return f"{job.backbone.name} with {job.adapter.name} and the {job.head.name} head: {count}"


def card_of(
    job: JobConfig,
    model: AdaptedModel,
    data: Any,
    metrics: Mapping[str, float],
    command: str,
    *,
    channels: tuple[str, ...],
    mean: Iterable[Any],
    std: Iterable[Any],
    units: str = "reflectance",
    **more: Any,
) -> BundleCard:
    """What a bundle of ``model`` says; ``data`` has a note and says whether it is simulated, ``more`` is the task's."""
    return BundleCard(
        name=f"{job.task.name}-{job.backbone.name}-{job.adapter.name}",
        task=job.task.name,
        backbone={**asdict(job.backbone), "weights": None},
        adapter=asdict(getattr(model.attached, "settings", job.adapter)),
        head=asdict(job.head),
        source=model.source.as_plain(),
        channels=channels,
        units=units,
        mean=tuple(float(v) for v in mean),
        std=tuple(float(v) for v in std),
        classes=more.pop("classes", ()),
        metrics={k: v for k, v in metrics.items() if k.startswith(f"{MODEL}/") and np.isfinite(v)},
        data=data.note,
        seed=job.seed,
        command=command,
        licence=model.source.licence,
        simulated=data.simulated,
        **more,
    )
