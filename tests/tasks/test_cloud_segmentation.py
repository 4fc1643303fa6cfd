"""Cloud segmentation on scenes whose labels know more or fewer classes, and with classes of unequal weight."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from geoadapt.errors import GeoadaptError
from geoadapt.fields.types import Batch, Field, Where
from geoadapt.tasks.cloud_segmentation import CloudSegmentation, build
from geoadapt.tasks.config import CloudSegmentationConfig
from tests.training.small import dataset

CLASSES = (0, 1, 3)


def task(counts: dict[int, int] | None = None, **config: object) -> CloudSegmentation:
    """Of two scenes: ``train`` knows all classes, ``poor`` has no word for shadow."""
    data = dataset()
    data = replace(data, train=(*data.train, replace(data.train[0], name="poor", classes=(0, 1))))
    return build(CloudSegmentationConfig(**{"losses": {"ce": 1.0}, **config}), data, counts or {})  # type: ignore[arg-type]


def batch(*scenes: str) -> Batch:
    labels = torch.tensor(np.random.default_rng(0).choice([0, 1, 255], (len(scenes), 1, 1, 4, 4)).astype(np.uint8))
    return Batch({}, Field(labels, ("class",)), None, tuple(Where(name) for name in scenes))


def test_a_scene_does_not_train_the_classes_that_its_labels_cannot_express() -> None:
    given = torch.randn(2, 1, 3, 4, 4, generator=torch.Generator().manual_seed(0)).requires_grad_()
    task().loss(given, batch("poor", "train")).backward()  # type: ignore[no-untyped-call]
    assert given.grad is not None
    assert (given.grad[0, :, 2] == 0).all(), "what is clear or cloud to a scene without shadows may be a shadow"
    assert given.grad[0, :, :2].abs().sum() > 0 and given.grad[1, :, 2].abs().sum() > 0


def test_a_loss_over_the_known_classes_is_that_of_a_model_without_the_others() -> None:
    scores = torch.randn(1, 1, 3, 4, 4, generator=torch.Generator().manual_seed(1))
    given = batch("poor")
    assert given.target is not None
    target = given.target.values[:, 0, 0].long()
    expected = torch.nn.functional.cross_entropy(scores[:, 0, :2], target, ignore_index=255)
    assert float(task().loss(scores, given)) == pytest.approx(float(expected), rel=1e-6)


def test_labels_are_class_values_in_the_order_of_the_scores() -> None:
    made = task()
    assert made.values == CLASSES and made.names == ("clear", "cloud", "shadow")
    scores = torch.eye(3)[None, None, :, :, None]
    assert made.labels(scores)[0, 0, :, 0].tolist() == list(CLASSES)
    wanted = replace(batch("train"), target=Field(torch.tensor([[[[[0, 1, 2, 3, 255]]]]]), ("class",)))
    assert made.target(wanted)[0, 0].tolist() == [0, 1, 255, 2, 255], "thin cloud is not learned here"


def test_balanced_weights_are_by_the_root_of_frequency_with_mean_one_and_none_for_what_is_absent() -> None:
    weight = task({0: 900, 1: 100}, class_weights="balanced").weight
    assert weight is not None
    assert weight.tolist() == pytest.approx([0.5, 1.5, 0.0])
    assert task({0: 900, 1: 100}).weight is None


def test_a_batch_without_target_and_an_unknown_class_are_refused() -> None:
    with pytest.raises(GeoadaptError, match="batch: has no target; use a labelled dataset"):
        task().target(Batch({}))
    data = dataset()
    odd = replace(data, train=(replace(data.train[0], classes=(0, 9)),))
    with pytest.raises(GeoadaptError, match=r"data\.classes: class values \[9\]; expected \[0, 1, 2, 3\]"):
        build(CloudSegmentationConfig(), odd, {})
