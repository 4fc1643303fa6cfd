from __future__ import annotations

import pytest
import torch

from geoadapt.backbones.pmaa_losses import (
    adversarial,
    auxiliary,
    discriminator_loss,
    generator_loss,
    masks_like_teacher,
)


def test_the_generators_loss_adds_up_its_parts() -> None:
    scores = torch.full((2, 1, 7, 7), 0.5)
    truth = torch.zeros(2, 3, 8, 8)
    image = torch.full_like(truth, 0.02)
    masks, taught = [torch.full((2, 1, 8, 8), v) for v in (0.1, 0.2, 0.3)], [torch.zeros(2, 1, 8, 8)] * 3
    parts = 0.25 + 100 * 0.02 + (0.01 + 0.04 + 0.09)
    assert float(generator_loss(scores, image, truth, masks, taught)) == pytest.approx(parts, rel=1e-5)
    single = [torch.full((2, 4, 8, 8), v) for v in (0.1, -0.1, 0.2)]
    with_dates = float(generator_loss(scores, image, truth, masks, taught, single))
    assert with_dates == pytest.approx(parts + 50 * 0.4, rel=1e-5)


def test_only_the_truths_own_bands_count_for_single_dates() -> None:
    truth = torch.zeros(1, 3, 4, 4)
    image = torch.zeros(1, 4, 4, 4)
    image[:, 3] = 9.0
    assert float(auxiliary([image], truth)) == 0


def test_the_discriminator_is_to_say_no_and_yes() -> None:
    fake, real = torch.full((2, 1, 3, 3), 0.4), torch.full((2, 1, 3, 3), 0.7)
    assert float(discriminator_loss(fake, real)) == pytest.approx(0.5 * (0.16 + 0.09))
    assert float(discriminator_loss(torch.zeros(1, 1, 1, 1), torch.ones(1, 1, 1, 1))) == 0


def test_label_noise_is_drawn_for_each_sample_within_its_bounds() -> None:
    zeros, ones = torch.zeros(4000, 1, 1, 1), torch.ones(4000, 1, 1, 1)
    noisy = discriminator_loss(zeros, ones, torch.Generator().manual_seed(0))
    # squares of U(0, 3) and of U(-3, 3) have a mean of 3 each
    assert float(noisy) == pytest.approx(3.0, rel=0.05)
    again = discriminator_loss(zeros, ones, torch.Generator().manual_seed(0))
    assert torch.equal(noisy, again)


def test_masks_are_compared_date_by_date() -> None:
    masks = [torch.full((1, 1, 2, 2), v) for v in (0.0, 0.5, 1.0)]
    assert float(masks_like_teacher(masks, masks)) == 0
    assert float(masks_like_teacher(masks, masks[::-1])) == pytest.approx(2.0)
    with pytest.raises(ValueError, match="shorter"):
        masks_like_teacher(masks, masks[:2])


def test_an_adversarys_aim_may_differ_by_sample() -> None:
    scores = torch.tensor([1.0, 3.0])[:, None, None, None]
    assert float(adversarial(scores, torch.tensor([1.0, 2.0])[:, None, None, None])) == pytest.approx(0.5)


def test_only_what_is_known_counts() -> None:
    scores, truth = torch.ones(1, 1, 7, 7), torch.zeros(1, 3, 8, 8)
    image = torch.full_like(truth, 0.02)
    known = torch.zeros_like(truth, dtype=torch.bool)
    known[..., :2] = True
    image[..., 2:] = 9.0
    assert float(generator_loss(scores, image, truth, (), (), known=known)) == pytest.approx(2.0, rel=1e-5)
    assert float(auxiliary([image, image], truth, known)) == pytest.approx(0.04, rel=1e-5)
    assert float(generator_loss(scores, image, truth, (), (), known=torch.zeros_like(known))) == 0
