"""Ridge regression between principal components: what a linear model of the last few states can say.

Anomalies of all channels, each in units of its standard deviation and weighted by the root of the cell's area, are
projected on their empirical orthogonal functions (Lorenz 1956); the scores of the last ``lags`` states are regressed
on those of each lead time directly, with a penalty (Hoerl & Kennard 1970).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from geoadapt.baselines.eofs import find_eofs
from geoadapt.baselines.past import blocks, known_dates, latitude_weights, past_states, seconds, valid_times
from geoadapt.baselines.seasonal import Climatology, SeasonalSettings, fit_climatology
from geoadapt.errors import GeoadaptError
from geoadapt.fields.history import History
from geoadapt.fields.types import Batch
from geoadapt.registry import from_plain

__all__ = ["EofRidge", "EofRidgeSettings", "fit_eof_ridge", "rebuild_eof_ridge"]

Array = NDArray[np.float64]
MODES = (20, 40, 60, 80, 100)
LAGS = (1, 2, 3)
PENALTIES = (0.1, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0, 3000.0, 10000.0)
"""In units of the mean square of one predictor, so that a hundred weighs as much as a hundred more dates."""


@dataclass(slots=True)
class EofRidgeSettings:
    """The climatology, the shapes, and what the validation dates chose for each lead time."""

    climatology: SeasonalSettings = field(default_factory=SeasonalSettings)
    steps: int = 1
    """Lead times with a regression of their own; beyond them the forecast goes on from itself."""
    modes: int = 1
    """Patterns that are kept."""
    lags: int = 1
    chosen_modes: tuple[int, ...] = ()
    """Patterns that the regression looks at, per lead time; likewise states and penalty."""
    chosen_lags: tuple[int, ...] = ()
    chosen_penalty: tuple[float, ...] = ()


class EofRidge(nn.Module):
    """Climatology + the anomaly that linear regression between principal components predicts."""

    climatology: Climatology
    patterns: Tensor
    weights: Tensor
    scale: Tensor

    def __init__(self, settings: EofRidgeSettings) -> None:
        super().__init__()
        self.settings = settings
        self.climatology = Climatology(settings.climatology)
        self.channels, self.step, self.shape = (getattr(self.climatology, n) for n in ("channels", "step", "shape"))
        self.frames = settings.lags
        channels, modes = len(self.channels), settings.modes
        self.register_buffer("scale", torch.ones(channels, self.shape[0], 1))
        self.register_buffer("patterns", torch.zeros(modes, channels, *self.shape))
        self.register_buffer("weights", torch.zeros(settings.steps, settings.lags, modes, modes))

    def scores(self, anomalies: Tensor) -> Tensor:
        """Principal components (…, modes) of anomalies (…, c, h, w)."""
        found: Tensor = torch.tensordot(anomalies / self.scale, self.patterns, dims=([-3, -2, -1], [1, 2, 3]))
        return found

    def states(self, batch: Batch, steps: int) -> Iterator[Tensor]:
        """Predictions (b, c, h, w); a missing value starts from the climatology."""
        past = past_states(batch, self)
        assert past.times is not None  # past_states refuses a batch without dates
        seen = self.scores(self.climatology.anomalies(past.values, past.times, past.valid))
        ahead: list[Tensor] = []
        for lead in range(1, steps + 1):
            index = (lead - 1) % self.settings.steps
            if lead > 1 and index == 0:
                seen, ahead = torch.cat([seen, torch.stack(ahead, dim=1)], dim=1)[:, -self.frames :], []
            ahead.append(torch.einsum("blm,lmn->bn", seen, self.weights[index]))
            anomaly = torch.tensordot(ahead[-1], self.patterns, dims=1) * self.scale
            usual = self.climatology.at(valid_times(past, self.step, lead))
            yield self.climatology.masked(usual + anomaly)


def fit_eof_ridge(
    history: History,
    train: NDArray[np.bool_],
    val: NDArray[np.bool_],
    steps: int,
    *,
    modes: Sequence[int] = MODES,
    lags: Sequence[int] = LAGS,
    penalties: Sequence[float] = PENALTIES,
    climatology: Climatology | None = None,
) -> EofRidge:
    """Patterns from the dates in ``train`` (t,), regressions from samples whose target is among them.

    How many modes and states a regression looks at and how it is penalised is chosen for every lead time by the error
    on targets in ``val`` (t,). Raises GeoadaptError where either leaves no sample.
    """
    places = known_dates(history, train, "training")
    known_dates(history, val, "validation")
    usual = climatology or fit_climatology(history, train)
    scale = _scale(history, places, usual)
    patterns = find_eofs(lambda p: _standardised(history, p, usual, scale), history, places, max(modes))
    scores = _scores(history, usual, scale, patterns)
    sizes = sorted({min(m, len(patterns)) for m in modes})
    samples = [_Samples(history, scores, lead, max(lags)) for lead in range(1, steps + 1)]
    found = [each.choose(train, val, sizes, lags, penalties) for each in samples]
    kept = max(f.lags for f in found)
    settings = EofRidgeSettings(
        usual.settings,
        steps,
        len(patterns),
        kept,
        tuple(f.modes for f in found),
        tuple(f.lags for f in found),
        tuple(f.penalty for f in found),
    )
    made = EofRidge(settings)
    made.climatology.load_state_dict(usual.state_dict())
    made.scale.copy_(torch.from_numpy(scale))
    made.patterns.copy_(torch.from_numpy(patterns.reshape(made.patterns.shape)))
    for lead, one in enumerate(found):
        weight = torch.from_numpy(one.weight).reshape(one.lags, one.modes, len(patterns))
        made.weights[lead, kept - one.lags :, : one.modes] = weight.to(made.weights)
    return made


def _scale(history: History, places: NDArray[np.intp], usual: Climatology) -> Array:
    """What anomalies are divided by (c, h, 1): the channel's standard deviation, and the root of the area's inverse."""
    area = latitude_weights(history.latitude)[:, None]
    total, weight = np.zeros(len(history.channels)), np.zeros(len(history.channels))
    for piece in blocks(history, places):
        values = history.states[piece]
        anomalies = usual.anomalies(torch.from_numpy(values), seconds(history.times[piece])).double().numpy()
        total += (anomalies**2 * area).sum(axis=(0, 2, 3))
        weight += (np.isfinite(values) * area).sum(axis=(0, 2, 3))
    spread = np.sqrt(total / weight)
    level = usual.coefficients[0].abs().amax(dim=(1, 2)).double().numpy()
    constant = spread <= 1e-6 * level  # float32 cannot tell it from rounding
    return np.asarray(np.where(constant, 1.0, spread)[:, None, None] / np.sqrt(area / area.mean()))


def _standardised(history: History, places: NDArray[np.intp], usual: Climatology, scale: Array) -> Array:
    """Weighted anomalies (n, c·h·w) in units of their standard deviation, zero where missing."""
    values = torch.from_numpy(np.asarray(history.states[places], np.float32))
    anomalies = usual.anomalies(values, seconds(history.times[places])).double().numpy()
    return np.asarray((anomalies / scale).reshape(len(places), -1))


def _scores(history: History, usual: Climatology, scale: Array, patterns: Array) -> Array:
    """Principal components (t, m) of every date."""
    places = np.arange(len(history.times), dtype=np.intp)
    return np.concatenate([_standardised(history, p, usual, scale) @ patterns.T for p in blocks(history, places)])


@dataclass(frozen=True, slots=True)
class _Choice:
    """What was best, and its coefficients (lags · modes, all modes), the oldest state first."""

    modes: int
    lags: int
    penalty: float
    weight: Array


class _Samples:
    """Past and later scores of one lead time, and the regressions tried on them."""

    def __init__(self, history: History, scores: Array, lead: int, lags: int) -> None:
        """Samples (n,): the scores of ``lags`` states, the newest first, and those of the target."""
        now = np.arange(len(history.times), dtype=np.intp)
        past, ahead = history.around(now, lags, lead)
        self.name, self.lead = history.name, lead
        whole = (past >= 0).all(axis=1) & (ahead[:, -1] >= 0)
        self.target_places = ahead[whole, -1]
        self.past = scores[past[whole][:, ::-1]]
        self.target = scores[self.target_places]

    def choose(
        self,
        train: NDArray[np.bool_],
        val: NDArray[np.bool_],
        modes: Sequence[int],
        lags: Sequence[int],
        penalties: Sequence[float],
    ) -> _Choice:
        """The combination with the least mean square error on the targets in ``val``, in the patterns that are kept."""
        fit, check = train[self.target_places], val[self.target_places]
        if not fit.any() or not check.any():
            what = "training" if not fit.any() else "validation"
            raise GeoadaptError(
                self.name, f"no {what} sample {self.lead} steps ahead", "give more dates, or ask for fewer steps"
            )
        found = []
        for lag in lags:
            for mode in modes:
                x = self.past[:, :lag, :mode][:, ::-1].reshape(len(self.past), -1)
                ridge = _Ridge(x[fit], self.target[fit])
                errors = ridge.errors(x[check], self.target[check], penalties)
                found += [(error, lag, mode, penalty) for error, penalty in zip(errors, penalties, strict=True)]
        if not found:
            raise GeoadaptError("baseline eof_ridge", "nothing to choose from", "name modes, lags and penalties")
        _, lag, mode, penalty = min(found)
        x = self.past[:, :lag, :mode][:, ::-1].reshape(len(self.past), -1)
        return _Choice(mode, lag, penalty, _Ridge(x[fit], self.target[fit]).weight(penalty))


class _Ridge:
    """Ridge regressions of targets (n, q) on predictors (n, p), all penalties from one decomposition."""

    def __init__(self, x: Array, y: Array) -> None:
        values, self._axes = np.linalg.eigh(x.T @ x)
        self._values = np.maximum(values, 0.0)
        self._along = self._axes.T @ (x.T @ y)
        self._unit = max(float(values.sum()) / max(1, x.size), np.finfo(np.float64).tiny)

    def weight(self, penalty: float) -> Array:
        """Coefficients (p, q)."""
        return np.asarray(self._axes @ (self._along * self._shrink(penalty)[:, None]))

    def errors(self, x: Array, y: Array, penalties: Sequence[float]) -> list[float]:
        """Mean squared error on other samples for each penalty, without a prediction for each.

        With z the predictors along the axes, a the regression there and d the shrinkage,
        |y − z d a|² = |y|² − 2 d · diag(zᵀ y aᵀ) + dᵀ (zᵀ z ∘ a aᵀ) d.
        """
        z = x @ self._axes
        cross = ((z.T @ y) * self._along).sum(axis=1)
        square = (z.T @ z) * (self._along @ self._along.T)
        total = float((y**2).sum())
        shrinks = [self._shrink(penalty) for penalty in penalties]
        return [(total - 2 * float(d @ cross) + float(d @ square @ d)) / len(y) for d in shrinks]

    def _shrink(self, penalty: float) -> Array:
        return np.asarray(1 / (self._values + penalty * self._unit))


def rebuild_eof_ridge(plain: Mapping[str, Any]) -> EofRidge:
    """An empty module of the shapes that plain settings describe."""
    own = {key: value for key, value in plain.items() if key != "climatology"}
    usual = from_plain(SeasonalSettings, plain.get("climatology", {}), "baselines.eof_ridge.climatology")
    return EofRidge(replace(from_plain(EofRidgeSettings, own, "baselines.eof_ridge"), climatology=usual))
