"""PMAA as published: a generator that is fitted against a discriminator, which is taught anew before each of its steps.

In: a restorer of PMAA and a head, batches whose truth is known wherever a pixel is not hidden for good. Out: the fitted
restorer. Zou 2023, arXiv 2303.16565. Imports Lightning by way of ``loop``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from geoadapt.backbones.config import PmaaConfig
from geoadapt.backbones.pmaa import Pmaa, load_teacher, scaled
from geoadapt.backbones.pmaa_losses import L1_AUX, auxiliary, discriminator_loss, generator_loss
from geoadapt.backbones.pmaa_network import DATES, Discriminator
from geoadapt.config import JobConfig
from geoadapt.errors import GeoadaptError
from geoadapt.fields.loaders import Loaders
from geoadapt.fields.tanh import REFLECTANCE
from geoadapt.fields.types import Batch, Field
from geoadapt.restorer import AdaptedRestorer
from geoadapt.tasks.base import TaskOf
from geoadapt.tasks.cloud_removal import CloudRemoval
from geoadapt.tasks.processes import world
from geoadapt.training.fit_types import FitResult, ParameterGroup
from geoadapt.training.loop import fit

__all__ = ["Adversarial", "Duel", "Made", "check_adversarial", "fit_adversarial"]

BETAS = (0.5, 0.999)
LEAST_RATE = 1e-6
"""To which the discriminator's learning rate falls, by a cosine, as published."""
LEAST_CHIP = 64
"""Smaller ones leave the discriminator no patch [px]."""
TAUGHT = ("red", "green", "blue", "nir")
"""What the published teacher takes, in this order."""


@dataclass(frozen=True, slots=True)
class Made:
    """What a training step made, and what it is compared with; images (b, c, h, w) in [−1, 1]."""

    scores: Tensor
    """(b, 1, h′, w′): what the discriminator says of the image."""
    image: Tensor
    truth: Tensor
    known: Tensor
    """(b, c, h, w) where there is a truth."""
    masks: Sequence[Tensor]
    """(b, 1, h, w) per date, and so for ``taught``."""
    taught: Sequence[Tensor]
    images: Sequence[Tensor]
    """What single dates give in the bands of ``truth_of_images``, where the fit asks for it."""
    truth_of_images: Tensor
    known_of_images: Tensor


class Duel(nn.Module):
    """A restorer and the discriminator that it is trained against; in evaluation it is the restorer alone.

    In training a call first moves the discriminator, by an optimiser of its own, and then asks it. Its state is part
    of the module's, so that a resumed fit goes on as one that was never stopped.
    """

    def __init__(self, restorer: AdaptedRestorer, job: JobConfig, teacher: nn.Module | None = None) -> None:
        """``teacher`` gives the cloud masks of a date; None = those of the data."""
        super().__init__()
        self.restorer = restorer
        self.teacher = teacher
        self.job = job
        self.step = 0
        self.told: dict[str, Tensor] = {}
        """The discriminator's loss of the last step."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(job.seed)
            inputs = DATES * len(self.backbone.channels) + len(restorer.channels)
            self.discriminator = Discriminator(inputs)
        self.optimizer = torch.optim.AdamW(
            self.discriminator.parameters(), lr=job.train.lr, betas=BETAS, weight_decay=job.train.weight_decay
        )

    @property
    def backbone(self) -> Pmaa:
        """PMAA without its last layer."""
        found = self.restorer.model.backbone
        assert isinstance(found, Pmaa)
        return found

    def draw(self, seed: int, step: int, samples: Sequence[int], total: int) -> None:
        """What step comes next; validations count backwards from −1 and move nothing."""
        self.step = step

    def train(self, mode: bool = True) -> Duel:
        """As any module, but the teacher stays as it is."""
        super().train(mode)
        if self.teacher is not None:
            self.teacher.eval()
        return self

    def forward(self, batch: Batch) -> Any:
        """As the restorer; in training ``Made``, after a step of the discriminator."""
        if not self.training:
            return self.restorer(batch)
        seen = self.restorer.seen(batch)
        frames = self.backbone.frames(seen)
        dates = scaled(frames)
        features, masks, images = self.backbone.parts(frames)
        channels = self.restorer.channels
        fake = REFLECTANCE.signed(self.restorer.model.head(features, seen)[:, 0, : len(channels)])
        truth, known = _truth(batch, channels)
        # where nobody knows what was there, both show the same, and nothing can be learned from it
        real = torch.where(known, truth, fake.detach())
        self.told = {"discriminator": self._teach(dates, fake.detach(), real)}
        # asked without being moved: the generator's loss is not to reach its weights
        self.discriminator.requires_grad_(False)
        scores = self.discriminator(dates, torch.where(known, fake, real))
        self.discriminator.requires_grad_(True)
        index = [channels.index(name) for name in self.backbone.channels]
        single = images if self.job.task.aux_loss else ()
        taught = self._taught(frames)
        masks = masks if taught else []
        return Made(scores.float(), fake, truth, known, masks, taught, single, truth[:, index], known[:, index])

    def get_extra_state(self) -> dict[str, Any]:
        """The discriminator's optimiser."""
        return self.optimizer.state_dict()

    def set_extra_state(self, state: dict[str, Any]) -> None:
        """Go on with it."""
        self.optimizer.load_state_dict(state)

    def _teach(self, dates: Tensor, fake: Tensor, real: Tensor) -> Tensor:
        """One step of the discriminator; left out where its loss is not finite, for the generator's is not either."""
        train, noise = self.job.train, None
        if self.job.task.label_noise:
            noise = torch.Generator().manual_seed((self.job.seed * 1_000_003 + self.step) % 2**63)
        for group in self.optimizer.param_groups:
            group["lr"] = _rate(self.step, train.steps, train.lr)
        no, yes = (self.discriminator(dates, image).float() for image in (fake, real))
        loss = discriminator_loss(no, yes, noise)
        self.optimizer.zero_grad(set_to_none=True)
        if bool(torch.isfinite(loss)):
            with torch.autocast(loss.device.type, enabled=False):
                loss.backward()  # type: ignore[no-untyped-call]
            self.optimizer.step()
            self.optimizer.zero_grad(set_to_none=True)
        return loss.detach()

    @torch.no_grad()
    def _taught(self, frames: Field) -> list[Tensor]:
        """What each date's cloud mask (b, 1, h, w) is to equal, 1 = cloud; none where masks are left to themselves."""
        if self.job.task.attention == "none":
            return []
        if self.teacher is not None:
            field = scaled(frames.select(TAUGHT))
            return [self.teacher(field[:, date])[0] for date in range(DATES)]
        if frames.valid is None:
            return [torch.zeros_like(frames.values[:, date, :1]) for date in range(DATES)]
        clouds = (~frames.valid.all(2, keepdim=True)).to(frames.values.dtype)
        return [clouds[:, date] for date in range(DATES)]


@dataclass(frozen=True, slots=True)
class Adversarial(TaskOf):
    """The generator's task: its loss is PMAA's, what chooses its weights the usual error on hidden pixels."""

    def loss(self, output: Made, batch: Batch) -> Tensor:
        """The adversary's opinion, 100 times the absolute error, and cloud masks unlike those that are taught."""
        masks = [mask.float() for mask in output.masks]
        loss = generator_loss(output.scores, output.image, output.truth, masks, output.taught, known=output.known)
        if not output.images:
            return loss
        return loss + L1_AUX * auxiliary(output.images, output.truth_of_images, output.known_of_images)


def check_adversarial(job: JobConfig) -> None:
    """Raise GeoadaptError where ``job`` describes no adversarial fit that can be made."""
    backbone = job.backbone
    if not isinstance(backbone, PmaaConfig) or job.adapter.name != "full" or job.head.name != "image":
        chosen = f"{backbone.name}, {job.adapter.name} and {job.head.name}"
        raise GeoadaptError("task.loss", f"'adversarial' trains PMAA, not {chosen}", "choose experiment=pmaa")
    if backbone.features != "fused" or backbone.norm != "instance":
        problem = f"features {backbone.features}, norm {backbone.norm}"
        raise GeoadaptError("backbone", problem, "an adversarial fit takes features=fused norm=instance")
    if backbone.scaling != job.head.scaling:
        problem = f"backbone.scaling={backbone.scaling}, head.scaling={job.head.scaling}"
        raise GeoadaptError("head.scaling", problem, "choose the same for both")
    if job.task.frames < DATES:
        raise GeoadaptError("task.frames", f"{job.task.frames}", f"PMAA sees {DATES} dates")
    if job.train.chip < LEAST_CHIP:
        raise GeoadaptError("train.chip", f"{job.train.chip} px are too few for the discriminator", "choose 64 or more")
    if job.task.attention == "teacher" and not set(TAUGHT) <= set(backbone.channels):
        raise GeoadaptError("task.attention", f"the teacher takes {list(TAUGHT)}", "name them in backbone.channels")
    if job.task.attention == "masks" and not getattr(job.data, "knows_clouds", True):
        problem = f"{job.data.name} does not say where its clouds are: PMAA would learn to see none"
        raise GeoadaptError("task.attention", problem, "choose task.attention=teacher or none, or give data.masks")
    if world() > 1:
        raise GeoadaptError("task.loss", "'adversarial' runs in a single process", "start it without torchrun")


def fit_adversarial(
    made: AdaptedRestorer, task: CloudRemoval, job: JobConfig, folder: Path, loaders: Callable[[int], Loaders]
) -> FitResult:
    """Train ``made`` in place against a discriminator and leave it with the weights of the best validation.

    Raises what ``check_adversarial`` and ``loop.fit`` raise.
    """
    check_adversarial(job)
    device = next(made.parameters()).device
    teacher = load_teacher(job.task.teacher) if job.task.attention == "teacher" else None
    duel = Duel(made, job, teacher).to(device)
    groups = [
        ParameterGroup(list(made.model.head.parameters()), betas=BETAS),
        ParameterGroup(made.model.attached.parameters(), betas=BETAS),
    ]
    result = fit(duel, groups, Adversarial(task), None, job.train, job.runtime, job.seed, folder, loaders=loaders)
    made.eval().to(device)
    return result


def _truth(batch: Batch, channels: tuple[str, ...]) -> tuple[Tensor, Tensor]:
    """The last date as it was or would have been seen (b, c, h, w) in [−1, 1], and where that is known."""
    if batch.target is None:
        raise GeoadaptError("batch", "has no target", "make it with a truth, or hide what is clear")
    field = batch.inputs["optical"].select(channels)
    values, aim = field.values[:, -1].float(), batch.target.values[:, 0].float()
    seen = torch.ones_like(values, dtype=torch.bool) if field.valid is None else field.valid[:, -1]
    told = torch.ones_like(seen) if batch.target.valid is None else batch.target.valid[:, 0]
    truth = torch.where(told, aim, torch.where(seen, values, 0.0))
    return REFLECTANCE.signed(truth), told | seen


def _rate(step: int, steps: int, highest: float) -> float:
    """The discriminator's learning rate at a step."""
    least = min(LEAST_RATE, highest)
    return least + 0.5 * (highest - least) * (1 + math.cos(math.pi * min(1.0, step / max(1, steps))))
