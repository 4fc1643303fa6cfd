"""Paths as people write them. In: a name. Out: a path, taken literally wherever something has that very name."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["as_path"]


def as_path(name: str | os.PathLike[str]) -> Path:
    """The path; a leading ``~`` means a home folder only where nothing is called that."""
    literal = Path(name)
    return literal if os.path.lexists(literal) else Path(os.path.expanduser(literal))
