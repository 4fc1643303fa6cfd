"""Configurations of labelled samples that training reads; plain data, no torch."""

from __future__ import annotations

from dataclasses import dataclass

from geoadapt.errors import GeoadaptError
from geoadapt.fields.config import check_shares

__all__ = ["FloodChipConfig", "FuelMoistureConfig", "ModisSamplesConfig", "SitsSamplesConfig"]


@dataclass
class FuelMoistureConfig:
    """Live fuel moisture at sites of the western United States (Rao 2020), as published with Presto."""

    name: str = "fuel_moisture"
    root: str = ""
    """Empty = ``benchmark/presto_fuel_moisture`` in the folder that GEOADAPT_DATA names."""
    val_sites: int = 8
    """Training sites that validate, drawn from ``split_seed``; the test is the set's own."""
    split_seed: int = 0

    def __post_init__(self) -> None:
        if self.val_sites < 1:
            raise GeoadaptError("data.val_sites", f"{self.val_sites}", "choose 1 or more")


@dataclass
class ModisSamplesConfig:
    """Dated land use samples on MODIS composites of Mato Grosso (Maus 2019), split by squares."""

    name: str = "modis_samples"
    root: str = ""
    """Empty = ``timeseries/modis_mt`` in the folder that GEOADAPT_DATA names."""
    block: int = 3
    """Side of the squares that train, validate or test as a whole [px]."""
    val_fraction: float = 0.15
    test_fraction: float = 0.35
    split_seed: int = 0

    def __post_init__(self) -> None:
        check_shares(self.val_fraction, self.test_fraction)
        if self.block < 1:
            raise GeoadaptError("data.block", f"{self.block} px", "choose 1 or more")


@dataclass
class FloodChipConfig:
    """Hand-labelled chips of Sen1Floods11 in squares, split by square."""

    name: str = "flood_chip"
    root: str = ""
    """Empty = ``benchmark/sen1floods11`` in the folder that GEOADAPT_DATA names."""
    block: int = 64
    """Side of the squares [px]."""
    val_fraction: float = 0.15
    test_fraction: float = 0.35
    split_seed: int = 0

    def __post_init__(self) -> None:
        check_shares(self.val_fraction, self.test_fraction)
        if self.block < 8:
            raise GeoadaptError("data.block", f"{self.block} px", "choose 8 or more")


@dataclass
class SitsSamplesConfig:
    """Labelled vegetation series of MODIS in Brazil, as the R package sits stores them, split by squares."""

    name: str = "sits_samples"
    root: str = ""
    """Empty = ``timeseries/sits_modis_jp2`` in the folder that GEOADAPT_DATA names."""
    table: str = "cerrado_2classes"
    """``cerrado_2classes`` (NDVI and EVI, 23 dates) or ``samples_modis_ndvi`` (NDVI, 12 dates)."""
    block: float = 0.25
    """Side of the squares that train, validate or test as a whole [degrees]."""
    val_fraction: float = 0.15
    test_fraction: float = 0.35
    split_seed: int = 0

    def __post_init__(self) -> None:
        check_shares(self.val_fraction, self.test_fraction)
        if not self.block > 0:
            raise GeoadaptError("data.block", f"{self.block}°", "choose more than 0")
        if not self.table or "/" in self.table or "\\" in self.table:
            raise GeoadaptError("data.table", f"'{self.table}'", "name a file in the folder, without .rda")
