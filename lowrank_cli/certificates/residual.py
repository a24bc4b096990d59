"""The exact error: every entry of A - F, one pass, right at every scale, never a difference of squares."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING, Any

from ..errors import NumericalError
from ..factors.base import Approximation, Factorization, Pair, is_sparse
from ..kernels import jit
from ..kernels import sweep as kernel
from ..lazy import np
from ..matrices.blocks import gram
from ..matrices.facts import MatrixFacts, combine, ldexp, merged
from ..matrices.metered import Metered
from ..matrices.tall import Tall, contiguous
from .certificate import Certificate

if TYPE_CHECKING:
    import numpy


#: A sparse matrix of more entries, zeros counted, is not expanded tile by tile for its error; unless the difference of
#: squares that serves instead is smaller than this share of its terms.
EXPANDED, CANCELLED = 250_000_000, 1e-6


def residual(matrix: Metered, factor: Approximation) -> MatrixFacts:
    """Facts of A - F: its Frobenius norm and column norms.

    Each tile of A meets the same tile of F, for a factorization formed by one product in the wider of the two dtypes;
    the squares are added in float64 after scaling by a power of two. Cost: one pass, 2 m n k flops for a factorization.
    The rounding of the products limits it from below: an error near eps sqrt(k) |A| is noise of that size. The tiles of
    a sparse matrix of more than ``EXPANDED`` entries, zeros counted, are not formed for a factorization while its error
    is above 1e-3 |A|: then the error follows, to ten digits, from one product.
    Raises NumericalError when the factors overflow.
    """
    return _pass(matrix, factor, norm_too=False)[0]


def residual_and_norm(matrix: Metered, factor: Approximation) -> tuple[MatrixFacts, MatrixFacts]:
    """Facts of A - F and of A, in the same pass: for a product, whose entries are dear."""
    return _pass(matrix, factor, norm_too=True)


def _pass(matrix: Metered, factor: Approximation, norm_too: bool) -> tuple[MatrixFacts, MatrixFacts]:
    with np.errstate(over="ignore", invalid="ignore"):
        F = _held(factor) if isinstance(factor, Factorization) else factor
    if matrix.nnz is not None and not norm_too and isinstance(F, Pair) and math.prod(matrix.shape) > EXPANDED:
        found = _by_products(matrix, F.L, F.R)
        if found is not None:
            return found, found
    n_whole, back = matrix.shape[1], None
    if matrix.nnz is not None and isinstance(F, Pair):
        matrix, F, back = _without_zeros(matrix, F.L, F.R)
    m, n = matrix.shape
    use = jit.pays(kernel.seconds_saved(m, n)) and np.result_type(matrix.dtype, F.dtype).kind == "f"
    block = F.blocks()

    def compare(_: int, rows: slice, cols: slice, tile: numpy.ndarray) -> tuple[slice, Any, Any]:
        own = kernel.tile_sweep(tile, compiled=use) if norm_too else None
        approximation = block(rows, cols)
        if approximation.dtype == np.result_type(tile, approximation):
            difference = np.subtract(tile, approximation, out=approximation)
        else:
            difference = tile - approximation
        return cols, kernel.tile_sweep(np.ascontiguousarray(difference), compiled=use), own

    if not norm_too:
        compare.fold = _merged  # type: ignore[attr-defined]
    with np.errstate(over="ignore", invalid="ignore"):
        seen = matrix.tiles(compare, flops=m * n * (F.entry_flops + 2))
    if any(facts.bad for _, facts, _ in seen):
        raise NumericalError("the product of the factors overflows", hint="scale the matrix down")
    error = combine([(cols, facts) for cols, facts, _ in seen], n, jit.flavour(use))
    if back is not None:
        columns = np.zeros(n_whole)
        columns[back] = error.column_squares
        error = dataclasses.replace(error, column_squares=columns)
    norm = combine([(cols, own) for cols, _, own in seen], n, jit.flavour(use)) if norm_too else error
    return error, norm


def _merged(seen: list[tuple[slice, Any, None]]) -> list[tuple[slice, Any, None]]:
    """See ``facts.merged``; what overflowed is told by any of its tiles."""
    if any(facts.bad for _, facts, _ in seen):
        return seen
    return [(cols, facts, None) for _, cols, facts in merged([(slice(0, 0), cols, facts) for cols, facts, _ in seen])]


def _by_products(matrix: Metered, L: Any, R: Any) -> MatrixFacts | None:
    """Facts of A - L R for a sparse matrix too large to be visited entry by entry, from one product A^H L.

    By columns |a_j|^2 - 2 Re (L^H a_j)^H r_j + r_j^H (L^H L) r_j, in double precision. None where the result is so
    small that the difference would lose more than six of its sixteen digits, or squares leave the range of floats.
    """
    if matrix.dtype not in (np.float64, np.complex128) or is_sparse(L) or is_sparse(R):
        return None
    facts = matrix.sweep()
    if facts.exponent:
        return None
    B = matrix.rmatmat(contiguous(L))
    G = gram(contiguous(L), matrix.engine)
    matrix.ledger.flops += 2 * L.shape[1] ** 2 * (L.shape[0] + R.shape[1])
    mixed = np.einsum("jk,kj->j", B.conj(), R).real
    own = np.einsum("kj,kj->j", R.conj(), G @ R).real
    squares = facts.column_squares - 2 * mixed + own
    if not np.all(np.isfinite(squares)) or float(squares.sum()) < CANCELLED * facts.squares:
        return None
    return dataclasses.replace(facts, column_squares=np.maximum(squares, 0.0))


def _held(factor: Factorization) -> Pair:
    """The two factors, computed once."""
    L, R = (part if is_sparse(part) else contiguous(part) for part in factor.pair())
    return Pair(L, R)


def _without_zeros(matrix: Metered, L: Any, R: Any) -> tuple[Metered, Pair, Any]:
    """A sparse matrix and its factors without the rows, and columns, that are zero in both: there nothing is left.

    Networks and counts are full of them, and the rest is compared densely.
    """
    stored: Any = matrix.inner
    if not hasattr(stored, "occupied"):
        return matrix, Pair(L, R), None
    # rows are picked one by one, which no block on workers gives
    L = np.asarray(L) if isinstance(L, Tall) else L
    rows, cols = stored.occupied()
    rows |= _nonzero_rows(L)
    cols |= _nonzero_rows(R.T)
    if rows.mean() * cols.mean() > 0.8 or not rows.any() or not cols.any():
        return matrix, Pair(L, R), None
    kept_rows, kept_cols = np.flatnonzero(rows), np.flatnonzero(cols)
    small = Metered(stored.restricted(kept_rows, kept_cols), matrix.ledger)
    return small, Pair(L[kept_rows], R[:, kept_cols]), kept_cols


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
