"""Splits of samples by place: whole groups train, validate or test, and every class is in each where it can be.

In: the group and class of every sample. Out: which part each one is of.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from geoadapt.errors import GeoadaptError

__all__ = ["PARTS", "split_groups"]

PARTS = ("train", "val", "test")


def split_groups(
    groups: Sequence[str], classes: Sequence[int] | NDArray[np.integer], shares: tuple[float, float], seed: int
) -> NDArray[np.intp]:
    """The part (n,) of every sample, 0 train, 1 val, 2 test; ``shares`` are those of val and test.

    Groups are dealt out in an order drawn from ``seed``, the largest first, each to the part that lacks most of what
    the group holds, class by class. Raises GeoadaptError where there are fewer than three groups.
    """
    names, which = np.unique(np.asarray(groups), return_inverse=True)
    if len(names) < len(PARTS):
        raise GeoadaptError("data", f"{len(names)} places", "three at least are needed: to train, to validate, to test")
    held = np.zeros((len(names), int(np.max(classes)) + 1))
    np.add.at(held, (which, np.asarray(classes)), 1)
    wanted = np.outer((1 - sum(shares), *shares), held.sum(0))
    given = np.zeros_like(wanted)
    order = np.random.default_rng(seed).permutation(len(names))
    part = np.zeros(len(names), np.intp)
    for place in order[np.argsort(-held[order].sum(1), kind="stable")]:
        lack = ((wanted - given) / np.maximum(wanted, 1e-9) * (held[place] > 0) * held[place]).sum(1)
        part[place] = int(lack.argmax())
        given[part[place]] += held[place]
    for number, name in enumerate(PARTS):
        if number not in part:
            raise GeoadaptError("data", f"no place is left to be {name}", "choose other shares, or another split_seed")
    return part[which]
