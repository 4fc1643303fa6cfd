"""The page of a run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from geoadapt.config import JobConfig
from geoadapt.cubes.classes import ClassInfo
from geoadapt.fields.scenes import Dataset
from geoadapt.io.atomic import write_text
from geoadapt.training.scoring import SceneScore

__all__ = ["RunStory", "write_page"]


@dataclass(frozen=True, slots=True)
class RunStory:
    """What the page tells."""

    job: JobConfig
    data: Dataset
    classes: tuple[ClassInfo, ...]
    scored: Mapping[str, list[SceneScore]]
    metrics: Mapping[str, float]
    notes: Mapping[str, str]
    command: str
    curves: Path


def write_page(path: Path, story: RunStory) -> Path:
    """Write the page."""
    write_text(path, "")
    return path
