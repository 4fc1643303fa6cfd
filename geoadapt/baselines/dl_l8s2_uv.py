"""dl_l8s2_uv as published: a cloud mask learned on Landsat-8 scenes alone, as it stands.

Its authors counted thin cloud as cloud (López-Puigdollers 2021, section 3).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from geoadapt.backbones.config import DL_L8S2_UV_CHANNELS, DlL8s2UvConfig
from geoadapt.backbones.dl_l8s2_uv import DlL8s2Uv, build
from geoadapt.errors import GeoadaptError

__all__ = ["PublishedUnet", "best_variant", "published_unet"]


@dataclass(frozen=True, slots=True)
class PublishedUnet:
    """Cloud with the probability that the network says, clear with the rest; it knows no shadow and no thin cloud."""

    network: DlL8s2Uv
    index: tuple[int, ...]
    """Positions of the network's channels among those of the data."""
    cloud: int
    """Position of the class cloud; ``clear`` likewise."""
    clear: int
    classes: int

    def scores(self, values: Tensor, valid: Tensor | None) -> Tensor:
        """Probabilities (b, k, h, w) of images (b, c, h, w) [reflectance 0–1]."""
        index = list(self.index)
        with torch.inference_mode():
            cloud = self.network.cloud_probability(values[:, index], None if valid is None else valid[:, index])
        out = values.new_zeros((values.shape[0], self.classes, *values.shape[-2:]))
        out[:, self.cloud] = cloud
        out[:, self.clear] = 1 - cloud
        return out


def best_variant(channels: Sequence[str]) -> str:
    """The variant that uses most of the data's channels; raises GeoadaptError where neither can run."""
    fitting = [name for name, needs in DL_L8S2_UV_CHANNELS.items() if set(needs) <= set(channels)]
    if not fitting:
        least = min(DL_L8S2_UV_CHANNELS.values(), key=len)
        raise GeoadaptError("baseline dl_l8s2_uv", f"the data have {list(channels)}", f"it needs {list(least)}")
    return max(fitting, key=lambda name: len(DL_L8S2_UV_CHANNELS[name]))


def published_unet(
    channels: Sequence[str], names: Sequence[str], config: DlL8s2UvConfig | None = None, *, device: str = "cpu"
) -> PublishedUnet:
    """The baseline for data with these channels and a task with these class names.

    ``config`` chooses the variant and where its weights are; None takes the best variant that the channels allow.
    Raises GeoadaptError where a channel, the class cloud or clear, or the weights are missing.
    """
    config = config or DlL8s2UvConfig(variant=best_variant(channels))
    missing = [c for c in DL_L8S2_UV_CHANNELS[config.variant] if c not in channels]
    if missing:
        raise GeoadaptError(
            "baseline dl_l8s2_uv", f"{config.variant} needs {missing}", f"the data have {list(channels)}"
        )
    if not {"cloud", "clear"} <= set(names):
        raise GeoadaptError("baseline dl_l8s2_uv", f"the classes are {list(names)}", "it needs clear and cloud")
    network = build(config).to(device)
    index = tuple(channels.index(c) for c in network.channels)
    return PublishedUnet(network, index, names.index("cloud"), names.index("clear"), len(names))
