"""Standardised fields come back to SI, climatology stays in full precision, and what cannot be scaled is refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from geoadapt.errors import GeoadaptError
from geoadapt.fields.history import History, forecast_batch
from geoadapt.standard import ANOMALIES, Standard, fit_standard
from tests.waves import CHANNELS, made


def every(history: History) -> np.ndarray:
    return np.ones(len(history.times), bool)


def with_states(history: History, states: np.ndarray) -> History:
    return replace(history, states=states.astype(np.float32), _place={})


def standardised(history: History, standard: Standard) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """States (t, c, h, w), their dates (t,), and the states standardised."""
    values = torch.from_numpy(np.asarray(history.states))
    times = torch.from_numpy(history.times.astype("datetime64[s]").astype(np.int64))
    return values, times, standard(values, times)


@pytest.mark.parametrize("anomalies", ANOMALIES)
def test_what_is_standardised_comes_back(anomalies: str) -> None:
    history = made(800, CHANNELS)
    standard = fit_standard(history, every(history), anomalies)
    values, times, scaled = standardised(history, standard)
    torch.testing.assert_close(standard.back(scaled, times), values, rtol=1e-6, atol=0.02)
    assert scaled.square().mean((0, 2, 3)).sqrt().tolist() == pytest.approx([1, 1], abs=1e-3)
    if anomalies != "channel":
        assert scaled.mean(0).abs().max() < 1e-3, "the mean of every place is out"


def test_a_season_is_taken_out_only_where_it_is_asked_for() -> None:
    history = made(1096)
    size = {name: float(fit_standard(history, every(history), name).std[0]) for name in ANOMALIES}
    assert size["season"] < 0.97 * size["place"] <= size["channel"]
    assert size["season"] == pytest.approx(800, rel=0.05)


def test_the_increment_is_the_usual_change_of_the_anomalies_in_one_step() -> None:
    history = made(1096, CHANNELS)
    standard = fit_standard(history, every(history))
    _, _, scaled = standardised(history, standard)
    expected = (scaled[1:] - scaled[:-1]).square().mean((0, 2, 3)).sqrt()
    torch.testing.assert_close(standard.increment, expected, rtol=1e-3, atol=1e-4)
    assert fit_standard(history, every(history), changes=False).increment.tolist() == [1, 1]


def test_only_the_chosen_dates_are_learned_from() -> None:
    history = made(800)
    middle = (np.arange(800) >= 100) & (np.arange(800) < 600)
    states = np.asarray(history.states).copy()
    states[~middle] = 3e5
    one, other = fit_standard(history, middle), fit_standard(with_states(history, states), middle)
    for name, value in one.state_dict().items():
        assert torch.equal(other.state_dict()[name], value), name


def test_the_climatology_keeps_its_precision_under_autocast() -> None:
    """In half precision a surface pressure is known to 400 Pa."""
    history = made(800)
    standard = fit_standard(history, every(history))
    values, times, scaled = standardised(history, standard)
    usual = standard.usual(times)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(standard.usual(times), usual) and usual.dtype == torch.float32
        _, _, half = standardised(history, standard)
        back = standard.back(half, times)
    assert torch.equal(half, scaled)
    torch.testing.assert_close(back, values, rtol=1e-6, atol=0.02)


@pytest.mark.parametrize("anomalies", ANOMALIES)
@pytest.mark.parametrize(
    ("what", "said"), [("constant", "temperature@850 does not vary"), ("missing", "hold no value")]
)
def test_a_channel_without_values_or_variation_is_refused(anomalies: str, what: str, said: str) -> None:
    history = made(800, CHANNELS)
    states = np.asarray(history.states).copy()
    states[:, 1] = 273.15 if what == "constant" else np.nan
    with pytest.raises(GeoadaptError, match=said):
        fit_standard(with_states(history, states), every(history), anomalies)


def test_a_field_of_zeros_is_refused_too() -> None:
    history = made(800)
    with pytest.raises(GeoadaptError, match="does not vary"):
        fit_standard(with_states(history, np.zeros(history.states.shape)), every(history))


def test_dates_that_are_nowhere_a_step_apart_are_refused() -> None:
    history = made(40)
    odd = replace(history, step=np.timedelta64(50 * 86400, "s"), _place={})
    with pytest.raises(GeoadaptError, match="holds no two training dates .* apart; choose another data.step"):
        fit_standard(odd, every(history))
    with pytest.raises(GeoadaptError, match=r"task\.anomalies: 'weather'; choose from season, place, channel"):
        fit_standard(history, every(history), "weather")


def test_what_is_missing_has_no_part_in_the_statistics_and_becomes_the_usual() -> None:
    history = made(800, CHANNELS)
    whole = fit_standard(history, every(history))
    states = np.asarray(history.states).copy()
    gone = np.random.default_rng(0).random(states.shape) < 0.1
    states[gone] = np.nan
    holed = with_states(history, states)
    standard = fit_standard(holed, every(history))
    torch.testing.assert_close(standard.std, whole.std, rtol=0.02, atol=0)
    torch.testing.assert_close(standard.increment, whole.increment, rtol=0.02, atol=0)
    seen = standard.batch(forecast_batch(holed, [100], 3, 0)).inputs["atmosphere"]
    assert seen.valid is not None and not seen.valid.all() and (seen.values[~seen.valid] == 0).all()
    assert seen.values.abs().max() < 6


def test_static_fields_are_scaled_by_what_of_them_is_known() -> None:
    history = made(100, static=True)
    assert history.static is not None
    history.static[0, 0, :3] = np.nan
    standard = fit_standard(history, every(history), "place")
    batch = standard.batch(forecast_batch(history, [10], 2, 1))
    fixed = batch.inputs["static"].values[0, 0, 0]
    assert fixed.isfinite().all() and (fixed[0, :3] == 0).all()
    known = torch.cat([fixed[0, 3:], fixed[1:].flatten()])
    assert float(known.mean()) == pytest.approx(0, abs=1e-5)
    assert float(known.std(correction=0)) == pytest.approx(1, abs=1e-5)
    assert batch.target is not None and batch.target.values.max() > 9e4, "the target stays in SI units"


def test_states_without_dates_are_refused() -> None:
    history = made(100)
    batch = forecast_batch(history, [10], 2, 0)
    undated = replace(batch, inputs={"atmosphere": replace(batch.inputs["atmosphere"], times=None)})
    with pytest.raises(GeoadaptError, match="its states have no dates"):
        fit_standard(history, every(history), "place").batch(undated)
