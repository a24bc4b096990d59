"""A Krylov basis whose leading Ritz triplets are singular triplets to a residual that was asked for.

In exact arithmetic A^H A V t - theta^2 V t, for a Ritz pair (theta^2, t) of a block Krylov basis V, is what the last
block's next product adds to V, times the last entries of t: the residual is known before it is formed (Golub and Kahan
1965; Larsen 1998, PROPACK, for one vector at a time). We differ in blocks, in full reorthogonalisation on one side
only, and in double precision throughout; the Gram matrix of A V gives the Ritz pairs.
"""

from __future__ import annotations

import math

from ..errors import UsageError
from ..lazy import np
from ..matrices.blocks import combined, cross, gram, lengths, subtract_product, weighted
from ..matrices.metered import Metered
from ..streams import Streams
from .bases import FULL_SHARE, LAPACK_ENTRIES, MOST_BLOCKS, Grown, require_basis, tall
from .krylov import BlockKrylov
from .scaling import Scaled

#: Columns of a block: narrow ones reach further with as many columns, wider ones multiply faster.
WIDTH = 32
#: A residual that falls by less than this factor from one look to the next has met rounding.
_STALLED = 2.0


def to_residual(
    scaled: Scaled, k: int, residual: float, streams: Streams, block: int | None = None, most: int = MOST_BLOCKS
) -> Grown | None:
    """A basis with |A^H u - s v| <= residual * s_1 for its k leading Ritz triplets, or as near as rounding lets them
    come; None where LAPACK is the better way.

    Cost with q blocks of b columns: 4 q m n b flops in q + 1 passes, and (q b)^3 / 3 each time the residual is looked
    at. Raises UsageError when ``most`` blocks cannot hold the rank.
    """
    matrix = scaled.matrix
    basis = BlockKrylov(tall(matrix), streams)
    m, n = basis.matrix.shape
    b = block or WIDTH
    unasked = most == MOST_BLOCKS
    if not unasked and most * b < k:
        raise UsageError(
            f"{most} Krylov blocks of {b} columns hold fewer than --rank {k}", hint="raise --max-blocks or --block"
        )
    limit = FULL_SHARE * n if m * n <= LAPACK_ENTRIES else n
    basis.start(b, fused=True)
    looked: list[tuple[int, float]] = []
    due = 2 * k + b
    while not basis.exhausted:
        if basis.size >= due:
            found = largest_residual(basis, k)
            if found <= residual or (looked and found * _STALLED > looked[-1][1] and found < 1e-9):
                break
            looked.append((basis.size, found))
            due = basis.size + _columns_to_go(looked, residual, b)
        if not unasked and len(basis.marks) >= most:
            return Grown(basis, spent=True)
        if basis.size + b > limit:
            return None if m * n <= LAPACK_ENTRIES else Grown(basis, spent=True)
        require_basis(basis.matrix, basis.size + b)
        basis.expand(b, fused=True)
    basis.pad(k)
    return Grown(basis)


def largest_residual(basis: BlockKrylov, k: int) -> float:
    """The largest |A^H u - theta v| of the k leading Ritz triplets over theta_1; infinite when there are fewer."""
    Z = basis.ahead
    if basis.size < k or Z is None:
        return math.inf
    squares, T = basis.ritz()
    if not squares[0] > 0:
        return 0.0
    engine = basis.matrix.engine
    outside = combined([(1.0, Z)], engine)
    for _ in range(2):
        subtract_product(outside, basis.V, cross(basis.V, outside, engine), engine)
    last = T[-basis.last :, :k]
    lengths = np.einsum("ij,ij->j", last.conj(), gram(outside, engine) @ last).real
    values = np.maximum(np.sqrt(squares[:k]), np.finfo(np.float64).tiny)
    return float(np.max(np.sqrt(np.maximum(lengths, 0.0)) / values) / math.sqrt(squares[0]))


def _columns_to_go(looked: list[tuple[int, float]], residual: float, b: int) -> int:
    """Columns until the residual is there, if it goes on to fall as it did; a look costs an eigenvalue problem."""
    if len(looked) < 2 or not looked[-1][1] < looked[-2][1]:
        return 2 * b
    (size, found), (before, larger) = looked[-1], looked[-2]
    rate = math.log(larger / found) / (size - before)
    return int(min(max(b, 0.8 * math.log(found / residual) / rate), 8 * b))


def measured(matrix: Metered, U: np.ndarray, s: np.ndarray, V: np.ndarray) -> float:
    """The largest |A v - s u| over s_1, from one product; A^H u = s v holds to rounding as the triplets are made."""
    engine = matrix.engine
    reached = tall(matrix).matmat(np.ascontiguousarray(V), keep=True)
    left = combined([(1.0, reached), (-1.0, weighted(U, s, engine))], engine)
    return float(lengths(left, engine).max() / s[0]) if len(s) and s[0] > 0 else 0.0
