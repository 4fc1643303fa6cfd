from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from hypothesis import given
from hypothesis import strategies as st

from geoadapt.backbones.vit_layers import Block, Windows, patches, resize_kernel, square_positions


@given(h=st.integers(1, 23), w=st.integers(1, 23), window=st.integers(0, 9), scale=st.integers(1, 3))
def test_windows_cover_a_grid_once_and_join_to_it_again(h: int, w: int, window: int, scale: int) -> None:
    windows = Windows(h, w, window)
    grid = torch.arange(2 * 3 * h * w, dtype=torch.float32).reshape(2, 3, h, w) + 1
    cut = windows.cut(grid)
    assert torch.equal(windows.join(cut), grid)
    assert (cut != 0).sum() == grid.numel()
    assert not window or max(windows.side_h, windows.side_w) <= window
    fine = grid.repeat_interleave(scale, -1).repeat_interleave(scale, -2)
    assert torch.equal(windows.cut(fine, scale)[..., ::scale, ::scale], cut)


def test_patches_are_what_a_convolution_of_that_stride_sees() -> None:
    image, weight = torch.randn(2, 3, 12, 8), torch.randn(5, 3, 4, 4)
    wanted = F.conv2d(image, weight, stride=4)
    got = F.linear(patches(image, 4), weight.flatten(1)).movedim(-1, 1)
    torch.testing.assert_close(got, wanted, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("patch", [2, 4, 6])
def test_a_kernel_spread_over_the_stored_size_resizes_to_what_it_was(patch: int) -> None:
    units = torch.eye(64).reshape(64, 1, 8, 8)
    down = F.interpolate(units, size=(patch, patch), mode="bicubic", antialias=True).flatten(1)
    small = torch.randn(4, 1, patch * patch)
    stored = (small @ down.T).reshape(4, 1, 8, 8)
    torch.testing.assert_close(resize_kernel(stored, patch).flatten(2), small, atol=1e-4, rtol=1e-4)
    assert torch.equal(resize_kernel(stored, 8), stored)


def test_resizing_a_kernel_lets_gradients_through() -> None:
    weight = torch.randn(2, 1, 8, 8, requires_grad=True)
    resize_kernel(weight, 3).sum().backward()
    assert weight.grad is not None and weight.grad.abs().sum() > 0


def test_resized_kernels_can_be_trained_after_a_first_use_in_inference_mode() -> None:
    with torch.inference_mode():
        resize_kernel(torch.randn(1, 1, 8, 8), 7)
    weight = torch.randn(1, 1, 8, 8, requires_grad=True)
    resize_kernel(weight, 7).sum().backward()
    assert weight.grad is not None


def test_positions_tell_the_column_first() -> None:
    table = square_positions(2, 3, 32, 1.0)
    assert torch.equal(table[0, 2, :16], table[1, 2, :16])
    assert torch.equal(table[1, 0, 16:], table[1, 2, 16:])
    assert not torch.equal(table[0, 0], table[0, 1])


def test_keys_that_may_not_be_looked_at_change_nothing() -> None:
    block = Block(16, 2).eval()
    x = torch.randn(1, 5, 16)
    keys = torch.tensor([[True, True, True, False, False]])
    other = x.clone()
    other[:, 3:] = 9.0
    assert torch.equal(block(x, keys=keys)[:, :3], block(other, keys=keys)[:, :3])
    torch.testing.assert_close(block(x, keys=keys)[:, :3], block(x[:, :3]))


def test_dropped_paths_are_for_training_only_and_keep_the_mean() -> None:
    torch.manual_seed(0)
    block = Block(16, 2, drop_path=0.5)
    x = torch.randn(1, 4, 16).expand(4000, -1, -1)
    assert torch.equal(block.eval()(x[:2]), block(x[:2]))
    branch = torch.ones(4000, 1, 1)
    assert block.train()._dropped(branch).mean() == pytest.approx(1.0, abs=0.05)
