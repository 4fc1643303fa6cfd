"""``geoadapt predict``: run a bundle over scenes, whatever their size, into COGs with STAC items."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from geoadapt.cli.compose import compose
from geoadapt.cli.grammar import Flag, Request, Verb
from geoadapt.cli.progress import progress
from geoadapt.config import JobConfig
from geoadapt.errors import GeoadaptError

__all__ = ["VERB", "parse_bbox"]


def parse_bbox(text: str) -> tuple[float, float, float, float]:
    """West, south, east, north [degrees] from ``W,S,E,N``; raises GeoadaptError."""
    try:
        west, south, east, north = (float(part) for part in text.split(","))
    except ValueError:
        raise GeoadaptError("--bbox", f"'{text}'", "write four numbers: west,south,east,north [degrees]") from None
    if not (-180 <= west < east <= 180 and -90 <= south < north <= 90):
        raise GeoadaptError("--bbox", f"'{text}' is no box", "west < east and south < north, in degrees")
    return west, south, east, north
