"""What every method is asked for in contract tests: one row a method of the table, by name."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import gallery
import numpy as np
from threadpoolctl import threadpool_limits

from lowrank_cli import api
from lowrank_cli.algorithms.cr import SCHEMES, CROptions
from lowrank_cli.algorithms.interpolative import IDOptions
from lowrank_cli.budget import Budget
from lowrank_cli.formats.memory import from_array


@dataclasses.dataclass(frozen=True)
class Case:
    """A method with options, and whether it takes a second factor. takes: of any matrix one that the method takes, or
    None where it takes none of that shape."""

    method: str
    options: Any = None
    of_product: bool = False
    takes: Callable[[Any], Any] = lambda A: A


def divisible(A: Any) -> Any:
    """One that has factors to be a Kronecker product of."""
    return None if A.shape == (1, 1) else A


CASES: dict[str, Case] = {
    "svd": Case("svd"),
    "qb": Case("qb"),
    "id": Case("id"),
    "id rows": Case("id", IDOptions(axis="rows")),
    "kron": Case("kron", takes=divisible),
    **{f"cr {scheme}": Case("cr", CROptions(scheme=scheme), True) for scheme in SCHEMES},
}


def partner(A: Any, seed: int = 9) -> np.ndarray:
    """A second factor for A, of the same kind of numbers and A's rows."""
    rng = np.random.default_rng(seed)
    n, dtype = A.shape[1], np.dtype(A.dtype)
    Y = rng.standard_normal((n, min(A.shape[0], 37)))
    if dtype.kind == "c":
        Y = Y + 1j * rng.standard_normal(Y.shape)
    return Y.astype(dtype if dtype.kind in "fc" else "float64")


def run(case: Case, A: Any, Y: Any = None, *, threads: int = 1, seed: int = 0, **asked: Any) -> tuple[Any, dict]:
    """(outcome, report) of a job on arrays, sparse arrays or paths."""
    job = api.Job("product" if case.of_product else "approx", case.method, Budget(**asked), case.options, seed)
    times = None if Y is None else load(Y)
    return api.run(job, load(A), None if times is None else {"times": times}, threads=threads)


def load(A: Any) -> Any:
    from lowrank_cli.formats.opening import open_matrix

    return open_matrix(A) if isinstance(A, str) else from_array(A)


def bits(factor: Any) -> dict[str, bytes]:
    """The factor arrays as bytes, with what a byte string does not say."""
    found = {}
    for name, array in factor.arrays().items():
        for part in ("data", "indices", "indptr") if hasattr(array, "indptr") else ("",):
            values = getattr(array, part) if part else array
            if part.startswith("ind"):
                values = values.astype(np.int64)
            found[f"{name} {part}"] = (
                f"{values.dtype} {values.shape} ".encode() + np.ascontiguousarray(values).tobytes()
            )
    return found


@functools.cache
def large(dtype: str = "float64") -> np.ndarray:
    """Large enough that no method takes the way for small matrices, and for two tiles and two pieces of a block."""
    with threadpool_limits(1, "blas"):
        return gallery.with_spectrum(1100, 510, gallery.poly(510), seed=4, dtype=dtype)[0]
