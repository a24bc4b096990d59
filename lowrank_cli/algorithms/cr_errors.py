"""The error of a weighted sum of column-row pairs, before any product is formed."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..factors.base import dense
from ..lazy import np
from ..matrices.grid import FAN, TILE, cuts, ranges
from ..matrices.metered import Metered
from ..sketches.counting import SUMS, count_sketch
from ..streams import Streams
from .needs import read_buffers
from .scaling import Scaled, at_scale, bring_to_scale

if TYPE_CHECKING:
    import numpy

    from ..matrices.product import Product

#: Gram matrices are formed up to this inner dimension, when they cost no more than the product.
_GRAM_SIDE = 4096
#: Gram matrices this cheap (about 0.1 s) are formed whatever the product costs.
_GRAM_FLOPS = 1 << 31
#: Pairs that are taken together where an error is estimated.
_TOGETHER = 4096
#: Starting points tried to estimate the error of systematic sampling when there is no Gram matrix.
_STARTS = 8


@dataclasses.dataclass(frozen=True, eq=False)
class Weighted:
    """Asks for |sum_i c_i x_i y_i|_F^2."""

    c: numpy.ndarray

    def exact(self, G: numpy.ndarray) -> float:
        return float(self.c @ (G @ self.c))

    def sketched(self, pairs: slice) -> numpy.ndarray:
        return self.c[pairs]


@dataclasses.dataclass(frozen=True, eq=False)
class Systematic:
    """Asks for the expected squared error over the start u of systematic sampling along ``order``.

    The sample changes one pair at a time as u runs through [0, 1): at the fractional parts of the cumulative sums.
    Between them the error is constant, so the integral is a sum of l + 1 terms; O(l^2) with G. Without G: the mean
    over 8 evenly spread starts, each judged by its share of the sums of the sketch.
    """

    pi: numpy.ndarray
    order: numpy.ndarray

    def exact(self, G: numpy.ndarray) -> float:
        return _mean_over_starts(G, self.pi, self.order)

    @functools.cached_property
    def _starts(self) -> numpy.ndarray:
        starts = (np.arange(_STARTS) + 0.5) / _STARTS
        return np.stack([_coefficients(self.pi, self.order, float(u)) for u in starts])

    def sketched(self, pairs: slice) -> numpy.ndarray:
        return np.repeat(self._starts[:, pairs], SUMS // _STARTS, axis=0)


class Pairs:
    """The l pairs x_i y_i of a product: their lengths f, their Gram matrix G where it is affordable, and squared errors
    |sum_i c_i x_i y_i|_F^2 for real coefficients c; with c = w - 1 that of the weights w.

    Exact as c^T G c with G = Re (X^H X) o (Y Y^H)^T, cost l^2 (m + n). Else G is None, and |S X diag(c) Y T|_F^2
    serves, with S X and Y T out of the sweeps, S and T^H count sketches: unbiased, relative standard deviation at most
    sqrt((1 + 2/64)^2 - 1) = 0.26, cost 2 * 64^2 l a question and no read. kind says which. The quadratic form is right
    to about eps (sum |c_i| f_i)^2, so errors below 1e-7 of the product are noise. product_square: that of the product
    itself.
    """

    def __init__(self, X: Scaled, Y: Scaled, sketches: tuple[numpy.ndarray, numpy.ndarray] | None):
        self.X, self.Y = X, Y
        f = np.sqrt(X.facts.column_squares) * np.sqrt(Y.facts.column_squares)
        self.f = np.ldexp(f, X.facts.exponent + Y.facts.exponent - X.exponent - Y.exponent)
        self._sketches = sketches
        self.G: numpy.ndarray | None = self._gram() if sketches is None else None
        self.kind = "estimate" if self.G is None else "exact"
        self.product_square = math.nan

    def _gram(self) -> numpy.ndarray:
        X, Y = self.X.matrix, self.Y.matrix
        kept = X.shared.get("pairs")
        if kept is None:
            left, right = X.pair_gram(), Y.pair_gram(transposed=True)
            left *= right.conj()
            X.shared["pairs"] = kept = np.ascontiguousarray(left.real)
        else:
            X.ledger.passes += 2
        return kept

    def affordable(self, flops: int) -> bool:
        """Whether this much work is no more than that of the product, or next to nothing."""
        (m, l), n = self.X.matrix.shape, self.Y.matrix.shape[1]
        return affordable(m, l, n, flops)

    def squares(self, asked: Sequence[Weighted | Systematic]) -> dict[Weighted | Systematic, float]:
        """The answers, all from one product; with the first comes ``product_square``."""
        first = [Weighted(np.ones(len(self.f)))] if math.isnan(self.product_square) else []
        questions = [*first, *asked]
        if self.G is not None:
            found = [max(0.0, question.exact(self.G)) for question in questions]
        else:
            found = self._estimates(questions) if questions else []
        if first:
            # |XY| <= sum of |x_i| |y_i|, which an estimate may overstep
            self.product_square = min(found.pop(0), float(self.f.sum()) ** 2)
        return dict(zip(asked, found, strict=True))

    def _estimates(self, questions: Sequence[Weighted | Systematic]) -> list[float]:
        assert self._sketches is not None
        W, H = self._sketches

        def one(number: int) -> float:
            total = np.zeros((SUMS, SUMS), W.dtype)
            for pairs in ranges(cuts(len(self.f), _TOGETHER)):
                total += (W[:, pairs] * questions[number].sketched(pairs)) @ H[:, pairs].T
            return float(np.sum(np.square(np.abs(total))))

        return self.X.matrix.engine.map(one, len(questions))

    def among(self, index: numpy.ndarray) -> tuple[numpy.ndarray, numpy.ndarray, float]:
        """(G[index][:, index], products of these pairs with the sum of all others, the rounding unit of both); without
        G two products with len(index) columns."""
        eps = float(np.finfo(np.float64).eps)
        if self.G is not None:
            rows = self.G[index]
        else:
            X, Y = self.X.matrix, self.Y.matrix
            left = X.rmatmat(np.ascontiguousarray(dense(X.cols(index))))
            right = Y.matmat(np.ascontiguousarray(dense(Y.rows(index)).conj().T))
            eps = float(np.finfo(left.dtype).eps)
            rows = np.ascontiguousarray((left.astype(np.result_type(left, np.float64)) * right.conj()).real.T)
        others = np.ones(len(self.f), bool)
        others[index] = False
        return np.ascontiguousarray(rows[:, index]), rows[:, others].sum(axis=1), eps


def surveyed(left: Metered, right: Metered, streams: Streams) -> Pairs:
    """The pairs of a product of two matrices, from one read of each."""
    (m, l), n = left.shape, right.shape[1]
    if has_gram(m, l, n):
        return Pairs(bring_to_scale(left), bring_to_scale(right, transposed=True), None)
    (X, W), (Y, H) = _sketched(left, "cr left", False, streams), _sketched(right, "cr right", True, streams)
    return Pairs(X, Y, (W, H))


def _sketched(matrix: Metered, purpose: str, transposed: bool, streams: Streams) -> tuple[Scaled, numpy.ndarray]:
    """The matrix at its scale, and S A of that, transposed S A^T."""
    key = "survey", purpose, streams
    kept = matrix.shared.get(key)
    if kept is None:
        sketch = count_sketch(streams, purpose, matrix.shape[1 if transposed else 0])
        before = dataclasses.replace(matrix.ledger)
        facts, sums = matrix.survey(sketch, transposed)
        scaled = at_scale(matrix, facts)
        if scaled.exponent:
            # sums of entries as they are may have overflowed, and squares of sums will
            sums = scaled.matrix.survey(sketch, transposed)[1]
        matrix.shared["facts", transposed] = facts
        matrix.shared[key] = facts, sums, matrix.ledger.since(before)
        return scaled, sums
    facts, sums, cost = kept
    matrix.ledger.add(cost)
    return at_scale(matrix, facts), sums


def affordable(m: int, l: int, n: int, flops: int) -> bool:
    """Whether this much work is no more than that of an m x l by l x n product, or next to nothing."""
    return flops <= max(2 * m * n * l, _GRAM_FLOPS)


def has_gram(m: int, l: int, n: int) -> bool:
    """Whether the Gram matrix of the pairs of such a product is formed."""
    return l <= _GRAM_SIDE and affordable(m, l, n, l**2 * (m + n))


def needs(product: Product, rank: int) -> dict[str, int]:
    """Bytes by component that an approximation by so many pairs takes beyond the factors themselves."""
    X, Y = product.X, product.Y
    (m, l), n = X.shape, Y.shape[1]
    itemsize, threads = product.dtype.itemsize, product.engine.threads
    wide = max(itemsize, 16 if product.dtype.kind == "c" else 8)
    r = min(rank, l)
    found = {"read buffers": read_buffers(X) + read_buffers(Y), "factors": 2 * r * (m + n) * itemsize}
    tiles = 4 * threads * TILE * TILE * itemsize
    if has_gram(m, l, n):
        found["Gram matrices"] = 2 * l * l * wide
        # the parts of a sum that are held at a time, and pieces of the matrices; later tiles of the product
        summed = (max(4, 2 * threads) + 4) * l * l * wide + threads * TILE * l * (itemsize + wide)
        found["work"] = max(0, summed - found["factors"], tiles)
    else:
        # one of each, and a sum of every level of the tree; what a sparse matrix is multiplied by
        levels = math.ceil(math.log(max(2, m / TILE), FAN))
        written = [side for one, side in ((X, m), (Y, n)) if one.nnz is not None]
        found["sketches"] = SUMS * wide * (l * (2 + levels) + max(written, default=0))
        found["work"] = max(tiles, 3 * l * r * wide)
    return found


def _mean_over_starts(G: numpy.ndarray, pi: numpy.ndarray, order: numpy.ndarray) -> float:
    """The mean of c^T G c over u in [0, 1), for c = w - 1 of systematic sampling.

    The sample at u is the pairs whose stretch [S_{k-1}, S_k) of the cumulative sums holds a number u + j. As u passes
    the fractional part of S_k, pair k of the order leaves and pair k + 1 enters; each exchange updates G c in O(l).
    """
    order = order[pi[order] > 0]
    ends = np.cumsum(pi[order])
    ends[-1] = np.rint(ends[-1])
    starts = np.concatenate([[0.0], ends[:-1]])
    c = np.full(len(pi), -1.0)
    first = order[np.ceil(starts) < ends]
    c[first] += 1.0 / pi[first]
    fractions = np.mod(ends[:-1], 1.0)
    inner = np.flatnonzero(fractions > 0)
    inner = inner[np.argsort(fractions[inner], kind="stable")]
    Gc = G @ c
    square, expected, u = float(c @ Gc), 0.0, 0.0
    for k in inner:
        leaves, enters = order[k], order[k + 1]
        expected += (fractions[k] - u) * square
        u = fractions[k]
        for pair, change in ((leaves, -1.0 / pi[leaves]), (enters, 1.0 / pi[enters])):
            square += 2 * change * float(Gc[pair]) + change**2 * float(G[pair, pair])
            Gc += change * G[pair]
    return max(0.0, expected + (1.0 - u) * square)


def _coefficients(pi: numpy.ndarray, order: numpy.ndarray, u: float) -> numpy.ndarray:
    """w - 1 for the sample that start u selects: 1/pi - 1 where selected, -1 elsewhere."""
    from ..kernels.sampling import systematic

    c = np.full(len(pi), -1.0)
    index = systematic(pi, order, float(u))
    c[index] = 1.0 / pi[index] - 1.0
    return c
