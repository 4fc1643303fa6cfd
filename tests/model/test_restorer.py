"""The adapted model as a restorer: any backbone, several dates or each alone, radar beside, nothing invalid read."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from geoadapt.adapters.config import HeadOnlyConfig
from geoadapt.backbones.config import DlL8s2UvConfig, GalileoConfig, PmaaConfig
from geoadapt.bundle.restorer import restorer_inputs
from geoadapt.errors import GeoadaptError
from geoadapt.fields.series import Radar, Sample, Series, series_batch
from geoadapt.fields.types import Batch
from geoadapt.heads.config import ImageConfig, RemovalConfig
from geoadapt.model import build_model
from geoadapt.restorer import AdaptedRestorer, Seeing
from tests.tiny import tiny_backbone
from tests.training.small_series import CHANNELS, series

BACKBONES = {
    "small_eo": tiny_backbone(),
    "galileo_nano": GalileoConfig(random_weights=True),
    "dl_l8s2_uv": DlL8s2UvConfig(random_weights=True),
}


def with_radar(given: Series, seed: int = 0) -> Series:
    values = np.random.default_rng(seed).normal(-15, 3, (len(given.times), 2, 16, 16)).astype(np.float32)
    return replace(given, radar=Radar(values, given.times + np.timedelta64(2, "D"), ("vv", "vh")))


def batch(radar: bool = False, seed: int = 0) -> Batch:
    made = [series(f"place{n}", n, side=16) for n in range(2)]
    if radar:
        made = [with_radar(one, seed) for one in made]
    return series_batch([Sample(one, 3, np.zeros((16, 16), bool)) for one in made])


def restorer(name: str, **seeing: object) -> AdaptedRestorer:
    """As after some training: its head adds something to the composite."""
    inputs = restorer_inputs(torch.full((6,), 0.15), torch.full((6,), 0.1))
    model = build_model(BACKBONES[name], HeadOnlyConfig(), RemovalConfig(width=8), inputs, CHANNELS)
    torch.manual_seed(0)
    torch.nn.init.normal_(model.head.last.weight, std=0.5)  # type: ignore[union-attr, arg-type]
    return AdaptedRestorer(model, CHANNELS, Seeing(**{"frames": 4, **seeing})).eval()  # type: ignore[arg-type]


@pytest.mark.parametrize("together", [True, False])
@pytest.mark.parametrize("name", list(BACKBONES))
def test_every_backbone_restores_and_never_reads_what_is_invalid(name: str, together: bool) -> None:
    made, given = restorer(name, together=together), batch()
    field = given.inputs["optical"]
    assert field.valid is not None
    poisoned = replace(field, values=torch.where(field.valid, field.values, torch.nan))
    found, other = made.restore(given), made.restore(Batch({"optical": poisoned}))
    known = field.valid[:, :-1].any(1)
    assert found.scale is not None and found.image.shape == found.scale.shape == (2, 6, 16, 16)
    assert torch.equal(found.image.isfinite(), known) and (found.scale[known] > 0).all()
    assert torch.equal(found.image[known], other.image[known])


def test_the_scale_is_the_one_that_the_loss_was_taken_of() -> None:
    made, given = restorer("small_eo", together=False), batch()
    plain = made.restore(given).scale
    made.floor.fill_(0.5)
    made.factor.fill_(2.0)
    assert plain is not None
    torch.testing.assert_close(made.restore(given).scale, 2 * (plain + 0.5), equal_nan=True)


def test_a_backbone_of_single_dates_is_given_each_alone() -> None:
    made, given = restorer("small_eo", together=False), batch()
    seen = made.seen(given).inputs["optical"]
    assert seen.values.shape[:2] == (8, 1) and seen.times is not None
    assert torch.equal(seen.times.reshape(2, 4)[:, -1], given.inputs["optical"].times[:, -1])  # type: ignore[index]
    assert restorer("small_eo", together=True).seen(given).inputs["optical"].values.shape[:2] == (2, 4)


def test_channels_may_come_in_any_order() -> None:
    made, given = restorer("small_eo", together=False), batch()
    turned = given.inputs["optical"].select(tuple(reversed(CHANNELS)))
    assert torch.equal(made(given), made(Batch({"optical": turned})))
    with pytest.raises(GeoadaptError, match="missing"):
        made(Batch({"optical": given.inputs["optical"].select(CHANNELS[:3])}))


def test_radar_reaches_a_backbone_that_takes_it_and_no_other() -> None:
    one, two, none = batch(radar=True), batch(radar=True, seed=1), batch()
    assert "radar" in one.inputs
    galileo = restorer("galileo_nano")
    assert "sar" in galileo.seen(one).inputs
    with torch.no_grad():
        assert not torch.equal(galileo(one), galileo(two)) and not torch.equal(galileo(one), galileo(none))
        for made in (restorer("galileo_nano", radar=False), restorer("small_eo", together=False)):
            assert torch.equal(made(one), made(none))


def test_pmaa_and_its_last_layer_tell_brightness_by_the_same_three_dates() -> None:
    inputs = restorer_inputs(torch.full((6,), 0.15), torch.full((6,), 0.1))
    config = PmaaConfig(random_weights=True, width=2, channels=CHANNELS, scaling="sample")
    model = build_model(config, HeadOnlyConfig(), ImageConfig(scaling="sample"), inputs, CHANNELS)
    few, many = (AdaptedRestorer(model, CHANNELS, Seeing(frames=frames)).eval() for frames in (3, 6))
    assert len(series("place", 0, side=16).times) > 3
    with torch.no_grad():
        assert torch.equal(few(batch()), many(batch()))


def test_a_date_of_which_nothing_is_seen_leaves_pmaa_its_three_images() -> None:
    inputs = restorer_inputs(torch.full((6,), 0.15), torch.full((6,), 0.1))
    config = PmaaConfig(random_weights=True, width=2, channels=CHANNELS)
    model = build_model(config, HeadOnlyConfig(), ImageConfig(), inputs, CHANNELS)
    made = AdaptedRestorer(model, CHANNELS, Seeing(frames=3)).eval()
    field = batch().inputs["optical"]
    field = replace(field, values=field.values[:, -4:], valid=field.valid[:, -4:], times=field.times[:, -4:])  # type: ignore[index]
    assert field.valid is not None
    valid = torch.ones_like(field.valid)
    valid[:, -1] = False
    seen = made.seen(Batch({"optical": replace(field, valid=valid)})).inputs["optical"]
    assert seen.valid is not None and seen.values.shape[1] == 3 and bool(seen.valid.all())


@pytest.mark.parametrize("dates", [1, 2])
def test_too_few_dates_leave_missing_what_nobody_saw(dates: int) -> None:
    one = series("short", 5, side=16, dates=dates)
    given = series_batch([Sample(one, 0, np.zeros((16, 16), bool))])
    found = restorer("small_eo", together=False).restore(given)
    assert found.scale is not None
    if dates == 1:
        assert found.image.isnan().all() and found.scale.isnan().all()
    else:
        assert torch.equal(found.image[0, 0].isfinite(), torch.from_numpy(one.clear[1]))
