"""The leading singular vectors, and the gradient of the spectral norm they make: u_1 v_1^H, with what it is worth."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING, Any

from ..certificates.spectral import DENSE_SIDE
from ..errors import NumericalError
from ..factors.svd import SVD
from ..lazy import np
from ..matrices.metered import Metered
from . import spectrum_ranks as ranks
from .spectrum import Spectrum, spectrum_of
from .svd_sources import signed

if TYPE_CHECKING:
    import numpy

    from ..streams import Streams

#: A gap below this share of s_1 is warned of: the gradient turns when the matrix changes by half of the gap.
NEAR = 1e-3


@dataclasses.dataclass(frozen=True, eq=False)
class Leading:
    """u (m, 1), v (n, 1), s_1 and s_2 as computed of the scaled matrix.

    gap: s_1 minus the largest other singular value, at least, rounding allowed for; not positive: nothing is known.
    residual: sqrt((|A v - s u|^2 + |A^H u - s v|^2) / 2), and what rounding may hide.
    """

    u: numpy.ndarray
    v: numpy.ndarray
    first: float
    second: float
    gap: float
    residual: float

    @property
    def uncertainty(self) -> float | None:
        """|u v^H - u_1 v_1^H|_F at most; None when nothing is known, 2 being possible.

        Davis and Kahan 1970 on [[0, A], [A^H, 0]]: the sine of the angle of (u, v) is at most residual / gap, and the
        projections on two lines differ by sqrt(2) times it, of which u v^H / 2 is half, twice.
        """
        bound = 2 * self.residual / self.gap if self.gap > 0 else math.inf
        return bound if bound < 2 else None


def leading(found: Spectrum, streams: Streams) -> Leading:
    """The leading triplet of a matrix that is not zero, from the basis of ``found`` or by LAPACK. Cost: two passes, and
    22 n^3 flops where LAPACK finds it."""
    matrix = found.scaled.matrix
    p = min(matrix.shape)
    if found.left is None and p > DENSE_SIDE:
        # a matrix of its own: what is kept with this one was found before it was scaled
        found = spectrum_of(Metered(matrix.inner, matrix.ledger), 2, False, streams)
    if found.left is not None and found.right is not None:
        u, v, s = found.left[:, :1], found.right[:, :1], found.values
    else:
        u, v, s = _by_lapack(found)
    u, v = (np.ascontiguousarray(x, dtype=matrix.dtype) for x in (u, v))
    first = float(s[0])
    down = np.linalg.norm((matrix.matmat(v) - first * u).astype(np.complex128))
    across = np.linalg.norm((matrix.rmatmat(u) - first * v).astype(np.complex128))
    residual = math.sqrt(0.5 * (float(down) ** 2 + float(across) ** 2)) + found.rounding
    second = float(s[1]) if len(s) > 1 else 0.0
    return Leading(u, v, first, second, first - found.rounding - _others(found, s), residual)


def _by_lapack(found: Spectrum) -> tuple[numpy.ndarray, numpy.ndarray, numpy.ndarray]:
    matrix = found.scaled.matrix
    wide = np.result_type(matrix.dtype, np.float64)
    try:
        U, s, Vh = np.linalg.svd(np.ascontiguousarray(matrix.whole(), dtype=wide), full_matrices=False)
    except np.linalg.LinAlgError as failure:
        raise NumericalError("LAPACK found no singular vectors", hint="leave out --gradient") from failure
    m, n = max(matrix.shape), min(matrix.shape)
    matrix.ledger.flops += 14 * m * n * n + 8 * n**3
    return U[:, :1], Vh[:1].conj().T, s


def _others(found: Spectrum, s: numpy.ndarray) -> float:
    """What no singular value but the first exceeds; with the probability of ``found``."""
    p = found.full
    if p == 1:
        return 0.0
    if len(found.values) == p:
        return float(s[1]) + float(found.radii[1])
    rest = ranks.rest_of(found)
    known = float(s[1]) + float(found.radii[1]) if len(s) > 1 else 0.0
    return max(known, rest.cap) + rest.coupling + rest.rounding


def gradient_factor(found: Leading | None, shape: tuple[int, int], dtype: Any, scale: float, engine: Any) -> SVD:
    """scale u v^H as an SVD of rank one, signs by rule; of a zero matrix (None) the zero matrix."""
    real = np.zeros(1, dtype).real.dtype
    if found is None:
        u, v = (np.zeros((length, 1), dtype) for length in shape)
        u[0] = v[0] = 1
        return SVD(u, np.zeros(1, real), np.ascontiguousarray(v.T))
    with np.errstate(over="ignore"):
        s = np.array([scale], np.float64).astype(real)
    if not np.isfinite(s[0]):
        raise NumericalError(f"the gradient overflows {real}", hint="scale the matrix down")
    return signed(found.u, s, found.v, engine)
