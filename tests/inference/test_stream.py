from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from geoadapt.cubes.classes import CLOUD_CLASSES
from geoadapt.errors import GeoadaptError
from geoadapt.inference.base import StreamOptions
from geoadapt.inference.forward import fill_missing
from geoadapt.inference.products import CloudBuffer, LabelProduct, ProbabilityProduct, argmax
from geoadapt.inference.stream import stream
from geoadapt.io.raster import RasterSource
from tests.inference.fakes import CountingSource, FakeBundle, MemorySink, expected_labels


def bundle_scores(bundle: FakeBundle):
    return lambda values, valid: bundle.scores(values, valid, time=None, resolution=None)


def image(height: int, width: int, seed: int = 0) -> NDArray[np.float32]:
    return np.random.default_rng(seed).uniform(0, 0.7, (3, height, width)).astype(np.float32)


def run(array: NDArray[np.float32], *, tile: int = 32, overlap: int = 8, multiple: int = 4, bundle=None):
    bundle = bundle or FakeBundle()
    source, sink = CountingSource(array), MemorySink(1, *array.shape[1:])
    labels = LabelProduct(sink, CLOUD_CLASSES)
    counts = stream(source, bundle_scores(bundle), [labels], StreamOptions(4, tile, overlap, 3, multiple))
    return sink, counts, source, bundle


@pytest.mark.parametrize(
    "size", [(100, 100), (209, 33), (33, 209), (1, 50), (50, 1), (1, 1), (32, 32), (7, 5), (64, 90)]
)
@pytest.mark.parametrize("overlap", [0, 8, 20])
def test_a_pointwise_model_gives_the_same_labels_as_on_the_whole_image(size: tuple[int, int], overlap: int) -> None:
    array = image(*size)
    sink, counts, source, _ = run(array, overlap=overlap)
    np.testing.assert_array_equal(sink.values[0], expected_labels(array))
    assert (sink.times == 1).all()
    assert counts.pixels == size[0] * size[1]
    assert sum(w.height for w in source.windows) == size[0], "every row must be read exactly once"


def test_tiles_reach_the_model_in_multiples_of_what_it_takes() -> None:
    _, _, _, bundle = run(image(50, 33), tile=30, multiple=8)
    assert {shape[-2:] for shape in bundle.calls} == {(32, 32)}


def test_one_nan_pixel_changes_only_itself() -> None:
    array = image(80, 90)
    array[1, 40, 50] = np.nan
    sink, counts, _, _ = run(array)
    clean = expected_labels(image(80, 90))
    assert sink.values[0, 40, 50] == 255
    assert (sink.values[0] != clean).sum() == 1
    assert counts.missing_pixels == 1


def test_infinite_values_are_missing_too() -> None:
    array = image(40, 40)
    array[0, 3, 4] = np.inf
    assert run(array)[0].values[0, 3, 4] == 255


def test_empty_tiles_cost_no_forward_pass() -> None:
    array = image(128, 128)
    array[:, :, 40:] = np.nan
    sink, counts, _, bundle = run(array, tile=32, overlap=0)
    assert sum(shape[0] for shape in bundle.calls) == 8
    assert (counts.tiles, counts.empty_tiles) == (16, 8)
    np.testing.assert_array_equal(sink.values[0], expected_labels(array))


def test_a_scene_without_a_valid_pixel_is_all_nodata_and_runs_nothing() -> None:
    sink, counts, _, bundle = run(np.full((3, 70, 40), np.nan, np.float32))
    assert bundle.calls == []
    assert (sink.values == 255).all()
    assert counts.missing_pixels == 70 * 40


def test_probabilities_are_the_blend_of_the_models_own() -> None:
    array = image(70, 45)
    sink = MemorySink(4, 70, 45)
    scores = bundle_scores(FakeBundle())
    stream(CountingSource(array), scores, [ProbabilityProduct(sink)], StreamOptions(4, 32, 8, 2, 4))
    whole = scores(torch.from_numpy(array)[None], None)[0].numpy()
    np.testing.assert_allclose(sink.values / 250, whole, atol=0.0021)


def test_a_threshold_decides_for_cloud_by_its_probability() -> None:
    array = image(40, 40)
    sink = MemorySink(1, 40, 40)
    product = LabelProduct(sink, CLOUD_CLASSES, threshold=0.3)
    scores = bundle_scores(FakeBundle())
    stream(CountingSource(array), scores, [product], StreamOptions(4, 32, 8, 2, 4))
    cloud = scores(torch.from_numpy(array)[None], None)[0, 1].numpy()
    sure = np.abs(cloud - 0.3) > 1e-5
    np.testing.assert_array_equal((sink.values[0] == 1)[sure], (cloud >= 0.3)[sure])


@pytest.mark.parametrize(("thin", "target"), [("cloud", 1), ("clear", 0)])
def test_thin_cloud_can_be_counted_with_cloud_or_clear(thin: str, target: int) -> None:
    array = image(40, 40)
    sink = MemorySink(1, 40, 40)
    scores = bundle_scores(FakeBundle())
    product = LabelProduct(sink, CLOUD_CLASSES, thin=thin)
    stream(CountingSource(array), scores, [product], StreamOptions(4, 32, 8, 2, 4))
    together = scores(torch.from_numpy(array)[None], None)[0].numpy().copy()
    together[target] += together[2]
    together[2] = -1
    ordered = np.sort(together, axis=0)
    sure = ordered[-1] - ordered[-2] > 1e-5
    np.testing.assert_array_equal(sink.values[0][sure], together.argmax(0)[sure])
    assert not (sink.values == 2).any()


def test_a_model_that_gives_the_wrong_shape_is_an_error_with_both_shapes() -> None:
    with pytest.raises(GeoadaptError, match=r"gave scores of shape \(1, 2, 32, 32\).*expected \(1, 4, 32, 32\)"):
        stream(CountingSource(image(32, 32)), lambda v, m: v[:, :2], [], StreamOptions(4, 32, 8, 2))


def test_nan_scores_are_an_error_and_no_label() -> None:
    product = LabelProduct(MemorySink(1, 32, 32), CLOUD_CLASSES)
    with pytest.raises(GeoadaptError, match="not numbers"):
        stream(
            CountingSource(image(32, 32)),
            lambda v, m: torch.full((len(v), 4, 32, 32), float("nan")),
            [product],
            StreamOptions(4, 32, 8, 2),
        )


def test_argmax_is_numpys_with_ties_to_the_first() -> None:
    scores = np.random.default_rng(0).integers(0, 3, (5, 130, 17)).astype(np.float32)
    np.testing.assert_array_equal(argmax(scores), scores.argmax(0))


@pytest.mark.parametrize("step", [1, 5, 64])
def test_the_cloud_buffer_does_not_depend_on_how_the_rows_arrive(step: int) -> None:
    labels = (np.random.default_rng(1).random((50, 40)) > 0.99).astype(np.uint8)
    labels[20, 20:25] = 3
    rows, columns = np.mgrid[0:50, 0:40]
    clouds = np.argwhere(labels == 1)
    near = (((rows[..., None] - clouds[:, 0]) ** 2 + (columns[..., None] - clouds[:, 1]) ** 2) <= 16).any(-1)
    expected = np.where(near & (labels == 0), 1, labels)
    got: list[NDArray[np.uint8]] = []
    buffer = CloudBuffer(4, 1, 0, lambda row, part: got.append(part.copy()))
    for top in range(0, 50, step):
        buffer.put(top, labels[top : top + step])
    buffer.finish()
    np.testing.assert_array_equal(np.concatenate(got), expected)


def test_missing_pixels_get_the_mean_of_the_valid_ones() -> None:
    values = np.array([[[1, 3, 0]], [[0, 0, 0]]], np.float32)
    fill_missing(values, np.array([[[True, True, False]], [[False] * 3]]))
    np.testing.assert_array_equal(values, [[[1, 3, 2]], [[0, 0, 0]]])


def test_a_real_image_streams_to_the_whole_array_result(data_dir: Path) -> None:
    """7316 × 4963 px through a pointwise model whose scores are whole numbers, so that equal means equal."""
    torch.set_num_threads(1)
    source = RasterSource(data_dir / "geotiff" / "201609281750_FINUTM.tif")
    raw = source.dataset.read(1).astype(np.float32)
    weights = [(0.0, 90.0), (1.0, 20.0), (2.0, -70.0), (-1.0, 140.0)]

    def scores(values: Tensor, valid: Tensor | None) -> Tensor:
        return torch.cat([values * a + b for a, b in weights], dim=1)

    sink = MemorySink(1, *raw.shape)
    stream(source, scores, [LabelProduct(sink, CLOUD_CLASSES)], StreamOptions(4))
    expected = np.stack([raw * np.float32(a) + np.float32(b) for a, b in weights]).argmax(0)
    assert len(np.unique(expected)) >= 3
    np.testing.assert_array_equal(sink.values[0], expected)
