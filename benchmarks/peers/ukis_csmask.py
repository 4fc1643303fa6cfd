"""The peer ukis-csmask 1.0.0 (Wieland 2019) as it stands, on labelled scenes, scored by geoadapt's own metrics.

Run ``python -m benchmarks.peers.ukis_csmask [data=… data.root=…]``; without words, on the two real scenes of its own
test files, and the record goes to ``benchmarks/results``. It takes TOA reflectance of six bands, here each scene on its
own pixels; its documentation advises about 30 m.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.peers.side import HERE, call, environment
from geoadapt.cli.compose import compose
from geoadapt.cubes.classes import CLOUD_CLASSES, NODATA
from geoadapt.errors import GeoadaptError
from geoadapt.fields import DATASETS
from geoadapt.fields.scenes import Dataset, LabelledScene
from geoadapt.io.base import Window
from geoadapt.io.decode import decode
from geoadapt.metrics.intervals import interval
from geoadapt.metrics.segmentation import block_counts, bootstrap, iou, scores
from geoadapt.registry import build

NAME = "ukis_csmask"
RECORD = HERE.parent / "results" / "peers_clouds.json"
CHANNELS = ("blue", "green", "red", "nir", "swir16", "swir22")
MEANING = {0: 0, 1: 1, 2: 3}
"""Its label values → ours."""
BLOCK, DRAWS = 64, 1000


def image_of(scene: LabelledScene, channels: tuple[str, ...]) -> NDArray[np.float32]:
    """The whole scene (h, w, c) [reflectance], missing = NaN; raises GeoadaptError where a band is lacking."""
    lacking = [c for c in CHANNELS if c not in channels]
    if lacking:
        raise GeoadaptError(scene.name, f"lacks {lacking}", f"{NAME} takes {list(CHANNELS)}")
    bands = [channels.index(c) for c in CHANNELS]
    raw = scene.image.read(Window(0, 0, *scene.shape), bands)
    values, valid = decode(raw, scene.image.info, bands)
    if valid is not None:
        values[~valid] = np.nan
    return np.ascontiguousarray(values.transpose(1, 2, 0))


def score(labels: NDArray[np.uint8], scene: LabelledScene) -> dict[str, float]:
    """IoU by class with its 90 % interval over blocks, and the mean; what the scene cannot express counts as clear."""
    truth = np.asarray(scene.label.read(Window(0, 0, *scene.shape), [0])[0], np.uint8)  # type: ignore[union-attr]
    classes = [c for c in CLOUD_CLASSES if c.value in scene.classes]
    known = {c.value for c in classes}
    table = np.full(256, NODATA, np.uint8)
    for theirs, ours in MEANING.items():
        table[theirs] = ours if ours in known else 0
    said = table[labels]
    counts = block_counts(np.where(said == NODATA, NODATA, truth), said, [c.value for c in classes], BLOCK)
    names = [c.name for c in classes]
    found = {k: v for k, v in scores(counts.sum(axis=0), names).items() if k.startswith(("iou/", "miou"))}
    drawn = bootstrap({NAME: counts}, iou, draws=DRAWS)[NAME]
    for index, name in enumerate(names):
        found[f"iou_low/{name}"], found[f"iou_high/{name}"] = interval(drawn[:, index])
    return found


def measure(data: Dataset) -> dict[str, object]:
    """The record: version, date, machine, and scores by scene."""
    scenes = {s.name: s for s in (*data.test, *data.train) if s.label is not None}
    images = {name: image_of(scene, data.channels) for name, scene in sorted(scenes.items())}
    found, about = call(environment(NAME), HERE / f"call_{NAME}.py", images, CHANNELS)
    return {
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "peer": "ukis-csmask",
        **about,
        "data": data.name,
        "runs": [{"test": name, "metrics": score(labels, scenes[name])} for name, labels in found.items()],
    }


def table(record: dict[str, object]) -> str:
    """Markdown: a row per scene."""
    lines = ["| scene | cloud IoU | 90 % | shadow IoU | 90 % |", "|---" * 5 + "|"]
    runs = record["runs"]
    assert isinstance(runs, list)
    for run in runs:
        found, cells = run["metrics"], [run["test"]]
        for name in ("cloud", "shadow"):
            known = f"iou/{name}" in found
            cells.append(f"{found[f'iou/{name}']:.3f}" if known else "–")
            cells.append(f"{found[f'iou_low/{name}']:.3f}–{found[f'iou_high/{name}']:.3f}" if known else "–")
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    """Measure, store the record, print a table, and as the last line one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("overrides", nargs="*", help="data=… data.root=…, as geoadapt train takes them")
    parser.add_argument("--record", type=Path, help="where the record goes; benchmarks/results for the two real scenes")
    arguments = parser.parse_args()
    try:
        job = compose(arguments.overrides or ["data=csmask", "data.test=[landsat7]"])
        record = measure(build(DATASETS, job.data, job.seed))
    except GeoadaptError as error:
        sys.exit(f"error: {error}")
    target = arguments.record or (None if arguments.overrides else RECORD)
    if target is not None:
        target.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    print(f"ukis-csmask {record['version']}, {record['date']}, {record['machine']}\n\n{table(record)}\n")
    found = {run["test"]: _short(run["metrics"]) for run in record["runs"]}  # type: ignore[attr-defined]
    print(json.dumps({"name": NAME, "version": record["version"], "iou": found}))


def _short(metrics: dict[str, float]) -> dict[str, float]:
    return {key.removeprefix("iou/"): round(value, 4) for key, value in metrics.items() if key.startswith("iou/")}


if __name__ == "__main__":
    main()
