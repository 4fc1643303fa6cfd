import numpy as np
import pytest
import torch

from geoadapt.tasks.config import LOSS_NAMES
from geoadapt.tasks.losses import IGNORE, LOSSES, focal_sums, ratio


def perfect(target, k=3):
    return torch.nn.functional.one_hot(target.where(target != IGNORE, 0), k).movedim(-1, 1).float() * 40 - 20


@pytest.fixture
def target():
    return torch.randint(0, 3, (2, 6, 5), generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("name", LOSSES)
def test_a_perfect_prediction_costs_nothing_and_a_wrong_one_much(name, target):
    right = LOSSES[name](perfect(target), target, None)
    wrong = LOSSES[name](perfect((target + 1) % 3), target, None)
    assert float(right) < 0.02
    assert float(wrong) > 0.5


@pytest.mark.parametrize("name", LOSSES)
def test_ignored_pixels_have_no_influence_and_get_no_gradient(name, target):
    target[:, :2] = IGNORE
    scores = torch.randn(2, 3, 6, 5, generator=torch.Generator().manual_seed(1)).requires_grad_()
    loss = LOSSES[name](scores, target, None)
    loss.backward()
    assert float(scores.grad[:, :, :2].abs().max()) == 0
    changed = scores.detach().clone()
    changed[:, :, :2] += 100
    assert float(LOSSES[name](changed, target, None)) == pytest.approx(float(loss.detach()), abs=1e-6)


@pytest.mark.parametrize("name", LOSSES)
def test_a_batch_without_labels_costs_zero_and_can_be_differentiated(name):
    scores = torch.randn(1, 3, 4, 4, requires_grad=True)
    loss = LOSSES[name](scores, torch.full((1, 4, 4), IGNORE), None)
    loss.backward()
    assert float(loss.detach()) == 0 and torch.isfinite(scores.grad).all()


def test_focal_is_cross_entropy_where_gamma_is_zero(target):
    scores = torch.randn(2, 3, 6, 5)
    weight = torch.tensor([1.0, 2.0, 0.5])
    plain = ratio(focal_sums(scores, target, weight, gamma=0.0))
    assert float(plain) == pytest.approx(float(LOSSES["ce"](scores, target, weight)), rel=1e-5)


def test_focal_by_hand():
    target = torch.tensor([[[0, 1]]])
    scores = torch.log(torch.tensor([[[[0.9, 0.4]], [[0.1, 0.6]]]]))
    expected = -(0.1**2 * np.log(0.9) + 0.4**2 * np.log(0.6)) / 2
    assert float(LOSSES["focal"](scores, target)) == pytest.approx(expected, rel=1e-5)


def test_dice_and_lovasz_by_hand():
    target = torch.tensor([[[0, 1]]])
    scores = torch.log(torch.tensor([[[[0.8, 0.4]], [[0.2, 0.6]]]]))
    first = (2 * 0.8 + 1) / (0.8 + 0.4 + 1 + 1)
    second = (2 * 0.6 + 1) / (0.2 + 0.6 + 1 + 1)
    assert float(LOSSES["dice"](scores, target)) == pytest.approx(1 - (first + second) / 2, rel=1e-6)
    # class 0: errors 0.4 (not of the class), 0.2; class 1: 0.4 (of the class), 0.2
    class0 = 0.4 * (1 - 1 / 2) + 0.2 * (1 - (1 - 1 / 2))
    class1 = 0.4 * 1.0 + 0.2 * 0.0
    assert float(LOSSES["lovasz"](scores, target)) == pytest.approx((class0 + class1) / 2, rel=1e-6)


def test_a_configuration_may_name_the_losses_that_there_are():
    assert set(LOSS_NAMES) == set(LOSSES)
