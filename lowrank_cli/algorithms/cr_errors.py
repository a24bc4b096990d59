"""The error of a weighted sum of column-row pairs, before any product is formed."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..factors.base import dense
from ..lazy import np
from ..matrices.blocks import lengths
from ..matrices.grid import TILE
from ..sketches.gaussian import gaussian
from ..streams import Streams
from .needs import read_buffers
from .scaling import Scaled, lowered

if TYPE_CHECKING:
    import numpy

    from ..matrices.product import Product

#: Gram matrices are formed up to this inner dimension, when they cost no more than the product.
_GRAM_SIDE = 4096
#: Gram matrices this cheap (about 0.1 s) are formed whatever the product costs.
_GRAM_FLOPS = 1 << 31
_PROBES = 32
#: Starting points tried to estimate the error of systematic sampling when there is no Gram matrix.
_STARTS = 8
#: Questions that are put together at most: one a scheme.
_ASKED = 8


@dataclasses.dataclass(frozen=True, eq=False)
class Weighted:
    """Asks for |sum_i c_i x_i y_i|_F^2."""

    c: numpy.ndarray

    def exact(self, G: numpy.ndarray) -> float:
        return float(self.c @ (G @ self.c))

    def columns(self) -> numpy.ndarray:
        return np.broadcast_to(self.c[:, None], (len(self.c), _PROBES))


@dataclasses.dataclass(frozen=True, eq=False)
class Systematic:
    """Asks for the expected squared error over the start u of systematic sampling along ``order``.

    The sample changes one pair at a time as u runs through [0, 1): at the fractional parts of the cumulative sums.
    Between them the error is constant, so the integral is a sum of l + 1 terms; O(l^2) with G. Without G: the mean
    over 8 evenly spread starts, each judged by its share of the probes.
    """

    pi: numpy.ndarray
    order: numpy.ndarray

    def exact(self, G: numpy.ndarray) -> float:
        return _mean_over_starts(G, self.pi, self.order)

    def columns(self) -> numpy.ndarray:
        starts = (np.arange(_STARTS) + 0.5) / _STARTS
        C = np.stack([_coefficients(self.pi, self.order, u) for u in starts], axis=1)
        return np.repeat(C, _PROBES // _STARTS, axis=1)


class Pairs:
    """The l pairs x_i y_i of a product: their lengths f, their Gram matrix G where it is affordable, and squared errors
    |sum_i c_i x_i y_i|_F^2 for real coefficients c; with c = w - 1 that of the weights w.

    Exact as c^T G c with G = Re (X^H X) o (Y Y^H)^T, cost l^2 (m + n); else G is None, and the mean over 32 Gaussian
    probes g of |X (c o (Y g))|^2 serves, unbiased, relative standard deviation at most sqrt(2/32), in single precision,
    whose rounding is far below that. kind says which. The quadratic form is right to about eps (sum |c_i| f_i)^2, so
    errors below 1e-7 of the product are noise. product_square: that of the product itself.
    """

    def __init__(self, scaled_x: Scaled, scaled_y: Scaled, f: numpy.ndarray, streams: Streams):
        self.X, self.Y, self.f = scaled_x, scaled_y, f
        self._streams = streams
        self._probed: numpy.ndarray | None = None
        X, Y = scaled_x.matrix, scaled_y.matrix
        (m, l), n = X.shape, Y.shape[1]
        self.G: numpy.ndarray | None = self._gram() if has_gram(m, l, n) else None
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
        (X, e), (Y, d) = lowered(self.X) or (self.X.matrix, 0), lowered(self.Y) or (self.Y.matrix, 0)
        if self._probed is None:
            self._probed = Y.matmat(gaussian(self._streams, "cr probe", Y.shape[1], _PROBES, Y.dtype, Y.engine))
        H = self._probed
        # all questions in one product: they share the read of X
        C = np.hstack([H * question.columns().astype(H.real.dtype) for question in questions])
        sums = np.square(lengths(X.matmat(C), X.engine)).reshape(len(questions), _PROBES).sum(axis=1)
        return [float(x) for x in np.ldexp(sums / _PROBES, 2 * (e + d))]

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
        # in single precision where there is one; all schemes at a time
        found["probes"] = _PROBES * (l + (m + l) * (_ASKED + 1)) * max(4, itemsize // 2)
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
