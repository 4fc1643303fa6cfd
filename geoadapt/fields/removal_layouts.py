"""Public data sets of cloud removal as folders: where their files lie, and which places train, validate and test.

In: the folder of a data set. Out: its places by split, each with the files of its dates. No file is opened.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from geoadapt.errors import GeoadaptError
from geoadapt.fields.removal_splits import CR_SPLITS, MTC_SPLITS, TS_SPLITS
from geoadapt.words import counted

__all__ = ["LAYOUTS", "Place", "Split", "mask_files"]

Split = dict[str, list["Place"]]
"""``train``, ``val`` and ``test`` → places."""


@dataclass(frozen=True, slots=True)
class Place:
    """The files of one place: cloudy images in order, what lies under their clouds, radar; dates where published."""

    name: str
    images: tuple[Path, ...]
    truth: Path | None = None
    infrared: tuple[Path, ...] = ()
    """Beside the images, where it has files of its own."""
    radar: tuple[Path, ...] = ()
    times: tuple[np.datetime64, ...] = ()
    radar_times: tuple[np.datetime64, ...] = ()


MTC_NEW = "CTGAN.zip of Sen2_MTC_New; expected Sen2_MTC/TILE/cloud/NAME_0.tif to NAME_2.tif and TILE/cloudless/NAME.tif"
MTC_OLD = (
    "multipleImage.tar.gz (doi 10.7910/DVN/BSETKZ); expected multipleImage/cloudy/NAME_0.jpg, NAME_0_ir.jpg to NAME_2… "
    "and multipleImage/clear/NAME.jpg"
)
CR = (
    "SEN12MS-CR (mediatum.ub.tum.de/1554803); expected ROIs1158_spring_s2_cloudy/s2_cloudy_1/"
    "ROIs1158_spring_s2_cloudy_1_p30.tif, the same for s2 and s1, or s2_cloudy, s2_cloudfree, s1 with equal names"
)
CR_TS = (
    "SEN12MS-CR-TS (mediatum.ub.tum.de/1639953 and 1659251); expected ROIs1158/106/S2/0/"
    "s2_ROIs1158_106_ImgNo_0_2018-01-05_patch_0.tif and the same below S1"
)
HLS = (
    "zenodo.org/records/11281740; expected chip_catalog.csv, cloud_catalog.csv, train/hls_chips, train/cloud_masks, "
    "test/hls_chips and test/hls_chips_masked"
)


def _mtc_new(root: Path) -> Split:
    base = root / "Sen2_MTC" if (root / "Sen2_MTC").is_dir() else root
    tiles = [p for p in _listed(base, MTC_NEW) if (p / "cloud").is_dir()]
    unknown = [t.name for t in tiles if not any(t.name in names for names in MTC_SPLITS.values())]
    if unknown or not tiles:
        problem = f"tiles {unknown[:5]} belong to no published split" if unknown else "holds no TILE/cloud"
        raise GeoadaptError(base, problem, f"download {MTC_NEW}")
    out: Split = {split: [] for split in MTC_SPLITS}
    for tile in tiles:
        split = next(s for s, names in MTC_SPLITS.items() if tile.name in names)
        for truth in _files(tile / "cloudless", (".tif",), MTC_NEW):
            images = _present([tile / "cloud" / f"{truth.stem}_{k}.tif" for k in range(3)], MTC_NEW)
            out[split].append(Place(f"{tile.name}_{truth.stem}", images, truth))
    return out


def _mtc_old(root: Path) -> Split:
    base = root / "multipleImage" if (root / "multipleImage").is_dir() else root
    places = []
    for truth in _files(base / "clear", (".jpg", ".jpeg"), MTC_OLD):
        images = [base / "cloudy" / f"{truth.stem}_{k}{truth.suffix}" for k in range(3)]
        infrared = [base / "cloudy" / f"{truth.stem}_{k}_ir{truth.suffix}" for k in range(3)]
        places.append(Place(truth.stem, _present(images, MTC_OLD), truth, _present(infrared, MTC_OLD)))
    # published: torch.utils.data.random_split by 8 to 1 to 1 with a generator of seed 2022, the order of files unsaid
    order = torch.randperm(len(places), generator=torch.Generator().manual_seed(2022)).tolist()
    tenth = len(places) // 10
    first, second = len(places) - 2 * tenth, len(places) - tenth
    parts = {"train": order[:first], "val": order[first:second], "test": order[second:]}
    return {split: [places[i] for i in part] for split, part in parts.items()}


CR_NAME = re.compile(r"^(ROIs\d+_[a-z]+)_(?:s1_|s2_cloudy_|s2_)?(\d+)_p(\d+)$")


def _cr(root: Path) -> Split:
    flat = (root / "s2_cloudy").is_dir()
    folders = ("s2_cloudy", "s2_cloudfree", "s1") if flat else ("*_s2_cloudy/*", "*_s2/*", "*_s1/*")
    cloudy, clear, radar = ({_cr_id(p): p for p in sorted(root.glob(f"{folder}/*.tif"))} for folder in folders)
    if not cloudy:
        raise GeoadaptError(root, f"holds no {folders[0]}/*.tif", f"download {CR}")
    for kind, found in (("cloud-free", clear), ("Sentinel-1", radar)):
        alone = sorted(set(cloudy) ^ set(found))
        if alone:
            raise GeoadaptError(
                root, f"lacks {counted(len(alone), f'{kind} partner')}, first of {alone[0]}", f"expected {CR}"
            )
    out: Split = {"train": [], "val": [], "test": []}
    for name, image in cloudy.items():
        scene = name.rpartition("_")[0]
        split = next((s for s, scenes in CR_SPLITS.items() if scene in scenes), "train")
        out[split].append(Place(name, (image,), clear[name], radar=(radar[name],)))
    return out


def _cr_id(path: Path) -> str:
    found = CR_NAME.match(path.stem)
    if found is None:
        raise GeoadaptError(path, "its name is not that of a patch", f"expected {CR}")
    return "{}_{}_p{}".format(*found.groups())


TS_NAME = re.compile(r"^s([12])_(ROIs\d+)_(\d+)_ImgNo_(\d+)_(\d{4}-\d\d-\d\d)_patch_(\d+)$")


def _cr_ts(root: Path) -> Split:
    out: Split = {"train": [], "val": [], "test": []}
    regions = [p for p in sorted(root.glob("ROIs*/*")) if (p / "S2").is_dir()]
    if not regions:
        raise GeoadaptError(root, "holds no ROIs*/*/S2", f"download {CR_TS}")
    for region in regions:
        name = f"{region.parent.name}/{region.name}"
        split = next((s for s, names in TS_SPLITS.items() if name in names), "train")
        optical, radar = (_by_patch(region / kind) for kind in ("S2", "S1"))
        for patch in sorted(optical):
            dates, images = zip(*sorted(optical[patch]), strict=True)
            other = sorted(radar.get(patch, []))
            told = tuple(p for _, p in other), tuple(d for d, _ in other)
            place = Place(f"{region.parent.name}_{region.name}_p{patch}", images, None, (), told[0], dates, told[1])
            out[split].append(place)
    return out


def _by_patch(folder: Path) -> dict[int, list[tuple[np.datetime64, Path]]]:
    found: dict[int, list[tuple[np.datetime64, Path]]] = {}
    for path in folder.glob("*/*.tif"):
        parts = TS_NAME.match(path.stem)
        if parts is None:
            raise GeoadaptError(path, "its name is not that of a patch", f"expected {CR_TS}")
        found.setdefault(int(parts[6]), []).append((np.datetime64(parts[5]), path))
    return found


DATE_COLUMNS = ("first_image_date", "second_image_date", "third_image_date")


def _hls(root: Path) -> Split:
    rows = {_chip(row["chip_id"]): row for row in _table(root / "chip_catalog.csv", ("chip_id", *DATE_COLUMNS), HLS)}
    out: Split = {"train": [], "val": [], "test": []}
    for split in ("train", "test"):
        for chip in _files(root / split / "hls_chips", (".tif",), HLS):
            if chip.stem not in rows:
                raise GeoadaptError(chip, "is not in chip_catalog.csv", f"expected {HLS}")
            row = rows[chip.stem]
            if float(row.get("bad_pct_max") or 0) >= 5 or float(row.get("na_count") or 0) > 0:
                continue
            times = tuple(_year_day(row[column], root) for column in DATE_COLUMNS)
            if split == "train":
                out[split].append(Place(chip.stem, (chip,), times=times))
            else:
                masked = _present([root / split / "hls_chips_masked" / f"{chip.stem}_masked.tif"], HLS)
                out[split].append(Place(chip.stem, masked, chip, times=times))
    return out


def mask_files(root: Path, usage: str) -> dict[Path, float]:
    """The HLS cloud masks for ``train`` or ``validate``, and the share that each hides by the catalogue."""
    columns = ("cloud_mask_id", "cloud_pct", "usage")
    rows = [r for r in _table(root / "cloud_catalog.csv", columns, HLS) if r["usage"] == usage]
    files = _present([root / "train" / "cloud_masks" / f"{_chip(r['cloud_mask_id'])}.tif" for r in rows], HLS)
    if not files:
        raise GeoadaptError(root / "cloud_catalog.csv", f"no mask has the usage '{usage}'", f"expected {HLS}")
    return {path: float(row["cloud_pct"]) for path, row in zip(files, rows, strict=True)}


def _chip(name: str) -> str:
    return name if name.startswith("chip_") else f"chip_{name}"


def _year_day(text: str, root: Path) -> np.datetime64:
    """The date of a year and day of the year such as 2022087.0."""
    number = int(float(text or 0))
    if not 1 <= number % 1000 <= 366:
        raise GeoadaptError(root / "chip_catalog.csv", f"'{text}' is no date", "expected year and day, as in 2022087")
    return np.datetime64(f"{number // 1000}-01-01") + np.timedelta64(number % 1000 - 1, "D")


def _table(path: Path, columns: Iterable[str], expected: str) -> list[dict[str, str]]:
    if not path.is_file():
        raise GeoadaptError(path, "is missing", f"download {expected}")
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    lacking = [c for c in columns if not rows or c not in rows[0]]
    if lacking:
        raise GeoadaptError(path, f"has no columns {lacking} or no rows", f"expected {expected}")
    return rows


def _listed(folder: Path, expected: str) -> list[Path]:
    if not folder.is_dir():
        raise GeoadaptError(folder, "is no folder", f"download {expected}")
    return sorted(p for p in folder.iterdir() if not p.name.startswith("."))


def _files(folder: Path, endings: tuple[str, ...], expected: str) -> list[Path]:
    found = [p for p in _listed(folder, expected) if p.suffix.lower() in endings]
    if not found:
        raise GeoadaptError(folder, f"holds no {' or '.join(endings)}", f"download {expected}")
    return found


def _present(files: list[Path], expected: str) -> tuple[Path, ...]:
    missing = [p for p in files if not p.is_file()]
    if missing:
        raise GeoadaptError(missing[0], f"is missing, as are {len(missing) - 1} more", f"expected {expected}")
    return tuple(files)


LAYOUTS: Mapping[str, Callable[[Path], Split]] = {
    "sen2_mtc_new": _mtc_new,
    "sen2_mtc_old": _mtc_old,
    "sen12mscr": _cr,
    "sen12mscr_ts": _cr_ts,
    "hls_gaps": _hls,
}
"""Data set → its places."""
