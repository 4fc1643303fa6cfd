"""Golden vectors by family: every file in the folder that GEOADAPT_GOLDEN names, chosen by ``family`` in its json.

``cases(family)`` gives pytest parameters named by file and case, for ``pytest tests/golden -k FAMILY``.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.folders import folder


@dataclass(frozen=True)
class Vectors:
    """One pair of files: ``NAME.json`` and the arrays of ``NAME.npz``."""

    path: Path
    meta: dict[str, Any]

    @cached_property
    def arrays(self) -> dict[str, np.ndarray]:
        with np.load(self.path.with_suffix(".npz"), allow_pickle=False) as stored:
            return {name: stored[name] for name in stored.files}

    def names(self) -> list[str]:
        """Array names, without reading the arrays."""
        with np.load(self.path.with_suffix(".npz"), allow_pickle=False) as stored:
            return list(stored.files)


def of_family(family: str) -> list[Vectors]:
    """All files of a family, by name."""
    found = []
    for path in sorted(folder("golden").glob("*.json")):
        meta = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(meta, dict) and meta.get("family") == family and path.with_suffix(".npz").is_file():
            found.append(Vectors(path, meta))
    return found


def cases(family: str, split: Callable[[Vectors], Iterator[str]]) -> list[Any]:
    """Parameters (vectors, case) with ids ``FILE-CASE``; ``split`` names the cases of one file."""
    found = [
        pytest.param(vectors, case, id=f"{vectors.path.stem}-{case}")
        for vectors in of_family(family)
        for case in split(vectors)
    ]
    if not folder("golden").is_dir():
        reason = "the folder of GEOADAPT_GOLDEN is absent"
        return [pytest.param(None, "", id=family, marks=pytest.mark.skip(reason=reason))]
    return found


def assert_close(got: Any, wanted: np.ndarray, *, atol: float, rtol: float, what: str) -> None:
    """|got − wanted| ≤ atol + rtol·|wanted| everywhere."""
    got = np.asarray(got)
    assert got.shape == wanted.shape, f"{what}: shape {got.shape}, expected {wanted.shape}"
    excess = np.abs(got - wanted) - (atol + rtol * np.abs(wanted))
    worst = np.unravel_index(excess.argmax(), excess.shape) if excess.size else ()
    assert not excess.size or excess.max() <= 0, (
        f"{what}: {got[worst]} at {tuple(map(int, worst))}, expected {wanted[worst]}; "
        f"largest difference {np.abs(got - wanted).max():.3g}"
    )
