from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import torch
from torch import Tensor, nn

from geoadapt.config import RuntimeConfig, TrainConfig
from geoadapt.errors import GeoadaptError
from geoadapt.fields.loaders import augmentation_of, make_loaders
from geoadapt.fields.shifts import held_out
from geoadapt.fields.survey import survey
from geoadapt.fields.types import Batch
from geoadapt.tasks.cloud_segmentation import CloudSegmentation, build
from geoadapt.tasks.config import CloudSegmentationConfig
from geoadapt.training.fit_types import ParameterGroup
from geoadapt.training.loop import fit
from geoadapt.training.selection import ShiftedTask, selecting, validation_scores
from tests.training.small import dataset

CONFIG = TrainConfig(steps=4, batch=4, chip=32, val_every=2, select="crafted_shifts")
NAMES = tuple(s.name for s in held_out(augmentation_of(CONFIG)))


class Pixelwise(nn.Module):
    """A linear classifier of pixels."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Conv2d(6, 3, 1)

    def forward(self, batch: Batch) -> Tensor:
        return self.layer(batch.inputs["optical"].values[:, 0])[:, None]


def task() -> CloudSegmentation:
    data = dataset()
    return build(CloudSegmentationConfig(), data, survey(data).counts)


def test_the_score_is_the_mean_over_the_shifts_each_of_them_as_if_alone() -> None:
    own, data, module = task(), dataset(), Pixelwise()
    batches = list(make_loaders(data, CONFIG, 0).val)
    tally = selecting(own, CONFIG).tally()
    alone = {name: own.tally() for name in NAMES}
    with torch.no_grad():
        for batch in batches:
            tally.add(module(batch), batch)
            alone[batch.where[0].shift].add(module(batch), batch)
    found = tally.scores()
    each = [alone[name].scores()["miou"] for name in NAMES]
    assert [found[f"shift/{name}/miou"] for name in NAMES] == pytest.approx(each)
    assert found["miou"] == pytest.approx(sum(each) / len(each))
    plain = alone["plain"].scores()
    assert found["iou/cloud"] == pytest.approx(plain["iou/cloud"]) and found["loss"] == pytest.approx(plain["loss"])


def test_the_sums_of_two_processes_make_the_scores_of_one() -> None:
    own, data, module = selecting(task(), CONFIG), dataset(), Pixelwise()
    whole, parts = own.tally(), [own.tally() for _ in range(2)]
    with torch.no_grad():
        for batch in make_loaders(data, CONFIG, 0).val:
            whole.add(module(batch), batch)
        for rank, part in enumerate(parts):
            for batch in make_loaders(data, CONFIG, 0, world=2, rank=rank).val:
                part.add(module(batch), batch)
    together = own.tally()
    together.sums = parts[0].sums + parts[1].sums
    assert together.scores() == pytest.approx(whole.scores())


def test_without_it_the_task_is_chosen_as_before() -> None:
    own = task()
    assert selecting(own, replace(CONFIG, select="validation")) is own


def test_a_batch_of_no_known_shift_is_an_error_and_no_score() -> None:
    own = ShiftedTask(task(), NAMES)
    batch = next(iter(make_loaders(dataset(), replace(CONFIG, select="validation"), 0).val))
    with pytest.raises(GeoadaptError, match="train.select"):
        own.tally().add(Pixelwise()(batch), batch)


def test_a_fit_keeps_the_weights_of_the_best_mean_and_its_curves_name_every_shift(tmp_path: Path) -> None:
    module = Pixelwise()
    groups = [ParameterGroup(list(module.parameters()))]
    runtime = RuntimeConfig(device="cpu", precision="fp32")
    result = fit(module, groups, task(), dataset(), CONFIG, runtime, 0, tmp_path)
    table = pd.read_csv(result.curves)
    means = table["val/miou"].dropna()
    assert len(means) == 2 and result.best == pytest.approx(means.max(), abs=1e-6)
    each = table[[f"val/shift/{name}/miou" for name in NAMES]].dropna()
    assert each.mean(axis=1).tolist() == pytest.approx(means.tolist(), abs=1e-6)
    found = validation_scores(result.curves, result.best, "miou")
    assert set(found) == {"val_shifts_miou", "val_miou", *(f"val_shift_miou/{name}" for name in NAMES)}
    assert found["val_miou"] == found["val_shift_miou/plain"] and found["val_shifts_miou"] == result.best
    again = selecting(task(), CONFIG).tally()
    with torch.no_grad():
        for batch in make_loaders(dataset(), CONFIG, 0).val:
            again.add(module(batch), batch)
    assert again.scores()["miou"] == pytest.approx(result.best, abs=1e-6), "the module is left with other weights"


def test_a_plain_fit_says_only_its_validation_score(tmp_path: Path) -> None:
    curves = tmp_path / "curves.csv"
    curves.write_text("step,val/miou\n1,0.5\n3,0.7\n")
    assert validation_scores(curves, 0.7, "miou") == {"val_miou": 0.7}


def test_shifts_of_another_moment_are_not_said_to_be_those_of_the_best(tmp_path: Path) -> None:
    """The best weights came from a part of the fit whose curves lie in another folder."""
    curves = tmp_path / "curves.csv"
    curves.write_text("step,val/miou,val/shift/plain/miou\n4,0.5,0.6\n6,0.4,0.5\n")
    assert validation_scores(curves, 0.7, "miou") == {"val_shifts_miou": 0.7}
    assert validation_scores(curves, 0.5, "miou")["val_shift_miou/plain"] == 0.6
