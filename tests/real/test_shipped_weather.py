"""The weather backbone that ships: its card is true, and on dates that it never saw it knows more than persistence."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch

from geoadapt.backbones.weights import fingerprint
from geoadapt.cli.compose import compose
from geoadapt.fields.history import forecast_batch
from geoadapt.shipped import FOLDER
from geoadapt.training.forecast_setting import forecaster_of, prepare

HOME = FOLDER / "small_wx"


def test_the_card_names_the_file_and_only_what_may_be_seen() -> None:
    card = json.loads((HOME / "card.json").read_text(encoding="utf-8"))
    weights = HOME / "small_wx.safetensors"
    assert card["sha256"] == fingerprint(weights) and weights.stat().st_size < 8e6
    real = [name for name in card["archives"] if not name.startswith("simulated")]
    allowed = ("ncep_", "air_temperature", "era5", "b003_TS")  # ncep_daily, wfde5_uk, era5, climate/control
    assert real and all(name.startswith(allowed) for name in real)
    assert card["command"].startswith("geoadapt train experiment=weather_pretraining") and card["loss_curve"]


def test_as_it_stands_it_beats_persistence_on_unseen_dates(data_dir: Path, tmp_path: Path) -> None:
    path = data_dir / "weather" / "ncep_daily" / "ncep_slp_natl_2001_2008.nc"
    words = ["experiment=slp_natl", f"data.path={path}", "data.test_years=[2008]", "adapter=none", "runtime.threads=1"]
    job = compose(words)
    setting = prepare(job, tmp_path)
    model = forecaster_of(job, setting.standard, setting.data.history.channels, setting.stepping).eval()
    history = setting.data.history
    places = history.samples(setting.data.val, 3, 1)[::9]
    batch = forecast_batch(history, places, 3, 1)
    assert batch.target is not None
    weights = torch.from_numpy(np.cos(np.deg2rad(history.latitude)))[:, None]
    with torch.inference_mode():
        said = model(batch)

    def error(states: torch.Tensor) -> float:
        assert batch.target is not None
        return float((((states - batch.target.values).double() ** 2) * weights).mean().sqrt())

    assert error(said) < 0.8 * error(batch.inputs["atmosphere"].values[:, -1:])
