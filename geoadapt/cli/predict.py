"""``geoadapt predict``: run a bundle over scenes of any size, into COGs with STAC items."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from geoadapt.cli.compose import compose
from geoadapt.cli.grammar import Flag, Request, Verb
from geoadapt.cli.progress import progress
from geoadapt.config import JobConfig
from geoadapt.errors import GeoadaptError
from geoadapt.io.paths import as_path

if TYPE_CHECKING:
    from geoadapt.inference.predict import ItemResult

__all__ = ["VERB", "parse_bbox"]


def parse_bbox(text: str) -> tuple[float, float, float, float]:
    """West, south, east, north [degrees] from ``W,S,E,N``; raises GeoadaptError."""
    try:
        west, south, east, north = (float(part) for part in text.split(","))
    except ValueError:
        raise GeoadaptError("--bbox", f"'{text}'", "write four numbers: west,south,east,north [degrees]") from None
    return west, south, east, north


def bundle_folder(name: str) -> Path:
    """The folder of a bundle; raises GeoadaptError where it is none."""
    folder = as_path(name)
    if not (folder / "bundle.json").is_file():
        raise GeoadaptError(folder, "is no bundle: it holds no bundle.json", "name the bundle/ of a run folder")
    return folder


def _plan(request: Request) -> Callable[[], int]:
    if not request.paths:
        raise GeoadaptError("predict", "no scene is named", "geoadapt predict SCENE… --bundle B --output OUT")
    bundle = bundle_folder(request.required("--bundle"))
    output = Path(request.required("--output"))
    bbox = parse_bbox(request.flags["--bbox"]) if "--bbox" in request.flags else None
    job = compose(request.overrides)
    if "--dry-run" in request.flags:
        return lambda: _dry_run(request, bundle, output, job)
    return lambda: _predict(request, bundle, output, job, bbox)


def _predict(
    request: Request, folder: Path, output: Path, job: JobConfig, bbox: tuple[float, float, float, float] | None
) -> int:
    from geoadapt.bundle import load_bundle
    from geoadapt.inference.machine import choose_device
    from geoadapt.inference.predict import predict

    device = choose_device(job.runtime.device)
    bundle = load_bundle(
        folder,
        device=device,
        weights=request.flags.get("--weights"),
        allow_mismatch="--allow-mismatch" in request.flags,
    )
    with progress() as report:
        results = predict(
            request.paths,
            bundle,
            output,
            job.infer,
            bbox=bbox,
            sensor=request.flags.get("--sensor"),
            device=device,
            threads=job.runtime.threads or None,
            progress=report,
            verify="--verify" in request.flags,
            command=request.command,
        )
    if "--json" in request.flags:
        print(json.dumps([asdict(result) for result in results], indent=2, ensure_ascii=False, default=str))
    else:
        _show(results, output)
    return 1 if any(result.status == "failed" for result in results) else 0


def _show(results: Sequence[ItemResult], output: Path) -> None:
    """A line per scene, what its user should know, and the sum."""
    for result in results:
        if result.status == "failed":
            print(f"failed   {result.name}: {result.error}", file=sys.stderr)
            continue
        place = result.files.get("labels", output)
        print(f"{result.status:<9}{place}  {result.seconds:.1f} s")
        for note in result.notes:
            print(f"         note: {note}")
    counts = {status: sum(r.status == status for r in results) for status in ("done", "skipped", "failed")}
    spoken = ", ".join(f"{count} {status}" for status, count in counts.items() if count)
    print(f"{len(results)} scenes: {spoken or 'nothing to do'}; see {output / 'run.json'}")


def _dry_run(request: Request, folder: Path, output: Path, job: JobConfig) -> int:
    """Name the scenes and what would be made of them; nothing is loaded but the bundle's card."""
    from geoadapt.bundle import read_card
    from geoadapt.inference.scenes import find_all

    card, _ = read_card(folder)
    scenes = find_all(request.paths, request.flags.get("--sensor"), exclude=output)
    print(f"bundle  {card.name}, on {', '.join(card.channels)}")
    print(f"tiles   {job.infer.tile} px, overlap {job.infer.overlap} px, {job.infer.batch} at once")
    for scene in scenes:
        print(f"scene   {scene.origin} -> {output / scene.name}" + (f"  ({scene.error})" if scene.error else ""))
    print("\nnothing was run (--dry-run)")
    return 1 if any(scene.error for scene in scenes) else 0


VERB = Verb(
    summary="run a bundle over scenes: labels as COGs with STAC items, quick looks and run.json",
    plan=_plan,
    paths="SCENE…",
    flags=(
        Flag("--bundle", "the bundle to run", value="B", short="-b"),
        Flag("--output", "the folder for the results", value="OUT", short="-o"),
        Flag("--bbox", "only this part, in degrees", value="W,S,E,N"),
        Flag("--sensor", "sentinel2, landsat8 …, where names and metadata do not tell", value="S"),
        Flag("--weights", "where the backbone's weights are, if not in GEOADAPT_WEIGHTS", value="PATH"),
        Flag("--allow-mismatch", "use the backbone at hand although the bundle was trained on another"),
        Flag("--verify", "read finished outputs again before skipping them"),
        Flag("--dry-run", "list the scenes, and stop"),
        Flag("--json", "the results as JSON"),
    ),
    sections=("infer", "runtime"),
    examples=(
        "geoadapt predict scenes/ --bundle outputs/run/bundle --output masks",
        "geoadapt predict scene.tif -b B -o OUT infer.threshold=0.4 infer.cloud_buffer=3 infer.probabilities=true",
    ),
)
