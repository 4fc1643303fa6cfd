"""GEO-Bench-2's data sets, which are downloaded by hand: checks of what lies in a folder.

In: the folder of a data set. Out: a line per file with its size, its samples and what is known of its hash; or an error
that says what to download and where to put it.

Hashes are held against ``SHA256SUMS`` in the folder (``HASH  NAME`` per line), else against what the hub's own program
wrote beside a download (``.cache/huggingface/download/NAME.metadata``, whose second line is the file's sha256), else
against what the benchmark's own loaders state. Where none knows a file, its hash is named and nothing is claimed.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from geoadapt.cubes.geobench2 import Layout2, layout_of
from geoadapt.cubes.geobench2_files import PUBLISHED
from geoadapt.errors import GeoadaptError
from geoadapt.io.manifest import sha256
from geoadapt.io.paths import as_path
from geoadapt.io.tortilla import ENDINGS, Item, inside, items_in, tortillas_under, whole_file
from geoadapt.words import counted

__all__ = ["check_geobench2"]

SUMS = "SHA256SUMS"
HASH = re.compile(r"^[0-9a-f]{64}$")


def check_geobench2(key: str, root: Path) -> list[str]:
    """A line per file; raises GeoadaptError for what is missing, cut short, or differs from its published hash.

    Every table is read, and the first sample of every file.
    """
    layout, folder = layout_of(key), as_path(root)
    sets = tortillas_under(folder) if folder.is_dir() else {}
    if not sets:
        if (folder / "train" / "images").is_dir():
            return _plain(layout, folder)
        problem = f"holds no .tortilla files of {layout.title}"
        raise GeoadaptError(folder, problem, f"{_download(layout, folder)}, or set data.root")
    wanted = PUBLISHED[key] | _sums(folder)
    here = {path.name for paths in sets.values() for path in paths}
    lacking = sorted(set(PUBLISHED[key]) - here)
    if lacking and len(lacking) < len(PUBLISHED[key]):
        raise GeoadaptError(folder, f"lacks {', '.join(lacking)} of {layout.title}", _download(layout, folder))
    return [_checked(path, wanted.get(path.name)) for paths in sets.values() for path in paths]


def _download(layout: Layout2, folder: Path) -> str:
    """How a person gets the files."""
    name = layout.address.removeprefix("https://huggingface.co/datasets/")
    return f"download those of {layout.address} (hf download {name} --repo-type dataset --local-dir {folder})"


def _checked(path: Path, wanted: str | None) -> str:
    items = items_in(path)
    if not items:
        raise GeoadaptError(path, "holds no sample", "download it again")
    _first_raster(items).read()
    found = sha256(path)
    if wanted is not None and found != wanted:
        raise GeoadaptError(path, f"has the sha256 {found[:16]}…, expected {wanted[:16]}…", "download it again")
    said = "sha256 agrees" if wanted else f"sha256 {found}, nothing here says what it should be"
    return f"{path.name} ({path.stat().st_size / 2**20:,.1f} MiB, {counted(len(items), 'sample')}, {said})"


def _first_raster(items: Sequence[Item]) -> Item:
    item = items[0]
    while item.nested:
        parts = inside(item)
        if not parts:
            raise GeoadaptError(item, "holds no raster", "download it again")
        item = parts[0]
    return item


def _plain(layout: Layout2, folder: Path) -> list[str]:
    """A line per split of plain folders; raises GeoadaptError for one that is empty, unlabelled or unreadable."""
    lines = []
    for words in (("train",), ("val", "validation"), ("test",)):
        split = next((word for word in words if _rasters(folder / word / "images")), None)
        if split is None:
            problem = f"holds no images in {' or '.join(f'{word}/images' for word in words)}"
            raise GeoadaptError(folder, problem, f"expected files that end in {', '.join(ENDINGS)}")
        images = _rasters(folder / split / "images")
        if layout.mapped:
            unlabelled = sorted({p.stem for p in images} - {p.stem for p in _rasters(folder / split / "labels")})
            if unlabelled:
                problem = f"lacks the maps of {len(unlabelled)} images: {', '.join(unlabelled[:3])}"
                raise GeoadaptError(folder / split / "labels", problem, "give each the name of its image")
        elif not (folder / split / "labels.csv").is_file():
            raise GeoadaptError(folder / split / "labels.csv", "is not there", "a table with the columns name, label")
        whole_file(images[0]).read()
        lines.append(f"{split}/images ({counted(len(images), 'file')}, no hashes known)")
    return lines


def _rasters(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.suffix.lower() in ENDINGS and path.is_file())


def _sums(folder: Path) -> dict[str, str]:
    """File name → the sha256 that it should have."""
    found: dict[str, str] = {}
    for path in sorted((folder / ".cache" / "huggingface" / "download").glob("*.metadata")):
        lines = path.read_text(encoding="utf-8", errors="replace").split()
        if len(lines) > 1 and HASH.match(lines[1]):
            found[path.name.removesuffix(".metadata")] = lines[1]
    if (folder / SUMS).is_file():
        for number, line in enumerate((folder / SUMS).read_text(encoding="utf-8").splitlines(), 1):
            if not line.strip():
                continue
            parts = line.split(maxsplit=1)
            if len(parts) != 2 or not HASH.match(parts[0].lower()):
                raise GeoadaptError(folder / SUMS, f"line {number} is no 'HASH  NAME'", "write it as sha256sum does")
            found[parts[1].strip().removeprefix("*")] = parts[0].lower()
    return found
