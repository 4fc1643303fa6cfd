from __future__ import annotations

import pytest
import torch
from torch import nn

from geoadapt.adapters.config import HeadOnlyConfig
from geoadapt.backbones.config import GalileoConfig, PrithviEoConfig, SmallEoConfig
from geoadapt.cubes.responses import adjust
from geoadapt.errors import GeoadaptError
from geoadapt.fields.response import respond
from geoadapt.fields.types import Batch, Field
from geoadapt.heads.config import LinearConfig
from geoadapt.heads.inputs import HeadInputs
from geoadapt.model import build_model, image_batch

SIX = ("blue", "green", "red", "nir", "swir16", "swir22")


def field(sensors: tuple[str | None, ...] | None, valid: torch.Tensor | None = None) -> Field:
    values = torch.rand(3, 1, 6, 8, 8, generator=torch.Generator().manual_seed(0))
    return Field(values, SIX, valid, sensor=sensors)


def test_each_sample_is_brought_from_its_own_sensor() -> None:
    before = field(("landsat7", "sentinel2", None))
    after = respond(Batch({"optical": before}), "sentinel2").inputs["optical"]
    expected = adjust(before.values[0, 0].numpy(), SIX, "landsat7", "sentinel2")
    torch.testing.assert_close(after.values[0, 0], torch.from_numpy(expected))
    assert torch.equal(after.values[1:], before.values[1:]), "the right sensor and an unknown one stay as they are"
    assert after.sensor == ("sentinel2", "sentinel2", None)


def test_done_twice_it_changes_nothing_more() -> None:
    once = respond(Batch({"optical": field(("landsat7",) * 3)}), "landsat8")
    assert torch.equal(respond(once, "landsat8").inputs["optical"].values, once.inputs["optical"].values)


def test_missing_values_stay_what_they_are() -> None:
    valid = torch.ones(3, 1, 6, 8, 8, dtype=torch.bool)
    valid[:, :, 2, :4] = False
    before = field(("landsat7",) * 3, valid)
    after = respond(Batch({"optical": before}), "sentinel2").inputs["optical"]
    assert torch.equal(after.values[~valid], before.values[~valid])
    assert not torch.equal(after.values[valid], before.values[valid])


@pytest.mark.parametrize("sensors", [None, ("planet", None, "planet")])
def test_nothing_is_known_so_nothing_is_done(sensors: tuple[str | None, ...] | None) -> None:
    batch = Batch({"optical": field(sensors)})
    assert respond(batch, "sentinel2").inputs["optical"] is batch.inputs["optical"]
    assert respond(batch, None) is batch


def test_every_sample_has_its_sensor_or_none_has() -> None:
    with pytest.raises(GeoadaptError, match="2 sensors for 3 samples"):
        field(("landsat7", "landsat7"))


def model(config: object) -> nn.Module:
    inputs = HeadInputs(3, torch.zeros(6), torch.ones(6))
    return build_model(config, HeadOnlyConfig(), LinearConfig(), inputs, SIX).eval()


def test_a_model_that_adjusts_gives_for_landsat_what_it_gives_for_the_same_scene_on_its_own_bands() -> None:
    values = torch.rand(2, 6, 16, 16, generator=torch.Generator().manual_seed(1))
    moved = torch.from_numpy(adjust(values.numpy(), SIX, "landsat7", "sentinel2"))
    plain, adjusting = (model(GalileoConfig(random_weights=True, response=r)) for r in ("none", "adjust"))
    with torch.no_grad():
        wanted = plain(image_batch(moved, None, SIX))
        torch.testing.assert_close(adjusting(image_batch(values, None, SIX, sensor="landsat7")), wanted)
        assert torch.equal(
            plain(image_batch(values, None, SIX, sensor="landsat7")), plain(image_batch(values, None, SIX))
        )


def test_what_was_trained_on_several_sensors_has_no_bands_to_adjust_to() -> None:
    with pytest.raises(GeoadaptError, match="small_eo was pre-trained on no one sensor"):
        model(SmallEoConfig(random_weights=True, response="adjust"))
    tiny = PrithviEoConfig(random_weights=True, response="adjust", width=48, depth=2, heads=3)
    assert model(tiny).sensor == "hls_l30"


def test_a_mistyped_response_is_told_the_right_one() -> None:
    with pytest.raises(GeoadaptError, match="adjust"):
        GalileoConfig(response="ajust")
