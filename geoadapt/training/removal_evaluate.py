"""Score a restorer's bundle, and what it was tested against, on other series; by the protocol of its own test.

In: a bundle and a data configuration. Out: a run folder with metrics and a page.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, overload

from geoadapt.baselines.composites import COMPOSITES, build_composite
from geoadapt.bundle.restorer import BundledRestorer, load_restorer, load_restorer_baselines
from geoadapt.config import RuntimeConfig
from geoadapt.errors import GeoadaptError
from geoadapt.fields import DATASETS
from geoadapt.fields.gaps import Pool
from geoadapt.fields.hls_protocol import by_positions
from geoadapt.fields.restorer import Restorer
from geoadapt.fields.series import Sample, Series, SeriesData
from geoadapt.inference.machine import choose_device, use_threads
from geoadapt.registry import build
from geoadapt.tasks.config import CloudRemovalConfig
from geoadapt.training.removal_page import write_removal_page
from geoadapt.training.removal_samples import (
    check_protocol,
    check_series,
    eight_bits,
    fixed_samples,
    pool_for,
    task_of_card,
)
from geoadapt.training.removal_scoring import score_entries
from geoadapt.training.removal_summary import removal_story, summarise_removal
from geoadapt.training.results import MODEL, RunResult, write_metrics

__all__ = ["evaluate_restorer"]


def evaluate_restorer(
    bundle: str | Path,
    data: Any,
    run_dir: str | Path,
    *,
    task: CloudRemovalConfig | None = None,
    whole: bool = False,
    batch: int = 8,
    runtime: RuntimeConfig | None = None,
    seed: int | None = None,
    bootstrap: int = 1000,
    weights: str | None = None,
    allow_mismatch: bool = False,
    command: str = "",
) -> RunResult:
    """Metrics and a page of a restorer on the test series of ``data``, or on all of them (``whole``).

    ``task`` says what is asked, and by default that is what the bundle's own test asked; the same data, task and seed
    as in its training give the numbers of its run. Beside it stand the controls that the bundle carries, and all
    composites. Raises GeoadaptError for data without series, with other bands, or without a chip that can be hidden.
    """
    where = runtime or RuntimeConfig(device="cpu")
    device = choose_device(where.device)
    use_threads(where.threads)
    made = load_restorer(bundle, device, weights=weights, allow_mismatch=allow_mismatch)
    asked = task or task_of_card(made.card.removal or {})
    drawn = made.card.seed if seed is None else seed
    found: SeriesData = build(DATASETS, data, drawn)
    check_series(found, data.name)
    check_protocol(asked, found.channels, made.card.chip)
    _check_bands(made, found)
    samples = _samples(found, whole, asked, made.card.chip, drawn)
    entries = {MODEL: made, **_others(made, device)}
    scored = score_entries(
        entries, samples, size=batch, keep_clear=asked.keep_clear, device=device, protocol=eight_bits(asked)
    )
    metrics = summarise_removal(scored, draws=bootstrap, seed=drawn)
    metrics |= {k: v for k, v in made.card.metrics.items() if k in OF_THE_FIT}
    places = f"{len(samples)} samples of {'all' if whole else 'the test'} series"
    story = removal_story(
        scored,
        metrics,
        title=f"{made.name} on {data.name}",
        entries={MODEL: f"the bundle {made.name}", **{who: "" for who in entries if who != MODEL}},
        data=f"{found.note}; {places}; the bundle was trained on: {made.card.data}",
        simulated=found.simulated or made.card.simulated,
        command=command,
        config={"bundle": str(bundle), "data": asdict(data), "task": asdict(asked), "seed": drawn},
    )
    folder = Path(run_dir)
    write_metrics(folder, metrics)
    return RunResult(folder, metrics, Path(bundle), write_removal_page(folder / "report.html", story))


OF_THE_FIT = tuple(
    f"{MODEL}/{name}"
    for name in (
        "parameters",
        "calibration_places",
        "scale_ratio_left_out_low/masked",
        "scale_ratio_left_out_high/masked",
    )
)
"""What only the training could measure, and the bundle's card says."""


@dataclass(frozen=True)
class _All(Sequence[Series]):
    """All series of a data set, each read when it is asked for where the data set does so."""

    parts: tuple[Sequence[Series], ...]

    def __len__(self) -> int:
        return sum(map(len, self.parts))

    @overload
    def __getitem__(self, index: int) -> Series: ...
    @overload
    def __getitem__(self, index: slice) -> list[Series]: ...
    def __getitem__(self, index: int | slice) -> Series | list[Series]:
        if isinstance(index, slice):
            return [self[n] for n in range(*index.indices(len(self)))]
        for part in self.parts:
            if index < len(part):
                return part[index]
            index -= len(part)
        raise IndexError(index)


def _samples(data: SeriesData, whole: bool, task: CloudRemovalConfig, chip: int, seed: int) -> tuple[Sample, ...]:
    """At most ``task.test_samples`` samples of the series to be scored, those of longer parts more."""
    asked = _asked(data, whole)
    total = sum(len(series) for series, _ in asked)
    samples: list[Sample] = []
    for series, pool in asked:
        most = math.ceil(task.test_samples * len(series) / total)
        samples += fixed_samples(series, pool, task, chip, seed, most)
    return tuple(samples)


def _asked(data: SeriesData, whole: bool) -> list[tuple[Sequence[Series], Pool]]:
    """The series to be scored, and patterns to paste over them, drawn as a run draws them."""
    if not len(data.test) and not whole:
        raise GeoadaptError("data.test", "holds no series", "score all of them: --all (whole=True)")
    parts = tuple(part for part in (data.train, data.val, data.test) if len(part))
    if whole and any(map(by_positions, parts)):
        # parts that are hidden each in a way of its own
        return [(part, pool_for(part, part)) for part in parts]
    every = _All(parts)
    own = data.test if len(data.test) else every
    return [(every if whole else own, pool_for(own, data.train if len(data.train) else own))]


def _check_bands(made: BundledRestorer, data: SeriesData) -> None:
    if tuple(made.channels) != tuple(data.channels):
        raise GeoadaptError(
            "data",
            f"gives {', '.join(data.channels)}, the bundle takes {', '.join(made.channels)}",
            "choose series with the bundle's bands, in their order (of data=timeseries by data.bands)",
        )


def _others(made: BundledRestorer, device: str) -> dict[str, Restorer]:
    """What the bundle carries, and the composites that it does not: they need no fit."""
    stored = load_restorer_baselines(made, device)
    fresh = {name: build_composite(name, made.channels) for name in COMPOSITES if name not in stored}
    return {**fresh, **stored}
