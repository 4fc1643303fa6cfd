from dataclasses import replace

import numpy as np
import pytest

from geoadapt.fields.augment import Augmentation, resample
from geoadapt.fields.chips import BlockChips, Collate, FromStep, RandomChips, hide_edges, read_sample
from geoadapt.fields.config import CsmaskConfig
from geoadapt.fields.csmask import build as build_csmask
from geoadapt.fields.scenes import LabelledScene, MappedLabels, split_blocks
from geoadapt.fields.survey import survey
from geoadapt.io.arrays import ArraySource
from geoadapt.io.base import Window
from tests.training.small import dataset


def test_sample_i_depends_on_the_seed_and_i_alone():
    data = dataset()
    first = RandomChips(data, 32, 50, seed=4, augmentation=Augmentation())
    second = RandomChips(data, 32, 50, seed=4, augmentation=Augmentation())
    _ = [second[i] for i in range(10)]
    for index in (0, 7, 31):
        assert np.array_equal(first[index].values, second[index].values)
        assert np.array_equal(first[index].label, second[index].label)
    assert not np.array_equal(first[0].values, RandomChips(data, 32, 50, seed=5)[0].values)


def test_a_resumed_sampler_goes_on_where_it_stopped():
    assert list(FromStep(10, 6)) == list(FromStep(10))[6:]


def test_training_chips_never_show_a_label_of_a_validation_block():
    data = dataset()
    chips = RandomChips(data, 48, 40, seed=0)
    for index in range(40):
        sample = chips[index]
        window = Window(sample.where.row, sample.where.col, 48, 48)
        hidden = data.val_blocks[sample.where.scene].pixels(window)
        assert (sample.label[hidden] == 255).all()
        assert (sample.label[~hidden] != 255).any()


def test_validation_chips_ask_for_every_pixel_of_their_blocks_exactly_once():
    data = dataset()
    chips = BlockChips(data, dict(data.val_blocks), 32)
    asked = {scene.name: np.zeros(scene.shape, int) for scene in data.train}
    for sample in (chips[i] for i in range(len(chips))):
        rows, cols = np.nonzero(sample.label != 255)
        np.add.at(asked[sample.where.scene], (rows + sample.where.row, cols + sample.where.col), 1)
    for scene in data.train:
        wanted = data.val_blocks[scene.name].pixels(Window(0, 0, *scene.shape))
        assert np.array_equal(asked[scene.name], wanted.astype(int))


def test_a_chip_larger_than_the_scene_is_padded_and_the_padding_is_invalid():
    data = dataset(height=40, width=24)
    sample = read_sample(data.train[0], Window(0, 0, 48, 48), data.channels, None)
    assert sample.values.shape == (6, 48, 48)
    assert not sample.valid[:, 40:].any() and not sample.valid[:, :, 24:].any()
    assert (sample.label[40:] == 255).all() and (sample.label[:, 24:] == 255).all()


def test_missing_pixels_are_zero_invalid_and_unlabelled():
    data = dataset(hole=True)
    sample = read_sample(data.train[0], Window(0, 0, 16, 16), data.channels, None)
    assert np.isfinite(sample.values).all()
    assert not sample.valid[:, 3, 4].any() and sample.label[3, 4] == 255
    assert sample.valid[:, 3, 5].all() and sample.label[3, 5] != 255


def test_augmentation_moves_image_and_labels_together():
    data = dataset()
    plain = RandomChips(data, 32, 8, seed=1)
    turned = RandomChips(data, 32, 8, seed=1, augmentation=Augmentation(zoom=1, gain=0, offset=0, band_dropout=0))
    for index in range(8):
        brightness, label = turned[index].values.sum(0), turned[index].label
        known = label != 255
        pairs = {(round(float(v), 4), int(c)) for v, c in zip(brightness[known], label[known], strict=True)}
        before, truth = plain[index].values.sum(0), plain[index].label
        assert pairs == {
            (round(float(v), 4), int(c)) for v, c in zip(before[truth != 255], truth[truth != 255], strict=True)
        }


def test_a_dropped_band_is_invalid_everywhere():
    data = dataset()
    chips = RandomChips(data, 16, 20, seed=0, augmentation=Augmentation(band_dropout=1.0))
    for index in range(20):
        lost = [band for band in range(6) if not chips[index].valid[band].any()]
        assert len(lost) == 1 and (chips[index].values[lost[0]] == 0).all()


def test_a_batch_has_the_fixed_axis_order():
    data = dataset()
    chips = RandomChips(data, 32, 4, seed=0)
    batch = Collate(data.channels)([chips[i] for i in range(3)])
    assert batch.inputs["optical"].values.shape == (3, 1, 6, 32, 32)
    assert batch.target is not None and batch.target.values.shape == (3, 1, 1, 32, 32)
    assert batch.inputs["optical"].grid.resolution == 10.0


def test_the_survey_looks_at_training_blocks_only():
    data = dataset()
    found = survey(data)
    scene = data.train[0]
    inside = data.train_blocks[scene.name].pixels(Window(0, 0, *scene.shape))
    values = scene.image.read(Window(0, 0, *scene.shape))[:, inside]
    assert found.mean == pytest.approx(values.mean(axis=1), rel=1e-4)
    assert found.std == pytest.approx(values.std(axis=1), rel=1e-3)
    assert sum(found.counts.values()) == inside.sum()


def test_a_zoomed_chip_keeps_its_size_and_its_labels_stay_on_their_pixels():
    data = dataset()
    sample = read_sample(data.train[0], Window(0, 0, 48, 48), data.channels, None)
    small, large = resample(sample, 24), resample(sample, 96)
    assert small.values.shape == (6, 24, 24) and large.values.shape == (6, 96, 96)
    assert np.array_equal(large.label[::2, ::2], sample.label) and small.resolution == 20.0
    assert small.values.mean() == pytest.approx(sample.values.mean(), rel=1e-3)
    sizes = {round(32 * Augmentation(zoom=2).draw_zoom(np.random.default_rng(i))) for i in range(200)}
    assert min(sizes) in (16, 17) and max(sizes) in (63, 64)
    assert RandomChips(data, 32, 4, seed=0, augmentation=Augmentation())[1].values.shape == (6, 32, 32)


@pytest.mark.parametrize("other", [1, 3])
def test_hidden_edges_leave_the_inside_of_every_class_and_nothing_else(other: int):
    label = np.zeros((6, 9), np.uint8)
    label[:, 4:] = other
    label[0, 8] = 255
    found = hide_edges(label, 1)
    assert (found[:, 3:5] == 255).all()
    assert np.array_equal(found[:, :3], label[:, :3]) and np.array_equal(found[:, 5:], label[:, 5:])
    assert np.array_equal(hide_edges(np.full((5, 5), 2, np.uint8), 2), np.full((5, 5), 2))


def plain_sample(scene, window, channels, side):
    """What a chip is, pixel by pixel and without any shortcut."""
    height, width = scene.shape
    values = np.zeros((len(channels), window.height, window.width), np.float32)
    valid = np.zeros(values.shape, bool)
    label = np.full(values.shape[1:], 255, np.uint8)
    info = scene.image.info
    raw, truth = scene.image.read(Window(0, 0, height, width)), scene.label.read(Window(0, 0, height, width), [0])[0]
    for r, c in np.ndindex(min(window.height, height - window.row), min(window.width, width - window.col)):
        row, col = window.row + r, window.col + c
        for place, channel in enumerate(channels):
            band = info.bands.index(channel)
            number = raw[band, row, col]
            valid[place, r, c] = np.isfinite(number) and number != info.nodata
            if valid[place, r, c]:
                scale, offset = (info.scale or [1] * 9)[band], (info.offset or [0] * 9)[band]
                values[place, r, c] = np.float32(number) * np.float32(scale) + np.float32(offset)
        if valid[:, r, c].all() and (side is None or side.mask[row // side.block, col // side.block]):
            label[r, c] = truth[row, col]
    return values, valid, label


@pytest.mark.parametrize("nodata", [None, 7.0], ids=["all present", "some missing"])
@pytest.mark.parametrize("channels", [("a", "b", "c"), ("c", "a"), ("b",)], ids=",".join)
def test_every_shortcut_gives_what_the_pixels_say(nodata, channels):
    rng = np.random.default_rng(0)
    raw = rng.integers(0, 40, (3, 37, 29)).astype(np.uint16)
    image = ArraySource(raw, ("a", "b", "c"), nodata=nodata, scale=(0.1, 0.2, 0.3), offset=(0.0, -1.0, 2.0))
    for dtype in (np.uint8, np.int16):
        label = MappedLabels(ArraySource(rng.integers(0, 9, (2, 37, 29)).astype(dtype)), {0: 1, 3: 0, 7: 3, 400: 2})
        scene = LabelledScene("s", image, label, (0, 1, 3))
        for side in (None, split_blocks(37, 29, 8, {"val": 0.4, "train": 0.6}, 1)["val"]):
            for place in ((0, 0), (5, 9), (30, 20)):
                window = Window(*place, 14, 14)
                sample = read_sample(scene, window, channels, side)
                for found, wanted in zip(
                    (sample.values, sample.valid, sample.label),
                    plain_sample(scene, window, channels, side),
                    strict=True,
                ):
                    assert found.dtype == wanted.dtype and np.array_equal(found, wanted)


def test_the_mask_of_a_window_is_that_of_its_blocks_also_past_the_scenes_edge():
    side = split_blocks(37, 29, 8, {"val": 0.4, "train": 0.6}, 1)["val"]
    for row, col, height, width in np.random.default_rng(0).integers((0, 0, 1, 1), (37, 29, 30, 30), (50, 4)).tolist():
        found = side.pixels(Window(row, col, height, width))
        assert found.shape == (height, width)
        for r, c in np.ndindex(height, width):
            place = (row + r) // 8, (col + c) // 8
            inside = place[0] < side.mask.shape[0] and place[1] < side.mask.shape[1]
            assert found[r, c] == (inside and side.mask[place])


def test_zoomed_chips_carry_their_own_resolution_into_the_batch():
    data = dataset()
    chips = RandomChips(data, 32, 8, seed=0, augmentation=Augmentation())
    samples = [chips[i] for i in range(4)]
    grid = Collate(data.channels)(samples).inputs["optical"].grid
    assert grid.resolution.tolist() == pytest.approx([s.resolution for s in samples])
    assert len({s.resolution for s in samples}) > 2
    unknown = [replace(samples[0], resolution=None), samples[1]]
    first, second = Collate(data.channels)(unknown).inputs["optical"].grid.resolution.tolist()
    assert first != first and second == pytest.approx(samples[1].resolution)
    assert Collate(data.channels)([replace(s, resolution=None) for s in samples]).inputs["optical"].grid is None


def test_a_chip_says_which_sensor_took_its_scene():
    scene = dataset().train[0]
    values = scene.image.read(Window(0, 0, *scene.shape))
    seen = replace(scene, image=ArraySource(values, scene.image.info.bands, sensor="landsat7"))
    samples = [read_sample(s, Window(0, 0, 8, 8), scene.image.info.bands, None) for s in (seen, scene)]
    assert Collate(scene.image.info.bands)(samples).inputs["optical"].sensor == ("landsat7", None)
    assert Collate(scene.image.info.bands)(samples[1:]).inputs["optical"].sensor is None
    zoomed = RandomChips(replace(dataset(), train=(seen,)), 16, 4, seed=0, augmentation=Augmentation())
    assert zoomed[1].sensor == "landsat7"


@pytest.mark.parametrize(("name", "sensor"), [("landsat7", "landsat7"), ("sentinel2_alps", "sentinel2"), ("x", None)])
def test_a_scenes_sensor_is_in_its_files_name(tmp_path, name, sensor):
    for stem in (name, "other"):
        np.savez(
            tmp_path / f"{stem}.npz", img=np.full((32, 32, 6), 0.1, np.float32), msk=np.zeros((32, 32, 1), np.uint8)
        )
    data = build_csmask(CsmaskConfig(root=str(tmp_path), test=["other"], block=8))
    assert data.train[0].image.info.sensor == sensor


@pytest.mark.parametrize("size", [12, 20, 64])
def test_zooming_spreads_no_missing_value(size):
    """Zeros stand for what is missing: averaged in, they would darken the pixels around every gap."""
    sample = RandomChips(dataset(), 32, 1, seed=0)[0]
    valid = np.ones_like(sample.valid)
    valid[:, 8:14, 5:20] = False
    flat = replace(sample, values=np.where(valid, 0.3, 0).astype(np.float32), valid=valid)
    zoomed = resample(flat, size)
    assert not zoomed.valid.all() and (zoomed.values[~zoomed.valid] == 0).all()
    np.testing.assert_allclose(zoomed.values[zoomed.valid], 0.3, rtol=1e-5)
