"""Who is timed: small adapters around our methods and around those of other libraries, in groups by task.

Each asks its library the way its user would, with the library's own default threads, and imports it inside.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

#: Options of ours that ask for triplets to machine precision.
PRECISE = {"residual": 1e-13}


def unchanged(A: Any, width: int) -> Any:
    return A


def triplets(result: Any, A: Any, k: int) -> tuple[Any, ...]:
    """(L, R) of (U, s, Vh), the k largest: some libraries sort upwards, some return more than was asked for."""
    U, s, Vh = result
    kept = np.argsort(-s)[:k]
    return U[:, kept] * s[kept], Vh[kept]


@dataclasses.dataclass(frozen=True)
class Contender:
    """run(prepare(A, width), k) is timed; factors(result, A, k) is not, and gives (L, R), or the product alone.

    needs: the package that must be there. A pair of matrices comes as a tuple. counted: run takes a SciPy operator
    too, so that its products with vectors can be counted. base: the one that the others are held against.
    """

    name: str
    needs: str
    run: Callable[[Any, int], Any]
    factors: Callable[[Any, Any, int], tuple[Any, ...]] | None = triplets
    prepare: Callable[[Any, int], Any] = unchanged
    counted: bool = False
    base: bool = False


def ours(
    A: Any, k: int, method: str = "svd", certify: str = "none", threads: int | None = None, **options: object
) -> Any:
    import lowrank_cli
    from lowrank_cli import algorithms, registry

    first, times = A if isinstance(A, tuple) else (A, None)
    made = registry.find(algorithms.TABLE, method, "method").options(**options)
    return lowrank_cli.approx(first, rank=k, method=method, options=made, times=times, certify=certify, threads=threads)


def ours_product(A: Any, k: int, certify: str = "none", threads: int | None = None) -> tuple[Any, np.ndarray]:
    """The outcome, and C R multiplied out, as the exact product would be."""
    from threadpoolctl import threadpool_limits

    outcome = ours(A, k, "cr", certify, threads)
    with threadpool_limits(threads, "blas") if threads else contextlib.nullcontext():
        return outcome, outcome.factor.reconstruct()


def pair(result: Any, A: Any, k: int) -> tuple[Any, ...]:
    return result.factor.pair()


def product(result: Any, A: Any, k: int) -> tuple[Any, ...]:
    return result[-1:] if isinstance(result, tuple) else (result,)


def interpolative(result: Any, A: Any, k: int) -> tuple[Any, ...]:
    """(C, Z) of pivots and coefficients: A[:, piv[k:]] ~ A[:, piv[:k]] T."""
    pivots, T = result
    Z = np.empty((k, A.shape[1]), T.dtype)
    Z[:, pivots[:k]], Z[:, pivots[k:]] = np.eye(k), T
    return A[:, pivots[:k]], Z


def block_of_vectors(A: Any, width: int) -> tuple[Any, np.ndarray]:
    return A.astype(np.float64, copy=False), np.random.default_rng(1).standard_normal((A.shape[1], width))


def leading_pairs(A: tuple[np.ndarray, np.ndarray], width: int) -> tuple[np.ndarray, np.ndarray]:
    return np.ascontiguousarray(A[0][:, :width]), A[1][:width]


def multiply(A: tuple[Any, Any], k: int) -> Any:
    return A[0] @ A[1]


def numpy_svd(A: np.ndarray, k: int) -> Any:
    return np.linalg.svd(A, full_matrices=False)


def torch_svd(A: np.ndarray, k: int, niter: int) -> Any:
    import torch

    torch.manual_seed(0)
    U, s, V = torch.svd_lowrank(torch.from_numpy(A), q=min(k + 10, *A.shape), niter=niter)
    return U.numpy(), s.numpy(), V.numpy().T


def scipy_svds(A: Any, k: int, solver: str) -> Any:
    from scipy.sparse.linalg import svds

    return svds(A, k, solver=solver)


def sklearn_svd(A: Any, k: int) -> Any:
    from sklearn.utils.extmath import randomized_svd

    return randomized_svd(A, k, random_state=0)


def fbpca_svd(A: Any, k: int) -> Any:
    import fbpca

    return fbpca.pca(A, k, raw=True)


def dask_svd(A: np.ndarray, k: int) -> Any:
    import dask
    from dask import array

    stored = array.from_array(A)
    return dask.compute(*array.linalg.svd_compressed(stored, k, iterator="QR", n_power_iter=4, seed=0))


def librla_id(A: np.ndarray, k: int, name: str, **options: object) -> Any:
    import librla

    return getattr(librla, name)(A, k, **options)[1:]


def scipy_id(A: np.ndarray, k: int) -> Any:
    from scipy.linalg.interpolative import interp_decomp

    return interp_decomp(A, k)


def geqp3_id(A: np.ndarray, k: int) -> Any:
    from scipy.linalg import qr, solve_triangular

    R, pivots = qr(A, mode="r", pivoting=True)
    return pivots, solve_triangular(R[:k, :k], R[:k, k:])


def gathered(A: tuple[np.ndarray, np.ndarray], k: int) -> np.ndarray:
    """The textbook's sampled product in four lines: probabilities from the lengths, k draws, gather, multiply."""
    X, Y = A
    p = np.linalg.norm(X, axis=0) * np.linalg.norm(Y, axis=1)
    p /= p.sum()
    index = np.random.default_rng(0).choice(len(p), k, p=p)
    return (X[:, index] / (k * p[index])) @ Y[index]


def _ours(method: str = "svd", **options: object) -> tuple[Contender, Contender]:
    run = partial(ours, method=method, **options)
    return (
        Contender("lowrank, certify none", "lowrank_cli", run, pair, base=True),
        Contender("lowrank, certify exact", "lowrank_cli", partial(run, certify="exact"), pair),
    )


UNIT = Contender("unit", "numpy", multiply, None, block_of_vectors)
PROPACK = Contender("PROPACK (SciPy)", "scipy", partial(scipy_svds, solver="propack"), counted=True)
ARPACK = Contender("ARPACK (SciPy)", "scipy", partial(scipy_svds, solver="arpack"), counted=True)
SKLEARN = Contender("scikit-learn, auto", "sklearn", sklearn_svd)
NUMPY = Contender("NumPy, full SVD", "numpy", numpy_svd)
TORCH = tuple(Contender(f"torch, niter={n}", "torch", partial(torch_svd, niter=n)) for n in (4, 2))

DENSE = (
    UNIT,
    *_ours(),
    *TORCH,
    PROPACK,
    ARPACK,
    SKLEARN,
    Contender("fbpca", "fbpca", fbpca_svd),
    Contender("dask, 4 QR iterations", "dask", dask_svd),
)
TRIPLETS = (UNIT, *_ours(**PRECISE), PROPACK)
COLUMNS = (
    UNIT,
    *_ours("id"),
    Contender("librla id_sketch", "librla", partial(librla_id, name="id_sketch"), interpolative),
    Contender(
        "librla id_sketch, 1 power iteration, lstsq",
        "librla",
        partial(librla_id, name="id_sketch", power_iter=1, method="lstsq"),
        interpolative,
    ),
    Contender("librla id_qrpiv", "librla", partial(librla_id, name="id_qrpiv"), interpolative),
    Contender("SciPy interp_decomp", "scipy", scipy_id, interpolative),
    Contender("LAPACK geqp3 (SciPy)", "scipy", geqp3_id, interpolative),
)
SPARSE = (UNIT, *_ours(), PROPACK, ARPACK, SKLEARN)
TALL = (UNIT, *_ours(), SKLEARN, NUMPY, *TORCH)
SMALL = (UNIT, *_ours(), NUMPY)
PRODUCT = (
    Contender("unit", "numpy", multiply, None, leading_pairs),
    Contender("lowrank, certify none", "lowrank_cli", ours_product, product, base=True),
    Contender("lowrank, certify exact", "lowrank_cli", partial(ours_product, certify="exact"), product),
    Contender("NumPy, exact product", "numpy", multiply, product),
    Contender("NumPy, sampled and gathered", "numpy", gathered, product),
)
