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
from lowrank_cli.algorithms.cur import CUROptions
from lowrank_cli.algorithms.interpolative import IDOptions
from lowrank_cli.algorithms.nmf import NMFOptions
from lowrank_cli.algorithms.nystrom import NystromOptions
from lowrank_cli.algorithms.vq import VQOptions
from lowrank_cli.budget import Budget
from lowrank_cli.formats.memory import from_array


@dataclasses.dataclass(frozen=True)
class Case:
    """A method with options, and the second matrix it takes, by the name of its flag. takes: of any matrix one that the
    method takes, or None where it takes none of that shape. rank: the only one it has."""

    method: str
    options: Any = None
    companion: str | None = None
    takes: Callable[[Any], Any] = lambda A: A
    rank: int | None = None

    @property
    def kind(self) -> str:
        """Of its factors."""
        return {"weighted": "qb"}.get(self.method, self.method)

    @property
    def of_gram(self) -> bool:
        """What is approximated is A^H A."""
        return self.method == "fd"

    @property
    def of_product(self) -> bool:
        return self.companion == "times"


def divisible(A: Any) -> Any:
    """One that has factors to be a Kronecker product of."""
    return None if A.shape == (1, 1) else A


def square(A: Any) -> Any:
    return np.ascontiguousarray(A[: min(A.shape), : min(A.shape)])


def divided(A: Any) -> Any:
    """One of two columns at least."""
    return A if A.shape[1] > 1 else None


def semidefinite(A: Any) -> Any:
    """A^H A or A A^H, the larger, in the dtype of A, symmetric to the last bit; of integers, blocks of ones."""
    if A.dtype.kind not in "fc" or A.dtype.itemsize < 4:
        i = np.arange(A.shape[1]) // 3
        return (i[:, None] == i).astype(A.dtype)
    A = A[:800]
    G = A.conj().T @ A if A.shape[0] < A.shape[1] else A @ A.conj().T
    if hasattr(G, "tocsr"):
        return ((G + G.conj().T) * G.dtype.type(0.5)).tocsr()
    return np.array(np.tril(G) + np.tril(G, -1).conj().T, A.dtype, order="F" if A.flags.f_contiguous else "C")


CASES: dict[str, Case] = {
    "svd": Case("svd"),
    "qb": Case("qb"),
    "lora": Case("lora"),
    "id": Case("id"),
    "id rows": Case("id", IDOptions(axis="rows")),
    "id both": Case("id", IDOptions(axis="both")),
    "id fast": Case("id", IDOptions(quality="fast")),
    "id bound": Case("id", IDOptions(axis="rows", quality="bound")),
    "id bounded coefficients": Case("id", IDOptions(axis="both", max_coefficient=1.5)),
    "cur": Case("cur"),
    "cur leverage": Case("cur", CUROptions(select="leverage", core="intersection")),
    "kron": Case("kron", takes=divisible),
    "diag-lowrank": Case("diag-lowrank", takes=square),
    "rank1-nonneg": Case("rank1-nonneg", takes=np.abs, rank=1),
    "nmf": Case("nmf", NMFOptions(max_iterations=20), takes=np.abs),
    "nmf spa": Case("nmf", NMFOptions(init="spa", max_iterations=20), takes=np.abs),
    "vq": Case("vq"),
    "vq product": Case("vq", VQOptions(code="product:2", restarts=1), takes=divided),
    "vq residual": Case("vq", VQOptions(code="residual:2", restarts=1)),
    # auto is greedy here, and shrunk without-replacement
    **{
        f"cr {scheme}": Case("cr", CROptions(scheme=scheme), "times")
        for scheme in SCHEMES
        if scheme not in ("greedy", "without-replacement")
    },
    "cr shrunk": Case("cr", CROptions(shrink=True), "times"),
    "given left": Case("given", companion="left"),
    "given right": Case("given", companion="right"),
    "weighted by data": Case("weighted", companion="weight"),
    "weighted by gram": Case("weighted", companion="gram"),
    "fd": Case("fd"),
    "nystrom sketch": Case("nystrom", takes=semidefinite),
    "nystrom columns": Case("nystrom", NystromOptions(pivots="columns"), takes=semidefinite),
}


def _gaussian(A: Any, shape: tuple[int, int]) -> np.ndarray:
    """Of the same kind of numbers as A."""
    rng = np.random.default_rng(9)
    dtype = np.dtype(A.dtype)
    Y = rng.standard_normal(shape)
    if dtype.kind == "c":
        Y = Y + 1j * rng.standard_normal(Y.shape)
    return Y.astype(dtype if dtype.kind in "fc" else "float64")


def second(case: Case, A: Any) -> np.ndarray | None:
    """The second matrix that the case takes beside A, None when it takes none."""
    if case.companion is None:
        return None
    m, n = A.shape
    shapes = {"times": (n, min(m, 37)), "left": (m, min(n, 37)), "right": (min(m, 37), n)}
    made = _gaussian(A, shapes.get(case.companion, (n + 5, n)))
    return made.conj().T @ made if case.companion == "gram" else made


def run(case: Case, A: Any, Y: Any = None, *, threads: int = 1, seed: int = 0, **asked: Any) -> tuple[Any, dict]:
    """(outcome, report) of a job on arrays, sparse arrays or paths."""
    if case.rank is not None and "rank" in asked:
        asked["rank"] = case.rank
    job = api.Job("product" if case.of_product else "approx", case.method, Budget(**asked), case.options, seed)
    return api.run(job, load(A), {} if Y is None else {case.companion: load(Y)}, threads=threads)


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
