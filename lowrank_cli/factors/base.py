"""What every result shares: named arrays, products, blocks. An approximation is an operator."""

from __future__ import annotations

import abc
import dataclasses
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

from ..engines.threads import SerialEngine
from ..errors import InputError
from ..lazy import np
from ..matrices.blocks import cross, times, weighted
from ..matrices.tall import Tall, contiguous
from ..matrices.tiles import scale_exactly

if TYPE_CHECKING:
    import numpy


def is_sparse(array: Any) -> bool:
    """Whether this is a SciPy sparse array; true only if SciPy was loaded by whoever made it."""
    return hasattr(array, "indptr")


def nbytes(array: Any) -> int:
    """Bytes of the values (and, for a sparse array, the indices) in memory."""
    if is_sparse(array):
        return int(array.data.nbytes + array.indices.nbytes + array.indptr.nbytes)
    return int(array.nbytes)


def columns_scaled(U: Any, s: numpy.ndarray) -> Any:
    """U diag(s), where U is."""
    return weighted(U, s, SerialEngine()) if isinstance(U, Tall) else U * s


def _product(L: Any, T: Any) -> numpy.ndarray:
    """L T for a few columns, by pieces: the same bits wherever L is."""
    if is_sparse(L) or is_sparse(T) or L.dtype != T.dtype:
        return np.asarray((L if is_sparse(L) else np.asarray(L)) @ T)
    return np.asarray(times(L, T, SerialEngine()))


def dense(array: Any) -> numpy.ndarray:
    return array.toarray() if is_sparse(array) else array


@dataclasses.dataclass(frozen=True, eq=False)
class Approximation(abc.ABC):
    """What stands for a matrix: named arrays, and the products with it that they allow.

    A concrete kind is a frozen dataclass whose fields are its arrays, plus ``kind`` and ``product`` (the identity in
    words, for readers that do not know the kind). Most are a ``Factorization`` and say only ``pair``.
    """

    kind: ClassVar[str]
    product: ClassVar[str]

    def arrays(self) -> dict[str, Any]:
        """The stored arrays under their contract names, in order."""
        return {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}

    @classmethod
    def from_arrays(cls, arrays: dict[str, Any]) -> Approximation:
        """The approximation these arrays make. Raises InputError when names or shapes do not fit the kind."""
        names = [f.name for f in dataclasses.fields(cls)]
        if sorted(arrays) != sorted(names):
            raise InputError(
                f"a factorization of kind {cls.kind!r} has the arrays {', '.join(names)}, "
                f"not {', '.join(sorted(arrays)) or 'none'}"
            )
        made = cls(**arrays)
        made.check_shapes()
        return made

    def check_shapes(self) -> None:
        """Raise InputError when the arrays do not fit together."""
        for name, array in self.arrays().items():
            if array.ndim not in (1, 2):
                raise InputError(f"the array {name} has {array.ndim} dimensions")
        try:
            fits = self.fits()
        except (ValueError, IndexError, ZeroDivisionError):
            fits = False
        if not fits:
            shapes = ", ".join(f"{n} {'x'.join(map(str, a.shape))}" for n, a in self.arrays().items())
            raise InputError(f"the arrays of this {self.kind} do not chain: {shapes}")

    @abc.abstractmethod
    def fits(self) -> bool:
        """Whether the shapes of the arrays, and the indices in them, fit together; may raise what misfits raise."""

    @property
    @abc.abstractmethod
    def shape(self) -> tuple[int, int]: ...

    @property
    @abc.abstractmethod
    def dtype(self) -> numpy.dtype: ...

    @property
    @abc.abstractmethod
    def rank(self) -> int:
        """What ``--rank`` counts: stored columns, terms, codewords."""

    @property
    def bounded(self) -> bool:
        """Whether its rank as a matrix is at most ``rank``, so that the best of that rank is a bound for its error."""
        return True

    @property
    def nbytes(self) -> int:
        """Bytes of values and indices in memory."""
        return sum(nbytes(a) for a in self.arrays().values())

    @property
    @abc.abstractmethod
    def apply_flops(self) -> int:
        """Multiplications and additions of one product with a vector."""

    @property
    @abc.abstractmethod
    def entry_flops(self) -> int:
        """Multiplications and additions that form one entry."""

    @abc.abstractmethod
    def matmat(self, X: numpy.ndarray) -> numpy.ndarray:
        """F X, for X of shape (n, l)."""

    @abc.abstractmethod
    def rmatmat(self, Y: numpy.ndarray) -> numpy.ndarray:
        """F^H Y, for Y of shape (m, l)."""

    @abc.abstractmethod
    def blocks(self) -> Callable[[slice, slice], numpy.ndarray]:
        """The function that gives F[rows, cols], a new dense array; what it needs is prepared once."""

    @abc.abstractmethod
    def scaled(self, exponent: int) -> Approximation:
        """This approximation times 2**exponent, exact but for underflow."""

    def reconstruct(self) -> numpy.ndarray:
        """The dense (m, n) matrix."""
        m, n = self.shape
        return self.blocks()(slice(0, m), slice(0, n))


@dataclasses.dataclass(frozen=True, eq=False)
class Factorization(Approximation):
    """A ~ L R, the product of the factors ``pair()`` gives; the named arrays are what is stored."""

    @abc.abstractmethod
    def pair(self) -> tuple[Any, Any]:
        """(L, R) with A ~ L R: L of shape (m, r), R of shape (r, n); either may be sparse."""

    def fits(self) -> bool:
        L, R = self.pair()
        return L.shape[1] == R.shape[0]

    @property
    def shape(self) -> tuple[int, int]:
        L, R = self.pair()
        return (int(L.shape[0]), int(R.shape[1]))

    @property
    def dtype(self) -> numpy.dtype:
        L, R = self.pair()
        return np.result_type(L.dtype, R.dtype)

    @property
    def rank(self) -> int:
        """Stored columns."""
        return int(self.pair()[1].shape[0])

    @property
    def apply_flops(self) -> int:
        """Two for every stored value that a product with a vector meets."""
        return 2 * sum(int(f.nnz) if is_sparse(f) else int(f.size) for f in self.pair())

    @property
    def entry_flops(self) -> int:
        return 2 * self.rank

    def matmat(self, X: numpy.ndarray) -> numpy.ndarray:
        L, R = self.pair()
        return _product(L, R @ X)

    def rmatmat(self, Y: numpy.ndarray) -> numpy.ndarray:
        L, R = self.pair()
        return np.asarray(R.conj().T @ (L.conj().T @ Y if is_sparse(L) else cross(L, Y, SerialEngine())))

    def blocks(self) -> Callable[[slice, slice], numpy.ndarray]:
        L, R = (part if is_sparse(part) else contiguous(part) for part in self.pair())
        return lambda rows, cols: np.asarray(dense(L[rows]) @ dense(R[:, cols]))

    def scaled(self, exponent: int) -> Factorization:
        L, R = (np.ascontiguousarray(dense(part)) for part in self.pair())
        # the factor that is off scale takes it: the other could overflow, or lose its digits, under all of it
        largest = float(np.abs(R).max(initial=0.0))
        right = min(max(-math.frexp(largest)[1], min(exponent, 0)), max(exponent, 0)) if largest < math.inf else 0
        return Pair(scale_exactly(L, exponent - right), scale_exactly(R, right))


@dataclasses.dataclass(frozen=True, eq=False)
class Pair(Factorization):
    """Two factors and nothing more."""

    kind = "pair"
    product = "L R"

    L: Any
    R: Any

    def pair(self) -> tuple[Any, Any]:
        return self.L, self.R
