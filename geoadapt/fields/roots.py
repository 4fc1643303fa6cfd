"""Where public sets lie: the folder that ``data.root`` names, else a set's own place below GEOADAPT_DATA."""

from __future__ import annotations

import os
from pathlib import Path

from geoadapt.io.paths import as_path

__all__ = ["ASK", "data_folder", "data_root"]

ASK = "set GEOADAPT_DATA, or data.root to the folder of the set"
"""The hint where a set is not there."""


def data_folder() -> Path:
    """The folder of public sets."""
    return Path(os.environ.get("GEOADAPT_DATA", "../shared/data"))


def data_root(chosen: str, below: str) -> Path:
    """The folder ``chosen``; where it is empty that called ``below`` in ``data_folder``, there or not."""
    return as_path(chosen) if chosen else data_folder() / below
