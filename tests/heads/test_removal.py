"""The removal head: it starts at the composite, never sees what is invalid, and fits the image at any stride."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch

from geoadapt.fields.composite import compose, fill
from geoadapt.fields.features import BackboneSpec, Features
from geoadapt.fields.frames import DAY
from geoadapt.fields.types import Batch, Field
from geoadapt.heads import HEADS
from geoadapt.heads.config import RemovalConfig
from geoadapt.heads.inputs import HeadInputs
from geoadapt.heads.removal import FRAMES, RemovalHead
from geoadapt.registry import build

CHANNELS = ("blue", "red", "nir")
MEAN, STD = torch.tensor([0.1, 0.2, 0.3]), torch.tensor([0.05, 0.1, 0.2])
DATES = 5


def head_for(strides: tuple[int, ...] = (4, 4), width: int = 8, deep: int = 16) -> RemovalHead:
    spec = BackboneSpec("test", {}, {}, {}, (deep,) * len(strides), strides, 2, {}, 4)
    torch.manual_seed(0)
    made: RemovalHead = build(HEADS, RemovalConfig(width=width), spec, HeadInputs(0, MEAN, STD))
    return made


def field(size: tuple[int, int] = (16, 16), days: tuple[float, ...] = (-30, -10, 5, 40, 0), seed: int = 0) -> Field:
    """Two samples; about half of the pixels of every date are invalid, and hold absurd values."""
    generator = torch.Generator().manual_seed(seed)
    values = torch.rand((2, len(days), 3, *size), generator=generator)
    valid = (torch.rand((2, len(days), 1, *size), generator=generator) > 0.5).expand_as(values).clone()
    times = (torch.tensor(days) * DAY + 1e9).long().expand(2, -1)
    return Field(torch.where(valid, values, 1e4 * values), CHANNELS, valid, times)


def features(strides: tuple[int, ...] = (4, 4), size: tuple[int, int] = (16, 16), dates: int = DATES) -> Features:
    torch.manual_seed(1)
    maps = tuple(torch.randn(2, dates, 16, -(-size[0] // s), -(-size[1] // s)) for s in strides)
    return Features(maps, strides)


def excited(head: RemovalHead) -> RemovalHead:
    """As after some training: the last layer is no longer 0."""
    torch.nn.init.normal_(head.last.weight, std=0.5)
    return head.eval()


def test_it_starts_at_the_composite_with_its_usual_error() -> None:
    head = head_for()
    head.expect(torch.tensor([0.01, 0.02, 0.03]))
    given = field()
    image, log = head(features(), Batch({"optical": given}))[:, 0].chunk(2, 1)
    found = compose(given)
    assert torch.allclose(image, torch.where(found.known, found.image, MEAN[:, None, None]))
    assert torch.allclose(log.exp().mean((0, 2, 3)), torch.tensor([0.01, 0.02, 0.03]))


@pytest.mark.parametrize("strides", [(4, 4), (8, 8), (1, 2), (2, 4, 2, 1), (16,)])
@pytest.mark.parametrize("size", [(16, 16), (16, 48)])
def test_the_image_lies_on_the_batchs_grid_at_any_stride(strides: tuple[int, ...], size: tuple[int, int]) -> None:
    said = head_for(strides)(features(strides, size), Batch({"optical": field(size)}))
    assert said.shape == (2, 1, 6, *size) and said.isfinite().all()


@pytest.mark.parametrize("poison", [1e6, float("nan"), float("inf")])
def test_no_value_of_an_invalid_pixel_has_a_part_in_the_result(poison: float) -> None:
    head, given = excited(head_for()), field()
    other = replace(given, values=torch.where(given.valid, given.values, poison))  # type: ignore[arg-type]
    with torch.no_grad():
        first, second = (head(features(), Batch({"optical": f})) for f in (given, other))
    assert torch.equal(first, second)


def test_a_valid_pixel_of_the_target_changes_its_surroundings() -> None:
    head, given = excited(head_for()), field()
    row, col = torch.nonzero(given.valid[0, -1, 0] & given.valid[0, :-1, 0].any(0))[0]  # type: ignore[index]
    values = given.values.clone()
    values[0, -1, :, row, col] += 0.1
    with torch.no_grad():
        first, second = (head(features(), Batch({"optical": f})) for f in (given, replace(given, values=values)))
    moved = (first != second).any(2)[0, 0]
    assert moved.sum() > 9 and moved[row, col]


def test_every_parameter_is_reached() -> None:
    head = excited(head_for()).train()
    head(features(), Batch({"optical": field()})).square().mean().backward()
    assert [n for n, p in head.named_parameters() if p.grad is None or not p.grad.abs().max() > 0] == []


def test_the_backbones_frames_may_be_fewer_than_the_composites() -> None:
    head, given = excited(head_for()), field()
    few = replace(given, values=given.values[:, 2:], valid=given.valid[:, 2:], times=given.times[:, 2:])  # type: ignore[index]
    with torch.no_grad():
        said = head(features(dates=3), Batch({"optical": given, FRAMES: few}))
        single = head(features(dates=1), Batch({"optical": given, FRAMES: few}))
    assert said.shape == single.shape == (2, 1, 6, 16, 16) and not torch.equal(said, single)


def test_a_date_without_a_valid_pixel_gives_nothing_to_the_pool() -> None:
    head, given = excited(head_for()), field()
    valid = given.valid.clone()  # type: ignore[union-attr]
    valid[:, 1] = False
    changed = features()
    for m in changed.maps:
        m[:, 1] = 50.0
    batch = Batch({"optical": replace(given, valid=valid)})
    with torch.no_grad():
        assert torch.equal(head(features(), batch), head(changed, batch))


def test_it_is_small() -> None:
    head = head_for((8,) * 4, width=32, deep=64)
    assert sum(p.numel() for p in head.parameters()) <= 150_000


def test_the_composite_is_linear_between_the_nearest_valid_dates() -> None:
    values = torch.tensor([1.0, 2.0, 4.0, 9.0, 0.0])[None, :, None, None, None]
    days = (-30.0, -10.0, 5.0, 40.0, 0.0)
    times = (torch.tensor(days) * DAY + 1e9).long()[None]
    for valid, wanted in (
        ((1, 1, 1, 1, 0), 2 + 2 * 10 / 15),
        ((1, 0, 0, 1, 0), 1 + 8 * 30 / 70),
        ((1, 1, 0, 0, 0), 2.0),
        ((0, 0, 1, 1, 0), 4.0),
        ((0, 0, 0, 0, 1), 0.0),
    ):
        seen = torch.tensor(valid, dtype=torch.bool)[None, :, None, None, None]
        found = compose(Field(values, ("red",), seen, times))
        assert found.image.item() == pytest.approx(wanted, rel=1e-5)
        assert found.known.item() == (sum(valid[:-1]) > 0) and found.count.item() == sum(valid[:-1])


def test_mean_and_median_are_those_of_the_valid_other_dates() -> None:
    given = field()
    found = compose(given)
    others = torch.where(given.valid, given.values, torch.nan)[:, :-1].numpy()  # type: ignore[arg-type]
    known = found.known.numpy()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        wanted = np.nanmean(others, 1), np.nanmedian(others, 1), np.nanstd(others, 1)
    for mine, theirs in zip((found.mean, found.median, found.spread), wanted, strict=True):
        assert np.allclose(mine.numpy()[known], theirs[known], atol=1e-3) and not mine.numpy()[~known].any()


def test_filling_carries_the_nearby_value_and_fades_where_nothing_is() -> None:
    values, valid = torch.zeros(1, 1, 32, 32), torch.zeros(1, 1, 32, 32, dtype=torch.bool)
    values[..., :16], values[..., 16:] = 1.0, -1.0
    valid[..., :8], valid[..., 24:] = True, True
    full = fill(torch.where(valid, values, torch.nan), valid)
    assert torch.equal(full[valid], values[valid]) and full.isfinite().all()
    assert full[..., 9].min() > 0.5 and full[..., 22].max() < -0.5
    assert torch.equal(fill(values, torch.zeros_like(valid)), torch.zeros_like(values))
