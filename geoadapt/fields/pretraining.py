"""Images to learn from without labels: simulated scenes, and real tiles as often as their share asks for."""

from __future__ import annotations

from pathlib import Path

from geoadapt.cubes.scene import open_scene
from geoadapt.errors import GeoadaptError
from geoadapt.fields.config import PretrainingDataConfig
from geoadapt.fields.folder import metres
from geoadapt.fields.scenes import Dataset, LabelledScene, interleave, split_blocks
from geoadapt.io.paths import as_path
from geoadapt.words import counted

__all__ = ["CHANNELS", "build"]

CHANNELS = ("blue", "green", "red", "nir", "swir16", "swir22")


def build(config: PretrainingDataConfig, seed: int = 0) -> Dataset:
    """The images under ``config.root``; raises GeoadaptError where they have not been made yet."""
    root = as_path(config.root)
    simulated = _scenes(root / "simulated" / "images", config)
    real = _scenes(root / "real" / "images", config) if config.real else []
    scenes = (*simulated, *real)
    sides = {
        scene.name: split_blocks(
            *scene.shape, config.block, {"val": config.val_fraction, "train": 1 - config.val_fraction}, seed + index
        )
        for index, scene in enumerate(scenes)
    }
    return Dataset(
        name=config.name,
        channels=CHANNELS,
        train=scenes,
        test=(),
        train_blocks={name: split["train"] for name, split in sides.items()},
        val_blocks={name: split["val"] for name, split in sides.items()},
        note=counted(len(simulated), "simulated scene")
        + (f", {counted(len(real), 'real tile')} as {config.real_share:.0%} of the samples" if real else ""),
        simulated=True,
        turns=interleave(len(simulated), len(real), config.real_share) if real else (),
    )


def _scenes(folder: Path, config: PretrainingDataConfig) -> list[LabelledScene]:
    paths = sorted(folder.glob("*.tif"))
    if not paths:
        hint = f"make them: geoadapt prepare data=pretraining data.root={config.root}"
        raise GeoadaptError(folder, "holds no images", hint)
    scenes = []
    for path in paths:
        image = open_scene(path, channels=CHANNELS)
        scenes.append(LabelledScene(path.stem, image, None, (0,), metres(image.info)))
    return scenes
