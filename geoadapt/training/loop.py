"""One fit of one module, by Lightning. This module imports Lightning, so it is itself imported inside functions."""

from __future__ import annotations

import logging
import math
import signal
import sys
import time
import warnings
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.pytorch.callbacks import Callback, EarlyStopping, RichProgressBar, Timer
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger
from torch import Tensor, nn

from geoadapt.config import RuntimeConfig, TrainConfig
from geoadapt.errors import GeoadaptError
from geoadapt.fields.scenes import Dataset
from geoadapt.fields.types import Batch
from geoadapt.tasks.base import Tally, Task
from geoadapt.tasks.processes import rank, same_on_all, sum_over_processes, world
from geoadapt.training.checkpoints import Kept, WholeCheckpoints, resumed
from geoadapt.training.feeding import MakeLoaders, draw, fed
from geoadapt.training.fit_types import FitResult, ParameterGroup
from geoadapt.training.placing import placed
from geoadapt.training.precision import chosen_precision
from geoadapt.training.selection import selecting

__all__ = ["fit", "steps_done"]

log = logging.getLogger(__name__)

GRADIENT_NORM = 1.0
SPREAD = 0x9E3779B97F4A7C15
"""Between the seeds of two processes: far more than the steps of any run."""


class Fit(lightning.LightningModule):
    """The module under training, its task, and how its parameters are moved."""

    def __init__(
        self,
        module: nn.Module,
        groups: Sequence[ParameterGroup],
        task: Task,
        config: TrainConfig,
        seed: int,
    ) -> None:
        super().__init__()
        self.module = module
        self.groups = groups
        self.task = task
        self.config = config
        self.seed = seed
        self.tally: Tally = task.tally()
        self.skipped = 0
        self.skipping = False
        self.strict_loading = False

    def configure_optimizers(self) -> Any:
        """AdamW, warm-up and a cosine to zero."""
        rates = [
            {"params": list(g.parameters), "lr": self.config.lr * g.lr_scale, "betas": g.betas}
            for g in self.groups
            if len(g.parameters)
        ]
        optimizer = torch.optim.AdamW(rates, weight_decay=self.config.weight_decay)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, self.rate)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def rate(self, step: int) -> float:
        """The learning rate at a step, as a share of the highest."""
        steps, warm = self.config.steps, max(1, round(self.config.warmup * self.config.steps))
        if step < warm:
            return (step + 1) / warm
        return 0.5 * (1 + math.cos(math.pi * min(1.0, (step - warm) / max(1, steps - warm))))

    def on_train_start(self) -> None:
        """A resumed run goes on with the learning rate that is configured now, not the checkpoint's."""
        schedule: Any = self.lr_schedulers()
        schedule.base_lrs = [self.config.lr * g.lr_scale for g in self.groups if len(g.parameters)]
        for group, base in zip(schedule.optimizer.param_groups, schedule.base_lrs, strict=True):
            group["initial_lr"], group["lr"] = base, base * self.rate(schedule.last_epoch)

    def configure_gradient_clipping(self, optimizer: Any, *_: Any, **__: Any) -> None:
        """To a norm of one; raises GeoadaptError where it is not finite, before it reaches the weights."""
        parameters = [p for group in optimizer.param_groups for p in group["params"]]
        norm = torch.nn.utils.clip_grad_norm_(parameters, GRADIENT_NORM)
        if self.skipping or self._skips("gradient", norm):
            optimizer.zero_grad(set_to_none=True)

    def transfer_batch_to_device(self, batch: Batch, device: torch.device, dataloader_idx: int) -> Batch:
        """Batches know how to move themselves."""
        return batch.to(device)

    def training_step(self, batch: Batch, index: int) -> Tensor:
        """The loss of one batch; raises GeoadaptError where it is not finite."""
        # drop-path and dropout depend on the step alone, so that a resumed run draws what this one would have drawn;
        # each process drops its own
        torch.manual_seed((self.seed * 1_000_003 + self.global_step + rank() * SPREAD) % 2**63)
        draw(self.module, self.seed, self.global_step, batch, self.config.batch)
        loss = self.task.loss(self.module(batch), batch)
        self.skipping = self._skips("loss", loss.detach())
        self.log("train/loss", loss.detach(), on_step=True, on_epoch=False, prog_bar=True, batch_size=len(batch.where))
        # losses of its own that a module tells of, such as a discriminator's
        for name, value in getattr(self.module, "told", {}).items():
            self.log(f"train/{name}", value, on_step=True, on_epoch=False, batch_size=len(batch.where))
        return loss

    def _skips(self, what: str, value: Tensor) -> bool:
        """Whether to leave this step out for a value that is not finite; raises where no more may be."""
        if bool(torch.isfinite(value)):
            return False
        problem = f"the {what} is {float(value)} at step {self.global_step}"
        if self.skipped >= self.config.most_skipped:
            already = f", after {self.skipped} that were left out" if self.skipped else ""
            hint = f"lower train.lr, or check the data's values; {self._last_good()}"
            raise GeoadaptError("train", problem + already, hint)
        self.skipped += 1
        log.warning("%s: left out, %d of at most %d", problem, self.skipped, self.config.most_skipped)
        return True

    def _last_good(self) -> str:
        """Where to go on from, said for a person."""
        kept = [path for c in self.trainer.checkpoint_callbacks if (path := str(getattr(c, "best_model_path", "")))]
        return f"the last good checkpoint is {kept[-1]}" if kept else "no checkpoint was written before it"

    def on_validation_epoch_start(self) -> None:
        """Count from nothing."""
        self.tally = self.task.tally()

    def validation_step(self, batch: Batch, index: int) -> None:
        """Count one batch in."""
        draw(self.module, self.seed, -1 - index, batch, self.config.batch)
        self.tally.add(self.module(batch), batch)

    def on_validation_epoch_end(self) -> None:
        """The scores of all that was counted, by every process."""
        if world() > 1:
            self.tally.sums = sum_over_processes(self.tally.sums.to(self.device)).cpu()
        for name, value in self.tally.scores().items():
            self.log(f"val/{name}", value, prog_bar=name == self.task.monitor)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep what is trained: the frozen backbone is found again by its fingerprint."""
        trained = {name for name, p in self.named_parameters() if p.requires_grad}
        frozen = {name for name, p in self.named_parameters()} - trained
        state = checkpoint["state_dict"]
        checkpoint["state_dict"] = {name: value for name, value in state.items() if name not in frozen}
        checkpoint["skipped"] = self.skipped

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Go on counting."""
        self.skipped = checkpoint.get("skipped", 0)


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
    task: Task,
    data: Dataset | None,
    config: TrainConfig,
    runtime: RuntimeConfig,
    seed: int,
    folder: Path,
    *,
    multiple: int = 1,
    loaders: MakeLoaders | None = None,
) -> FitResult:
    """Train ``module`` in place and leave it with the weights that scored best on the validation blocks.

    ``multiple`` is what the sides of its input must be a multiple of [px]. ``loaders`` makes the batches from a step
    on, where they are not chips of ``data`` itself; a batch has ``train.batch`` samples over all processes.
    Raises GeoadaptError where the loss stops being finite, a checkpoint to resume from cannot be read, or the time is
    up before the first validation.
    """
    _quiet()
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(seed)
    task = selecting(task, config)
    fitted = Fit(module, groups, task, config, seed)
    kept = folder / "checkpoints"
    monitor = f"val/{task.monitor}"
    best = Kept(kept, "best-{step}", monitor=monitor, mode=task.mode, auto_insert_metric_name=False)
    # a new name each time: the one before is removed only after the new one is whole
    last = Kept(kept, "last-{step}", auto_insert_metric_name=False, save_on_train_epoch_end=False)
    callbacks: list[Callback] = [best, last]
    if config.max_minutes:
        callbacks.append(Timer(timedelta(minutes=config.max_minutes)))
    if config.patience:
        callbacks.append(EarlyStopping(monitor, mode=task.mode, patience=config.patience))
    resume, start = resumed(config.resume) if config.resume else (None, 0)
    best.resumed = resume
    batches = fed(data, config, seed, multiple, loaders)(start)
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
        **placed(runtime, fitted, batches),
        precision="bf16-mixed" if chosen_precision(runtime) == "bf16" else "32-true",
        plugins=[WholeCheckpoints()],
        use_distributed_sampler=False,
    )
    begin = time.perf_counter()
    try:
        trainer.fit(fitted, batches.train, batches.val, ckpt_path=resume, weights_only=True if resume else None)
    except SystemExit as left:  # Lightning deafens and leaves the whole process where somebody pressed Ctrl-C
        if not trainer.interrupted:
            raise
        signal.signal(signal.SIGINT, signal.default_int_handler)
        raise KeyboardInterrupt from left
    seconds = same_on_all(time.perf_counter() - begin)
    if not best.best_model_path:
        problem = f"the fit ended after {trainer.global_step} steps, before its first validation"
        raise GeoadaptError("train.max_minutes", problem, "allow more time, or lower train.val_every")
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


def steps_done(folder: Path) -> int:
    """Steps that the fit in ``folder`` had done by its last validation, the same on all processes."""
    return same_on_all(resumed(str(folder))[1] if rank() == 0 else 0)


def _quiet() -> None:
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    for message in (
        ".*`broadcast_buffers` is deprecated.*",  # older torch knows no other word
        ".*does not have many workers.*",
        ".*exists and is not empty.*",
        ".*module.s. in eval mode at the start of training.*",  # the frozen backbone stays in eval mode
        ".*isinstance.treespec, LeafSpec.*",
        ".*recommended to use `self.log.*sync_dist.*",  # every process logs the scores of all
        ".*dataloader is not resumable.*",  # ours is: it starts at the checkpoint's step
    ):
        warnings.filterwarnings("ignore", message=message)
