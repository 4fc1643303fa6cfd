from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from geoadapt.backbones.picture import Picture, variant_of
from geoadapt.backbones.picture_bands import RGB, Bands
from geoadapt.backbones.picture_config import PictureConfig
from geoadapt.backbones.picture_models import network, own_keys, read_keys
from geoadapt.backbones.weights import check_state
from tests.golden.vectors import Vectors, assert_close, cases


def whole(vectors: Vectors) -> Iterator[str]:
    yield "features"


@pytest.mark.parametrize(("vectors", "case"), cases("convnextv2_small", whole))
def test_features_are_those_of_timm(vectors: Vectors, case: str) -> None:
    sizes = vectors.meta["config"]
    channels = sizes["in_chans"]
    config = PictureConfig(name="convnextv2_atto", widths=tuple(sizes["dims"]), depths=tuple(sizes["depths"]))
    variant = variant_of(config)
    model = network(variant, channels)
    state = {n.removeprefix("w/"): torch.from_numpy(a) for n, a in vectors.arrays.items() if n.startswith("w/")}
    renamed, wanted = own_keys(variant.family, state, read_keys(variant, model)), read_keys(variant, model)
    check_state(renamed, wanted, vectors.path)
    model.load_state_dict(renamed, strict=False)
    picture = Picture(config, variant, model, Bands("rgb", RGB, 1.0)).eval()
    x = torch.from_numpy(vectors.arrays["in/x"])
    with torch.no_grad():
        for level in range(4):
            x = picture.blocks[level](picture.stem(x) if level == 0 else x)
            assert_close(x, vectors.arrays[f"feat/{level}"], atol=5e-5, rtol=1e-4, what=f"level {level}")
