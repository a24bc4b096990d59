"""Interpolative decomposition: a matrix from some of its own columns, or rows."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING

from ..budget import Budget
from ..factors.base import dense
from ..factors.interpolative import ColumnID, RowID
from ..kernels import interpolation, jit, pivoting
from ..lazy import np
from ..matrices.adjoint import Adjoint
from ..matrices.blocks import orthonormalize, times
from ..matrices.dense import SINGLE
from ..matrices.metered import Metered
from ..options import check, opt
from ..streams import Streams
from .assessment import Assessor, assessor
from .bases import Grown, for_rank, require_basis, tall, to_tolerance
from .completion import Ordered, complete
from .krylov import BlockKrylov, multiple_of_32
from .method import Method
from .outcome import Outcome
from .probes import Probes
from .scaling import Scaled, bring_to_scale, check_rank
from .tolerance import check_tolerance, rank_for, target_square

if TYPE_CHECKING:
    import numpy

#: Pivot the matrix itself up to this many entries and this smaller side; above, pivot a sketch.
SMALL_ENTRIES, SMALL_SIDE = 1_000_000, 500
#: Blocks of the Krylov space that is pivoted: it then chooses about as well as pivoting A (docs/decisions/0003).
BLOCKS = 3
#: A sketch cannot see columns below its rounding; up to this many entries the matrix itself is pivoted then.
DIRECT_ENTRIES = 16_000_000


@dataclasses.dataclass(frozen=True)
class IDOptions:
    """axis: what is selected."""

    axis: str = opt("cols", "Select columns or rows (id).", choices=("cols", "rows"))

    def __post_init__(self) -> None:
        check(self)


@dataclasses.dataclass(frozen=True, eq=False)
class Selection:
    """Columns in the order they were chosen, and B = Q^H A for Q an orthonormal basis of the first j of them, any j.

    B (K, n), with B[:, pivots] upper triangular; gains (K,) the squared norms of its rows, by which the squared error
    falls from one column to the next; beyond estimates the squared error that is left after all K.
    """

    pivots: numpy.ndarray
    B: numpy.ndarray
    gains: numpy.ndarray
    beyond: float
    compiled: bool


def run(matrix: Metered, budget: Budget, options: IDOptions, streams: Streams) -> Outcome:
    """A ~ C Z with C = A[:, cols] bit for bit and Z[:, cols] = I exactly; with axis rows, A ~ W R.

    Columns are pivots of a QR of A itself when A is small, else of its projection on a Krylov space of three blocks,
    those the SVD begins with, in single precision where that serves; it pivots like A does. Then Z is the least squares
    solution, at the cost of one more pass (Voronin and Martinsson 2017, with power steps and the least squares added).
    With a tolerance: the fewest columns, along the pivot order, whose measured error meets it. The rank is less than
    asked for when the matrix has no more independent columns. Cost at rank k: about 7 m n k flops, 6 passes, one more
    for the exact error.

    Raises UsageError (rank too large, tolerance below eps), InputError (NaN, Inf).
    """
    m, n = matrix.shape
    check_rank(budget.rank, min(m, n), f"a {m}x{n} matrix")
    check_tolerance(budget, matrix.dtype)
    scaled = bring_to_scale(matrix)
    work: Metered | Adjoint = scaled.matrix if options.axis == "cols" else Adjoint(scaled.matrix)
    assess = assessor(scaled, budget, streams)
    target = None if assess is None else target_square(budget, scaled, assess.norm)
    if m * n <= SMALL_ENTRIES and min(m, n) <= SMALL_SIDE:
        chosen = _pivot_matrix(work, budget.rank)
    elif assess is None or target is None:
        chosen = _pivot_sketch(scaled, work, budget.rank or 1, streams)
    else:
        chosen = _pivot_to_tolerance(scaled, work, assess, target, budget.rank, streams)
    return _finish(chosen, matrix, scaled, budget, options, target, assess)


def _pivot_matrix(matrix: Metered | Adjoint, rank: int | None) -> Selection:
    m, n = matrix.shape
    A = matrix.whole()
    k = rank or min(m, n)
    use = jit.pays(pivoting.seconds_saved(m, n, k))
    qr = pivoting.pivoted_qr(A, k, compiled=use)
    return _selection(qr.pivots, qr.R, float(qr.trail[-1]) ** 2, use)


def _selection(pivots: numpy.ndarray, B: numpy.ndarray, beyond: float, compiled: bool) -> Selection:
    gains = np.square(np.abs(B).astype(np.float64)).sum(axis=1)
    return Selection(pivots, B, gains, beyond, compiled)


def projection(grown: Grown, along: bool) -> numpy.ndarray:
    """An isometric image of A V V^H (along), whose columns pivot like those of A; else of its adjoint, W^H."""
    basis = grown.basis
    engine = basis.matrix.engine
    if not along:
        return np.ascontiguousarray(basis.W.dense().conj().T)
    if basis.W.dtype.itemsize == np.dtype(SINGLE.get(str(basis.W.dtype), basis.W.dtype)).itemsize:
        # W = Q diag(theta)^(1/2) T^H: squares of double precision tell all digits of single precision apart
        squares, T = basis.ritz()
        image = times(basis.V, T, engine) * np.sqrt(squares).astype(np.finfo(basis.V.dtype).dtype)
        return np.ascontiguousarray(image.conj().T)
    R = orthonormalize(basis.W.dense(), engine)[1]
    return np.ascontiguousarray(R @ basis.V.dense().conj().T)


def _along(work: Metered | Adjoint, matrix: Metered) -> bool:
    """Whether the columns wanted are those of the tall matrix that has the basis, not its rows."""
    return isinstance(work, Adjoint) == isinstance(tall(matrix), Adjoint)


def _pivot_sketch(scaled: Scaled, work: Metered | Adjoint, k: int, streams: Streams) -> Selection:
    m, n = work.shape
    grown = for_rank(scaled, k, streams, blocks=BLOCKS)
    Y = projection(grown, _along(work, scaled.matrix))
    use = jit.pays(pivoting.seconds_saved(*Y.shape, k))
    qr = pivoting.pivoted_qr(Y, k, compiled=use)
    if len(qr.pivots) < k and m * n <= DIRECT_ENTRIES:
        return _pivot_matrix(work, k)
    return _least_squares(work, qr.pivots, use)


def _least_squares(
    matrix: Metered | Adjoint, pivots: numpy.ndarray, compiled: bool, probes: Probes | None = None
) -> Selection:
    """B = Q^H A for the chosen columns: one pass. Probes estimate what is left of A outside their span."""
    n = matrix.shape[1]
    if not len(pivots):
        return _selection(pivots, np.zeros((0, n), matrix.dtype), 0.0, compiled)
    Q, R = orthonormalize(np.ascontiguousarray(dense(matrix.cols(pivots))), matrix.engine)
    B = np.ascontiguousarray(matrix.rmatmat(Q).conj().T)
    B[:, pivots] = np.triu(R)
    return _selection(pivots, B, 0.0 if probes is None else probes.outside(Q), compiled)


def _pivot_to_tolerance(
    scaled: Scaled, work: Metered | Adjoint, assess: Assessor, target: float, cap: int | None, streams: Streams
) -> Selection:
    """Grow the basis, and the number of its pivots, until these reach the tolerance with some to spare.

    The projection misses what lies outside the basis, so it only proposes a number; the columns themselves, projected
    out of stored probes, say whether it is enough.
    """
    m, n = work.shape
    grown = to_tolerance(scaled, assess, target, cap, streams)
    if grown is None and m * n <= DIRECT_ENTRIES:
        return _pivot_matrix(work, cap)
    if grown is None:
        grown = Grown(BlockKrylov(tall(scaled.matrix), streams), beyond=scaled.squares)
        grown.basis.start(multiple_of_32(min(m, n) / 4), fused=True)
    target *= assess.margin
    judges, along, reach = Probes(work, streams), _along(work, scaled.matrix), 0
    while True:
        basis = grown.basis
        use = jit.pays(pivoting.seconds_saved(basis.size, n, basis.size))
        qr = pivoting.pivoted_qr(projection(grown, along), basis.size, compiled=use)
        squares = np.ldexp(np.square(qr.trail), 2 * grown.exponent)
        proposed = rank_for(target, grown.beyond + float(squares[-1]), squares[:-1] - squares[1:])
        reach = max(reach, proposed + proposed // 8 + 8)
        last = basis.exhausted or (cap is not None and 0.75 * basis.size > cap)
        while last or reach <= 0.75 * basis.size:
            most = min(len(qr.pivots), cap or n)
            chosen = _least_squares(work, qr.pivots[: min(reach, most)], use, judges)
            if chosen.beyond <= 0.8 * target or (last and reach >= most):
                break
            reach += reach // 4 + 8
        else:
            grown = deeper(grown, streams)
            continue
        short = chosen.beyond > target and (cap is None or len(chosen.pivots) < cap)
        return _pivot_matrix(work, cap) if short and m * n <= DIRECT_ENTRIES else chosen


def deeper(grown: Grown, streams: Streams) -> Grown:
    """The basis with about twice the columns."""
    basis = grown.basis
    b = min(multiple_of_32(basis.size), basis.matrix.shape[1] - basis.size)
    require_basis(basis.matrix, basis.size + b)
    basis.expand(b, fused=True)
    beyond = Probes(basis.matrix, streams).beyond(basis)
    return dataclasses.replace(grown, beyond=math.ldexp(beyond, 2 * grown.exponent))


def _finish(
    chosen: Selection,
    matrix: Metered,
    scaled: Scaled,
    budget: Budget,
    options: IDOptions,
    target: float | None,
    assess: Assessor | None,
) -> Outcome:
    by_rows = options.axis == "rows"
    pieces = Ordered(lambda k: _factor(chosen, k, scaled.matrix, by_rows), chosen.gains, chosen.beyond)
    done = complete(pieces, scaled, budget, target, assess)
    factor = _factor(chosen, done.rank, matrix, by_rows)
    Z = factor.W if isinstance(factor, RowID) else factor.Z
    ran = jit.flavour(chosen.compiled)
    facts = {
        "kernels": [f"pivoted_qr {ran}", f"coefficients {ran}", f"sweep {scaled.facts.kernel}"],
        "max_abs_Z": float(np.abs(Z).max(initial=0.0)),
    }
    return Outcome(factor, done.status, done.certificate, matrix.ledger, facts)


def _factor(chosen: Selection, k: int, source: Metered, by_rows: bool) -> ColumnID | RowID:
    """The factorization by the first k chosen columns (rows), read from source."""
    n = chosen.B.shape[1]
    if len(chosen.pivots):
        pivots = chosen.pivots[:k]
        Z = interpolation.coefficients(chosen.B[:k], pivots, compiled=chosen.compiled)
    else:
        # a zero matrix: any column will do
        pivots, Z = np.zeros(1, np.int64), np.zeros((1, n), chosen.B.dtype)
        Z[0, 0] = 1
    if by_rows:
        return RowID(rows=pivots, R=source.rows(pivots), W=np.ascontiguousarray(Z.conj().T))
    return ColumnID(cols=pivots, C=source.cols(pivots), Z=Z)


METHOD = Method(
    name="id",
    options=IDOptions,
    run=run,
    identity="A ~ C Z, C = A[:, cols]  (or W R, R = A[rows, :])",
    cost="7 m n k flops in 7 passes",
    reference="Voronin and Martinsson 2017; Cheng et al. 2005",
    guarantee="in practice that of QR with column pivoting within 2 %",
    choose="which columns or rows matter; factors in the units of the data, sparse where it is",
)
