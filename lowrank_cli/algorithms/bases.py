"""Krylov bases that methods ask for: good for a rank, or for a tolerance, in the lowest precision that serves.

Two methods that ask for the same basis of the same matrix get the same bits; where runs on one matrix share their
bases (``Metered.shared``) it is made once and charged to each.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..budget import Budget
from ..errors import UsageError
from ..lazy import np
from ..matrices.adjoint import Adjoint
from ..matrices.metered import Metered
from ..memory import require
from ..streams import Streams
from .assessment import Assessor
from .krylov import BlockKrylov, multiple_of_32
from .probes import Probes
from .scaling import Scaled, lowered

if TYPE_CHECKING:
    import numpy

#: Blocks of a basis for a rank, usually at least; the last is widened by sketch columns.
LEAST_BLOCKS = 4
MOST_BLOCKS = 24
#: Sketch columns that look for what the Krylov space cannot hold.
FRESH = 16
#: A basis for a rank is done when what more blocks would take off the squared error is below this share of it. Gains
#: are trusted to go on when each is at most this share of the one before.
_REMAINS, _FALLS = 8e-3, 0.5
#: What a basis has captured is looked at from so many columns beyond the rank on.
_MORE = 8
#: Single precision serves down to this relative error, times the root of the rank: its rounding then adds less than
#: 1e-4 of the error.
_SINGLE_REACH = 2.4e-5
#: A matrix with a smaller side up to this and that many times as tall has a basis from its Gram matrix; with so many
#: more columns than the rank; its rounding in units of eps.
GRAM_SIDE, _GRAM_ASPECT, _GRAM_SPARE, _GRAM_NOISE = 640, 8, 28, 8.0
#: A tolerance below this needs every digit from the start.
_SINGLE_TOLERANCE = 1e-3
#: A basis larger than this share of the smaller side costs more than LAPACK.
FULL_SHARE = 0.5
#: The largest matrix that is expanded or copied for LAPACK.
LAPACK_ENTRIES = 64_000_000


@dataclasses.dataclass(frozen=True)
class Grown:
    """A basis of the matrix times 2**-exponent, perhaps in single precision, its adjoint if that is taller.

    beyond: estimate of the squared error that no rank within the basis removes, on the scale of the matrix. spent: the
    allowance of blocks ended its growth. kernel: what made it.
    """

    basis: BlockKrylov
    exponent: int = 0
    beyond: float = 0.0
    spent: bool = False
    kernel: str = "block krylov"

    def squares(self) -> numpy.ndarray:
        """Squared Ritz values on the scale of the matrix."""
        return np.ldexp(self.basis.ritz_squares(), 2 * self.exponent)

    def blur(self) -> float:
        """What rounding may have added to one of them."""
        return math.ldexp(self.basis.blur(), 2 * self.exponent)


def width(rank: int, block: int | None = None) -> int:
    """Columns of a block."""
    return block or multiple_of_32(rank / 2 + 10)


def few_blocks(rank: int) -> bool:
    """Whether the first block holds the rank and some more, so that three blocks may be seen to be enough."""
    return width(rank) >= rank + _MORE


def tall(matrix: Metered) -> Metered | Adjoint:
    """The matrix or its adjoint, whichever has no more columns than rows."""
    return matrix if matrix.shape[0] >= matrix.shape[1] else Adjoint(matrix)


def adjoint(matrix: Metered | Adjoint) -> Metered | Adjoint:
    return matrix.inner if isinstance(matrix, Adjoint) else Adjoint(matrix)


def for_rank(
    scaled: Scaled,
    k: int,
    streams: Streams,
    block: int | None = None,
    most: int = MOST_BLOCKS,
    blocks: int | None = None,
) -> Grown:
    """A basis whose k leading Ritz triplets are about as good as singular triplets, in the Frobenius norm.

    It grows until what further blocks are going to add is a small share of the squared error; or to so many blocks,
    if that is asked for. Single precision first, where there is one; double when the error turns out to be too near
    its rounding. Cost with q blocks of b columns: 4 q m n b flops. Raises UsageError when ``most`` blocks cannot hold
    the rank.
    """
    # whoever says how blocks are to be gets a basis of blocks
    unasked = block is None and most == MOST_BLOCKS
    if unasked and scaled.matrix.nnz is None and by_gram(scaled.matrix.shape, k):
        by_squares = _from_gram(scaled, k, streams)
        if by_squares is not None:
            return by_squares
    low = lowered(scaled)
    grown: Grown | None = None
    for matrix, exponent in ([] if low is None else [low]) + [(scaled.matrix, 0)]:
        total = math.ldexp(scaled.squares, -2 * exponent)

        def grow(basis: BlockKrylov, total: float = total) -> tuple[float, bool]:
            return _fixed_rank(basis, k, total, block, most, blocks)

        grown = _shared(matrix, ("rank", k, block, most), blocks, streams, exponent, grow)
        assert grown is not None
        if matrix is scaled.matrix or _single_serves(grown, k, scaled.squares):
            break
    assert grown is not None
    return grown


def by_gram(shape: tuple[int, int], k: int) -> bool:
    """Whether a dense matrix is so tall, or wide, that its Gram matrix costs no more than a Krylov basis."""
    n, m = sorted(shape)
    return n <= GRAM_SIDE and m >= _GRAM_ASPECT * n and k + _GRAM_SPARE < n


def begins_single(matrix: Metered, budget: Budget) -> bool:
    """Whether ``for_rank`` will multiply the tiles of a dense matrix in single precision, several times."""
    if matrix.nnz is not None or budget.rank is None or budget.has_tolerance:
        return False
    return not by_gram(matrix.shape, budget.rank)


def _from_gram(scaled: Scaled, k: int, streams: Streams) -> Grown | None:
    """The leading eigenvectors of A^H A in single precision as a basis: two passes whatever the spectrum. None where
    the rounding of squares would show in the error of rank k."""
    matrix, exponent = lowered(scaled) or (scaled.matrix, 0)
    l = min(multiple_of_32(k + _GRAM_SPARE), tall(matrix).shape[1])

    def grow(basis: BlockKrylov) -> tuple[float, bool]:
        values, vectors = np.linalg.eigh(basis.matrix.gram())
        basis.start_from(vectors[:, ::-1][:, :l])
        return float(np.sum(np.maximum(values[:-l], 0.0))), False

    grown = _shared(matrix, ("gram", l), None, streams, exponent, grow)
    assert grown is not None
    squares = grown.squares()
    left = float(np.sum(squares[k:])) + grown.beyond
    eps = float(np.finfo(grown.basis.W.dtype).eps)
    # a Gram matrix off by a few eps of its norm turns a vector by that over its own value; the turn counts squared
    lost = k * (_GRAM_NOISE * eps * float(squares[0])) ** 2 / max(float(squares[k - 1]), np.finfo(np.float64).tiny)
    if lost > 1e-4 * left or not _single_serves(grown, k, scaled.squares):
        return None
    return dataclasses.replace(grown, kernel="gram eigh")


def _single_serves(grown: Grown, k: int, total: float) -> bool:
    """Whether rounding in single precision is lost in the error of rank k."""
    if grown.basis.size < k:
        return False
    squares = grown.squares()
    # |A|^2 less what the basis holds is what lies outside, while it stands clear of single precision
    outside = total - float(np.sum(squares))
    left = float(np.sum(squares[k:])) + (outside if outside > 1e-5 * total else 0.0)
    return left >= _SINGLE_REACH**2 * k * float(squares[0])


def _fixed_rank(
    basis: BlockKrylov, k: int, total: float, block: int | None, most: int, blocks: int | None
) -> tuple[float, bool]:
    """Grow a basis until the captured energy settles.

    A Krylov space holds a repeated singular value at most as often as its first block is wide, so from the least
    number of blocks on each is widened by fresh sketch columns: where they find something, the gain says so.
    """
    b = width(k, block)
    wider = max(0, most - LEAST_BLOCKS + 1)
    if most * b + FRESH * wider * (wider + 1) // 2 < k:
        raise UsageError(
            f"{most} Krylov blocks of {b} columns hold fewer than --rank {k}", hint="raise --max-blocks or --block"
        )
    captured: list[float] = []
    for count in range(1, (blocks or most) + 1):
        if basis.exhausted:
            break
        needed = None
        if count >= LEAST_BLOCKS:
            b += FRESH
            # whoever says how wide blocks are gets all of them
            needed = basis.needed(k) if block is None else None
            b -= 0 if needed is None else len(needed) - needed.shape[1]
        # the products of a widened block are made together, so the one before it plans no further
        fused = count < LEAST_BLOCKS - 1 and count != blocks
        if count == 1:
            basis.start(b, fused)
        else:
            basis.expand(b, fused, needed)
        if blocks is not None or basis.size < k + _MORE:
            continue
        # whoever says how wide blocks are asks for more than what is just enough
        last = count >= (LEAST_BLOCKS - 1 if block is None else LEAST_BLOCKS)
        squares = basis.ritz()[0] if last else basis.ritz_squares()
        captured.append(float(np.sum(squares[:k])))
        if last and _settled(captured, squares, k, total, basis):
            break
    basis.pad(k)
    return 0.0, False


def _settled(captured: list[float], squares: numpy.ndarray, k: int, total: float, basis: BlockKrylov) -> bool:
    """Whether the captured energy has converged: gains fall at least geometrically, so the rest of the series is known.

    What is left is projected once more, A^H U after A V, which is worth half a block. Two gains tell little of how they
    fall, as the first made good what the sketch had lost: no better than ``_FALLS`` is expected. The first block then
    held the rank, with every singular value as often as it is repeated.
    """
    if len(captured) < 3:
        return False
    before, gain = captured[-2] - captured[-3], captured[-1] - captured[-2]
    noise = squares[0] * basis.size * float(np.finfo(basis.W.dtype).eps)
    if gain <= noise:
        return True
    ratio = gain / before if before > gain else 1.0
    falls = max(ratio, _FALLS) if len(basis.marks) < LEAST_BLOCKS else ratio
    # |A|^2 - captured is the squared error while it stands clear of rounding, the tail in the basis always below it
    error = max(float(np.sum(squares[k:])), total - captured[-1] if total - captured[-1] > 1e-6 * total else 0.0)
    return ratio < _FALLS and gain * falls**1.5 / (1 - falls) <= _REMAINS * error


def to_tolerance(
    scaled: Scaled,
    assess: Assessor,
    target: float,
    cap: int | None,
    streams: Streams,
    block: int | None = None,
    most: int = MOST_BLOCKS,
) -> Grown | None:
    """A basis that offers a rank for the squared error ``target``, grown until that rank no longer falls; None where
    LAPACK is the better way."""
    low = lowered(scaled) if target >= (_SINGLE_TOLERANCE * assess.norm) ** 2 else None
    matrix, exponent = low if low is not None else (scaled.matrix, 0)

    def grow(basis: BlockKrylov) -> tuple[float, bool] | None:
        return _to_tolerance(basis, assess, math.ldexp(target, -2 * exponent), cap, block, most)

    asked = ("tolerance", type(assess).__name__, target, assess.margin, cap, block, most)
    return _shared(matrix, asked, None, streams, exponent, grow)


def _to_tolerance(
    basis: BlockKrylov, assess: Assessor, target: float, cap: int | None, block: int | None, most: int
) -> tuple[float, bool] | None:
    matrix = basis.matrix
    m, n = matrix.shape
    probes = Probes(matrix, basis.streams)
    b = block or 32
    basis.start(b, fused=True)
    limit = n if m * n > LAPACK_ENTRIES else FULL_SHARE * n
    found, before = n + 1, np.empty(0)
    for blocks in itertools.count(1):
        beyond = probes.beyond(basis)
        squares = basis.ritz_squares()
        rank = 1 if not basis.size else assess.guess(target, beyond, squares)
        inside = rank <= assess.trust * basis.size and _stable(squares, before, rank, assess)
        before = squares
        if (inside and found - rank <= max(1, rank // 50)) or basis.exhausted or _enough(basis, cap, found, rank):
            basis.pad(1)
            return beyond, False
        if blocks >= most:
            return beyond, True
        found = rank if inside else n + 1
        if block is None and not inside:
            b = max(b, multiple_of_32(basis.size / 2))
        if basis.size + b > limit and m * n <= LAPACK_ENTRIES:
            return None
        require_basis(matrix, basis.size + b)
        basis.expand(b, fused=True)
    raise AssertionError("unreachable")


def _stable(squares: numpy.ndarray, before: numpy.ndarray, rank: int, assess: Assessor) -> bool:
    """Whether the Ritz value at the cut has stopped moving, for those who trust single values and not their sum."""
    return assess.trust == 1 or (rank <= len(before) and before[rank - 1] >= 0.98 * squares[rank - 1])


def _enough(basis: BlockKrylov, cap: int | None, found: int, rank: int) -> bool:
    """Whether a rank cap will come before the tolerance, and the basis is good for that rank."""
    return cap is not None and basis.size >= 4 * (cap + 8) and min(found, rank) > cap


def require_basis(matrix: Metered | Adjoint, columns: int) -> None:
    """Refuse a basis that memory cannot hold, before it grows; held twice while a block is appended. The long side of a
    dense matrix may go to scratch files, or is kept by workers."""
    m, n = matrix.shape
    need = 2 * columns * (n if matrix.nnz is None else m + n) * np.dtype(matrix.dtype).itemsize
    require(need, f"a Krylov basis of {columns} columns for a {m}x{n} matrix", "loosen --rtol, or lower the rank")


def _shared(
    matrix: Metered,
    asked: tuple[Any, ...],
    blocks: int | None,
    streams: Streams,
    exponent: int,
    grow: Callable[[BlockKrylov], tuple[float, bool] | None],
) -> Grown | None:
    """The basis that ``grow`` makes, or its first blocks; made before, perhaps, for another run on the same matrix."""
    key = (asked, streams, str(matrix.dtype))
    made = matrix.shared.get((*key, None), matrix.shared.get((*key, blocks)))
    if made is None:
        # where squares may be as small as a tolerance, they come from the long side
        basis = BlockKrylov(tall(matrix), streams, short=asked[0] == "rank")
        before = dataclasses.replace(matrix.ledger)
        ended = grow(basis)
        made = basis, ended, matrix.ledger.since(before)
        matrix.shared[(*key, blocks)] = made
    else:
        basis, _, cost = made
        matrix.ledger.add(cost if blocks is None or blocks >= len(basis.marks) else basis.marks[blocks - 1][1])
    basis, ended, _ = made
    if ended is None:
        return None
    mine = basis.prefix(blocks or len(basis.marks), tall(matrix))
    return Grown(mine, exponent, math.ldexp(ended[0], 2 * exponent), ended[1])
