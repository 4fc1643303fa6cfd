"""Forecasts from many init times into one store: each tried, none computed twice, none lost silently.

In: an archive's history, a forecaster and init times. Out: a Zarr store in WeatherBench 2's schema; beside it, in
``NAME.run``, ``manifest.jsonl`` with what is finished and ``run.json``; and one result per init time, failed ones with
their error.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from geoadapt import __version__
from geoadapt.cubes.latlon_box import Part, part_of
from geoadapt.errors import GeoadaptError
from geoadapt.fields.forecaster import Forecaster
from geoadapt.fields.history import History
from geoadapt.inference.behind import behind
from geoadapt.inference.config import ForecastConfig
from geoadapt.inference.ensemble import make_ensemble
from geoadapt.inference.finished import Finished, claim, job_label
from geoadapt.inference.folder import hold, make_ready, write_run
from geoadapt.inference.layout import choose_channels, variables_of
from geoadapt.inference.outlook import check_room
from geoadapt.inference.predict import ItemResult
from geoadapt.inference.rollout import Consumer, State, dates_of, lacks, lead_times, rollout
from geoadapt.io.forecast_spec import ForecastSpec
from geoadapt.io.forecast_zarr import ForecastStore, check_place

__all__ = ["forecast", "plan_store", "run_folder", "startable"]

Dates = NDArray[np.datetime64]
Progress = Callable[[str, int, int], None]


def forecast(
    history: History,
    models: Sequence[Forecaster],
    init_times: Dates,
    output: Path,
    config: ForecastConfig,
    *,
    device: torch.device | str = "cpu",
    stamp: tuple[int, int] = (-1, -1),
    consumers: Sequence[Consumer] = (),
    progress: Progress | None = None,
    verify: bool = False,
    overwrite: bool = False,
    command: str = "",
) -> list[ItemResult]:
    """Forecast from every init time into ``output``; one that fails never stops the others and is listed.

    Args:
        history: what is known of the past, in steps of the model.
        models: one, or with ``perturb="adapters"`` one per member.
        init_times: when forecasts start; doubles count once.
        output: the store; it is resumed where it holds forecasts of the same job.
        config: lead times, members, and what is kept.
        device: where the models are.
        stamp: of the archive's files, as ``io.manifest.input_stamp`` gives it; a finished init time from other files
            is made again.
        consumers: also given every state, in the writer's thread; those of init times that were finished do not come.
        progress: told what is done of all states.
        verify: read finished forecasts again and compare their sha256.
        overwrite: replace a store of another job.
        command: what was typed, for ``run.json``.

    Raises GeoadaptError before any computation where no init time can start, where leads or channels do not fit the
    model, where the output cannot be written, or where it holds forecasts of another job.
    """
    began = time.time()
    times = startable(history, models[0], init_times)
    spec, part = plan_store(history, models[0], times, config)
    label = job_label(models, spec, config)
    output = output.resolve()
    folder = run_folder(output)
    check_place(output)
    make_ready(folder)
    check_room(spec, models[0], config, folder)
    results: list[ItemResult] = []
    with hold(folder):
        claim(output, spec, label, folder, overwrite=overwrite)
        finished = Finished(folder, output, label, history.name, stamp)
        job = _Job(history, models, config, spec, part, finished, consumers, progress or (lambda *_: None))
        try:
            job.skip(verify=verify)
            job.run(device)
        finally:
            results = job.listed()
            bundle = label["bundle"]
            told = (label["config"], bundle["name"], bundle["sha256"], command, began)
            write_run(folder, results, len(times), *told, items="init_times")
    return results


def run_folder(output: Path) -> Path:
    """The folder beside a store that holds the account of how it was made."""
    return output.with_name(output.name + ".run")


def startable(history: History, model: Forecaster, init_times: Dates) -> Dates:
    """The init times, ascending and once each; raises GeoadaptError where not one of them can start."""
    times = np.unique(np.asarray(init_times, "datetime64[s]"))
    problems = [lacks(history, moment, model.frames) for moment in times]
    if not times.size:
        raise GeoadaptError("--init", "no init time is given", f"name dates; {history.name}: {dates_of(history)}")
    if all(problems):
        more = "" if len(problems) == 1 else f", and so for all {len(problems)} init times"
        raise GeoadaptError("--init", problems[0] + more, "choose among these")
    return times


def plan_store(history: History, model: Forecaster, times: Dates, config: ForecastConfig) -> tuple[ForecastSpec, Part]:
    """What the store will hold, and which points of the grid; raises GeoadaptError where it cannot be."""
    leads = lead_times(config.lead, config.every, model.step)
    part = part_of(history.latitude, history.longitude, config.bbox)
    known = dict(zip(history.channels, history.units, strict=True)) if history.units else {}
    units = [known.get(channel, "") for channel in model.channels]
    variables = variables_of(model.channels, units, choose_channels(model.channels, config.variables))
    attributes = {"source": f"geoadapt {__version__}, {getattr(model, 'name', 'model')} on {Path(history.name).name}"}
    if history.simulated:
        attributes["comment"] = "started from simulated fields"
    spec = ForecastSpec(times, leads, part.latitude, part.longitude, variables, config.numbers(), attributes=attributes)
    return spec, part


@dataclass(slots=True)
class _Job:
    """One call: what is done and failed so far."""

    history: History
    models: Sequence[Forecaster]
    config: ForecastConfig
    spec: ForecastSpec
    part: Part
    finished: Finished
    consumers: Sequence[Consumer]
    progress: Progress
    results: dict[int, ItemResult] = field(default_factory=dict)
    """By place among the init times."""

    def skip(self, *, verify: bool) -> None:
        """Note what an earlier run finished."""
        for place, moment in enumerate(self.spec.init_times):
            if self.finished.holds(place, moment, self.spec, verify=verify):
                self.results[place] = self._result(place, "skipped")

    def run(self, device: torch.device | str) -> None:
        """Roll out from every other init time; writing goes on in a thread beside it."""
        config = self.config
        ensemble = make_ensemble(
            self.models,
            config.members,
            config.perturb,
            amplitude=config.amplitude,
            length=config.length,
            seed=config.seed,
        )
        done = frozenset(self.results)
        with ExitStack() as stack:
            store = stack.enter_context(ForecastStore(self.finished.store, self.spec, self.finished.staging))
            put = stack.enter_context(behind())
            states = rollout(
                self.models[0],
                self.history,
                self.spec.init_times,
                self.spec.leads,
                ensemble=ensemble,
                batch=config.batch,
                device=device,
                done=done,
                failed=lambda moment, problem: self._fail(moment, problem, store, put),
            )
            self._hand_on(states, store, put, len(self.spec.init_times) - len(done))

    def listed(self) -> list[ItemResult]:
        """The results so far, by init time."""
        return [self.results[place] for place in sorted(self.results)]

    def _hand_on(
        self, states: Iterable[State], store: ForecastStore, put: Callable[[Callable[[], object]], None], todo: int
    ) -> None:
        numbers = self.spec.numbers or (None,)
        each = len(numbers) * len(self.spec.leads)
        seen, began = 0, time.perf_counter()
        for state in states:
            places = np.searchsorted(self.spec.init_times, state.init_times).tolist()
            lead = int(np.searchsorted(self.spec.leads, state.lead))
            put(partial(self._write, store, state, places, state.number or 0, lead))
            for consumer in self.consumers:
                put(partial(consumer, state))
            seen += len(places)
            if lead + 1 == len(self.spec.leads) and state.number == numbers[-1]:
                put(partial(self._commit, store, places, time.perf_counter() - began))
                began = time.perf_counter()
            self.progress("forecast", seen, todo * each)

    def _write(self, store: ForecastStore, state: State, places: list[int], number: int, lead: int) -> None:
        store.write(places, number, lead, self.part.cut(state.values))

    def _commit(self, store: ForecastStore, places: list[int], seconds: float) -> None:
        """Move complete init times into the store, and then say so in the manifest, all with one line-wise write."""
        made = store.commit(places)
        self.finished.note({self.spec.init_times[place]: made[place] for place in places})
        for place in places:
            self.results[place] = self._result(place, "done", seconds=seconds / len(places))

    def _fail(
        self,
        moment: np.datetime64,
        problem: str,
        store: ForecastStore,
        put: Callable[[Callable[[], object]], None],
    ) -> None:
        place = int(np.searchsorted(self.spec.init_times, moment))
        if place not in self.results:
            self.results[place] = self._result(place, "failed", problem)
            put(partial(store.drop, place))

    def _result(self, place: int, status: str, error: str = "", seconds: float = 0.0) -> ItemResult:
        return ItemResult(str(self.spec.init_times[place]), self.history.name, status, error=error, seconds=seconds)
