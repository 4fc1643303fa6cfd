import numpy as np
import pytest
import torch

from geoadapt.baselines.pixelwise import BlueRule, fit_discriminant
from geoadapt.errors import GeoadaptError


def test_the_rule_calls_bright_blue_pixels_cloud_and_knows_nothing_else():
    values = torch.tensor([[[[0.1, 0.21, 0.2]], [[0.9, 0.9, 0.9]]]])
    labels = BlueRule(0, cloud=1, clear=0, classes=3).scores(values, None).argmax(dim=1)
    assert labels.tolist() == [[[0, 1, 0]]]


def test_the_discriminant_finds_the_plane_between_two_gaussians():
    rng = np.random.default_rng(0)
    spread = np.array([[1.0, 0.6], [0.0, 0.5]])
    a = rng.normal(size=(4000, 2)) @ spread
    b = rng.normal(size=(4000, 2)) @ spread + [2.0, 1.0]
    fitted = fit_discriminant(np.concatenate([a, b]).astype(np.float32), np.repeat([0, 3], 4000), (0, 3))
    difference = (fitted.weight[1] - fitted.weight[0]).numpy()
    expected = np.linalg.solve(spread.T @ spread, [2.0, 1.0])
    assert difference == pytest.approx(expected, rel=0.1)
    middle = torch.tensor([1.0, 0.5])[None, :, None, None]
    assert float(fitted.scores(middle, None)[0, 0, 0, 0]) == pytest.approx(0.5, abs=0.05)


def test_a_class_without_pixels_is_never_predicted():
    pixels = np.random.default_rng(0).normal(size=(200, 2)).astype(np.float32)
    fitted = fit_discriminant(pixels, np.repeat([0, 1], 100), (0, 1, 3))
    assert float(fitted.scores(torch.randn(4, 2, 5, 5), None)[:, 2].max()) == 0


def test_one_class_alone_is_an_error_that_names_it():
    with pytest.raises(GeoadaptError, match=r"hold only class \[0\]"):
        fit_discriminant(np.zeros((5, 2), np.float32), np.zeros(5, int), (0, 1))


def test_the_discriminant_follows_its_pixels_to_their_device():
    pixels = np.random.default_rng(0).random((50, 2), np.float32)
    fitted = fit_discriminant(pixels, (pixels[:, 0] > 0.5).astype(np.uint8), (0, 1))
    assert fitted.scores(torch.empty(1, 2, 4, 4, device="meta"), None).device.type == "meta"
