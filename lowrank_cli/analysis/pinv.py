"""The pseudo-inverse of a matrix, or least squares solutions with it, and a report of both."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING, Any

from .. import __version__
from ..errors import InputError
from ..lazy import np
from ..streams import STREAM, Streams

if TYPE_CHECKING:
    from ..algorithms.least_squares import Decomposed
    from ..algorithms.pseudoinverse import Penrose, PseudoinverseOptions, Solution
    from ..factors.svd import SVD
    from ..formats.loaded import Loaded


def pinv(
    matrix: Loaded,
    options: PseudoinverseOptions | None = None,
    *,
    apply: Loaded | None = None,
    seed: int = 0,
    threads: int = 1,
    blas_pinned: bool = False,
    digests: bool = True,
) -> tuple[SVD, Any, dict[str, Any]]:
    """(A^+ as an SVD, X or None, the report without its ``run`` block).

    apply: B of the least squares problem min |A X - B|, whose minimum norm solution X is found without forming A^+.
    ``rule`` says which singular values counted and how clear the cut is, ``penrose`` how well the four equations that
    define A^+ hold, measured against the matrix; with a rank below the numerical one, or a ridge, A X A = A is not
    meant to. ``solution`` has the residual and the norm of X. Raises any LowrankError.
    """
    from ..algorithms.least_squares import decompose
    from ..algorithms.pseudoinverse import PseudoinverseOptions, penrose, pseudoinverse, solve
    from ..api import described, tiled
    from ..engines.blas import single_threaded
    from ..engines.threads import engine_for
    from ..matrices.metered import Metered
    from ..reports.facts import plain

    options = PseudoinverseOptions() if options is None else options
    engine = engine_for(threads)
    A, B = tiled(matrix, engine), None if apply is None else tiled(apply, engine)
    if 0 in A.shape:
        raise InputError(f"the matrix is empty, {A.shape[0]}x{A.shape[1]}")
    metered = Metered(A)
    with single_threaded(blas_pinned):
        hint = "ask for a truncated one with -k"
        found = decompose(metered, options.rcond, options.rank, Streams(seed), "the matrix", hint)
        solution = None if B is None else solve(found, Metered(B, metered.ledger), options.ridge)
        factor = pseudoinverse(found, options.ridge)
        known: dict[str, Any] = {"input": described(matrix, A, digests)}
        if apply is not None and B is not None:
            known["apply"] = described(apply, B, digests)
        held = penrose(found.scaled, factor)
    report = _report(found, factor, held, solution, known, options) | {"seed": seed}
    report["ledger"] = dataclasses.asdict(metered.ledger)
    report["versions"] = {"lowrank": __version__, "numpy": np.__version__, "stream": STREAM}
    return factor, None if solution is None else solution.X, plain(report)


def _report(
    found: Decomposed,
    factor: SVD,
    held: Penrose,
    solution: Solution | None,
    known: dict[str, Any],
    options: PseudoinverseOptions,
) -> dict[str, Any]:
    from ..reports.facts import started

    cut = found.cut
    names = ("rcond", "threshold", "largest", "above", "below", "ratio")
    return started("pinv") | {
        "method": "lapack" if "lapack geqrf" in found.kernels else "svd",
        "status": "converged",
        "rank": cut.rank,
        **known,
        "rule": {name: getattr(cut, name) for name in names},
        "condition": cut.condition,
        "norms": {"fro": math.hypot(*map(float, factor.s)), "spectral": float(factor.s[0])},
        "penrose": dataclasses.asdict(held),
        "solution": None if solution is None else {n: v for n, v in vars(solution).items() if n != "X"},
        "method_facts": {"kernels": found.kernels},
        "options": dataclasses.asdict(options),
    }
