"""The loss and the scores of cloud removal, against numpy and against what a Laplace distribution must do."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from geoadapt.errors import GeoadaptError
from geoadapt.fields.types import Batch, Field
from geoadapt.registry import from_plain
from geoadapt.tasks.cloud_removal import CloudRemoval, asked, build, seen_elsewhere
from geoadapt.tasks.config import CloudRemovalConfig

CHANNELS = ("red", "nir")
ERROR = torch.tensor([0.02, 0.05])


def batch(seed: int = 0) -> Batch:
    """Three dates; about half of the pixels valid; hidden pixels with a truth, and some that no date shows."""
    generator = torch.Generator().manual_seed(seed)
    values = torch.rand((2, 3, 2, 8, 8), generator=generator)
    valid = (torch.rand((2, 3, 1, 8, 8), generator=generator) > 0.5).expand_as(values)
    truth = torch.rand((2, 1, 2, 8, 8), generator=generator)
    counted = ~valid[:, -1:] & (torch.rand((2, 1, 2, 8, 8), generator=generator) > 0.2)
    return Batch({"optical": Field(values * valid, CHANNELS, valid)}, Field(truth, CHANNELS, counted))


def task(**settings: object) -> CloudRemoval:
    return build(CloudRemovalConfig(**settings), CHANNELS, ERROR)  # type: ignore[arg-type]


def output(given: Batch, off: float = 0.03, scale: float = 0.03) -> torch.Tensor:
    assert given.target is not None
    image = given.target.values[:, 0] + off
    return torch.cat([image, torch.full_like(image, math.log(scale))], 1)[:, None]


def test_only_hidden_pixels_that_another_date_shows_are_asked_for() -> None:
    given = batch()
    valid, counted = given.inputs["optical"].valid, given.target.valid  # type: ignore[union-attr]
    wanted = counted[:, 0].numpy() & valid[:, :2].numpy().any(1)  # type: ignore[index]
    assert np.array_equal(asked(given).numpy(), wanted)
    assert np.array_equal(seen_elsewhere(given).numpy(), valid[:, :2].numpy().any(1))  # type: ignore[index]
    assert (counted[:, 0].numpy() & ~wanted).any()  # type: ignore[index]


def test_the_loss_is_laplaces_in_units_of_the_composites_error() -> None:
    given = batch()
    said = output(given)
    count = asked(given).numpy()
    unit = ERROR.numpy()[:, None, None]
    scale = (0.03 + 1e-3) / unit
    each = 0.03 / unit / scale + np.log(2 * scale)
    each = np.broadcast_to(each, count.shape)
    assert task().loss(said, given).item() == pytest.approx(each[count].mean(), rel=1e-5)
    more = each + 0.5 * 0.03 / unit
    assert task(l1=0.5).loss(said, given).item() == pytest.approx(more[count].mean(), rel=1e-5)


def test_the_loss_is_least_where_the_scale_is_the_mean_absolute_error() -> None:
    given = batch()
    tried = [0.01, 0.02, 0.029, 0.05, 0.1]
    losses = [task().loss(output(given, scale=scale), given).item() for scale in tried]
    assert np.argmin(losses) == 2


def test_what_is_not_asked_for_has_neither_loss_nor_gradient() -> None:
    given = batch()
    said = output(given)
    poisoned = torch.where(asked(given).repeat(1, 2, 1, 1)[:, None], said, 1e6).requires_grad_()
    loss = task().loss(poisoned, given)
    loss.backward()  # type: ignore[no-untyped-call]
    assert loss.item() == pytest.approx(task().loss(said, given).item(), rel=1e-5)
    assert poisoned.grad is not None and not poisoned.grad[:, 0][~asked(given).repeat(1, 2, 1, 1)].any()


def test_an_image_without_a_scale_is_fitted_to_its_absolute_error() -> None:
    given = batch()
    image = output(given)[:, :, :2]
    expected = np.broadcast_to(0.03 / ERROR.numpy()[:, None, None], (2, 2, 8, 8))[asked(given).numpy()].mean()
    assert task().loss(image, given).item() == pytest.approx(expected, rel=1e-5)


def test_the_scores_are_those_of_all_batches_together() -> None:
    tally, made, kept = task().tally(), [], []
    for seed in (1, 2, 3):
        given = batch(seed)
        said = output(given, off=0.01 * seed)
        tally.add(said, given)
        made.append((said[:, 0, :2] - given.target.values[:, 0]).numpy())  # type: ignore[union-attr]
        kept.append(asked(given).numpy())
    off, count = np.concatenate(made), np.concatenate(kept)
    mae = [np.abs(off[:, c])[count[:, c]].mean() for c in range(2)]
    rmse = [np.sqrt((off[:, c] ** 2)[count[:, c]].mean()) for c in range(2)]
    scores = tally.scores()
    assert scores["mae"] == pytest.approx(np.mean(mae), rel=1e-5)
    assert scores["rmse"] == pytest.approx(np.mean(rmse), rel=1e-5)
    assert [scores[f"mae/{c}"] for c in CHANNELS] == pytest.approx(mae, rel=1e-5)
    assert task().monitor in scores and task().mode == "min"


def test_a_batch_in_which_nothing_is_asked_for_has_a_loss_of_zero() -> None:
    given = batch()
    nothing = replace(given.target, valid=torch.zeros_like(given.target.values, dtype=torch.bool))  # type: ignore[type-var, union-attr]
    said = output(given).requires_grad_()
    loss = task().loss(said, replace(given, target=nothing))
    loss.backward()  # type: ignore[no-untyped-call]
    assert loss.item() == 0 and said.grad is not None and not said.grad.any()


@pytest.mark.parametrize(
    ("settings", "key"),
    [
        ({"frames": -1}, "task.frames"),
        ({"together": "maybe"}, "task.together"),
        ({"coverage": [0.9, 0.1]}, "task.coverage"),
        ({"floor": 0.0}, "task.floor"),
        ({"l1": -1.0}, "task.l1"),
        ({"val_samples": 0}, "task.val_samples"),
    ],
)
def test_a_setting_that_cannot_be_is_named(settings: dict[str, object], key: str) -> None:
    with pytest.raises(GeoadaptError, match=key):
        from_plain(CloudRemovalConfig, settings, "task")


def test_an_output_of_another_shape_or_a_batch_without_target_is_an_error() -> None:
    given = batch()
    with pytest.raises(GeoadaptError, match="expected"):
        task().loss(torch.zeros(2, 1, 3, 8, 8), given)
    with pytest.raises(GeoadaptError, match="no target"):
        task().loss(output(given), replace(given, target=None))
