"""Bits and labels of quality layers, and which scheme a name stands for."""

from __future__ import annotations

import numpy as np
import pytest

from geoadapt.cubes.quality import SCHEMES, decode, is_quality, scheme_of
from geoadapt.errors import GeoadaptError


def clear(scheme: str, *values: float, **options: object) -> list[bool]:
    return decode(np.array(values), scheme, **options).tolist()  # type: ignore[arg-type]


# Values that the product guides print beside their meaning.
@pytest.mark.parametrize(
    ("scheme", "value", "seen"),
    [
        ("landsat_c1_bqa", 1, False),  # fill
        ("landsat_c1_bqa", 2720, True),  # clear, all confidences low
        ("landsat_c1_bqa", 2800, False),  # cloud, high confidence
        ("landsat_c1_bqa", 2976, False),  # shadow, high confidence
        ("landsat_c1_bqa", 3744, True),  # snow, high confidence
        ("landsat_c1_bqa", 6816, False),  # cirrus, high confidence
        ("landsat_c1_bqa", 2752, True),  # cloud, medium confidence
        ("landsat_c1_pixel_qa", 322, True),  # clear, low cloud, low cirrus
        ("landsat_c1_pixel_qa", 480, False),  # cloud, high confidence
        ("landsat_c1_pixel_qa", 328, False),  # shadow
        ("landsat_c2_qa_pixel", 21824, True),  # clear, lows set
        ("landsat_c2_qa_pixel", 21952, True),  # water
        ("landsat_c2_qa_pixel", 22280, False),  # cloud, high confidence
        ("landsat_c2_qa_pixel", 23888, False),  # shadow, high confidence
        ("landsat_c2_qa_pixel", 54596, False),  # cirrus, high confidence
        ("landsat_c2_qa_pixel", 30048, True),  # snow, high confidence
        ("landsat_c2_qa_pixel", 21826, False),  # dilated cloud over clear land
        ("landsat_c2_qa_pixel", 1, False),  # fill
        ("hls_fmask", 0, True),
        ("hls_fmask", 64, True),  # low aerosol
        ("hls_fmask", 32 + 128, True),  # water under moderate aerosol
        ("hls_fmask", 2, False),
        ("hls_fmask", 4, False),
        ("hls_fmask", 8, False),
        ("hls_fmask", 16, True),
        ("hls_fmask", 255, False),
    ],
)
def test_flags_say_what_the_product_guides_say(scheme: str, value: int, seen: bool) -> None:
    assert clear(scheme, value) == [seen]


def test_labels_of_every_scheme() -> None:
    assert clear("fmask", 0, 1, 2, 3, 4, 255) == [True, True, False, True, False, False]
    assert clear("labels", 0, 1, 2, 3, 255) == [True, False, False, False, False]
    found = dict(enumerate(clear("sentinel2_scl", *range(12))))
    assert [value for value, seen in found.items() if seen] == [2, 4, 5, 6, 7, 11]
    assert clear("clear", 0, 1) == [False, True]


@pytest.mark.parametrize(
    ("scheme", "value", "option"),
    [
        ("landsat_c1_bqa", 3744, "snow"),
        ("landsat_c2_qa_pixel", 30048, "snow"),
        ("hls_fmask", 16, "snow"),
        ("fmask", 3, "snow"),
        ("sentinel2_scl", 11, "snow"),
        ("sentinel2_scl", 10, "cirrus"),
        ("landsat_c2_qa_pixel", 54596, "cirrus"),
        ("labels", 2, "cirrus"),
        ("landsat_c2_qa_pixel", 21826, "dilated"),
        ("hls_fmask", 4, "dilated"),
        ("sentinel2_scl", 2, "dark"),
        ("sentinel2_scl", 1, "saturated"),
        ("sentinel2_scl", 7, "unclassified"),
    ],
)
def test_what_counts_as_cloudy_can_be_chosen(scheme: str, value: int, option: str) -> None:
    assert clear(scheme, value, **{option: "clear"}) == [True]
    assert clear(scheme, value, **{option: "cloudy"}) == [False]


def test_a_lower_confidence_may_count() -> None:
    assert clear("landsat_c1_bqa", 2752, confidence=2) == [False]
    assert clear("landsat_c1_bqa", 2720, confidence=2) == [True]


def test_missing_numbers_are_not_clear_but_a_label_is_one_even_where_it_is_declared_as_missing() -> None:
    assert clear("fmask", 0.0, np.nan, -9999, nodata=-9999) == [True, False, False]
    assert clear("fmask", 0, 1, nodata=0) == [True, True]
    assert clear("hls_fmask", 0, 64, nodata=0) == [True, True]
    assert clear("landsat_c2_qa_pixel", 0, 21824, nodata=0) == [False, True]


def test_labels_of_another_scheme_are_refused() -> None:
    with pytest.raises(GeoadaptError, match=r"holds \[21824\], which Fmask's own labels does not have"):
        clear("fmask", 0, 21824)


@pytest.mark.parametrize("confidence", [0, 4])
def test_a_confidence_that_no_flag_has_is_refused(confidence: int) -> None:
    with pytest.raises(GeoadaptError, match="confidence: .* choose 1 low"):
        decode(np.zeros(1, np.uint16), "landsat_c2_qa_pixel", confidence=confidence)


def test_words_that_are_none_are_refused() -> None:
    with pytest.raises(GeoadaptError, match="snow: 'white' is unknown"):
        clear("fmask", 0, snow="white")
    with pytest.raises(GeoadaptError, match="did you mean 'sentinel2_scl'"):
        clear("sentinel_scl", 0)


@pytest.mark.parametrize(
    ("name", "product", "scheme"),
    [
        ("LC08_L1TP_014031_20180106_BQA", "LC08_L1TP_014031_20180106_20180119_01_T1", "landsat_c1_bqa"),
        ("LC08_L1TP_014031_20180106_20180119_01_T1_BQA", "", "landsat_c1_bqa"),
        ("LC08_L2SP_014031_20180106_20200902_02_T1_QA_PIXEL", "", "landsat_c2_qa_pixel"),
        ("qa_pixel", "landsat-c2l2-sr", "landsat_c2_qa_pixel"),
        ("LC08_L1TP_014031_20180106_20180119_01_T1_pixel_qa", "", "landsat_c1_pixel_qa"),
        ("HLS.L30.T18TYN.2022004T154109.v2.0.Fmask", "", "hls_fmask"),
        ("Fmask", "HLS.S30.T18TYN.2022004T154109.v2.0", "hls_fmask"),
        ("fmask", "images/LT50350322000296XXX02/LT50350322000296XXX02_stack.gtif", "fmask"),
        ("T31UFS_20230714T105629_SCL_20m", "", "sentinel2_scl"),
        ("scl", "", "sentinel2_scl"),
        ("scene_20220601_mask", "", "labels"),
        ("scene_20220601_clear", "", "clear"),
    ],
)
def test_names_tell_schemes(name: str, product: str, scheme: str) -> None:
    assert is_quality(name)
    assert scheme_of(name, product) == scheme
    assert scheme in SCHEMES


@pytest.mark.parametrize(
    ("name", "product", "words"),
    [
        ("LC08_L1TP_014031_20180106_BQA", "LC08_L1TP_014031_20180106_20200902_02_T1", "Collection 1.*Collection 2"),
        (
            "LC08_L1TP_014031_20180106_QA_PIXEL",
            "LC08_L1TP_014031_20180106_20180119_01_T1",
            "Collection 2.*Collection 1",
        ),
        ("LC08_L1TP_014031_20180106_QA", "", "may be Landsat's BQA of Collection 1 or QA_PIXEL of Collection 2"),
        ("tile7_Fmask", "", "bits of HLS or the labels of Fmask"),
        ("B04", "", "no quality layer by its name"),
    ],
)
def test_names_that_contradict_or_leave_a_choice_are_errors(name: str, product: str, words: str) -> None:
    with pytest.raises(GeoadaptError, match=words):
        scheme_of(name, product)


@pytest.mark.parametrize("name", ["B4", "LC08_B10", "mir", "unmasked", "T31UFS_20230714T105629_AOT_10m", "aqua"])
def test_bands_are_no_quality_layers(name: str) -> None:
    assert not is_quality(name)
