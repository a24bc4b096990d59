"""The error of a weighted sum of column-row pairs, before any product is formed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..lazy import np
from ..matrices.blocks import gram
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


class PairErrors:
    """|sum_i c_i x_i y_i|_F^2 for any real coefficients c: with c = w - 1, the squared error of the weights w.

    Exact as c^T G c with G = Re (X^H X) o (Y Y^H)^T, cost l^2 (m + n); else the mean over 32 Gaussian probes g of
    |X (c o (Y g))|^2, unbiased, relative standard deviation at most sqrt(2/32), in single precision, whose rounding is
    far below that. kind says which. The quadratic form is right to about eps |c|^2 f^2, so errors below 1e-7 of the
    product are noise.
    """

    def __init__(self, scaled_x: Scaled, scaled_y: Scaled, f: numpy.ndarray, streams: Streams):
        X, Y = scaled_x.matrix, scaled_y.matrix
        m, l = X.shape
        n = Y.shape[1]
        self.G: numpy.ndarray | None = None
        if l <= _GRAM_SIDE and l**2 * (m + n) <= max(2 * m * n * l, _GRAM_FLOPS):
            left = gram(X.whole(), X.engine)
            right = gram(np.ascontiguousarray(Y.whole().conj().T), Y.engine)
            self.G = np.ascontiguousarray((left * right.conj()).real)
            self.kind = "exact"
        else:
            (self.X, e), (Y, d) = lowered(scaled_x) or (X, 0), lowered(scaled_y) or (Y, 0)
            self.exponent = e + d
            self.H = Y.matmat(gaussian(streams, "cr probe", n, _PROBES, Y.dtype, Y.engine))
            self.kind = "estimate"
        # |XY| <= sum of |x_i| |y_i|, which an estimate may overstep
        self.product_square = min(self.of_weights(np.ones(l)), float(f.sum()) ** 2)

    def of_weights(self, c: numpy.ndarray) -> float:
        """|sum_i c_i x_i y_i|_F^2."""
        if self.G is not None:
            return max(0.0, float(c @ (self.G @ c)))
        return self._probed(np.broadcast_to(c[:, None], (len(c), _PROBES)))

    def _probed(self, C: numpy.ndarray) -> float:
        """The mean of the estimates by all probes, probe j judging the coefficients in column j of C."""
        sums = self.X.matmat(self.H * C.astype(self.H.real.dtype))
        return float(np.ldexp(np.square(np.abs(sums).astype(np.float64)).sum(), 2 * self.exponent)) / _PROBES

    def of_systematic(self, pi: numpy.ndarray, order: numpy.ndarray, r: int) -> float:
        """Expected squared error over the start u of systematic sampling along ``order``.

        The sample changes one pair at a time as u runs through [0, 1): at the fractional parts of the cumulative
        sums. Between them the error is constant, so the integral is a sum of l + 1 terms; O(l^2) with G. Without G:
        the mean over 8 evenly spread starts, each judged by its share of the probes.
        """
        if self.G is None:
            starts = (np.arange(_STARTS) + 0.5) / _STARTS
            C = np.stack([_coefficients(pi, order, u, r) for u in starts], axis=1)
            return self._probed(np.repeat(C, _PROBES // _STARTS, axis=1))
        return _mean_over_starts(self.G, pi, order)


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


def _coefficients(pi: numpy.ndarray, order: numpy.ndarray, u: float, r: int) -> numpy.ndarray:
    """w - 1 for the sample that start u selects: 1/pi - 1 where selected, -1 elsewhere."""
    from ..kernels.sampling import systematic

    c = np.full(len(pi), -1.0)
    index = systematic(pi, order, float(u))
    c[index] = 1.0 / pi[index] - 1.0
    return c
