"""Stored probes: an estimate of what a growing basis still misses, with no further pass and no cancellation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..lazy import np
from ..matrices.blocks import combined, cross, lengths, times
from ..sketches.gaussian import gaussian
from ..streams import Streams

if TYPE_CHECKING:
    import numpy

    from ..matrices.adjoint import Adjoint
    from ..matrices.metered import Metered
    from .krylov import BlockKrylov


class Probes:
    """A times Gaussian probes that no sketch shares. One pass, COUNT columns."""

    COUNT = 32

    def __init__(self, matrix: Metered | Adjoint, streams: Streams):
        self.G = gaussian(streams, "probe", matrix.shape[1], self.COUNT, matrix.dtype, matrix.engine)
        self.AG = matrix.matmat(self.G, keep=True)

    def beyond(self, basis: BlockKrylov) -> float:
        """Estimated squared Frobenius norm of A (I - V V^H): the mean over probes, unbiased.

        |A|^2 - |A V|^2 would stall near eps |A|^2; this follows the truth down to rounding of the products.
        """
        engine = basis.matrix.engine
        left = times(basis.W, cross(basis.V, self.G, engine), engine)
        return float(np.sum(np.square(lengths(combined([(1.0, self.AG), (-1.0, left)], engine), engine)))) / self.COUNT

    def outside(self, Q: numpy.ndarray) -> float:
        """Estimated squared Frobenius norm of (I - Q Q^H) A for Q with orthonormal columns."""
        left = self.AG - Q @ (Q.conj().T @ self.AG)
        return float(np.sum(np.square(np.abs(left).astype(np.float64)))) / self.COUNT
