"""From the dtype a file stores to the dtype we compute in, and the checks every reader shares."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..errors import InputError, ResourceError
from ..lazy import np
from ..memory import available_memory

if TYPE_CHECKING:
    import numpy.typing as npt

#: No dimension of a file we believe is larger than this; keeps every product far from an int64.
MAX_DIM = 2**47

#: Stored types that NumPy has not; they become float32 without loss.
NARROW = ("bfloat16", "float8_e4m3fn", "float8_e5m2")
_TARGETS = {"f2": "f4", "f4": "f4", "f8": "f8", "c8": "c8", "c16": "c16"}


class Conversion:
    """Turns pieces of a stored array into the dtype we compute in, and remembers what was lost.

    float16 becomes float32, integers and bool become float64, the rest stays; the result is in native byte order.
    ``direct`` says that nothing has to be done, so that a reader can read straight into the result.
    """

    def __init__(self, stored: np.dtype):
        self.stored = stored
        self.target = np.dtype(_TARGETS.get(f"{stored.kind}{stored.itemsize}", "f8"))
        self.direct = bool(stored == self.target)
        self.inexact = 0

    def __call__(self, raw: npt.NDArray, out: npt.NDArray) -> None:
        """Write the values of ``raw`` (stored dtype) into ``out`` (target dtype, same shape)."""
        if raw.dtype.kind == "b":
            out[...] = raw.view(np.uint8) != 0  # a byte of 2 is true, not two
            return
        # MATLAB stores singles as doubles, which may be beyond them or NaN that signal: infinity and NaN are refused by
        # whoever computes with them
        with np.errstate(over="ignore", invalid="ignore"):
            out[...] = raw
        if raw.dtype.kind in "iu" and raw.dtype.itemsize == 8 and raw.size:
            self._count_inexact(raw, out)

    def _count_inexact(self, raw: npt.NDArray, out: npt.NDArray) -> None:
        if int(raw.max()) <= 2**53 and int(raw.min()) >= -(2**53):
            return
        native = raw.astype(raw.dtype.newbyteorder("="), copy=False)
        # a value that rounds up to 2**63 (2**64) has no way back, and what the cast gives then depends on the CPU:
        # 0 is cast in its place, which no such value is
        over = out >= (2.0**63 if raw.dtype.kind == "i" else 2.0**64)
        back = np.where(over, 0.0, out).astype(native.dtype)
        self.inexact += int(np.count_nonzero(back != native))

    def notes(self) -> tuple[str, ...]:
        """What the user should know about the conversion."""
        if not self.inexact:
            return ()
        verb = "value is" if self.inexact == 1 else "values are"
        return (f"{self.inexact} {verb} not exact in float64 (integers beyond 2^53)",)


def supported(dtype: np.dtype) -> bool:
    """Whether we can compute with values stored in this dtype."""
    if dtype.subdtype is not None or dtype.names is not None:
        return False
    limit = {"b": (1,), "i": (1, 2, 4, 8), "u": (1, 2, 4, 8), "f": (2, 4, 8), "c": (8, 16)}
    return dtype.itemsize in limit.get(dtype.kind, ())


def computed_dtype(name: str) -> np.dtype | None:
    """The dtype we compute in for values stored as ``name``; None when they are no numbers."""
    if name in NARROW:
        return np.dtype("f4")
    try:
        stored = np.dtype(name)
    except TypeError:
        return None
    return Conversion(stored).target if supported(stored) else None


def native_name(dtype: np.dtype) -> str:
    """The name of a dtype without its byte order: "float64", "int32"."""
    return dtype.newbyteorder("=").name


def matrix_shape(shape: tuple[int, ...], where: str) -> tuple[int, int]:
    """``shape`` as (rows, columns); InputError unless it has two dimensions and at least one entry."""
    if len(shape) == 0:
        raise InputError("holds a single number, not a matrix", where=where)
    if len(shape) == 1:
        raise InputError(
            f"1-D array of {shape[0]} values, not a matrix",
            where=where,
            hint=f"reshape it to ({shape[0]}, 1) or (1, {shape[0]}) and save it again",
        )
    if len(shape) > 2:
        text = " x ".join(map(str, shape))
        raise InputError(
            f"{len(shape)}-D array ({text}), not a matrix", where=where, hint="save a 2-D slice or unfolding"
        )
    for size, what in zip(shape, ("rows", "columns"), strict=True):
        if size == 0:
            raise InputError(f"the matrix has no {what} ({shape[0]} x {shape[1]})", where=where)
    check_dimensions(shape, where)
    return shape[0], shape[1]


def check_dimensions(shape: tuple[int, ...], where: str) -> None:
    """InputError when a dimension is beyond anything we believe (2^47)."""
    if any(size > MAX_DIM for size in shape):
        raise InputError(f"array too large: shape {shape}", where=where, hint="the header is damaged or hostile")


def allocate(shape: tuple[int, int], dtype: np.dtype, fortran: bool, where: str) -> npt.NDArray:
    """An uninitialised array, or ResourceError when it does not fit the memory that is free now."""
    require_memory(shape[0] * shape[1] * dtype.itemsize, where, f"the {shape[0]} x {shape[1]} matrix in {dtype.name}")
    try:
        return np.empty(shape, dtype, order="F" if fortran else "C")
    except (MemoryError, ValueError) as error:
        raise ResourceError(f"no memory for a {shape[0]} x {shape[1]} {dtype.name} matrix", where=where) from error


def require_memory(
    need: int, where: str, what: str, hint: str = "use a machine with more memory, or a part of the matrix"
) -> None:
    """ResourceError when ``need`` bytes are more than :func:`available_memory`."""
    have = available_memory()
    if need > have:
        raise ResourceError(
            f"{what} needs {human(need)} of memory, {human(have)} are available",
            where=where,
            hint=hint,
        )


def human(size: int) -> str:
    """Bytes in the unit a person reads: "9.1 TiB"."""
    value, units = float(size), ("bytes", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB")
    for unit in units:
        if value < 1024 or unit == units[-1]:
            return f"{size} bytes" if unit == "bytes" else f"{value:.1f} {unit}"
        value /= 1024
    raise AssertionError("unreachable")


def canonical(matrix: Any) -> tuple[Any, int]:
    """A SciPy sparse matrix as a csr_array with sorted indices and duplicates summed, and how many were summed."""
    from scipy import sparse

    csr = sparse.csr_array(matrix)
    before = csr.nnz
    csr.sum_duplicates()  # sorts as well
    return csr, before - csr.nnz
