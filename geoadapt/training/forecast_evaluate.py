"""Score a forecaster's bundle, and what it was tested against, on an archive of other dates; or a stored forecast.

In: a bundle and an archive, or a forecast in WeatherBench 2's layout and truth. Out: a run folder: metrics and a page.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import xarray as xr

from geoadapt.bundle.forecaster import load_forecast_baselines, load_forecaster
from geoadapt.config import RuntimeConfig
from geoadapt.cubes.weather import open_weather
from geoadapt.fields.weather_config import WeatherConfig
from geoadapt.inference.archives import history_for
from geoadapt.inference.machine import choose_device, use_threads
from geoadapt.io.paths import as_path
from geoadapt.io.zarr_read import open_store
from geoadapt.metrics.align import LEAD
from geoadapt.metrics.events import Event
from geoadapt.metrics.verify import Verification, verify
from geoadapt.metrics.weights import Box
from geoadapt.training.forecast_page import ForecastStory, write_forecast_page
from geoadapt.training.forecast_setting import steps_to
from geoadapt.training.results import MODEL, RunResult, write_metrics
from geoadapt.training.verification import SCORES, pictures, summarise_forecasts, verify_entries

__all__ = ["evaluate_forecast", "evaluate_forecaster"]


def evaluate_forecaster(
    bundle: str | Path,
    data: WeatherConfig,
    run_dir: str | Path,
    *,
    runtime: RuntimeConfig | None = None,
    regions: Mapping[str, Box] | None = None,
    events: Sequence[Event] = (),
    seed: int = 0,
    bootstrap: int = 1000,
    weights: str | None = None,
    allow_mismatch: bool = False,
    command: str = "",
) -> RunResult:
    """Metrics and a page of a forecaster on the dates of ``data``: those of its test years, or all where none is named.

    Raises GeoadaptError where the archive lacks a channel or has another grid, or no date can be forecast.
    """
    where = runtime or RuntimeConfig(device="cpu")
    device = choose_device(where.device)
    use_threads(where.threads)
    made = load_forecaster(bundle, device, weights=weights, allow_mismatch=allow_mismatch)
    path = as_path(data.path)
    history = history_for(made, [path], bbox=data.bbox, gaps=data.gaps, units=data.units, name=path.name)
    years = history.times.astype("datetime64[Y]").astype(int) + 1970
    test = np.isin(years, data.test_years) if data.test_years else np.ones(len(years), bool)
    entries = {MODEL: made, **load_forecast_baselines(made, device)}
    found = verify_entries(
        entries,
        history,
        test,
        steps_to(made.leads, made.step),
        made.standard,
        device=device,
        regions=regions,
        events=events,
    )
    metrics = summarise_forecasts(found, draws=bootstrap, seed=seed)
    metrics |= {k: v for k, v in made.card.metrics.items() if k == f"{MODEL}/parameters"}
    told = f"{history.name}: {history.times[test][0]} to {history.times[test][-1]} by target date"
    story = ForecastStory(
        title=f"{made.name} on {history.name}",
        channels=history.channels,
        units=made.units,
        leads_hours=found.leads,
        entries={MODEL: f"the bundle {made.name}", **{who: "" for who in entries if who != MODEL}},
        metrics=metrics,
        data=f"{told}; the bundle was trained on: {made.card.data}",
        simulated=history.simulated or made.card.simulated,
        command=command,
        config={"bundle": str(bundle), "data": asdict(data)},
        **pictures(found, history),
    )
    return _leave(Path(run_dir), metrics, story, Path(bundle))


def evaluate_forecast(
    forecast: str | Path,
    truth: str | Path,
    run_dir: str | Path,
    *,
    climatology: str | Path | None = None,
    variables: Sequence[str] | None = None,
    scores: Sequence[str] = SCORES,
    weights: str = "area",
    regions: Mapping[str, Box] | None = None,
    events: Sequence[Event] = (),
    bootstrap: int = 1000,
    seed: int = 0,
    command: str = "",
) -> RunResult:
    """Metrics and a page of a stored forecast in WeatherBench 2's layout, whoever made it; read date by date.

    Without a ``climatology`` (hour, dayofyear, …) no score is made that needs one, such as ``acc``.
    Raises GeoadaptError where the two do not fit together.
    """
    asked = tuple(s for s in scores if s != "acc") if climatology is None and tuple(scores) == SCORES else tuple(scores)
    cube = open_weather(forecast, variables=variables, gaps="allow", chunks={})
    usual: xr.Dataset | None = None if climatology is None else open_store(Path(climatology), {})
    found: Verification = verify(
        cube,
        open_weather(truth, variables=variables, gaps="allow", chunks={}),
        climatology=usual,
        regions=regions,
        events=events,
        weights=weights,
        scores=asked,
        missing="skip",
    )
    metrics = found.results(draws=bootstrap, seed=seed)
    channels = tuple(found.statistics.channels)
    leads = tuple(float(v) for v in found.statistics.leads / np.timedelta64(1, "h"))
    units = tuple(str(cube[c.partition("@")[0]].attrs.get("units", "")) for c in channels)
    note = "; ".join([f"{Path(forecast).name} against {Path(truth).name}, weights: {weights}", *found.missing])
    story = ForecastStory(
        title=f"Verification of {Path(forecast).name}",
        channels=channels,
        units=units,
        leads_hours=leads,
        entries={MODEL: f"{Path(forecast).name}, {cube.sizes.get(LEAD, 0)} lead times"},
        metrics=metrics,
        data=note,
        simulated=bool(cube.attrs.get("simulated", False)),
        command=command,
        config={"forecast": str(forecast), "truth": str(truth), "scores": list(asked), "weights": weights},
    )
    return _leave(Path(run_dir), metrics, story, Path(forecast))


def _leave(folder: Path, metrics: Mapping[str, float], story: ForecastStory, source: Path) -> RunResult:
    write_metrics(folder, metrics)
    page = write_forecast_page(folder / "report.html", story)
    return RunResult(folder, dict(metrics), source, page)
