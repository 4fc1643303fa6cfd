"""Simulated scenes, read like any folder of images and labels; the last ones are the test."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from geoadapt.errors import GeoadaptError
from geoadapt.fields.config import FolderConfig, SimulatedConfig
from geoadapt.fields.folder import build as build_folder
from geoadapt.fields.scenes import Dataset
from geoadapt.words import counted

__all__ = ["build"]


def build(config: SimulatedConfig, seed: int = 0) -> Dataset:
    """The scenes under ``config.root``; raises GeoadaptError where they have not been made yet."""
    landscapes = _landscapes(config)
    names = list(landscapes)
    if not 0 <= config.test_scenes < len(names):
        raise GeoadaptError(
            "data.test_scenes", f"{config.test_scenes} of {len(names)} scenes", "leave at least one to train on"
        )
    plain = FolderConfig(
        root=config.root,
        test=names[len(names) - config.test_scenes :],
        val_fraction=config.val_fraction,
        block=config.block,
    )
    made = build_folder(plain, seed)
    train, test = (
        tuple(replace(scene, land_cover=landscapes[scene.name]) for scene in side) for side in (made.train, made.test)
    )
    note = f"{counted(len(names), 'simulated scene')} of geoadapt, {config.test_scenes} of them the test"
    return replace(made, name=config.name, train=train, test=test, simulated=True, note=note)


def _landscapes(config: SimulatedConfig) -> dict[str, str | None]:
    """Scene name → landscape, in the order in which they were made, from the manifest that is written last."""
    path = Path(config.root) / "simulated.json"
    hint = f"geoadapt prepare data=simulated data.root={config.root}"
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        made = {str(name): spec["biome"] for name, spec in found["scenes"].items()}
    except OSError as error:
        raise GeoadaptError(config.root, "holds no simulated scenes", f"make them: {hint}") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise GeoadaptError(path, "is damaged", f"make the scenes again: {hint}") from error
    missing = [name for name in made if not (Path(config.root) / "images" / f"{name}.tif").is_file()]
    if missing:
        raise GeoadaptError(config.root, f"simulated scene {missing[0]} is missing", f"make them again: {hint}")
    return made
