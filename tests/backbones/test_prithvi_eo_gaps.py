"""Gap filling with Prithvi-EO's autoencoder: each sample keeps exactly its own clear tokens."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import Any

import pytest
import torch
from torch import Tensor

from geoadapt.backbones.config import PrithviEoConfig
from geoadapt.backbones.prithvi_eo_bands import BANDS
from geoadapt.backbones.prithvi_eo_encoder import Encoder
from geoadapt.backbones.prithvi_eo_gaps import HLS_MEAN, HLS_STD, PrithviGapFiller, build_gap_filler, statistics
from geoadapt.backbones.prithvi_eo_layers import Layout
from geoadapt.backbones.prithvi_eo_mae import Decoder, PrithviEoMae
from geoadapt.errors import GeoadaptError
from geoadapt.fields.types import Batch, Field, ProjectedGrid

DAY = 86400
SIZES: dict[str, Any] = {
    "patch_size": 4,
    "width": 32,
    "depth": 3,
    "heads": 2,
    "decoder_width": 32,
    "decoder_depth": 2,
    "decoder_heads": 2,
}
NAMES = ("prithvi_eo_v1_100", "prithvi_eo_v2_300", "prithvi_eo_v2_tiny_tl", "prithvi_eo_v2_100_tl")
ALL = (*NAMES, "prithvi_eo_v2_300_tl", "prithvi_eo_v2_600", "prithvi_eo_v2_600_tl")


@lru_cache(maxsize=16)
def filler(name: str = "prithvi_eo_v1_100", per_sample: bool = True) -> PrithviGapFiller:
    config = PrithviEoConfig(name=name, random_weights=True, **SIZES)
    return build_gap_filler(config, per_sample=per_sample).eval()


def batch(b: int = 3, t: int = 4, h: int = 24, w: int = 16, seed: int = 0) -> Batch:
    """Samples with more clouds from one to the next; the last frame is not the last date."""
    generator = torch.Generator().manual_seed(seed)
    values = torch.rand(b, t, 6, h, w, generator=generator) * 0.4
    valid = torch.ones_like(values, dtype=torch.bool)
    for n in range(b):
        valid[n, -1, :, : 4 * (n + 1) + 1] = False
        valid[n, 0, :, :, : 4 * n + 2] = False
    times = torch.tensor([[20, 60, 80, 40][:t]] * b) * DAY + 1_600_000_000
    grid = ProjectedGrid(30.0, torch.tensor([[45.0, 7.0]] * b))
    return Batch({"optical": Field(torch.where(valid, values, 0.0), BANDS, valid, times, grid)})


def changed(given: Batch, **parts: Tensor) -> Batch:
    return Batch({"optical": replace(given.inputs["optical"], **parts)})  # type: ignore[arg-type]


def only(given: Batch, n: int) -> Batch:
    field = given.inputs["optical"]
    assert field.valid is not None and field.times is not None and isinstance(field.grid, ProjectedGrid)
    assert field.grid.centre is not None
    grid = ProjectedGrid(30.0, field.grid.centre[n : n + 1])
    part = slice(n, n + 1)
    return Batch({"optical": Field(field.values[part], BANDS, field.valid[part], field.times[part], grid)})


@pytest.mark.parametrize("name", ALL)
def test_a_batch_gives_what_its_samples_give_alone(name: str) -> None:
    model, given = filler(name), batch()
    with torch.no_grad():
        together = model(given)
        assert together.shape == (3, 1, 6, 24, 16) and together.isfinite().all()
        for n in range(3):
            torch.testing.assert_close(together[n : n + 1], model(only(given, n)), atol=1e-5, rtol=0)
    assert torch.equal(model.restore(given).image, together[:, 0])


def test_the_published_count_of_sample_0_changes_the_other_samples() -> None:
    given = batch()
    mended, published = filler(), filler(per_sample=False)
    with torch.no_grad():
        good, bad = mended(given), published(given)
    torch.testing.assert_close(good[0], bad[0], atol=1e-5, rtol=0)
    assert ((good[1:] - bad[1:]).abs().amax((1, 2, 3, 4)) > 1e-4).all()
    alike = changed(given, valid=given.inputs["optical"].valid[:1].expand(3, -1, -1, -1, -1))  # type: ignore[index]
    with torch.no_grad():
        torch.testing.assert_close(mended(alike), published(alike), atol=1e-5, rtol=0)


def test_what_is_cloudy_has_no_influence_and_what_is_clear_has() -> None:
    given = batch()
    field = given.inputs["optical"]
    assert field.valid is not None
    noise = torch.rand(field.values.shape, generator=torch.Generator().manual_seed(5))
    with torch.no_grad():
        before = filler()(given)
        hidden = filler()(changed(given, values=torch.where(field.valid, field.values, noise)))
        assert torch.equal(before, hidden)
        one_value = field.values.clone()
        one_value[0, 1, 2, 20, 10] += 0.3
        assert not torch.equal(filler()(changed(given, values=one_value))[0], before[0])
        # its token is cloudy in one band of one pixel, so that the rest of it is hidden as well
        valid = field.valid.clone()
        valid[0, 1, 5, 21, 11] = False
        masked = filler()(changed(given, values=one_value, valid=valid))
        torch.testing.assert_close(masked, filler()(changed(given, valid=valid)), atol=0, rtol=0)


def test_the_restored_frame_is_painted_at_its_own_date() -> None:
    given = batch(1, 3)
    field = given.inputs["optical"]
    assert field.times is not None and field.valid is not None
    order = [1, 0, 2]
    shuffled = changed(given, values=field.values[:, order], valid=field.valid[:, order], times=field.times[:, order])
    with torch.no_grad():
        assert torch.equal(filler()(given), filler()(shuffled)), "frames are put in order of date"
        first = changed(given, times=field.times - torch.tensor([0, 0, 75 * DAY]))
        assert not torch.allclose(filler()(given), filler()(first)), "the hidden frame has another place in time"
        undated = Batch({"optical": replace(field, times=None)})
        assert filler()(undated).shape == (1, 1, 6, 24, 16)


def test_it_equals_the_autoencoder_where_nothing_can_differ() -> None:
    model, given = filler(), batch(1, 3)
    field = given.inputs["optical"]
    assert field.valid is not None
    ascending = changed(given, times=torch.tensor([[20, 40, 60]]) * DAY)
    pixels = (field.values * 1e4 - torch.tensor(HLS_MEAN)[:, None, None]) / torch.tensor(HLS_STD)[:, None, None]
    pixels = torch.where(field.valid, pixels, 1e-4).transpose(1, 2)
    clear = field.valid.transpose(1, 2).unflatten(-2, (6, 4)).unflatten(-1, (4, 4))  # type: ignore[no-untyped-call]
    clear = clear.all(-1).all(-2).all(1).flatten(1)
    mae = PrithviEoMae(model.mae.encoder, model.mae.decoder, hide=1 - int(clear.sum()) / clear.shape[1] - 1e-9)
    with torch.no_grad():
        painted = mae(pixels, noise=(~clear).float() + torch.arange(clear.shape[1]) * 1e-4)
        tokens = painted.tokens.reshape(1, 3, 6, 4, 4, 4, 6)[:, -1].permute(0, 5, 1, 3, 2, 4).reshape(1, 6, 24, 16)
        wanted = (tokens * torch.tensor(HLS_STD)[:, None, None] + torch.tensor(HLS_MEAN)[:, None, None]) / 1e4
        torch.testing.assert_close(model(ascending)[:, 0], wanted, atol=1e-5, rtol=0)


def test_any_size_and_any_number_of_frames_and_of_clear_tokens() -> None:
    with torch.no_grad():
        for shape in ((2, 1, 5, 7), (1, 2, 60, 59), (2, 5, 9, 4)):
            given = batch(2, min(shape[1], 4), *shape[2:])
            assert filler()(given).shape == (2, 1, 6, *shape[2:])
        given = batch(3, 3, 12, 12)
        valid = torch.stack([torch.zeros(3, 6, 12, 12), torch.ones(3, 6, 12, 12), torch.ones(3, 6, 12, 12)]).bool()
        valid[2, -1, :, :4] = False
        mixed = changed(given, valid=valid)
        made = filler().restore(mixed).image
        assert made[0].isnan().all(), "nothing was clear, so nothing is known"
        assert made[1:].isfinite().all()
        for n in (1, 2):
            torch.testing.assert_close(made[n], filler().restore(only(mixed, n)).image[0], atol=1e-5, rtol=0)


def test_an_image_larger_than_those_of_the_pre_training_is_painted_in_squares() -> None:
    given = batch(2, 3, 24, 16)
    field = given.inputs["optical"]
    assert field.valid is not None
    values, valid = (x.repeat(1, 1, 1, 1, 5)[..., :76] for x in (field.values, field.valid))
    with torch.no_grad():
        made = filler()(changed(given, values=values, valid=valid))
        left = filler()(changed(given, values=values[..., :56], valid=valid[..., :56]))
    assert made.shape == (2, 1, 6, 24, 76)
    torch.testing.assert_close(made[..., :20], left[..., :20], atol=1e-5, rtol=0)


def test_it_learns_to_fill_a_gap_and_gradients_reach_encoder_and_decoder() -> None:
    config = PrithviEoConfig(name="prithvi_eo_v1_100", random_weights=True, **SIZES)
    model, given = build_gap_filler(config), batch()
    truth = torch.full((3, 1, 6, 24, 16), 0.2)
    optimiser = torch.optim.AdamW(model.parameters(), lr=3e-3)
    losses = []
    for _ in range(12):
        optimiser.zero_grad()
        loss = (model(given) - truth).abs().mean()
        loss.backward()
        losses.append(loss.item())
        optimiser.step()
    assert losses[-1] < 0.5 * losses[0]
    used = [p.grad is not None and bool(p.grad.abs().sum() > 0) for p in model.parameters()]
    assert all(used)


def test_channels_may_be_fewer_or_called_nir_and_missing_ones_are_named() -> None:
    config = PrithviEoConfig(name="prithvi_eo_v1_100", random_weights=True, channels=("red", "nir"), **SIZES)
    model = build_gap_filler(config).eval()
    assert model.channels == ("red", "nir")
    assert statistics(model.channels) == ((HLS_MEAN[2], HLS_MEAN[3]), (HLS_STD[2], HLS_STD[3]))
    with torch.no_grad():
        assert model(batch()).shape == (3, 1, 2, 24, 16)
    given = batch()
    with pytest.raises(GeoadaptError, match=r"\['swir22'\] are missing"):
        filler()(Batch({"optical": given.inputs["optical"].select(BANDS[:5])}))
    with pytest.raises(GeoadaptError, match="never shown"):
        build_gap_filler(replace(config, channels=("red", "cirrus")))
    with pytest.raises(GeoadaptError, match="1 or more"):
        PrithviGapFiller(model.mae, frames=0)
    layout = Layout(32, 1, 2, (1, 4, 4), 1, (8, 8), decoder_width=32, decoder_depth=1, decoder_heads=2)
    with pytest.raises(GeoadaptError, match="build_mae"):
        PrithviGapFiller(PrithviEoMae(Encoder(layout), Decoder(layout)))
