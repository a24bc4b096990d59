"""An SVD from a matrix that passes by one time: two sketches and probes in one pass, then small problems alone."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING, Any

from ..budget import Budget
from ..certificates import probes
from ..errors import InputError, UsageError
from ..kernels import jit, sweep
from ..lazy import np
from ..matrices.blocks import cast, columns_of, lengths, times
from ..matrices.dense import scale_exactly
from ..matrices.facts import MatrixFacts, combine
from ..matrices.forwards import height
from ..matrices.grid import cuts, ranges
from ..matrices.metered import Metered
from ..matrices.orthonormal import orthonormalize
from ..matrices.tall import contiguous, room
from ..memory import require
from ..sketches.gaussian import gaussian
from ..streams import Streams
from .assessment import Assessor, Probed
from .scaling import Scaled, check_rank, exponent_for
from .tolerance import check_tolerance, target_square

if TYPE_CHECKING:
    import numpy

    from ..engines.threads import Engine

#: Lines that a task multiplies at a time.
_PIECE = 512
#: A direction of the sketch below this share of the first is lost in the rounding of the other sketch: sqrt(u).
LOST = 2.0**-26.5


@dataclasses.dataclass
class _Sums:
    """What a pass adds up, of L = A by rows or A^H by columns, times 2**-exponent: G = L X, H = L^H G, and A P."""

    X: numpy.ndarray
    P: numpy.ndarray
    G: Any
    H: numpy.ndarray
    AP: numpy.ndarray
    facts: MatrixFacts | None = None
    exponent: int = 0

    def scale(self, exponent: int, lines: int) -> None:
        """Bring what has been added up of the first lines to another scale, exactly but for underflow."""
        shift, self.exponent = self.exponent - exponent, exponent
        if shift and lines:
            for start in range(0, lines, 1 << 14):
                part = slice(start, min(start + (1 << 14), lines))
                self.G[part] = scale_exactly(self.G[part], shift)
            self.H = scale_exactly(self.H, 2 * shift)
            self.AP = scale_exactly(self.AP, shift)


def see(
    matrix: Metered, budget: Budget, width: int | None, streams: Streams
) -> tuple[OnePass, Scaled, Assessor | None, float | None]:
    """The triplets that one pass gives, the matrix on its scale, and the judge and the target of the budget.

    width: columns l of the sketch, by default 2 k + 32 in steps of 32. Memory in double precision: 4 n l and 60 m,
    and 3 m l that are in scratch files where they are too much. Raises ResourceError before the first line is read.
    """
    m, n = matrix.shape
    if m is None:
        raise UsageError(
            "how many rows there are is not known before the last has come, and U has as many",
            hint="--method fd keeps as much whatever comes; or keep the stream with --spool DIR",
        )
    check_rank(budget.rank, min(m, n), f"a {m}x{n} matrix")
    check_tolerance(budget, matrix.dtype)
    k = budget.rank or 1
    l = min(m, n, width or -(-(2 * k + 32) // 32) * 32)
    if l < k:
        raise UsageError(f"--block {width} holds no {k} triplets", hint="leave it out, or let it be larger than --rank")
    by_rows = matrix.inner.lines.by_rows  # type: ignore[attr-defined]
    sums = _pass(matrix, by_rows, l, streams)
    assert sums.facts is not None
    scaled = Scaled(matrix, sums.facts, sums.exponent)
    norm = math.sqrt(scaled.squares)
    source = OnePass(sums, by_rows, (m, n), norm, matrix.engine, matrix.dtype)
    assess: Probed | None = None
    if budget.certify != "none":
        leading = math.sqrt(float(source.least()[0]))
        assess = Probed(scaled, budget, streams, probes.StoredProbes(sums.P, sums.AP), leading)
    target = None if assess is None else target_square(budget, scaled, assess.norm)
    return source, scaled, assess, target


def _pass(matrix: Metered, by_rows: bool, l: int, streams: Streams) -> _Sums:
    """The one pass. Products are in double precision, whatever the matrix is in: there is no second look."""
    m, n = matrix.shape
    count, length = (m, n) if by_rows else (n, m)
    wide, engine = np.result_type(matrix.dtype, np.float64), matrix.engine
    most = min(height(length, wide.itemsize), count)
    entries = 4 * length * l + (3 * m + 2 * n) * probes.COUNT + 4 * most * length
    require(entries * wide.itemsize, "what one pass adds up", "ask for a smaller --rank, or keep a stream with --spool")
    sums = _Sums(
        gaussian(streams, "single-pass", length, l, wide, engine),
        gaussian(streams, "certificate", n, probes.COUNT, wide),
        room((count, l), wide),
        np.zeros((length, l), wide),
        np.zeros((m, probes.COUNT), wide),
    )
    scratch = np.empty((most, length), wide)
    tiles = ranges(cuts(length))
    use = jit.pays(sweep.seconds_saved(m, n)) and wide.kind == "f"
    for first, block in matrix.lines(most, (l, l, probes.COUNT)):
        lines = slice(first, first + len(block))
        work = scratch[: len(block)]
        np.copyto(work, block)
        sums.facts = looked(work, first, tiles, sums.facts, use, matrix, by_rows)
        sums.scale(exponent_for(sums.facts.binade, matrix.dtype), first)
        work = scale_exactly(work, -sums.exponent)
        _added(sums, work if by_rows else work.conj(), lines, by_rows, tiles, engine)
    return sums


def looked(
    work: numpy.ndarray,
    first: int,
    tiles: list[slice],
    before: MatrixFacts | None,
    use: bool,
    matrix: Metered,
    by_rows: bool,
) -> MatrixFacts:
    """The facts of all lines up to these. Raises InputError for the first entry of a line that is not finite."""
    seen = matrix.engine.map(lambda j: sweep.tile_sweep(work[:, tiles[j]], compiled=use), len(tiles))
    bad = [
        (first + facts.first_bad[0], cols.start + facts.first_bad[1])
        for cols, facts in zip(tiles, seen, strict=True)
        if facts.first_bad is not None
    ]
    if bad:
        row, col = min(bad) if by_rows else min(bad)[::-1]
        raise InputError(
            f"the entry in row {row}, column {col} is NaN or infinite (counted from 0)",
            where=getattr(matrix.inner, "name", None),
            hint="remove or replace such entries first",
        )
    parts: list[Any] = list(zip(tiles, seen, strict=True))
    if before is not None:
        squares = before.column_squares
        parts = [*((c, dataclasses.replace(before, column_squares=squares[c])) for c in tiles), *parts]
    return combine(parts, work.shape[1], jit.flavour(use))


def _added(sums: _Sums, L: numpy.ndarray, lines: slice, by_rows: bool, tiles: list[slice], engine: Engine) -> None:
    """Enter these lines of L, as they are scaled."""
    pieces = [slice(i, min(i + _PIECE, len(L))) for i in range(0, len(L), _PIECE)]
    G, AP = np.empty((len(L), sums.X.shape[1]), L.dtype), sums.AP[lines] if by_rows else sums.AP

    def along(i: int) -> None:
        np.matmul(L[pieces[i]], sums.X, out=G[pieces[i]])
        if by_rows:
            np.matmul(L[pieces[i]], sums.P, out=AP[pieces[i]])

    def across(j: int) -> None:
        turned = L[:, tiles[j]].conj().T
        sums.H[tiles[j]] += turned @ G
        if not by_rows:
            AP[tiles[j]] += turned @ sums.P[lines]

    engine.map(along, len(pieces))
    engine.map(across, len(tiles))
    sums.G[lines] = G


class OnePass:
    """Triplets of U^H L for U a basis of G = L X: since H = L^H G they need no second look at L (Yu et al. 2017).

    G = U S T^H gives U^H L = S^-1 T^H H^H. What rounding left in H is divided by S, so directions with S below sqrt(u)
    of the first are left out: no error much below sqrt(u) |A|_2 is reached, where a second pass would reach u |A|_2.
    """

    complete, spent = True, False

    def __init__(
        self,
        sums: _Sums,
        by_rows: bool,
        shape: tuple[int, int],
        norm: float,
        engine: Engine,
        dtype: numpy.dtype,
    ):
        m, n = shape
        self._turned = by_rows != (m >= n)
        self._dtype, self._engine = dtype, engine
        length = float(np.linalg.norm(lengths(sums.G, engine)))
        Q, R = orthonormalize(sums.G, engine)
        P, S, Th = np.linalg.svd(R)
        l = max(1, int(np.count_nonzero(S > LOST * S[0])))
        least = float(S[l - 1]) or 1.0
        Z = times(sums.H, Th[:l].conj().T / np.where(S[:l] > 0, S[:l], 1), engine)
        V, R = orthonormalize(Z, engine)
        W, self.s, Yh = np.linalg.svd(R)
        self._U = times(Q, P[:, :l] @ Yh.conj().T, engine, out=None if l < sums.X.shape[1] else Q)
        self._V = times(V, W, engine, out=V)
        # rounding of H, as large as it can be when it reaches a triplet
        eps = float(np.finfo(np.float64).eps)
        self._blur = 4 * eps * norm * length / least
        self.beyond = max(0.0, norm**2 - float(np.sum(np.square(self.s))))
        self.kernels = ["single pass"]
        floor = LOST * float(self.s[0]) / norm if norm else 0.0
        order = "rows" if by_rows else "columns"
        self.facts: dict[str, Any] = {
            "single_pass": {"sketch": sums.G.shape[1], "kept": l, "order": order, "floor_relative": floor}
        }

    def triplets(self, k: int, keep: bool = False) -> tuple[Any, numpy.ndarray, Any]:
        """Of the taller of A and A^H."""
        parts = (columns_of(X, 0, min(k, len(self.s)), self._engine) for X in (self._U, self._V))
        U, V = (contiguous(cast(X, self._dtype, self._engine)) for X in parts)
        U, V = (U, V) if keep else (np.asarray(U), np.asarray(V))
        s = self.s[:k].astype(np.finfo(self._dtype).dtype)
        return (V, s, U) if self._turned else (U, s, V)

    def squares(self) -> numpy.ndarray:
        return np.square(self.s)

    def least(self) -> numpy.ndarray:
        """Singular values of a projection never exceed those of the matrix; these carry rounding."""
        return np.square(np.maximum(self.s - self._blur, 0.0))
