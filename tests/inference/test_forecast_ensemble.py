"""Ensembles: members differ by as much as they are told to, and are the same in any company."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from geoadapt.errors import GeoadaptError
from geoadapt.fields.types import Batch
from geoadapt.inference.ensemble import SINGLE, Ensemble, correlated_noise, make_ensemble
from geoadapt.inference.rollout import lead_times, rollout
from tests.inference.forecasters import DAY, Convolved, archive, days

LEADS = lead_times(round(2 * DAY), 0, DAY)


def members(
    ensemble: Ensemble, *numbers: int, batch: int = 8, model: Convolved | None = None
) -> dict[tuple[str, int | None, str], NDArray[np.float32]]:
    """States by init time, member and lead."""
    states = rollout(model or Convolved(), archive(), days(*numbers), LEADS, ensemble=ensemble, batch=batch)
    return {
        (str(time), state.number, str(state.lead)): values
        for state in states
        for time, values in zip(state.init_times, state.values, strict=True)
    }


class Still(Convolved):
    """The forecast is the last state that it was given."""

    def states(self, batch: Batch, steps: int) -> Iterator[Tensor]:
        for _ in range(steps):
            yield batch.inputs["atmosphere"].select(self.channels).values[:, -1]


def test_initial_noise_has_the_asked_share_of_the_usual_change_and_spares_the_control() -> None:
    ensemble = make_ensemble([Still()], 60, "initial", amplitude=0.5, length=50)
    found = members(ensemble, 4, model=Still())
    plain = members(SINGLE, 4, model=Still())
    key = next(iter(plain))
    np.testing.assert_array_equal(found[key[0], 0, key[2]], plain[key])
    noise = np.stack([found[key[0], n, key[2]] - plain[key] for n in range(1, 60)])
    spread = noise.std(axis=(0, 2, 3))
    np.testing.assert_allclose(spread, 0.5 * Convolved().increment.numpy(), rtol=0.1)
    assert abs(np.corrcoef(noise[:, 0].ravel(), noise[:, 1].ravel())[0, 1]) < 0.1


def test_noise_is_correlated_by_distance_on_the_sphere_alike_everywhere() -> None:
    latitude, longitude = np.asarray([90.0, 60.0, 0.0, -5.0]), np.asarray([0.0, 5.0, 180.0, 355.0])
    noise = correlated_noise(latitude, longitude, 4000, 1000.0, np.random.default_rng(0)).astype(np.float64)
    assert noise.dtype == np.float64 and noise.shape == (4000, 4, 4)
    np.testing.assert_allclose(noise.std(axis=0), 1, atol=0.06)
    at = noise.reshape(4000, 4, 4)

    def correlation(a: tuple[int, int], b: tuple[int, int]) -> float:
        return float(np.corrcoef(at[:, *a], at[:, *b])[0, 1])

    five = 2 * 6371 * np.sin(np.radians(2.5))
    expected = np.exp(-(five**2) / (2 * 1000.0**2))
    assert correlation((0, 0), (0, 2)) == pytest.approx(1)  # all longitudes meet at the pole
    for pair in (((2, 0), (2, 1)), ((2, 0), (3, 0)), ((2, 0), (2, 3))):  # eastwards, southwards, across Greenwich
        assert correlation(*pair) == pytest.approx(expected, abs=0.08)
    assert abs(correlation((2, 0), (2, 2))) < 0.2


@pytest.mark.parametrize("perturb", ["initial", "dropout"])
def test_a_member_does_not_depend_on_batches_nor_on_who_else_is_made(perturb: str) -> None:
    ensemble = make_ensemble([Convolved()], 3, perturb, seed=5)
    torch.manual_seed(1)
    alone = members(ensemble, 5)
    torch.manual_seed(2)
    before = torch.get_rng_state()
    beside = members(ensemble, 3, 4, 5, batch=2)
    assert torch.equal(before, torch.get_rng_state())
    for key, values in alone.items():
        np.testing.assert_allclose(beside[key], values, rtol=1e-6)
    fewer = members(make_ensemble([Convolved()], 2, perturb, seed=5), 5)
    for key, values in fewer.items():
        np.testing.assert_array_equal(alone[key], values)
    first = {n: v for (_, n, lead), v in alone.items() if lead == str(LEADS[-1])}
    assert not np.array_equal(first[1], first[2])
    other = members(make_ensemble([Convolved()], 3, perturb, seed=6), 5)
    assert any(not np.array_equal(other[key], alone[key]) for key in alone)


def test_dropout_is_on_only_while_its_members_step() -> None:
    model = Convolved()
    found = members(make_ensemble([model], 2, "dropout"), 4, model=model)
    assert not model.drop.training and not model.training
    assert set(model.seen) == {1}
    plain = members(SINGLE, 4)
    assert all(not np.array_equal(values, plain[time, None, lead]) for (time, _, lead), values in found.items())


def test_adapters_are_members_each_its_own_model() -> None:
    models = [Convolved(seed=1), Convolved(seed=2)]
    found = members(make_ensemble(models, 2, "adapters"), 4, model=models[0])
    for number, model in enumerate(models):
        for (time, _, lead), values in members(SINGLE, 4, model=model).items():
            np.testing.assert_array_equal(found[time, number, lead], values)


def test_amounts_stay_positive_under_noise() -> None:
    channels = ("specific_humidity@850", "temperature@850")
    model = Still(channels)
    history = archive()
    history.states[:, 0] = 1e-3  # type: ignore[index]
    wet = type(history)(
        history.states[:, :2], history.times, channels, history.latitude, history.longitude, history.step
    )
    states = rollout(model, wet, days(4), LEADS[:1], ensemble=make_ensemble([model], 8, "initial"))
    noisy = np.stack([state.values for state in states if state.number])
    assert noisy[:, :, 0].min() == 0 and noisy[:, :, 0].max() > 0.1


def test_what_cannot_make_an_ensemble_is_said() -> None:
    bare = Convolved()
    bare.drop = nn.Dropout(0.0)
    del bare.increment
    with pytest.raises(GeoadaptError, match="dropout: the model has none"):
        make_ensemble([bare], 3, "dropout")
    with pytest.raises(GeoadaptError, match="knows no usual change"):
        make_ensemble([bare], 3, "initial")
    with pytest.raises(GeoadaptError, match="3 members of 2 bundles"):
        make_ensemble([Convolved(), Convolved()], 3, "adapters")
    with pytest.raises(GeoadaptError, match="members only with --perturb adapters"):
        make_ensemble([Convolved(), Convolved()], 2, "initial")
    with pytest.raises(GeoadaptError, match="differ in their channels or their step"):
        make_ensemble([Convolved(), Convolved(step=DAY / 2)], 2, "adapters")
    assert make_ensemble([bare], 1, "initial") is SINGLE
