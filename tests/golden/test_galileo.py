from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from geoadapt.backbones.config import GalileoConfig
from geoadapt.backbones.galileo import SIZES, Galileo, build
from geoadapt.backbones.galileo_decoder import load_decoder
from geoadapt.backbones.galileo_inputs import GROUPS, Groups
from geoadapt.backbones.galileo_tokens import Encoded, mean_of_all, mean_per_patch
from geoadapt.backbones.vit_layers import resize_kernel, sine_table, square_positions
from geoadapt.backbones.weights import fingerprint
from tests.golden.vectors import Vectors, assert_close, cases

KINDS = {"space_time": "s_t", "space": "sp", "time": "t", "static": "st"}
DECODERS = ("decoder", "second_decoder")


def forward_cases(vectors: Vectors) -> Iterator[str]:
    yield from vectors.meta.get("cases", {})


def raw_cases(vectors: Vectors) -> Iterator[str]:
    names = vectors.names()
    yield from (c for c in vectors.meta.get("cases", {}) if any(n.startswith(f"{c}/raw/") for n in names))


def decoder_cases(vectors: Vectors) -> Iterator[str]:
    names = vectors.names()
    for case in vectors.meta.get("cases", {}):
        yield from (f"{case}-{d}" for d in DECODERS if any(n.startswith(f"{case}/out/{d}/") for n in names))


def named(prefix: str) -> Any:
    return lambda vectors: (n.replace("/", "-") for n in vectors.names() if n.startswith(prefix))


def size_name(vectors: Vectors, case: str) -> str:
    width = next(a.shape[-1] for n, a in vectors.arrays.items() if n.startswith(f"{case}/out/") and n.endswith("_x"))
    return next(name for name, size in SIZES.items() if size.width == width)


@lru_cache(maxsize=4)
def model(path: Path, name: str) -> Galileo:
    return build(GalileoConfig(name=name, weights=str(path)))


def weights_file(vectors: Vectors, case: str, weights_dir: Path, file: str) -> Path:
    path = weights_dir / size_name(vectors, case) / file
    assert fingerprint(path) == vectors.meta["weights_sha256"][file], f"{path} are not the weights of the vectors"
    return path


def group_index(vectors: Vectors, name: str) -> list[int]:
    return vectors.meta["groups"][GROUPS[name].kind][name]


def patch_masks(vectors: Vectors, case: str) -> dict[str, Tensor]:
    """Group → mask 0, 1, 2 per patch, dates before rows."""
    p = vectors.meta["cases"][case]["patch_size"]
    found: dict[str, Tensor] = {}
    for kind, short in KINDS.items():
        mask = torch.from_numpy(vectors.arrays[f"{case}/in/{short}_m"])
        if kind == "space_time":
            mask = mask[:, ::p, ::p].permute(0, 3, 1, 2, 4)
        elif kind == "space":
            mask = mask[:, ::p, ::p]
        for number, name in enumerate(vectors.meta["groups"][kind]):
            found[name] = mask[..., number]
    return found


def read_groups(vectors: Vectors, case: str) -> Groups:
    """The case's inputs as groups; groups that no sample sees are left out, as a Batch would leave them out."""
    values: dict[str, Tensor] = {}
    visible: dict[str, Tensor | None] = {}
    for name, mask in patch_masks(vectors, case).items():
        seen = mask == 0
        if not seen.any():
            continue
        kind = GROUPS[name].kind
        value = torch.from_numpy(vectors.arrays[f"{case}/in/{KINDS[kind]}_x"])[..., group_index(vectors, name)]
        if kind == "space_time":
            value = value.permute(0, 3, 4, 1, 2)
        elif kind == "space":
            value = value.permute(0, 3, 1, 2)
        values[name], visible[name] = value, None if bool(seen.all()) else seen
    return Groups(values, torch.from_numpy(vectors.arrays[f"{case}/in/months"]), visible)


def assemble(vectors: Vectors, case: str, tokens: dict[str, Tensor], absent: Tensor, kind: str) -> np.ndarray:
    """Tokens per group as the public code lays them out, (b, h, w, t, g, d) and so on."""
    masks = patch_masks(vectors, case)
    parts = [tokens.get(name, absent.expand(*masks[name].shape, len(absent))) for name in vectors.meta["groups"][kind]]
    stacked = torch.stack(parts, -2)
    return (stacked.permute(0, 2, 3, 1, 4, 5) if kind == "space_time" else stacked).numpy()


def encode(vectors: Vectors, case: str, weights_dir: Path) -> tuple[Galileo, Groups, Encoded, dict[str, Any]]:
    info = vectors.meta["cases"][case]
    path = weights_file(vectors, case, weights_dir, info["weights"])
    galileo = model(path, size_name(vectors, case))
    groups = read_groups(vectors, case)
    kwargs = dict(info.get("kwargs", {}))
    with torch.no_grad():
        encoded = galileo.encode(
            groups,
            info["patch_size"],
            info["input_resolution_m"],
            exit_after=kwargs.pop("exit_after", None),
            norm_on_exit=kwargs.pop("add_layernorm_on_exit", True),
            token_exits=kwargs.pop("token_exit_cfg", None),
        )
    assert not kwargs, f"options that this test does not know: {kwargs}"
    return galileo, groups, encoded, info


@pytest.mark.parametrize(("vectors", "case"), cases("galileo", forward_cases))
def test_every_token_is_that_of_the_public_code(vectors: Vectors, case: str, weights_dir: Path) -> None:
    galileo, groups, encoded, info = encode(vectors, case, weights_dir)
    normed = info.get("kwargs", {}).get("add_layernorm_on_exit", True)
    absent = galileo.norm.bias if normed else torch.zeros_like(galileo.norm.bias)
    atol = 1e-4 if normed else 3e-4
    compared = 0
    for kind, short in KINDS.items():
        got = assemble(vectors, case, encoded.tokens, absent, kind)
        if f"{case}/out/{short}_x" not in vectors.arrays:
            continue
        compared += 1
        wanted = vectors.arrays[f"{case}/out/{short}_x"]
        # without blocks the public code leaves projections of zeros at hidden places; nobody may read them
        if 0 in (info.get("kwargs", {}).get("exit_after"), *info.get("kwargs", {}).get("token_exit_cfg", {}).values()):
            hidden = vectors.arrays[f"{case}/out/{short}_m"] != 0
            got, wanted = np.where(hidden[..., None], 0, got), np.where(hidden[..., None], 0, wanted)
        assert_close(got, wanted, atol=atol, rtol=1e-4, what=f"{short}_x")
    assert compared, "the file holds no tokens for this case"
    if f"{case}/out/mean_all" in vectors.arrays:
        wanted = vectors.arrays[f"{case}/out/mean_all"]
        assert_close(mean_of_all(encoded), wanted, atol=atol, rtol=1e-4, what="mean_all")
    if f"{case}/out/mean_per_patch" in vectors.arrays:
        wanted = vectors.arrays[f"{case}/out/mean_per_patch"]
        assert_close(mean_per_patch(encoded).flatten(1, 2), wanted, atol=atol, rtol=1e-4, what="mean_per_patch")


@pytest.mark.parametrize(("vectors", "case"), cases("galileo", decoder_cases))
def test_decoders_predict_what_the_public_ones_do(vectors: Vectors, case: str, weights_dir: Path) -> None:
    case, _, name = case.rpartition("-")
    _, groups, encoded, info = encode(vectors, case, weights_dir)
    decoder = load_decoder(weights_file(vectors, case, weights_dir, f"{name}.pt"), size_name(vectors, case))
    masks = patch_masks(vectors, case)
    grid = tuple(masks["S1"].shape[-2:])
    with torch.no_grad():
        out = decoder(
            encoded,
            {group: mask == 2 for group, mask in masks.items()},
            groups.months,
            grid,
            info["patch_size"],
            info["input_resolution_m"],
        )
    for kind, short in KINDS.items():
        got = assemble(vectors, case, out, torch.zeros(SIZES[size_name(vectors, case)].width), kind)
        wanted = vectors.arrays[f"{case}/out/{name}/{short}_x"]
        assert_close(got, wanted, atol=3e-4, rtol=1e-4, what=f"{name} {short}_x")


@pytest.mark.parametrize(("vectors", "case"), cases("galileo", raw_cases))
def test_normalisation_gives_what_the_encoder_received(vectors: Vectors, case: str) -> None:
    compared = 0
    for name, group in GROUPS.items():
        short = KINDS[group.kind]
        if f"{case}/raw/{short}_x" not in vectors.arrays or name == "NDVI":
            continue
        index = group_index(vectors, name)
        raw = vectors.arrays[f"{case}/raw/{short}_x"][..., index]
        number = list(vectors.meta["groups"][group.kind]).index(name)
        seen = vectors.arrays[f"{case}/in/{short}_m"][..., number] == 0
        factor, offset = (np.array(v) for v in group.affine())
        unit = 1e4 if group.source == "optical" else 1.0
        wanted = vectors.arrays[f"{case}/in/{short}_x"][..., index][seen]
        assert_close((raw / unit * factor + offset)[seen], wanted, atol=1e-5, rtol=1e-5, what=name)
        compared += int(seen.sum())
    assert compared, "no visible value was compared"


@pytest.mark.parametrize(("vectors", "case"), cases("galileo", named("resized_kernel/")))
def test_kernels_resize_to_every_patch_size(vectors: Vectors, case: str, weights_dir: Path) -> None:
    wanted = vectors.arrays[case.replace("-", "/")]
    _, group, _ = case.split("-")
    name = next(n for n in SIZES if (weights_dir / n / "encoder.pt").is_file())
    layer = model(weights_dir / name / "encoder.pt", name).space_time_embed[group].proj
    got = resize_kernel(layer.weight, wanted.shape[-1])[: len(wanted)]
    assert_close(got, wanted, atol=1e-5, rtol=1e-4, what=case)


@pytest.mark.parametrize(("vectors", "case"), cases("galileo", named("encodings/")))
def test_encodings_follow_the_public_formulas(vectors: Vectors, case: str) -> None:
    wanted = vectors.arrays[case.replace("-", "/")]
    name = case.removeprefix("encodings-")
    width = wanted.shape[-1]
    if name.startswith("spatial_h"):
        height, ratio = name.removeprefix("spatial_h").split("_ratio")
        got = square_positions(int(height), int(height), width, float(ratio)).reshape(wanted.shape)
    elif name == "time":
        got = sine_table(torch.arange(len(wanted)), width, exponent=2 * width)
    else:
        assert name == "month"
        table = build(GalileoConfig(random_weights=True)).month_embed.weight
        got = table
    assert_close(got, wanted, atol=1e-5, rtol=1e-5, what=case)
