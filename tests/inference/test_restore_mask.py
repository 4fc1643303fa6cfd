"""Masks of a stack by a cloud bundle: every scene with its own date and sensor, also where several make one date."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from geoadapt.cubes.classes import CLOUD_CLASSES
from geoadapt.inference.restore_mask import open_masked
from tests import synth
from tests.cubes.series_made import write


class Late:
    """A cloud bundle without a network: cloud where blue is above 0.5; remembers when its images were taken."""

    name, channels, multiple, threshold, sha256 = "late", ("blue",), 1, None, "0" * 64
    classes = CLOUD_CLASSES[:2]

    def __init__(self) -> None:
        self.times: list[datetime] = []

    def scores(self, values: Tensor, valid: Tensor | None, *, time: datetime, **more: Any) -> Tensor:
        self.times.append(time)
        cloud = (values[:, :1] > 0.5).float()
        return torch.cat([1 - cloud, cloud], dim=1)


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_scenes_of_a_mosaic_are_masked_one_by_one_with_the_date_that_they_are_part_of(tmp_path: Path) -> None:
    cloudy = synth.scene(3, seed=0)
    cloudy[:, :10] = 0.9
    write(tmp_path, "20220601", values=cloudy, tail="T100000")
    write(tmp_path, "20220601", 1, tail="T110000")
    write(tmp_path, "20220605", values=cloudy)
    bundle = Late()
    with open_masked([str(tmp_path)], ("red",), bundle, duplicates="mosaic", buffer=2) as stack:
        values, clear = stack.read()
    assert [f"{time:%d}" for time in bundle.times] == ["01", "01", "05"]
    assert clear[0].all() and not clear[1, :12].any() and clear[1, 12:].all()
    np.testing.assert_array_equal(values[0, 0, :12], synth.scene(3, seed=1)[2, :12])
    np.testing.assert_array_equal(values[0, 0, 12:], cloudy[2, 12:])
