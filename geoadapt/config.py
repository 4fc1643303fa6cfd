"""The whole configuration of a run, as plain data; no torch.

In: nested mappings, as Hydra composes them. Out: a ``JobConfig`` with every part checked, or an error naming the key.
"""

from __future__ import annotations

import math
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

__all__ = [
    "CONTROLS",
    "GROUPS",
    "SECTIONS",
    "InferConfig",
    "JobConfig",
    "PUBLISHED",
    "RuntimeConfig",
    "TrainConfig",
    "job_from_plain",
]

CONTROLS = ("rule", "lda", "unet", "random_backbone", "full_finetune")
"""What a result is compared with, on the same pixels, in the same run: all of these, unless others are named."""
FORECAST_CONTROLS = (
    *("persistence", "climatology", "damped", "eof_ridge", "cnn"),
    *("random_backbone", "full_finetune", "zero_shot"),
)
"""The same for forecasts, on the same dates."""
REMOVAL_CONTROLS = (
    *("temporal_mean", "temporal_median", "nearest_clear", "linear", "harmonic", "last_clear"),
    *("pmaa", "random_backbone", "full_finetune"),
)
"""The same for cloud removal, on the same hidden pixels."""
SAMPLE_CONTROLS = ("rule", "simple", "scratch", "frozen_ridge", "random_backbone", "full_finetune")
"""The same for labelled samples: classes, labels, values and maps of them."""
CONTROLS_OF = {
    **dict.fromkeys(("classification", "multilabel", "regression", "segmentation"), SAMPLE_CONTROLS),
    "cloud_removal": REMOVAL_CONTROLS,
    "forecasting": FORECAST_CONTROLS,
    "pretraining": (),
    "weather_pretraining": (),
}
"""Task → its controls, where they are not those of segmentation."""
PUBLISHED = ("dl_l8s2_uv", "start")
"""What stands beside them where it is named: a published model; the bundle of ``train.start``, which always does."""
SELECTIONS = ("validation", "crafted_shifts")
COMPOSITE_PRODUCTS = ("median", "best_pixel", "monthly")


@dataclass
class TrainConfig:
    """How a fit runs."""

    steps: int = 400
    """Steps of the optimiser, one batch each."""
    batch: int = 8
    """Chips, or samples, of a step."""
    chip: int = 64
    """Side of a training chip [px]."""
    lr: float = 2e-3
    """The highest learning rate, after the warm-up."""
    weight_decay: float = 0.01
    """AdamW's, for all that is trained."""
    warmup: float = 0.1
    """Fraction of the steps."""
    val_every: int = 50
    """Steps between validations."""
    patience: int = 0
    """Validations without a gain before stopping; 0 = never."""
    max_minutes: float | None = None
    """Wall-clock limit of the fit."""
    augment: bool = True
    """Flip, turn, zoom and shade the chips, as the keys below say."""
    zoom: float = 2.0
    """Training chips cover between 1/zoom and zoom times their side; 1 = as they are."""
    edge: int = 0
    """Training labels within this distance of another class are left out: there annotators differ most [px]."""
    gain_jitter: float = 0.15
    """Standard deviation of the per-band gain (log-normal)."""
    offset_jitter: float = 0.02
    """Standard deviation of the per-band offset [reflectance]."""
    band_dropout: float = 0.1
    """Chance that a chip loses one band."""
    select: str = "validation"
    """What chooses a fit's weights: the score on the ``validation`` blocks, or its mean over ``crafted_shifts`` of
    them: other air, other bands, other resolutions and so on, except for what the augmentation draws anyway.
    With twelve shifts, as by default, a validation costs twelve times as much."""
    controls: str = "all"
    """``all`` of the task's, ``none``, or a comma-separated choice: of rule, lda, unet, random_backbone, full_finetune
    for clouds; of temporal_mean, temporal_median, nearest_clear, linear, harmonic, last_clear, pmaa, random_backbone,
    full_finetune for their removal; of persistence, climatology, damped, eof_ridge, cnn, random_backbone,
    full_finetune, zero_shot for forecasts; of rule, simple, scratch, frozen_ridge, random_backbone, full_finetune for
    labelled samples."""
    start: str | None = None
    """A bundle whose adapter and head the fit starts from; ``shipped`` is the one that comes with the package."""
    keep_backbone: bool = False
    """Whether a backbone that is trained as a whole (``adapter=full``) is also stored by itself, so that other runs
    start from it with ``backbone.weights``."""
    resume: str | None = None
    """A checkpoint to go on from, or a run's folder for the newest in it."""
    most_skipped: int = 0
    """Steps that may be left out because their loss or gradient is not finite, before the fit stops."""
    bootstrap: int = 1000
    """Resamples of the test's blocks for an interval."""
    workers: int = 0
    """Processes that read batches ahead; 0 = none but the run's own."""
    cache: int = 0
    """Views of each chip of a fixed pool, for which what lies below the first trainable block is computed once.

    0 = every chip is new, and nothing is kept.
    """
    cache_chips: int = 0
    """Chips in the pool; 0 = as many as the fit takes if no view comes twice, but no more than 256, or one a scene."""
    cache_store: bool = True
    """False trains on the same views and computes everything anew each time: slow, for comparison."""
    cache_dtype: str = "fp32"
    """How features are kept: ``fp32``, or ``bf16`` at half the size."""
    cache_dir: str | None = None
    """Where they are kept for other runs too; null = in the run's folder, until the fit is done."""

    def __post_init__(self) -> None:
        for name in ("cache", "cache_chips"):
            _within(f"train.{name}", getattr(self, name), low=0)
        _among("train.cache_dtype", self.cache_dtype, ("fp32", "bf16"))
        if self.cache > 1 and not self.augment:
            raise GeoadaptError("train.cache", f"{self.cache} views that are all alike", "set it to 1, or augment=true")
        for name in ("steps", "batch", "val_every", "bootstrap"):
            _within(f"train.{name}", getattr(self, name), low=1)
        _within("train.chip", self.chip, low=8, unit=" px")
        for name in ("weight_decay", "patience", "most_skipped", "edge", "gain_jitter", "offset_jitter", "workers"):
            _within(f"train.{name}", getattr(self, name), low=0)
        _within("train.zoom", self.zoom, low=1)
        for name in ("warmup", "band_dropout"):
            _within(f"train.{name}", getattr(self, name), low=0, high=1)
        if not 0 < self.lr < math.inf:
            raise GeoadaptError("train.lr", f"{self.lr}", "choose a positive number, such as 2e-3")
        if self.max_minutes is not None and not self.max_minutes > 0:
            raise GeoadaptError("train.max_minutes", f"{self.max_minutes}", "choose more than 0, or null for no limit")
        _among("train.select", self.select, SELECTIONS)
        for name in self.chosen_controls():
            known = (*CONTROLS, *SAMPLE_CONTROLS, *REMOVAL_CONTROLS, *FORECAST_CONTROLS, *PUBLISHED)
            _among("train.controls", name, tuple(dict.fromkeys(known)))

    def chosen_controls(self, task: str = "cloud_segmentation") -> tuple[str, ...]:
        """The controls by name; all that the task has, in their fixed order, where all are wanted."""
        if self.controls in ("all", "none"):
            return CONTROLS_OF.get(task, CONTROLS) if self.controls == "all" else ()
        return tuple(name.strip() for name in self.controls.split(",") if name.strip())


@dataclass
class InferConfig:
    """How a scene is run."""

    tile: int = 256
    """Side of what the model sees at once [px]."""
    overlap: int = 64
    """Between neighbouring tiles, whose predictions are blended there [px]."""
    batch: int = 8
    """Tiles at once; halved where memory does not suffice."""
    threshold: float | None = None
    """Cloud where its probability reaches this; None = as the bundle was tested, or else the most probable class."""
    cloud_buffer: int = 0
    """Clear pixels within this distance of a cloud are labelled cloud, in stacks of whatever a mask hides [px]."""
    thin_cloud: str = "keep"
    """Where a bundle tells translucent cloud apart: ``keep`` the class, or count it as ``cloud`` or as ``clear``."""
    probabilities: bool = False
    """Also the probability of every class."""
    instability: bool = False
    """Also how far apart the probabilities of overlapping tiles are; from an overlap of half a tile on it is known
    everywhere but in the scene's corners."""
    overwrite: bool = False
    """Also what is already finished is made anew."""
    compress: str = "DEFLATE"
    """Of the COGs: ``DEFLATE`` or ``ZSTD``."""
    zero_is_nodata: str = "auto"
    """``auto`` warns where no nodata is declared and a border is all zero; ``yes`` and ``no`` decide."""
    keep_clear: bool = True
    """Of a stack whose clouds are removed: what is clear stays as it was observed."""
    composites: list[str] = field(default_factory=lambda: list(COMPOSITE_PRODUCTS))
    """Of a stack: ``median`` of the clear dates, ``best_pixel`` (the one nearest to it), ``monthly`` medians."""
    scale: bool = True
    """Of a stack: also the expected error of what a model restored, where it knows one."""
    zarr: bool = True
    """Of a stack: also all of it as one GeoZarr (time, band, y, x)."""
    animation: bool = True
    """Of a stack: also its dates before and after, moving."""
    duplicates: str = "error"
    """Of a stack: two scenes of a day are an ``error``, the ``first`` counts, or a ``mosaic``: the first clear one."""
    damaged: str = "error"
    """Of a stack: a scene that cannot be read is an ``error``, or is left out and counted: ``skip``."""
    max_gap: float | None = None
    """Of a stack: two dates in a row that lie further apart are an error [days]; null = they may."""
    radar: str | None = None
    """Of a stack: a folder or store of Sentinel-1 of the same place [dB], for a bundle that was trained with it."""

    def __post_init__(self) -> None:
        for name in self.composites:
            _among("infer.composites", name, COMPOSITE_PRODUCTS)
        _within("infer.tile", self.tile, low=8, unit=" px")
        if not 0 <= self.overlap < self.tile:
            raise GeoadaptError(
                "infer.overlap", f"{self.overlap} px does not fit a tile of {self.tile} px", "choose overlap < tile"
            )
        _within("infer.batch", self.batch, low=1)
        _within("infer.cloud_buffer", self.cloud_buffer, low=0, unit=" px")
        if self.threshold is not None:
            _within("infer.threshold", self.threshold, low=0, high=1)
        if self.max_gap is not None and not self.max_gap > 0:
            raise GeoadaptError("infer.max_gap", f"{self.max_gap} days", "choose more than 0, or null for no check")
        _among("infer.duplicates", self.duplicates, ("error", "first", "mosaic"))
        _among("infer.damaged", self.damaged, ("error", "skip"))
        _among("infer.thin_cloud", self.thin_cloud, ("keep", "cloud", "clear"))
        _among("infer.compress", self.compress, ("DEFLATE", "ZSTD"))
        _among("infer.zero_is_nodata", self.zero_is_nodata, ("auto", "yes", "no"))


@dataclass
class RuntimeConfig:
    """Where it runs."""

    device: str = "auto"
    """``cpu``, ``cuda``, ``cuda:1``, ``mps``, or ``auto``: cuda where there is one."""
    threads: int = 0
    """0 = as many as there are cores."""
    precision: str = "auto"
    """``fp32``, ``bf16``, or ``auto``: bf16 for training where the device computes in it."""

    def __post_init__(self) -> None:
        _within("runtime.threads", self.threads, low=0)
        _among("runtime.precision", self.precision, ("auto", "fp32", "bf16"))
        _among("runtime.device", self.device.partition(":")[0], ("auto", "cpu", "cuda", "mps"))


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
    made: dict[str, Any] = {"seed": _seed(plain.get("seed", 0))}
    for group, entries in GROUPS.items():
        made[group] = _chosen(group, entries, plain.get(group))
    for section, config in SECTIONS.items():
        made[section] = from_plain(config, plain.get(section) or {}, section)
    return JobConfig(**made)


def _chosen(group: str, entries: Mapping[str, Entry], plain: Any) -> Any:
    """The configuration that one group's mapping describes, by the class of its ``name``."""
    if not plain:
        raise GeoadaptError(group, "nothing is chosen", f"add {group}=…; known: {', '.join(entries)}")
    if not isinstance(plain, Mapping):
        raise GeoadaptError(group, f"'{plain}' is no configuration", nearest(str(plain), entries))
    return from_plain(look_up(entries, str(plain.get("name")), f"{group}.name").config, plain, group)


def _seed(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**32:
        raise GeoadaptError("seed", f"{value!r}", "choose a whole number from 0 to 2³² − 1")
    return value


def _within(key: str, value: float, *, low: float, high: float = math.inf, unit: str = "") -> None:
    """Raise where ``value`` is outside [low, high], infinite or NaN."""
    if not (low <= value <= high and math.isfinite(value)):
        limits = f"{low:g} or more" if high == math.inf else f"{low:g} to {high:g}"
        raise GeoadaptError(key, f"{value}{unit}", f"choose {limits}")


def _among(key: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise GeoadaptError(key, f"'{value}'", nearest(value, known))
