"""PMAA against its discriminator: a whole run, the same after a stop, and what its bundle restores of a stack."""

from __future__ import annotations

import copy
import csv
import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import torch
from torch import Tensor

from geoadapt.backbones.pmaa import build_restorer
from geoadapt.backbones.pmaa_network import teacher
from geoadapt.bundle.restorer import load_restorer
from geoadapt.cli import main
from geoadapt.config import JobConfig, job_from_plain
from geoadapt.errors import GeoadaptError
from geoadapt.fields import DATASETS
from geoadapt.fields.removal_config import RemovalDatasetConfig
from geoadapt.fields.series import Sample, series_batch
from geoadapt.fields.types import Batch
from geoadapt.registry import Entry
from geoadapt.training import adversarial, removal_setting
from geoadapt.training.adversarial import Adversarial, Duel, Made
from geoadapt.training.removal_setting import fit_restorer, prepare, restorer_of
from geoadapt.training.run import train
from tests.synth import write_tif
from tests.training.small_series import CHANNELS, SmallSeriesConfig, series

SIDE = 64
SEEN = ("blue", "green", "red", "nir")
UNETS = ("concat_unet", "other_unet.0", "other_unet.1")
INJECTION = ("local_embedding", "global_embedding", "global_act")


@pytest.fixture(scope="module", autouse=True)
def made_up() -> Iterator[None]:
    """The tiny series among the data sets, and a narrow discriminator."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(DATASETS, "small_series", Entry(SmallSeriesConfig, "tests.training.small_series:build"))
        patch.setattr(adversarial, "Discriminator", partial(adversarial.Discriminator, width=4))
        yield


def job(
    task: Mapping[str, Any] | None = None,
    backbone: Mapping[str, Any] | None = None,
    truth: bool = True,
    head: str = "image",
    **keys: Any,
) -> JobConfig:
    pmaa = {"name": "pmaa", "random_weights": True, "width": 2, "channels": SEEN, **(backbone or {})}
    few = {"val_samples": 2, "test_samples": 4, "frames": 3, "loss": "adversarial"}
    fit = {"steps": 4, "batch": 2, "chip": SIDE, "val_every": 2, "lr": 5e-4, "warmup": 0.0, "bootstrap": 20}
    return job_from_plain(
        {
            "backbone": pmaa,
            "adapter": {"name": "full"},
            "head": {"name": head},
            "task": {"name": "cloud_removal", **few, **(task or {})},
            "data": {"name": "small_series", "truth": truth, "side": SIDE},
            "train": {**fit, "controls": "linear", **keys},
            "runtime": {"device": "cpu", "threads": 1, "precision": "fp32"},
        }
    )


def duel_of(folder: Path, **changes: Any) -> Duel:
    plan = job(**changes)
    setting = prepare(plan, folder)
    return Duel(restorer_of(setting, plan), plan)


def batch(truth: bool = True) -> Batch:
    hidden = np.zeros((SIDE, SIDE), bool)
    hidden[:30, :20] = True
    return series_batch([Sample(series(name, 5, SIDE, truth=truth), 3, hidden) for name in "ab"])


def weights(module: torch.nn.Module) -> dict[str, Tensor]:
    return {name: p.detach().clone() for name, p in module.named_parameters()}


def moved(before: dict[str, Tensor], after: dict[str, Tensor]) -> set[str]:
    return {name for name, value in before.items() if not torch.equal(value, after[name])}


def losses(folder: Path) -> dict[str, list[str]]:
    with (folder / "curves.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return {key: [row[key] for row in rows if row.get(key)] for key in ("train/loss", "train/discriminator", "val/mae")}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole")
    train(job(), folder, "geoadapt train experiment=pmaa")
    return folder


def test_both_losses_are_finite_and_told_at_every_step(whole: Path) -> None:
    found = losses(whole)
    assert [len(found[key]) for key in ("train/loss", "train/discriminator", "val/mae")] == [4, 4, 2]
    assert all(np.isfinite(float(v)) for values in found.values() for v in values)
    metrics = json.loads((whole / "metrics.json").read_text())
    assert metrics["test/val_mae"] == pytest.approx(min(float(v) for v in found["val/mae"]), rel=1e-5)
    assert {"test/mae/masked", "linear/mae/masked"} <= set(metrics)


def test_a_step_moves_the_discriminator_before_the_generator_asks_it(tmp_path: Path) -> None:
    duel = duel_of(tmp_path).train()
    given = batch()
    rival, maker = weights(duel.discriminator), weights(duel.restorer)
    duel.draw(0, 0, range(2), 2)
    made = duel(given)
    after = weights(duel.discriminator)
    assert moved(rival, after) == set(rival) and not moved(maker, weights(duel.restorer))
    with torch.no_grad():
        dates = adversarial.scaled(duel.backbone.frames(duel.restorer.seen(given)))
        torch.testing.assert_close(duel.discriminator(dates, made.image), made.scores, atol=1e-5, rtol=1e-4)
    Adversarial(restoring(tmp_path)).loss(made, given).backward()  # type: ignore[no-untyped-call]
    assert all(p.grad is None for p in duel.discriminator.parameters()), "the generator's loss reaches its judge"
    still = {name for name, p in duel.restorer.named_parameters() if p.grad is None}
    assert {name.split("network.")[1].split(".weight")[0].split(".bias")[0] for name in still} == {
        "feature_extractor.aux_conv",
        "output_layer.0",
        *(f"{unet}.loc_glo_fus.4.{part}.0" for unet in UNETS for part in INJECTION),
    }


def restoring(folder: Path) -> Any:
    return prepare(job(), folder).task


def test_a_fit_changes_both(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept: list[Duel] = []
    before: list[tuple[dict[str, Tensor], dict[str, Tensor]]] = []

    def fitted(duel: Duel, *args: Any, **more: Any) -> Any:
        kept.append(duel)
        before.append((weights(duel.discriminator), weights(duel.restorer)))
        return original(duel, *args, **more)

    original = adversarial.fit
    monkeypatch.setattr(adversarial, "fit", fitted)
    plan = job(task={"label_noise": True, "aux_loss": True})
    setting = prepare(plan, tmp_path)
    made, result = fit_restorer(setting, plan, "fit")
    ((rival, maker),) = before
    assert moved(rival, weights(kept[0].discriminator)) == set(rival)
    changed = moved(maker, weights(made))
    assert {name for name in maker if "aux_conv" in name or name.startswith("model.head.")} <= changed
    assert result.steps == 4 and np.isfinite(result.best) and not made.training


def test_a_run_that_was_stopped_goes_on_as_if_it_never_was(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = adversarial.Duel.forward

    def dying(self: Duel, given: Batch) -> Any:
        if self.training and self.step == 3:
            raise KeyboardInterrupt
        return original(self, given)

    with monkeypatch.context() as patch:
        patch.setattr(adversarial.Duel, "forward", dying)
        with pytest.raises(KeyboardInterrupt):
            train(job(), tmp_path, "")
    (last,) = (tmp_path / "fits" / "fit" / "checkpoints").glob("last-*")
    state = torch.load(last, weights_only=True)
    assert state["global_step"] == 2 and "module._extra_state" in state["state_dict"]
    train(job(resume=str(last)), tmp_path, "")
    assert losses(tmp_path) == losses(whole)
    for name in ("head.safetensors", "adapter/delta.safetensors", "calibration.safetensors"):
        assert (tmp_path / "bundle" / name).read_bytes() == (whole / "bundle" / name).read_bytes()


def test_the_bundle_restores_a_stack(whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    one = series("stack", 9, SIDE)
    for time, image, clear in zip(one.times, one.values, one.clear, strict=True):
        day = str(time)[:10].replace("-", "")
        write_tif(tmp_path / "my stack" / f"s_{day}.tif", image, names=CHANNELS, nodata=-1)
        write_tif(tmp_path / "masks" / f"m_{day}_SCL.tif", np.where(clear, 4, 9)[None].astype(np.uint8))
    words = ["--mask", "masks/*_SCL.tif", "infer.animation=false", "infer.zarr=false", "infer.composites=[median]"]
    assert main(["predict", "my stack", "--bundle", str(whole / "bundle"), "--output", "out", *words]) == 0
    found = sorted((tmp_path / "out").glob("*_source.tif"))
    assert len(found) >= len(one.times)
    bundle = load_restorer(whole / "bundle")
    given = series_batch([Sample(one, 2, np.zeros((SIDE, SIDE), bool))])
    restored = bundle.restore(given)
    day = str(one.times[2])[:10].replace("-", "")
    with rasterio.open(next((tmp_path / "out").glob(f"*{day}_clear.tif"))) as file:
        image = file.read().astype(np.float32) * 1e-4
    clouds = ~one.clear[2] & np.delete(one.clear, 2, 0).any(0)
    np.testing.assert_allclose(image[:, clouds], restored.image[0].numpy()[:, clouds], atol=2e-4)
    assert restored.scale is not None and len(restored.scale[0, 0][torch.from_numpy(clouds)].unique()) == 1


def test_what_nobody_knows_teaches_neither(tmp_path: Path) -> None:
    duel = duel_of(tmp_path, truth=False).train()
    given = batch(truth=False)
    assert given.target is not None and given.target.valid is not None
    unknown = ~(given.target.valid[:, 0] | given.inputs["optical"].valid[:, -1])  # type: ignore[index]
    assert bool(unknown.any())
    spoilt = copy.deepcopy(given)
    assert spoilt.target is not None
    spoilt.target.values[:, 0][unknown] = 7.0
    task = Adversarial(restoring(tmp_path))
    torch.manual_seed(0)
    state = copy.deepcopy(duel.state_dict())
    one: Made = duel(given)
    told = duel.told["discriminator"]
    duel.load_state_dict(state)
    torch.manual_seed(0)
    other: Made = duel(spoilt)
    assert torch.equal(task.loss(one, given), task.loss(other, spoilt))
    assert torch.equal(told, duel.told["discriminator"])


def test_the_masks_of_the_data_or_of_the_teacher_are_taught(tmp_path: Path) -> None:
    duel = duel_of(tmp_path).train()
    given = batch()
    frames = duel.backbone.frames(duel.restorer.seen(given))
    assert frames.valid is not None
    made = duel(given)
    for date, taught in enumerate(made.taught):
        assert torch.equal(taught[:, 0] > 0.5, ~frames.valid[:, date].all(1))
    torch.save(teacher().state_dict(), tmp_path / "Feature_Extrator_FS2.pth")
    plan = job(task={"attention": "teacher", "teacher": str(tmp_path)}, backbone={"channels": CHANNELS})
    guided = Duel(restorer_of(prepare(plan, tmp_path), plan), plan, adversarial.load_teacher(tmp_path)).train()
    before = {key: value.clone() for key, value in guided.teacher.state_dict().items()}  # type: ignore[union-attr]
    made = guided(given)
    assert all(0 < float(mask.mean()) < 1 and mask.shape == (2, 1, SIDE, SIDE) for mask in made.taught)
    assert all(torch.equal(v, before[k]) for k, v in guided.teacher.state_dict().items())  # type: ignore[union-attr]
    free = duel_of(tmp_path, task={"attention": "none"}).train()
    assert not free(given).masks


def test_the_discriminators_rate_falls_by_a_cosine() -> None:
    rates = [adversarial._rate(step, 100, 5e-4) for step in (0, 50, 100, 120)]
    assert rates == pytest.approx([5e-4, (5e-4 + 1e-6) / 2, 1e-6, 1e-6])


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"head": "removal"}, "'adversarial' trains PMAA, not pmaa, full and removal"),
        ({"backbone": {"norm": "batch"}}, "features=fused norm=instance"),
        ({"backbone": {"features": "dates"}}, "features=fused norm=instance"),
        ({"backbone": {"scaling": "sample"}}, "choose the same for both"),
        ({"task": {"frames": 2}}, "PMAA sees 3 dates"),
        ({"chip": 32}, "choose 64 or more"),
        ({"task": {"attention": "teacher"}, "backbone": {"channels": ("red", "nir")}}, "the teacher takes"),
    ],
)
def test_what_cannot_be_is_said_before_the_data_are_read(
    changes: dict[str, Any], words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(removal_setting, "build", None)
    with pytest.raises(GeoadaptError, match=words):
        prepare(job(**changes), tmp_path)


def test_masks_that_the_data_do_not_have_are_not_taught(tmp_path: Path) -> None:
    pairs = RemovalDatasetConfig("sen2_mtc_new", str(tmp_path))
    with pytest.raises(GeoadaptError, match="sen2_mtc_new does not say where its clouds are"):
        adversarial.check_adversarial(replace(job(), data=pairs))
    adversarial.check_adversarial(replace(job({"attention": "none"}), data=pairs))
    adversarial.check_adversarial(replace(job(), data=replace(pairs, masks="masks")))


@pytest.mark.parametrize("loss", ["adversarial", "likelihood"])
def test_published_weights_bring_their_last_layer_in_the_order_of_the_datas_bands(loss: str, tmp_path: Path) -> None:
    turned = tuple(reversed(CHANNELS))
    first = duel_of(tmp_path, backbone={"channels": turned})
    torch.save(first.backbone.network.state_dict(), tmp_path / "pmaa.pth")
    changes = {"channels": turned, "random_weights": False, "weights": str(tmp_path / "pmaa.pth")}
    plan = job({"loss": loss}, changes)
    made = restorer_of(prepare(plan, tmp_path), plan)
    published = build_restorer(plan.backbone).eval()
    with torch.no_grad():
        image = made.eval()(batch())[:, :, : len(CHANNELS)]
        torch.testing.assert_close(image, published(batch()).flip(2))
