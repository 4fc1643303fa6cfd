"""Configurations of the data that training reads; plain data, no torch."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from geoadapt.cubes.cloud_layouts import LAYOUTS
from geoadapt.errors import GeoadaptError, nearest
from geoadapt.registry import from_plain, look_up

__all__ = [
    "CloudDatasetConfig",
    "CsmaskConfig",
    "FolderConfig",
    "MixedConfig",
    "PretrainingDataConfig",
    "SimulatedConfig",
]


def check_split(block: int, **fractions: float) -> None:
    """Raise where blocks are too small, or the fractions (``val_fraction`` …) leave no block for training."""
    if block < 8:
        raise GeoadaptError("data.block", f"{block} px", "choose 8 or more")
    for name, value in fractions.items():
        if not 0 <= value < 1 or (name == "val_fraction" and value == 0):
            raise GeoadaptError(f"data.{name}", f"{value}", "choose more than 0 and less than 1")
    if sum(fractions.values()) >= 1:
        names = " + ".join(fractions)
        raise GeoadaptError(f"data.{names}", f"{sum(fractions.values()):g}", "leave some blocks to train on")


def check_shares(val: float, test: float) -> None:
    """Raise where either share is not between 0 and 1, or both leave nothing to train on."""
    for name, value in (("val_fraction", val), ("test_fraction", test)):
        if not 0 < value < 1:
            raise GeoadaptError(f"data.{name}", f"{value}", "choose more than 0 and less than 1")
    if val + test >= 1:
        raise GeoadaptError("data.val_fraction + data.test_fraction", f"{val + test:g}", "leave something to train on")


@dataclass
class CloudDatasetConfig:
    """A public data set of clouds in its published folders: ``img_dir/SPLIT/NAME.png``, ``ann_dir/SPLIT/NAME.png``."""

    name: str = "hrc_whu"
    root: str = ""
    """Empty = ``data/NAME``."""
    train_splits: list[str] = field(default_factory=lambda: ["train"])
    """Folders to train on; those called ``val`` are left out unless they are named."""
    images: int = 0
    """At most so many of every folder, evenly taken; 0 = all."""
    val_fraction: float = 0.2
    block: int = 64
    """Validation is made of spatial blocks of this size inside the training images [px]."""

    def __post_init__(self) -> None:
        self.root = self.root or f"data/{self.name}"
        check_split(self.block, val_fraction=self.val_fraction)
        test = LAYOUTS[self.name].test if self.name in LAYOUTS else ""
        if not self.train_splits or test in self.train_splits:
            raise GeoadaptError(
                "data.train_splits", f"{self.train_splits}", f"name a folder other than '{test}', the test"
            )
        if self.images < 0:
            raise GeoadaptError("data.images", f"{self.images}", "choose 0 or more")


@dataclass
class CsmaskConfig:
    """Every ``*.npz`` in ``root`` is a scene (``img`` h×w×6, ``msk`` h×w×1), named by its file; split by scene."""

    name: str = "csmask"
    root: str = ""
    """Empty = ``cloudmask/ukis_csmask`` in the folder that GEOADAPT_DATA names."""
    test: list[str] = field(default_factory=list)
    train: list[str] = field(default_factory=list)
    """Empty = every scene that is not named as test."""
    val_fraction: float = 0.2
    block: int = 64
    """Validation is made of spatial blocks of this size inside the training scenes [px]."""

    def __post_init__(self) -> None:
        check_split(self.block, val_fraction=self.val_fraction)


@dataclass
class FolderConfig:
    """Images and labels of one's own: rasters paired by name, or polygons rasterised on the image's grid."""

    name: str = "folder"
    root: str = "."
    images: str = "images"
    """A sub-folder of ``root``: one file or folder per scene; a file's tag ``land_cover`` tells what it lies over."""
    labels: str = "labels"
    """A sub-folder with rasters of the same names, or a vector file (GeoPackage, GeoJSON)."""
    class_column: str = "class"
    """In polygons: the column that holds a class name or number."""
    classes: dict[str, int] = field(default_factory=dict)
    """Label value or name → class of the task; empty = the task's own numbers."""
    channels: list[str] = field(default_factory=list)
    """Bands to use; empty = those that all scenes share."""
    sensor: str | None = None
    test: list[str] = field(default_factory=list)
    """Scene names; empty = spatial blocks of every scene (``test_fraction``)."""
    train: list[str] = field(default_factory=list)
    test_fraction: float = 0.2
    val_fraction: float = 0.2
    block: int = 64

    def __post_init__(self) -> None:
        test = {} if self.test else {"test_fraction": self.test_fraction}
        check_split(self.block, val_fraction=self.val_fraction, **test)


@dataclass
class SimulatedConfig:
    """Simulated scenes with a known truth, made once under ``root`` and then read like any folder."""

    name: str = "simulated"
    root: str = "outputs/simulated"
    scenes: int = 6
    size: int = 512
    seed: int = 0
    sensors: list[str] = field(default_factory=lambda: ["sentinel2", "landsat8", "landsat7"])
    test_scenes: int = 2
    val_fraction: float = 0.2
    block: int = 64

    def __post_init__(self) -> None:
        check_split(self.block, val_fraction=self.val_fraction)
        for name, least in (("scenes", 1), ("size", 8), ("test_scenes", 0)):
            if getattr(self, name) < least:
                raise GeoadaptError(f"data.{name}", f"{getattr(self, name)}", f"choose {least} or more")


@dataclass
class PretrainingDataConfig:
    """Images without labels: simulated scenes, and the real tiles that shipped weights may be made of."""

    name: str = "pretraining"
    root: str = "outputs/pretraining"
    scenes: int = 48
    size: int = 512
    seed: int = 100
    sensors: list[str] = field(default_factory=lambda: ["sentinel2", "landsat8", "landsat7"])
    real: bool = True
    """Whether the four real sets under GEOADAPT_DATA take part."""
    real_share: float = 0.2
    """Share of the samples that are drawn from them."""
    val_fraction: float = 0.05
    block: int = 64

    def __post_init__(self) -> None:
        check_split(self.block, val_fraction=self.val_fraction)
        for name, least in (("scenes", 1), ("size", 64)):
            if getattr(self, name) < least:
                raise GeoadaptError(f"data.{name}", f"{getattr(self, name)}", f"choose {least} or more")
        if not 0.01 <= self.real_share <= 0.99:
            raise GeoadaptError("data.real_share", f"{self.real_share}", "choose 0.01 to 0.99")


THIN = ("ignore", "cloud", "clear")


@dataclass
class MixedConfig:
    """Real data with simulated scenes mixed into the training; validation and test stay real."""

    name: str = "mixed"
    real: dict[str, Any] = field(default_factory=lambda: {"name": "csmask"})
    """Another data configuration, its ``name`` (csmask where none is said) and its keys: ``{test: [landsat7]}``."""
    simulated: dict[str, Any] = field(default_factory=dict)
    """Keys of the simulated part that differ from ``data=simulated``: ``{scenes: 12}``; all of it is trained on."""
    share: float = 0.5
    """Of the training samples, those that are simulated."""
    thin_as: str = "ignore"
    """What simulated thin cloud is where the real labels know none: left out (``ignore``), ``cloud`` or ``clear``."""

    def __post_init__(self) -> None:
        if not 0.01 <= self.share <= 0.99:
            raise GeoadaptError("data.share", f"{self.share}", "choose 0.01 to 0.99")
        if self.thin_as not in THIN:
            raise GeoadaptError("data.thin_as", f"'{self.thin_as}'", nearest(self.thin_as, THIN))
        self.parts()

    def parts(self) -> tuple[Any, SimulatedConfig]:
        """The configurations of the real and of the simulated part; raises GeoadaptError as they do."""
        from geoadapt.fields import DATASETS

        plain = {"name": "csmask", **self.real}
        name, made = str(plain["name"]), (MixedConfig, PretrainingDataConfig, SimulatedConfig)
        known = [n for n, entry in DATASETS.items() if entry.config not in made]
        if name not in known:
            raise GeoadaptError("data.real.name", f"'{name}' is no real labelled data set", nearest(name, known))
        real: Any = from_plain(look_up(DATASETS, name, "data.real.name").config, plain, "data.real")
        own = {"root": "outputs/simulated_mixed", **self.simulated, "name": "simulated", "test_scenes": 0}
        return real, from_plain(SimulatedConfig, own, "data.simulated")

    @property
    def root(self) -> str:
        """That of the real part."""
        return str(self.parts()[0].root)

    @property
    def block(self) -> int:
        """That of the real part [px]."""
        return int(self.parts()[0].block)

    @property
    def test_fraction(self) -> float:
        """That of the real part, 0 where it has none."""
        return float(getattr(self.parts()[0], "test_fraction", 0))
