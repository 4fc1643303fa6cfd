"""The samples of a GEO-Bench-2 data set as its files list them: tortillas, or plain folders.

In: the folder of a data set. Out: records with a name, a split, metadata and rasters that are not read yet.

Plain folders: ``SPLIT/images/NAME.tif``, or ``SPLIT/images/INPUT/NAME.tif`` where there are several inputs; maps in
``SPLIT/labels/NAME.tif``, other targets in ``SPLIT/labels.csv`` with the columns ``name`` and ``label`` (several labels
with ``|`` between them). ``SPLIT`` is ``train``, ``val`` or ``validation``, and ``test``.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from geoadapt.cubes.geobench2 import Layout2
from geoadapt.errors import GeoadaptError
from geoadapt.io.tortilla import ENDINGS, Item, inside, items_in, tortillas_under, whole_file

__all__ = ["SPLITS", "Record", "records_under"]

SPLITS = {"train": "train", "val": "val", "validation": "val", "test": "test"}
"""What files call a split, and what it is called here."""
SPLIT_COLUMNS = ("tortilla:data_split", "split", "data_split")


@dataclass(frozen=True, slots=True)
class Record:
    """One sample: what its table says, and where its rasters are."""

    name: str
    split: str
    row: Mapping[str, Any]
    items: tuple[Item, ...]
    """Its rasters, or the one item that holds them."""

    @property
    def rasters(self) -> list[Item]:
        """Every raster of it; the table of a nested item is read now."""
        return [raster for item in self.items for raster in inside(item)]


def records_under(root: Path, layout: Layout2) -> dict[str, list[Record]]:
    """Split → its records; raises GeoadaptError that says what to download, or what is wrong with what is there."""
    tortillas = tortillas_under(root) if root.is_dir() else {}
    if tortillas:
        records = _of_tortillas(root, tortillas)
    elif any((root / split / "images").is_dir() for split in SPLITS):
        records = [record for split in SPLITS for record in _of_folder(root / split, SPLITS[split], layout)]
    else:
        problem = f"holds neither .tortilla files nor train/images of {layout.title}"
        raise GeoadaptError(root, problem, f"put the files of {layout.address} there, or set data.root")
    _check(root, records)
    return {split: [r for r in records if r.split == split] for split in ("train", "val", "test")}


def _of_tortillas(root: Path, tortillas: Mapping[str, Sequence[Path]]) -> list[Record]:
    items = [item for paths in tortillas.values() for path in paths for item in items_in(path)]
    return [Record(item.name, _split_of(item), item.row, (item,)) for item in items]


def _split_of(item: Item) -> str:
    column = next((name for name in SPLIT_COLUMNS if item.row.get(name) is not None), None)
    if column is None:
        raise GeoadaptError(item, "is in no split", f"expected a column {SPLIT_COLUMNS[0]}, found {sorted(item.row)}")
    word = str(item.row[column]).lower()
    if word not in SPLITS:
        raise GeoadaptError(item, f"is in the split '{word}'", f"expected one of {', '.join(SPLITS)}")
    return SPLITS[word]


def _of_folder(folder: Path, split: str, layout: Layout2) -> list[Record]:
    images = folder / "images"
    if not images.is_dir():
        return []
    inputs = [modality.input for modality in layout.inputs if (images / modality.input).is_dir()]
    found: dict[str, list[Item]] = {}
    for name in inputs or [""]:
        for path in _files(images / name):
            row = {"modality": name or layout.inputs[0].input}
            found.setdefault(path.stem, []).append(whole_file(path, row))
    if layout.mapped:
        for path in _files(folder / "labels"):
            found.setdefault(path.stem, []).append(whole_file(path, {"modality": "label"}))
        return [Record(name, split, {}, tuple(items)) for name, items in found.items()]
    told = _labels(folder / "labels.csv")
    if missing := sorted(set(found) - set(told)):
        raise GeoadaptError(folder / "labels.csv", f"does not name {missing[:3]}", "give every image a row")
    if missing := sorted(set(told) - set(found)):
        raise GeoadaptError(folder / "labels.csv", f"names {missing[:3]}, which are not in {images}", "are all there?")
    return [Record(name, split, told[name], tuple(items)) for name, items in found.items()]


def _files(folder: Path) -> list[Path]:
    return [path for path in sorted(folder.glob("*")) if path.suffix.lower() in ENDINGS]


def _labels(path: Path) -> dict[str, dict[str, Any]]:
    if not path.is_file():
        raise GeoadaptError(path, "is not there", "expected a table with the columns name, label")
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    if not rows or not {"name", "label"} <= set(rows[0]):
        raise GeoadaptError(path, f"has the columns {list(rows[0]) if rows else []}", "expected name and label")
    if twice := [name for name, count in Counter(row["name"] for row in rows).items() if count > 1]:
        raise GeoadaptError(path, f"names {twice[:3]} twice", "give every image one row; several labels: a|b")
    return {row["name"]: {**row, "label": _number(row["label"])} for row in rows}


def _number(text: str) -> str | int | list[str]:
    if "|" in text:
        return text.split("|")
    return int(text) if text.lstrip("-").isdigit() else text


def _check(root: Path, records: Sequence[Record]) -> None:
    twice = [name for name, count in Counter((r.name, r.split) for r in records).items() if count > 1]
    if twice:
        raise GeoadaptError(root, f"names {len(twice)} samples twice: {twice[0][0]}", "keep one copy of the files")
    absent = [split for split in ("train", "val", "test") if not any(r.split == split for r in records)]
    if absent:
        raise GeoadaptError(root, f"has no sample of {', '.join(absent)}", "are all files of the set there?")
