"""Several processes fit as one would: what is compared are the weights and curves of real torchrun processes."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from geoadapt.cli.train import train
from geoadapt.config import TrainConfig
from geoadapt.errors import GeoadaptError
from geoadapt.fields.loaders import make_loaders
from geoadapt.fields.types import Batch
from geoadapt.tasks import cloud_segmentation, processes
from geoadapt.tasks.cloud_segmentation import CloudSegmentation
from geoadapt.tasks.config import CloudSegmentationConfig
from geoadapt.tasks.losses import IGNORE, LOSSES
from geoadapt.training.feeding import draw
from tests.folders import ROOT
from tests.tiny import TINY_WORDS
from tests.training.small import dataset, labelled
from tests.waves import TINY_WX, autumns, write_slp

TABLE = {0: 3, 1: 4, 3: 0}
TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
COMMANDS = """
import json, sys
import torch
from geoadapt.cli import main
from geoadapt.tasks.processes import rank, world
from tests.training.test_processes import gradient
status = max(main(["train", *words]) for words in json.loads(sys.argv[1]))
mine = gradient(rank(), world())
torch.distributed.all_reduce(mine)
if rank() == 0:
    torch.save(mine / world(), sys.argv[2])
sys.exit(status)
"""


def gradient(rank: int, world: int) -> torch.Tensor:
    """Of all losses that can be shared, from this process's samples; of which some have no label, or few."""
    random = torch.Generator().manual_seed(0)
    values, target = torch.randn(4, 5, 8, 8, generator=random), torch.randint(0, 3, (4, 8, 8), generator=random)
    target[1], target[3, :, 2:] = IGNORE, IGNORE
    weight = torch.linspace(-1, 1, 15).reshape(3, 5).requires_grad_()
    scores = torch.einsum("kc,nchw->nkhw", weight, values[rank::world])
    losses = [loss for loss in LOSSES.values() if loss.divisible]
    sums = [processes.sum_over_processes(loss.sums(scores, target[rank::world], torch.ones(3))) for loss in losses]
    torch.stack([loss.finish(part) for loss, part in zip(losses, sums, strict=True)]).sum().backward()
    assert weight.grad is not None
    return weight.grad


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two scenes in the layout of csmask; most of the first is unlabelled, so that chips differ in labelled pixels."""
    folder = tmp_path_factory.mktemp("scenes")
    for seed, name in enumerate(("a", "b")):
        scene = labelled(name, 96, 96, seed)
        label = scene.label._array[0]  # type: ignore[union-attr]
        mask = np.select([label == value for value in TABLE], list(TABLE.values())).astype(np.uint8)
        if name == "a":
            mask[:, :60] = 9
        np.savez(folder / f"{name}.npz", img=scene.image._array.transpose(1, 2, 0), msk=mask[..., None])  # type: ignore[attr-defined]
    history = autumns()
    states = np.asarray(history.states).copy()
    states[::3, :, :3] = np.nan
    write_slp(folder / "slp.nc", replace(history, states=states, _place={}))
    return folder


def segmentation(root: Path) -> list[str]:
    """Overrides of a run whose validation blocks, 9 of them, two processes cannot share evenly."""
    return [
        *TINY_WORDS,
        *("adapter=lora", "adapter.r=2", "head=unet", "head.width=8", "task.losses={ce: 1, focal: 0.5, dice: 0.5}"),
        *("data=csmask", f"data.root={root}", "data.test=[b]", "data.block=16", "data.val_fraction=0.25"),
        *(f"train.{word}" for word in ("steps=6", "batch=4", "chip=32", "val_every=3", "bootstrap=10")),
        *("train.controls=full_finetune", "infer.tile=64", "infer.overlap=16", *MACHINE),
    ]


MACHINE = ("runtime.device=cpu", "runtime.threads=1", "runtime.precision=fp32")


def pretraining(root: Path) -> list[str]:
    """Overrides of a run without labels, each of whose samples hides its own patches."""
    return [
        *("task=pretraining", "backbone=small_eo", "backbone.width=32", "backbone.depth=2", "backbone.heads=2"),
        *("backbone.decoder_width=16", "backbone.decoder_depth=1", "backbone.decoder_heads=2"),
        *("adapter=none", "head=linear", "data=pretraining", f"data.root={root / 'made'}", "data.scenes=2"),
        *("data.size=64", "data.block=16", "data.real=false", "data.val_fraction=0.25"),
        *(f"train.{word}" for word in ("steps=6", "batch=4", "chip=32", "val_every=3", "lr=3e-3", "controls=none")),
        *MACHINE,
    ]


def forecasting(root: Path) -> list[str]:
    """Overrides of a forecast fit whose steps grow, with values missing, so that samples weigh differently."""
    return [
        *("task=forecasting", "task.frames=2", "task.leads=[24, 48]", "task.rollout=[1, 2]", "backbone=small_wx"),
        *(f"backbone.{key}={str(value).lower()}" for key, value in TINY_WX.items()),
        *("adapter=lora", "adapter.r=2", "head=linear", "data=weather", f"data.path={root / 'slp.nc'}"),
        *("data.test_years=[2003]", "data.gaps=allow"),
        *(f"train.{word}" for word in ("steps=6", "batch=4", "val_every=3", "bootstrap=10", "controls=none")),
        *MACHINE,
    ]


def curves(folder: Path) -> dict[str, list[float]]:
    with (folder / "curves.csv").open() as file:
        rows = list(csv.DictReader(file))
    return {key: [float(row[key]) for row in rows if row[key]] for key in rows[0]}


def last(folder: Path, who: str) -> dict[str, torch.Tensor]:
    """The weights after the last step, but for the bias of attention's keys.

    A softmax does not see it, so that its gradient is rounding alone, which AdamW scales up to whole steps.
    """
    (path,) = (folder / "fits" / who / "checkpoints").glob("last-6*")
    state: dict[str, torch.Tensor] = torch.load(path, weights_only=True)["state_dict"]
    for name, value in state.items():
        if name.endswith("qkv.bias"):
            value.view(3, -1)[1] = 0
    return state


def metric(folder: Path, name: str) -> float:
    return float(json.loads((folder / "metrics.json").read_text())[name])


def same(found: Path, expected: Path, fits: tuple[str, ...]) -> None:
    """Losses, scores and weights to float tolerance."""
    assert len(curves(expected)["train/loss"]) == 6
    assert curves(found).keys() == curves(expected).keys()
    for key, values in curves(expected).items():
        np.testing.assert_allclose(curves(found)[key], values, rtol=1e-4, atol=1e-6, err_msg=key)
    for who in fits:
        weights, others = last(expected, who), last(found, who)
        assert weights.keys() == others.keys()
        for name, value in weights.items():
            torch.testing.assert_close(others[name], value, rtol=1e-4, atol=1e-5, msg=lambda m, n=name: f"{n}: {m}")


class KilledError(Exception):
    """Stands for a power cut."""


def kill_at(patch: pytest.MonkeyPatch, step: int) -> None:
    honest, calls = CloudSegmentation.loss, iter(range(100))

    def dying(self: CloudSegmentation, scores: torch.Tensor, batch: Batch) -> torch.Tensor:
        if scores.requires_grad and next(calls) == step:
            raise KilledError
        return honest(self, scores, batch)

    patch.setattr(CloudSegmentation, "loss", dying)


def test_two_processes_fit_what_one_does_and_the_first_alone_writes(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Segmentation with a control, pre-training, forecasts, and a run that one process began and two go on with."""
    one = {name: tmp_path / f"one_{name}" for name in ("clouds", "paint", "waves", "begun")}
    two = {name: tmp_path / f"two_{name}" for name in ("clouds", "paint", "waves")}
    clouds, paint, waves = segmentation(root), pretraining(root), forecasting(root)
    with monkeypatch.context() as patch, pytest.raises(KilledError):
        kill_at(patch, 4)
        train(clouds, one["begun"])
    jobs = [
        [*clouds, f"hydra.run.dir={two['clouds']}"],
        [*paint, f"hydra.run.dir={two['paint']}"],
        [*waves, f"hydra.run.dir={two['waves']}"],
        [*clouds, f"hydra.run.dir={one['begun']}", f"train.resume={one['begun']}", "train.controls=none"],
    ]
    script, found_gradient = tmp_path / "commands.py", tmp_path / "gradient.pt"
    script.write_text(COMMANDS)
    done = subprocess.run(
        [*TORCHRUN, str(script), json.dumps(jobs), str(found_gradient)],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        cwd=tmp_path,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("page  ") == len(jobs), "both processes closed a run"
    # AdamW forgives a gradient that is a multiple of what it should be, and a comparison of weights with it
    torch.testing.assert_close(torch.load(found_gradient, weights_only=True), gradient(0, 1), rtol=1e-5, atol=1e-7)
    train(clouds, one["clouds"])
    train(paint, one["paint"])
    train(waves, one["waves"])
    found = {p.name for p in tmp_path.iterdir()}
    assert found == {script.name, found_gradient.name, *(p.name for p in (*one.values(), *two.values()))}, (
        "a process wrote elsewhere"
    )
    for folder in two.values():
        assert sum(f.name == "metrics.csv" for f in (folder / "fits" / "fit").rglob("*")) == 1
    same(two["clouds"], one["clouds"], ("fit", "full_finetune"))
    same(one["begun"], one["clouds"], ("fit",))
    same(two["paint"], one["paint"], ("fit",))
    same(two["waves"], one["waves"], ("fit",))
    assert metric(two["clouds"], "test/miou") == pytest.approx(metric(one["clouds"], "test/miou"), abs=1e-3)
    rmse = "test/rmse/mean_sea_level_pressure/24h"
    assert metric(two["waves"], rmse) == pytest.approx(metric(one["waves"], rmse), rel=1e-3)
    assert metric(two["paint"], "test/masked_mse") == pytest.approx(metric(one["paint"], "test/masked_mse"), rel=1e-3)


LEAVING = """
import time
import torch
from geoadapt.tasks.processes import join
class Slow:
    def __del__(self):
        time.sleep(1)
join("cpu")
fitted = torch.nn.parallel.DistributedDataParallel(torch.nn.Linear(3, 3))
fitted(torch.ones(2, 3)).sum().backward()
fitted.itself = fitted
del fitted
last = torch.ones(3)
last.slow = Slow()
work = torch.distributed.all_reduce(last, async_op=True)
del last, work
"""


def test_processes_end_well_while_a_thread_of_the_group_still_tidies_up(tmp_path: Path) -> None:
    """The thread that sums lets go of its tensor, here for a second, while the interpreter ends."""
    script = tmp_path / "leaving.py"
    script.write_text(LEAVING)
    env = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run([*TORCHRUN, str(script)], capture_output=True, text=True, timeout=120, check=False, env=env)
    assert done.returncode == 0, done.stderr


def test_the_shares_of_all_processes_are_the_batches_of_one() -> None:
    data, config = dataset(), TrainConfig(steps=3, batch=4, chip=32)
    whole = make_loaders(data, config, 0, start=1)
    shares = [make_loaders(data, config, 0, start=1, world=2, rank=rank) for rank in range(2)]
    for side in ("train", "val"):
        batches = [list(getattr(part, side)) for part in shares]
        for index, batch in enumerate(getattr(whole, side)):
            for rank, part in enumerate(batches):
                if index < len(part):
                    assert batch.where[rank::2] == part[index].where, "the samples are others"
                    mine = batch.inputs["optical"].values[rank::2]
                    assert torch.equal(mine, part[index].inputs["optical"].values)
    assert len(shares[0].train) == len(whole.train) == config.steps
    counts = [len(part.val.sampler) for part in shares]  # type: ignore[arg-type]
    assert sum(counts) == len(whole.val.sampler)  # type: ignore[arg-type]


def test_a_batch_that_cannot_be_shared_evenly_is_refused() -> None:
    with pytest.raises(GeoadaptError, match=r"train\.batch: 8 chips cannot be shared by 3 processes; .* multiple of 3"):
        make_loaders(dataset(), TrainConfig(batch=8), 0, world=3)
    with pytest.raises(GeoadaptError, match=r"data: \d+ validation blocks for 64 processes"):
        make_loaders(dataset(), TrainConfig(batch=64), 0, world=64)


def test_a_loss_that_needs_the_whole_batch_is_refused_where_processes_share_it(monkeypatch: pytest.MonkeyPatch) -> None:
    config = CloudSegmentationConfig(losses={"ce": 1.0, "lovasz": 0.5})
    cloud_segmentation.build(config, dataset(), {0: 1})
    monkeypatch.setattr(cloud_segmentation, "world", lambda: 2)
    with pytest.raises(GeoadaptError, match=r"task\.losses\.lovasz: needs the whole batch, and 2 processes share it"):
        cloud_segmentation.build(config, dataset(), {0: 1})
    cloud_segmentation.build(CloudSegmentationConfig(losses={"ce": 1.0, "lovasz": 0.0}), dataset(), {0: 1})


def test_what_a_module_draws_depends_on_the_step_and_the_place_in_the_whole_batch(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Drawing(torch.nn.Module):
        def draw(self, *told: object) -> None:
            self.told = told

    config = TrainConfig(steps=1, batch=4, chip=32)
    batch, module = next(iter(make_loaders(dataset(), config, 0, world=2, rank=1).train)), Drawing()
    monkeypatch.setattr("geoadapt.training.feeding.world", lambda: 2)
    monkeypatch.setattr("geoadapt.training.feeding.rank", lambda: 1)
    draw(module, 5, 7, batch, 4)
    seed, step, positions, total = module.told
    assert (seed, step, list(positions), total) == (5, 7, [1, 3], 4)  # type: ignore[call-overload]
    draw(torch.nn.Identity(), 5, 7, batch, 4)


def test_alone_nothing_is_joined_or_summed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "x")
    monkeypatch.setenv("WORLD_SIZE", "1")
    processes.join("cpu")
    assert (processes.world(), processes.rank(), processes.local_world()) == (1, 0, 1)
    sums = torch.ones(2)
    assert processes.sum_over_processes(sums) is sums


def test_a_device_that_processes_cannot_share_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "TORCHELASTIC_RUN_ID": "x",
        "WORLD_SIZE": "2",
        "LOCAL_WORLD_SIZE": "2",
        "LOCAL_RANK": "0",
    }.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(GeoadaptError, match=r"runtime\.device: 'mps' is not for several processes"):
        processes.join("mps")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(GeoadaptError, match=r"2 processes on a machine with 1 cuda devices; choose --nproc-per-node 1"):
        processes.join("cuda")
