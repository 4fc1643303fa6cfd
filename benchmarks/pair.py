"""What one pair of SEN12MS-CR allows, where nothing can be trained: rules and published networks as they stand.

    python -m benchmarks.pair [--root FOLDER]      measures, stores the record, prints tables, and one JSON object
    python -m benchmarks.pair --mask bundle        under the mask of the bundle that ships; it is printed only

A cloudy and a cloud-free Sentinel-2 image of another day, visible bands. Twice asked: what is under the clouds, and
what is under patterns pasted over the cloud-free image, which the other day shows in part. No pixel trains: the patch
is all there is of its place, and belongs to the published test. Intervals are over blocks of the patch, and tell of it
alone.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.pair_table import AS_IS, BLOCK, FILLED, MASKS, OTHER_DAY, TRAINED_ON, VISIBLE, WHITES, Record, tables
from benchmarks.removal import SCORES
from benchmarks.runs import made_on
from geoadapt.adapters.config import HeadOnlyConfig
from geoadapt.backbones.config import DlL8s2UvConfig, SmallSeriesConfig, SpaGanConfig
from geoadapt.backbones.spagan import SpaGan
from geoadapt.backbones.spagan import build as build_spagan
from geoadapt.baselines.composites import COMPOSITES, build_composite
from geoadapt.baselines.dl_l8s2_uv import published_unet
from geoadapt.bundle.card import read_card
from geoadapt.bundle.load import load_bundle
from geoadapt.bundle.restorer import restorer_inputs
from geoadapt.errors import GeoadaptError
from geoadapt.fields import DATASETS
from geoadapt.fields.composite import fill
from geoadapt.fields.gaps import mask_pool, paste_mask
from geoadapt.fields.removal_config import RemovalDatasetConfig
from geoadapt.fields.restorer import Restored, Restorer
from geoadapt.fields.series import Sample, Series, SeriesData, series_batch
from geoadapt.fields.types import Batch, Field
from geoadapt.heads.config import ResidualConfig
from geoadapt.metrics.restoration import Asked, RestorationSums, concatenate, score
from geoadapt.metrics.restoration_compare import compare_restorations
from geoadapt.model import build_model
from geoadapt.registry import build
from geoadapt.restorer import AdaptedRestorer, Seeing
from geoadapt.shipped import shipped_bundle, shipped_weights

Floats = NDArray[np.floating]
Bools = NDArray[np.bool_]

RECORD = Path(__file__).parent / "results" / "pair.json"
SEEDS = (0, 1, 2)
"""Of random weights."""
DRAWS, PASTED = 1000, 8


@dataclass(frozen=True, slots=True)
class OnePicture:
    """SpA-GAN as it stands: it looks at the last date alone, as the batch shows it; a ``Restorer``."""

    network: SpaGan
    channels: tuple[str, ...] = VISIBLE

    def restore(self, batch: Batch) -> Restored:
        field = _last(batch, self.channels)
        with torch.inference_mode():
            image, _ = self.network.remove(Batch({"optical": field}))
        return Restored(image[:, 0])


@dataclass(frozen=True, slots=True)
class Surroundings:
    """The last date's clear pixels carried on to the others, towards their mean far from any; a ``Restorer``."""

    channels: tuple[str, ...] = VISIBLE

    def restore(self, batch: Batch) -> Restored:
        field = _last(batch, self.channels)
        values, valid = field.values[:, 0], torch.ones_like(field.values[:, 0], dtype=torch.bool)
        valid = valid if field.valid is None else field.valid[:, 0]
        mean = torch.where(valid, values, 0.0).sum((2, 3), keepdim=True) / valid.sum((2, 3), keepdim=True)
        return Restored(mean + fill(values - mean, valid))


def _last(batch: Batch, channels: tuple[str, ...]) -> Field:
    field = batch.inputs["optical"].select(channels)
    return Field(field.values[:, -1:], field.channels, None if field.valid is None else field.valid[:, -1:])


def read_pair(root: Path) -> Series:
    """The first patch of the published test, all bands: the cloudy date, and one whose truth is the cloud-free image.

    Raises GeoadaptError where the folder has no patch of the test.
    """
    data: SeriesData = build(DATASETS, RemovalDatasetConfig(root=str(root), radar=False), 0)
    if not len(data.test):
        raise GeoadaptError(root, "holds no patch of the published test", "name a folder that does")
    return data.test[0]


def cloud_mask(pair: Series, how: str) -> Bools:
    """Where the cloudy image is not clear (h, w) by one of ``MASKS``; the cloud-free image is not asked."""
    values = torch.from_numpy(pair.values[:1])
    valid = torch.isfinite(values)
    values = torch.where(valid, values, 0.0)
    if how == "published":
        network = published_unet(pair.channels, ("clear", "cloud"), DlL8s2UvConfig(variant="RGBISWIR7"))
        return np.asarray(network.scores(values, valid).argmax(1)[0] == 1)
    card, _ = read_card(shipped_bundle())
    bundle = load_bundle(shipped_bundle(), weights=str(shipped_weights(str(card.backbone.get("name")))))
    index = [pair.channels.index(name) for name in bundle.channels]
    told = bundle.scores(values[:, index], valid[:, index], resolution=pair.resolution, sensor=pair.sensor)
    return np.asarray(told.argmax(1)[0] != [c.name for c in bundle.classes].index("clear"))


def rules() -> dict[str, Restorer]:
    """All composites, and a restorer of the shipped backbone of series, which begins as linear interpolation."""
    inputs = restorer_inputs(torch.zeros(len(VISIBLE)), torch.ones(len(VISIBLE)))
    model = build_model(SmallSeriesConfig(), HeadOnlyConfig(), ResidualConfig(), inputs, VISIBLE)
    found: dict[str, Restorer] = {name: build_composite(name, VISIBLE) for name in COMPOSITES}
    return {**found, "small_series": AdaptedRestorer(model, VISIBLE, Seeing(0)).eval()}


def networks(whites: Sequence[float] = WHITES, seeds: Sequence[int] = SEEDS) -> dict[str, Restorer]:
    """SpA-GAN by ``WEIGHTS WHITE``, and with random weights by ``random WHITE SEED``."""
    configs = {f"{name} {white}": SpaGanConfig(variant=name, white=white) for white in whites for name in TRAINED_ON}
    for white in whites:
        configs |= {f"random {white} {n}": SpaGanConfig(white=white, random_weights=True, seed=n) for n in seeds}
    return {who: OnePicture(build_spagan(config)) for who, config in configs.items()}


def measure(
    pair: Series, cloud: Bools, lookers: Mapping[str, Restorer], draws: int = DRAWS, times: int = PASTED
) -> Record:
    """What is asked → its pixels, and the scores of all that say something; rules that do not are counted.

    Raises GeoadaptError for a mask that hides nothing or all.
    """
    if not 0 < cloud.mean() < 1:
        raise GeoadaptError(pair.name, f"{cloud.mean():.0%} of it is cloud", "choose another mask")
    pair, made = _visible(pair), rules()
    said, images, truth = _clouded(pair, cloud, made, lookers)
    parts = {"cloud": cloud, "patch": np.ones_like(cloud), "clear": ~cloud}
    found = {name: judged(in_blocks(images, truth, part), int(part.sum()), draws) for name, part in parts.items()}
    found["cloud"]["said"] = {who: int((np.isfinite(image).all(0) & cloud).sum()) for who, image in said.items()}
    return {**found, "pasted": pasted(pair, cloud, {**made, FILLED: Surroundings(), **lookers}, draws, times)}


def _visible(pair: Series) -> Series:
    index = [pair.channels.index(name) for name in VISIBLE]
    assert pair.truth is not None
    return replace(pair, values=pair.values[:, index], truth=pair.truth[:, index], channels=VISIBLE)


def _clouded(
    pair: Series, cloud: Bools, made: Mapping[str, Restorer], lookers: Mapping[str, Restorer]
) -> tuple[dict[str, Floats], dict[str, Floats], Floats]:
    """The cloudy date alone: images (c, h, w) of rules, which go by the mask, of all else, and the truth."""
    assert pair.truth is not None
    truth = pair.truth[-1]
    one = replace(pair.part(slice(0, 1)), truth=truth[None])
    nothing = np.zeros_like(cloud)
    hidden = series_batch([Sample(replace(one, clear=one.clear & ~cloud), 0, nothing)])
    shown = series_batch([Sample(one, 0, nothing)])
    seen: Floats = one.values[0]
    images = {AS_IS: seen} | {f"cut {white}": np.minimum(seen, white) for white in WHITES if white < 1}
    images[FILLED] = _image(Surroundings(), hidden)
    images |= {who: _image(entry, shown) for who, entry in lookers.items()}
    return {who: _image(entry, hidden) for who, entry in made.items()}, images, truth


def _image(entry: Restorer, batch: Batch) -> Floats:
    return np.asarray(entry.restore(batch).image[0].float().numpy())


def pasted(pair: Series, cloud: Bools, entries: Mapping[str, Restorer], draws: int, times: int) -> Record:
    """The cloud-free image under patterns of the patch's own clouds, turned and shifted, beside the other day.

    Scored where the other day is clear: only there every entry says something. Networks see white where it is hidden.
    """
    assert pair.truth is not None
    truth = pair.truth[-1]
    known = np.isfinite(truth).all(0)
    both = np.stack([pair.clear[0] & ~cloud, known])
    series = replace(pair, values=np.stack([pair.values[0], truth]), clear=both, truth=None)
    pool, rng = mask_pool(series.part(slice(0, 1))), np.random.default_rng(0)
    parts, hid, scored = [], 0, 0
    for _ in range(times):
        hidden = paste_mask(pool, cloud.shape, rng) & known
        batch = series_batch([Sample(series, 1, hidden)])
        parts.append(in_blocks({who: _image(entry, batch) for who, entry in entries.items()}, truth, hidden))
        hid, scored = hid + int(hidden.sum()), scored + int((hidden & both[0]).sum())
    sums = {who: concatenate([part[who] for part in parts]) for who in entries}
    return judged(sums, hid, draws) | {"scored": scored, "times": times}


def in_blocks(images: Mapping[str, Floats], truth: Floats, asked: Bools) -> dict[str, RestorationSums]:
    """Sums of images (c, h, w) over ``asked`` (h, w) that all have; every block of ``BLOCK`` px is a place."""
    pieces = _cut(truth)
    known = np.isfinite(pieces)
    masked = _cut(np.broadcast_to(asked, truth.shape)) & known
    places = tuple(f"block {n}" for n in range(len(pieces)))
    return score({who: _cut(image) for who, image in images.items()}, Asked(pieces, masked, known, VISIBLE, places))


def _cut(image: NDArray[Any]) -> NDArray[Any]:
    c, h, w = image.shape
    if h % BLOCK or w % BLOCK:
        raise GeoadaptError("pair", f"is {h} × {w} px", f"its sides must be multiples of {BLOCK} px")
    parts = image.reshape(c, h // BLOCK, BLOCK, w // BLOCK, BLOCK)
    return parts.transpose(1, 3, 0, 2, 4).reshape(-1, c, BLOCK, BLOCK)


def judged(sums: Mapping[str, RestorationSums], pixels: int, draws: int = DRAWS) -> Record:
    """Scores of all entries with their intervals, and by how much less MAE each has than its rivals."""
    found = compare_restorations(sums, (*SCORES, "bias"), model=next(iter(sums)), draws=draws)
    entries: dict[str, Record] = {}
    for who in sums:
        own = {k.removeprefix(f"{who}/"): v for k, v in found.items() if k.startswith(f"{who}/") and "_gain" not in k}
        beside = rivals(who, sums)
        chosen = {other: sums[other] for other in (who, *beside.values())}
        gains = compare_restorations(chosen, ("mae",), model=who, draws=draws)
        entries[who] = {
            "scores": {key.replace("/masked", ""): value for key, value in own.items() if "/masked" in key},
            "gain": {
                role: [gains[f"{other}/mae_gain{end}/masked"] for end in ("", "_low", "_high")]
                for role, other in beside.items()
            },
        }
    return {"pixels": pixels, "entries": entries}


def rivals(who: str, all_: Mapping[str, object]) -> dict[str, str]:
    """Role → the entry that plays it: the ``image`` in the same stretch, ``filled``, ``other_day``, ``random SEED``."""
    name, white, *_ = (*who.split(" "), "")
    cut = f"cut {white}"
    found = {"image": cut if cut in all_ and cut != who else AS_IS, "filled": FILLED, "other_day": OTHER_DAY}
    if name in TRAINED_ON:
        found |= {f"random {o.split()[2]}": o for o in all_ if o.startswith(f"random {white} ")}
    return {role: other for role, other in found.items() if other in all_ and other != who}


def main(words: Sequence[str] | None = None) -> None:
    """Measure, store the record, print the tables, and as the last line one JSON object."""
    data = Path(os.environ.get("GEOADAPT_DATA", "../shared/data"))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, default=data / "cloudremoval" / "sen12mscr", help="of SEN12MS-CR")
    parser.add_argument("--mask", choices=list(MASKS), default="published", help="who says where clouds are")
    parser.add_argument("--draws", type=int, default=DRAWS, help="of blocks, for the intervals")
    parser.add_argument("--record", type=Path, help="where the record goes")
    given = parser.parse_args(words)
    try:
        pair = read_pair(given.root)
        other = next(name for name in MASKS if name != given.mask)
        cloud, others = cloud_mask(pair, given.mask), cloud_mask(pair, other)
        told = {"by": given.mask, "share": float(cloud.mean()), "other": other, "other_share": float(others.mean())}
        record: Record = {**made_on(), "patch": pair.name, "mask": {**told, "agree": float((cloud == others).mean())}}
        record["asked"] = measure(pair, cloud, networks(), given.draws)
    except GeoadaptError as error:
        sys.exit(f"error: {error}")
    target = given.record or (RECORD if given.mask == "published" else None)
    if target is not None:
        target.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    print(f"{tables(record)}\n")
    short = {
        name: {who: round(entry["scores"]["mae"], 4) for who, entry in part["entries"].items()}
        for name, part in record["asked"].items()
    }
    print(json.dumps({"name": "pair", "mask": given.mask, "mae": short}))


if __name__ == "__main__":
    main()
