"""The library's front: approximate a matrix, from an array or a path. The command line is a face over this module."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from . import algorithms, registry
from .budget import Budget
from .errors import InputError, UsageError
from .streams import Streams

if TYPE_CHECKING:
    from .algorithms.method import Method
    from .algorithms.outcome import Outcome
    from .engines.threads import Engine
    from .formats.loaded import Loaded
    from .matrices.protocols import Matrix


@dataclasses.dataclass(frozen=True)
class Job:
    """What to do, free of where the data lie: the part of a request that decides every bit of the result.

    options is an instance of the method's options dataclass, or None for its defaults.
    """

    command: str
    method: str
    budget: Budget
    options: Any = None
    seed: int = 0


def run(
    job: Job,
    matrix: Loaded,
    times: Loaded | None = None,
    *,
    threads: int = 1,
    blas_pinned: bool = False,
    digests: bool = True,
    shared: dict[Any, Any] | None = None,
) -> tuple[Outcome, dict[str, Any]]:
    """Carry out a job on loaded matrices: the outcome, and its report without the ``run`` block.

    blas_pinned says that the process started with its BLAS at one thread; otherwise it is limited for the duration.
    digests: hash the matrices into the report, one read each. shared: what runs on the same matrix may take from one
    another, such as a basis; no bit and no ledger depends on it. Raises any LowrankError.
    """
    from .engines.blas import single_threaded
    from .engines.threads import engine_for
    from .reports import facts

    method: Method = registry.find(algorithms.TABLE, job.method, "method")
    options = method.options() if job.options is None else job.options
    if not isinstance(options, method.options):
        raise UsageError(
            f"the options are {type(options).__name__}, but --method {job.method} takes {method.options.__name__}"
        )
    budget = job.budget if method.of_product else job.budget.with_defaults()
    engine = engine_for(threads)
    A = tiled(matrix, engine)
    Y = None if times is None else tiled(times, engine)
    with single_threaded(blas_pinned):
        outcome = method.run(metered(method, A, Y, engine, shared), budget, options, Streams(job.seed))
        first = described(matrix, A, digests)
        second = None if times is None or Y is None else described(times, Y, digests)
    report = facts.approximation(job.command, job.method, first, second, budget, options, job.seed, outcome)
    return outcome, report


def approx(
    A: Any,
    *,
    rank: int | None = None,
    rtol: float | None = None,
    atol: float | None = None,
    method: str = "svd",
    options: Any = None,
    times: Any = None,
    item: str | None = None,
    seed: int = 0,
    norm: str = "fro",
    certify: str = "exact",
    failure_probability: float = 1e-6,
    threads: int | None = None,
) -> Outcome:
    """Approximate a matrix; with ``times``, the product A times (method "cr").

    A, times: a 2-D array, a SciPy sparse array, or a path (``item`` names a dataset inside A's container). rank, rtol,
    atol: when to stop, whichever comes first; with none of them, rtol 0.01. method: "svd", "id" or "cr". options: the
    method's options, e.g. ``IDOptions(axis="rows")``. norm: "fro" or "spectral". certify: "exact" measures the error
    against A, one pass; "probes" bounds it with no further pass, except with failure_probability; "none" does neither.
    threads: default, the cores this process may run on; no bit of the result depends on it.

    Returns an Outcome: factor, status, certificate, ledger, facts. Raises UsageError for parameters out of range,
    InputError for a file or an array that is not a finite, numeric matrix, NumericalError when LAPACK fails.
    """
    from .engines.threads import available_threads

    budget = Budget(rank, rtol, atol, norm, certify, failure_probability)
    job = Job("approx", method, budget, options, seed)
    loaded = _load(A, item)
    other = None if times is None else _load(times, None)
    return run(job, loaded, other, threads=available_threads() if threads is None else threads, digests=False)[0]


def _load(A: Any, item: str | None) -> Loaded:
    import os

    from .formats.memory import from_array
    from .formats.opening import open_matrix

    if isinstance(A, (str, os.PathLike)):
        return open_matrix(os.fspath(A), item)
    if item is not None:
        raise UsageError("an item names a dataset inside a file, but an array was given")
    return from_array(A)


def tiled(loaded: Loaded, engine: Engine) -> Matrix:
    """A loaded matrix over its grid of tiles."""
    if hasattr(loaded.array, "indptr"):
        from .matrices.sparse import SparseMatrix

        return SparseMatrix(loaded.array, engine, _name(loaded))
    from .matrices.dense import TiledMatrix

    return TiledMatrix(loaded.array, engine, name=_name(loaded))


def _name(loaded: Loaded) -> str:
    """What messages call it: the path, with the item inside a container."""
    return loaded.source if loaded.item.path is None else f"{loaded.source}:{loaded.item.path}"


def metered(method: Method, A: Matrix, Y: Matrix | None, engine: Engine, shared: dict[Any, Any] | None = None) -> Any:
    """What a method works on: the matrix, or the product for a method of products, with a fresh ledger."""
    from .matrices.metered import Metered
    from .matrices.product import Product

    if Y is None:
        if 0 in A.shape:
            raise InputError(f"the matrix is empty, {_by(A.shape)}")
        return Metered(A, shared=shared)
    if not method.of_product:
        raise UsageError(
            f"--times makes a product, which --method {method.name} does not approximate",
            hint="use --method cr, or lowrank product X Y",
        )
    return Metered(Product(A, Y, engine))


def described(loaded: Loaded, matrix: Matrix, digests: bool) -> dict[str, Any]:
    """The ``input`` block of a report: what the matrix is, nothing of where it lay."""
    from .matrices.digest import digest

    item = loaded.item
    return {
        "item": item.path,
        "shape": list(loaded.shape),
        "dtype": item.dtype,
        "nnz": matrix.nnz,
        "bytes": item.bytes,
        "digest": digest(matrix, item.dtype) if digests else None,
    }


def _by(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))
