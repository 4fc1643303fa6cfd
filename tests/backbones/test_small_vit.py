from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from geoadapt.backbones.config import SmallVitConfig
from geoadapt.backbones.small_vit import MaskedAutoencoder, build, save
from geoadapt.errors import GeoadaptError
from geoadapt.fields.types import Batch, Field

CONFIG = SmallVitConfig(random_weights=True, width=32, depth=2, heads=2, window=4)
SIX = CONFIG.channels


def batch(b: int = 2, t: int = 1, h: int = 16, w: int = 16) -> Batch:
    torch.manual_seed(0)
    rows = torch.linspace(0, 0.6, h)[:, None].expand(h, w)
    return Batch({"optical": Field(rows + 0.05 * torch.rand(b, t, 6, h, w), SIX)})


def test_maps_have_the_declared_widths_and_strides() -> None:
    model = build(CONFIG)
    features = model(batch(2, 3, 20, 36))
    assert [tuple(m.shape) for m in features.maps] == [(2, 3, 32, 5, 9)] * 2
    assert features.strides == model.spec.strides
    assert not any(p.requires_grad for p in model.parameters())


def test_padding_of_windows_does_not_leak() -> None:
    model = build(CONFIG)
    field = batch(1, 1, 36, 16).inputs["optical"]
    whole = model(Batch({"optical": field})).maps[-1]
    tail = model(Batch({"optical": replace(field, values=field.values[..., 24:, :])})).maps[-1]
    torch.testing.assert_close(whole[..., 6:, :], tail, atol=1e-5, rtol=1e-4)


def test_missing_channels_and_invalid_pixels_read_as_average() -> None:
    model = build(CONFIG)
    field = batch().inputs["optical"]
    valid = torch.ones_like(field.values, dtype=torch.bool)
    valid[:, :, 4:] = False
    spoilt = torch.where(valid, field.values, float("nan"))
    hidden = model(Batch({"optical": replace(field, values=spoilt, valid=valid)})).maps[-1]
    absent = model(Batch({"optical": field.select(SIX[:4])})).maps[-1]
    assert torch.equal(hidden, absent)


def test_pretraining_learns_to_paint_what_is_hidden() -> None:
    autoencoder = MaskedAutoencoder(build(CONFIG))
    optimiser = torch.optim.AdamW(autoencoder.parameters(), lr=5e-3)
    generator = torch.Generator().manual_seed(0)
    losses = []
    for _ in range(25):
        loss = autoencoder.loss(batch(), generator)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert sum(losses[-5:]) < 0.5 * sum(losses[:5])


def test_invalid_values_do_not_enter_the_loss() -> None:
    autoencoder = MaskedAutoencoder(build(CONFIG))
    field = batch().inputs["optical"]
    valid = torch.ones_like(field.values, dtype=torch.bool)
    valid[..., :8, :] = False
    changed = torch.where(valid, field.values, 7.0)
    losses = [
        autoencoder.loss(Batch({"optical": replace(field, values=v, valid=valid)}), torch.Generator().manual_seed(1))
        for v in (field.values, changed)
    ]
    assert torch.equal(*losses)


def test_saved_weights_give_the_same_features_and_name_their_file(tmp_path: Path) -> None:
    model = build(CONFIG)
    save(model, tmp_path / "small_vit.safetensors")
    again = build(replace(CONFIG, random_weights=False, weights=str(tmp_path)))
    assert torch.equal(again(batch()).maps[-1], model(batch()).maps[-1])
    assert again.source == model.source


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (Batch({"sar": batch().inputs["optical"]}), "needs 'optical'"),
        (batch(h=18), "18 × 16 px is no multiple of 4 px"),
    ],
)
def test_what_does_not_fit_is_named(given: Batch, words: str) -> None:
    with pytest.raises(GeoadaptError) as caught:
        build(CONFIG)(given)
    assert words in str(caught.value)
