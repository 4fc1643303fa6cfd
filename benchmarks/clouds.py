"""The README's table of real scenes: collects finished runs into a record and prints it as Markdown.

Run ``python -m benchmarks.clouds RUN…`` with run folders named SCENE-SEED, or without any to print the stored record.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import sys
from datetime import UTC, datetime
from pathlib import Path

RECORD = Path(__file__).parent / "results" / "clouds.json"
ROWS = {
    "rule": "rule: blue > 0.2",
    "lda": "per-pixel linear discriminant",
    "unet": "small U-Net from scratch, the same time",
    "random_backbone": "random weights, LoRA, same head",
    "full_finetune": "Galileo-nano, full fine-tuning",
    "test": "**Galileo-nano frozen, LoRA**",
}
KEPT = ("iou/cloud", "iou_low/cloud", "iou_high/cloud", "iou/shadow", "iou_low/shadow", "iou_high/shadow", "miou")
GAINS = tuple(f"iou_gain{end}/{name}" for name in ("cloud", "shadow") for end in ("", "_low", "_high"))


def collect(folders: list[Path]) -> dict[str, object]:
    """The record of run folders: scores and gains per scene, seed and entry, with date and machine."""
    runs = []
    for folder in folders:
        scene, _, seed = folder.name.rpartition("-")
        found = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
        kept = {f"{who}/{key}": found[f"{who}/{key}"] for who in ROWS for key in KEPT}
        kept |= {f"{who}/{key}": found[f"{who}/{key}"] for who in ROWS if who != "test" for key in GAINS}
        runs.append({"test": scene, "seed": int(seed), "seconds": found["run/seconds"], "metrics": kept})
    return {
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "runs": runs,
    }


def table(record: dict[str, object]) -> str:
    """Mean over the seeds and their range, per direction and entry."""
    runs = record["runs"]
    assert isinstance(runs, list)
    scenes = sorted({run["test"] for run in runs})
    head = "".join(f" | {scene}: cloud | shadow" for scene in scenes)
    lines = [f"| {head} |", "|---" * (1 + 2 * len(scenes)) + "|"]
    for who, name in ROWS.items():
        cells = []
        for scene in scenes:
            for metric in ("iou/cloud", "iou/shadow"):
                values = [run["metrics"][f"{who}/{metric}"] for run in runs if run["test"] == scene]
                spread = f" ({min(values):.3f}–{max(values):.3f})" if max(values) - min(values) > 5e-4 else ""
                none = who == "rule" and metric == "iou/shadow"
                cells.append("–" if none else f"{statistics.mean(values):.3f}{spread}")
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def gains(record: dict[str, object]) -> str:
    """Per run, where the paired 90 % interval of the gain in cloud IoU lies."""
    runs = record["runs"]
    assert isinstance(runs, list)
    lines = []
    for who in ROWS:
        if who == "test":
            continue
        for name in ("cloud", "shadow"):
            better = sum(run["metrics"][f"{who}/iou_gain_low/{name}"] > 0 for run in runs)
            worse = sum(run["metrics"][f"{who}/iou_gain_high/{name}"] < 0 for run in runs)
            lines.append(
                f"{who} {name}: better in {better}, worse in {worse}, no difference in {len(runs) - better - worse}"
            )
    return "\n".join(lines)


def main() -> None:
    folders = [Path(word) for word in sys.argv[1:]]
    if folders:
        RECORD.write_text(json.dumps(collect(folders), indent=1) + "\n", encoding="utf-8")
    record = json.loads(RECORD.read_text(encoding="utf-8"))
    print(table(record), gains(record), f"{record['date']}, {record['machine']}", sep="\n\n")


if __name__ == "__main__":
    main()
