"""A - F as an operator: what is left of a matrix when its approximation is taken away."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..lazy import np
from .protocols import Operator

if TYPE_CHECKING:
    import numpy

    from ..engines.threads import Engine
    from .adjoint import Adjoint
    from .metered import Metered


class Difference:
    """A - F for a matrix A and any operator F of the same shape; products with A are charged to A."""

    def __init__(self, matrix: Metered | Adjoint, factor: Operator):
        self.matrix, self.factor = matrix, factor
        self.shape: tuple[int, int] = (matrix.shape[0], matrix.shape[1])
        self.dtype = np.result_type(matrix.dtype, factor.dtype)
        self.engine: Engine = matrix.engine
        self.ledger = matrix.ledger
        self.home = None
        #: A - F has no entries that are left out, whatever A is.
        self.nnz = None

    def matmat(self, X: numpy.ndarray, keep: bool = False) -> numpy.ndarray:
        return self.matrix.matmat(X) - self.factor.matmat(X)

    def rmatmat(self, Y: numpy.ndarray, keep: bool = False) -> numpy.ndarray:
        return self.matrix.rmatmat(Y) - self.factor.rmatmat(Y)

    def normal_matmat(self, X: numpy.ndarray, keep: bool = False) -> tuple[numpy.ndarray, numpy.ndarray]:
        """(E X, E^H (E X)) for E = A - F; two passes, since F comes between the two products."""
        Y = self.matmat(X)
        return Y, self.rmatmat(Y)
