"""Frequent directions: a sketch of rows of fixed size, whatever comes, with a bound that is certain."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from ..budget import Budget
from ..certificates.certificate import Certificate
from ..errors import NumericalError, UsageError
from ..factors.directions import Directions
from ..lazy import np
from ..matrices.blocks import gram, peaks, times, weighted
from ..matrices.dense import scale_exactly
from ..matrices.facts import MatrixFacts, ldexp
from ..matrices.forwards import Stored, blocks, height
from ..matrices.grid import cuts, ranges
from ..matrices.kernel import KernelMatrix
from ..matrices.metered import Metered
from ..matrices.once import Once
from ..matrices.orthonormal import orthonormalize
from ..matrices.product import gram_of
from ..memory import require
from ..streams import Streams
from .assessment import assessor
from .method import Method
from .one_pass import looked
from .outcome import Outcome, Status
from .scaling import bring_to_scale, check_rank, exponent_for
from .tolerance import check_tolerance

if TYPE_CHECKING:
    import numpy

    from ..engines.threads import Engine


@dataclasses.dataclass(frozen=True)
class FDOptions:
    """It has none: --rank is the number of rows it keeps."""


def run(matrix: Metered, budget: Budget, options: FDOptions, streams: Streams) -> Outcome:
    """A^H A ~ V diag(s)^2 V^H with 0 <= A^H A - V diag(s)^2 V^H <= d I, from one look at the rows of A.

    A sketch B of --rank l rows takes in l more, and is shrunk to l again: all squared singular values lose the square
    of the one with number l + 1, which d adds up. For every k <= l, d <= |A - A_k|_F^2 / (l + 1 - k). With one pass the
    error is the bound that follows from d, else it is measured against A^H A, 2 m n^2 flops. Sketches of parts of the
    rows, s Vh below one another, are rows whose sketch is one of all. Cost: 12 n l flops a row; memory 5 n l.

    Raises UsageError (no rank, rank too large), InputError (NaN, Inf, columns that come instead of rows),
    NumericalError. Liberty 2013; Ghashami, Liberty, Phillips and Woodruff 2016. We differ: the bound printed is what
    was subtracted, not what may have been, and the rounding of every step is added to it.
    """
    m, n = matrix.shape
    if budget.rank is None:
        raise UsageError("--method fd needs --rank, the number of rows it keeps", hint="such as --rank 50")
    if isinstance(matrix.inner, KernelMatrix):
        raise UsageError("--method fd takes rows that are stored, not a kernel matrix", hint="use --method nystrom")
    check_rank(budget.rank, n if m is None else min(m, n), f"a {'' if m is None else m}x{n} matrix")
    check_tolerance(budget, matrix.dtype)
    sketch, facts = _sketched(matrix, budget.rank)
    factor = sketch.directions(matrix.dtype)
    if budget.certify in (None, "exact"):
        found = _measured(matrix, factor, sketch.exponent, budget, streams)
    else:
        found = Certificate() if budget.certify == "none" else sketch.certificate(factor, budget.norm)
    met = all(
        limit is None or (value is not None and value <= limit)
        for limit, value in ((budget.rtol, found.relative), (budget.atol, found.absolute))
    )
    with np.errstate(over="ignore"):
        factor = dataclasses.replace(factor, s=np.ldexp(factor.s, sketch.exponent))
    if not np.all(np.isfinite(factor.s)):
        raise NumericalError(f"the largest singular value overflows {factor.s.dtype}", hint="scale the matrix down")
    told: dict[str, Any] = {"kernels": [f"sweep {facts.kernel}"], "directions": sketch.told(facts)}
    return Outcome(factor, Status.CONVERGED if met else Status.RANK_REACHED, found, matrix.ledger, told)


def _sketched(matrix: Metered, l: int) -> tuple[_Sketch, MatrixFacts]:
    """The sketch of all rows, taken l at a time, and what was seen of them."""
    n = matrix.shape[1]
    wide = np.result_type(matrix.dtype, np.float64)
    most = l * max(1, height(n, wide.itemsize) // l)
    require((5 * l + 4 * most) * n * wide.itemsize, "a sketch of rows", "ask for a smaller --rank")
    sketch, tiles = _Sketch(n, l, wide, matrix.engine), ranges(cuts(n))
    facts: MatrixFacts | None = None
    for first, block in _rows(matrix, most):
        work = block.astype(wide)
        facts = looked(work, first, tiles, facts, False, matrix, True)
        sketch.scale(exponent_for(facts.binade, matrix.dtype))
        work = scale_exactly(work, -sketch.exponent)
        for start in range(0, len(work), l):
            sketch.add(work[start : start + l])
    matrix.ledger.flops += 12 * n * l * matrix.shape[0]
    assert facts is not None
    return sketch, facts


def _rows(matrix: Metered, most: int) -> Iterator[tuple[int, numpy.ndarray]]:
    """(number of its first row, block of rows), in order: the one pass."""
    seen: Any = matrix.inner
    if not isinstance(seen, Once):
        matrix.ledger.passes += 1
        yield from blocks(Stored(seen, by_rows=True), most)
        return
    if not seen.lines.by_rows:
        raise UsageError(
            "frequent directions are those of rows, and this matrix comes by columns",
            where=seen.name,
            hint="write it in C order, or keep a stream with --spool DIR",
        )
    yield from matrix.lines(most)


class _Sketch:
    """B^H in the first l of 2 l columns, times 2**-exponent; taken: d, what has been subtracted from the squares of all
    singular values; trace: from their sum; blur: what rounding may have added to either."""

    def __init__(self, n: int, l: int, dtype: numpy.dtype, engine: Engine):
        self._W, self._l, self._engine = np.zeros((n, 2 * l), dtype), l, engine
        self.exponent = 0
        self.taken = self.trace = self.blur = 0.0

    def scale(self, exponent: int) -> None:
        shift, self.exponent = self.exponent - exponent, exponent
        if shift:
            self._W = scale_exactly(self._W, shift)
            self.taken, self.trace, self.blur = (ldexp(x, 2 * shift) for x in (self.taken, self.trace, self.blur))

    def add(self, rows: numpy.ndarray) -> None:
        """At most l more rows."""
        l = self._l
        self._W[:, l : l + len(rows)] = rows.conj().T
        self._W[:, l + len(rows) :] = 0
        # eigenvalues of B B^H are the squares themselves, right to eps of the first, as far as they are needed here
        values, vectors = np.linalg.eigh(gram(self._W, self._engine))
        values, vectors = np.maximum(values[::-1], 0.0), vectors[:, ::-1]
        kept = np.maximum(values[:l] - values[l], 0.0)
        shares = np.sqrt(kept / np.where(values[:l] > 0, values[:l], 1.0))
        self._W[:, :l] = times(self._W, vectors[:, :l] * shares, self._engine)
        self.taken += float(values[l])
        self.trace += float(np.sum(values) - np.sum(kept))
        self.blur += 8 * l * float(np.finfo(np.float64).eps) * float(values[0])

    def directions(self, dtype: numpy.dtype) -> Directions:
        """What the sketch holds, on its scale; directions that rounding alone has left are none."""
        V, R = orthonormalize(np.ascontiguousarray(self._W[:, : self._l]), self._engine)
        P, s, _ = np.linalg.svd(R)
        k = max(1, int(np.count_nonzero(s > self._l * np.finfo(np.float64).eps * s[0])))
        V = times(V, P[:, :k], self._engine)
        lead = peaks(V, self._engine)
        size = np.abs(lead)
        V = weighted(V, np.where(size > 0, lead / np.where(size > 0, size, 1), 1).conj(), self._engine)
        real = np.finfo(dtype).dtype
        return Directions(s[:k].astype(real), np.ascontiguousarray(V.conj().T.astype(dtype)))

    def certificate(self, factor: Directions, norm: str) -> Certificate:
        """What was taken bounds A^H A - V s^2 V^H, which is semidefinite: its largest eigenvalue by d, and so its
        Frobenius norm by the root of d times its trace. Norms of V s^2 V^H are below those of A^H A."""
        squares = np.square(factor.s.astype(np.float64))
        # the factor is rounded to its own dtype
        blur = self.blur + 4 * float(np.finfo(factor.dtype).eps) * float(squares[0])
        spectral, trace = self.taken + blur, self.trace + len(squares) * blur
        absolute = spectral if norm == "spectral" else math.sqrt(spectral * trace)
        whole = float(squares[0]) if norm == "spectral" else float(np.linalg.norm(squares))
        return Certificate(
            norm=norm,
            kind="bound",
            absolute=ldexp(absolute, 2 * self.exponent),
            relative=absolute / whole if whole else 0.0,
            matrix_norm=ldexp(whole, 2 * self.exponent),
        )

    def told(self, facts: MatrixFacts) -> dict[str, float]:
        """For the report: d, also over |A|_F^2, and how much of |A|_F^2 is not in the sketch."""
        squares = ldexp(facts.squares, 2 * (facts.exponent - self.exponent))
        taken, trace = self.taken + self.blur, self.trace
        return {
            "taken": ldexp(taken, 2 * self.exponent),
            "taken_relative": taken / squares if squares else 0.0,
            "trace_relative": trace / squares if squares else 0.0,
        }


def _measured(matrix: Metered, factor: Directions, exponent: int, budget: Budget, streams: Streams) -> Certificate:
    """The error against A^H A, whose entries are formed a tile at a time."""
    A = matrix.inner.scaled(-exponent) if exponent else matrix.inner
    scaled = bring_to_scale(Metered(gram_of(A, matrix.engine), matrix.ledger))
    assess = assessor(scaled, budget, streams)
    assert assess is not None
    found = assess(factor.scaled(-scaled.exponent), None).certificate
    absolute, norm = (ldexp(x or 0.0, 2 * exponent) for x in (found.absolute, found.matrix_norm))
    return dataclasses.replace(found, absolute=absolute, matrix_norm=norm)


METHOD = Method(
    name="fd",
    options=FDOptions,
    run=run,
    identity="A^H A ~ V diag(s)^2 Vh, never above it",
    cost="12 m n k flops in one pass over the rows; 4 m n^2 to measure the error, two passes more",
    reference="Liberty 2013; Ghashami, Liberty, Phillips and Woodruff 2016",
    guarantee="0 <= A^H A - V s^2 V^H <= d I, d <= |A - A_j|_F^2 / (k + 1 - j) for every j <= k, certain",
    choose="rows without end; a guarantee without probability; sketches that are merged",
    limited=False,
    single_pass=True,
    of_gram=True,
)
