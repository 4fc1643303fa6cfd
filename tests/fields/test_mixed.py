from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import rasterio

from data_pipelines import ensure
from geoadapt.cli.compose import compose
from geoadapt.config import job_from_plain
from geoadapt.errors import GeoadaptError
from geoadapt.fields import DATASETS
from geoadapt.fields.chips import BlockChips, RandomChips
from geoadapt.fields.config import MixedConfig
from geoadapt.fields.csmask import CHANNELS
from geoadapt.fields.mixed import build
from geoadapt.fields.scenes import Dataset
from geoadapt.io.base import Window
from geoadapt.registry import build as build_entry
from geoadapt.registry import from_plain
from tests.synth import scene, write_tif

SENTINEL, LANDSAT = "sentinel2_a", "landsat7_b"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two tiny scenes in csmask's layout, and simulated ones beside them."""
    root = tmp_path_factory.mktemp("mixed")
    (root / "real").mkdir()
    for seed, name in enumerate((SENTINEL, LANDSAT)):
        image = scene(6, 64, 48, seed).transpose(1, 2, 0)
        mask = np.random.default_rng(seed).integers(0, 5, (64, 48, 1)).astype(np.uint8)
        np.savez(root / "real" / f"{name}.npz", img=image, msk=mask)
    ensure(config(root))
    return root


def config(root: Path, **more: object) -> MixedConfig:
    real = {"name": "csmask", "root": str(root / "real"), "test": [LANDSAT], "block": 16}
    simulated = {"root": str(root / "simulated"), "scenes": 3, "size": 96, "block": 32}
    return from_plain(MixedConfig, {"name": "mixed", "real": real, "simulated": simulated, **more}, "data")


def alone(part: object) -> Dataset:
    """One part, as it is without the other."""
    made: Dataset = build_entry(DATASETS, part, 5)
    return made


def test_validation_and_test_are_the_real_datas_own(root: Path) -> None:
    mixed, real = build(config(root), 5), alone(config(root).parts()[0])
    assert [s.name for s in mixed.test] == [LANDSAT] and set(mixed.val_blocks) == {SENTINEL}
    assert np.array_equal(mixed.val_blocks[SENTINEL].mask, real.val_blocks[SENTINEL].mask)
    seen = {BlockChips(mixed, dict(mixed.val_blocks), 16)[i].where.scene for i in range(2)}
    assert seen == {SENTINEL}
    assert not mixed.simulated and "SIMULATED" in mixed.note and "50%" in mixed.note


@pytest.mark.parametrize("share", [0.25, 0.5, 0.8])
def test_the_share_of_the_samples_is_simulated_and_every_scene_takes_its_turn(root: Path, share: float) -> None:
    data = build(config(root, share=share))
    chips = RandomChips(data, 16, 400, seed=0)
    count = Counter(data.turn(i).name for i in range(400))
    assert all(chips[i].where.scene == data.turn(i).name for i in range(6))
    simulated = {name: n for name, n in count.items() if name.startswith("simulated_")}
    assert sum(simulated.values()) / 400 == pytest.approx(share, abs=0.005)
    assert len(simulated) == 3 and max(simulated.values()) <= 1.2 * min(simulated.values())


def test_all_of_a_simulated_scene_is_trained_on(root: Path) -> None:
    data = build(config(root))
    for scene_ in data.train[1:]:
        assert data.train_blocks[scene_.name].mask.all()


@pytest.mark.parametrize(("thin_as", "expected"), [("ignore", 255), ("cloud", 1), ("clear", 0)])
def test_simulated_thin_cloud_is_what_the_option_says(root: Path, thin_as: str, expected: int) -> None:
    data = build(config(root, thin_as=thin_as))
    plain = alone(config(root).parts()[1])
    found = 0
    for mixed, scene_ in zip(data.train[1:], plain.train, strict=True):
        whole = Window(0, 0, *scene_.shape)
        before, after = scene_.label.read(whole)[0], mixed.label.read(whole)[0]
        assert set(np.unique(after[before == 2])) <= {expected}
        assert np.array_equal(after[before != 2], before[before != 2])
        assert set(mixed.classes) <= {0, 1, 3}
        found += int((before == 2).sum())
    assert found and data.classes == (0, 1, 3), "the trained classes are the real data's"


def test_thin_cloud_stays_thin_cloud_where_the_real_labels_know_it(root: Path, tmp_path: Path) -> None:
    folder = real_folder(tmp_path, ("red", "green"), highest=2)
    data, plain = build(config(root, real=folder, thin_as="cloud")), alone(config(root).parts()[1])
    assert data.classes == (0, 1, 2) and "thin cloud as" not in data.note
    for mixed, scene_ in zip(data.train[1:], plain.train, strict=True):
        whole = Window(0, 0, *scene_.shape)
        before, after = (s.label.read(whole)[0] for s in (scene_, mixed))
        assert (after[before == 2] == 2).all() and (after[before == 3] == 255).all(), "shadow is no class of these data"


def test_a_real_scene_called_like_a_simulated_one_is_refused(root: Path) -> None:
    made = config(root).parts()[1].root
    with pytest.raises(GeoadaptError, match="a real scene is called 'simulated_"):
        build(config(root, real={"name": "folder", "root": made, "block": 16}))


def test_without_a_test_scene_the_real_ones_are_named(root: Path) -> None:
    real = {"name": "csmask", "root": str(root / "real"), "block": 16}
    with pytest.raises(GeoadaptError, match=rf"data.real.test: names no test scene.*'{LANDSAT}', '{SENTINEL}'"):
        build(config(root, real=real))


def test_channels_are_the_shared_ones_in_the_real_datas_order(root: Path, tmp_path: Path) -> None:
    assert build(config(root)).channels == CHANNELS
    folder = real_folder(tmp_path, ("red", "vv", "green"))
    data = build(config(root, real=folder))
    assert data.channels == ("red", "green") and "without ['vv']" in data.note
    sample = RandomChips(data, 16, 4, seed=0)[1]
    assert sample.where.scene.startswith("simulated_") and sample.values.shape == (2, 16, 16)
    with pytest.raises(GeoadaptError, match=r"\['vv'\].*simulated scenes have"):
        build(config(root, real=real_folder(tmp_path / "radar", ("vv",))))


def real_folder(root: Path, names: tuple[str, ...], highest: int = 1) -> dict[str, object]:
    """A labelled scene of one's own with these bands and classes up to ``highest``."""
    for part in ("images", "labels"):
        (root / part).mkdir(parents=True)
    values = scene(len(names), 64, 48)
    write_tif(root / "images" / "a.tif", values, names=names)
    labels = np.random.default_rng(0).integers(0, highest + 1, (1, 64, 48)).astype(np.uint8)
    write_tif(root / "labels" / "a.tif", labels)
    return {"name": "folder", "root": str(root), "block": 16, "channels": list(names)}


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"share": 0.0}, "data.share"),
        ({"share": 1.0}, "data.share"),
        ({"thin_as": "clouds"}, "did you mean 'cloud'"),
        ({"real": {"name": "csmsk"}}, "did you mean 'csmask'"),
        ({"real": {"name": "mixed"}}, "no real labelled data set"),
        ({"real": {"name": "simulated"}}, "no real labelled data set"),
        ({"real": {"name": "csmask", "tset": []}}, "data.real.tset"),
        ({"simulated": {"scenes": 0}}, "data.scenes"),
        ({"simulated": {"scene": 3}}, "data.simulated.scene"),
    ],
)
def test_a_wrong_key_or_value_is_named_before_anything_is_made(more: dict[str, object], said: str) -> None:
    with pytest.raises(GeoadaptError, match=said):
        from_plain(MixedConfig, {"name": "mixed", **more}, "data")


def test_it_can_be_typed_and_comes_back_from_its_own_yaml(root: Path) -> None:
    job = compose(["data=mixed", "data.real={name: csmask, test: [landsat7]}", "data.simulated={scenes: 4}"])
    real, simulated = job.data.parts()
    assert real.test == ["landsat7"] and (simulated.scenes, simulated.test_scenes) == (4, 0)
    shorter = compose(["data=mixed", "data.real.test=[landsat7]", "data.simulated.scenes=4"])
    assert shorter.data.parts() == job.data.parts()
    again = job_from_plain({**{k: v for k, v in asdict(job).items() if v is not None}})
    assert again.data == job.data
    assert job.data.block == real.block and job.data.test_fraction == 0


def test_simulated_scenes_that_could_teach_nothing_are_refused(root: Path, tmp_path: Path) -> None:
    folder = real_folder(tmp_path, ("red", "green")) | {"classes": {"0": 2, "1": 2}}
    simulated = {"root": str(tmp_path / "clear"), "scenes": 1, "size": 96, "block": 32}
    made = config(root, real=folder, simulated=simulated)
    ensure(made)
    (path,) = (tmp_path / "clear" / "labels").iterdir()
    with rasterio.open(path, "r+", IGNORE_COG_LAYOUT_BREAK="YES") as file:
        file.write(np.zeros((1, 96, 96), np.uint8))
    with pytest.raises(GeoadaptError, match=r"data\.real: has classes \[2\], the simulated scenes have \[0\]"):
        build(made)
