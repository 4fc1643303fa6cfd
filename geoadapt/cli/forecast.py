"""``geoadapt forecast``: run a forecast bundle from one date or many, into a Zarr store by init time and lead time."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from geoadapt.cli.compose import compose
from geoadapt.cli.costs import check_folder
from geoadapt.cli.grammar import Flag, Request, Verb
from geoadapt.cli.predict import bundle_folder, parse_bbox
from geoadapt.cli.progress import progress
from geoadapt.cli.times import parse_length, parse_times
from geoadapt.config import RuntimeConfig
from geoadapt.errors import GeoadaptError
from geoadapt.inference.config import ForecastConfig
from geoadapt.io.paths import as_path
from geoadapt.words import counted

if TYPE_CHECKING:
    from geoadapt.fields.forecaster import Forecaster
    from geoadapt.inference.predict import ItemResult

__all__ = ["VERB"]

Dates = NDArray[np.datetime64]
MIB = 2**20
NUMBERS = {"members": int, "amplitude": float, "length": float, "seed": int, "batch": int}
"""Flags that are a number, as they are called in ``ForecastConfig``."""


def _plan(request: Request) -> Callable[[], int]:
    if not request.paths:
        raise GeoadaptError(
            "forecast", "no archive is named", "geoadapt forecast FILE… --bundle B --init DATE --lead 10d"
        )
    bundles = _bundles(request.required("--bundle"))
    times = parse_times(request.required("--init"), "--init")
    output = as_path(request.required("--output"))
    config = _config(request, len(bundles))
    runtime = compose(request.overrides).runtime
    if "--dry-run" in request.flags:
        return lambda: _dry_run(request, bundles, times, output, config, runtime)
    return lambda: _forecast(request, bundles, times, output, config, runtime)


def _bundles(text: str) -> list[Path]:
    """One bundle, or several between commas where nothing is called by the whole text."""
    names = [text] if os.path.lexists(as_path(text)) else [part for part in text.split(",") if part]
    return [bundle_folder(name) for name in names or [text]]


def _config(request: Request, bundles: int) -> ForecastConfig:
    flags = request.flags
    perturb = flags.get("--perturb", "adapters" if bundles > 1 else "initial")
    numbers = {name: _number(flags, f"--{name}", kind) for name, kind in NUMBERS.items() if f"--{name}" in flags}
    if "--perturb" in flags and numbers.setdefault("members", bundles) == 1:
        raise GeoadaptError("--perturb", "is given for a single forecast", "add --members N")
    return ForecastConfig(
        lead=parse_length(request.required("--lead"), "--lead"),
        every=parse_length(flags["--every"], "--every") if "--every" in flags else 0,
        perturb=perturb,
        variables=tuple(name for name in flags.get("--variables", "").split(",") if name),
        bbox=parse_bbox(flags["--bbox"]) if "--bbox" in flags else None,
        **{"members": bundles, **numbers},
    )


def _number(flags: dict[str, str], name: str, kind: type) -> Any:
    try:
        return kind(flags[name])
    except ValueError:
        whole = "a whole number" if kind is int else "a number"
        raise GeoadaptError(name, f"'{flags[name]}'", f"write {whole}") from None


def _forecast(
    request: Request,
    bundles: Sequence[Path],
    times: Dates,
    output: Path,
    config: ForecastConfig,
    runtime: RuntimeConfig,
) -> int:
    from geoadapt.inference.archives import history_for
    from geoadapt.inference.forecast import forecast
    from geoadapt.io.manifest import input_stamp

    models, device = _load(request, bundles, runtime)
    history = history_for(models[0], [as_path(path) for path in request.paths])
    with progress() as report:
        results = forecast(
            history,
            models,
            times,
            output,
            config,
            device=device,
            stamp=input_stamp(as_path(path) for path in request.paths),
            progress=report,
            verify="--verify" in request.flags,
            overwrite="--overwrite" in request.flags,
            command=request.command,
        )
    if "--json" in request.flags:
        print(json.dumps([asdict(result) for result in results], indent=2, ensure_ascii=False, default=str))
    else:
        _show(results, output)
    return 1 if any(result.status == "failed" for result in results) else 0


def _load(request: Request, bundles: Sequence[Path], runtime: RuntimeConfig) -> tuple[list[Forecaster], str]:
    from geoadapt.bundle.forecaster import load_forecaster
    from geoadapt.inference.machine import choose_device, use_threads

    device = choose_device(runtime.device)
    use_threads(runtime.threads)
    weights, mismatch = request.flags.get("--weights"), "--allow-mismatch" in request.flags
    return [load_forecaster(b, device, weights=weights, allow_mismatch=mismatch) for b in bundles], device


def _show(results: Sequence[ItemResult], output: Path) -> None:
    """What failed, a line each, and the sum."""
    from geoadapt.inference.forecast import run_folder

    for result in results:
        if result.status == "failed":
            print(f"failed   {result.name}: {result.error}", file=sys.stderr)
    counts = {status: sum(r.status == status for r in results) for status in ("done", "skipped", "failed")}
    spoken = ", ".join(f"{count} {status}" for status, count in counts.items() if count)
    print(f"{counted(len(results), 'init time')}: {spoken}; {output}, see {run_folder(output) / 'run.json'}")


def _dry_run(
    request: Request,
    bundles: Sequence[Path],
    times: Dates,
    output: Path,
    config: ForecastConfig,
    runtime: RuntimeConfig,
) -> int:
    """Check the archive, the dates and the output, try one step, and say what the whole would take."""
    from geoadapt.cubes.calendar import shown
    from geoadapt.inference.archives import history_for
    from geoadapt.inference.forecast import plan_store, startable
    from geoadapt.inference.outlook import outlook

    check_folder(output.absolute().parent, "--output")
    models, device = _load(request, bundles, runtime)
    history = history_for(models[0], [as_path(path) for path in request.paths])
    spec, _ = plan_store(history, models[0], startable(history, models[0], times), config)
    needed = outlook(history, models, spec, config, device)
    members = f" × {config.members} members ({config.perturb})" if config.members > 1 else ""
    grid = f"{len(spec.latitude)} × {len(spec.longitude)} points"
    step = models[0].step / 3600
    memory = f"{needed.memory / MIB:.0f} MiB of memory (the model's own left out)"
    print(f"bundle    {', '.join(map(str, bundles))}; on {', '.join(models[0].channels)}; step {step:g} h")
    reach = f"from {shown(spec.init_times[0])} to {shown(spec.init_times[-1])}"
    print(f"init      {counted(len(spec.init_times), 'time')} {reach}{members}")
    print(f"leads     {len(spec.leads)} up to {float(spec.leads[-1] / np.timedelta64(1, 'h')):g} h")
    print(f"store     {output}: {', '.join(variable.name for variable in spec.variables)} on {grid}")
    print(f"estimate  {needed.seconds:.0f} s on {device}, {memory}, at most {needed.disk / MIB:.0f} MiB on disk")
    for problem in needed.problems:
        print(f"failing   {problem}", file=sys.stderr)
    print("\nnothing was run (--dry-run)")
    return 1 if needed.problems else 0


VERB = Verb(
    summary="run a forecast bundle from one date or many, into a Zarr store",
    plan=_plan,
    paths="FILE…",
    flags=(
        Flag("--bundle", "the bundle to run; several, between commas, are members", value="B", short="-b", many=True),
        Flag("--init", "when to start: dates between commas, or FIRST/LAST/24h", value="DATE", many=True),
        Flag("--lead", "how far ahead: 10d, 72h", value="LEAD"),
        Flag("--every", "keep only lead times this far apart", value="LENGTH"),
        Flag("--output", "the Zarr store for the forecasts", value="OUT", short="-o"),
        Flag("--members", "how many members of an ensemble", value="N"),
        Flag("--perturb", "what makes them differ: initial, dropout or adapters", value="HOW"),
        Flag("--amplitude", "of the initial noise, over the usual change in a step", value="X"),
        Flag("--length", "of the initial noise's correlation [km]", value="KM"),
        Flag("--batch", "init times at once", value="N"),
        Flag("--seed", "of all noise", value="S"),
        Flag("--variables", "keep only these, between commas", value="V"),
        Flag("--bbox", "keep only this part, in degrees", value="W,S,E,N"),
        Flag("--weights", "where the backbone's weights are, if not in GEOADAPT_WEIGHTS", value="PATH"),
        Flag("--allow-mismatch", "use the backbone at hand although the bundle was trained on another"),
        Flag("--overwrite", "replace a store of another run"),
        Flag("--verify", "read finished forecasts again before skipping them"),
        Flag("--dry-run", "check all, try one step, say what it would take, and stop"),
        Flag("--json", "the results as JSON"),
    ),
    sections=("runtime",),
    examples=(
        "geoadapt forecast era5.zarr --bundle outputs/run/bundle --init 2008-01-01 --lead 10d --output fc.zarr",
        "geoadapt forecast slp.nc -b B --init 2008-01-01/2008-12-31/24h --lead 5d -o fc.zarr --members 10",
    ),
)
