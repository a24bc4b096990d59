"""What is timed, as data: how each matrix is made, the rank, the width of the unit, who takes part, how to judge."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import peers
from spectra import SPECTRA, matrix


@dataclasses.dataclass(frozen=True, eq=False)
class Problem:
    """One matrix, or the two of a product; singular values where they are known."""

    arrays: tuple[Any, ...]
    values: np.ndarray | None = None


@dataclasses.dataclass(frozen=True)
class Case:
    """make(scale) gives the problem. width: columns of the unit, one product A X.

    measure: "excess", the Frobenius error over the best possible, less one; "triplets", the largest residual of a
    singular triplet, and the largest error of a singular value; "relative", the error over the norm of the product.
    """

    name: str
    make: Callable[[float], Problem]
    rank: int
    width: int
    contenders: tuple[peers.Contender, ...]
    measure: str = "excess"
    note: str = ""

    def at(self, scale: float) -> Case:
        """The case with everything but the matrix divided."""
        return dataclasses.replace(self, rank=divided(self.rank, scale), width=divided(self.width, scale))


def divided(size: int, scale: float) -> int:
    return max(2, round(size / scale))


def dense(spectrum: str, m: int, n: int, dtype: str, scale: float) -> Problem:
    A, s = matrix(spectrum, divided(m, scale), divided(n, scale))
    return Problem((A.astype(dtype, copy=False),), s)


def sparse(m: int, n: int, entries: int, scale: float) -> Problem:
    """Rows and columns drawn independently, the i-th with a probability like i^-0.6, in shuffled order: a few have
    thousands of entries and most have a handful. Values are standard normal, duplicates summed."""
    import scipy.sparse

    m, n, entries = (divided(x, scale) for x in (m, n, entries))
    rng = np.random.default_rng(0)

    def drawn(size: int) -> np.ndarray:
        weights = np.cumsum(np.arange(1.0, size + 1) ** -0.6)
        places = np.searchsorted(weights, rng.random(entries) * weights[-1])
        return rng.permutation(size)[places]

    at = drawn(m), drawn(n)
    A = scipy.sparse.coo_array((rng.standard_normal(entries), at), shape=(m, n)).tocsr()
    A.sort_indices()
    return Problem((A,))


def factors_of_product(m: int, l: int, n: int, scale: float) -> Problem:
    """Normal entries; the columns of X fall in length to 1/30."""
    m, l, n = (divided(x, scale) for x in (m, l, n))
    rng = np.random.default_rng(0)
    X = rng.standard_normal((m, l)) * np.logspace(0, -1.5, l)
    return Problem((X, rng.standard_normal((l, n))))


def _of_each_spectrum(task: str, contenders: tuple[peers.Contender, ...], measure: str = "excess") -> list[Case]:
    return [
        Case(f"{task} {name}", partial(dense, name, 4000, 3000, "float64"), 100, 110, contenders, measure)
        for name in SPECTRA
    ]


def _of_product(r: int) -> Case:
    make = partial(factors_of_product, 3000, 12000, 3000)
    note = f"at most {12000 / r:g} times as fast as the exact product; the unit is a product of r columns and r rows"
    return Case(f"cr r={r}", make, r, r, peers.PRODUCT, "relative", note)


CASES = [
    *_of_each_spectrum("svd", peers.DENSE),
    *_of_each_spectrum("triplets", peers.TRIPLETS, "triplets"),
    *_of_each_spectrum("id", peers.COLUMNS),
    Case("sparse", partial(sparse, 200_000, 50_000, 2_000_000), 50, 60, peers.SPARSE),
    Case("tall", partial(dense, "1/i", 200_000, 500, "float32"), 30, 40, peers.TALL, note="float32, unit in float64"),
    *(_of_product(r) for r in (150, 375, 750, 1500, 3000)),
    *(
        Case(f"small {n}", partial(dense, "1/i", n, n, "float64"), 10, 20, peers.SMALL)
        for n in (100, 200, 300, 400, 500)
    ),
]
BY_NAME = {case.name: case for case in CASES}
