"""A batch as another sensor would have seen it: the bands of a backbone's pre-training, whatever took the image.

In: a Batch whose ``optical`` says which sensor took each sample. Out: the same batch on the wanted sensor's bands.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from geoadapt.cubes.responses import RESPONSES, coefficients
from geoadapt.fields.types import Batch, Field

__all__ = ["respond"]


def respond(batch: Batch, sensor: str | None) -> Batch:
    """The batch with ``optical`` on the bands of ``sensor``; samples of an unknown sensor stay as they are.

    Done twice it changes nothing more, for the samples then say that ``sensor`` took them. None changes nothing.
    """
    given = batch.inputs.get("optical")
    if sensor is None or given is None or given.sensor is None:
        return batch
    return replace(batch, inputs={**batch.inputs, "optical": _on_bands_of(sensor, given, given.sensor)})


def _on_bands_of(sensor: str, given: Field, taken_by: tuple[str | None, ...]) -> Field:
    own = [name if name in RESPONSES else sensor for name in taken_by]
    if all(name == sensor for name in own):
        return given
    fits = {name: coefficients(given.channels, name, sensor) for name in set(own)}
    slopes, offsets = (
        torch.from_numpy(np.stack([fits[name][part] for name in own])).to(given.values)[:, None, :, None, None]
        for part in (0, 1)
    )
    values = given.values * slopes + offsets
    if given.valid is not None:
        values = torch.where(given.valid, values, given.values)
    told = tuple(sensor if name in RESPONSES else name for name in taken_by)
    return replace(given, values=values, sensor=told)
