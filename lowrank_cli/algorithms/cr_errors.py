"""The error of a weighted sum of column-row pairs, before any product is formed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..lazy import np
from ..matrices.blocks import gram
from ..matrices.metered import Metered
from ..sketches.gaussian import gaussian
from ..streams import Streams

if TYPE_CHECKING:
    import numpy

#: Gram matrices are formed up to this inner dimension, when they cost no more than the product.
_GRAM_SIDE = 4096
_PROBES = 32
#: Starting points tried to estimate the error of systematic sampling when there is no Gram matrix.
_STARTS = 8


class PairErrors:
    """|sum_i c_i x_i y_i|_F^2 for any real coefficients c: with c = w - 1, the squared error of the weights w.

    Exact as c^T G c with G = Re (X^H X) o (Y Y^H)^T, cost l^2 (m + n); else the mean over 32 Gaussian probes g of
    |X (c o (Y g))|^2, unbiased, relative standard deviation at most sqrt(2/32). kind says which. The quadratic form
    is right to about eps |c|^2 f^2, so errors below 1e-7 of the product are noise.
    """

    def __init__(self, X: Metered, Y: Metered, f: numpy.ndarray, streams: Streams):
        m, l = X.shape
        n = Y.shape[1]
        self.f = f
        self.G: numpy.ndarray | None = None
        if l <= _GRAM_SIDE and l**2 * (m + n) <= max(2 * m * n * l, 1 << 28):
            left = gram(X.block(slice(0, m), slice(0, l)), X.engine)
            right = gram(np.ascontiguousarray(Y.block(slice(0, l), slice(0, n)).conj().T), Y.engine)
            self.G = np.ascontiguousarray((left * right.conj()).real)
            self.kind = "exact"
        else:
            self.X = X
            g = gaussian(streams, "cr probe", n, _PROBES, Y.dtype)
            self.H = Y.matmat(g)
            self.kind = "estimate"
        self.product_square = self.of_weights(np.ones(l))

    def of_weights(self, c: numpy.ndarray) -> float:
        """|sum_i c_i x_i y_i|_F^2."""
        if self.G is not None:
            return max(0.0, float(c @ (self.G @ c)))
        return self._probed(c[:, None])[0]

    def _probed(self, C: numpy.ndarray) -> list[float]:
        """The estimate for each column of C, all in one product with X."""
        stacked = np.hstack([self.H * c[:, None].astype(self.H.real.dtype) for c in C.T])
        squares = np.square(np.abs(self.X.matmat(stacked)).astype(np.float64)).sum(axis=0)
        return [float(part.sum()) / _PROBES for part in np.split(squares, C.shape[1])]

    def of_systematic(self, pi: numpy.ndarray, order: numpy.ndarray, r: int) -> float:
        """Expected squared error over the start u of systematic sampling along ``order``.

        The sample changes one pair at a time as u runs through [0, 1): at the fractional parts of the cumulative
        sums. Between them the error is constant, so the integral is a sum of l + 1 terms; O(l^2) with G. Without G:
        the mean over 8 evenly spread starts.
        """
        if self.G is None:
            starts = (np.arange(_STARTS) + 0.5) / _STARTS
            C = np.stack([_coefficients(pi, order, u, r) for u in starts], axis=1)
            return float(np.mean(self._probed(C)))
        marks = np.unique(np.concatenate([[0.0, 1.0], np.mod(np.cumsum(pi[order]), 1.0)]))
        widths = np.diff(marks)
        expected, c, Gc = 0.0, None, None
        for start, width in zip(marks, widths, strict=False):
            new = _coefficients(pi, order, start + 0.5 * width, r)
            if c is None:
                Gc = self.G @ new
            else:
                changed = np.flatnonzero(new != c)
                Gc = Gc + self.G[:, changed] @ (new - c)[changed]
            c = new
            expected += width * max(0.0, float(c @ Gc))
        return expected


def _coefficients(pi: numpy.ndarray, order: numpy.ndarray, u: float, r: int) -> numpy.ndarray:
    """w - 1 for the sample that start u selects: 1/pi - 1 where selected, -1 elsewhere."""
    from ..kernels.sampling import systematic

    c = np.full(len(pi), -1.0)
    index = systematic(pi, order, float(u))
    c[index] = 1.0 / pi[index] - 1.0
    return c
