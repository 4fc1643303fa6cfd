"""Quality layers: which pixels are clear, in the words of the products that mask clouds.

In: raw values of a quality layer, and the scheme that they follow. Out: where the ground is seen (bool).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from geoadapt.errors import GeoadaptError, nearest

__all__ = ["SCHEMES", "TREATMENTS", "Scheme", "decode", "is_quality", "scheme_named", "scheme_of"]


@dataclass(frozen=True, slots=True)
class Scheme:
    """What a quality layer's numbers mean: one label per pixel in ``values``, or flags in ``bits``.

    A flag of two bits is a confidence: 0 not determined, 1 low, 2 medium, 3 high. A number in ``values`` is data even
    where the file declares it as missing, as files do that share one nodata value with their bands.
    """

    about: str
    values: Mapping[int, str] = field(default_factory=dict)
    bits: tuple[tuple[str, int, int], ...] = ()
    """(meaning, first bit, number of bits)."""
    fill: int | None = None
    """A value of the whole number that says that nothing was seen."""


_HIDDEN = ("fill", "cloud", "shadow")
_OPTIONS = ("snow", "cirrus", "dilated", "dark", "saturated", "unclassified")
_TREATMENT = ("clear", "cloudy")
_CONFIDENCES = (1, 2, 3)
TREATMENTS = ("confidence", *_OPTIONS)
"""What ``decode`` may be told beside the scheme."""

SCHEMES: dict[str, Scheme] = {
    "landsat_c1_bqa": Scheme(
        "Landsat Collection 1 Level 1, band BQA",
        bits=(("fill", 0, 1), ("cloud", 4, 1), ("cloud", 5, 2), ("shadow", 7, 2), ("snow", 9, 2), ("cirrus", 11, 2)),
    ),
    "landsat_c1_pixel_qa": Scheme(
        "Landsat Collection 1 Level 2, band pixel_qa",
        bits=(("fill", 0, 1), ("shadow", 3, 1), ("snow", 4, 1), ("cloud", 5, 1), ("cloud", 6, 2), ("cirrus", 8, 2)),
    ),
    "landsat_c2_qa_pixel": Scheme(
        "Landsat Collection 2, band QA_PIXEL",
        bits=(
            *(("fill", 0, 1), ("dilated", 1, 1), ("cirrus", 2, 1), ("cloud", 3, 1), ("shadow", 4, 1), ("snow", 5, 1)),
            *(("cloud", 8, 2), ("shadow", 10, 2), ("snow", 12, 2), ("cirrus", 14, 2)),
        ),
    ),
    "hls_fmask": Scheme(
        "HLS v2, band Fmask",
        values={0: "clear"},
        bits=(("cirrus", 0, 1), ("cloud", 1, 1), ("dilated", 2, 1), ("shadow", 3, 1), ("snow", 4, 1)),
        fill=255,
    ),
    "fmask": Scheme(
        "Fmask's own labels",
        values={0: "clear", 1: "water", 2: "shadow", 3: "snow", 4: "cloud", 255: "fill"},
    ),
    "sentinel2_scl": Scheme(
        "Sentinel-2 Level 2A, scene classification",
        values={
            **{0: "fill", 1: "saturated", 2: "dark", 3: "shadow", 4: "clear", 5: "clear", 6: "water"},
            **{7: "unclassified", 8: "cloud", 9: "cloud", 10: "cirrus", 11: "snow"},
        },
    ),
    "labels": Scheme(
        "cloud masks of this package",
        values={0: "clear", 1: "cloud", 2: "cirrus", 3: "shadow", 255: "fill"},
    ),
    "clear": Scheme("1 where clear, else 0", values={0: "cloud", 1: "clear"}),
}

_ENDINGS: tuple[tuple[str, str], ...] = (
    (r"BQA", "landsat_c1_bqa"),
    (r"QA_PIXEL", "landsat_c2_qa_pixel"),
    (r"PIXEL_QA", "landsat_c1_pixel_qa"),
    (r"FMASK", "fmask"),
    (r"SCL", "sentinel2_scl"),
    (r"CLEAR", "clear"),
    (r"CLOUD_?MASK|CLOUDS|LABELS|MASK", "labels"),
)
_FORM = re.compile(rf"(?:^|[._-])(?:{'|'.join(e for e, _ in _ENDINGS)}|QA)(?:_[126]0m)?$", re.I)
_COLLECTION = re.compile(r"_0([12])_(?:T1|T2|RT|A1|A2)(?=[_./\\]|$)")
_LANDSAT = re.compile(r"(?:^|[/\\])L[COTEM]\d", re.I)


def is_quality(name: str) -> bool:
    """Whether a band or the stem of a file is called like a quality layer."""
    return _FORM.search(name) is not None


def scheme_named(name: str) -> Scheme:
    """The scheme called ``name``; raises GeoadaptError with the nearest known name."""
    if name not in SCHEMES:
        raise GeoadaptError("mask_scheme", f"'{name}' is unknown", nearest(name, SCHEMES))
    return SCHEMES[name]


def scheme_of(name: str, product: str = "") -> str:
    """The scheme that the quality layer ``name`` (a band, or a file without its ending) of ``product`` follows.

    ``product`` is the scene's path or identifier: it tells Landsat's collections, and HLS from the classic Fmask.
    Raises GeoadaptError where the two contradict, or more than one scheme would fit.
    """
    stem = re.sub(r"_[126]0m$", "", name, flags=re.I)
    found = next((s for ending, s in _ENDINGS if re.search(rf"(?:^|[._-])(?:{ending})$", stem, re.I)), None)
    collection = _COLLECTION.search(f"{product}/{name}")
    if found == "fmask":
        return _fmask(name, product)
    if found is None:
        return _unnamed(name, collection)
    wanted = {"landsat_c1_bqa": "1", "landsat_c1_pixel_qa": "1", "landsat_c2_qa_pixel": "2"}.get(found)
    if wanted is not None and collection is not None and collection.group(1) != wanted:
        raise GeoadaptError(
            name,
            f"is called as in Landsat Collection {wanted}, but its product {product} is of Collection "
            f"{collection.group(1)}",
            "their bits differ: say mask_scheme=landsat_c1_bqa or landsat_c2_qa_pixel",
        )
    return found


def decode(
    values: NDArray[np.generic],
    scheme: str,
    *,
    nodata: float | None = None,
    confidence: int = 3,
    snow: str = "clear",
    cirrus: str = "cloudy",
    dilated: str = "cloudy",
    dark: str = "clear",
    saturated: str = "cloudy",
    unclassified: str = "clear",
) -> NDArray[np.bool_]:
    """Where a quality layer sees the ground (bool, the shape of ``values``); fill, cloud and shadow never are.

    Args:
        values: raw numbers of the layer; NaN counts as fill.
        scheme: one of ``SCHEMES``.
        nodata: a raw number that the file declares as missing.
        confidence: from which confidence on a flag of two bits counts: 3 high, 2 medium, 1 low.
        snow: ``clear`` or ``cloudy``, as all that follow.
        cirrus: thin cloud.
        dilated: the margin around clouds and shadows.
        dark: topographic or building shadow, Sentinel-2's class 2.
        saturated: saturated or defective, Sentinel-2's class 1.
        unclassified: Sentinel-2's class 7.

    Raises GeoadaptError for an unknown word, or labels that the scheme does not have.
    """
    told = dict(zip(_OPTIONS, (snow, cirrus, dilated, dark, saturated, unclassified), strict=True))
    for name, word in told.items():
        if word not in _TREATMENT:
            raise GeoadaptError(name, f"'{word}' is unknown", nearest(word, _TREATMENT))
    if confidence not in _CONFIDENCES:
        raise GeoadaptError("confidence", f"{confidence} is unknown", "choose 1 low, 2 medium or 3 high")
    table = scheme_named(scheme)
    hidden = {*_HIDDEN, *(name for name, word in told.items() if word == "cloudy")}
    missing = np.zeros(values.shape, bool)
    if values.dtype.kind == "f":
        missing = ~np.isfinite(values)
    if nodata is not None and not np.isnan(nodata) and nodata not in table.values:
        missing |= values == nodata
    numbers = np.where(missing, 0, values).astype(np.int64)
    if table.fill is not None:
        missing |= numbers == table.fill
    clear = _by_bits(numbers, table, hidden, confidence) if table.bits else _by_value(numbers, missing, scheme, hidden)
    return clear & ~missing


def _by_bits(numbers: NDArray[np.int64], table: Scheme, hidden: set[str], confidence: int) -> NDArray[np.bool_]:
    clear = np.ones(numbers.shape, bool)
    for meaning, first, count in table.bits:
        if meaning in hidden:
            flag = (numbers >> first) & ((1 << count) - 1)
            clear &= flag < (confidence if count > 1 else 1)
    return clear


def _by_value(
    numbers: NDArray[np.int64], missing: NDArray[np.bool_], scheme: str, hidden: set[str]
) -> NDArray[np.bool_]:
    table = SCHEMES[scheme]
    strange = np.setdiff1d(np.unique(numbers[~missing]), list(table.values))
    if strange.size:
        raise GeoadaptError(
            "mask",
            f"holds {strange[:8].tolist()}, which {table.about} does not have; it has {sorted(table.values)}",
            f"say which scheme it follows: mask_scheme={'|'.join(SCHEMES)}",
        )
    seen = [value for value, meaning in table.values.items() if meaning not in hidden]
    return np.isin(numbers, seen)


def _fmask(name: str, product: str) -> str:
    """HLS packs bits into a layer of the name that Fmask itself gives to its labels."""
    where = f"{product}/{name}"
    if re.search(r"HLS\.?[LS]30|hls_[ls]30", where, re.I):
        return "hls_fmask"
    if _LANDSAT.search(where):
        return "fmask"
    raise GeoadaptError(
        name,
        "may hold the bits of HLS or the labels of Fmask, and nothing in its name or product tells",
        "say mask_scheme=hls_fmask or mask_scheme=fmask",
    )


def _unnamed(name: str, collection: re.Match[str] | None) -> str:
    if not is_quality(name):
        raise GeoadaptError(name, "is no quality layer by its name", f"say mask_scheme={'|'.join(SCHEMES)}")
    told = "" if collection is None else f" (its product is of Collection {collection.group(1)})"
    raise GeoadaptError(
        name,
        f"may be Landsat's BQA of Collection 1 or QA_PIXEL of Collection 2, whose bits differ{told}",
        "say mask_scheme=landsat_c1_bqa or mask_scheme=landsat_c2_qa_pixel",
    )
