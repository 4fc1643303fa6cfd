import torch
from hypothesis import given
from hypothesis import strategies as st

from geoadapt.backbones.config import SmallEoConfig
from geoadapt.backbones.create import create_backbone
from geoadapt.backbones.squares import Squares
from geoadapt.model import image_batch

CHANNELS = ("blue", "green", "red", "nir", "swir16", "swir22")


@given(st.integers(1, 9), st.integers(1, 9), st.integers(0, 5), st.sampled_from([1, 2, 4]))
def test_maps_of_the_squares_join_to_the_map_of_the_image(rows: int, cols: int, side: int, stride: int) -> None:
    image = torch.rand(2, 3, rows * stride, cols * stride)
    cut = Squares.of(image.shape[-2:], side * stride)
    parts = cut.take(image)
    assert parts.shape[-2] <= (side or rows) * stride and len(parts) == 2 * len(cut.rows) * len(cut.cols)
    assert torch.equal(cut.join(parts[..., ::stride, ::stride], stride), image[..., ::stride, ::stride])


def test_what_is_told_of_an_image_is_told_of_each_of_its_squares() -> None:
    cut = Squares.of((8, 6), 4)
    told = cut.repeat(torch.tensor([[1.0, 2.0], [3.0, 4.0]]))
    assert told is not None and told[:, 0].tolist() == [1.0] * 4 + [3.0] * 4
    assert cut.repeat(None) is None


def test_a_square_of_a_large_image_is_encoded_as_if_it_were_the_whole() -> None:
    config = SmallEoConfig()
    model = create_backbone("small_eo", random_weights=True, width=32, depth=2, heads=2)
    side = 8 * config.window
    image = torch.rand(1, 6, 2 * side, side + 16)
    whole = model(image_batch(image, None, CHANNELS)).maps[-1]
    alone = model(image_batch(image[..., side:, :side], None, CHANNELS)).maps[-1]
    assert whole.shape == (1, 1, 32, 16, 10)
    torch.testing.assert_close(whole[..., 8:, :2], alone[..., :2], atol=1e-5, rtol=1e-4)
