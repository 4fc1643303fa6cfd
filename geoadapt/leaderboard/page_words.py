"""What entries, ways of training and controls are called on a page, and by which key a page filters them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from geoadapt.leaderboard.records import Regime, RunRecord
from geoadapt.leaderboard.table import Entry

__all__ = [
    "CONTROLS",
    "RANDOM",
    "Named",
    "adapter_words",
    "control_words",
    "filter_key",
    "filter_words",
    "named",
    "ways",
]

ADAPTERS = {
    "lora": "LoRA",
    "dora": "DoRA",
    "ia3": "IA3",
    "ln_tuning": "LN tuning",
    "bitfit": "BitFit",
    "partial": "partial fine-tuning",
    "full": "full fine-tuning",
}
REGIMES: Mapping[Regime, str] = {
    "frozen": "frozen",
    "peft": "PEFT",
    "full": "full fine-tuning",
    "scratch": "from scratch",
    "none": "rules",
}
WAYS = ("frozen", "peft", "full", "scratch", "none")
"""In this order pages and pictures name them."""
RANDOM = " (random weights)"
"""Ends the name of a backbone whose weights are random."""
CONTROLS: Mapping[str, tuple[str, Regime | None]] = {
    "rule": ("the rule", "none"),
    "simple": ("the simple model on raw inputs", "scratch"),
    "scratch": ("the small network from scratch", "scratch"),
    "frozen_ridge": ("ridge on frozen features", None),
    "random_backbone": ("the same backbone with random weights", None),
    "full_finetune": ("full fine-tuning", "full"),
    "lda": ("the per-pixel discriminant", "scratch"),
    "unet": ("the U-Net from scratch", "scratch"),
    "cnn": ("the CNN from scratch", "scratch"),
    "eof_ridge": ("EOF ridge regression", "scratch"),
    "pmaa": ("PMAA from scratch", "scratch"),
    "climatology": ("climatology", "none"),
    "persistence": ("persistence", "none"),
    "damped": ("damped persistence", "none"),
    "zero_shot": ("the backbone as it was pre-trained", None),
    "temporal_mean": ("the mean over time", "none"),
    "temporal_median": ("the median over time", "none"),
    "nearest_clear": ("the nearest clear date", "none"),
    "last_clear": ("the last clear date", "none"),
    "linear": ("linear interpolation in time", "none"),
    "harmonic": ("a yearly wave", "none"),
}
"""WHO of ``metrics.json`` → what a sentence calls it, and how it was trained where it is an entry of its own."""


@dataclass(frozen=True, slots=True)
class Named:
    """An entry as a page shows it."""

    entry: Entry
    name: str
    regime: str
    """Key of the filter."""
    anchor: str

    @property
    def spoken(self) -> str:
        """What a sentence calls it."""
        return self.name.removesuffix(" (rule)").replace(", ", " ")

    @property
    def way(self) -> Regime:
        """How it was trained."""
        found: Regime = self.entry[2]  # type: ignore[assignment]
        return found


def adapter_words(adapter: str) -> str:
    """``lora_r16`` as "LoRA r16"."""
    for known, words in ADAPTERS.items():
        if adapter == known or adapter.startswith(f"{known}_"):
            return words + adapter.removeprefix(known).replace("_", " ")
    return adapter


def control_words(who: str) -> str:
    """What a sentence calls a control."""
    return CONTROLS[who][0] if who in CONTROLS else who.replace("_", " ")


def filter_key(regime: Regime, adapter: str) -> str:
    """``frozen``, ``peft-lora``, ``full``, ``scratch`` or ``none``."""
    return f"peft-{re.sub(r'[^a-z0-9_]+', '-', adapter.lower())}" if regime == "peft" else regime


def filter_words(regime: Regime, adapter: str) -> str:
    """The same for people."""
    return f"PEFT: {adapter_words(adapter)}" if regime == "peft" else REGIMES[regime]


def ways(names: Iterable[Named]) -> dict[str, str]:
    """Key of the filter → its words, for the ways of training that there are, in the order of all pages."""
    found = sorted(names, key=lambda one: (WAYS.index(one.way), one.regime))
    return {one.regime: filter_words(one.way, one.entry[1]) for one in found}


def named(runs: Iterable[RunRecord], prefix: str = "") -> dict[Entry, Named]:
    """The entries of some runs, in their order; anchors begin with ``prefix``."""
    found: dict[Entry, Named] = {}
    for run in runs:
        entry = (run.backbone, run.adapter, run.regime)
        if entry not in found:
            key = filter_key(run.regime, run.adapter)
            found[entry] = Named(entry, _name(run), key, f"{prefix}e{len(found)}")
    return found


def _name(run: RunRecord) -> str:
    if run.regime == "peft":
        return f"{run.backbone} + {adapter_words(run.adapter)}"
    if run.regime == "none":
        return run.backbone if "rule" in run.backbone else f"{run.backbone} (rule)"
    also = f" + {adapter_words(run.adapter)}" if run.adapter not in ("none", "full") else ""
    return f"{run.backbone}{also}, {REGIMES[run.regime]}"
