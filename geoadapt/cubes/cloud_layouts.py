"""Public data sets of clouds as folders of image and label files: where their files lie, and what their labels mean.

In: the folder of a data set, ``img_dir/SPLIT/NAME.png`` beside ``ann_dir/SPLIT/NAME.png``. Out: pairs of files.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from geoadapt.errors import GeoadaptError
from geoadapt.words import counted

__all__ = ["CHANNELS", "IMAGES", "LABELS", "LAYOUTS", "SCALE", "Layout", "land_cover", "list_pairs"]

IMAGES, LABELS = "img_dir", "ann_dir"
CHANNELS = ("red", "green", "blue")
"""The bands of the images, as they are stored."""
SCALE = 1 / 255
"""From 8 bits to 0–1. It is brightness, no reflectance: the published files were stretched, most of them per patch."""
ENDINGS = (".png", ".tif", ".tiff")


@dataclass(frozen=True, slots=True)
class Layout:
    """One data set: what to download, what its labels mean, and which folder holds the test."""

    download: str
    classes: Mapping[int, int]
    """Label value → class of the task; any other value is ignored."""
    test: str
    resolution: float | None
    """Ground resolution [m], where all images share one."""
    land_cover: str = ""
    """What a file's name begins with where it tells what the image lies over: a pattern, whose group is the word."""


_BINARY = {0: 0, 1: 1}
_THICK_THIN_SHADOW = {0: 0, 1: 1, 2: 2, 3: 3}
_SHADOW_THIN_CLOUD = {0: 0, 1: 3, 2: 2, 3: 1}
_CONVERTED = "in the folders of the data sets of Cloud-Adapter (github.com/XavierJiezou/Cloud-Adapter)"
_HRC_NAME, _L8_NAME = r"(water|vegetation|urban|snow|barren)_\d+$", r"([a-z_]+?)_LC8"

LAYOUTS: dict[str, Layout] = {
    "hrc_whu": Layout(f"HRC_WHU (150 Google Earth images) {_CONVERTED}", _BINARY, "test", None, _HRC_NAME),
    "gf12ms_whu_gf1": Layout(f"GF12MS_WHU, Gaofen-1 {_CONVERTED}", _BINARY, "val", 8.0),
    "gf12ms_whu_gf2": Layout(f"GF12MS_WHU, Gaofen-2 {_CONVERTED}", _BINARY, "val", 4.0),
    "cloudsen12_high_l1c": Layout(f"CloudSEN12 high, level 1C {_CONVERTED}", _THICK_THIN_SHADOW, "test", 10.0),
    "cloudsen12_high_l2a": Layout(f"CloudSEN12 high, level 2A {_CONVERTED}", _THICK_THIN_SHADOW, "test", 10.0),
    "l8_biome": Layout(f"L8 Biome (Landsat-8) {_CONVERTED}", _SHADOW_THIN_CLOUD, "test", 30.0, _L8_NAME),
}


def list_pairs(name: str, root: Path, split: str) -> dict[str, tuple[Path, Path]]:
    """File name without its ending → (image, label) of one split of the data set ``name`` under ``root``.

    Raises GeoadaptError that says what to download where folders or files are missing.
    """
    layout = LAYOUTS[name]
    images, labels = (_files(root / kind / split, layout) for kind in (IMAGES, LABELS))
    for found, other, kind in ((images, labels, LABELS), (labels, images, IMAGES)):
        alone = sorted(set(found) - set(other))
        if alone:
            example = f"{kind}/{split}/{alone[0]}.png"
            raise GeoadaptError(
                root,
                f"{counted(len(alone), 'file')} of {split} without a partner, first {example}",
                _hint(layout, split),
            )
    return {stem: (images[stem], labels[stem]) for stem in sorted(images)}


def land_cover(name: str, stem: str) -> str | None:
    """What an image of the data set ``name`` lies over, by its file's name; None where that does not tell.

    HRC_WHU's names begin with it, and so do L8 Biome's, before the Landsat scene that the image was cut from.
    """
    pattern = LAYOUTS[name].land_cover
    found = re.match(pattern, stem, re.IGNORECASE) if pattern else None
    return found[1].lower() if found else None


def _files(folder: Path, layout: Layout) -> dict[str, Path]:
    if not folder.is_dir():
        raise GeoadaptError(folder, "is no folder", _hint(layout, folder.name))
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") or path.suffix.lower() not in ENDINGS:
            continue
        if path.stem in found:
            raise GeoadaptError(path, f"and {found[path.stem].name} share a name", "remove one of them")
        found[path.stem] = path
    if not found:
        raise GeoadaptError(folder, f"holds no {' or '.join(ENDINGS)}", _hint(layout, folder.name))
    return found


def _hint(layout: Layout, split: str) -> str:
    return f"download {layout.download}; expected {IMAGES}/{split}/NAME.png and {LABELS}/{split}/NAME.png in data.root"
