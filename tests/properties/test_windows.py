from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geoadapt.errors import GeoadaptError
from geoadapt.io.windows import TileGrid, blocks, norm, ramp


@st.composite
def grids(draw: st.DrawFn) -> TileGrid:
    tile = draw(st.integers(1, 256))
    return TileGrid(draw(st.integers(1, 500)), draw(st.integers(1, 500)), tile, draw(st.integers(0, tile - 1)))


@settings(max_examples=60)
@given(grid=grids())
def test_tiles_lie_inside_and_cover_every_row_and_column(grid: TileGrid) -> None:
    for starts, size, length in (
        (grid.rows(), grid.tile_height, grid.height),
        (grid.cols(), grid.tile_width, grid.width),
    ):
        covered = np.zeros(length, bool)
        for start in starts:
            assert start >= 0 and start + size <= length
            covered[start : start + size] = True
        assert covered.all()
        assert starts == sorted(set(starts))


@settings(max_examples=60)
@given(grid=grids())
def test_normalised_weights_of_all_tiles_sum_to_one(grid: TileGrid) -> None:
    rows, cols = grid.norms()
    for starts, total, size in ((grid.rows(), rows, grid.tile_height), (grid.cols(), cols, grid.tile_width)):
        share = np.zeros(len(total))
        for start in starts:
            weight = ramp(size, grid.overlap)
            assert (weight > 0).all()
            share[start : start + size] += weight / total[start : start + size]
        np.testing.assert_allclose(share, 1, atol=1e-5)


@settings(max_examples=25)
@given(
    height=st.integers(1, 70),
    width=st.integers(1, 70),
    tile=st.integers(1, 40),
    data=st.data(),
)
def test_cutting_into_tiles_and_blending_back_gives_the_image(
    height: int, width: int, tile: int, data: st.DataObject
) -> None:
    grid = TileGrid(height, width, tile, data.draw(st.integers(0, tile - 1)))
    image = np.random.default_rng(0).random((height, width), np.float32)
    total = np.zeros_like(image)
    for window in grid.windows():
        part = np.s_[window.row : window.row + window.height, window.col : window.col + window.width]
        total[part] += image[part] * grid.weights()
    np.testing.assert_allclose(total / np.outer(*grid.norms()), image, rtol=1e-5)


@given(length=st.integers(1, 300), tile=st.integers(1, 100))
def test_without_overlap_and_when_they_fit_all_pixels_weigh_one(length: int, tile: int) -> None:
    fitting = max(1, length // tile) * tile
    np.testing.assert_array_equal(norm(fitting, tile, 0), 1)


@given(height=st.integers(1, 90), width=st.integers(1, 90), size=st.integers(1, 40))
def test_blocks_cover_every_pixel_once(height: int, width: int, size: int) -> None:
    seen = np.zeros((height, width), int)
    for w in blocks(height, width, size):
        seen[w.row : w.row + w.height, w.col : w.col + w.width] += 1
    assert (seen == 1).all()


@pytest.mark.parametrize(("tile", "overlap"), [(0, 0), (-3, 0), (8, 8), (8, 9), (8, -1)])
def test_an_impossible_grid_is_an_error(tile: int, overlap: int) -> None:
    with pytest.raises(GeoadaptError, match="tile"):
        TileGrid(10, 10, tile, overlap)
