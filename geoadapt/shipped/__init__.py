"""What comes with the package: a ready cloud bundle, and the weights of the backbones that geoadapt pre-trained itself.

In: nothing, or a backbone's name. Out: paths inside the installed package. Their cards say on what they were trained.
"""

from __future__ import annotations

from pathlib import Path

from geoadapt.errors import GeoadaptError

__all__ = ["FOLDER", "shipped_bundle", "shipped_weights"]

FOLDER = Path(__file__).resolve().parent


def shipped_bundle() -> Path:
    """The folder of the cloud bundle that ``predict`` takes unless another is named; raises GeoadaptError if absent."""
    folder = FOLDER / "clouds"
    if not (folder / "bundle.json").is_file():
        raise GeoadaptError(
            folder,
            "this copy of geoadapt comes without a bundle",
            "name one with --bundle, the bundle/ of a run folder, or install geoadapt again",
        )
    return folder


def shipped_weights(name: str) -> Path | None:
    """The weights file of the backbone called ``name``, None where none ships."""
    return next(iter(sorted((FOLDER / name).glob("*.safetensors"))), None)
