"""``geoadapt predict`` on a stack: all paths are dates of one place, and their clouds are removed.

In: a request with ``--method``, or with a bundle of the task cloud_removal. Out: the work to be done.
"""

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from geoadapt.cli.compose import compose
from geoadapt.cli.costs import check_folder
from geoadapt.cli.grammar import Flag, Request
from geoadapt.cli.progress import progress
from geoadapt.config import InferConfig, JobConfig
from geoadapt.errors import GeoadaptError, nearest
from geoadapt.io.paths import as_path
from geoadapt.shipped import shipped_bundle, shipped_weights
from geoadapt.words import counted

if TYPE_CHECKING:
    from geoadapt.inference.predict import ItemResult
    from geoadapt.inference.restore import StackJob
    from geoadapt.inference.restore_method import Method
    from geoadapt.inference.restore_where import Stack

__all__ = ["FLAGS", "TASK", "is_stack", "plan_stack", "task_of"]

FLAGS = (
    Flag("--method", "remove clouds of a stack without a model: temporal_median, linear …", value="NAME"),
    Flag("--mask", "a stack's masks: auto, none, bundle (the one that ships, or its folder), or a pattern", value="M"),
    Flag("--dates", "which of a stack's dates to restore: 2020-05-01,2020-06-01/2020-06-30; default all", value="D"),
    Flag("--grid", "a stack's grid: first (scene), union or intersection", value="G"),
    Flag("--bands", "which of a stack's bands: red,nir; default all reflective ones", value="B"),
    Flag("--scale", "reflectance = stored · scale + offset, where a stack's files do not say it", value="S"),
    Flag("--offset", "see --scale", value="O"),
    Flag("--nodata", "the stored number for missing, where a stack's files declare none", value="N"),
    Flag("--mask-scheme", "what a stack's masks mean, where names do not tell: hls_fmask, sentinel2_scl …", value="M"),
)
"""Flags of stacks; the others of ``predict`` that mean something for them are shared."""
GRIDS = ("first", "union", "intersection")
_SCENES_ONLY = ("--bbox", "--aoi", "--propose")
TASK = "cloud_removal"


@dataclass(frozen=True, slots=True)
class _Asked:
    """What was typed, checked as far as that needs no scene."""

    request: Request
    output: Path
    job: JobConfig
    bundle: Path | None
    method: str
    mask: str
    masking: Path | None
    """The cloud bundle that makes the masks, where one does."""
    opening: dict[str, Any]
    """What was said of grid, bands and numbers, by the names that ``open_series`` gives them."""


def is_stack(request: Request, bundle: Path | None) -> bool:
    """Whether the paths are one stack: a method is named, or a bundle of the task cloud_removal.

    Raises GeoadaptError where it is none, and a flag was given that only stacks have.
    """
    if "--method" in request.flags or (bundle is not None and task_of(bundle) == TASK):
        return True
    for flag in FLAGS:
        if flag.name in request.flags:
            hint = "add --method temporal_median, or name a bundle of that task"
            raise GeoadaptError(flag.name, "belongs to stacks whose clouds are removed", hint)
    return False


def plan_stack(request: Request, bundle: Path | None) -> Callable[[], int]:
    """The work that a request on a stack asks for; raises GeoadaptError for what cannot be meant."""
    for flag in _SCENES_ONLY:
        if flag in request.flags:
            raise GeoadaptError(flag, "is not for stacks", "cut the scenes first, or leave it out")
    if bundle is not None and "--method" in request.flags:
        raise GeoadaptError("--method", "is given beside --bundle", "give one of them")
    if bundle is not None and "--bands" in request.flags:
        raise GeoadaptError("--bands", "is given beside --bundle", "leave it out: a bundle takes bands of its own")
    method = request.flags.get("--method", "")
    if method:
        from geoadapt.inference.restore_method import composite_method

        composite_method(method)
    mask = request.flags.get("--mask", "auto")
    output = Path(request.required("--output"))
    asked = _Asked(request, output, compose(request.overrides), bundle, method, mask, _masking(mask), _said(request))
    return (lambda: _dry_run(asked)) if "--dry-run" in request.flags else (lambda: _restore(asked))


def _said(request: Request) -> dict[str, Any]:
    """What the flags say of a stack's grid, bands and numbers; raises GeoadaptError for what cannot be meant."""
    flags = request.flags
    grid = flags.get("--grid", "first")
    if grid not in GRIDS:
        raise GeoadaptError("--grid", f"'{grid}'", nearest(grid, GRIDS))
    said: dict[str, Any] = {"grid": grid, "sensor": flags.get("--sensor")}
    if "--bands" in flags:
        said["bands"] = tuple(name.strip() for name in flags["--bands"].split(","))
    if "--mask-scheme" in flags:
        from geoadapt.cubes.quality import scheme_named

        scheme_named(flags["--mask-scheme"])
        said["mask_scheme"] = flags["--mask-scheme"]
    return said | {name: _number(flags, name) for name in ("scale", "offset", "nodata") if f"--{name}" in flags}


def _number(flags: Mapping[str, str], name: str) -> float:
    text = flags[f"--{name}"]
    try:
        return float(text)
    except ValueError:
        raise GeoadaptError(f"--{name}", f"'{text}' is no number", "write it as 0.0001") from None


def task_of(bundle: Path) -> str:
    """The task that a bundle says it is for; empty where it cannot be read."""
    try:
        return str(json.loads((bundle / "bundle.json").read_text(encoding="utf-8")).get("task"))
    except (OSError, ValueError, AttributeError):
        return ""  # What is wrong with it is said by what loads it.


def _masking(mask: str) -> Path | None:
    """The folder of the cloud bundle that ``--mask`` names; None where it names none."""
    if mask == "bundle":
        return shipped_bundle()
    folder = as_path(mask)
    return folder if (folder / "bundle.json").is_file() else None


def _restore(asked: _Asked) -> int:
    from geoadapt.inference.machine import choose_device
    from geoadapt.inference.restore import restore_stack

    device = choose_device(asked.job.runtime.device)
    job = _stack_job(asked, _method(asked, device), device)
    with progress() as report:
        result = restore_stack(
            job,
            device=device,
            threads=asked.job.runtime.threads or None,
            progress=report,
            verify="--verify" in asked.request.flags,
            command=asked.request.command,
        )
    if "--json" in asked.request.flags:
        print(json.dumps([asdict(result)], indent=2, ensure_ascii=False, default=str))
    else:
        _show(result, job)
    return 1 if result.status == "failed" else 0


def _show(result: ItemResult, job: StackJob) -> None:
    """How the stack ended, what its user should know, and where the files are."""
    print(f"method   {job.method.name}")
    if result.status == "failed":
        print(f"failed   {result.name}: {result.error}", file=sys.stderr)
        return
    dates = sum(kind.endswith("_source") for kind in result.files)
    print(f"{result.status:<9}{job.output / result.name}: {counted(dates, 'date')}, {result.seconds:.1f} s")
    for note in result.notes:
        print(f"         note: {note}")
    total = sum(result.pixels.values())
    if total:
        print("         " + ", ".join(f"{n.replace('_', ' ')} {v / total:.1%}" for n, v in result.pixels.items() if v))
    print(f"see {result.files.get('collection', job.output)} and {job.output / 'run.json'}")


def _method(asked: _Asked, device: str) -> Method:
    from geoadapt.inference.restore_method import composite_method, model_method

    if asked.bundle is None:
        return composite_method(asked.method)
    from geoadapt.bundle.restorer import load_restorer

    flags = asked.request.flags
    allow = "--allow-mismatch" in flags
    return model_method(load_restorer(asked.bundle, device, weights=flags.get("--weights"), allow_mismatch=allow))


def _stack_job(asked: _Asked, method: Method, device: str) -> StackJob:
    from geoadapt.inference.restore import StackJob
    from geoadapt.inference.restore_radar import check_radar

    request = asked.request
    check_radar(method.name, method.radar, asked.job.infer.radar)
    how: dict[str, Any] = {"mask": asked.mask, **asked.opening, **_opening(asked.job.infer)}
    if asked.masking is not None:
        how["threshold"] = asked.job.infer.threshold
    radar = asked.job.infer.radar
    read = [asked.mask if asked.masking is None else str(asked.masking), radar]
    more = tuple(each for each in read if each not in ("auto", "none", None))
    how["radar"] = radar
    return StackJob(
        request.paths,
        lambda: _open(asked, method, device),
        method,
        asked.output,
        asked.job.infer,
        request.flags.get("--dates", ""),
        how,
        more,
        masked=asked.masking is not None,
    )


def _opening(infer: InferConfig) -> dict[str, Any]:
    """Fields of the configuration that ``open_series`` has under the same names."""
    names = ("zero_is_nodata", "duplicates", "damaged", "max_gap")
    return {name: getattr(infer, name) for name in names}


def _open(asked: _Asked, method: Method, device: str) -> Stack:
    from geoadapt.inference.restore_radar import open_heard

    infer = asked.job.infer
    stack = _seen(asked, method, device)
    if infer.radar is None:
        return stack
    return open_heard(stack, infer.radar, method.radar, damaged=infer.damaged)


def _seen(asked: _Asked, method: Method, device: str) -> Stack:
    from geoadapt.cubes.series import open_series
    from geoadapt.inference.restore_mask import open_masked

    infer = asked.job.infer
    common = {**asked.opening, **_opening(infer), "buffer": infer.cloud_buffer}
    paths, bands = list(asked.request.paths), common.pop("bands", method.channels)
    if asked.masking is None:
        return open_series(paths, bands=bands, mask=asked.mask, **common)
    from geoadapt.bundle.card import read_card
    from geoadapt.bundle.load import load_bundle

    weights = None
    if asked.mask == "bundle":
        own = shipped_weights(str(read_card(asked.masking)[0].backbone.get("name")))
        weights = None if own is None else str(own)
    bundle = load_bundle(asked.masking, device=device, weights=weights)
    return open_masked(paths, bands, bundle, threshold=infer.threshold, device=device, **common)


def _dry_run(asked: _Asked) -> int:
    """Open the stack, check what is asked of it, and say what it would need; of a bundle only the card is loaded."""
    from geoadapt.inference.restore import block_job, margin_of
    from geoadapt.inference.restore_method import Method, composite_method
    from geoadapt.inference.restore_radar import Heard
    from geoadapt.inference.restore_room import stack_room

    if asked.bundle is None:
        method = composite_method(asked.method)
    else:
        from geoadapt.bundle.card import read_card
        from geoadapt.bundle.restorer import radar_of_card

        card, digest = read_card(asked.bundle)
        method = Method(card.name, _unbuilt, digest, card.channels, radar=radar_of_card(card))
    check_folder(asked.output, "--output")
    job = _stack_job(asked, method, "cpu")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what they say is among the notes
        source = job.open()
    with source:
        info, made = source.info, block_job(job, source.info.times)
        heard = source.heard if isinstance(source, Heard) else None
        room = stack_room(info, made, job.config, learned=method.learned, margin=margin_of(job), heard=heard)
        print(f"method  {method.name}")
        print(f"stack   {info.name}: {info.height} × {info.width} px, {', '.join(info.bands)}")
        print(f"dates   {len(info.times)} from {info.times[0]} to {info.times[-1]}; {len(made.wanted)} to be restored")
        print(f"blocks  {job.config.tile} px, read with {margin_of(job)} px around")
        print(f"needs   {room}")
        for note in info.notes:
            print(f"        note: {note}")
    print("\nnothing was run (--dry-run)")
    return 0


def _unbuilt(channels: tuple[str, ...]) -> Any:
    raise GeoadaptError("--dry-run", "loads no model")
