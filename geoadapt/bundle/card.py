"""What ``bundle.json`` says of a bundle: plain data, and the sha256 of every other file.

In: the folder. Out: its card, checked against the files that lie there.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from geoadapt.cubes.classes import ClassInfo
from geoadapt.errors import GeoadaptError
from geoadapt.io.manifest import sha256

__all__ = ["CARD", "FORMAT", "HEAD", "BundleCard", "read_card"]

FORMAT = 1
CARD = "bundle.json"
HEAD = "head.safetensors"


@dataclass(frozen=True, slots=True)
class BundleCard:
    """What ``bundle.json`` says: plain data, the single source of everything else."""

    name: str
    task: str
    backbone: dict[str, Any]
    adapter: dict[str, Any]
    head: dict[str, Any]
    source: dict[str, Any]
    """The backbone's published file: name, sha256, where to get it, licence."""
    channels: tuple[str, ...]
    units: str
    mean: tuple[float, ...]
    """Per channel, over the training blocks [reflectance]."""
    std: tuple[float, ...]
    classes: tuple[ClassInfo, ...]
    metrics: dict[str, float]
    data: str
    seed: int
    command: str
    licence: str
    simulated: bool = False
    rule: dict[str, float] | None = None
    threshold: float | None = None
    """Cloud where its probability reaches this; None = the most probable class. Its metrics were measured so."""
    chip: int = 64
    """Side of the chips that it was trained on [px]."""
    forecast: dict[str, Any] | None = None
    """Of a forecaster: how it steps, on which grid, at which leads it was tested, and what its baselines are."""
    removal: dict[str, Any] | None = None
    """Of a restorer: which dates its backbone sees and how, whether clear pixels stay, and what its baselines are."""
    samples: dict[str, Any] | None = None
    """Of a model of labelled samples: its task and target, the inputs that it takes, and what its baselines are."""


def read_card(folder: Path) -> tuple[BundleCard, str]:
    """The checked card of a bundle and its sha256; every file is compared with the hash that the card names."""
    file = folder / CARD
    if not file.is_file():
        raise GeoadaptError(folder, f"is no bundle: it has no {CARD}", "name the folder that `geoadapt train` wrote")
    raw = file.read_bytes()
    try:
        plain = json.loads(raw)
    except ValueError as error:
        raise GeoadaptError(file, f"is not JSON ({error})", "the bundle is damaged; take a fresh copy") from error
    if not isinstance(plain, dict) or plain.get("format") != FORMAT:
        raise GeoadaptError(
            file, f"format {plain.get('format') if isinstance(plain, dict) else '?'}", f"expected {FORMAT}"
        )
    _check_files(folder, plain.pop("files", {}))
    plain.pop("format")
    try:
        plain["classes"] = tuple(ClassInfo(c["value"], c["name"], tuple(c["colour"])) for c in plain["classes"])
        for key in ("channels", "mean", "std"):
            plain[key] = tuple(plain[key])
        card = BundleCard(**plain)
    except (KeyError, TypeError) as error:
        raise GeoadaptError(
            file, f"lacks or misspells a key ({error})", "the bundle is damaged; take a fresh copy"
        ) from error
    return card, hashlib.sha256(raw).hexdigest()


def _check_files(folder: Path, files: object) -> None:
    """Raise where a file is missing, changed, outside the folder, or one that the card does not name."""
    if not isinstance(files, dict):
        raise GeoadaptError(folder / CARD, "names no files", "the bundle is damaged; take a fresh copy")
    present = {str(file.relative_to(folder)): file for file in sorted(folder.rglob("*.*")) if file.is_file()}
    for name, file in present.items():
        if file.suffix in (".safetensors", ".json") and name not in files and name != CARD:
            raise GeoadaptError(file, f"is not named in {CARD}, so its hash is unknown", "take a fresh copy")
    for name, expected in files.items():
        file = folder / name
        if Path(name).is_absolute() or ".." in Path(name).parts or file.is_symlink():
            raise GeoadaptError(folder / CARD, f"names a file outside the bundle: {name!r}", "do not use this bundle")
        if not file.is_file():
            raise GeoadaptError(file, "is missing from the bundle", "take a fresh copy")
        if sha256(file) != expected:
            raise GeoadaptError(file, "has changed since the bundle was written (sha256 differs)", "take a fresh copy")
