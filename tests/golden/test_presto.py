from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from geoadapt.backbones.config import PrestoConfig
from geoadapt.backbones.galileo_inputs import LANDCOVER
from geoadapt.backbones.presto import Presto, build
from geoadapt.backbones.presto_decoder import load_decoder
from geoadapt.backbones.presto_inputs import GROUPS, PixelSeries, read_pixels
from geoadapt.backbones.presto_tokens import ORDER, Tokens
from geoadapt.backbones.told import unit_vector
from geoadapt.backbones.weights import fingerprint
from geoadapt.fields.types import Batch, Field
from tests.golden.vectors import Vectors, assert_close, cases

TOLERANCE = {"atol": 5e-5, "rtol": 1e-4}
CHANNELS = {
    "sar": {"vv": "VV", "vh": "VH"},
    "optical": {
        **{"blue": "B2", "green": "B3", "red": "B4", "rededge071": "B5", "rededge075": "B6", "rededge078": "B7"},
        **{"nir": "B8", "nir08": "B8A", "swir16": "B11", "swir22": "B12"},
    },
    "era5": {"2m_temperature": "temperature_2m", "total_precipitation": "total_precipitation"},
    "terrain": {"elevation": "elevation", "slope": "slope"},
}
"""Input → its channels by our names and the public ones."""


def network_cases(vectors: Vectors) -> Iterator[str]:
    yield from vectors.meta["cases"]


def raw_cases(vectors: Vectors) -> Iterator[str]:
    names = vectors.names()
    yield from (case for case in vectors.meta["cases"] if f"{case}/raw/x18" in names)


def builder_cases(vectors: Vectors) -> Iterator[str]:
    yield from sorted({name.split("/")[0] for name in vectors.names() if name.startswith("builder")})


@lru_cache(maxsize=2)
def model(path: Path) -> Presto:
    return build(PrestoConfig(weights=str(path)))


def weights_file(vectors: Vectors, weights_dir: Path) -> Path:
    path = weights_dir / "presto" / "default_model.pt"
    assert fingerprint(path) == vectors.meta["weights_sha256"], f"{path} are not the weights of the vectors"
    return path


def array(vectors: Vectors, case: str, name: str) -> Tensor:
    return torch.from_numpy(vectors.arrays[f"{case}/{name}"])


def told_months(given: Tensor, n: int, t: int) -> Tensor:
    """One start month for all, one for each sample, or every month, as (n, t)."""
    return given if given.ndim == 2 else (given.reshape(-1, 1) + torch.arange(t)).remainder(12).expand(n, t)


def series(vectors: Vectors, case: str) -> PixelSeries:
    x = array(vectors, case, "in/x")
    hidden = vectors.arrays.get(f"{case}/in/mask", np.zeros(x.shape, dtype=np.uint8)).astype(bool)
    groups = vectors.meta["groups"]
    assert list(groups) == list(GROUPS)
    lat, lon = array(vectors, case, "in/latlons").unbind(-1)
    return PixelSeries(
        {name: x[..., index] for name, index in groups.items()},
        told_months(array(vectors, case, "in/month"), *x.shape[:2]),
        {name: torch.from_numpy(~hidden[..., index].any(-1)) for name, index in groups.items()},
        array(vectors, case, "in/dynamic_world"),
        unit_vector(lat, lon),
    )


@pytest.mark.parametrize(("vectors", "case"), cases("presto", network_cases))
def test_embeddings_are_those_of_the_public_code(vectors: Vectors, case: str, weights_dir: Path) -> None:
    with torch.no_grad():
        got = model(weights_file(vectors, weights_dir)).embed(series(vectors, case))
    assert_close(got, vectors.arrays[f"{case}/out/embedding"], **TOLERANCE, what="embedding")


@pytest.mark.parametrize(("vectors", "case"), cases("presto", network_cases))
def test_every_token_is_that_of_the_public_code(vectors: Vectors, case: str, weights_dir: Path) -> None:
    with torch.no_grad():
        encoded = model(weights_file(vectors, weights_dir)).encode(series(vectors, case))
    assert encoded.seen is None or bool(encoded.seen[:, 0].all())
    if f"{case}/out/tokens" in vectors.arrays:
        wanted = vectors.arrays[f"{case}/out/tokens"]
        kept = array(vectors, case, "out/kept_indices") + 1
        index = torch.cat([torch.zeros_like(kept[:, :1]), kept], 1)
        taking = torch.ones(index.shape, dtype=torch.bool)
    else:
        wanted = vectors.arrays[f"{case}/out/tokens_padded"]
        index = array(vectors, case, "out/orig_indices")[:, : wanted.shape[1]]
        taking = array(vectors, case, "out/token_mask") == 0
    if encoded.seen is not None:
        assert torch.equal(encoded.seen.gather(1, index), taking)
        assert torch.equal(encoded.seen.sum(1), taking.sum(1))
    got = encoded.x.gather(1, index[..., None].expand(-1, -1, encoded.x.shape[-1]))
    assert_close(got[taking], wanted[taking.numpy()], **TOLERANCE, what="tokens")


@pytest.mark.parametrize(("vectors", "case"), cases("presto", network_cases))
def test_the_decoder_reconstructs_what_the_public_one_does(vectors: Vectors, case: str, weights_dir: Path) -> None:
    path, given = weights_file(vectors, weights_dir), series(vectors, case)
    with torch.no_grad():
        values, classes = load_decoder(path)(model(path).encode(given), given.months)
    assert_close(values, vectors.arrays[f"{case}/out/reconstruction"], **TOLERANCE, what="reconstruction")
    assert_close(classes, vectors.arrays[f"{case}/out/dw_logits"], **TOLERANCE, what="dw_logits")


@pytest.mark.parametrize(("vectors", "case"), cases("presto", network_cases))
def test_groups_that_no_pixel_has_may_as_well_be_left_out(vectors: Vectors, case: str, weights_dir: Path) -> None:
    path, given = weights_file(vectors, weights_dir), series(vectors, case)
    there = [name for name, seen in given.visible.items() if seen is not None and bool(seen.any())]
    less = PixelSeries({n: given.values[n] for n in there}, given.months, given.visible, given.classes, given.place)
    with torch.no_grad():
        encoded: Tokens = model(path).encode(less)
        got, values = model(path).embed(less), load_decoder(path)(encoded, given.months)[0]
    assert set(encoded.places) <= {"location", *ORDER}
    assert_close(got, vectors.arrays[f"{case}/out/embedding"], **TOLERANCE, what="embedding")
    assert_close(values, vectors.arrays[f"{case}/out/reconstruction"], **TOLERANCE, what="reconstruction")


@pytest.mark.parametrize(("vectors", "case"), cases("presto", raw_cases))
def test_physical_units_become_what_the_encoder_received(vectors: Vectors, case: str) -> None:
    raw = vectors.arrays[f"{case}/raw/x18"].transpose(1, 2, 0)
    bands = vectors.meta["bands"]
    classes = torch.from_numpy(vectors.arrays[f"{case}/in/dynamic_world"])
    fields = {}
    for name, channels in CHANNELS.items():
        index = [bands.index(public) for public in channels.values()]
        values = torch.from_numpy(raw[None, :, index, :, None].astype(np.float32))
        if name == "optical":
            values = values / 1e4
        fields[name] = Field(values if name != "terrain" else values[:, :1], tuple(channels))
    one_hot = torch.nn.functional.one_hot(classes.clamp(max=8), len(LANDCOVER))
    known = (classes < len(LANDCOVER)).T[None, :, None, :, None].expand(-1, -1, len(LANDCOVER), -1, -1)
    fields["landcover"] = Field(one_hot.permute(1, 2, 0)[None, ..., None].float(), LANDCOVER, known)
    got, _ = read_pixels(Batch(fields))
    wanted = vectors.arrays[f"{case}/in/x"]
    seen = vectors.arrays.get(f"{case}/in/mask", np.zeros(wanted.shape, dtype=np.uint8)) == 0
    for name, index in vectors.meta["groups"].items():
        dates = slice(0, 1) if name == "SRTM" else slice(None)
        taking = seen[:, dates, index]
        assert_close(
            got.values[name][torch.from_numpy(taking)], wanted[:, dates, index][taking], atol=1e-5, rtol=1e-5, what=name
        )
    assert got.classes is not None
    assert torch.equal(got.classes, classes)


@pytest.mark.parametrize(("vectors", "case"), cases("presto", builder_cases))
def test_what_is_not_given_is_hidden_as_in_the_public_code(vectors: Vectors, case: str) -> None:
    optical, sar, terrain = (array(vectors, case, f"in/{n}").float() for n in ("s2_B2B3B4B8", "s1", "srtm"))
    fields = {
        "optical": Field((optical / 1e4)[None, ..., None, None], ("blue", "green", "red", "nir")),
        "sar": Field(sar[None, ..., None, None], ("vv", "vh")),
        "terrain": Field(terrain[None, :1, ..., None, None], ("elevation", "slope")),
    }
    got, _ = read_pixels(Batch(fields))
    hidden = vectors.arrays[f"{case}/out/mask"].astype(bool)
    wanted = vectors.arrays[f"{case}/out/x"]
    for name, index in vectors.meta["groups"].items():
        assert (name not in got.values) == bool(hidden[:, index].any()), name
        if name in got.values:
            dates = slice(0, 1) if name == "SRTM" else slice(None)
            assert_close(got.values[name][0, dates], wanted[dates, index], atol=1e-5, rtol=1e-5, what=name)
    assert got.classes is None
    assert (vectors.arrays[f"{case}/out/dynamic_world"] == len(LANDCOVER)).all()
