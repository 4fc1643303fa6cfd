"""Labelled scenes in the layout of ukis-csmask's test files: every ``*.npz`` in a folder is a scene.

``img`` (h, w, 6) is TOA reflectance: blue green red nir swir16 swir22; ``msk`` (h, w, 1) holds 0 shadow,
1 water (clear), 2 probably snow (clear), 3 land (clear), 4 cloud.
"""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np

from geoadapt.errors import GeoadaptError
from geoadapt.fields.config import CsmaskConfig
from geoadapt.fields.roots import data_root
from geoadapt.fields.scenes import Dataset, LabelledScene, MappedLabels, choose_test, split_blocks
from geoadapt.io.arrays import ArraySource

__all__ = ["CHANNELS", "CLASS_TABLE", "build"]

CHANNELS = ("blue", "green", "red", "nir", "swir16", "swir22")
CLASS_TABLE = {0: 3, 1: 0, 2: 0, 3: 0, 4: 1}
RESOLUTIONS = {"sentinel2": 10.0, "landsat": 30.0}
SENSORS = ("sentinel2", "landsat5", "landsat7", "landsat8", "landsat9")
"""What a file's name may begin with."""


def build(config: CsmaskConfig, seed: int = 0) -> Dataset:
    """The scenes of ``config.root``, split by scene; raises GeoadaptError where a file is not of this layout."""
    root = data_root(config.root, "cloudmask/ukis_csmask")
    files = sorted(root.glob("*.npz"))
    if not files:
        found = sorted(p.name for p in root.iterdir())[:5] if root.is_dir() else "no such folder"
        raise GeoadaptError(root, f"no *.npz scene ({found})", "set data.root to a folder of scenes")
    train_names, test_names = choose_test([f.stem for f in files], config.test, config.train, "data.test")
    scenes = {f.stem: _scene(f) for f in files if f.stem in {*train_names, *test_names}}
    sides = {
        name: split_blocks(*scenes[name].shape, config.block, _fractions(config), seed + index)
        for index, name in enumerate(train_names)
    }
    return Dataset(
        name="csmask",
        channels=CHANNELS,
        train=tuple(scenes[n] for n in train_names),
        test=tuple(scenes[n] for n in test_names),
        train_blocks={n: s["train"] for n, s in sides.items()},
        val_blocks={n: s["val"] for n, s in sides.items()},
        note=f"{root.name}: train {train_names}, test {test_names}; labels 0 shadow, 1–3 clear, 4 cloud",
    )


def _fractions(config: CsmaskConfig) -> dict[str, float]:
    return {"val": config.val_fraction, "train": 1 - config.val_fraction}


def _scene(path: Path) -> LabelledScene:
    try:
        with np.load(path, allow_pickle=False) as stored:
            image, mask = stored["img"], stored["msk"]
    except (OSError, KeyError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise GeoadaptError(path, f"cannot be read as a scene ({error})", "expected arrays 'img' and 'msk'") from error
    size = image.shape[:2]
    if image.shape != (*size, len(CHANNELS)) or mask.shape not in (size, (*size, 1)):
        raise GeoadaptError(path, f"img {image.shape}, msk {mask.shape}", "expected (h, w, 6) and (h, w, 1)")
    highest = np.max(image, initial=0, where=np.isfinite(image))
    if highest > 20:
        raise GeoadaptError(path, f"img reaches {highest:.0f}", "expected reflectance 0–1; divide by 10000")
    labels = MappedLabels(ArraySource(mask.reshape(1, *mask.shape[:2]), ("label",), origin=str(path)), CLASS_TABLE)
    return LabelledScene(
        name=path.stem,
        image=ArraySource(
            np.ascontiguousarray(image.transpose(2, 0, 1)),
            CHANNELS,
            sensor=next((name for name in SENSORS if path.stem.startswith(name)), None),
            origin=str(path),
        ),
        label=labels,
        classes=(0, 1, 3),
        resolution=next((metres for word, metres in RESOLUTIONS.items() if path.stem.startswith(word)), None),
    )
