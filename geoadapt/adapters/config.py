"""Configurations of the adapters; plain data, no torch."""

from __future__ import annotations

from dataclasses import dataclass

from geoadapt.errors import GeoadaptError

__all__ = ["FullConfig", "HeadOnlyConfig", "LoraConfig"]


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
        if self.last_blocks is not None and self.last_blocks < 1:
            raise GeoadaptError("adapter.last_blocks", f"{self.last_blocks}", "choose 1 or more, or null for all")


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
        if not 0 < self.lr_scale < float("inf"):
            raise GeoadaptError("adapter.lr_scale", f"{self.lr_scale}", "choose a positive number, such as 0.1")
