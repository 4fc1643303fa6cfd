from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from geoadapt.backbones.pmaa_network import Discriminator, Generator, teacher
from tests.golden.vectors import Vectors, assert_close, cases, of_family

ATOL, RTOL = 2e-5, 1e-4


def tensors(vectors: Vectors, prefix: str) -> dict[str, Tensor]:
    found = vectors.arrays.items()
    return {name.removeprefix(prefix): torch.from_numpy(a) for name, a in found if name.startswith(prefix)}


def norm(meta: dict[str, Any]) -> str:
    return "instance" if meta["replace_batchnorm_with_instancenorm"] else "batch"


@lru_cache(maxsize=2)
def generated(path: Path) -> dict[str, Tensor]:
    """Everything that is stored of a run of the generator, under the same names."""
    vectors = next(v for v in of_family("pmaa") if v.path == path)
    meta = vectors.meta
    model = Generator(meta["in_bands"], meta["out_channels"], meta["hidden_channels"], norm=norm(meta)).eval()
    model.load_state_dict(tensors(vectors, "w/"), strict=True)
    seen: dict[str, Tensor] = {}
    dates = 0

    def keep(name: str) -> Any:
        def hook(module: nn.Module, inputs: tuple[Tensor, ...], output: Any) -> None:
            nonlocal dates
            if name == "feature_extractor":
                seen[f"mid/{name}{dates}"] = output[1]
                dates += 1
            else:
                seen[f"mid/{name}"] = output

        return hook

    for name, module in model.named_modules():
        if name:
            module.register_forward_hook(keep(name))
    with torch.no_grad():
        image, masks, images = model(torch.from_numpy(vectors.arrays["in/x"]))
    seen["out/y"] = image
    seen |= {f"out/mask{i}": mask for i, mask in enumerate(masks)}
    return seen | {f"out/aux{i}": aux for i, aux in enumerate(images)}


def stored(vectors: Vectors) -> Iterator[str]:
    yield from (n.replace("/", "-") for n in vectors.names() if n.startswith(("out/", "mid/")))


@pytest.mark.parametrize(("vectors", "case"), cases("pmaa", stored))
def test_the_generator_gives_what_the_public_one_does(vectors: Vectors, case: str) -> None:
    name = case.replace("-", "/", 1)
    got = generated(vectors.path)
    assert name in got, f"an array that this test does not know: {name}"
    assert_close(got[name], vectors.arrays[name], atol=ATOL, rtol=RTOL, what=case)


def both(vectors: Vectors) -> Iterator[str]:
    yield from ("teacher", "discriminator")


@pytest.mark.parametrize(("vectors", "case"), cases("pmaa-fe-disc", both))
def test_the_teacher_and_the_discriminator_give_what_the_public_ones_do(vectors: Vectors, case: str) -> None:
    with torch.no_grad():
        if case == "teacher":
            model: nn.Module = teacher().eval()
            model.load_state_dict(tensors(vectors, "w/fe/"), strict=True)
            out = model(torch.from_numpy(vectors.arrays["in/fe"]))
            got = dict(zip(("out/fe_mask", "out/fe_feat", "out/fe_pred"), out, strict=True))
        else:
            x = torch.from_numpy(vectors.arrays["in/disc"])
            state = tensors(vectors, "w/disc/")
            model = Discriminator(x.shape[1], len(state["discriminator.0.bias"])).eval()
            model.load_state_dict(state, strict=True)
            dates = x[:, :12].unflatten(1, (3, 4))
            got = {"out/disc": model(dates, x[:, 12:])}
    for name, value in got.items():
        assert_close(value, vectors.arrays[name], atol=ATOL, rtol=RTOL, what=name)
