from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from geoadapt.backbones.prithvi_eo_encoder import Encoder
from geoadapt.backbones.prithvi_eo_keys import decoder_state, encoder_state, fill
from geoadapt.backbones.prithvi_eo_layers import Layout, positions
from geoadapt.backbones.prithvi_eo_mae import Decoder, Painted, PrithviEoMae, patchify, unpatchify
from tests.golden.vectors import Vectors, assert_close, cases, of_family

ATOL, RTOL = 5e-5, 1e-4
TOLD = {
    "": (True, True),
    "_nocoords": (False, False),
    "_time_only": (True, False),
    "_loc_only": (False, True),
}
"""Suffix of a feature array → whether dates and places were passed."""


def pair(value: Any) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else tuple(value)


def layout(config: dict[str, Any]) -> Layout:
    patch = config["patch_size"]
    return Layout(
        width=config["embed_dim"],
        depth=config["depth"],
        heads=config["num_heads"],
        patch=(1, patch, patch) if isinstance(patch, int) else tuple(patch),
        frames=config["num_frames"],
        image=pair(config["img_size"]),
        channels=config["in_chans"],
        coords=tuple(config.get("coords_encoding") or ()),
        learn_scales=config.get("coords_scale_learn", False),
        decoder_width=config["decoder_embed_dim"],
        decoder_depth=config["decoder_depth"],
        decoder_heads=config["decoder_num_heads"],
        mlp_ratio=config["mlp_ratio"],
    )


@lru_cache(maxsize=4)
def stored_model(path: Path) -> PrithviEoMae:
    vectors = next(v for v in of_family("prithvi_eo") if v.path == path)
    config = vectors.meta["config"]
    state = {n.removeprefix("w/"): torch.from_numpy(a) for n, a in vectors.arrays.items() if n.startswith("w/")}
    sizes = layout(config)
    encoder, decoder = Encoder(sizes), Decoder(sizes)
    fill(encoder, encoder_state(state, encoder, path), path)
    fill(decoder, decoder_state(state, decoder), path)
    # the public code reads a ratio of 0 as its default
    hide = config.get("mask_ratio") or 0.75
    return PrithviEoMae(encoder, decoder, hide=hide, norm_target=config.get("norm_pix_loss", False)).eval()


def model(vectors: Vectors) -> PrithviEoMae:
    return stored_model(vectors.path)


def array(vectors: Vectors, name: str) -> Tensor | None:
    found = vectors.arrays.get(name)
    return None if found is None else torch.from_numpy(found)


def pixels(vectors: Vectors, size: str) -> Tensor:
    x = array(vectors, "in/x" + size)
    assert x is not None, f"no input in/x{size}"
    return x.unsqueeze(2) if x.ndim == 4 else x


def coords(vectors: Vectors, size: str, told: tuple[bool, bool]) -> tuple[Tensor | None, Tensor | None]:
    """Years with days and places of the input of this size: its own, or the first input's where their shapes fit."""
    x = pixels(vectors, size)
    year_day, lat_lon = (
        array(vectors, name + size if name + size in vectors.arrays else name)
        for name in ("in/temporal_coords", "in/location_coords")
    )
    fit = year_day is None or year_day.shape[:2] == (x.shape[0], x.shape[2])
    fit = fit and (lat_lon is None or len(lat_lon) == len(x))
    return year_day if told[0] and fit else None, lat_lon if told[1] and fit else None


def whole(vectors: Vectors) -> Iterator[str]:
    yield "mae"


def feature_cases(vectors: Vectors) -> Iterator[str]:
    yield from (n.replace("/", "-") for n in vectors.names() if n.startswith("feat"))


def image_cases(vectors: Vectors) -> Iterator[str]:
    yield from (n.replace("/", "-") for n in vectors.names() if n.startswith("image_feat"))


def position_cases(vectors: Vectors) -> Iterator[str]:
    yield from (n.replace("/", "-") for n in vectors.names() if n.startswith("pos"))


def coordinate_cases(vectors: Vectors) -> Iterator[str]:
    yield from (n.replace("/", "-") for n in vectors.names() if n.startswith("enc/"))


def split_suffix(suffix: str) -> tuple[tuple[bool, bool], str]:
    """What was told and the size, from the end of an array's name, such as ``_time_only`` or ``_T2_48x24``."""
    for name, told in TOLD.items():
        if name and suffix.startswith(name):
            return told, suffix.removeprefix(name)
    return (True, True), suffix


def features(vectors: Vectors, suffix: str) -> list[Tensor]:
    told, size = split_suffix(suffix)
    x = pixels(vectors, size)
    year_day, lat_lon = coords(vectors, size, told)
    with torch.no_grad():
        return model(vectors).encoder.encode(x, year_day, lat_lon)


@pytest.mark.parametrize(("vectors", "case"), cases("prithvi_eo", feature_cases))
def test_every_blocks_tokens_are_those_of_the_public_code(vectors: Vectors, case: str) -> None:
    group, _, which = case.partition("-")
    got = features(vectors, group.removeprefix("feat"))
    number = len(got) - 1 if which == "last" else int(which)
    assert_close(got[number], vectors.arrays[f"{group}/{which}"], atol=ATOL, rtol=RTOL, what=case)


@pytest.mark.parametrize(("vectors", "case"), cases("prithvi_eo", image_cases))
def test_maps_fold_time_into_channels_as_the_public_code_does(vectors: Vectors, case: str) -> None:
    group, _, which = case.partition("-")
    suffix = group.removeprefix("image_feat")
    encoder = model(vectors).encoder
    got = features(vectors, suffix)
    tokens = got[len(got) - 1 if which == "last" else int(which)][:, 1:]
    grid = encoder.grid(pixels(vectors, split_suffix(suffix)[1]))
    maps = tokens.unflatten(1, grid).movedim(-1, 2).flatten(1, 2)
    assert_close(maps, vectors.arrays[f"{group}/{which}"], atol=ATOL, rtol=RTOL, what=case)


@pytest.mark.parametrize(("vectors", "case"), cases("prithvi_eo", position_cases))
def test_positions_are_interpolated_as_in_the_public_code(vectors: Vectors, case: str) -> None:
    wanted = vectors.arrays[case.replace("-", "/")]
    sizes = layout(vectors.meta["config"])
    frames = re.search(r"T(\d+)", case)
    size = re.search(r"(\d+)x(\d+)", case)
    t = int(frames[1]) if frames else sizes.frames
    height, width = (int(size[1]), int(size[2])) if size else sizes.image
    grid = (t // sizes.patch[0], height // sizes.patch[1], width // sizes.patch[2])
    got = positions(sizes.grid, grid, wanted.shape[-1])
    assert_close(got, wanted, atol=1e-5, rtol=1e-5, what=case)


@pytest.mark.parametrize(("vectors", "case"), cases("prithvi_eo", coordinate_cases))
def test_dates_and_places_are_encoded_as_in_the_public_code(vectors: Vectors, case: str) -> None:
    wanted = vectors.arrays[case.replace("-", "/")]
    encoder = model(vectors).encoder
    with torch.no_grad():
        if case == "enc-temporal":
            told = encoder.temporal_embed_enc(array(vectors, "in/temporal_coords"))
            got = told.repeat_interleave(wanted.shape[1] // told.shape[1], 1)
        else:
            assert case == "enc-location"
            got = encoder.location_embed_enc(array(vectors, "in/location_coords"))[:, None]
    assert_close(got, wanted, atol=1e-5, rtol=1e-4, what=case)


def paint(vectors: Vectors, *, norm_target: bool | None = None) -> tuple[PrithviEoMae, Painted, Tensor]:
    mae = model(vectors)
    if norm_target is not None:
        mae = PrithviEoMae(mae.encoder, mae.decoder, hide=mae.hide, norm_target=norm_target).eval()
    x = pixels(vectors, "")
    year_day, lat_lon = coords(vectors, "", (True, True))
    with torch.no_grad():
        return mae, mae(x, year_day, lat_lon, noise=array(vectors, "mae/noise")), x


@pytest.mark.parametrize(("vectors", "case"), cases("prithvi_eo", whole))
def test_the_autoencoder_paints_what_the_public_one_does(vectors: Vectors, case: str) -> None:
    mae, painted, x = paint(vectors)
    encoder = mae.encoder
    frames = vectors.arrays["in/x"].ndim == 5
    grid, patch = encoder.grid(x), encoder.layout.patch
    picture = unpatchify(painted.tokens, grid, patch)
    mask = unpatchify(painted.mask[..., None].expand(-1, -1, int(np.prod(patch))), grid, patch)[:, 0]
    got = {
        "latent": painted.latent,
        "mask_tokens": painted.mask,
        "ids_restore": painted.restore,
        "pred_tokens": painted.tokens,
        "pred": picture if frames else picture.squeeze(2),
        "mask": mask if frames else mask.squeeze(1),
        "loss": painted.loss,
    }
    stored = {n.removeprefix("mae/") for n in vectors.arrays if n.startswith("mae/")} - {"noise"}
    assert stored <= set(got), f"arrays that this test does not know: {stored - set(got)}"
    assert {"pred", "loss"} <= stored
    for name in sorted(stored):
        assert_close(got[name], vectors.arrays[f"mae/{name}"], atol=ATOL, rtol=RTOL, what=name)
    if "mae_normpix/loss" in vectors.arrays:
        _, painted, _ = paint(vectors, norm_target=True)
        assert_close(painted.loss, vectors.arrays["mae_normpix/loss"], atol=ATOL, rtol=RTOL, what="normpix loss")
    if "patchify/x" in vectors.arrays:
        assert_close(patchify(x, patch), vectors.arrays["patchify/x"], atol=0, rtol=0, what="patchify")
