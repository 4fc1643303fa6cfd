"""Configurations of the adapters; plain data, no torch."""

from __future__ import annotations

from dataclasses import dataclass

from geoadapt.errors import GeoadaptError, nearest

__all__ = [
    "BitFitConfig",
    "DoraConfig",
    "FullConfig",
    "HeadOnlyConfig",
    "Ia3Config",
    "LnTuningConfig",
    "LoraConfig",
    "PartialConfig",
]

FEEDFORWARD = ("mlp",)


@dataclass
class LoraConfig:
    """LoRA (Hu 2021) through peft, on the backbone's named target groups."""

    name: str = "lora"
    r: int = 8
    alpha: int = 16
    dropout: float = 0.0
    targets: tuple[str, ...] = ()
    """Target groups that the backbone declares, or regular expressions matched against whole module names.

    Empty = all of the backbone's own groups, by which name they are stored.
    """
    last_blocks: int | None = None
    """Only the last k blocks, those nearest the head; None = all.

    With the last ones alone nothing of what lies below them changes, so that its features need computing only once.
    """

    def __post_init__(self) -> None:
        if self.r < 1:
            raise GeoadaptError("adapter.r", f"rank {self.r}", "choose 1 or more")
        if self.alpha < 1:
            raise GeoadaptError("adapter.alpha", f"{self.alpha}", "choose 1 or more")
        if not 0 <= self.dropout < 1:
            raise GeoadaptError("adapter.dropout", f"{self.dropout}", "choose 0 or more and less than 1")
        check_last_blocks(self.last_blocks)


@dataclass
class DoraConfig(LoraConfig):
    """DoRA (Liu 2024) through peft: LoRA for the direction of a layer's weights, and a magnitude for each output."""

    name: str = "dora"


@dataclass
class Ia3Config:
    """(IA)³ (Liu 2022) through peft: a learned scale for each key, value and hidden feature."""

    name: str = "ia3"
    targets: tuple[str, ...] = ()
    """Target groups or regular expressions, as of LoRA.

    Of a group ``attention`` keys and values alone are scaled, of a group ``mlp`` what enters the layers that narrow;
    of other groups, and of what a regular expression matches, every layer.
    """
    feedforward: tuple[str, ...] = FEEDFORWARD
    """Which of the targets are scaled where they begin, and not where they end."""
    last_blocks: int | None = None
    """Only the last k blocks, as of LoRA; None = all."""

    def __post_init__(self) -> None:
        check_last_blocks(self.last_blocks)
        known = (*self.targets, *FEEDFORWARD)
        if unknown := [name for name in self.feedforward if name not in known]:
            hint = nearest(unknown[0], known)
            raise GeoadaptError("adapter.feedforward", f"'{unknown[0]}' is none of adapter.targets", hint)


@dataclass
class LnTuningConfig:
    """LN tuning (Zhao 2023) through peft: scale and shift of the normalisations, of whatever kind, are trained."""

    name: str = "ln_tuning"
    targets: tuple[str, ...] = ()
    """Regular expressions matched against whole names of normalisations; empty = all in the blocks, and ``norm``."""
    last_blocks: int | None = None
    """Only those in the last k blocks, without the norm behind them; None = all."""

    def __post_init__(self) -> None:
        check_last_blocks(self.last_blocks)


@dataclass
class BitFitConfig:
    """BitFit (Ben Zaken 2021): the biases alone are trained."""

    name: str = "bitfit"
    targets: tuple[str, ...] = ()
    """Target groups or regular expressions of modules with a bias; empty = all in the blocks, and ``norm``."""
    last_blocks: int | None = None
    """Only those in the last k blocks, without the norm behind them; None = all."""

    def __post_init__(self) -> None:
        check_last_blocks(self.last_blocks)


@dataclass
class PartialConfig:
    """Partial fine-tuning (Yosinski 2014; He 2021, section 4.3): the last blocks are trained, all of each."""

    name: str = "partial"
    last_blocks: int = 1
    """How many blocks, those nearest the head; what lies below them stays, so that it needs computing only once."""
    lr_scale: float = 0.1
    """The blocks' learning rate over the head's."""

    def __post_init__(self) -> None:
        check_last_blocks(self.last_blocks)
        check_lr_scale(self.lr_scale)


@dataclass
class HeadOnlyConfig:
    """No adapter: the backbone stays as published, the head alone is trained."""

    name: str = "none"


@dataclass
class FullConfig:
    """Full fine-tuning: every floating-point parameter of the backbone is trained."""

    name: str = "full"
    lr_scale: float = 0.1
    """The backbone's learning rate over the head's."""

    def __post_init__(self) -> None:
        check_lr_scale(self.lr_scale)


def check_last_blocks(count: int | None) -> None:
    """Raise where ``last_blocks`` names no block at all."""
    if count is not None and count < 1:
        raise GeoadaptError("adapter.last_blocks", f"{count}", "choose 1 or more, or null for all")


def check_lr_scale(scale: float) -> None:
    """Raise where ``lr_scale`` is no rate."""
    if not 0 < scale < float("inf"):
        raise GeoadaptError("adapter.lr_scale", f"{scale}", "choose a positive number, such as 0.1")
