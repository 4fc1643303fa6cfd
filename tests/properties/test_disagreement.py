"""The streamed instability is what a direct computation over all tiles gives, whatever the sizes."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor

from geoadapt.inference.base import Finished, StreamOptions
from geoadapt.inference.disagreement import pair_weights
from geoadapt.inference.doubt import DoubtProduct, TileDoubts, doubt, instability
from geoadapt.inference.forward import fill_missing
from geoadapt.inference.stream import stream
from geoadapt.io.arrays import ArraySource
from geoadapt.io.windows import TileGrid, ramp, starts

CLASSES = 3
Floats = NDArray[np.float64]


def model(values: Tensor, valid: Tensor | None = None) -> Tensor:
    """Probabilities that depend on the pixel, on the tile's mean, and on where in the tile the pixel lies."""
    place = torch.linspace(-1, 1, values.shape[-1]) + torch.linspace(0, 2, values.shape[-2])[:, None]
    first, mean = values[:, 0], values.mean(dim=(1, 2, 3))[:, None, None]
    return torch.stack([9 * first - 3, place * first * 4, 6 * mean + place], dim=1).softmax(dim=1)


class Kept:
    """Keeps what is streamed, as planes."""

    needs_disagreement = True

    def __init__(self) -> None:
        self.doubts: list[Floats] = []
        self.instabilities: list[Floats] = []

    def put(self, rows: Finished) -> None:
        self.doubts.append(doubt(rows))
        self.instabilities.append(instability(rows))

    def finish(self) -> None:
        pass


def streamed(image: NDArray[np.float32], tile: int, overlap: int) -> tuple[Floats, Floats, TileDoubts]:
    kept, tiles = Kept(), TileDoubts(*image.shape[1:], tile)
    stream(ArraySource(image, ["a", "b"]), model, [kept, tiles], StreamOptions(CLASSES, tile, overlap, 2))
    return np.concatenate(kept.doubts), np.concatenate(kept.instabilities), tiles


def directly(image: NDArray[np.float32], tile: int, overlap: int) -> tuple[Floats, Floats]:
    """Doubt and instability of every pixel from all tiles at once, pair by pair."""
    grid = TileGrid(*image.shape[1:], tile, overlap)
    missing = ~np.isfinite(image)
    weights, said = [], []
    for window in grid.windows():
        part = np.s_[window.row : window.row + window.height, window.col : window.col + window.width]
        cut = np.where(missing, 0, image)[(slice(None), *part)].copy()
        fill_missing(cut, ~missing[(slice(None), *part)])
        weight, scores = np.zeros(image.shape[1:]), np.zeros((CLASSES, *image.shape[1:]))
        weight[part] = grid.weights()
        scores[(slice(None), *part)] = model(torch.from_numpy(cut)[None])[0].numpy()
        weights.append(weight)
        said.append(scores)
    mean = sum(w * p for w, p in zip(weights, said, strict=True)) / sum(weights)
    above, below = np.zeros(image.shape[1:]), np.zeros(image.shape[1:])
    for i, j in combinations(range(len(said)), 2):
        both = weights[i] * weights[j]
        above += both * ((said[i] - said[j]) ** 2).sum(axis=0) / 2
        below += both
    with np.errstate(invalid="ignore"):
        apart = np.where(below > 0, np.sqrt(above / below), np.nan)
    gone = missing.any(axis=0)
    return np.where(gone, np.nan, 1 - mean.max(axis=0)), np.where(gone, np.nan, apart)


@st.composite
def cases(draw: st.DrawFn) -> tuple[NDArray[np.float32], int, int]:
    tile = draw(st.integers(4, 24))
    height, width = draw(st.integers(1, 60)), draw(st.integers(1, 60))
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    image = rng.random((2, height, width), np.float32)
    if draw(st.booleans()):
        image[:, rng.random((height, width)) < 0.2] = np.nan
        image[:, : height // 2, width // 3 :] = np.nan
    return image, tile, draw(st.integers(0, tile - 1))


@settings(max_examples=60)
@given(case=cases())
def test_streamed_doubts_equal_those_of_all_tiles_at_once(case: tuple[NDArray[np.float32], int, int]) -> None:
    doubts, instabilities, _ = streamed(*case)
    expected_doubts, expected = directly(*case)
    np.testing.assert_array_equal(np.isnan(instabilities), np.isnan(expected), "unknown in other places")
    np.testing.assert_allclose(doubts, expected_doubts, atol=2e-6)
    np.testing.assert_allclose(instabilities, expected, atol=2e-5)


@settings(max_examples=40)
@given(case=cases())
def test_tile_means_equal_those_of_the_whole_planes(case: tuple[NDArray[np.float32], int, int]) -> None:
    image, tile, _ = case
    doubts, instabilities, tiles = streamed(*case)
    for score in tiles.scores():
        part = np.s_[score.row : score.row + score.height, score.col : score.col + score.width]
        valid, known = ~np.isnan(doubts[part]), ~np.isnan(instabilities[part])
        assert score.valid == pytest.approx(valid.mean())
        assert score.known == pytest.approx(known.sum() / max(valid.sum(), 1))
        assert score.doubt == pytest.approx(
            doubts[part][valid].mean() if valid.any() else np.nan, nan_ok=True, abs=1e-6
        )
        mean = instabilities[part][known].mean() if known.any() else np.nan
        assert score.instability == pytest.approx(mean, nan_ok=True, abs=1e-6)
        assert known.any() or np.isnan(score.score) == np.isnan(score.doubt)
    assert sum(s.height * s.width for s in tiles.scores()) == image.shape[1] * image.shape[2]


@given(length=st.integers(1, 200), tile=st.integers(1, 60), data=st.data())
def test_pair_weights_are_zero_exactly_where_one_tile_lies(length: int, tile: int, data: st.DataObject) -> None:
    overlap = data.draw(st.integers(0, tile - 1))
    size = min(tile, length)
    count, total, squares = np.zeros(length), np.zeros(length), np.zeros(length)
    for start in starts(length, tile, overlap):
        part = slice(start, start + size)
        count[part] += 1
        total[part] += ramp(size, overlap)
        squares[part] += ramp(size, overlap) ** 2
    found = pair_weights(length, tile, overlap)
    np.testing.assert_array_equal(found > 0, count > 1)
    np.testing.assert_allclose(found, total**2 - squares, atol=1e-4)


@pytest.mark.parametrize("wanted", [False, True])
def test_the_second_moment_is_kept_only_for_products_that_ask(wanted: bool) -> None:
    seen: list[Finished] = []

    class Looks(Kept):
        needs_disagreement = wanted

        def put(self, rows: Finished) -> None:
            seen.append(rows)

    image = np.random.default_rng(0).random((2, 40, 30), np.float32)
    stream(ArraySource(image, ["a", "b"]), model, [Looks()], StreamOptions(CLASSES, 16, 8, 2))
    for rows in seen:
        assert rows.sums is not None
        assert (rows.spread is not None) == wanted
        assert rows.sums.untyped_storage().nbytes() == (CLASSES + wanted) * 16 * 30 * 4


def test_a_blend_is_the_same_to_the_bit_with_and_without() -> None:
    image = np.random.default_rng(0).random((2, 70, 45), np.float32)
    options = StreamOptions(CLASSES, 16, 6, 2)
    sums: dict[bool, list[Tensor]] = {False: [], True: []}
    for wanted, found in sums.items():

        class Looks(Kept):
            needs_disagreement = wanted

            def put(self, rows: Finished, found: list[Tensor] = found) -> None:
                assert rows.sums is not None
                found.append(rows.sums.clone())

        stream(ArraySource(image, ["a", "b"]), model, [Looks()], options)
    assert all(torch.equal(a, b) for a, b in zip(*sums.values(), strict=True))


def test_confidence_alone_asks_for_nothing_more() -> None:
    from geoadapt.inference.doubt import both
    from geoadapt.io.memory import MemorySink

    asked = [DoubtProduct(MemorySink(1, 1), measure).needs_disagreement for measure in (doubt, instability, both)]
    assert asked == [False, True, True]
