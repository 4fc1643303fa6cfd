"""The backbone of tests in which any will do: the shipped one's architecture, made small, with random weights."""

from __future__ import annotations

from typing import Any

from geoadapt.backbones.config import SmallEoConfig

__all__ = ["TINY", "TINY_WORDS", "tiny_backbone"]

TINY: dict[str, Any] = {"random_weights": True, "width": 32, "depth": 2, "heads": 2}
TINY_WORDS = ("backbone=small_eo", *(f"backbone.{key}={str(value).lower()}" for key, value in TINY.items()))
"""The same as overrides of the command line."""


def tiny_backbone(**changes: Any) -> SmallEoConfig:
    """Its configuration, ``changes`` overriding it."""
    return SmallEoConfig(**{**TINY, **changes})
