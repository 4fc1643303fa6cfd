"""``geoadapt predict``: run a bundle over scenes of any size, into COGs with STAC items."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from geoadapt.cli.compose import compose
from geoadapt.cli.costs import check_folder
from geoadapt.cli.grammar import Flag, Request, Verb
from geoadapt.cli.predict_series import FLAGS, is_stack, plan_stack
from geoadapt.cli.progress import progress
from geoadapt.config import JobConfig
from geoadapt.errors import GeoadaptError
from geoadapt.io.paths import as_path
from geoadapt.shipped import shipped_bundle, shipped_weights
from geoadapt.words import counted

if TYPE_CHECKING:
    from geoadapt.inference.predict import ItemResult
    from geoadapt.inference.propose import Proposed

__all__ = ["VERB", "parse_bbox"]


def parse_bbox(text: str) -> tuple[float, float, float, float]:
    """West, south, east, north [degrees] from ``W,S,E,N``; raises GeoadaptError."""
    hint = "write four numbers: west,south,east,north [degrees]"
    try:
        west, south, east, north = (float(part) for part in text.split(","))
    except ValueError:
        raise GeoadaptError("--bbox", f"'{text}'", hint) from None
    if not (-90 <= south < north <= 90 and math.isfinite(west + east)):
        raise GeoadaptError("--bbox", f"'{text}' is no box", f"{hint}, south below north")
    return west, south, east, north


def bundle_folder(name: str) -> Path:
    """The folder of a bundle; raises GeoadaptError where it is none."""
    folder = as_path(name)
    if not (folder / "bundle.json").is_file():
        raise GeoadaptError(folder, "is no bundle: it holds no bundle.json", "name the bundle/ of a run folder")
    return folder


def _plan(request: Request) -> Callable[[], int]:
    if not request.paths:
        raise GeoadaptError("predict", "no scene is named", "geoadapt predict SCENE… --output OUT")
    named = bundle_folder(request.flags["--bundle"]) if "--bundle" in request.flags else None
    if is_stack(request, named):
        return plan_stack(request, named)
    bundle = named or shipped_bundle()
    output = Path(request.required("--output"))
    bbox = parse_bbox(request.flags["--bbox"]) if "--bbox" in request.flags else None
    aoi = _area(request)
    count = _count(request.flags["--propose"]) if "--propose" in request.flags else 0
    job = compose(request.overrides)
    if "--dry-run" in request.flags:
        return lambda: _dry_run(request, bundle, output, job, bbox, aoi)
    return lambda: _predict(request, bundle, output, job, bbox, aoi, count)


def _area(request: Request) -> Path | None:
    """The file of ``--aoi``; raises GeoadaptError where it is not there, or a box is given too."""
    if "--aoi" not in request.flags:
        return None
    path = as_path(request.flags["--aoi"])
    if "--bbox" in request.flags:
        raise GeoadaptError("--aoi", "is given beside --bbox", "give one of them")
    if not path.exists():
        raise GeoadaptError("--aoi", f"'{path}' does not exist", "name a GeoPackage or GeoJSON of polygons")
    return path


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise GeoadaptError("--propose", f"'{text}'", "write how many tiles to name: 1 or more")
    return int(text)


def _predict(
    request: Request,
    folder: Path,
    output: Path,
    job: JobConfig,
    bbox: tuple[float, float, float, float] | None,
    aoi: Path | None,
    count: int,
) -> int:
    from geoadapt.bundle.load import load_bundle
    from geoadapt.inference.machine import choose_device
    from geoadapt.inference.predict import predict
    from geoadapt.inference.propose import propose

    device = choose_device(job.runtime.device)
    bundle = load_bundle(
        folder,
        device=device,
        weights=request.flags.get("--weights") or _own_weights(request, folder),
        allow_mismatch="--allow-mismatch" in request.flags,
    )
    with progress() as report:
        results = predict(
            request.paths,
            bundle,
            output,
            job.infer,
            bbox=bbox,
            aoi=aoi,
            sensor=request.flags.get("--sensor"),
            device=device,
            threads=job.runtime.threads or None,
            progress=report,
            verify="--verify" in request.flags,
            command=request.command,
            tile_scores=count > 0,
        )
    proposed = propose(results, output, count) if count else None
    if "--json" in request.flags:
        print(json.dumps(_plain(results, proposed), indent=2, ensure_ascii=False, default=str))
    else:
        print(f"bundle   {_spoken(request, bundle.name, folder)}")
        _show(results, output)
        if proposed:
            _show_proposed(proposed, count, output)
    return 1 if any(result.status == "failed" for result in results) else 0


def _plain(results: Sequence[ItemResult], proposed: Proposed | None) -> list[dict[str, Any]]:
    """The results as plain data; where tiles were asked for, each scene with its own, by rank among all."""
    if proposed is None:
        return [asdict(result) for result in results]
    tiles = [asdict(tile) for tile in proposed.tiles]
    return [
        asdict(result)
        | {"proposed": [tile for tile in tiles if tile["scene"] == result.name]}
        | {"not_asked": proposed.missing.get(result.name)}
        for result in results
    ]


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
    print(f"{counted(len(results), 'scene')}: {spoken or 'nothing to do'}; see {output / 'run.json'}")


def _show_proposed(proposed: Proposed, count: int, output: Path) -> None:
    """A line per tile to label, and the scenes that could not be asked."""
    found = len(proposed.tiles)
    few = f" (all there are; {count} were asked for)" if found < count else ""
    print(f"{counted(found, 'tile')} most worth labelling next{few}; see {output / 'propose.geojson'}")
    for tile in proposed.tiles:
        print(tile.line())
    for name, why in proposed.missing.items():
        print(f"         not asked: {name}: {why}")


def _own_weights(request: Request, folder: Path) -> str | None:
    """Of the shipped bundle's backbone: the file that ships with it, whatever else of that name is at hand."""
    from geoadapt.bundle.card import read_card

    if "--bundle" in request.flags:
        return None
    file = shipped_weights(str(read_card(folder)[0].backbone.get("name")))
    return None if file is None else str(file)


def _spoken(request: Request, name: str, folder: Path) -> str:
    return f"{name} ({folder})" if "--bundle" in request.flags else f"{name}, the one that ships with geoadapt"


def _dry_run(
    request: Request,
    folder: Path,
    output: Path,
    job: JobConfig,
    bbox: tuple[float, float, float, float] | None,
    aoi: Path | None,
) -> int:
    """Check scenes, output and area, and say what each scene would need; of the bundle only its card is loaded."""
    from geoadapt.bundle.card import read_card
    from geoadapt.inference.outline import outline
    from geoadapt.inference.scenes import find_all

    card, _ = read_card(folder)
    check_folder(output, "--output")
    sensor = request.flags.get("--sensor")
    scenes = find_all(request.paths, sensor, exclude=output)
    proposing = "--propose" in request.flags
    found = outline(
        scenes, card.channels, card.classes, job.infer, bbox=bbox, aoi=aoi, sensor=sensor, disagreement=proposing
    )
    print(f"bundle  {_spoken(request, card.name, folder)}; on {', '.join(card.channels)}")
    print(f"tiles   {job.infer.tile} px, overlap {job.infer.overlap} px, {job.infer.batch} at once")
    for each in found:
        if each.error:
            print(f"failing {each.scene.name}: {each.error}", file=sys.stderr)
        else:
            print(f"scene   {each.scene.origin} -> {output / each.scene.name}  ({each})")
    failing = sum(bool(each.error) for each in found)
    print(counted(len(found), "scene") + (f", of which {failing} would fail" if failing else ""))
    print("\nnothing was run (--dry-run)")
    return 1 if failing else 0


VERB = Verb(
    summary="run a bundle over scenes, or remove the clouds of a stack: COGs with STAC items, quick looks and run.json",
    plan=_plan,
    paths="SCENE…",
    flags=(
        Flag("--bundle", "the bundle to run; without it the cloud bundle that ships", value="B", short="-b"),
        Flag("--output", "the folder for the results", value="OUT", short="-o"),
        Flag("--bbox", "only this part, in degrees", value="W,S,E,N"),
        Flag("--aoi", "only what lies inside the polygons of a vector file", value="FILE"),
        Flag("--sensor", "sentinel2, landsat8 …, where names and metadata do not tell", value="S"),
        Flag("--weights", "where the backbone's weights are, if not in GEOADAPT_WEIGHTS", value="PATH"),
        Flag("--allow-mismatch", "use the backbone at hand although the bundle was trained on another"),
        Flag("--verify", "read finished outputs again before skipping them"),
        Flag("--propose", "name the N tiles most worth labelling next", value="N"),
        *FLAGS,
        Flag("--dry-run", "check the scenes, say what each would need, and stop"),
        Flag("--json", "the results as JSON"),
    ),
    sections=("infer", "runtime"),
    examples=(
        "geoadapt predict scenes/ --output masks",
        "geoadapt predict scenes/ --bundle outputs/run/bundle --output masks --propose 10 infer.instability=true",
        "geoadapt predict stack/ --method temporal_median --output clear",
        "geoadapt predict scene.tif -b B -o OUT infer.threshold=0.4 infer.cloud_buffer=3 infer.probabilities=true",
    ),
)
