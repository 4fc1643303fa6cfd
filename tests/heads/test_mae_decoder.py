"""Prithvi-EO's decoder as a head: what the gap filler paints, with a scale, through training, bundle and back."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from geoadapt.adapters.config import LoraConfig
from geoadapt.backbones.config import GalileoConfig, PrithviEoConfig
from geoadapt.backbones.prithvi_eo_bands import BANDS
from geoadapt.backbones.prithvi_eo_gaps import build_gap_filler
from geoadapt.backbones.prithvi_eo_mae import build_mae
from geoadapt.bundle.restorer import load_restorer, restorer_inputs
from geoadapt.config import JobConfig, job_from_plain
from geoadapt.errors import GeoadaptError
from geoadapt.fields import DATASETS
from geoadapt.fields.features import Features
from geoadapt.fields.types import Batch, Field, ProjectedGrid
from geoadapt.heads.config import MaeDecoderConfig
from geoadapt.heads.mae_decoder import MaeDecoderHead
from geoadapt.model import build_model
from geoadapt.registry import Entry
from geoadapt.restorer import AdaptedRestorer, Seeing
from geoadapt.training import removal
from geoadapt.training.removal_setting import prepare, restorer_of
from geoadapt.training.run import train
from tests.training.small_series import CHANNELS, SmallSeriesConfig

SIZES: dict[str, Any] = {
    **{"patch_size": 4, "width": 32, "depth": 2, "heads": 2},
    **{"decoder_width": 32, "decoder_depth": 1, "decoder_heads": 2, "eps": 1e-6},
}
NAME = "prithvi_eo_v2_tiny_tl"


def tiny(**changes: Any) -> PrithviEoConfig:
    return PrithviEoConfig(**{"name": NAME, "random_weights": True, **SIZES, **changes})


def restorer(config: PrithviEoConfig, channels: tuple[str, ...] = BANDS) -> AdaptedRestorer:
    statistics = torch.full((len(channels),), 0.2)
    inputs = restorer_inputs(statistics, statistics / 4)
    model = build_model(config, LoraConfig(r=2), MaeDecoderConfig(), inputs, channels)
    return AdaptedRestorer(model, channels, Seeing(frames=3)).eval()


def batch(channels: tuple[str, ...] = BANDS, height: int = 24, width: int = 16) -> Batch:
    """Two places, four dates with other parts under cloud; a corner that no date shows."""
    generator = torch.Generator().manual_seed(4)
    values = torch.rand(2, 4, len(channels), height, width, generator=generator) * 0.4
    valid = torch.ones_like(values, dtype=torch.bool)
    for n in range(2):
        valid[n, -1, :, : 8 + 4 * n] = False
        valid[n, :-1, :, :3, :3] = False
        valid[n, n, :, :, 9:] = False
    times = torch.tensor([[20, 60, 80, 40]] * 2) * 86400 + 1_600_000_000
    grid = ProjectedGrid(30.0, torch.tensor([[45.0, 7.0], [-10.0, 20.0]]))
    return Batch({"optical": Field(torch.where(valid, values, 0.0), channels, valid, times, grid)})


def changed(given: Batch, **parts: Tensor) -> Batch:
    return Batch({"optical": replace(given.inputs["optical"], **parts)})  # type: ignore[arg-type]


@pytest.mark.parametrize(("name", "width"), [("prithvi_eo_v1_100", 16), (NAME, 16), (NAME, 76)])
def test_untrained_it_paints_what_the_gap_filler_paints(name: str, width: int) -> None:
    config, given = tiny(name=name), batch(width=width)
    made, filler = restorer(config), build_gap_filler(config, frames=3).eval()
    wanted, image = filler.restore(given).image, made.restore(given).image
    known = torch.ones_like(image, dtype=torch.bool)
    known[:, :, :3, :3] = False
    assert torch.equal(image.isfinite(), known), "missing where no other date shows a pixel, and nowhere else"
    torch.testing.assert_close(image[known], wanted[known], atol=1e-6, rtol=0)
    with torch.no_grad():
        torch.testing.assert_close(made(given)[:, 0, :6], filler(given)[:, 0], atol=1e-6, rtol=0)


def test_a_whole_checkpoint_gives_the_encoder_and_its_decoder(tmp_path: Path) -> None:
    whole = build_mae(tiny(seed=7))
    save_file({k: v.clone() for k, v in whole.state_dict().items()}, tmp_path / "whole.safetensors")
    stored = tiny(random_weights=False, weights=str(tmp_path / "whole.safetensors"))
    given = batch()
    with torch.no_grad():
        torch.testing.assert_close(restorer(stored)(given), restorer(tiny(seed=7))(given), atol=1e-6, rtol=0)
        # four of its six bands, in an order of their own
        few = ("nir", "blue", "green", "red")
        fewer = restorer(replace(stored, channels=few), few)
        layer, rows = fewer.model.head.decoder.decoder_pred, whole.decoder.decoder_pred  # type: ignore[union-attr]
        assert torch.equal(layer.bias.reshape(16, 4), rows.bias.reshape(16, 6)[:, [3, 0, 1, 2]])  # type: ignore[union-attr, operator]
        assert torch.equal(layer.weight[5], rows.weight[6])  # type: ignore[union-attr, index]
        assert fewer(batch(few)).shape == (2, 1, 8, 24, 16)
    encoder = {k: v.clone() for k, v in whole.state_dict().items() if k.startswith("encoder.")}
    save_file(encoder, tmp_path / "encoder.safetensors")
    with pytest.raises(GeoadaptError, match=r"encoder\.safetensors: holds the encoder without its decoder"):
        restorer(replace(stored, weights=str(tmp_path / "encoder.safetensors")))
    with pytest.raises(GeoadaptError, match=r"huggingface\.co/ibm-nasa-geospatial/Prithvi-EO-2\.0-tiny-TL"):
        restorer(replace(stored, weights=None))


def test_channels_come_in_the_order_of_the_data() -> None:
    swapped = ("swir16", "blue", "green", "red", "nir", "swir22")
    given, index = batch(), [4, 0, 1, 2, 3, 5]
    field = given.inputs["optical"]
    assert field.valid is not None
    other = Batch({"optical": replace(field, values=field.values[:, :, index], valid=field.valid[:, :, index])})
    other = changed(other, channels=swapped)  # type: ignore[arg-type]
    made, turned = restorer(tiny()), restorer(tiny(), swapped)
    made.model.head.expect(torch.arange(1.0, 7.0))  # type: ignore[operator]
    turned.model.head.expect(torch.arange(1.0, 7.0)[index])  # type: ignore[operator]
    torch.nn.init.normal_(made.model.head.scale.weight, std=0.1)  # type: ignore[union-attr, arg-type]
    turned.model.head.scale.load_state_dict(made.model.head.scale.state_dict())  # type: ignore[union-attr]
    with torch.no_grad():
        both = [*made(given)[:, 0].chunk(2, 1), *turned(other)[:, 0].chunk(2, 1)]
    torch.testing.assert_close(both[0][:, index], both[2])
    torch.testing.assert_close(both[1][:, index], both[3])


def test_nothing_is_painted_where_no_token_is_clear() -> None:
    given = batch()
    field = given.inputs["optical"]
    assert field.valid is not None
    valid = field.valid.clone()
    valid[0] = False
    valid[0, 0, :, ::2] = True
    found = restorer(tiny()).restore(changed(given, valid=valid))
    assert found.image[0].isnan().all() and found.scale is not None and found.scale[0].isnan().all()
    assert found.image[1, :, 4:].isfinite().all()


def test_its_scale_begins_at_the_expected_error_and_gradients_reach_adapter_and_decoder() -> None:
    made = restorer(tiny())
    made.model.head.expect(torch.arange(1.0, 7.0) / 100)  # type: ignore[operator]
    image, log = made(batch())[:, 0].chunk(2, 1)
    torch.testing.assert_close(log.exp().amax((0, 2, 3)), torch.arange(1.0, 7.0) / 100)
    torch.testing.assert_close(log.exp().amin((0, 2, 3)), torch.arange(1.0, 7.0) / 100)
    (image.square().mean() + (log * torch.rand_like(log)).mean()).backward()
    head = [n for n, p in made.model.head.named_parameters() if p.grad is None or not p.grad.any()]
    assert head == []
    assert any(p.grad is not None and p.grad.any() for p in made.model.attached.parameters())
    assert all(p.grad is None for n, p in made.model.backbone.named_parameters() if not p.requires_grad)


def test_what_it_cannot_do_is_refused() -> None:
    inputs = restorer_inputs(torch.full((6,), 0.2), torch.full((6,), 0.1))
    with pytest.raises(GeoadaptError, match="the backbone is galileo_nano; choose backbone=small_eo"):
        build_model(GalileoConfig(random_weights=True), LoraConfig(), MaeDecoderConfig(), inputs, BANDS)
    with pytest.raises(GeoadaptError, match=r"never shown \['cirrus'\]"):
        restorer(tiny(channels=("red", "cirrus")), ("red", "cirrus"))
    with pytest.raises(GeoadaptError, match=r"backbone\.response"):
        restorer(tiny(response="adjust"))
    for channels in (BANDS[:4], (*BANDS, "rededge1")):
        with pytest.raises(GeoadaptError, match=r"'mae_decoder' paints .*the data have .*backbone\.channels"):
            restorer(tiny(), channels)
    head = restorer(tiny()).model.head
    assert isinstance(head, MaeDecoderHead)
    with pytest.raises(GeoadaptError, match="takes no maps"):
        head(Features((torch.zeros(2, 1, 32, 6, 4),), (4,)), batch())


@pytest.fixture
def made_up() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(DATASETS, "small_series", Entry(SmallSeriesConfig, "tests.training.small_series:build"))
        yield


def job(precision: str = "fp32", **task: Any) -> JobConfig:
    return job_from_plain(
        {
            "backbone": {"name": NAME, "random_weights": True, **SIZES, "channels": CHANNELS},
            "adapter": {"name": "lora", "r": 2},
            "head": {"name": "mae_decoder"},
            "task": {"name": "cloud_removal", "frames": 3, "val_samples": 4, "test_samples": 4, **task},
            "data": {"name": "small_series"},
            "train": {
                **{"steps": 4, "batch": 2, "chip": 32, "val_every": 2, "bootstrap": 20, "lr": 1e-2},
                "controls": "linear,random_backbone,full_finetune",
            },
            "runtime": {"device": "cpu", "threads": 1, "precision": precision},
        }
    )


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_it_trains_and_its_bundle_restores_as_the_run_did(
    precision: str, tmp_path: Path, made_up: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    given, before, honest = batch(CHANNELS, 32, 32), {}, removal.KIND.score

    def watched(setting: Any, entries: Any) -> Any:
        before.update({who: entry.restorer.restore(given) for who, entry in entries.items()})
        return honest(setting, entries)

    monkeypatch.setattr(removal, "KIND", replace(removal.KIND, score=watched))
    metrics = train(job(precision), tmp_path, "geoadapt train head=mae_decoder").metrics
    assert metrics["test/mae/masked"] > 0 and metrics["test/scale_ratio/masked"] > 0
    again, first = load_restorer(tmp_path / "bundle").restore(given), before["test"]
    assert torch.equal(again.image.isnan(), first.image.isnan()) and bool(again.image.isnan().any())
    torch.testing.assert_close(again.image, first.image, atol=1e-5, rtol=0, equal_nan=True)
    torch.testing.assert_close(again.scale, first.scale, atol=1e-5, rtol=1e-4, equal_nan=True)
    untrained = build_gap_filler(replace(tiny(), channels=CHANNELS), frames=3).eval().restore(given).image
    assert (again.image - untrained).nan_to_num().abs().max() > 1e-3, "the fit changed nothing"


def test_all_dates_are_seen_together_whatever_the_backbone_was_shown(tmp_path: Path, made_up: None) -> None:
    setting = prepare(job(), tmp_path)
    assert restorer_of(setting, job()).seeing.together
    with pytest.raises(GeoadaptError, match=r"task\.together"):
        restorer_of(setting, job(together="no"))
