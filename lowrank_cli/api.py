"""The library's front: approximate a matrix, from an array or a path. The command line is a face over this module."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from . import algorithms, registry
from .budget import Budget
from .companions import COMPANIONS
from .errors import InputError, NumericalError, UsageError
from .lazy import np
from .options import flag
from .streams import Streams

if TYPE_CHECKING:
    from .algorithms.method import Method
    from .algorithms.outcome import Outcome
    from .engines.threads import Engine
    from .formats.checkpoint import Checkpoint
    from .formats.loaded import Loaded
    from .matrices.kernel import Kernel
    from .matrices.once import Once
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
    companions: Mapping[str, Loaded] | None = None,
    *,
    threads: int = 1,
    blas_pinned: bool = False,
    digests: bool = True,
    shared: dict[Any, Any] | None = None,
    checkpoint: Checkpoint | None = None,
) -> tuple[Outcome, dict[str, Any]]:
    """Carry out a job on loaded matrices: the outcome, and its report without the ``run`` block.

    companions: the second matrix of a method that takes one, by its name in ``COMPANIONS``. blas_pinned
    says that the process started with its BLAS at one thread; otherwise it is limited for the duration.
    digests: hash the matrices into the report, one read each. shared: what runs on the same matrix may take from one
    another, such as a basis; no bit and no ledger depends on it. checkpoint: keeps the passes, or has kept them; to be
    finished by who keeps the outcome. Raises any LowrankError.
    """
    from .algorithms import needs
    from .engines.blas import single_threaded
    from .engines.threads import engine_for
    from .reports import facts

    method: Method = registry.find(algorithms.TABLE, job.method, "method")
    options = method.options() if job.options is None else job.options
    if not isinstance(options, method.options):
        raise UsageError(
            f"the options are {type(options).__name__}, but --method {job.method} takes {method.options.__name__}"
        )
    budget = method.settled(job.budget, seen_once(matrix))
    engine = engine_for(threads)
    loaded = {"input": matrix, **(companions or {})}
    if checkpoint is not None:
        if budget.passes == 1:
            raise UsageError(
                "what is seen once is not begun again", hint="drop --checkpoint, or keep a stream with --spool DIR"
            )
        asked = {**dataclasses.asdict(budget), **dataclasses.asdict(options)}
        work = {"command": job.command, "method": job.method, "options": asked, "seed": job.seed}
        loaded = resumable(checkpoint, work, loaded, engine)
    A = tiled(loaded["input"], engine) if budget.passes != 1 else passing(loaded["input"], engine, method.of_gram)
    given = {name: (one, tiled(one, engine)) for name, one in loaded.items() if name != "input"}
    kept = "" if matrix.kernel is not None else matrix.item.dtype
    taken = operands(method, A, {name: stored for name, (_, stored) in given.items()}, engine, shared, kept)
    if budget.passes != 1:
        one = taken[0].inner
        needed = needs.check(method, one, budget, options, matrix.where)
        A.watch.expects(needed, needs.usual_passes(method, one, budget, options))
    with single_threaded(blas_pinned):
        try:
            outcome = method.run(taken[0], budget, options, Streams(job.seed), *taken[1:])
        except NumericalError as failure:
            raise failure.at(matrix.where) from failure.__cause__
        first = described(matrix, A, digests)
        others = {name: described(*pair, digests) for name, pair in given.items()}
    report = facts.approximation(job.command, job.method, first, others, budget, options, job.seed, outcome)
    return outcome, report


def approx(
    A: Any,
    *,
    rank: int | None = None,
    rtol: float | None = None,
    atol: float | None = None,
    method: str | None = None,
    options: Any = None,
    times: Any = None,
    left: Any = None,
    right: Any = None,
    weight: Any = None,
    gram: Any = None,
    item: str | None = None,
    kernel: Kernel | None = None,
    seed: int = 0,
    norm: str = "fro",
    certify: str | None = None,
    failure_probability: float = 1e-6,
    passes: int | None = None,
    threads: int | None = None,
    checkpoint: str | None = None,
) -> Outcome:
    """Approximate a matrix; the product A times; with that factor left or right; where weight or its gram are applied.

    A and the second matrix: a 2-D array, a SciPy sparse array, or a path (``item`` names a dataset inside A's
    container). rank, rtol, atol: when to stop, whichever comes first; with none of them, rtol 0.01 (with left or right,
    no limit). method: a name of ``algorithms.TABLE``, by default that which the second matrix calls for, else "svd".
    options: the method's options, e.g. ``IDOptions(axis="rows")``. kernel: A are points, one a row, and the matrix is
    their kernel matrix, never stored: ``Kernel("gaussian", 2.0)`` of ``lowrank_cli.matrices.kernel``. norm: "fro" or
    "spectral". certify: "exact" measures the error against A, one pass; "probes" bounds it with no further pass, except
    with failure_probability; "none" does neither. passes: 1 reads A one time only, then probes are the default.
    threads: default, the cores this process may run on; no bit of the result depends on it. checkpoint: a directory
    that keeps what passes came to until the outcome is returned, so that the same call goes on where an interrupted one
    stopped.

    Returns an Outcome: factor, status, certificate, ledger, facts. Raises UsageError for parameters out of range,
    InputError for a file or an array that is not a finite, numeric matrix, NumericalError when LAPACK fails.
    """
    from .engines.threads import available_threads

    budget = Budget(rank, rtol, atol, norm, certify, failure_probability, passes)
    second = {"times": times, "left": left, "right": right, "weight": weight, "gram": gram}
    others = {name: other for name, other in second.items() if other is not None}
    called = next((COMPANIONS[name].method for name in others), "svd")
    job = Job("approx", method or called, budget, options, seed)
    loaded, others = (
        dataclasses.replace(_load(A, item, budget.passes == 1), kernel=kernel),
        {name: _load(other, None) for name, other in others.items()},
    )
    count = available_threads() if threads is None else threads
    if checkpoint is None:
        return run(job, loaded, others, threads=count, digests=False)[0]
    from .formats.checkpoint import Checkpoint

    with Checkpoint(checkpoint) as kept:
        outcome, _ = run(job, loaded, others, threads=count, digests=False, checkpoint=kept)
        kept.finish()
    return outcome


def _load(A: Any, item: str | None, once: bool = False) -> Loaded:
    import os

    from .formats.memory import from_array
    from .formats.opening import open_matrix

    if isinstance(A, (str, os.PathLike)):
        return open_matrix(os.fspath(A), item, once=0 if once else None)
    if item is not None:
        raise UsageError("an item names a dataset inside a file, but an array was given")
    return from_array(A)


def resumable(
    checkpoint: Checkpoint, work: dict[str, Any], inputs: Mapping[str, Loaded], engine: Engine
) -> dict[str, Loaded]:
    """The inputs of work whose passes the checkpoint keeps. work: what decides every bit beside the inputs and the
    software. Raises UsageError or InputError when it keeps those of other work."""
    import os
    import time
    from importlib.metadata import version

    from .engines.blas import libraries
    from .reports.facts import plain, versions

    def compare() -> None:
        known = checkpoint.known()
        for name, loaded in inputs.items():
            if _stays(loaded) and name in known:
                stored: Any = tiled(loaded, engine)
                stored.sums[...] = known[name]
                stored.tiles(lambda *_: None)

    about = {}
    for name, loaded in inputs.items():
        about[name] = described(loaded, tiled(loaded, engine), digests=not _stays(loaded))
        if _stays(loaded):
            # what has no file of its own is compared each time
            changed = os.stat(loaded.source).st_mtime_ns if os.path.isfile(loaded.source) else time.time_ns()
            about[name]["file"] = {"changed": changed}
    work = {
        **work,
        # another BLAS, or another kind of processor, rounds differently
        "versions": versions() | {"scipy": version("scipy"), "numba": version("numba")},
        "blas": [f"{one['internal_api']} {one['version']} {one.get('architecture')}" for one in libraries()[:1]],
    }
    checkpoint.begin(plain(work), plain(about), compare)
    return {name: checkpoint.over(name, loaded) for name, loaded in inputs.items()}


def _stays(loaded: Loaded) -> bool:
    """Whether the matrix is dense and stays in its file."""
    return hasattr(loaded.array, "sums")


def tiled(loaded: Loaded, engine: Engine) -> Matrix:
    """A loaded matrix, or the kernel matrix of loaded points, over its grid of tiles. Raises InputError for points that
    are not finite."""
    if loaded.kernel is not None:
        from .matrices.kernel import KernelMatrix

        points = tiled(dataclasses.replace(loaded, kernel=None), engine)
        points.sweep()
        n, d = points.shape
        values = points.block(slice(0, n), slice(0, d))
        return KernelMatrix(values, loaded.kernel, engine, name=loaded.where, watch=loaded.watch)
    from .matrices.lines import Lines

    if hasattr(loaded.array, "cluster"):
        on: Any = loaded.array

        def local(filed: Any) -> Any:
            return tiled(dataclasses.replace(loaded, array=filed), engine)

        if isinstance(on.filed, Lines):
            if on.filed.by_rows:
                from .matrices.spread_sparse import sparse_over as over
            else:
                from .matrices.spread_turned import turned_over as over

            return over(on.cluster, on.filed, on.reader, local)
        from .matrices.spread import spread_over

        return spread_over(on.cluster, local(on.filed), on.reader)
    if hasattr(loaded.array, "indptr"):
        from .matrices.sparse import SparseMatrix

        return SparseMatrix(loaded.array, engine, loaded.where, loaded.watch)
    if isinstance(loaded.array, Lines):
        from .matrices.sparse_filed import FiledSparseMatrix

        return FiledSparseMatrix(loaded.array, engine, loaded.where, watch=loaded.watch)
    from .matrices.dense import TiledMatrix

    return TiledMatrix(loaded.array, engine, name=loaded.where, watch=loaded.watch)


def seen_once(loaded: Loaded) -> bool:
    """Whether the matrix is still on its way, and passes by one time."""
    return hasattr(loaded.array, "release")


def passing(loaded: Loaded, engine: Engine, by_rows: bool = False) -> Once:
    """A loaded matrix, or one on its way, as one that is seen once: by rows, or as it is stored. Raises UsageError for
    one that is not dense."""
    from .matrices.forwards import Stored
    from .matrices.once import Once

    if loaded.kernel is not None:
        raise UsageError("a kernel matrix does not pass by: its entries are made as they are asked for")
    if seen_once(loaded):
        return Once(loaded.array, loaded.item.dtype, engine, loaded.where, loaded.watch)
    stored = tiled(loaded, engine)
    if stored.nnz is not None:
        raise UsageError("one pass is for dense matrices", where=loaded.where, hint="leave --single-pass out")
    return Once(Stored(stored, by_rows or None), loaded.item.dtype, engine, loaded.where, loaded.watch)


def operands(
    method: Method,
    A: Matrix,
    given: Mapping[str, Matrix],
    engine: Engine,
    shared: dict[Any, Any] | None = None,
    stored: str = "",
) -> tuple[Any, ...]:
    """What a method works on, with one fresh ledger: the matrix, of values of the type ``stored`` in its file, or the
    product for a method of products; then, for a method that takes another companion, the companions."""
    from .matrices.metered import Metered
    from .matrices.product import Product

    refuse_companions(method, tuple(given))
    if 0 in A.shape:
        raise InputError(f"the matrix is empty, {_by(A.shape)}")
    if method.of_product:
        return (Metered(Product(A, given["times"], engine), shared=shared),)
    matrix = Metered(A, shared=shared, stored=stored)
    return (matrix, {name: Metered(B, matrix.ledger) for name, B in given.items()}) if method.companions else (matrix,)


def refuse_companions(method: Method, given: Sequence[str]) -> None:
    """Raise UsageError unless these are the companions that the method takes."""
    for name in given:
        if name not in method.companions:
            right = COMPANIONS[name].method
            raise UsageError(
                f"{flag(name)} goes with --method {right}, not {method.name}", hint=f"use --method {right}"
            )
    if method.companions and len(given) != 1:
        flags = " or ".join(f"{flag(name)} {COMPANIONS[name].metavar}" for name in method.companions)
        raise UsageError(f"--method {method.name} needs {flags}", hint="name one second matrix")


def described(loaded: Loaded, matrix: Matrix, digests: bool) -> dict[str, Any]:
    """The ``input`` block of a report: what the matrix is, nothing of where it lay."""
    from .matrices.digest import digest
    from .matrices.once import Once

    item, kernel = loaded.item, loaded.kernel
    about = {
        "item": item.path,
        "shape": list(matrix.shape),
        "dtype": item.dtype,
        "nnz": matrix.nnz,
        "bytes": item.bytes,
    }
    if isinstance(matrix, Once):
        m, n = matrix.shape
        size = item.bytes or m * n * np.dtype(item.dtype).itemsize  # nobody knew before how many rows would come
        return about | {"bytes": size, "digest": matrix.digest if digests else None}
    if kernel is None:
        return about | {"digest": digest(matrix, item.dtype) if digests else None}
    # of the points; bytes are what the matrix would take
    points = tiled(dataclasses.replace(loaded, kernel=None), matrix.engine)
    n, d = points.shape
    return about | {
        "bytes": n * n * matrix.dtype.itemsize,
        "nnz": None,
        "digest": digest(points, item.dtype) if digests else None,
        "kernel": {"name": kernel.name, "scale": kernel.scale, "points": n, "dimension": d},
    }


def _by(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))
