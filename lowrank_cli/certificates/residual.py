"""The exact error: every entry of A - F, one pass, right at every scale, never a difference of squares."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from ..errors import NumericalError
from ..factors.base import Factorization, dense, is_sparse
from ..kernels import jit
from ..kernels import sweep as kernel
from ..lazy import np
from ..matrices.facts import MatrixFacts, combine, ldexp
from .certificate import Certificate

if TYPE_CHECKING:
    import numpy

    from ..matrices.metered import Metered


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
    norm = combine([(cols, own) for cols, _, own in seen], n, jit.flavour(use)) if norm_too else error
    return error, norm


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
