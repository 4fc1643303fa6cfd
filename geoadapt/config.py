"""The whole configuration of a run, as plain data; no torch.

In: nested mappings, as Hydra composes them. Out: a ``JobConfig`` with every part checked, or an error that names the key.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from geoadapt.adapters import ADAPTERS
from geoadapt.backbones import BACKBONES
from geoadapt.errors import GeoadaptError, nearest
from geoadapt.fields import DATASETS
from geoadapt.heads import HEADS
from geoadapt.registry import Entry, from_plain, look_up
from geoadapt.tasks import TASKS

__all__ = ["GROUPS", "InferConfig", "JobConfig", "RuntimeConfig", "TrainConfig", "job_from_plain"]


@dataclass
class TrainConfig:
    """How a fit runs."""

    steps: int = 400
    batch: int = 8
    chip: int = 64
    """Side of a training chip [px]."""
    lr: float = 2e-3
    weight_decay: float = 0.01
    warmup: float = 0.1
    """Fraction of the steps."""
    val_every: int = 50
    """Steps between validations."""
    patience: int = 0
    """Validations without a gain before stopping; 0 = never."""
    max_minutes: float | None = None
    """Wall-clock limit of the fit."""
    augment: bool = True
    gain_jitter: float = 0.15
    """Standard deviation of the per-band gain (log-normal)."""
    offset_jitter: float = 0.02
    """Standard deviation of the per-band offset [reflectance]."""
    band_dropout: float = 0.1
    """Chance that a chip loses one band."""
    controls: str = "all"
    """``all``, ``none``, or a comma-separated choice of rule, lda, unet, random_backbone, full_finetune."""
    resume: str | None = None
    """A checkpoint to go on from."""
    bootstrap: int = 1000
    workers: int = 0

    def __post_init__(self) -> None:
        for name in ("steps", "batch", "val_every", "bootstrap"):
            if getattr(self, name) < 1:
                raise GeoadaptError(f"train.{name}", f"{getattr(self, name)}", "choose 1 or more")
        if self.chip < 8:
            raise GeoadaptError("train.chip", f"{self.chip} px", "choose 8 or more")


@dataclass
class InferConfig:
    """How a scene is run."""

    tile: int = 256
    overlap: int = 64
    batch: int = 8
    threshold: float | None = None
    """Cloud where its probability reaches this; None = the most probable class."""
    cloud_buffer: int = 0
    """Clear pixels within this distance of a cloud are labelled cloud [px]."""
    probabilities: bool = False
    overwrite: bool = False
    compress: str = "DEFLATE"
    zero_is_nodata: str = "auto"
    """``auto`` warns where no nodata is declared and a border is all zero; ``yes`` and ``no`` decide."""

    def __post_init__(self) -> None:
        if self.tile < 8:
            raise GeoadaptError("infer.tile", f"{self.tile} px", "choose 8 or more")
        if not 0 <= self.overlap < self.tile:
            raise GeoadaptError(
                "infer.overlap", f"{self.overlap} px does not fit a tile of {self.tile} px", "choose overlap < tile"
            )
        if self.batch < 1:
            raise GeoadaptError("infer.batch", f"{self.batch}", "choose 1 or more")
        if self.cloud_buffer < 0:
            raise GeoadaptError("infer.cloud_buffer", f"{self.cloud_buffer} px", "choose 0 or more")
        if self.compress not in ("DEFLATE", "ZSTD"):
            raise GeoadaptError("infer.compress", f"'{self.compress}'", nearest(self.compress, ["DEFLATE", "ZSTD"]))


@dataclass
class RuntimeConfig:
    """Where it runs."""

    device: str = "auto"
    threads: int = 0
    """0 = as many as there are cores."""
    precision: str = "auto"
    """``fp32``, ``bf16``, or ``auto``: bf16 where the hardware has it, measured at start."""


@dataclass
class JobConfig:
    """One run: what is adapted, for what, on which data, how."""

    backbone: Any
    adapter: Any
    head: Any
    task: Any
    data: Any
    train: TrainConfig = field(default_factory=TrainConfig)
    infer: InferConfig = field(default_factory=InferConfig)
    runtime: RuntimeConfig = field(default_factory=RuntimeConfig)
    seed: int = 0


GROUPS: dict[str, dict[str, Entry]] = {
    "backbone": BACKBONES,
    "adapter": ADAPTERS,
    "head": HEADS,
    "task": TASKS,
    "data": DATASETS,
}
SECTIONS: dict[str, type] = {"train": TrainConfig, "infer": InferConfig, "runtime": RuntimeConfig}


def job_from_plain(plain: Mapping[str, Any]) -> JobConfig:
    """A checked JobConfig; raises GeoadaptError with the key and the nearest right name."""
    known = [*GROUPS, *SECTIONS, "seed"]
    for key in plain:
        if key not in known:
            raise GeoadaptError(str(key), "unknown key", nearest(str(key), known))
    made: dict[str, Any] = {"seed": int(plain.get("seed", 0))}
    for group, entries in GROUPS.items():
        if not plain.get(group):
            raise GeoadaptError(group, "nothing is chosen", f"add {group}=…; " + nearest("", entries))
        name = str(plain[group].get("name"))
        made[group] = from_plain(look_up(entries, name, group).config, plain[group], group)
    for section, config in SECTIONS.items():
        made[section] = from_plain(config, plain.get(section, {}), section)
    return JobConfig(**made)
