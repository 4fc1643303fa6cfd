"""A head that begins with a linear model says what that model says."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from geoadapt.errors import GeoadaptError
from geoadapt.fields import DATASETS
from geoadapt.fields.samples_loaders import WholeSamples
from geoadapt.heads.config import PooledConfig
from geoadapt.heads.pooled import pool
from geoadapt.registry import Entry
from geoadapt.training.labelled_linear import begin_with_linear, fit_vectors
from geoadapt.training.labelled_setting import build_for, prepare
from tests.fields.small_samples import SmallSamplesConfig
from tests.training.test_labelled import job


@pytest.mark.parametrize("kind", ["class", "labels", "value"])
def test_the_head_begins_with_the_linear_model(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(DATASETS, "small_samples", Entry(SmallSamplesConfig, "tests.fields.small_samples:build"))
    setting = prepare(job(kind), tmp_path)
    model, data, task = build_for(setting, setting.job).eval(), setting.data, setting.task

    def vectors(batch):
        with torch.no_grad():
            return model.head.norm(pool(model.backbone(batch)))

    begin_with_linear(model, data, data.train, task, 0, "cpu")
    linear = fit_vectors(vectors, data, [data.train], outputs=task.outputs, multiple=model.spec.multiple, seed=0)
    for _, batch in WholeSamples(data.test, data, 8, model.spec.multiple):
        with torch.no_grad():
            said = task.predict(model(batch))[:, 0, :, 0, 0]
            assert torch.allclose(said, linear(vectors(batch)), rtol=1e-4, atol=1e-3)


def test_other_beginnings_are_unknown():
    with pytest.raises(GeoadaptError, match=r"head\.start"):
        PooledConfig(start="probe")
