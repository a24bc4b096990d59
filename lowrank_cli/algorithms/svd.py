"""Truncated SVD: LAPACK when the matrix is small or the rank nearly full, block Krylov otherwise."""

from __future__ import annotations

import dataclasses
import itertools
from typing import TYPE_CHECKING

from ..budget import Budget
from ..certificates.spectral import affordable
from ..errors import NumericalError, UsageError
from ..factors.svd import SVD
from ..lazy import np
from ..matrices.adjoint import Adjoint
from ..matrices.metered import Metered
from ..memory import require
from ..options import check, opt
from ..streams import Streams
from .assessment import Assessor, assessor
from .completion import Ordered, complete
from .krylov import BlockKrylov, multiple_of_32
from .method import Method
from .outcome import Outcome, Status
from .probes import Probes
from .scaling import Scaled, bring_to_scale, check_rank
from .svd_sources import Full, Projected, Source, signed
from .tolerance import check_tolerance, target_square

if TYPE_CHECKING:
    import numpy

#: LAPACK outright up to this many entries and this smaller side: under about 0.3 s on one core.
_SMALL_ENTRIES, _SMALL_SIDE = 1_000_000, 500
#: A basis larger than this share of the smaller side costs more than LAPACK.
FULL_SHARE = 0.5
#: The largest matrix that is expanded or copied for LAPACK.
LAPACK_ENTRIES = 64_000_000
#: Rank mode stops when further blocks would lower the squared error by less than this share of it: the Frobenius
#: error is then within 0.3 % of the best.
_REMAINS = 6e-3
LEAST_BLOCKS = 4
#: Sketch columns that look for what the Krylov space cannot hold.
FRESH = 32


@dataclasses.dataclass(frozen=True)
class SVDOptions:
    """block: width of a Krylov block; default the rank over two plus ten, rounded up to a multiple of 32."""

    block: int | None = opt(
        None,
        "Columns of a Krylov block (svd); the fourth and later ones are wider. Default from the rank.",
        min=1,
        max=4096,
    )
    max_blocks: int = opt(24, "Most Krylov blocks (svd); each is two products with the matrix.", min=1, max=1000)

    def __post_init__(self) -> None:
        check(self)


def run(matrix: Metered, budget: Budget, options: SVDOptions, streams: Streams) -> Outcome:
    """A ~ U diag(s) Vh, the truncated SVD of A (LAPACK), or of its projection on a block Krylov space.

    With a rank k: k triplets; the Krylov basis grows until another block would no longer lower the Frobenius error by
    a noticeable amount. With a tolerance: the smallest rank whose measured error meets it. With both: whichever comes
    first. Cost with q blocks of b columns: 4 q m n b flops and q + 2 passes over the first four blocks, two more for
    each further one, plus one for the exact error. Memory (m + n) q b.

    Raises UsageError (rank too large, tolerance below eps), InputError (NaN, Inf), NumericalError, ResourceError.
    """
    m, n = matrix.shape
    check_rank(budget.rank, min(m, n), f"a {m}x{n} matrix")
    check_tolerance(budget, matrix.dtype)
    if not wants_lapack(matrix, budget.rank, options):
        _require_basis(matrix, LEAST_BLOCKS * (width(budget.rank, options) if budget.rank else 32))
    scaled = bring_to_scale(matrix)
    work = scaled.matrix
    tall: Metered | Adjoint = work if m >= n else Adjoint(work)
    assess = assessor(scaled, budget, streams)
    target = None if assess is None else target_square(budget, scaled, assess.norm)
    # what spectral tolerances are judged by at this size is a decomposition itself
    judged_dense = target is not None and budget.norm == "spectral" and affordable((m, n))
    if judged_dense or wants_lapack(work, budget.rank, options):
        source: Source = Full(tall)
    elif assess is None or target is None:
        source = _fixed_rank(tall, budget.rank or 1, scaled.squares, options, streams)
    else:
        source = _to_tolerance(tall, assess, target, budget.rank, options, streams)
    outcome = _finish(source, scaled, budget, target, assess, transposed=m < n)
    unfinished = outcome.status is Status.STAGNATED and not source.complete
    if unfinished and target is not None and assess is not None:
        # the basis promised more than it held: one that reaches deeper, or all there is
        deeper = (
            Full(tall)
            if m * n <= LAPACK_ENTRIES
            else _to_tolerance(tall, assess, target / 16, budget.rank, options, streams)
        )
        outcome = _finish(deeper, scaled, budget, target, assess, transposed=m < n)
    return outcome


def wants_lapack(matrix: Metered, rank: int | None, options: SVDOptions) -> bool:
    """Whether a full decomposition is the better way: decided by shape, storage, rank and options alone."""
    m, n = matrix.shape
    if m * n > LAPACK_ENTRIES:
        return False
    if m * n <= _SMALL_ENTRIES and min(m, n) <= _SMALL_SIDE:
        return True
    return rank is not None and LEAST_BLOCKS * width(rank, options) > FULL_SHARE * min(m, n)


def width(rank: int, options: SVDOptions) -> int:
    return options.block or multiple_of_32(rank / 2 + 10)


def _fixed_rank(matrix: Metered | Adjoint, k: int, total: float, options: SVDOptions, streams: Streams) -> Source:
    """Grow a basis until what further blocks are going to add is a small share of the squared error.

    A Krylov space holds a repeated singular value at most as often as its first block is wide, so from the least
    number of blocks on each is widened by fresh sketch columns: where they find something, the gain says so.
    """
    basis = BlockKrylov(matrix, streams)
    b = width(k, options)
    wider = max(0, options.max_blocks - LEAST_BLOCKS + 1)
    if options.max_blocks * b + FRESH * wider * (wider + 1) // 2 < k:
        raise UsageError(
            f"{options.max_blocks} Krylov blocks of {b} columns hold fewer than --rank {k}",
            hint="raise --max-blocks or --block",
        )
    basis.start(b, fused=LEAST_BLOCKS > 1)
    captured: list[float] = []
    for blocks in range(2, options.max_blocks + 1):
        if basis.exhausted:
            break
        if blocks >= LEAST_BLOCKS:
            b += FRESH
        basis.expand(b, fused=blocks < LEAST_BLOCKS)
        if basis.size < k + 8:
            continue
        squares = basis.ritz_squares()
        captured.append(float(np.sum(squares[:k])))
        if blocks >= LEAST_BLOCKS and _settled(captured, squares, k, total, basis.size):
            break
    basis.pad(k)
    return Projected(basis, 0.0)


def _settled(captured: list[float], squares: numpy.ndarray, k: int, total: float, size: int) -> bool:
    """Whether the captured energy has converged: gains fall geometrically, so the rest of the series is known."""
    if len(captured) < 3:
        return False
    before, gain = captured[-2] - captured[-3], captured[-1] - captured[-2]
    noise = squares[0] * size * float(np.finfo(squares.dtype).eps)
    if gain <= noise:
        return True
    ratio = gain / before if before > gain else 1.0
    # |A|^2 - captured is the squared error while it stands clear of rounding, the tail in the basis always below it
    error = max(float(np.sum(squares[k:])), total - captured[-1] if total - captured[-1] > 1e-6 * total else 0.0)
    return ratio < 0.5 and gain * ratio / (1 - ratio) <= _REMAINS * error


def _to_tolerance(
    matrix: Metered | Adjoint,
    assess: Assessor,
    target: float,
    cap: int | None,
    options: SVDOptions,
    streams: Streams,
) -> Source:
    """Grow a basis until the rank that it offers for the tolerance no longer falls."""
    m, n = matrix.shape
    probes = Probes(matrix, streams)
    basis = BlockKrylov(matrix, streams)
    b = options.block or 32
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
            return Projected(basis, beyond)
        if blocks >= options.max_blocks:
            return Projected(basis, beyond, spent=True)
        found = rank if inside else n + 1
        if options.block is None and not inside:
            b = max(b, multiple_of_32(basis.size / 2))
        if basis.size + b > limit and m * n <= LAPACK_ENTRIES:
            return Full(matrix)
        _require_basis(matrix, basis.size + b)
        basis.expand(b, fused=True)
    raise AssertionError("unreachable")


def _stable(squares: numpy.ndarray, before: numpy.ndarray, rank: int, assess: Assessor) -> bool:
    """Whether the Ritz value at the cut has stopped moving, for those who trust single values and not their sum."""
    return assess.trust == 1 or (rank <= len(before) and before[rank - 1] >= 0.98 * squares[rank - 1])


def _enough(basis: BlockKrylov, cap: int | None, found: int, rank: int) -> bool:
    """Whether a rank cap will come before the tolerance, and the basis is good for that rank."""
    return cap is not None and basis.size >= 4 * (cap + 8) and min(found, rank) > cap


def _require_basis(matrix: Metered | Adjoint, columns: int) -> None:
    """Refuse a basis that memory cannot hold, before it grows; held twice while a block is appended."""
    m, n = matrix.shape
    need = 2 * columns * (m + n) * np.dtype(matrix.dtype).itemsize
    require(need, f"a Krylov basis of {columns} columns for a {m}x{n} matrix", "loosen --rtol, or lower the rank")


def _finish(
    source: Source, scaled: Scaled, budget: Budget, target: float | None, assess: Assessor | None, transposed: bool
) -> Outcome:
    squares = source.squares()

    def build(k: int) -> SVD:
        U, s, V = source.triplets(k)
        return signed(V, s, U) if transposed else signed(U, s, V)

    def optimal_lower(k: int) -> float:
        # Ritz values never exceed singular values: what the basis has beyond k is below the best possible error
        rest = squares[k : k + 1] if budget.norm == "spectral" else squares[k:]
        beyond = max(0.0, float(np.sum(rest)) - len(rest) * source.noise)
        norm = 0.0 if assess is None else assess.norm
        return beyond**0.5 / norm if norm else 0.0

    done = complete(Ordered(build, squares, source.beyond, optimal_lower), scaled, budget, target, assess)
    status = Status.PASSES_SPENT if done.status is Status.STAGNATED and source.spent else done.status
    factor = build(done.rank)
    if scaled.exponent:
        factor = dataclasses.replace(factor, s=np.ldexp(factor.s, scaled.exponent))
        if not np.all(np.isfinite(factor.s)):
            raise NumericalError(f"the largest singular value overflows {factor.s.dtype}", hint="scale the matrix down")
    facts = {"kernels": [*source.kernels, f"sweep {scaled.facts.kernel}"], **source.facts}
    return Outcome(factor, status, done.certificate, scaled.matrix.ledger, facts)


METHOD = Method(
    name="svd",
    options=SVDOptions,
    run=run,
    identity="A ~ U diag(s) Vh",
    cost="4 q m n b flops in q + 2 passes (q blocks of b columns); LAPACK when small or nearly full rank",
    reference="Musco and Musco 2015; Tropp and Webber 2023",
)
