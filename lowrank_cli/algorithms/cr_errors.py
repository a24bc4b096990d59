"""The error of a weighted sum of column-row pairs, before any product is formed."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..lazy import np
from ..matrices.blocks import gram, lengths
from ..sketches.gaussian import gaussian
from ..streams import Streams
from .scaling import Scaled, lowered

if TYPE_CHECKING:
    import numpy

#: Gram matrices are formed up to this inner dimension, when they cost no more than the product.
_GRAM_SIDE = 4096
#: Gram matrices this cheap (about 0.1 s) are formed whatever the product costs.
_GRAM_FLOPS = 1 << 31
_PROBES = 32
#: Starting points tried to estimate the error of systematic sampling when there is no Gram matrix.
_STARTS = 8


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


class PairErrors:
    """Squared errors |sum_i c_i x_i y_i|_F^2 for real coefficients c: with c = w - 1, that of the weights w.

    Exact as c^T G c with G = Re (X^H X) o (Y Y^H)^T, cost l^2 (m + n); else the mean over 32 Gaussian probes g of
    |X (c o (Y g))|^2, unbiased, relative standard deviation at most sqrt(2/32), in single precision, whose rounding is
    far below that. kind says which. The quadratic form is right to about eps |c|^2 f^2, so errors below 1e-7 of the
    product are noise. product_square: that of the product itself.
    """

    def __init__(
        self,
        scaled_x: Scaled,
        scaled_y: Scaled,
        f: numpy.ndarray,
        asked: Sequence[Weighted | Systematic],
        streams: Streams,
    ):
        X, Y = scaled_x.matrix, scaled_y.matrix
        m, l = X.shape
        n = Y.shape[1]
        questions = [Weighted(np.ones(l)), *asked]
        if l <= _GRAM_SIDE and l**2 * (m + n) <= max(2 * m * n * l, _GRAM_FLOPS):
            left = gram(X.whole(), X.engine)
            right = gram(np.ascontiguousarray(Y.whole().conj().T), Y.engine)
            G = np.ascontiguousarray((left * right.conj()).real)
            self.kind = "exact"
            squares = [max(0.0, question.exact(G)) for question in questions]
        else:
            self.kind = "estimate"
            (X, e), (Y, d) = lowered(scaled_x) or (X, 0), lowered(scaled_y) or (Y, 0)
            H = Y.matmat(gaussian(streams, "cr probe", n, _PROBES, Y.dtype, Y.engine))
            # all questions in one product: they share the read of X
            C = np.hstack([H * question.columns().astype(H.real.dtype) for question in questions])
            sums = np.square(lengths(X.matmat(C), X.engine)).reshape(len(questions), _PROBES).sum(axis=1)
            squares = [float(x) for x in np.ldexp(sums / _PROBES, 2 * (e + d))]
        # |XY| <= sum of |x_i| |y_i|, which an estimate may overstep
        self.product_square = min(squares[0], float(f.sum()) ** 2)
        self.of = dict(zip(asked, squares[1:], strict=True))


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
