"""The feature cache: what lies below the first trainable block is computed once per view, and then read.

In: a model, its data, how a fit runs. Out: the module to fit and its batches. The module shares its parameters with the
model, so that after the fit the model holds what was learned.
"""

from __future__ import annotations

import hashlib
import json
import logging
import re
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Subset
from torch.utils.data import Dataset as TorchDataset

from geoadapt.backbones.base import SplitBackbone, State
from geoadapt.config import JobConfig, TrainConfig
from geoadapt.fields.chips import Sample
from geoadapt.fields.loaders import Loaders, make_loaders
from geoadapt.fields.scenes import Dataset
from geoadapt.fields.types import Batch
from geoadapt.fields.views import FixedViews, PoolOrder
from geoadapt.io.paths import as_path
from geoadapt.model import AdaptedModel
from geoadapt.tasks.processes import local_rank, rank, world
from geoadapt.training.cache_key import store_keys
from geoadapt.training.precision import chosen_precision
from geoadapt.training.store import DamagedError, Store, locked, size_of, write_store

__all__ = ["Feed", "StoredBatch", "UpperModel", "first_trained_block", "make_feed", "stored_bytes"]

log = logging.getLogger(__name__)

EVERY = 10.0
"""Between two lines about the filling [s]."""


@dataclass(frozen=True, slots=True)
class StoredBatch(Batch):
    """A batch with what the frozen blocks made of it."""

    state: State | None = None

    def to(self, device: torch.device | str) -> StoredBatch:
        """The same batch on ``device``."""
        moved = Batch.to(self, device)
        state = None if self.state is None else self.state.to(device)
        return StoredBatch(moved.inputs, moved.target, moved.lead_time, moved.where, state)


class UpperModel(nn.Module):
    """The trainable upper part of a model, on stored states; names and parameters are the model's own."""

    def __init__(self, model: AdaptedModel, block: int) -> None:
        super().__init__()
        self.backbone, self.head, self.block = model.backbone, model.head, block
        self.seen = model.seen

    def forward(self, batch: StoredBatch) -> Tensor:
        """Scores (b, t, k, h, w)."""
        features = self.backbone.upper(batch.state, self.block)  # type: ignore[operator]
        scores: Tensor = self.head(features, self.seen(batch))
        return scores


@dataclass(frozen=True, slots=True)
class Feed:
    """What a fit trains and on which batches, and the time that it took to have them ready [s]."""

    module: nn.Module
    loaders: Callable[[int], Loaders] | None = None
    """From a step on; None = random chips as they come."""
    seconds: float = 0.0
    folder: Path | None = None
    """What nobody needs after the fit."""

    def close(self) -> None:
        """Remove what only this fit needed."""
        if self.folder is not None and local_rank() == 0:
            shutil.rmtree(self.folder, ignore_errors=True)


def make_feed(model: AdaptedModel, data: Dataset, job: JobConfig, folder: Path) -> Feed:
    """The feed that ``train.cache`` asks for; stores lie in ``train.cache_dir``, or in ``folder`` for this fit alone.

    Raises GeoadaptError where the disk has no space for them.
    """
    config = job.train
    if not config.cache:
        return Feed(model)
    block = first_trained_block(model)
    if not block:
        log.info(
            "cache: nothing to cache: what is trained in %s begins with its first block, or before; every chip is new",
            model.spec.name,
        )
        return Feed(model)
    views = FixedViews(data, config, job.seed)
    if not config.cache_store:
        return Feed(model, lambda start: _plain_loaders(views, data, model, job, start))
    begin = time.perf_counter()
    root = as_path(config.cache_dir) if config.cache_dir else folder
    log.info(
        "cache: %d views each of %d chips, and the validation blocks, after block %d of %d",
        *(config.cache, views.chips, block, model.spec.blocks),
    )
    plain = make_loaders(data, config, job.seed, 0, model.spec.multiple, world(), rank())
    keys = store_keys(model, block, data, job)
    stores = {
        side: _obtain(root, model, block, samples, plain, job, keys[side])
        for side, samples in (("train", views), ("val", plain.val.dataset))
    }
    return Feed(
        UpperModel(model, block),
        lambda start: _stored_loaders(stores, views, data, model, job, start),
        time.perf_counter() - begin,
        None if config.cache_dir else root,
    )


def stored_bytes(model: AdaptedModel, data: Dataset, job: JobConfig) -> int:
    """What the stores of a fit take on disk; 0 where it keeps none."""
    config = job.train
    block = first_trained_block(model) if config.cache and config.cache_store else 0
    if not block:
        return 0
    plain = make_loaders(data, config, job.seed, 0, model.spec.multiple, world(), rank())
    total = 0
    for samples in (FixedViews(data, config, job.seed), plain.val.dataset):
        loader: DataLoader[Any] = DataLoader(Subset(samples, [0]), collate_fn=_Both(plain.val.collate_fn))
        for chips, state in _states(model, block, loader, 1, chosen_precision(job.runtime)):
            total += size_of(chips, state, config.cache_dtype) * len(samples)  # type: ignore[arg-type]
    return total


def first_trained_block(model: AdaptedModel) -> int:
    """How many of the backbone's leading blocks, and all before them, stay as they are in a fit; 0 = none can be kept.

    A trainable parameter in neither a block nor the norm behind the last one counts as lying before the first, and so
    does that norm where earlier maps go through it too.
    """
    backbone = model.backbone
    if not isinstance(backbone, SplitBackbone):
        return 0
    blocks = model.spec.blocks
    norm = 0 if getattr(getattr(backbone, "settings", None), "norm_taps", False) else blocks - 1
    names = {id(p): name for name, p in backbone.named_parameters()}
    moved = [p for p in backbone.parameters() if p.requires_grad] + list(model.attached.parameters())
    first = blocks
    for parameter in moved:
        name = names.get(id(parameter), "")
        found = re.match(r"blocks\.(\d+)\.", name)
        first = min(first, int(found[1]) if found else norm if name.startswith("norm.") else 0)
    return first


def _obtain(
    root: Path,
    model: AdaptedModel,
    block: int,
    samples: TorchDataset[Sample],
    plain: Loaders,
    job: JobConfig,
    key: dict[str, Any],
) -> Store:
    """The store of ``key``: as it lies there, or filled now."""
    name = hashlib.sha256(json.dumps(key, sort_keys=True, default=str).encode()).hexdigest()[:32]
    folder = root / name
    with locked(root / f".{name}.lock"):
        try:
            store = Store(folder)
            log.info("cache: %d %s samples are there already, in %s", len(store), key["side"], folder)
            return store
        except FileNotFoundError:
            pass
        except DamagedError as error:
            log.warning("cache: %s is damaged (%s) and is made anew", folder, error)
        count = len(samples)  # type: ignore[arg-type]
        loader: DataLoader[Any] = DataLoader(
            samples,
            batch_size=job.train.batch,
            num_workers=job.train.workers,
            collate_fn=_Both(plain.val.collate_fn),
        )
        states = _states(model, block, loader, count, chosen_precision(job.runtime))
        store = write_store(folder, count, states, job.train.cache_dtype, key)
    size = sum(file["bytes"] for file in store.index["files"].values())
    log.info("cache: %d %s samples, %.0f MiB in %s", count, key["side"], size / 2**20, folder)
    return store


@dataclass(frozen=True, slots=True)
class _Both:
    """Samples, and the batch that they make."""

    join: Callable[[list[Any]], Any]

    def __call__(self, samples: list[Sample]) -> tuple[list[Sample], Batch]:
        return samples, self.join(samples)


def _states(
    model: AdaptedModel, block: int, loader: DataLoader[Any], count: int, precision: str
) -> Iterator[tuple[list[Sample], State]]:
    """What the lower blocks make of every batch, in eval mode; says from time to time how far it is."""
    backbone = model.backbone
    device = next(backbone.parameters()).device
    training = {module: module.training for module in backbone.modules()}
    begin = said = time.perf_counter()
    done = 0
    backbone.eval()
    try:
        for samples, batch in loader:
            with torch.no_grad(), torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16"):
                state = backbone.lower(model.seen(batch.to(device)), block)  # type: ignore[operator]
            yield samples, state
            done += len(samples)
            now = time.perf_counter()
            if now - said > EVERY:
                said = now
                log.info("cache: %d of %d samples, %.0f s left", done, count, (now - begin) / done * (count - done))
    finally:
        for module, was in training.items():
            module.training = was


@dataclass(frozen=True, slots=True)
class _Read:
    """Numbers of samples to the batch that they make."""

    store: Store
    join: Callable[[list[Any]], Any]

    def __call__(self, numbers: list[int]) -> StoredBatch:
        samples, state = self.store.read(numbers)
        batch = self.join(samples)
        return StoredBatch(batch.inputs, batch.target, batch.lead_time, batch.where, state)


def _stored_loaders(
    stores: dict[str, Store], views: FixedViews, data: Dataset, model: AdaptedModel, job: JobConfig, start: int
) -> Loaders:
    plain = make_loaders(data, job.train, job.seed, start, model.spec.multiple, world(), rank())
    train: DataLoader[Any] = DataLoader(
        range(len(stores["train"])),  # type: ignore[arg-type]
        batch_size=plain.train.batch_size,
        sampler=_order(views, job.train, start),
        collate_fn=_Read(stores["train"], plain.train.collate_fn),
    )
    val: DataLoader[Any] = DataLoader(
        range(len(stores["val"])),  # type: ignore[arg-type]
        batch_sampler=plain.val.batch_sampler,
        collate_fn=_Read(stores["val"], plain.val.collate_fn),
    )
    return Loaders(train, val)


def _plain_loaders(views: FixedViews, data: Dataset, model: AdaptedModel, job: JobConfig, start: int) -> Loaders:
    plain = make_loaders(data, job.train, job.seed, start, model.spec.multiple, world(), rank())
    train: DataLoader[Any] = DataLoader(
        views,
        batch_size=plain.train.batch_size,
        sampler=_order(views, job.train, start),
        collate_fn=plain.train.collate_fn,
        num_workers=job.train.workers,
    )
    return replace(plain, train=train)


def _order(views: FixedViews, config: TrainConfig, start: int) -> PoolOrder:
    return PoolOrder(views, config.steps * config.batch, start * config.batch, world(), rank())
