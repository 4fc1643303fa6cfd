"""Tasks on labelled samples: scores from sums that add, losses of what is known alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from geoadapt.errors import GeoadaptError
from geoadapt.fields.types import Batch, Field
from geoadapt.tasks.classification import Classification, class_weights
from geoadapt.tasks.multilabel import Multilabel
from geoadapt.tasks.regression import Regression, build
from geoadapt.tasks.samples import SampleTask
from geoadapt.tasks.samples_config import RegressionConfig, SampleSegmentationConfig

CLASSES = Classification(("a", "b", "c"), {"ce": 1.0})
LABELS = Multilabel(("a", "b", "c"))
VALUE = Regression("y", 100.0, 20.0)


def batch(target: torch.Tensor, valid: torch.Tensor | None = None) -> Batch:
    names = tuple("abc"[: target.shape[2]])
    return Batch({"optical": Field(torch.zeros(len(target), 1, 1, 4, 4), ("red",))}, Field(target, names, valid))


def outputs(task: SampleTask, n: int = 12, seed: int = 0, size: int = 1) -> torch.Tensor:
    return torch.randn(n, 1, task.outputs, size, size, generator=torch.Generator().manual_seed(seed))


def classes(n: int = 12, size: int = 1) -> torch.Tensor:
    return torch.randint(3, (n, 1, 1, size, size), generator=torch.Generator().manual_seed(1)).float()


@pytest.mark.parametrize("task", [CLASSES, LABELS, VALUE], ids=["classes", "labels", "value"])
def test_sums_of_two_halves_are_those_of_the_whole(task: SampleTask):
    target = {"classification": classes(), "multilabel": outputs(task, seed=3).gt(0).float()}
    given = batch(target.get(task.name, 100 + 20 * outputs(task, seed=4)))
    out = outputs(task)
    whole, parts = task.tally(), task.tally()
    whole.add(out, given)
    for part in (slice(0, 5), slice(5, None)):
        parts.add(out[part], batch(given.target.values[part]))
    assert torch.allclose(whole.sums, parts.sums)
    assert set(whole.scores()) == set(parts.scores()) and task.monitor in whole.scores()


def test_accuracy_and_macro_f1_are_as_counted_by_hand():
    truth = torch.tensor([0, 0, 1, 2]).reshape(4, 1, 1, 1, 1).float()
    said = torch.eye(3)[[0, 1, 1, 1]].reshape(4, 1, 3, 1, 1)
    tally = CLASSES.tally()
    tally.add(10 * said, batch(truth))
    scores = tally.scores()
    assert scores["accuracy"] == 0.5
    assert scores["f1/a"] == pytest.approx(2 / 3) and scores["f1/b"] == pytest.approx(0.5) and scores["f1/c"] == 0
    assert scores["macro_f1"] == pytest.approx((2 / 3 + 0.5) / 3)
    maps = Classification(CLASSES.names, {"ce": 1.0}, None, "segmentation", "miou").tally()
    maps.add(10 * said, batch(truth))
    scores = maps.scores()
    assert scores["iou/a"] == 0.5 and scores["iou/b"] == pytest.approx(1 / 3) and scores["iou/c"] == 0
    assert scores["miou"] == pytest.approx((0.5 + 1 / 3) / 3)


def test_f1_of_labels_is_that_of_all_hits_and_misses():
    truth = torch.tensor([[1.0, 0, 1], [0, 1, 0]]).reshape(2, 1, 3, 1, 1)
    said = torch.tensor([[1.0, -1, -1], [1, 1, -1]]).reshape(2, 1, 3, 1, 1)
    tally = LABELS.tally()
    tally.add(said, batch(truth))
    scores = tally.scores()
    assert scores["f1"] == pytest.approx(2 * 2 / (2 * 2 + 1 + 1))
    assert scores["f1/a"] == pytest.approx(2 / 3) and scores["f1/b"] == 1 and scores["f1/c"] == 0
    assert scores["macro_f1"] == pytest.approx((2 / 3 + 1 + 0) / 3)


def test_errors_of_a_value_have_its_unit():
    truth = torch.tensor([90.0, 100, 120, 130]).reshape(4, 1, 1, 1, 1)
    out = torch.tensor([0.0, 0, 0, 1]).reshape(4, 1, 1, 1, 1)
    tally = VALUE.tally()
    tally.add(out, batch(truth))
    scores = tally.scores()
    off = np.array([10.0, 0, -20, -10])
    values = truth.flatten().numpy()
    assert scores["rmse/y"] == pytest.approx(np.sqrt((off**2).mean()))
    assert scores["mae/y"] == 10 and scores["bias/y"] == -5
    assert scores["r2/y"] == pytest.approx(1 - (off**2).sum() / ((values - values.mean()) ** 2).sum())


@pytest.mark.parametrize("task", [CLASSES, LABELS, VALUE], ids=["classes", "labels", "value"])
def test_what_nobody_knows_is_in_no_loss_and_no_score(task: SampleTask):
    out = outputs(task)
    target = {"classification": classes(), "multilabel": outputs(task, seed=3).gt(0).float()}
    truth = target.get(task.name, 100 + 20 * outputs(task, seed=4))
    valid = torch.ones_like(truth, dtype=torch.bool)
    valid[6:] = False
    wrong = torch.where(valid, truth, 1.0)
    half, known = batch(truth[:6]), batch(wrong, valid)
    assert torch.allclose(task.loss(out, known), task.loss(out[:6], half))
    sums = [task.statistics(task.predict(part), given).sum(0) for part, given in ((out, known), (out[:6], half))]
    assert torch.allclose(*sums)


def test_several_dates_count_as_their_mean():
    out = outputs(VALUE).expand(-1, 3, -1, -1, -1) + torch.tensor([-1.0, 0, 1]).reshape(1, 3, 1, 1, 1)
    assert torch.allclose(VALUE.predict(out), VALUE.predict(outputs(VALUE)), atol=1e-5)


def test_maps_are_scored_by_pixel():
    task = Classification(("a", "b", "c"), {"ce": 1.0, "dice": 0.5}, None, "segmentation", "miou")
    given, out = batch(classes(2, 4)), outputs(task, 2, size=4)
    assert task.statistics(task.predict(out), given)[:, :9].sum(1).tolist() == [16, 16]
    assert bool(torch.isfinite(task.loss(out, given)))
    with pytest.raises(GeoadaptError, match="head=pooled"):
        task.loss(outputs(task, 2), given)


def test_huber_and_squares_differ_for_outliers_alone():
    squares = Regression("y", 100.0, 20.0, "mse")
    near, far = (batch(torch.full((1, 1, 1, 1, 1), v)) for v in (110.0, 200.0))
    zero = torch.zeros(1, 1, 1, 1, 1)
    assert VALUE.loss(zero, near) == pytest.approx(squares.loss(zero, near) / 2)
    assert VALUE.loss(zero, far) < squares.loss(zero, far) / 2


def test_rare_classes_weigh_more_and_absent_ones_nothing():
    weight = class_weights("balanced", [100, 25, 0])
    assert weight is not None and weight.tolist() == pytest.approx([2 / 3, 4 / 3, 0])
    assert class_weights("none", [1, 2]) is None


def test_configurations_refuse_what_cannot_work():
    with pytest.raises(GeoadaptError, match="unknown loss"):
        SampleSegmentationConfig(losses={"lovas": 1.0})
    with pytest.raises(GeoadaptError, match=r"task\.loss"):
        RegressionConfig(loss="mae2")
    with pytest.raises(GeoadaptError, match="nothing can be learned"):
        build(RegressionConfig(), "y", 3.0, 0.0)
