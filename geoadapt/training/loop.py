"""One fit of one module, by Lightning. This module imports Lightning, so it is itself imported inside functions."""

from __future__ import annotations

import logging
import math
import signal
import sys
import time
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import lightning
import numpy as np
import torch
from lightning.pytorch.callbacks import Callback, EarlyStopping, ModelCheckpoint, RichProgressBar, Timer
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger
from torch import Tensor, nn
from torch.utils.data import DataLoader

from geoadapt.config import RuntimeConfig, TrainConfig
from geoadapt.errors import GeoadaptError
from geoadapt.fields.augment import Augmentation
from geoadapt.fields.chips import BlockChips, Collate, FromStep, RandomChips
from geoadapt.fields.scenes import Dataset
from geoadapt.fields.types import Batch
from geoadapt.metrics.segmentation import confusion, iou, mean_iou
from geoadapt.tasks.cloud_segmentation import CloudSegmentation
from geoadapt.training.precision import chosen_precision

__all__ = ["FitResult", "ParameterGroup", "fit", "seconds_per_step"]

MONITOR = "val/miou"


@dataclass(frozen=True, slots=True)
class ParameterGroup:
    """Parameters that share a learning rate, as a multiple of ``train.lr``."""

    parameters: Sequence[nn.Parameter]
    lr_scale: float = 1.0


@dataclass(frozen=True, slots=True)
class FitResult:
    """How a fit went: the validation score that chose the weights, and what it cost."""

    best: float
    best_step: int
    steps: int
    seconds: float
    curves: Path
    checkpoint: Path


class Fit(lightning.LightningModule):
    """The module under training, its task, and how its parameters are moved."""

    def __init__(
        self,
        module: nn.Module,
        groups: Sequence[ParameterGroup],
        task: CloudSegmentation,
        config: TrainConfig,
        seed: int,
    ) -> None:
        super().__init__()
        self.module = module
        self.groups = groups
        self.task = task
        self.config = config
        self.seed = seed
        self.counts = np.zeros((len(task.values), len(task.values) + 1), np.int64)
        self.strict_loading = False

    def configure_optimizers(self) -> Any:
        """AdamW, warm-up and a cosine to zero."""
        rates = [
            {"params": list(g.parameters), "lr": self.config.lr * g.lr_scale} for g in self.groups if len(g.parameters)
        ]
        optimizer = torch.optim.AdamW(rates, weight_decay=self.config.weight_decay)
        steps, warm = self.config.steps, max(1, round(self.config.warmup * self.config.steps))

        def rate(step: int) -> float:
            if step < warm:
                return (step + 1) / warm
            return 0.5 * (1 + math.cos(math.pi * min(1.0, (step - warm) / max(1, steps - warm))))

        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, rate)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def transfer_batch_to_device(self, batch: Batch, device: torch.device, dataloader_idx: int) -> Batch:
        """Batches know how to move themselves."""
        return batch.to(device)

    def training_step(self, batch: Batch, index: int) -> Tensor:
        """The loss of one batch; raises GeoadaptError where it is not finite."""
        # drop-path and dropout depend on the step alone, so that a resumed run draws what this one would have drawn
        torch.manual_seed(self.seed * 1_000_003 + self.global_step)
        loss = self.task.loss(self.module(batch), batch)
        if not bool(torch.isfinite(loss)):
            raise GeoadaptError(
                "train",
                f"the loss is {float(loss.detach())} at step {self.global_step}",
                f"lower train.lr, or check the data's values; {self._last_good()}",
            )
        self.log("train/loss", loss.detach(), on_step=True, on_epoch=False, prog_bar=True, batch_size=len(batch.where))
        return loss

    def _last_good(self) -> str:
        """Where to go on from, said for a person."""
        kept = [path for c in self.trainer.checkpoint_callbacks if (path := str(getattr(c, "best_model_path", "")))]
        return f"the last good checkpoint is {kept[-1]}" if kept else "no checkpoint was written before it"

    def on_validation_epoch_start(self) -> None:
        """Empty the counts."""
        self.counts[:] = 0

    def validation_step(self, batch: Batch, index: int) -> None:
        """Add one batch to the counts."""
        scores = self.module(batch)
        labels = self.task.labels(scores)[:, 0].cpu().numpy()
        target = batch.target
        if target is None:
            raise GeoadaptError("batch", "has no target", "use a labelled dataset")
        self.counts += confusion(target.values[:, 0, 0].cpu().numpy(), labels, self.task.values)
        self.log("val/loss", self.task.loss(scores, batch), on_epoch=True, batch_size=len(batch.where))

    def on_validation_epoch_end(self) -> None:
        """Scores from the counts."""
        self.log(MONITOR, float(np.nan_to_num(mean_iou(self.counts))), prog_bar=True)
        for name, value in zip(self.task.names, iou(self.counts), strict=True):
            self.log(f"val/iou/{name}", float(value))

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep what is trained: the frozen backbone is found again by its fingerprint."""
        trained = {name for name, p in self.named_parameters() if p.requires_grad}
        frozen = {name for name, p in self.named_parameters()} - trained
        state = checkpoint["state_dict"]
        checkpoint["state_dict"] = {name: value for name, value in state.items() if name not in frozen}


class FitProgress(RichProgressBar):
    """Lightning's bar over the steps of one fit, without the epochs and version numbers that mean nothing here."""

    def _get_train_description(self, current_epoch: int) -> str:
        return "fit".ljust(len(self.validation_description))

    def get_metrics(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule
    ) -> dict[str, int | str | float | dict[str, float]]:
        """The loss and the validation scores, three decimals."""
        found = super().get_metrics(trainer, pl_module)
        return {k: f"{v:.3f}" if isinstance(v, float) else v for k, v in found.items() if k != "v_num"}


def fit(
    module: nn.Module,
    groups: Sequence[ParameterGroup],
    task: CloudSegmentation,
    data: Dataset,
    config: TrainConfig,
    runtime: RuntimeConfig,
    seed: int,
    folder: Path,
    *,
    multiple: int = 1,
) -> FitResult:
    """Train ``module`` in place and leave it with the weights that scored best on the validation blocks.

    ``multiple`` is what the sides of its input must be a multiple of [px].
    Raises GeoadaptError where the loss stops being finite, or a checkpoint to resume from cannot be read.
    """
    _quiet()
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(seed)
    fitted = Fit(module, groups, task, config, seed)
    kept = folder / "checkpoints"
    best = ModelCheckpoint(kept, "best-{step}", monitor=MONITOR, mode="max", auto_insert_metric_name=False)
    # a new name each time: the one before is removed only after the new one is whole
    last = ModelCheckpoint(kept, "last-{step}", auto_insert_metric_name=False, save_on_train_epoch_end=False)
    callbacks: list[Callback] = [best, last]
    if config.max_minutes:
        callbacks.append(Timer(timedelta(minutes=config.max_minutes)))
    if config.patience:
        callbacks.append(EarlyStopping(MONITOR, mode="max", patience=config.patience))
    start = _steps_done(config.resume)
    table = CSVLogger(folder, name="", version=f"logs-{start}")
    shown = sys.stderr.isatty()
    if shown:
        callbacks.append(FitProgress())
    trainer = lightning.Trainer(
        max_steps=config.steps,
        val_check_interval=min(config.val_every, config.steps),
        check_val_every_n_epoch=None,
        log_every_n_steps=max(1, config.steps // 40),
        logger=[table, TensorBoardLogger(folder, name="", version="tensorboard")],
        callbacks=callbacks,
        enable_progress_bar=shown,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        accelerator="cpu" if runtime.device == "cpu" else "auto",
        devices=1,
        precision="bf16-mixed" if chosen_precision(runtime) == "bf16" else "32-true",
        gradient_clip_val=1.0,
        use_distributed_sampler=False,
    )
    begin = time.perf_counter()
    loaders = _loaders(data, config, seed, start, multiple)
    try:
        trainer.fit(fitted, *loaders, ckpt_path=config.resume, weights_only=True if config.resume else None)
    except SystemExit as left:  # Lightning deafens and leaves the whole process where somebody pressed Ctrl-C
        if not trainer.interrupted:
            raise
        signal.signal(signal.SIGINT, signal.default_int_handler)
        raise KeyboardInterrupt from left
    seconds = time.perf_counter() - begin
    if not Path(best.best_model_path).is_file():
        raise GeoadaptError(
            config.resume or "train", f"the best checkpoint so far is gone: {best.best_model_path}", "start anew"
        )
    stored = torch.load(best.best_model_path, weights_only=True, map_location="cpu")
    fitted.load_state_dict(stored["state_dict"], strict=False)
    module.eval()
    return FitResult(
        best=math.nan if best.best_model_score is None else float(best.best_model_score),
        best_step=int(stored["global_step"]),
        steps=trainer.global_step,
        seconds=seconds,
        curves=Path(table.log_dir) / "metrics.csv",
        checkpoint=Path(best.best_model_path),
    )


def seconds_per_step(
    module: nn.Module, task: CloudSegmentation, data: Dataset, config: TrainConfig, seed: int
) -> float:
    """Median seconds of a few training steps that leave the module as it was [s]."""
    loader, _ = _loaders(data, config, seed, 0)
    taken: list[float] = []
    device = next(module.parameters()).device
    module.train()
    for batch in (batch.to(device) for batch in _first(loader, 4)):
        begin = time.perf_counter()
        task.loss(module(batch), batch).backward()  # type: ignore[no-untyped-call]
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        taken.append(time.perf_counter() - begin)
    module.zero_grad(set_to_none=True)
    return float(np.median(taken[1:] or taken))


def _first(loader: DataLoader[Any], count: int) -> Iterator[Batch]:
    for index, batch in enumerate(loader):
        if index >= count:
            return
        yield batch


def _loaders(
    data: Dataset, config: TrainConfig, seed: int, start: int, multiple: int = 1
) -> tuple[DataLoader[Any], DataLoader[Any]]:
    augmentation = Augmentation(
        zoom=config.zoom, gain=config.gain_jitter, offset=config.offset_jitter, band_dropout=config.band_dropout
    )
    count = config.steps * config.batch
    chips = RandomChips(data, config.chip, count, seed, augmentation if config.augment else None, config.edge)
    blocks = BlockChips(data, dict(data.val_blocks), config.chip, multiple)
    join = Collate(data.channels)
    train: DataLoader[Any] = DataLoader(
        chips,
        batch_size=config.batch,
        sampler=FromStep(count, start * config.batch),
        collate_fn=join,
        num_workers=config.workers,
    )
    val: DataLoader[Any] = DataLoader(blocks, batch_size=config.batch, collate_fn=join)
    return train, val


def _steps_done(resume: str | None) -> int:
    if resume is None:
        return 0
    try:
        return int(torch.load(resume, weights_only=True, map_location="cpu")["global_step"])
    except (OSError, RuntimeError, KeyError, EOFError, UnpicklingError) as error:
        hint = "name a file in a run's checkpoints/ folder"
        raise GeoadaptError(resume, f"is no checkpoint to resume from ({type(error).__name__})", hint) from error


def _quiet() -> None:
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    for message in (
        ".*does not have many workers.*",
        ".*exists and is not empty.*",
        ".*module.s. in eval mode at the start of training.*",  # the frozen backbone stays in eval mode
        ".*isinstance.treespec, LeafSpec.*",
        ".*dirpath has changed.*",
        ".*dataloader is not resumable.*",  # ours is: it starts at the checkpoint's step
    ):
        warnings.filterwarnings("ignore", message=message)
