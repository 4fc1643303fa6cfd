"""Configurations of the tasks; plain data, no torch."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from geoadapt.errors import GeoadaptError, nearest

if TYPE_CHECKING:
    from geoadapt.metrics.weights import Box

__all__ = [
    "LOSS_NAMES",
    "RADIOMETRIC",
    "REMOVAL_ASKED",
    "REMOVAL_PROTOCOLS",
    "CloudRemovalConfig",
    "CloudSegmentationConfig",
    "ForecastingConfig",
    "PretrainingConfig",
    "WeatherPretrainingConfig",
]

LOSS_NAMES = ("ce", "focal", "dice", "lovasz")
CLASS_WEIGHTS = ("none", "balanced")
TOGETHER = ("auto", "yes", "no")
RADIOMETRIC = "radiometric"
REMOVAL_LOSSES = ("likelihood", "adversarial")
ATTENTIONS = ("masks", "teacher", "none")
REMOVAL_PROTOCOLS = (RADIOMETRIC, "sen2_mtc_new", "sen2_mtc_old")
REMOVAL_ASKED = ("keep_clear", "dates", "coverage", "test_samples", "protocol")
"""Keys that say what is asked of a restorer, and how it is scored; a bundle's card names them."""


def check_losses(losses: Mapping[str, float], known: Sequence[str]) -> None:
    """Raise where ``task.losses`` names one that is not ``known``, or weighs none."""
    for name, weight in losses.items():
        if name not in known:
            raise GeoadaptError(f"task.losses.{name}", "unknown loss", nearest(name, known))
        if not 0 <= weight < math.inf:
            raise GeoadaptError(f"task.losses.{name}", f"{weight}", "choose 0 or more")
    if not sum(losses.values()):
        raise GeoadaptError("task.losses", "nothing is weighed", f"choose from {', '.join(known)}")


def check_class_weights(how: str) -> None:
    """Raise where ``task.class_weights`` is no way to weigh classes."""
    if how not in CLASS_WEIGHTS:
        raise GeoadaptError("task.class_weights", f"'{how}' is unknown", nearest(how, CLASS_WEIGHTS))


@dataclass
class CloudSegmentationConfig:
    """Classes 0 clear, 1 cloud, 2 thin_cloud, 3 shadow, 255 nodata."""

    name: str = "cloud_segmentation"
    losses: dict[str, float] = field(default_factory=lambda: {"ce": 1.0, "dice": 0.5})
    """Loss → weight, of ``ce``, ``focal``, ``dice``, ``lovasz``."""
    class_weights: str = "none"
    """``none`` or ``balanced`` (by the square root of inverse frequency in the training blocks)."""

    def __post_init__(self) -> None:
        check_losses(self.losses, LOSS_NAMES)
        check_class_weights(self.class_weights)


@dataclass
class CloudRemovalConfig:
    """The last date of a series without its clouds, and the scale of the error; on the pixels that are hidden."""

    name: str = "cloud_removal"
    frames: int = 6
    """Dates that the backbone sees: the one to be restored and the nearest others; 0 = all, as the composite does."""
    together: str = "auto"
    """Whether the backbone sees these dates in one pass: ``yes``, ``no``, or ``auto``, as it was pre-trained."""
    radar: bool = True
    """Whether a backbone that takes radar is given it, where the data have it."""
    dates: int = 0
    """Dates of a sample, those nearest to its target; 0 = all."""
    coverage: tuple[float, float] = (0.05, 0.95)
    """Share of a chip's clear pixels that is hidden under pasted clouds, where no truth is known."""
    floor: float = 1e-3
    """What every scale has at least, in the loss [reflectance]."""
    l1: float = 0.0
    """Weight of the absolute error beside the likelihood."""
    loss: str = "likelihood"
    """``likelihood`` of the error, or ``adversarial``: PMAA as published, against a discriminator."""
    attention: str = "masks"
    """What an adversarial fit compares PMAA's cloud masks with: the data's ``masks``, where they know their clouds,
    the published ``teacher``'s, or ``none``."""
    teacher: str | None = None
    """The teacher's file or folder; None looks in GEOADAPT_WEIGHTS."""
    aux_loss: bool = False
    """Whether an adversarial fit also compares what single dates give with the truth; published runs do not."""
    label_noise: bool = False
    """Whether an adversarial fit blurs what the discriminator is to say; published runs do not."""
    keep_clear: bool = True
    """Clear pixels of the restored date stay as they are."""
    val_samples: int = 96
    """Samples that choose the weights and calibrate the scale, over all validation series."""
    test_samples: int = 480
    """Samples of the test, over all its series; 0 = every chip on every date."""
    protocol: str = RADIOMETRIC
    """``sen2_mtc_new`` and ``sen2_mtc_old`` add what is published on these sets: PSNR and SSIM of 8-bit colours, every
    image stretched on its own, under names of their own; reflectance is scored in any case."""

    def __post_init__(self) -> None:
        for name, least in (("frames", 0), ("dates", 0), ("val_samples", 1), ("test_samples", 0)):
            if getattr(self, name) < least:
                raise GeoadaptError(f"task.{name}", f"{getattr(self, name)}", f"choose {least} or more")
        for name, known in (
            ("together", TOGETHER),
            ("protocol", REMOVAL_PROTOCOLS),
            ("loss", REMOVAL_LOSSES),
            ("attention", ATTENTIONS),
        ):
            if getattr(self, name) not in known:
                raise GeoadaptError(f"task.{name}", f"'{getattr(self, name)}'", nearest(getattr(self, name), known))
        if len(self.coverage) != 2 or not 0 <= self.coverage[0] < self.coverage[1] <= 1:
            raise GeoadaptError("task.coverage", f"{list(self.coverage)}", "name two ascending shares from 0 to 1")
        if not 0 < self.floor < 1:
            raise GeoadaptError("task.floor", f"{self.floor}", "choose more than 0, such as 1e-3")
        if not 0 <= self.l1 < math.inf:
            raise GeoadaptError("task.l1", f"{self.l1}", "choose 0 or more")


@dataclass
class PretrainingConfig:
    """A masked autoencoder (He 2021): most patches are hidden, and painted from the rest."""

    name: str = "pretraining"
    hide: float = 0.75
    """Share of the patches that are hidden."""
    norm_target: bool = False
    """Whether each patch is to be painted with its own mean and deviation taken out."""

    def __post_init__(self) -> None:
        if not 0 < self.hide < 1:
            raise GeoadaptError("task.hide", f"{self.hide}", "choose more than 0 and less than 1")


@dataclass
class ForecastingConfig:
    """The next states of a field from its last ones; a model rolls out by feeding on what it predicted."""

    name: str = "forecasting"
    frames: int = 3
    """Past states that the model sees."""
    leads: tuple[int, ...] = (24, 72, 120)
    """Lead times that are reported [h]; multiples of data.step."""
    anomalies: str = "season"
    """What is taken out of the states: the climatology of place and date (``season``), the mean of the ``place``, or
    of the ``channel``."""
    output: str = "tendency"
    """What the head predicts: the ``tendency``, or the ``state``."""
    loss: str = "mse"
    """``mse`` or ``mae`` of errors in usual changes, weighted by the cosine of latitude."""
    weights: dict[str, float] = field(default_factory=dict)
    """Channel → weight in the loss; those that are not named weigh 1."""
    rollout: tuple[int, ...] = (1,)
    """Steps that are fitted one after the other, such as [1, 3]: each number for an equal share of the fit."""
    through: str = "all"
    """Gradients go through ``all`` steps of a roll-out, or by ``pushforward`` through each alone."""
    checkpointing: bool = False
    """Compute each step of a roll-out anew for its gradient: less memory, more time."""
    regions: dict[str, list[Any]] = field(default_factory=dict)
    """Boxes that the test scores apart: name → west, south, east, north [degrees], such as the tropics of the WMO's
    verification, ``{tropics: [0, -20, 360, 20]}``; none named = the whole grid alone."""

    def __post_init__(self) -> None:
        self.boxes()
        if self.frames < 1:
            raise GeoadaptError("task.frames", f"{self.frames}", "choose 1 or more")
        for name in ("leads", "rollout"):
            values = getattr(self, name)
            if not values or any(v < 1 for v in values) or list(values) != sorted(values):
                raise GeoadaptError(f"task.{name}", f"{list(values)}", "name one or more, ascending, from 1")
        for name, known in (
            ("anomalies", ("season", "place", "channel")),
            ("output", ("tendency", "state")),
            ("loss", ("mse", "mae")),
            ("through", ("all", "pushforward")),
        ):
            if getattr(self, name) not in known:
                raise GeoadaptError(f"task.{name}", f"'{getattr(self, name)}'", nearest(getattr(self, name), known))
        for name, weight in self.weights.items():
            if not 0 <= weight < math.inf:
                raise GeoadaptError(f"task.weights.{name}", f"{weight}", "choose 0 or more")

    def boxes(self) -> dict[str, Box]:
        """``regions`` as boxes; raises GeoadaptError for a name or a box that cannot be."""
        if not self.regions:
            return {}
        from geoadapt.metrics.weights import Box

        found = {}
        for name, edges in self.regions.items():
            where = f"task.regions.{name}"
            if not name or "/" in name:
                raise GeoadaptError(where, "is no name for a region", "choose a word without '/'")
            if len(edges) != 4 or any(isinstance(e, bool) or not isinstance(e, int | float) for e in edges):
                raise GeoadaptError(where, f"{edges}", "name west, south, east, north in degrees")
            try:
                found[name] = Box(*edges)
            except GeoadaptError as error:
                raise GeoadaptError(where, error.problem, error.hint) from error
        return found


@dataclass
class WeatherPretrainingConfig:
    """A weather backbone learns to forecast from the past, and to paint squares that are hidden."""

    name: str = "weather_pretraining"
    frames: int = 3
    """Most past states that it sees."""
    paint: float = 0.25
    """Share of the batches that are painted."""
    window: tuple[int, int] = (17, 33)
    """Rows and columns of a window; smaller archives are seen whole."""
    val_batches: int = 24

    def __post_init__(self) -> None:
        if self.frames < 1 or self.val_batches < 1:
            raise GeoadaptError("task", f"frames {self.frames}, val_batches {self.val_batches}", "choose 1 or more")
        if not 0 <= self.paint <= 1:
            raise GeoadaptError("task.paint", f"{self.paint}", "choose 0 to 1")
        if len(self.window) != 2 or min(self.window) < 4:
            raise GeoadaptError("task.window", f"{list(self.window)}", "name rows and columns, 4 or more")
