"""The trainable part inside or beside a backbone. In: a frozen backbone. Out: the same object, adapted.

``attach`` in ``geoadapt.adapters.attach`` is the one function that does it; the first dict below is the whole registry.
"""

from geoadapt.adapters.config import (
    BitFitConfig,
    DoraConfig,
    FullConfig,
    HeadOnlyConfig,
    Ia3Config,
    LnTuningConfig,
    LoraConfig,
    PartialConfig,
)
from geoadapt.registry import Entry

__all__ = ["ADAPTERS", "REGIMES", "TUNED"]

ADAPTERS: dict[str, Entry] = {
    "lora": Entry(LoraConfig, "geoadapt.adapters.lora:build"),
    "dora": Entry(DoraConfig, "geoadapt.adapters.dora:build"),
    "ia3": Entry(Ia3Config, "geoadapt.adapters.ia3:build"),
    "ln_tuning": Entry(LnTuningConfig, "geoadapt.adapters.ln_tuning:build"),
    "bitfit": Entry(BitFitConfig, "geoadapt.adapters.bitfit:build"),
    "partial": Entry(PartialConfig, "geoadapt.adapters.partial:build"),
    "none": Entry(HeadOnlyConfig, "geoadapt.adapters.plain:build_none"),
    "full": Entry(FullConfig, "geoadapt.adapters.plain:build_full"),
}

REGIMES: dict[str, str] = {
    "lora": "peft",
    "dora": "peft",
    "ia3": "peft",
    "ln_tuning": "peft",
    "bitfit": "peft",
    "partial": "peft",
    "none": "frozen",
    "full": "full",
}
"""Adapter → the regime in which a leaderboard ranks it: the backbone is frozen, a small part is trained, or all."""

TUNED: dict[str, str] = {
    "full": "fully fine-tuned",
    "partial": "partly fine-tuned",
    "bitfit": "biases tuned",
    "ln_tuning": "norms tuned",
}
"""What is changed of the backbone's own parameters; under every other adapter it stays frozen."""
