"""The weather scorecards of a report: each forecasting run against a simple control.

In: records of forecasting runs. Out: scorecards by variable and lead time.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from pathlib import Path

from markupsafe import Markup

from geoadapt.errors import GeoadaptError
from geoadapt.leaderboard.page_words import control_words
from geoadapt.leaderboard.records import RunRecord
from geoadapt.leaderboard.run_folder import stored_metrics
from geoadapt.report.page import folded
from geoadapt.report.scorecard import channel_rows, scorecard
from geoadapt.report.wording import lead_hours, some_leads

__all__ = ["weather_card", "weather_cards"]

TASK = "forecasting"
BASELINES = ("eof_ridge", "damped", "climatology", "persistence")
"""What a card is held against, the first that was scored."""
LEADS = 12
"""Most lead times of a card."""


def weather_cards(runs: Iterable[RunRecord], roots: Iterable[Path]) -> list[Markup]:
    """A card per entry and data set, of its first seed; the first stands open."""
    folders = list(roots)
    seen: set[tuple[str, ...]] = set()
    cards: list[Markup] = []
    for run in sorted((r for r in runs if r.task == TASK), key=lambda r: r.seed):
        key = (run.board, run.backbone, run.adapter, run.regime, run.dataset)
        if key in seen or (metrics := _metrics(run, folders)) is None:
            continue
        if (card := weather_card(metrics, simulated=run.simulated)) is not None:
            seen.add(key)
            adapter = "" if run.adapter == "none" else f" + {run.adapter}"
            word = " (simulated)" if run.simulated else ""
            cards.append(
                folded(f"{run.backbone}{adapter} on {run.dataset}{word}, seed {run.seed}", card, shown=not cards)
            )
    return cards


def weather_card(metrics: Mapping[str, float], *, simulated: bool = False) -> Markup | None:
    """The RMSE of a run against its control's by variable and lead time; None where there is no forecast to compare."""
    keys = [parts for key in metrics if len(parts := key.split("/")) == 4 and parts[:2] == ["test", "rmse"]]
    leads = sorted({hours for parts in keys if math.isfinite(hours := lead_hours(parts[3]))})
    channels = list(dict.fromkeys(parts[2] for parts in keys if math.isfinite(lead_hours(parts[3]))))
    scored = {key.split("/")[0] for key in metrics}
    baseline = next((name for name in BASELINES if name in scored), None)
    if not leads or baseline is None:
        return None
    shown = some_leads(leads, LEADS)
    word = "Simulated data. " if simulated else ""
    caption = (
        f"{word}RMSE against {control_words(baseline)}, in percent; the model's own is small, in the variable's unit."
    )
    return scorecard(channel_rows(metrics, baseline, channels, shown), shown, caption)


def _metrics(run: RunRecord, roots: Iterable[Path]) -> dict[str, float] | None:
    """The metrics of the run's folder: the one it was read from, or the one its bundle lies in."""
    places = [Path(str(run.extra["folder"]))] if run.extra.get("folder") else []
    if run.bundle:
        places += [root / Path(run.bundle).parent for root in roots]
    for place in places:
        try:
            return stored_metrics(place)
        except GeoadaptError:
            continue
    return None
