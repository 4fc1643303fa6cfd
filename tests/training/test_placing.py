from __future__ import annotations

import pytest
import torch

from geoadapt.config import TrainConfig
from geoadapt.fields.loaders import make_loaders
from geoadapt.fields.types import Batch
from geoadapt.tasks import cloud_segmentation
from geoadapt.tasks.config import CloudSegmentationConfig
from geoadapt.training.fit_types import ParameterGroup
from geoadapt.training.loop import Fit
from geoadapt.training.placing import _leaves_some_out
from tests.training.small import dataset


@pytest.mark.parametrize("spare", [False, True], ids=str)
def test_parameters_that_a_batch_does_not_move_are_found_before_the_fit(spare: bool) -> None:
    """Without being told of them DDP would wait for their gradients until it fails in the second step."""

    class Pixelwise(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.used = torch.nn.Linear(6, 3)
            self.spare = torch.nn.Linear(6, 3).requires_grad_(spare)

        def forward(self, batch: Batch) -> torch.Tensor:
            return self.used(batch.inputs["optical"].values.movedim(2, -1)).movedim(-1, 2)  # type: ignore[no-any-return]

    data, config = dataset(), TrainConfig(steps=1, batch=2, chip=32)
    task = cloud_segmentation.build(CloudSegmentationConfig(), data, {0: 1})
    module = Pixelwise()
    fitted = Fit(module, [ParameterGroup(list(module.parameters()))], task, config, 0)
    assert _leaves_some_out(fitted, make_loaders(data, config, 0)) == spare
    assert all(p.grad is None for p in module.parameters())
