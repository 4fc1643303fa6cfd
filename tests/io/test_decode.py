from __future__ import annotations

import numpy as np
import pytest

from geoadapt.errors import GeoadaptError
from geoadapt.io.base import SourceInfo
from geoadapt.io.decode import decode


def info(dtype: str, **more: object) -> SourceInfo:
    return SourceInfo("x.tif", 1, 3, ("a", "b"), np.dtype(dtype), **more)  # type: ignore[arg-type]


def test_scale_and_offset_are_applied_per_band_and_missing_is_zero_and_masked() -> None:
    raw = np.array([[[0, 1000, 2000]], [[1000, 0, 65535]]], np.uint16)
    values, valid = decode(raw, info("uint16", nodata=0, scale=(1e-4, 1e-4), offset=(-0.1, 0.0)))
    np.testing.assert_allclose(values, [[[0, 0, 0.1]], [[0.1, 0, 6.5535]]], atol=1e-6)
    np.testing.assert_array_equal(valid, raw != 0)


def test_chosen_bands_take_their_own_scale() -> None:
    values, valid = decode(np.full((1, 1, 3), 7, np.int16), info("int16", scale=(1, 2), offset=(0, 1)), bands=[1])
    assert valid is None
    np.testing.assert_array_equal(values, 15)


@pytest.mark.parametrize("nodata", [None, float("nan"), -9999, 0.5])
def test_integers_without_a_possible_nodata_are_all_valid(nodata: float | None) -> None:
    assert decode(np.zeros((2, 1, 3), np.uint8), info("uint8", nodata=nodata))[1] is None


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_nan_infinity_and_the_declared_value_are_missing_in_floats(dtype: str) -> None:
    lowest = float(np.finfo(np.float32).min)
    raw = np.array([[[np.nan, 1, np.inf]], [[lowest, 2, 3]]], dtype)
    values, valid = decode(raw, info(dtype, nodata=lowest))
    np.testing.assert_array_equal(valid, [[[False, True, False]], [[False, True, True]]])
    np.testing.assert_array_equal(values, [[[0, 1, 0]], [[0, 2, 3]]])


def test_a_number_too_large_for_float32_is_missing_and_not_infinite() -> None:
    values, valid = decode(np.array([[[1e300, 1, 2]]]), info("float64"), bands=[0])
    assert valid is not None and not valid[0, 0, 0]
    assert np.isfinite(values).all()


def test_values_go_into_the_given_array() -> None:
    out = np.ones((2, 5, 3), np.float32)
    decode(np.full((2, 1, 3), 9, np.uint8), info("uint8"), out=out[:, 2:3])
    assert (out[:, 2] == 9).all() and (out[:, [0, 1, 3, 4]] == 1).all()


def test_complex_numbers_are_an_error() -> None:
    with pytest.raises(GeoadaptError, match="complex"):
        decode(np.zeros((2, 1, 3), np.complex64), info("complex64"))
