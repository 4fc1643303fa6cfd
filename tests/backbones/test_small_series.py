"""The backbone of series: what is hidden has no part in it, dates are a set, and any size and channels will do."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from geoadapt.backbones.config import SmallSeriesConfig
from geoadapt.backbones.small_series import CHANNELS, ERROR, SmallSeries, build
from geoadapt.backbones.weights import fingerprint
from geoadapt.errors import GeoadaptError
from geoadapt.fields.composite import around, closeness
from geoadapt.fields.frames import DAY, days_from_target, masked
from geoadapt.fields.types import Batch, Field
from geoadapt.shipped import shipped_weights


@pytest.fixture(scope="module")
def model() -> SmallSeries:
    return build(SmallSeriesConfig(random_weights=True, seed=3))


def field(size: tuple[int, int] = (16, 24), channels: tuple[str, ...] = CHANNELS) -> Field:
    """Two samples of five dates; about half of the pixels are invalid, and hold absurd values."""
    drawn = torch.Generator().manual_seed(0)
    values = torch.rand((2, 5, len(channels), *size), generator=drawn) * 0.4
    valid = (torch.rand((2, 5, 1, *size), generator=drawn) > 0.5).expand_as(values).clone()
    times = (torch.tensor([-30.0, -10, 5, 40, 0]) * DAY + 1e9).long().expand(2, -1)
    return Field(torch.where(valid, values, 1e4 * values), channels, valid, times)


def made(model: SmallSeries, given: Field) -> Tensor:
    with torch.no_grad():
        return model(Batch({"optical": given})).maps[0]


@pytest.mark.parametrize("size", [(16, 24), (7, 9), (1, 1), (2, 40)])
def test_every_pixel_of_any_size_has_features(model: SmallSeries, size: tuple[int, int]) -> None:
    found = made(model, field(size))
    assert found.shape == (2, 1, model.spec.widths[0], *size) and found.isfinite().all()


@pytest.mark.parametrize("poison", [1e6, float("nan"), float("inf")])
def test_no_value_of_an_invalid_pixel_has_a_part_in_the_result(model: SmallSeries, poison: float) -> None:
    given = field()
    other = replace(given, values=torch.where(given.valid, given.values, poison))  # type: ignore[arg-type]
    assert torch.equal(made(model, given), made(model, other))


def test_the_order_of_the_other_dates_means_nothing(model: SmallSeries) -> None:
    given, order = field(), [2, 0, 3, 1, 4]
    assert given.valid is not None and given.times is not None
    other = replace(given, values=given.values[:, order], valid=given.valid[:, order], times=given.times[:, order])
    torch.testing.assert_close(made(model, given), made(model, other), rtol=1e-4, atol=1e-4)


def test_when_a_date_was_means_something(model: SmallSeries) -> None:
    given = field()
    assert given.times is not None
    later = given.times.clone()
    later[:, 3] += int(200 * DAY)
    assert not torch.allclose(made(model, given), made(model, replace(given, times=later)), atol=1e-3)


def test_dates_are_weighed_by_a_softmax_over_those_that_show_the_pixel(model: SmallSeries) -> None:
    given = masked(field())
    assert given.valid is not None
    place = around(given, model.mean)
    days = days_from_target(given)[:, :-1, None, None, None]
    near = closeness(days.abs()) * torch.cat([days <= 0, days > 0], 2)
    valid = given.valid[:, :-1].float()
    shown = torch.asinh((given.values[:, :-1] - place.base[:, None]) / ERROR) * valid
    read = torch.cat([shown, valid[:, :, :1], near.expand(-1, -1, -1, 16, 24)], 2).flatten(0, 1)
    with torch.no_grad():
        found = model.dates.weigh(torch.nn.functional.gelu(model.dates.enter(read))).reshape(2, 4, 4, 9, 16, 24)
        weights = found[:, :, :, :1].masked_fill(valid[:, :, None, :1] == 0, -torch.inf).softmax(1).nan_to_num(0)
        wanted = (weights * found[:, :, :, 1:]).sum(1).flatten(1, 2)
        torch.testing.assert_close(model.dates(given, place), wanted, rtol=1e-4, atol=1e-5)


def test_channels_come_in_any_order_and_the_narrow_infrared_stands_in(model: SmallSeries) -> None:
    given = field()
    order = [5, 3, 0, 1, 4, 2]
    assert given.valid is not None
    names = tuple("nir08" if CHANNELS[i] == "nir" else CHANNELS[i] for i in order)
    other = replace(given, values=given.values[:, :, order], valid=given.valid[:, :, order], channels=names)
    assert torch.equal(made(model, given), made(model, other))


def test_a_missing_channel_is_one_that_is_never_valid(model: SmallSeries) -> None:
    given = field()
    assert given.valid is not None
    kept = [i for i, name in enumerate(CHANNELS) if name != "swir16"]
    names = tuple(CHANNELS[i] for i in kept)
    without = replace(given, values=given.values[:, :, kept], valid=given.valid[:, :, kept], channels=names)
    never = given.valid.clone()
    never[:, :, CHANNELS.index("swir16")] = False
    assert torch.equal(made(model, without), made(model, replace(given, valid=never)))


@pytest.mark.parametrize("dates", [1, 2])
def test_a_single_date_and_two_have_features_too(model: SmallSeries, dates: int) -> None:
    given = field()
    assert given.valid is not None and given.times is not None
    few = replace(given, values=given.values[:, -dates:], valid=given.valid[:, -dates:], times=given.times[:, -dates:])
    assert made(model, few).isfinite().all()


def test_without_any_channel_that_it_knows_it_says_what_it_needs(model: SmallSeries) -> None:
    with pytest.raises(GeoadaptError, match="it needs 'optical' with some of"):
        made(model, field(channels=("ndvi",)))


def test_the_seed_draws_the_weights(model: SmallSeries) -> None:
    same, other = (build(SmallSeriesConfig(random_weights=True, seed=seed)) for seed in (3, 4))
    assert torch.equal(made(model, field()), made(same, field()))
    assert not torch.equal(made(model, field()), made(other, field()))


def test_the_weights_that_ship_are_those_of_their_card() -> None:
    shipped = shipped_weights("small_series")
    assert shipped is not None
    card = json.loads((shipped.parent / "card.json").read_text())
    assert card["sha256"] == fingerprint(shipped) and card["simulated"] is True
    assert card["parameters"] == sum(p.numel() for p in build(SmallSeriesConfig()).parameters())
    assert "experiment=series_pretraining" in card["command"] and len(card["trained_on"]) == 150
