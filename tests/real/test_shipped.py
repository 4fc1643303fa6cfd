"""What ships, on the two real scenes that it never saw."""

from __future__ import annotations

from pathlib import Path

import pytest

from geoadapt.config import RuntimeConfig
from geoadapt.fields.config import CsmaskConfig
from geoadapt.shipped import shipped_bundle
from geoadapt.training.evaluate import evaluate


@pytest.mark.parametrize("scene", ["sentinel2", "landsat7"])
def test_the_shipped_bundle_is_better_than_the_rule_on_a_real_scene_it_never_saw(
    scene: str, data_dir: Path, tmp_path: Path
) -> None:
    data = CsmaskConfig(root=str(data_dir / "cloudmask" / "ukis_csmask"), test=[scene])
    runtime = RuntimeConfig(device="cpu", threads=1)
    found = evaluate(shipped_bundle(), data, tmp_path, runtime=runtime, bootstrap=200).metrics
    assert found["rule/iou_gain_low/cloud"] > 0, "the paired 90 % interval of its gain in cloud IoU reaches 0"
    assert found["test/iou/shadow"] > 0.5
