"""Singular values, each with the distance within which a true one lies: LAPACK, or a block Krylov basis."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING

from ..certificates.residual import CANCELLED, EXPANDED, residual
from ..certificates.spectral import slack
from ..errors import NumericalError, ResourceError, UsageError
from ..factors.svd import SVD
from ..lazy import np
from ..matrices import triangle
from ..matrices.adjoint import Adjoint
from ..matrices.metered import Metered
from ..memory import require
from ..streams import Streams
from .krylov import BlockKrylov, multiple_of_32
from .outcome import Status
from .scaling import Scaled, bring_to_scale
from .svd import SVDOptions, wants_lapack

if TYPE_CHECKING:
    import numpy


#: Values that are sought when nobody says how many and a full decomposition is dear.
DEFAULT_COUNT = 50
#: The largest matrix that is expanded or copied for LAPACK.
LAPACK_ENTRIES = 64_000_000
#: Residuals are driven below this share of the largest value (single precision: a small multiple of its eps).
ACCURACY = 1e-10
#: How often the statement that no larger value was missed may be wrong.
FAILURE_PROBABILITY = 1e-6
#: More columns in a block than values sought: a value repeated as often as the values sought is found each time.
_SPARE = 8
#: A basis beyond this share of the smaller side costs more than LAPACK.
FULL_SHARE = 0.75
MOST_BLOCKS = 60
#: Ritz values that still move by more than this share, squared, cannot have residuals as small as asked for.
_SETTLED = 1e-12


@dataclasses.dataclass(frozen=True, eq=False)
class Spectrum:
    """The leading singular values of ``scaled.matrix``, and what is known of the others.

    values (K,) float64, non-increasing; radii (K,): a true singular value lies within radii[i] of values[i]. listed:
    how many of them were asked for. remainder: Frobenius norm of A - A_K, known to remainder_error. coupling:
    Frobenius norm of A^H U - V S, by which A misses being block diagonal in the bases found. cap: no value beyond the
    K is larger, except with failure_probability (None: never wrong). left (m, K), right (n, K): singular vectors where
    a basis gave them, A right = left diag(values).
    """

    values: numpy.ndarray
    radii: numpy.ndarray
    listed: int
    scaled: Scaled
    status: Status
    method: str
    remainder: float = 0.0
    remainder_error: float = 0.0
    coupling: float = 0.0
    cap: float = 0.0
    failure_probability: float | None = None
    left: numpy.ndarray | None = None
    right: numpy.ndarray | None = None
    facts: dict = dataclasses.field(default_factory=dict)

    @property
    def full(self) -> int:
        """How many singular values there are: min(m, n)."""
        return min(self.scaled.matrix.shape)

    @property
    def complete(self) -> bool:
        return len(self.values) == self.full

    @property
    def rounding(self) -> float:
        """What rounding may move a computed number of the size of the Frobenius norm by."""
        matrix = self.scaled.matrix
        eps = float(np.finfo(matrix.dtype).eps)
        return 4 * math.sqrt(max(matrix.shape)) * eps * math.sqrt(self.scaled.squares)


def spectrum_of(matrix: Metered, k: int | None, everything: bool, streams: Streams) -> Spectrum:
    """The leading k singular values of A, or all of them.

    With neither k nor everything: all when a full decomposition is cheap, else 50. LAPACK computes all values, in
    double precision, and the first k are listed. Otherwise a block Krylov basis grows until |A^H u_i - s_i v_i| is
    below 1e-10 s_1 for each of the k, or gives way to LAPACK. Cost: one sweep; LAPACK 8/3 m n^2 flops, of a tall matrix
    in one pass and the memory of 8 to 12 squares of its width; Krylov with q blocks of b > k columns 4 q m n b flops in
    2 q + 4 passes, memory (m + n) q b.

    Raises UsageError (k too large, or k together with everything), InputError (NaN, Inf), NumericalError,
    ResourceError (all values of a matrix too large for LAPACK; a basis that memory cannot hold).
    """
    m, n = matrix.shape
    p = min(m, n)
    check_count(k, everything, m, n)
    sought = p if everything else k
    if sought is None and not wants_lapack(matrix, None, SVDOptions()):
        sought = min(DEFAULT_COUNT, p)
    scaled = bring_to_scale(matrix)
    listed = p if sought is None else sought
    if scaled.squares == 0:
        return _settled(np.zeros(p), listed, scaled, "zero", ["none needed"])
    if everything or sought is None or wants_lapack(matrix, sought, SVDOptions()):
        # all are there: nobody who named no number is shown fewer
        return _by_lapack(scaled, p if k is None else k)
    found = _by_krylov(scaled, sought, listed, streams)
    # by now the basis is gone from memory
    return _by_lapack(scaled, listed) if found is None else found


def block_for(k: int, n: int) -> int:
    """Columns of a block for k values of a matrix whose smaller side is n."""
    return min(multiple_of_32(k + _SPARE), n)


def check_count(k: int | None, everything: bool, m: int, n: int) -> None:
    if everything and k is not None:
        raise UsageError("-k and --all contradict each other", hint="give one of them")
    if k is not None and (isinstance(k, bool) or not isinstance(k, int) or k < 1):
        raise UsageError(f"-k must be a whole number of at least 1, not {k!r}")
    if k is not None and k > min(m, n):
        raise UsageError(f"-k {k} is too large: a {m}x{n} matrix has {min(m, n)} singular values")
    if everything and m * n > LAPACK_ENTRIES:
        raise ResourceError(
            f"all singular values of a {m}x{n} matrix take a dense decomposition of {m * n} entries, and at most "
            f"{LAPACK_ENTRIES} are decomposed",
            hint=f"ask for the leading ones, such as -k {DEFAULT_COUNT}",
        )


def _settled(values: numpy.ndarray, listed: int, scaled: Scaled, method: str, kernels: list[str]) -> Spectrum:
    eps = float(np.finfo(np.float64).eps)
    radius = max(scaled.matrix.shape) * eps * float(values[0])
    return Spectrum(
        values=values,
        radii=np.full(len(values), radius),
        listed=listed,
        scaled=scaled,
        status=Status.CONVERGED,
        method=method,
        facts={"kernels": [*kernels, f"sweep {scaled.facts.kernel}"]},
    )


# LAPACK


def _by_lapack(scaled: Scaled, listed: int) -> Spectrum:
    """All values by gesdd, in double precision whatever the dtype; by gesvd when gesdd fails or fails its check."""
    m, n = scaled.matrix.shape
    wide, kernels = np.result_type(scaled.matrix.dtype, np.float64), []
    if triangle.pays(m, n):
        A, kernels = scaled.matrix.triangle(transposed=m < n), ["lapack geqrf"]
        scaled.matrix.ledger.flops += triangle.flops(max(m, n), min(m, n))
    else:
        A = scaled.matrix.whole().astype(wide, copy=False)
    # that of the bidiagonal form: values alone take little more
    scaled.matrix.ledger.flops += 4 * max(A.shape) * min(A.shape) ** 2 - 4 * min(A.shape) ** 3 // 3
    values, kernel = _gesdd(A), "lapack gesdd"
    if values is None or not _plausible(values, scaled):
        values, kernel = _gesvd(A), "lapack gesvd"
        if not _plausible(values, scaled):
            raise NumericalError("the singular values LAPACK returned do not add up to the norm of the matrix")
    return _settled(values, listed, scaled, "lapack", [*kernels, kernel])


def _gesdd(A: numpy.ndarray) -> numpy.ndarray | None:
    try:
        return np.linalg.svd(A, compute_uv=False)
    except np.linalg.LinAlgError:
        return None


def _gesvd(A: numpy.ndarray) -> numpy.ndarray:
    from scipy.linalg import LinAlgError, svd

    try:
        return svd(A, compute_uv=False, lapack_driver="gesvd", check_finite=False)
    except LinAlgError as failure:
        raise NumericalError("neither gesdd nor gesvd of LAPACK found the singular values") from failure


def _plausible(values: numpy.ndarray, scaled: Scaled) -> bool:
    """A cheap check of what LAPACK returned: ordered, and with the Frobenius norm and longest column of the matrix."""
    share = 16 * max(scaled.matrix.shape) * float(np.finfo(np.float64).eps)
    if not np.all(np.isfinite(values)) or values[-1] < 0 or np.any(np.diff(values) > 0):
        return False
    total = float(np.sum(np.square(values)))
    facts = scaled.work_facts
    longest = float(np.ldexp(facts.column_squares.max(), 2 * facts.exponent))
    return abs(total - scaled.squares) <= share * scaled.squares and values[0] ** 2 >= (1 - share) * longest


# Block Krylov


def _by_krylov(scaled: Scaled, k: int, listed: int, streams: Streams) -> Spectrum | None:
    """Grow a basis until the leading k triplets have small residuals; None when that takes most of the columns."""
    m, n = scaled.matrix.shape
    tall: Metered | Adjoint = scaled.matrix if m >= n else Adjoint(scaled.matrix)
    eps = float(np.finfo(tall.dtype).eps)
    accuracy = max(ACCURACY, 64 * eps)
    b = block_for(k, tall.shape[1])
    basis = BlockKrylov(tall, streams)
    _require_basis(tall, 2 * b, 0)
    basis.start(b, fused=True)
    before, worst, status = np.zeros(k), math.inf, Status.PASSES_SPENT
    for blocks in range(1, MOST_BLOCKS + 1):
        if blocks > 1:
            if not basis.exhausted and basis.size + b > FULL_SHARE * tall.shape[1] and m * n <= LAPACK_ENTRIES:
                return None
            _require_basis(tall, basis.size + b, basis.size)
            basis.expand(b, fused=True)
        if basis.exhausted:
            basis.pad(k)
        if basis.size < k:
            continue
        squares = basis.ritz_squares()
        moved = float(np.max(np.abs(squares[:k] - before)))
        before = squares[:k]
        if basis.exhausted or moved <= _SETTLED * squares[0] or blocks == MOST_BLOCKS:
            found = _Triplets(tall, *basis.triplets(k))
            last, worst = worst, float(found.residuals.max() / max(found.s[0], np.finfo(float).tiny))
            if worst <= accuracy:
                status = Status.CONVERGED
            elif basis.exhausted or worst > 0.5 * last:
                status = Status.STAGNATED
            if status is not Status.PASSES_SPENT:
                break
    steps = blocks if basis.size > k else 0
    return _from_basis(scaled, basis, found, status, listed, steps, b)


class _Triplets:
    """Ritz triplets of a tall matrix, A V = U S, and how far A^H U is from V S."""

    def __init__(self, tall: Metered | Adjoint, U: numpy.ndarray, s: numpy.ndarray, V: numpy.ndarray):
        k = U.shape[1]
        self.U, self.V = np.ascontiguousarray(np.asarray(U)), np.ascontiguousarray(V)
        self.s = s[:k].astype(np.float64)
        left = tall.rmatmat(self.U).astype(np.result_type(U.dtype, np.float64)) - self.V * self.s
        self.residuals = np.sqrt(np.sum(np.square(np.abs(left)), axis=0))

    def factor(self, transposed: bool) -> SVD:
        s = self.s.astype(self.U.real.dtype)
        left, right = (self.V, self.U) if transposed else (self.U, self.V)
        return SVD(left, s, np.ascontiguousarray(right.conj().T))


def _from_basis(
    scaled: Scaled, basis: BlockKrylov, found: _Triplets, status: Status, listed: int, steps: int, b: int
) -> Spectrum:
    m, n = scaled.matrix.shape
    eps = float(np.finfo(scaled.matrix.dtype).eps)
    remainder, error, way = _remainder(scaled, found)
    rounding = 4 * math.sqrt(max(m, n)) * eps * float(found.s[0])
    return Spectrum(
        values=found.s,
        radii=found.residuals + rounding,
        listed=listed,
        scaled=scaled,
        status=status,
        method="block krylov",
        remainder=remainder,
        remainder_error=error,
        coupling=float(np.sqrt(np.sum(np.square(found.residuals)))),
        cap=_cap(basis, len(found.s), steps, b, min(m, n)),
        failure_probability=None if len(found.s) == min(m, n) else FAILURE_PROBABILITY,
        left=found.U if m >= n else found.V,
        right=found.V if m >= n else found.U,
        facts={
            "kernels": ["block krylov", f"sweep {scaled.facts.kernel}"],
            "basis": basis.size,
            "block": b,
            "remainder": way,
            "accuracy": float(found.residuals.max() / found.s[0]) if found.s[0] else 0.0,
        },
    )


def _remainder(scaled: Scaled, found: _Triplets) -> tuple[float, float, str]:
    """|A - A_K|_F, how far it may be off, and how it was found.

    By the exact residual: one pass. A pass over a large sparse matrix expands it into dense tiles, so there |A|^2 -
    sum s^2 serves, unless it loses more than six digits.
    """
    m, n = scaled.matrix.shape
    unit = 4 * math.sqrt(max(m, n)) * float(np.finfo(scaled.matrix.dtype).eps)
    total = scaled.squares
    left = total - float(np.sum(np.square(found.s)))
    if scaled.matrix.nnz is not None and m * n > EXPANDED and left > CANCELLED * total:
        return math.sqrt(left), 2 * unit * total / math.sqrt(left), "norms"
    error = residual(scaled.matrix, found.factor(transposed=m < n))
    return error.norm, unit * math.sqrt(total), "residual"


def _cap(basis: BlockKrylov, k: int, steps: int, b: int, n: int) -> float:
    """What the values beyond the leading k do not exceed, except with FAILURE_PROBABILITY; infinity: nothing said.

    The basis holds the Krylov spaces of b independent random starts, so ``certificates.spectral.slack`` bounds the
    largest eigenvalue of A^H A by the largest Ritz value. With the leading triplets converged, hence deflated, it
    bounds each next one in turn: k + 1 statements share the probability.
    """
    squares = basis.ritz_squares()
    eps = float(np.finfo(basis.V.dtype).eps)
    next_square = (float(squares[k]) if len(squares) > k else 0.0) + float(squares[0]) * basis.size * eps
    if basis.exhausted:
        return math.sqrt(next_square)
    if steps < 1 or len(squares) <= k:
        return math.inf
    missed = slack(n, b, steps, FAILURE_PROBABILITY / (k + 1))
    return math.sqrt(next_square / (1 - missed)) if missed < 1 else math.inf


def _require_basis(tall: Metered | Adjoint, columns: int, held: int) -> None:
    m, n = tall.shape
    # the long side of a dense matrix may go to scratch files
    need = (2 * columns - held) * (n if tall.nnz is None else m + n) * np.dtype(tall.dtype).itemsize
    require(need, f"a Krylov basis of {columns} columns for a {m}x{n} matrix", "ask for fewer values with -k")
