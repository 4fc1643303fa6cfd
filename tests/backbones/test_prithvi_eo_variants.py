from __future__ import annotations

from geoadapt.backbones import BACKBONES
from geoadapt.backbones.prithvi_eo_variants import VARIANTS


def test_seven_variants_and_a_small_one_of_our_own_are_registered() -> None:
    assert set(VARIANTS) == {name for name in BACKBONES if name.startswith("prithvi_eo_")} | {"small_eo"}
    assert len(VARIANTS) == 8
