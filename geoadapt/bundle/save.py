"""Writing a bundle, whole or not at all.

In: a trained model, its card, the fitted baselines. Out: the folder.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from torch import Tensor, nn

from geoadapt.baselines.pixelwise import LinearDiscriminant
from geoadapt.bundle.card import CARD, FORMAT, HEAD, BundleCard
from geoadapt.bundle.readme import readme
from geoadapt.errors import GeoadaptError
from geoadapt.io.atomic import staged_folder
from geoadapt.io.manifest import sha256
from geoadapt.model import AdaptedModel

__all__ = ["save_bundle"]


def save_bundle(
    path: Path,
    model: AdaptedModel,
    card: BundleCard,
    baselines: Mapping[str, object],
    more: Mapping[str, Mapping[str, Tensor]] | None = None,
) -> Path:
    """Write the bundle, whole or not at all; returns its path.

    ``baselines`` holds the fitted simple models by name, so that ``evaluate`` on other data can score them too;
    ``more`` further tensors by the name of their file.
    """
    from safetensors.torch import save_file

    with staged_folder(path) as part:
        model.attached.save(part / "adapter")
        save_file({k: v.contiguous() for k, v in model.head.state_dict().items()}, part / HEAD)
        for name, tensors in (more or {}).items():
            save_file({k: v.detach().cpu().contiguous() for k, v in tensors.items()}, part / f"{name}.safetensors")
        (part / "baselines").mkdir()
        for name, baseline in baselines.items():
            save_file(_baseline_state(name, baseline), part / "baselines" / f"{name}.safetensors")
        files = {str(file.relative_to(part)): sha256(file) for file in sorted(part.rglob("*")) if file.is_file()}
        plain = {"format": FORMAT, **asdict(card), "files": files}
        (part / CARD).write_text(json.dumps(plain, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        (part / "README.md").write_text(readme(card), encoding="utf-8")
    return path


def _baseline_state(name: str, baseline: object) -> dict[str, Tensor]:
    if isinstance(baseline, LinearDiscriminant):
        return {"weight": baseline.weight.contiguous(), "bias": baseline.bias.contiguous()}
    if isinstance(baseline, nn.Module):
        return {k: v.contiguous() for k, v in baseline.state_dict().items()}
    raise GeoadaptError("bundle", f"baseline '{name}' of type {type(baseline).__name__} cannot be stored", "")
