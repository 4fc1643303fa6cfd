"""What the feature cache's stores are called: everything that their values depend on.

In: a model, its data, how a fit runs. Out: plain data, of which a store's name is the sha256.
"""

from __future__ import annotations

import hashlib
from dataclasses import asdict
from typing import Any

import torch
from torch import nn

from geoadapt.config import JobConfig
from geoadapt.fields.identity import identity
from geoadapt.fields.scenes import Dataset
from geoadapt.fields.views import FixedViews
from geoadapt.model import AdaptedModel
from geoadapt.training.precision import chosen_precision

__all__ = ["store_keys"]

FORMAT = 1
"""Of the stores: another number, and none of the old ones is read."""
FITTING = ("steps", "batch", "lr", "weight_decay", "warmup", "val_every", "patience", "max_minutes", "most_skipped")
AROUND = ("controls", "start", "resume", "bootstrap", "workers")
OWN = ("cache", "cache_chips", "cache_store", "cache_dtype", "cache_dir")
ELSEWHERE = frozenset((*FITTING, *AROUND, *OWN))
"""Keys of TrainConfig that change no sample, or are told apart by their effect; every other one names a store."""


def store_keys(model: AdaptedModel, block: int, data: Dataset, job: JobConfig) -> dict[str, dict[str, Any]]:
    """Everything that the values of the two stores, ``train`` and ``val``, depend on, as plain data."""
    config = job.train
    views = FixedViews(data, config, job.seed)
    settings = asdict(model.backbone.settings)  # type: ignore[call-overload]
    told = {k: v for k, v in asdict(config).items() if k not in ELSEWHERE}
    shared = {
        "format": FORMAT,
        "backbone": {k: v for k, v in settings.items() if k not in ("weights", "seed", "random_weights")},
        "weights": _fingerprint(model.backbone),
        "block": block,
        "data": [asdict(job.data), identity(data)],
        "seed": job.seed,
        "multiple": model.spec.multiple,
        "precision": chosen_precision(job.runtime),
        "dtype": config.cache_dtype,
    }
    pool = {"pool": [views.views, views.chips], "train": {k: v for k, v in told.items() if k != "select"}}
    return {"train": {"side": "train", **shared, **pool}, "val": {"side": "val", **shared, "train": told}}


def _fingerprint(backbone: nn.Module) -> str:
    """The sha256 of every frozen tensor: also of weights that differ from their file."""
    trained = {name for name, p in backbone.named_parameters() if p.requires_grad}
    digest = hashlib.sha256()
    for name, value in sorted(backbone.state_dict().items()):
        if name not in trained:
            digest.update(name.encode())
            digest.update(value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()
