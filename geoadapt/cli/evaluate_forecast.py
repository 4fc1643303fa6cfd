"""What ``geoadapt evaluate`` does for forecasts: a forecaster on an archive, or a stored forecast against truth."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from geoadapt.cli.compose import compose, store_config
from geoadapt.cli.evaluate_run import begin, existing, run_once, say, told
from geoadapt.cli.grammar import Flag, Request
from geoadapt.cli.predict import bundle_folder
from geoadapt.config import JobConfig
from geoadapt.errors import GeoadaptError

if TYPE_CHECKING:
    from geoadapt.metrics.events import Event
    from geoadapt.metrics.weights import Box

__all__ = ["FLAGS", "existing", "plan_forecaster", "plan_stored", "read_regions", "run_once", "say", "told"]

LOG = logging.getLogger(__name__)
FLAGS = (
    Flag(
        "--bundle",
        "a forecaster's or restorer's bundle, to be scored on the archive or series at the path",
        value="BUNDLE",
    ),
    Flag(
        "--truth",
        "truth for the stored forecast that is named as the path: both in WeatherBench 2's layout",
        value="FILE",
    ),
    Flag("--climatology", "with --truth: (hour, dayofyear, …), for scores of anomalies", value="FILE"),
    Flag("--scores", "with --truth: rmse,mae,bias,acc,crps,…; by default the first four", value="NAMES"),
    Flag(
        "--weights",
        "where the backbone's weights are, if not in GEOADAPT_WEIGHTS; with --truth area, cos or none",
        value="PATH",
    ),
    Flag("--regions", "boxes that are scored apart: NAME=W,S,E,N;NAME=…", value="BOXES"),
    Flag("--events", "a YAML or CSV file of boxes and periods that are scored apart", value="FILE"),
)


def plan_forecaster(request: Request) -> Callable[[], int]:
    """Score a bundle and the models it was tested against on other dates."""
    if len(request.paths) != 1:
        found = ", ".join(request.paths) or "none is named"
        raise GeoadaptError("evaluate", f"takes one archive: {found}", "geoadapt evaluate FILE --bundle BUNDLE")
    bundle, path = bundle_folder(request.flags["--bundle"]), existing(request.paths[0])
    overrides = ("data=weather", *request.overrides, f"data.path={path}")
    job = compose(overrides)
    if "--dry-run" in request.flags:
        return lambda: say(f"bundle    {bundle}\narchive   {job.data.path}\n\nnothing was run (--dry-run)")

    def work(job: JobConfig, folder: Path) -> None:
        """Score the bundle once, in a run folder."""
        from geoadapt.training.forecast_evaluate import evaluate_forecaster

        begin(folder, job, bundle, "data", "runtime")
        regions, events = _places(request)
        result = evaluate_forecaster(
            bundle,
            replace(job.data, path=str(path)),
            folder,
            runtime=job.runtime,
            regions=regions,
            events=events,
            seed=job.seed,
            bootstrap=job.train.bootstrap,
            weights=request.flags.get("--weights"),
            allow_mismatch="--allow-mismatch" in request.flags,
            command=request.command,
        )
        told(result)

    return lambda: run_once(work, overrides)


def plan_stored(request: Request) -> Callable[[], int]:
    """Score a stored forecast against truth."""
    if len(request.paths) != 1:
        found = ", ".join(request.paths) or "none is named"
        raise GeoadaptError("evaluate", f"takes one forecast: {found}", "geoadapt evaluate FC.zarr --truth ERA5.zarr")
    forecast, truth = existing(request.paths[0]), existing(request.flags["--truth"])
    climatology = existing(request.flags["--climatology"]) if "--climatology" in request.flags else None
    names = [n.strip() for n in request.flags.get("--scores", "").split(",") if n.strip()]
    overrides = ("data=weather", *request.overrides)
    compose(overrides)
    if "--dry-run" in request.flags:
        return lambda: say(f"forecast  {forecast}\ntruth     {truth}\n\nnothing was run (--dry-run)")

    def work(job: JobConfig, folder: Path) -> None:
        """Score the stored forecast once, in a run folder."""
        from geoadapt.training.forecast_evaluate import evaluate_forecast
        from geoadapt.training.verification import SCORES

        LOG.info("run folder: %s", folder)
        store_config(folder, {"forecast": str(forecast), "truth": str(truth), "seed": job.seed})
        regions, events = _places(request)
        result = evaluate_forecast(
            forecast,
            truth,
            folder,
            climatology=climatology,
            variables=job.data.variables or None,
            scores=names or SCORES,
            weights=request.flags.get("--weights", "area"),
            regions=regions,
            events=events,
            bootstrap=job.train.bootstrap,
            seed=job.seed,
            command=request.command,
        )
        told(result)

    return lambda: run_once(work, overrides)


def read_regions(text: str) -> dict[str, Box]:
    """Boxes by name from ``NAME=W,S,E,N;NAME=…`` [degrees]; raises GeoadaptError."""
    from geoadapt.metrics.weights import Box

    found = {}
    for part in filter(None, (p.strip() for p in text.split(";"))):
        name, _, ends = part.partition("=")
        try:
            west, south, east, north = (float(v) for v in ends.split(","))
        except ValueError as error:
            raise GeoadaptError("--regions", f"'{part}' is no box", "write NAME=W,S,E,N in degrees") from error
        found[name.strip()] = Box(west, south, east, north)
    return found


def _places(request: Request) -> tuple[dict[str, Box], tuple[Event, ...]]:
    from geoadapt.metrics.events import read_events

    events = read_events(request.flags["--events"]) if "--events" in request.flags else ()
    return read_regions(request.flags.get("--regions", "")), events
