"""Scores of 8-bit colour images against what the published evaluation of PMAA gives."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from geoadapt.metrics.stretched import PROTOCOLS, stretched_scores
from tests.golden.vectors import Vectors, cases


def protocols(vectors: Vectors) -> Iterator[str]:
    yield from (name for name in ("new", "old") if name in vectors.meta)


@pytest.mark.parametrize(("vectors", "name"), cases("pmaa_metrics", protocols))
def test_stretched_colours_and_their_scores_are_the_published_ones(vectors: Vectors, name: str) -> None:
    arrays, protocol = vectors.arrays, f"sen2_mtc_{name}"
    truth, restored = (arrays[f"{name}_{part}"] * np.float32(0.5) + np.float32(0.5) for part in ("gt", "pred"))
    np.testing.assert_array_equal(PROTOCOLS[protocol](truth), arrays[f"{name}_rgb_gt"])
    np.testing.assert_array_equal(PROTOCOLS[protocol](restored), arrays[f"{name}_rgb_pred"])
    found = stretched_scores(restored[None], truth[None], protocol)
    assert {metric: values.tolist() for metric, values in found.items()} == {
        metric: [pytest.approx(vectors.meta[name][metric], abs=1e-4)] for metric in ("psnr", "ssim")
    }
