"""Empirical orthogonal functions of fields that need not fit into memory together."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from geoadapt.baselines.past import blocks
from geoadapt.fields.history import History

__all__ = ["find_eofs"]

Array = NDArray[np.float64]
SMALL = 4096
"""Grid points times channels up to which the whole covariance matrix is made."""
SPARE = 10
"""More directions than asked for, as Halko 2011 advises."""
ROUNDS = 3
"""Times that the archive is read to turn random directions into the leading ones."""


def find_eofs(
    fields: Callable[[NDArray[np.intp]], Array], history: History, places: NDArray[np.intp], most: int
) -> Array:
    """The leading patterns (m, p), orthonormal, largest first, of ``fields(places)`` (n, p), at most ``most``.

    A small state takes the eigenvectors of its covariance; a large one subspace iteration from random directions
    (Halko, Martinsson & Tropp 2011, algorithm 4.4), which reads the archive a few times and holds m patterns.
    Patterns without variance are left out, all but the first.
    """
    size = int(np.prod(history.states.shape[1:]))
    if size <= SMALL:
        covariance = np.zeros((size, size))
        for piece in blocks(history, places):
            part = fields(piece)
            covariance += part.T @ part
        variance, vectors = np.linalg.eigh(covariance)
        return _leading(variance, vectors, min(most, len(places)))
    wanted = min(most, len(places), size)
    basis = np.random.default_rng(0).normal(size=(size, min(wanted + SPARE, size)))
    for _ in range(ROUNDS):
        basis = np.linalg.qr(_applied(fields, history, places, basis)[0])[0]
    _, small = _applied(fields, history, places, basis)
    variance, turned = np.linalg.eigh(small)
    return _leading(variance, basis @ turned, wanted)


def _applied(
    fields: Callable[[NDArray[np.intp]], Array], history: History, places: NDArray[np.intp], basis: Array
) -> tuple[Array, Array]:
    """The covariance times ``basis`` (p, m), and the covariance between the basis's own directions (m, m)."""
    out, small = np.zeros_like(basis), np.zeros((basis.shape[1],) * 2)
    for piece in blocks(history, places):
        part = fields(piece)
        along = part @ basis
        out += part.T @ along
        small += along.T @ along
    return out, small


def _leading(variance: Array, vectors: Array, most: int) -> Array:
    """The first of eigenvectors (p, m) in ascending order, as rows from the largest on, with a sign that is theirs."""
    rows = vectors[:, ::-1][:, :most].T
    kept = max(1, int((variance[::-1][:most] > 1e-10 * max(variance[-1], np.finfo(np.float64).tiny)).sum()))
    rows = rows[:kept]
    largest = np.abs(rows).argmax(axis=1)
    return np.asarray(rows * np.sign(rows[np.arange(kept), largest])[:, None])
