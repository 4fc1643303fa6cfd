"""Where the real data, golden vectors and public weights lie, for tests that list files while they are collected."""

from __future__ import annotations

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def folder(name: str) -> Path:
    """The folder that ``GEOADAPT_DATA``, ``GEOADAPT_GOLDEN`` or ``GEOADAPT_WEIGHTS`` names; it may be absent."""
    return Path(os.environ.get(f"GEOADAPT_{name.upper()}") or ROOT.parent / "shared" / name).resolve()
