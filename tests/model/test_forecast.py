"""The adapted model steps forward: each step as if it were asked alone, gradients as the setting says."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from geoadapt.adapters.config import LoraConfig
from geoadapt.bundle.forecaster import forecast_inputs
from geoadapt.errors import GeoadaptError
from geoadapt.fields.forecaster import Forecaster
from geoadapt.fields.history import History, forecast_batch
from geoadapt.fields.types import Batch
from geoadapt.forecaster import AdaptedForecaster, Stepping
from geoadapt.heads.config import LinearConfig
from geoadapt.model import build_model
from geoadapt.standard import fit_standard
from tests.waves import CHANNELS, made, tiny_wx

DAY = 86400.0
HISTORY = made(800, CHANNELS)
STANDARD = fit_standard(HISTORY, np.ones(800, bool))


def forecaster(history: History = HISTORY, **stepping: Any) -> AdaptedForecaster:
    """A tiny one, adapter and head as after some training."""
    model = build_model(
        tiny_wx(), LoraConfig(r=2), LinearConfig(), forecast_inputs(history.channels), history.channels, 0
    )
    standard = STANDARD if history is HISTORY else fit_standard(history, np.ones(len(history.times), bool))
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_(0.05 * torch.randn(parameter.shape, generator=generator))
    return AdaptedForecaster(model, standard, history.channels, Stepping(**{"frames": 2, "step": DAY, **stepping}))


def batch(steps: int, history: History = HISTORY, frames: int = 2) -> Batch:
    return forecast_batch(history, [300, 301, 555], frames, steps)


def gradients(model: AdaptedForecaster, given: Batch) -> tuple[float, Tensor]:
    """Loss over all steps, in standard deviations, and its gradient."""
    model.zero_grad()
    assert given.target is not None
    off = (model(given) - given.target.values) / model.standard.std[:, None, None]
    loss = off.square().mean()
    loss.backward()
    return float(loss.detach()), torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])


@pytest.mark.parametrize("output", ["tendency", "state"])
def test_states_are_what_the_fit_sees(output: str) -> None:
    model = forecaster(output=output)
    assert isinstance(model, Forecaster)
    with torch.no_grad():
        together = model(batch(4))
        stepped = torch.stack(list(model.states(batch(0, frames=5), 4)), 1)
    assert together.shape == (3, 4, 2, 5, 8)
    assert torch.equal(stepped, together), "more past states than it looks at change nothing"
    with torch.no_grad():
        assert torch.equal(model(batch(0)), together[:, :1])


def test_a_rollout_is_one_step_after_the_other() -> None:
    model, given = forecaster(), batch(0)
    field = given.inputs["atmosphere"]
    assert field.times is not None
    with torch.no_grad():
        first, second = model.states(given, 2)
        moved = replace(
            field,
            values=torch.stack([field.values[:, 1], first], 1),
            times=torch.stack([field.times[:, 1], field.times[:, 1] + 86400], 1),
        )
        (alone,) = model.states(Batch({"atmosphere": moved}), 1)
    assert torch.equal(alone, second)


def test_a_head_that_says_nothing_keeps_the_anomaly_or_tells_the_season() -> None:
    given = batch(3)
    field, target = given.inputs["atmosphere"], given.target
    assert field.times is not None and target is not None and target.times is not None
    usual = STANDARD.usual(target.times)
    anomaly = field.values[:, -1] - STANDARD.usual(field.times[:, -1])
    for output, expected in (("tendency", usual + anomaly[:, None]), ("state", usual)):
        model = forecaster(output=output)
        with torch.no_grad():
            for parameter in model.model.head.parameters():
                parameter.zero_()
            torch.testing.assert_close(model(given), expected, rtol=1e-6, atol=0.05)


def test_pushforward_has_the_same_loss_and_other_gradients() -> None:
    found = {through: gradients(forecaster(through=through), batch(3)) for through in ("all", "pushforward")}
    assert found["pushforward"][0] == found["all"][0]
    assert not torch.allclose(found["pushforward"][1], found["all"][1], rtol=1e-2)
    single = {through: gradients(forecaster(through=through), batch(1)) for through in ("all", "pushforward")}
    assert torch.equal(single["pushforward"][1], single["all"][1]), "one step has nothing to go through"


def test_under_pushforward_a_step_owes_nothing_to_those_before_it() -> None:
    model = forecaster(through="pushforward")
    first, second = model._run(batch(2), 2)
    assert torch.autograd.grad(second.sum(), first, allow_unused=True)[0] is None
    model = forecaster(through="all")
    first, second = model._run(batch(2), 2)
    gradient = torch.autograd.grad(second.sum(), first, allow_unused=True)[0]
    assert gradient is not None and gradient.abs().sum() > 0


@pytest.mark.parametrize("through", ["all", "pushforward"])
def test_checkpointing_costs_time_and_changes_no_gradient(through: str) -> None:
    plain = gradients(forecaster(through=through), batch(3))
    saved = gradients(forecaster(through=through, checkpointing=True), batch(3))
    assert saved[0] == plain[0]
    torch.testing.assert_close(saved[1], plain[1], rtol=1e-5, atol=1e-7)


def test_too_few_states_or_none_of_a_channel_are_refused() -> None:
    model = forecaster(frames=3)
    with pytest.raises(GeoadaptError, match="2 past states; the model looks at 3, with their dates"):
        next(model.states(batch(0), 1))
    given = batch(0, frames=3)
    lacking = Batch({"atmosphere": given.inputs["atmosphere"].select(CHANNELS[:1])})
    with pytest.raises(GeoadaptError, match="'temperature@850'"):
        next(model.states(lacking, 1))
    undated = Batch({"atmosphere": replace(given.inputs["atmosphere"], times=None)})
    with pytest.raises(GeoadaptError, match="with their dates"):
        next(model.states(undated, 1))


def test_channels_are_found_by_name() -> None:
    model, given = forecaster(), batch(0)
    turned = Batch({"atmosphere": given.inputs["atmosphere"].select(CHANNELS[::-1])})
    with torch.no_grad():
        assert torch.equal(next(model.states(turned, 1)), next(model.states(given, 1)))


@pytest.mark.parametrize("output", ["tendency", "state"])
def test_a_missing_value_is_taken_as_usual_and_not_as_zero(output: str) -> None:
    """A pressure of 0 Pa would be an anomaly of a hundred standard deviations."""
    model, given = forecaster(output=output), batch(3)
    field = given.inputs["atmosphere"]
    assert field.times is not None
    valid = torch.ones_like(field.values, dtype=torch.bool)
    valid[0, -1, 0, 2, 3] = valid[1, 0, 1, 0, 0] = False
    holed = Batch({"atmosphere": replace(field, values=torch.where(valid, field.values, 0.0), valid=valid)})
    with torch.no_grad():
        made_, whole = (torch.stack(list(model.states(b, 3)), 1) for b in (holed, given))
        head = model.model.head
        for parameter in head.parameters():
            parameter.zero_()
        still = next(model.states(holed, 1))
    assert made_.isfinite().all()
    assert ((made_ - whole).abs() / STANDARD.std[:, None, None]).max() < 5
    usual = STANDARD.usual(field.times[:, -1] + 86400)
    assert float(still[0, 0, 2, 3]) == pytest.approx(float(usual[0, 0, 2, 3]), abs=0.05)


def test_a_place_that_was_never_seen_is_missing_in_the_forecast_and_harms_no_other() -> None:
    states = np.asarray(HISTORY.states).copy()
    states[:, 1, 0, 0] = np.nan
    history = replace(HISTORY, states=states, _place={})
    model = forecaster(history)
    with torch.no_grad():
        found = torch.stack(list(model.states(batch(0, history), 3)), 1)
    assert found[:, :, 1, 0, 0].isnan().all() and found.isnan().sum() == 9
    loss, gradient = gradients(model, batch(2, history))
    assert np.isfinite(loss) and gradient.isfinite().all()


def test_static_fields_are_scaled_and_used_at_every_step() -> None:
    history = made(800, CHANNELS, static=True)
    model, given = forecaster(history), batch(3, history)
    assert model.seen(given).inputs["static"].values.abs().max() < 3
    static = given.inputs["static"]
    other = replace(given, inputs={**given.inputs, "static": replace(static, values=static.values.flip(-1))})
    without = replace(given, inputs={"atmosphere": given.inputs["atmosphere"]})
    with torch.no_grad():
        assert not torch.allclose(model(other), model(given), atol=1.0)
        with pytest.raises(GeoadaptError, match="0 fields without dates, the model was fitted with"):
            model(without)
