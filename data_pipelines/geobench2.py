"""GEO-Bench-2's data sets, which are downloaded by hand: checks of what lies in a folder.

In: the folder of a data set. Out: a line per file with its size, its samples and what is known of its hash; or an error
that says what to download and where to put it.

Hashes are held against ``SHA256SUMS`` in the folder (``HASH  NAME`` per line), or against what the hub's own program
wrote beside a download (``.cache/huggingface/download/NAME.metadata``, whose second line is the file's sha256). Where
neither knows a file, its hash is named and nothing is claimed.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from geoadapt.cubes.geobench2 import layout_of
from geoadapt.errors import GeoadaptError
from geoadapt.io.manifest import sha256
from geoadapt.io.paths import as_path
from geoadapt.io.tortilla import Item, inside, items_in, tortillas_under
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
            return _plain(folder)
        command = f"hf download aialliance/{key} --repo-type dataset --local-dir {folder}"
        problem = f"holds no .tortilla files of {layout.title}"
        raise GeoadaptError(folder, problem, f"download those of {layout.address} ({command}), or set data.root")
    wanted = _sums(folder)
    return [_checked(path, wanted.get(path.name)) for paths in sets.values() for path in paths]


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
        item = inside(item)[0]
    return item


def _plain(folder: Path) -> list[str]:
    """A line per split of plain folders."""
    counts = {}
    for split in ("train", "val", "validation", "test"):
        files = [path for path in (folder / split / "images").rglob("*") if path.is_file()]
        if files:
            counts[split] = len(files)
    return [f"{split}/images ({counted(count, 'file')}, no hashes known)" for split, count in counts.items()]


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
