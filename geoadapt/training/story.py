"""What the pages of runs that predict fields tell alike, whatever their task.

In: what a run was, and its metrics. Out: a story with its entries' names in the order of the tables, the model first.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from geoadapt.errors import GeoadaptError
from geoadapt.training.results import MODEL

__all__ = ["SHARED_NAMES", "Story"]

SHARED_NAMES = {
    MODEL: "this model",
    "random_backbone": "the same backbone with random weights",
    "full_finetune": "full fine-tuning",
}
"""Of entries that every task has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """What a page tells; ``metrics`` begin with WHO."""

    called: ClassVar[Mapping[str, str]] = SHARED_NAMES
    """WHO → name."""
    title: str
    channels: tuple[str, ...]
    entries: Mapping[str, str]
    """WHO → what it is; ``test`` is the model."""
    metrics: Mapping[str, float]
    data: str
    simulated: bool
    command: str
    config: Mapping[str, object]
    curves: Path | None = None
    level: int = 90
    """Coverage of the intervals [%]."""

    def __post_init__(self) -> None:
        if MODEL not in self.entries:
            raise GeoadaptError(
                "page", f"entries {', '.join(self.entries)}", f"expected {MODEL}, the model, among them"
            )

    @property
    def names(self) -> dict[str, str]:
        """WHO → name, the model first."""
        return {who: self.called.get(who, who) for who in (MODEL, *(w for w in self.entries if w != MODEL))}

    @property
    def controls(self) -> dict[str, str]:
        """WHO → name of everything but the model."""
        return {who: name for who, name in self.names.items() if who != MODEL}
