"""The exact error: every entry of A - F, one pass, right at every scale, never a difference of squares."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING, Any

from ..errors import NumericalError
from ..factors.base import Factorization, dense, is_sparse
from ..kernels import jit
from ..kernels import sweep as kernel
from ..lazy import np
from ..matrices.facts import MatrixFacts, combine, ldexp
from ..matrices.metered import Metered
from .certificate import Certificate

if TYPE_CHECKING:
    import numpy


def residual(matrix: Metered, factor: Factorization) -> MatrixFacts:
    """Facts of A - F: its Frobenius norm and column norms.

    Each tile of A meets the same tile of L R, formed by one product in the wider of the two dtypes; the squares are
    added in float64 after scaling by a power of two. Cost: one pass, 2 m n k flops. The rounding of the products
    limits it from below: an error near eps sqrt(k) |A| is noise of that size. Raises NumericalError when the factors
    overflow.
    """
    return _pass(matrix, factor, norm_too=False)[0]


def residual_and_norm(matrix: Metered, factor: Factorization) -> tuple[MatrixFacts, MatrixFacts]:
    """Facts of A - F and of A, in the same pass: for a product, whose entries are dear."""
    return _pass(matrix, factor, norm_too=True)


def _pass(matrix: Metered, factor: Factorization, norm_too: bool) -> tuple[MatrixFacts, MatrixFacts]:
    with np.errstate(over="ignore", invalid="ignore"):
        L, R = (part if is_sparse(part) else np.ascontiguousarray(part) for part in factor.pair())
    n_whole, back = matrix.shape[1], None
    if matrix.nnz is not None:
        matrix, L, R, back = _without_zeros(matrix, L, R)
    m, n = matrix.shape
    use = jit.pays(kernel.seconds_saved(m, n)) and np.result_type(matrix.dtype, L.dtype, R.dtype).kind == "f"

    def compare(_: int, rows: slice, cols: slice, tile: numpy.ndarray) -> tuple[slice, Any, Any]:
        own = kernel.tile_sweep(tile, compiled=use) if norm_too else None
        approximation = np.asarray(dense(L[rows]) @ dense(R[:, cols]))
        if approximation.dtype == np.result_type(tile, approximation):
            difference = np.subtract(tile, approximation, out=approximation)
        else:
            difference = tile - approximation
        return cols, kernel.tile_sweep(np.ascontiguousarray(difference), compiled=use), own

    with np.errstate(over="ignore", invalid="ignore"):
        seen = matrix.tiles(compare, flops=2 * m * n * (factor.rank + 1))
    if any(facts.bad for _, facts, _ in seen):
        raise NumericalError("the product of the factors overflows", hint="scale the matrix down")
    error = combine([(cols, facts) for cols, facts, _ in seen], n, jit.flavour(use))
    if back is not None:
        columns = np.zeros(n_whole)
        columns[back] = error.column_squares
        error = dataclasses.replace(error, column_squares=columns)
    norm = combine([(cols, own) for cols, _, own in seen], n, jit.flavour(use)) if norm_too else error
    return error, norm


def _without_zeros(matrix: Metered, L: Any, R: Any) -> tuple[Metered, Any, Any, Any]:
    """A sparse matrix and its factors without the rows, and columns, that are zero in both: there nothing is left.

    Networks and counts are full of them, and the rest is compared densely.
    """
    stored: Any = matrix.inner
    if not hasattr(stored, "occupied"):
        return matrix, L, R, None
    rows, cols = stored.occupied()
    rows |= _nonzero_rows(L)
    cols |= _nonzero_rows(R.T)
    if rows.mean() * cols.mean() > 0.8 or not rows.any() or not cols.any():
        return matrix, L, R, None
    kept_rows, kept_cols = np.flatnonzero(rows), np.flatnonzero(cols)
    small = Metered(stored.restricted(kept_rows, kept_cols), matrix.ledger)
    return small, L[kept_rows], R[:, kept_cols], kept_cols


def _nonzero_rows(factor: Any) -> numpy.ndarray:
    if is_sparse(factor):
        return np.diff(factor.tocsr().indptr) > 0
    return np.any(factor != 0, axis=1)


def relative(error: MatrixFacts, matrix: MatrixFacts) -> float:
    """|A - F| / |A| in the Frobenius norm; 0 for a zero matrix approximated by zero."""
    if error.squares == 0:
        return 0.0
    if matrix.squares == 0:
        return math.inf
    return ldexp(math.sqrt(error.squares / matrix.squares), error.exponent - matrix.exponent)


def exact(error: MatrixFacts, matrix: MatrixFacts, optimal_lower: float | None = None) -> Certificate:
    """The certificate of a measured residual. optimal_lower: a proven lower bound of the best relative error at this
    rank; the measured error is the upper one."""
    measured = relative(error, matrix)
    return Certificate(
        norm="fro",
        kind="exact",
        absolute=error.norm,
        relative=measured,
        optimal_lower=None if optimal_lower is None else min(optimal_lower, measured),
        optimal_upper=None if optimal_lower is None else measured,
        matrix_norm=matrix.norm,
    )
