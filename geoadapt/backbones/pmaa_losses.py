"""What PMAA is trained by: least squares of an adversary, absolute error, and cloud masks equal to a teacher's.

Images (b, c, h, w) in [−1, 1]; scores (b, 1, h′, w′), 1 = real. Zou 2023, arXiv 2303.16565; Mao 2017, eq. 2.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

__all__ = ["L1", "L1_AUX", "adversarial", "auxiliary", "discriminator_loss", "generator_loss", "masks_like_teacher"]

L1 = 100.0
"""Weight of the absolute error in the generator's loss."""
L1_AUX = 50.0
"""Weight of the absolute error of what single dates give, where it is asked for; published runs leave it out."""
NOISE_REAL = (-3.0, 3.0)
NOISE_FAKE = (0.0, 3.0)
"""What label noise adds per sample, drawn uniformly."""


def generator_loss(
    scores: Tensor,
    image: Tensor,
    truth: Tensor,
    masks: Sequence[Tensor],
    taught: Sequence[Tensor],
    images: Sequence[Tensor] = (),
    known: Tensor | None = None,
) -> Tensor:
    """The generator's loss of a batch.

    Args:
        scores: what the discriminator says of ``image``.
        image: the generator's.
        truth: the same place without clouds.
        masks: the generator's cloud masks (b, 1, h, w), one per date; none = they are left to themselves.
        taught: the teacher's of the same dates.
        images: what single dates give (b, c, h, w), where they are to be like the truth too.
        known: where there is a truth (b, c, h, w); None = everywhere.
    """
    loss = adversarial(scores, 1.0) + L1 * _absolute(image, truth, known)
    if masks:
        loss = loss + masks_like_teacher(masks, taught)
    return loss + L1_AUX * auxiliary(images, truth, known) if images else loss


def discriminator_loss(fake: Tensor, real: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """The discriminator's loss, from its scores of a made image (detached) and of the true one.

    ``generator`` draws label noise, one value per sample for each of the two; None = without noise.
    """
    aims = (0.0, 1.0)
    if generator is None:
        return 0.5 * (adversarial(fake, aims[0]) + adversarial(real, aims[1]))
    noisy = [
        aim + _uniform(scores, span, generator)
        for aim, scores, span in zip(aims, (fake, real), (NOISE_FAKE, NOISE_REAL), strict=True)
    ]
    return 0.5 * (adversarial(fake, noisy[0]) + adversarial(real, noisy[1]))


def adversarial(scores: Tensor, aim: Tensor | float) -> Tensor:
    """Mean squared difference of scores from ``aim``, one for all or (b, 1, 1, 1)."""
    return (scores - aim).square().mean()


def masks_like_teacher(masks: Sequence[Tensor], taught: Sequence[Tensor]) -> Tensor:
    """Mean squared difference of cloud masks (b, 1, h, w), summed over dates."""
    return torch.stack([F.mse_loss(mask, aim) for mask, aim in zip(masks, taught, strict=True)]).sum()


def auxiliary(images: Sequence[Tensor], truth: Tensor, known: Tensor | None = None) -> Tensor:
    """Mean absolute error of each date's image, summed over dates; channels that the truth lacks are left out."""
    count = truth.shape[1]
    return torch.stack([_absolute(image[:, :count], truth, known) for image in images]).sum()


def _absolute(image: Tensor, truth: Tensor, known: Tensor | None) -> Tensor:
    """Mean absolute error over what is ``known``; 0 where nothing is."""
    if known is None:
        return F.l1_loss(image, truth)
    off = torch.where(known, image - truth, 0.0).abs()
    return off.sum() / known.sum().clamp(min=1)


def _uniform(scores: Tensor, span: tuple[float, float], generator: torch.Generator) -> Tensor:
    low, high = span
    drawn = torch.rand(len(scores), generator=generator, device=generator.device)
    return (low + (high - low) * drawn).to(scores)[:, None, None, None]
