import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from geoadapt.backbones.config import SmallEoConfig
from geoadapt.backbones.create import create_backbone
from geoadapt.backbones.prithvi_eo_mae import build_mae, patchify
from geoadapt.config import JobConfig, job_from_plain
from geoadapt.errors import GeoadaptError
from geoadapt.fields.config import FolderConfig
from geoadapt.fields.loaders import make_loaders
from geoadapt.fields.types import Batch, Field
from geoadapt.tasks.config import PretrainingConfig
from geoadapt.tasks.pretraining import Painter, Pretraining
from geoadapt.training.pretrain import ready
from geoadapt.training.pretrain_page import _rows
from geoadapt.training.run import train
from tests.synth import scene, write_tif

TINY = {"name": "small_eo", "width": 32, "depth": 2, "heads": 2, "decoder_width": 16, "decoder_depth": 1}
TINY |= {"decoder_heads": 2}


def job(root: Path, **train_keys: object) -> JobConfig:
    return job_from_plain(
        {
            "backbone": TINY,
            "adapter": {"name": "none"},
            "head": {"name": "linear"},
            "task": {"name": "pretraining"},
            "data": {"name": "pretraining", "root": str(root), "scenes": 2, "size": 64, "block": 32, "real": False}
            | {"val_fraction": 0.25},
            "train": {"steps": 8, "val_every": 4, "batch": 4, "chip": 32, "lr": 3e-3, "controls": "none"} | train_keys,
            "runtime": {"device": "cpu", "threads": 1, "precision": "fp32"},
        }
    )


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from data_pipelines import ensure

    root = tmp_path_factory.mktemp("pretraining")
    ensure(job(root).data)
    return root


@pytest.fixture(scope="module")
def folder(scenes: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("run")
    train(job(scenes), run, "geoadapt train task=pretraining")
    return run


def test_a_run_leaves_weights_that_load_strictly_a_card_and_a_page(folder: Path) -> None:
    weights = folder / "backbone" / "small_eo"
    backbone = create_backbone(str(TINY["name"]), weights, **{k: v for k, v in TINY.items() if k != "name"})
    values = next(backbone.parameters()).detach()  # type: ignore[attr-defined]
    assert values.dtype == torch.float32 and bool(values.isfinite().all())
    whole = build_mae(SmallEoConfig(weights=str(weights), **{k: v for k, v in TINY.items() if k != "name"}))  # type: ignore[arg-type]
    card = json.loads((weights / "card.json").read_text())
    assert sum(p.numel() for p in whole.parameters()) == card["parameters"]
    assert card["command"] and card["seed"] == 0 and card["steps"] == 8 and len(card["loss_curve"]) == 2
    assert "2 simulated scenes" in card["data"] and card["simulated_share"] == 1
    page = (folder / "report.html").read_text()
    assert "Does it see anything?" in page and "painted" in page
    metrics = json.loads((folder / "metrics.json").read_text())
    assert set(metrics) >= {"test/masked_mse", "mean_of_visible/masked_mse"}


def test_the_error_falls(folder: Path) -> None:
    curve = json.loads((folder / "backbone" / "small_eo" / "card.json").read_text())["loss_curve"]
    assert curve[-1][1] < curve[0][1]


def test_what_is_hidden_depends_on_the_sample_and_not_on_how_the_batch_is_split() -> None:
    painter = Painter(build_mae(SmallEoConfig(random_weights=True, **{k: v for k, v in TINY.items() if k != "name"})))  # type: ignore[arg-type]
    values = torch.rand(4, 1, 6, 32, 32)
    channels = ("blue", "green", "red", "nir", "swir16", "swir22")
    painter.draw(0, 7, range(4), 4)
    together = painter(Batch({"optical": Field(values, channels)}))
    painter.draw(0, 7, range(1, 4, 2), 4)
    alone = painter(Batch({"optical": Field(values[1::2], channels)}))
    assert torch.equal(together.mask[1::2], alone.mask)
    painter.draw(0, 8, range(4), 4)
    assert not torch.equal(painter(Batch({"optical": Field(values, channels)})).mask, together.mask)
    halves = [painter(Batch({"optical": Field(v, channels)})) for v in (values[:1], values[1:])]
    tally = Pretraining().tally()
    for half in halves:
        tally.add(half, Batch({}))
    total = sum(h.error.item() for h in halves) / sum(h.count.item() for h in halves)
    assert tally.scores()["loss"] == pytest.approx(total)


def test_a_backbone_without_an_autoencoder_is_refused(scenes: Path, tmp_path: Path) -> None:
    plain = job(scenes)
    other = create_config("galileo_nano")
    with pytest.raises(GeoadaptError, match="galileo_nano has no masked autoencoder; choose backbone=small_eo"):
        train(replace(plain, backbone=other), tmp_path, "x")


@pytest.mark.parametrize("norm_target", [False, True])
def test_real_images_with_fewer_bands_in_another_order_are_learned_from(tmp_path: Path, norm_target: bool) -> None:
    """The card calls nothing simulated that is not, and the page shows reflectance, whatever the target was."""
    values = np.clip(scene(4, 64, 64), 0, 1)
    for part in ("images", "labels"):
        (tmp_path / part).mkdir()
    write_tif(tmp_path / "images" / "a.tif", values, names=("nir", "red", "green", "blue"))
    write_tif(tmp_path / "labels" / "a.tif", (values[:1] > 0.3).astype(np.uint8))
    plan = job(tmp_path, steps=2, val_every=2)
    plan = replace(
        plan, data=FolderConfig(root=str(tmp_path), block=32), task=PretrainingConfig(norm_target=norm_target)
    )
    result = train(plan, tmp_path / "run", "x")
    card = json.loads((result.bundle / "card.json").read_text())
    assert card["simulated_share"] == 0 and "imulated" not in result.page.read_text().split("</header>")[0]
    _, painter, data = ready(plan)
    model = painter.autoencoder
    batch = next(iter(make_loaders(data, plan.train, 0).val))
    seen = model.encoder.read(batch)
    perfect = patchify(seen.pixels, (1, 8, 8))
    if norm_target:
        perfect = (perfect - perfect.mean(-1, keepdim=True)) / (perfect.var(-1, keepdim=True) + 1e-6).sqrt()
    painted = replace(model.paint(batch), tokens=perfect)
    assert seen.valid.flatten(2).all(2).tolist() == [[True] * 4 + [False] * 2] * len(seen.valid)
    for row in _rows(model, batch, painted):
        image, visible, made = (panel.image.astype(int) for panel in row.panels)
        assert np.abs(image - made).max() <= 1, "what is painted perfectly looks like the image"
        assert (visible != image).any()


def create_config(name: str) -> object:
    from geoadapt.backbones import BACKBONES

    return BACKBONES[name].config(name=name, random_weights=True)
