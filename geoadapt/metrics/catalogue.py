"""Every score by name: which sums it is finished from, and whether more of it is better."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geoadapt.errors import GeoadaptError, nearest
from geoadapt.metrics import contingency, forecast, neighbourhood, precipitation, probabilistic, similarity, spectral
from geoadapt.metrics.fields import FieldSums
from geoadapt.metrics.statistics import Totals

__all__ = ["FIELD_SUMS", "MAPS", "SCORES", "Score", "finish", "look_up_scores", "sums_of"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Score:
    """How a score is finished, from the sums ``needs``; ``better``: −1 less, 1 more, 0 neither."""

    finish: Callable[[Totals], Floats]
    needs: tuple[str, ...]
    better: int = -1


MAPS: Mapping[str, forecast.Map] = {
    **forecast.MAPS,
    **probabilistic.MAPS,
    **contingency.MAPS,
    **precipitation.MAPS,
}
"""Sums of maps of points."""
FIELD_SUMS: Mapping[str, FieldSums] = {
    "fss_difference": neighbourhood.fss_sums,
    "fss_reference": neighbourhood.fss_sums,
    "energy_distance": neighbourhood.energy_sums,
    "energy_difference": neighbourhood.energy_sums,
    "forecast_power": spectral.spectrum_sums,
    "truth_power": spectral.spectrum_sums,
    "divergence": spectral.distance_sums,
    "residual": spectral.distance_sums,
    "similarity": similarity.similarity_sums,
}
"""Sums that need whole fields, by the function that gives them."""
_ANOMALIES = ("anomaly_product", "forecast_anomaly", "truth_anomaly")
_EVENTS = ("hits", "forecast_events", "truth_events")

SCORES: dict[str, Score] = {
    "rmse": Score(forecast.rmse, ("squared_error",)),
    "mae": Score(forecast.mae, ("absolute_error",)),
    "bias": Score(forecast.bias, ("error",), 0),
    "acc": Score(forecast.acc, _ANOMALIES, 1),
    "activity": Score(forecast.activity, ("forecast_anomaly",), 0),
    "crps": Score(probabilistic.crps, ("distance", "fair_difference")),
    "crps_plain": Score(probabilistic.plain_crps, ("distance", "plain_difference")),
    "crps_almost_fair": Score(probabilistic.almost_fair_crps, ("distance", "fair_difference", "plain_difference")),
    "crpss": Score(probabilistic.crpss, ("distance", "plain_difference", "climatology_crps"), 1),
    "spread": Score(probabilistic.spread, ("variance",), 0),
    "spread_skill": Score(probabilistic.spread_skill, ("variance", "variance_of_mean", "squared_error"), 0),
    "unbiased_rmse": Score(probabilistic.unbiased_rmse, ("squared_error", "variance_of_mean")),
    "mean_spread": Score(probabilistic.mean_spread, ("deviation",), 0),
    "mean_spread_skill": Score(probabilistic.mean_spread_skill, ("deviation", "squared_error"), 0),
    "rank_histogram": Score(probabilistic.rank_histogram, ("ranks",), 0),
    "brier": Score(contingency.brier, ("brier",)),
    **{name: Score(done, _EVENTS, better) for name, (done, better) in contingency.TABLE_SCORES.items()},
    "seeps": Score(precipitation.seeps, ("seeps", "seeps_weight")),
    "fss": Score(neighbourhood.fss, ("fss_difference", "fss_reference"), 1),
    "energy": Score(neighbourhood.energy, ("energy_distance", "energy_difference")),
    "spectrum": Score(spectral.spectrum, ("forecast_power",), 0),
    "truth_spectrum": Score(spectral.truth_spectrum, ("truth_power",), 0),
    "spectrum_ratio": Score(spectral.spectrum_ratio, ("forecast_power", "truth_power"), 0),
    "specdiv": Score(spectral.mean_divergence, ("divergence",)),
    "specres": Score(spectral.mean_residual, ("residual",)),
    "ms_ssim": Score(similarity.mean_similarity, ("similarity",), 1),
}


def look_up_scores(names: Iterable[str]) -> dict[str, Score]:
    """The scores called ``names``; raises GeoadaptError for one that is unknown."""
    found = {}
    for name in names:
        if name not in SCORES:
            raise GeoadaptError("scores", f"'{name}' is unknown", nearest(name, SCORES))
        found[name] = SCORES[name]
    return found


def sums_of(names: Iterable[str]) -> tuple[str, ...]:
    """The sums that scores called ``names`` need, each once."""
    return tuple(dict.fromkeys(sum_ for score in look_up_scores(names).values() for sum_ in score.needs))


def finish(name: str, totals: Totals) -> Floats:
    """The score called ``name`` (…, n, r, c, *extra); raises GeoadaptError where its sums were not asked for."""
    score = look_up_scores([name])[name]
    missing = [need for need in score.needs if need not in totals]
    if missing:
        raise GeoadaptError(
            f"scores.{name}", f"{', '.join(missing)} was not summed", f"ask for '{name}' from the start"
        )
    return score.finish(totals)
