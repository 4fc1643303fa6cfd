"""Band names: STAC common names, what each means, and the other spellings that files use."""

from __future__ import annotations

import re
from collections.abc import Sequence

from geoadapt.errors import GeoadaptError, nearest

__all__ = ["COMMON_NAMES", "REFLECTIVE", "common_name", "match"]

REFLECTIVE: tuple[str, ...] = (
    *("coastal", "blue", "green", "yellow", "red", "rededge", "rededge071", "rededge075", "rededge078"),
    *("nir", "nir08", "nir09", "cirrus", "swir16", "swir22"),
)
"""Bands whose values are reflectance 0–1, from short to long wavelengths."""

_OTHER: tuple[str, ...] = ("pan", "lwir", "lwir11", "lwir12", "vv", "vh", "hh", "hv")

COMMON_NAMES: tuple[str, ...] = (*REFLECTIVE, *_OTHER)
"""STAC common names that are known here."""

_ALIASES: dict[str, str] = {
    "aerosol": "coastal",
    "coastalaerosol": "coastal",
    "ultrablue": "coastal",
    "nearinfrared": "nir",
    "nir1": "nir",
    "nirbroad": "nir",
    "nirnarrow": "nir08",
    "narrownir": "nir08",
    "nir8a": "nir08",
    "watervapor": "nir09",
    "watervapour": "nir09",
    "rededge1": "rededge071",
    "rededge2": "rededge075",
    "rededge3": "rededge078",
    "re1": "rededge071",
    "re2": "rededge075",
    "re3": "rededge078",
    "swir1": "swir16",
    "swir2": "swir22",
    "panchromatic": "pan",
    "thermal": "lwir",
    "tir1": "lwir11",
    "tir2": "lwir12",
}

# What stands in for a band that is absent; said in the result, never silent. Landsat's near infrared is called nir08 in
# STAC catalogues and nir elsewhere.
_STAND_INS: dict[str, str] = {"nir": "nir08"}


def common_name(word: str) -> str | None:
    """The common name that ``word`` spells (``Green``, ``SWIR 1``, ``Gamma0_VV``), None if it spells none."""
    plain = re.sub(r"[^a-z0-9]", "", word.lower())
    if plain in COMMON_NAMES:
        return plain
    if plain in _ALIASES:
        return _ALIASES[plain]
    polarisation = re.search(r"(?:^|[^a-z0-9])(vv|vh|hh|hv)$", word.strip().lower())
    return polarisation.group(1) if polarisation else None


def match(wanted: Sequence[str], found: Sequence[str], where: str) -> tuple[list[int], list[str]]:
    """Positions in ``found`` of the ``wanted`` bands, and a sentence for each stand-in that was taken.

    Raises GeoadaptError that lists what was wanted and found.
    """
    positions, said, missing = [], [], []
    for name in wanted:
        key = common_name(name) or name
        candidates = [name, key, _STAND_INS.get(key, "")]
        taken = next((c for c in candidates if c in found), None)
        if taken is None:
            missing.append(name)
            continue
        if taken not in (name, key):
            said.append(f"{name} is taken from {taken}")
        positions.append(list(found).index(taken))
    if missing:
        hint = f"did you mean to name the sensor? {nearest(missing[0], found)}"
        if any(name.startswith("band_") for name in found):
            hint = "its bands have no names: describe them in the file, or name the sensor with sensor=… or --sensor …"
        raise GeoadaptError(where, f"bands {missing} are missing; wanted {list(wanted)}, found {list(found)}", hint)
    return positions, said
