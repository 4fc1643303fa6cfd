"""The checkpoints of a fit: written whole, kept where the run is, and found again to go on from.

In: what Lightning stores. Out: files below a run's folder; the one that ``train.resume`` names. They are read with
``weights_only=True``, and are never part of a bundle. Imports Lightning, as ``loop`` does, which alone imports this.
"""

from __future__ import annotations

import logging
import re
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.plugins.io import TorchCheckpointIO

from geoadapt.errors import GeoadaptError
from geoadapt.io.atomic import staged
from geoadapt.io.reason import reason

__all__ = ["Kept", "WholeCheckpoints", "resumed"]

log = logging.getLogger(__name__)

KEPT = tuple(f"{folder}last-[0-9]*.ckpt" for folder in ("", "checkpoints/", "fits/fit/checkpoints/"))
"""Where a run, or its folder of checkpoints, keeps what it can go on from."""


class WholeCheckpoints(TorchCheckpointIO):
    """Writes beside the place and renames: Lightning moves from the temporary folder, perhaps across file systems."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:
        """A file that is there is whole, whenever the process was killed; raises GeoadaptError for a full disk."""
        with staged(Path(path)) as part:
            try:
                torch.save(checkpoint, part)
            except RuntimeError as error:  # torch's own writer, which names neither the file nor the disk
                problem = f"the checkpoint cannot be written ({reason(error)})"
                raise GeoadaptError(path, problem, "check the free space") from error


class Kept(ModelCheckpoint):
    """Checkpoints whose best stays the best in a run that goes on in another folder; files of the first are left."""

    resumed: Path | None = None
    """What the run goes on from."""

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """As Lightning does where the folder is the same; raises GeoadaptError where the best so far is gone.

        Where the run's folder was moved or copied, the best one lies beside the one to go on from. A run that was
        killed after a later one took its place comes to that one again, for it repeats its steps.
        """
        state = {**state_dict, "dirpath": self.dirpath}
        if self.monitor is not None and self.resumed is not None and (told := state["best_model_path"]):
            path = next((p for p in (Path(told), self.resumed.with_name(Path(told).name)) if p.is_file()), None)
            if path is not None:
                models = {str(path): state["best_model_score"]}
                state |= {"best_model_path": str(path), "kth_best_model_path": str(path), "best_k_models": models}
            elif _later_best(self.resumed):
                state |= {"best_model_path": "", "best_model_score": None, "best_k_models": {}}
                state |= {"kth_best_model_path": "", "kth_value": None, "current_score": None}
            else:
                raise GeoadaptError(self.resumed, f"the best checkpoint so far is gone: {told}", "start anew")
        super().load_state_dict(state)


def resumed(resume: str) -> tuple[Path, int]:
    """The checkpoint that ``train.resume`` names, itself or as the newest of a run, and how many steps it has done."""
    place = Path(resume)
    found = sorted((path for pattern in KEPT for path in place.glob(pattern)), key=_step_of, reverse=True)
    problem = "holds no checkpoint"
    for path in found if place.is_dir() else [place]:
        try:
            return path, int(torch.load(path, weights_only=True, map_location="cpu")["global_step"])
        except (OSError, RuntimeError, KeyError, EOFError, UnpicklingError) as error:
            problem = f"is no checkpoint to resume from ({type(error).__name__})"
            if path != place:
                log.warning("%s %s: the one before it is tried", path, problem)
    raise GeoadaptError(resume, problem, "name a run's folder, or a file in its checkpoints/ folder")


def _later_best(last: Path) -> bool:
    """Whether a best checkpoint of a later step than that of ``last`` lies beside it."""
    return any(_step_of(path) > _step_of(last) for path in last.parent.glob("best-[0-9]*.ckpt"))


def _step_of(path: Path) -> int:
    found = re.match(r"[a-z]+-(\d+)", path.stem)
    return int(found.group(1)) if found else 0
