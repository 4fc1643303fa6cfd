from __future__ import annotations

from pathlib import Path

import pytest
import torch

from geoadapt.backbones.config import DlL8s2UvConfig
from geoadapt.baselines.dl_l8s2_uv import best_variant, published_unet
from geoadapt.config import InferConfig
from geoadapt.cubes.classes import CLOUD_CLASSES
from geoadapt.errors import GeoadaptError
from geoadapt.fields.config import CsmaskConfig
from geoadapt.fields.csmask import build as csmask
from geoadapt.training.scoring import pixel_scorer, score_scenes

NAMES = ("clear", "cloud", "shadow")
SIX = ("blue", "green", "red", "nir", "swir16", "swir22")
RANDOM = DlL8s2UvConfig(random_weights=True)


def test_scores_are_the_networks_own_on_cloud_and_clear_by_channel_name() -> None:
    channels = ("swir22", "coastal", "nir", "swir16", "red", "blue", "green")
    images = torch.rand(2, 7, 13, 10, generator=torch.Generator().manual_seed(0)) * 0.6
    made = published_unet(channels, ("shadow", "cloud", "clear"), RANDOM)
    scores = made.scores(images, None)
    with torch.no_grad():
        cloud = made.network.cloud_probability(images[:, [channels.index(c) for c in SIX]])
    assert scores.shape == (2, 3, 13, 10)
    assert torch.equal(scores[:, 1], cloud) and torch.equal(scores[:, 2], 1 - cloud)
    assert not scores[:, 0].any()


def test_what_is_masked_does_not_count() -> None:
    made = published_unet(SIX, NAMES, RANDOM)
    images = torch.rand(1, 6, 16, 16, generator=torch.Generator().manual_seed(0))
    valid = torch.ones_like(images, dtype=torch.bool)
    valid[..., :4, :] = False
    spoilt = torch.where(valid, images, float("nan"))
    assert torch.equal(made.scores(spoilt, valid), made.scores(images, valid))


def test_the_variant_follows_the_channels() -> None:
    assert best_variant(SIX) == "RGBISWIR7"
    assert best_variant(("nir", "red", "green", "blue", "swir16")) == "RGBI6"
    with pytest.raises(GeoadaptError, match="it needs"):
        best_variant(("blue", "green", "red"))


@pytest.mark.parametrize(
    ("channels", "names", "words"),
    [
        (SIX[:4], NAMES, r"RGBISWIR7 needs \['swir16', 'swir22'\]"),
        (SIX, ("clear", "shadow"), "it needs clear and cloud"),
    ],
)
def test_data_or_a_task_that_do_not_fit_are_named(
    channels: tuple[str, ...], names: tuple[str, ...], words: str
) -> None:
    with pytest.raises(GeoadaptError, match=words):
        published_unet(channels, names, RANDOM)


def test_through_the_streaming_engine_it_scores_as_measured(data_dir: Path, weights_dir: Path) -> None:
    data = csmask(CsmaskConfig(root=str(data_dir / "cloudmask" / "ukis_csmask"), test=["sentinel2"]))
    made = published_unet(data.channels, NAMES, DlL8s2UvConfig(weights=str(weights_dir)))
    classes = [c for c in CLOUD_CLASSES if c.name in NAMES]
    scenes = [*data.test, *data.train]
    found = score_scenes(pixel_scorer(made.scores), scenes, {}, classes, InferConfig())
    ious = {}
    for score in found:
        said, truth = score.labels == 1, score.truth == 1
        ious[score.scene] = float((said & truth).sum() / (said | truth).sum())
    assert ious == {"sentinel2": pytest.approx(0.832, abs=0.005), "landsat7": pytest.approx(0.634, abs=0.005)}
