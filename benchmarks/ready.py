"""What needs no training, on the two real scenes: the bundle that ships, the rule, a published network, the peer.

Run ``python -m benchmarks.ready [--bundle B] [--without-peer]``: each entry as it stands, scored on the same pixels,
with paired 90 % intervals over blocks between the bundle and every other. The record goes to ``benchmarks/results``.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.peers import ukis_csmask
from benchmarks.peers.side import HERE, call, environment
from geoadapt.baselines.dl_l8s2_uv import published_unet
from geoadapt.baselines.pixelwise import BlueRule
from geoadapt.bundle.card import read_card
from geoadapt.bundle.load import Bundle, load_baselines, load_bundle
from geoadapt.config import InferConfig
from geoadapt.cubes.classes import CLOUD_CLASSES, NODATA, ClassInfo
from geoadapt.errors import GeoadaptError
from geoadapt.fields import DATASETS
from geoadapt.fields.config import CsmaskConfig
from geoadapt.fields.scenes import Dataset, LabelledScene
from geoadapt.io.base import Window
from geoadapt.metrics.intervals import interval
from geoadapt.metrics.segmentation import Counts, block_counts, bootstrap, iou
from geoadapt.registry import build
from geoadapt.shipped import shipped_bundle, shipped_weights
from geoadapt.training.scoring import SceneScorer, module_scorer, pixel_scorer, score_scenes

RECORD = HERE.parent / "results" / "ready.json"
OURS = "bundle"
THIN = {OURS: "keep", "bundle_thin_cloud": "cloud", "bundle_thin_clear": "clear"}
"""What translucent cloud counts as; the labels of the scenes do not tell it apart."""
NAMES = {
    "rule": "rule: blue > 0.2",
    "unet": "small U-Net from scratch on the same simulated scenes, the same time",
    "dl_l8s2_uv": "dl_l8s2_uv as published (Landsat-8)",
    ukis_csmask.NAME: "ukis-csmask 1.0.0 as it stands",
}
ASKED: tuple[ClassInfo, ...] = (CLOUD_CLASSES[0], CLOUD_CLASSES[1], CLOUD_CLASSES[3])
"""What the labels of the scenes tell apart."""
BLOCK, DRAWS = 64, 1000


def counts_of(scenes: tuple[LabelledScene, ...], channels: tuple[str, ...], bundle: Bundle) -> dict[str, list[Counts]]:
    """Entry → confusion matrices by block of every scene, of all that runs in this process."""
    names = tuple(c.name for c in ASKED)
    rule = BlueRule(channels.index("blue"), names.index("cloud"), names.index("clear"), len(names))
    published = published_unet(channels, names)
    found = {
        "rule": score_scenes(pixel_scorer(rule.scores), scenes, {}, ASKED, InferConfig(), block=BLOCK),
        "dl_l8s2_uv": score_scenes(pixel_scorer(published.scores), scenes, {}, ASKED, InferConfig(), multiple=8),
    }
    matrices = {who: [scene.counts for scene in scored] for who, scored in found.items()}
    runs = {who: run(bundle, scenes, thin) for who, thin in THIN.items()}
    unet = load_baselines(bundle).get("unet")
    if unet is not None:
        runs["unet"] = run(bundle, scenes, "keep", module_scorer(unet, bundle.channels))
    for who, labels in runs.items():
        matrices[who] = [_counts(said, scene) for said, scene in zip(labels, scenes, strict=True)]
    return matrices


def run(
    bundle: Bundle, scenes: tuple[LabelledScene, ...], thin: str = "keep", scorer: SceneScorer | None = None
) -> list[NDArray[np.uint8]]:
    """The labels of every scene by the bundle, or by ``scorer``, with its own threshold."""
    infer = InferConfig(threshold=bundle.threshold, thin_cloud=thin)
    how = scorer or _scorer(bundle)
    scored = score_scenes(how, scenes, {}, bundle.classes, infer, multiple=bundle.multiple, block=BLOCK)
    return [scene.labels for scene in scored]


def _scorer(bundle: Bundle) -> SceneScorer:
    def for_scene(scene: LabelledScene) -> Callable[..., Any]:
        image = scene.image.info
        return lambda values, valid: bundle.scores(
            values, valid, time=image.time, resolution=scene.resolution, sensor=image.sensor
        )

    return for_scene


def _counts(labels: NDArray[np.uint8], scene: LabelledScene) -> Counts:
    assert scene.label is not None
    truth = np.asarray(scene.label.read(Window(0, 0, *scene.shape), [0])[0], np.uint8)
    return block_counts(np.where(labels == NODATA, NODATA, truth), labels, [c.value for c in ASKED], BLOCK)


def peer(scenes: tuple[LabelledScene, ...], channels: tuple[str, ...]) -> list[Counts]:
    """Confusion matrices of the peer, run in its own environment."""
    images = {scene.name: ukis_csmask.image_of(scene, channels) for scene in scenes}
    python = environment(ukis_csmask.NAME)
    found, _ = call(python, HERE / f"call_{ukis_csmask.NAME}.py", images, ukis_csmask.CHANNELS)
    table = np.full(256, NODATA, np.uint8)
    table[list(ukis_csmask.MEANING)] = list(ukis_csmask.MEANING.values())
    return [_counts(table[found[scene.name]], scene) for scene in scenes]


def summarise(name: str, blocks: Mapping[str, Counts]) -> dict[str, Any]:
    """Of one scene: IoU and its interval per entry, and what the bundle gains over each, with its paired interval."""
    drawn = bootstrap(blocks, iou, draws=DRAWS)
    entries: dict[str, dict[str, float]] = {}
    for who, counts in blocks.items():
        found = iou(counts.sum(axis=0))
        entries[who] = {}
        for i, info in enumerate(ASKED):
            low, high = interval(drawn[who][:, i])
            entries[who] |= {f"iou/{info.name}": float(found[i]), f"low/{info.name}": low, f"high/{info.name}": high}
            low, high = interval(drawn[OURS][:, i] - drawn[who][:, i])
            entries[who] |= {f"gain_low/{info.name}": low, f"gain_high/{info.name}": high}
    return {"scene": name, "entries": entries}


def table(record: Mapping[str, Any]) -> str:
    """Markdown: a row per entry, and what the paired intervals say about the bundle."""
    scenes = record["scenes"]
    head = "".join(f" {s['scene']}: cloud | shadow | the bundle against it |" for s in scenes)
    lines = [f"| IoU, nothing trained here |{head}", "|---" * (1 + 3 * len(scenes)) + "|"]
    own = {OURS: f"**{record['bundle']['name']}**"} | {
        who: f"– translucent cloud counted as {thin}" for who, thin in THIN.items() if who != OURS
    }
    for who, name in (NAMES | own).items():
        if who not in scenes[0]["entries"]:
            continue
        cells = []
        for scene in scenes:
            found = scene["entries"][who]
            knows = who not in ("rule", "dl_l8s2_uv")
            cells += [f"{found['iou/cloud']:.3f}", f"{found['iou/shadow']:.3f}" if knows else "–"]
            asked = ("cloud", "shadow") if knows else ("cloud",)
            cells.append("" if who in THIN else ", ".join(f"{c} {_verdict(found, c)}" for c in asked))
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _verdict(found: Mapping[str, float], name: str) -> str:
    low, high = found[f"gain_low/{name}"], found[f"gain_high/{name}"]
    word = "better" if low > 0 else "worse" if high < 0 else "no difference"
    return f"{word} ({low:+.3f} to {high:+.3f})"


def measure(data: Dataset, bundle: Bundle, with_peer: bool) -> dict[str, Any]:
    """The record of every entry on every scene."""
    scenes = tuple(sorted((*data.test, *data.train), key=lambda scene: scene.name))
    matrices = counts_of(scenes, data.channels, bundle)
    if with_peer:
        matrices[ukis_csmask.NAME] = peer(scenes, data.channels)
    return {
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "bundle": {"name": bundle.name, "sha256": bundle.sha256, "data": bundle.card.data},
        "scenes": [
            summarise(scene.name, {who: counts[i] for who, counts in matrices.items()})
            for i, scene in enumerate(scenes)
        ],
    }


def main() -> None:
    """Measure, store the record, print a table, and as the last line one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bundle", type=Path, help="another than the one that ships; its record is printed only")
    parser.add_argument("--without-peer", action="store_true", help="leave out ukis-csmask, which is downloaded")
    given = parser.parse_args()
    try:
        bundle = _bundle(given.bundle)
        data = build(DATASETS, CsmaskConfig(test=["landsat7"]), 0)
        record = measure(data, bundle, not given.without_peer)
    except GeoadaptError as error:
        sys.exit(f"error: {error}")
    if given.bundle is None and not given.without_peer:
        RECORD.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    print(f"{table(record)}\n\n{record['date']}, {record['machine']}\n")
    short = {
        s["scene"]: {who: {c.name: round(e[f"iou/{c.name}"], 4) for c in ASKED} for who, e in s["entries"].items()}
        for s in record["scenes"]
    }
    print(json.dumps({"name": "ready", "iou": short}))


def _bundle(folder: Path | None) -> Bundle:
    """The bundle to score, with the weights that ship where its backbone ships."""
    place = folder or shipped_bundle()
    card, _ = read_card(place)
    file = shipped_weights(str(card.backbone.get("name")))
    return load_bundle(place, weights=None if file is None else str(file))


if __name__ == "__main__":
    main()
