"""The trainable part inside or beside a backbone. In: a frozen backbone. Out: the same object, adapted.

``attach`` in ``geoadapt.adapters.attach`` is the one function that does it; the dict below is the whole registry.
"""

from geoadapt.adapters.config import FullConfig, HeadOnlyConfig, LoraConfig
from geoadapt.registry import Entry

__all__ = ["ADAPTERS"]

ADAPTERS: dict[str, Entry] = {
    "lora": Entry(LoraConfig, "geoadapt.adapters.lora:build"),
    "none": Entry(HeadOnlyConfig, "geoadapt.adapters.plain:build_none"),
    "full": Entry(FullConfig, "geoadapt.adapters.plain:build_full"),
}
