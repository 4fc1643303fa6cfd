from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from geoadapt.backbones.eosfm_match import by_count
from geoadapt.backbones.eosfm_network import Ensemble
from geoadapt.backbones.eosfm_parts import LEVELS, Selector, Specialist
from geoadapt.backbones.picture_config import EosFmConfig
from geoadapt.backbones.picture_models import VARIANTS, resized
from tests.golden.vectors import Vectors, assert_close, cases

TOLERANCE = {"atol": 5e-5, "rtol": 1e-4}
SETTINGS: dict[str, dict[str, Any]] = {
    "topk": {"selection": "topk"},
    "topk_scaled": {"selection": "topk", "scaled": True},
    "smooth": {"selection": "smooth"},
    "add": {"fusion": "addition"},
    "layer": {},
}


def concatenated(vectors: Vectors) -> Iterator[str]:
    yield from (case for case in vectors.meta["cases"] if case.startswith("concat_"))


def joined(vectors: Vectors) -> Iterator[str]:
    yield from (case for case in SETTINGS if f"out/{case}/0" in vectors.names())


def ensemble(vectors: Vectors, available: int, norm: str = "batch", **settings: Any) -> Ensemble:
    sizes = vectors.meta["backbone"]
    variant = resized(VARIANTS["convnextv2_atto"], tuple(sizes["dims"]), tuple(sizes["depths"]), None)
    counts = [s["in_chans"] for s in vectors.meta["specialists"]]
    specialists = []
    for number, count in enumerate(counts):
        prefix = f"w/{number}/"
        state = {n.removeprefix(prefix): torch.from_numpy(a) for n, a in vectors.arrays.items() if n.startswith(prefix)}
        specialists.append(Specialist(variant, count, state, vectors.path))
    network = Ensemble(specialists, by_count(counts, available), variant.widths, EosFmConfig(**settings), norm)
    if network.encoder_selector is not None:
        weights = torch.tensor(vectors.meta["selector_weights"])
        network.encoder_selector.specialists_weights = torch.nn.Parameter(weights)
    return network


def tolerance(got: Tensor, norm: str) -> dict[str, float]:
    """Wider where a batch norm has two values only: it makes a millionth of a feature up to 1 / √1e-5 times larger.

    There the vectors themselves, of single precision, are up to 2.4e-4 away from what double precision gives.
    """
    few = norm == "batch" and got[:, 0].numel() <= 2
    return {**TOLERANCE, "atol": 1e-6 / 1e-5**0.5} if few else TOLERANCE


def run(network: Ensemble, vectors: Vectors, available: int) -> list[Tensor]:
    with torch.no_grad():
        return network(torch.from_numpy(vectors.arrays[f"in/{available}"]))


def let_through(vectors: Vectors, case: str) -> int:
    """How many specialists' maps of the deepest level are not all zero."""
    deep = vectors.arrays[f"out/{case}/{LEVELS - 1}"]
    parts = np.split(deep, len(vectors.meta["specialists"]), 1)
    return sum(bool(part.any()) for part in parts)


@pytest.mark.parametrize(("vectors", "case"), cases("eosfm_small", concatenated))
def test_all_that_can_read_the_data_stand_behind_each_other(vectors: Vectors, case: str) -> None:
    available = int(case.removeprefix("concat_"))
    network = ensemble(vectors, available)
    assert list(network.widths) == vectors.meta["cases"][case]["out_channels"]
    for mode, name in ((True, f"concat_train_{available}"), (False, f"concat_eval_after_{available}")):
        for level, got in enumerate(run(network.train(mode), vectors, available)):
            close = tolerance(got, "batch" if mode else "none")
            assert_close(got, vectors.arrays[f"out/{name}/{level}"], **close, what=f"{name} level {level}")


@pytest.mark.parametrize(("vectors", "case"), cases("eosfm_small", joined))
def test_choosing_and_joining_follow_the_released_code(vectors: Vectors, case: str) -> None:
    available = max(int(name.removeprefix("in/")) for name in vectors.names() if name.startswith("in/"))
    settings = dict(SETTINGS[case])
    if case.startswith("topk"):
        settings["keep"] = let_through(vectors, case)
        assert 0 < settings["keep"] < len(vectors.meta["specialists"])
    norm = "layer" if case == "layer" else "batch"
    network = ensemble(vectors, available, norm, **settings).train()
    for level, got in enumerate(run(network, vectors, available)):
        assert_close(got, vectors.arrays[f"out/{case}/{level}"], **tolerance(got, norm), what=f"level {level}")


@pytest.mark.parametrize(("vectors", "case"), cases("eosfm_small", lambda v: iter(["conv1x1_sd"])))
def test_keys_outside_the_specialists_are_those_of_the_released_code(vectors: Vectors, case: str) -> None:
    network = ensemble(vectors, 14, fusion="conv1x1", selection="topk")
    assert isinstance(network.encoder_selector, Selector)
    got = {k: list(v.shape) for k, v in network.state_dict().items() if not k.startswith("encoders.")}
    assert got == vectors.meta["cases"][case]
