"""Words for people that every part of the package needs."""

from __future__ import annotations

__all__ = ["counted"]


def counted(count: float, noun: str, plural: str = "") -> str:
    """``1 scene``, ``2 scenes``; ``plural`` where an s is not enough, as in ``counted(2, "series", "series")``."""
    return f"{count:.15g} {noun if count == 1 else plural or noun + 's'}"
