"""A backbone by name, for code that composes no configuration."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from geoadapt.backbones import BACKBONES
from geoadapt.backbones.base import Backbone
from geoadapt.errors import GeoadaptError, nearest
from geoadapt.registry import build, from_plain, look_up

__all__ = ["create_backbone"]


def create_backbone(
    name: str, checkpoint: str | Path | None = None, channels: Sequence[str] | None = None, **overrides: Any
) -> Backbone:
    """The frozen backbone called ``name``.

    Args:
        name: as ``geoadapt list backbone`` shows it.
        checkpoint: a file of weights, or its folder; None looks in GEOADAPT_WEIGHTS, then on the hub.
        channels: common names of the channels it will be given; None = those it was made for.
        overrides: other keys of its configuration, such as ``random_weights=True``.

    Raises:
        GeoadaptError: for an unknown name, key or channel, and for weights that are missing or do not fit.
    """
    entry = look_up(BACKBONES, name, "backbone")
    plain: dict[str, Any] = {**overrides, "name": name}
    if checkpoint is not None:
        if plain.get("random_weights") or "weights" in plain:
            raise GeoadaptError("backbone.weights", "is given twice", "choose checkpoint, weights or random_weights")
        plain["weights"] = str(checkpoint)
    chosen = channels is not None and "channels" in {f.name for f in fields(entry.config)}
    if channels is not None and chosen:
        plain["channels"] = _names(channels)
    backbone: Backbone = build(BACKBONES, from_plain(entry.config, plain, "backbone"))
    if channels is not None and not chosen:
        _check(backbone, _names(channels))
    return backbone


def _names(channels: Sequence[str]) -> list[str]:
    """The channels as a list; a single name is one channel, not its letters."""
    return [channels] if isinstance(channels, str) else list(channels)


def _check(backbone: Backbone, channels: list[str]) -> None:
    """Raise where a backbone that takes any of its channels does not know one, or lacks one that it needs."""
    spec = backbone.spec
    known = [channel for names in spec.inputs.values() for channel in names]
    for channel in channels:
        if channel not in known:
            raise GeoadaptError("backbone.channels", f"{spec.name} knows no '{channel}'", nearest(channel, known))
    missing = [c for names in spec.required.values() for c in names if c not in channels]
    if missing:
        raise GeoadaptError("backbone.channels", f"{spec.name} needs {missing} too", f"given: {channels}")
