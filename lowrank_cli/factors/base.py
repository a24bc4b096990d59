"""What every factorization shares: named arrays, products, blocks. A factorization is an operator."""

from __future__ import annotations

import abc
import dataclasses
from typing import TYPE_CHECKING, Any, ClassVar

from ..errors import InputError
from ..lazy import np

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


def dense(array: Any) -> numpy.ndarray:
    return array.toarray() if is_sparse(array) else array


@dataclasses.dataclass(frozen=True, eq=False)
class Factorization(abc.ABC):
    """A ~ L R, the product of the factors ``pair()`` gives; the named arrays are what is stored.

    A concrete kind is a frozen dataclass whose fields are its arrays, plus ``kind``, ``product`` (the identity in
    words, for readers that do not know the kind) and ``pair``.
    """

    kind: ClassVar[str]
    product: ClassVar[str]

    @abc.abstractmethod
    def pair(self) -> tuple[Any, Any]:
        """(L, R) with A ~ L R: L of shape (m, r), R of shape (r, n); either may be sparse."""

    def arrays(self) -> dict[str, Any]:
        """The stored arrays under their contract names, in order."""
        return {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}

    @classmethod
    def from_arrays(cls, arrays: dict[str, Any]) -> Factorization:
        """The factorization these arrays make. Raises InputError when names or shapes do not fit the kind."""
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
        """Raise InputError when the factors do not chain."""
        for name, array in self.arrays().items():
            if array.ndim not in (1, 2):
                raise InputError(f"the array {name} has {array.ndim} dimensions")
        try:
            L, R = self.pair()
            chained = L.shape[1] == R.shape[0]
        except (ValueError, IndexError):
            chained = False
        if not chained:
            shapes = ", ".join(f"{n} {'x'.join(map(str, a.shape))}" for n, a in self.arrays().items())
            raise InputError(f"the arrays of this {self.kind} do not chain: {shapes}")

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
    def nbytes(self) -> int:
        """Bytes of values and indices in memory."""
        return sum(nbytes(a) for a in self.arrays().values())

    @property
    def apply_flops(self) -> int:
        """Multiplications and additions of one product with a vector: two for every stored value it meets."""
        return 2 * sum(int(f.nnz) if is_sparse(f) else int(f.size) for f in self.pair())

    def matmat(self, X: numpy.ndarray) -> numpy.ndarray:
        L, R = self.pair()
        return np.asarray(L @ (R @ X))

    def rmatmat(self, Y: numpy.ndarray) -> numpy.ndarray:
        L, R = self.pair()
        return np.asarray(R.conj().T @ (L.conj().T @ Y))

    def reconstruct(self) -> numpy.ndarray:
        """The dense (m, n) product."""
        L, R = self.pair()
        return np.asarray(dense(L) @ dense(R))
