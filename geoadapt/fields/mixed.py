"""Real labelled scenes with simulated ones mixed into the training; validation and test are the real data's own.

In: two data configurations and a share. Out: a Dataset on the channels that both have, with the real data's classes.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from geoadapt.cubes.classes import CLOUD_CLASSES
from geoadapt.errors import GeoadaptError
from geoadapt.fields import DATASETS
from geoadapt.fields.config import MixedConfig
from geoadapt.fields.scenes import BlockSplit, Dataset, LabelledScene, MappedLabels, interleave
from geoadapt.registry import build as build_entry
from geoadapt.words import counted

__all__ = ["build"]

EVEN = 8
"""Times that every scene has its turn in one cycle, at least."""
THIN = next(c.value for c in CLOUD_CLASSES if c.name == "thin_cloud")


def build(config: MixedConfig, seed: int = 0) -> Dataset:
    """Both parts as one; raises GeoadaptError as they do, where nothing is a test, for no shared channel or class."""
    first, second = config.parts()
    real: Dataset = build_entry(DATASETS, first, seed)
    if not real.test and not real.test_blocks:
        names = [scene.name for scene in real.train]
        raise GeoadaptError("data.real.test", "names no test scene", f"choose from {names}")
    simulated: Dataset = build_entry(DATASETS, second, seed)
    channels = tuple(c for c in real.channels if c in simulated.channels)
    if not channels:
        raise GeoadaptError(
            "data.real",
            f"{real.name} has {list(real.channels)}, the simulated scenes have {list(simulated.channels)}",
            "choose real data with one of these channels",
        )
    table = _table(real.classes, config.thin_as)
    scenes = tuple(_relabelled(scene, table) for scene in simulated.train)
    both = {scene.name for scene in scenes} & {scene.name for scene in (*real.train, *real.test)}
    if both:
        raise GeoadaptError("data.real", f"a real scene is called '{min(both)}', like a simulated one", "rename it")
    return replace(
        real,
        name=config.name,
        channels=channels,
        train=(*real.train, *scenes),
        train_blocks={**real.train_blocks, **{s.name: _whole(s, second.block) for s in scenes}},
        note=_note(config, real, len(scenes), channels),
        turns=_turns(len(real.train), len(scenes), config.share),
    )


def _turns(real: int, simulated: int, share: float) -> tuple[int, ...]:
    """Turns in which scenes of one kind come equally often, or nearly: a short cycle would favour the first ones."""
    places = interleave(EVEN * real, EVEN * simulated, share)
    return tuple(p % real if p < EVEN * real else real + (p - EVEN * real) % simulated for p in places)


def _table(classes: tuple[int, ...], thin_as: str) -> dict[int, int]:
    """Simulated class value → the real data's; what is not in it is ignored."""
    table = {value: value for value in classes}
    named = {c.name: c.value for c in CLOUD_CLASSES}
    if THIN not in classes and named.get(thin_as) in classes:
        table[THIN] = named[thin_as]
    return table


def _relabelled(scene: LabelledScene, table: dict[int, int]) -> LabelledScene:
    """The scene with the real data's classes, of which it can express those that some value is mapped to."""
    if scene.label is None:
        raise GeoadaptError(scene.name, "has no labels", "make the simulated scenes again")
    classes = tuple(sorted({table[value] for value in scene.classes if value in table}))
    if not classes:
        raise GeoadaptError(
            "data.real",
            f"has classes {sorted(table.values())}, the simulated scenes have {list(scene.classes)}",
            "choose real data with one of these classes",
        )
    return replace(scene, label=MappedLabels(scene.label, table), classes=classes)


def _whole(scene: LabelledScene, block: int) -> BlockSplit:
    """All blocks: nothing of a simulated scene is held back."""
    height, width = scene.shape
    return BlockSplit(block, np.ones((-(-height // block), -(-width // block)), bool))


def _note(config: MixedConfig, real: Dataset, scenes: int, channels: tuple[str, ...]) -> str:
    lost = [c for c in real.channels if c not in channels]
    without = f", without {lost}, which are not simulated" if lost else ""
    thin = "" if THIN in real.classes else f"; simulated thin cloud as {config.thin_as}"
    return (
        f"{real.note}{without}; mixed with {counted(scenes, 'SIMULATED scene')}, {config.share:.0%} of the training "
        f"samples{thin}; validation and test are real"
    )
