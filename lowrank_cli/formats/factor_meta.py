"""What every file of factors says about itself, and how damage is found out.

The arrays of a factorization are stored flat: a sparse ``C`` becomes ``C.data C.indices C.indptr C.shape`` (CSR).
Beside them stand ``schema``, ``kind``, ``product`` (the identity in words), ``report``, ``digests`` of the arrays and
``meta_digest`` over all of these. The digests show damage, not forgery: whoever can write the file can renew them.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from ..errors import DamagedError, InputError
from ..lazy import np
from .npy_writer import raw, stored, views

if TYPE_CHECKING:
    import numpy

SCHEMA = "lowrank.factors/1"
FAMILY = "lowrank.factors/"
FIELDS = ("schema", "kind", "product", "report", "digests", "meta_digest")

SIZE_CAP = 16 << 20
DEPTH_CAP = 16

#: Names under which a file may hold arrays.
NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}(?:\.(?:data|indices|indptr|shape))?")
PARTS = ("data", "indices", "indptr", "shape")

_DAMAGED = "the file is damaged; write it again"


@contextlib.contextmanager
def whole(path: str) -> Iterator[None]:
    """What a reader of matrices refuses is damage where a file of factors is read."""
    try:
        yield
    except DamagedError:
        raise
    except InputError as err:
        raise DamagedError(err.what, where=path, hint=err.hint) from None
    except OSError as err:
        raise InputError(f"cannot be read: {err.strerror or err}", where=path) from err


def digest(array: Any) -> str:
    """sha256 over item type, shape and values in C order, little-endian: the same for every way to hold them."""
    plain = stored(array)
    state = hashlib.sha256(head(plain))
    for view in views([raw(plain)]):
        state.update(view)
    return f"sha256:{state.hexdigest()}"


def head(plain: Any) -> bytes:
    """What a digest begins with, of an array as it is stored."""
    return f"{plain.dtype.str}{plain.shape}".encode()


def describe(kind: str, product: str, report: dict[str, Any], digests: dict[str, str]) -> dict[str, Any]:
    """The metadata of a file that holds flat arrays with these digests. Raises ValueError for a report that is not
    plain JSON."""
    meta = {
        "schema": SCHEMA,
        "kind": kind,
        "product": product,
        "report": report,
        "digests": digests,
    }
    text = canonical(meta)
    if len(text) > SIZE_CAP - 1024 or _depth(meta) > DEPTH_CAP:
        raise ValueError(f"a report of {len(text)} bytes, {_depth(meta)} levels deep, is not storable")
    return {**meta, "meta_digest": _sha256(text)}


def canonical(value: Any) -> bytes:
    """The one JSON text of a value: ASCII, keys sorted, no spaces. Raises ValueError for NaN and infinity."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False).encode("ascii")


def parse(text: bytes, path: str) -> Any:
    """The value of a JSON text from a file: at most 16 MiB, 16 levels, no key twice, no NaN. Raises DamagedError."""
    if len(text) > SIZE_CAP:
        raise DamagedError(f"the metadata take {len(text)} bytes, more than {SIZE_CAP}", where=path, hint=_DAMAGED)
    try:
        value = json.loads(
            text.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_no_constant, parse_float=_finite
        )
    except (ValueError, RecursionError) as err:
        raise DamagedError(f"the metadata are not JSON ({_brief(err)})", where=path, hint=_DAMAGED) from None
    if _depth(value) > DEPTH_CAP:
        raise DamagedError(f"the metadata are nested deeper than {DEPTH_CAP} levels", where=path, hint=_DAMAGED)
    return value


def check(meta: Any, path: str) -> None:
    """Raise InputError unless these are metadata of factors that we can read, DamagedError when they were altered."""
    if not isinstance(meta, dict) or not isinstance(meta.get("schema"), str):
        raise InputError("holds no factors written by lowrank", where=path)
    schema = meta["schema"]
    if schema != SCHEMA and schema.startswith(FAMILY):
        raise InputError(
            f"holds factors of the layout {schema[:60]!r}, which this version cannot read",
            where=path,
            hint="update lowrank",
        )
    if schema != SCHEMA or sorted(meta) != sorted(FIELDS):
        raise DamagedError("the metadata are not those of factors", where=path, hint=_DAMAGED)
    rest = {name: value for name, value in meta.items() if name != "meta_digest"}
    if meta["meta_digest"] != _sha256(canonical(rest)):
        raise DamagedError("the metadata and the stored report do not match their digest", where=path, hint=_DAMAGED)
    strings = all(isinstance(meta[name], str) for name in ("kind", "product"))
    if not (strings and isinstance(meta["report"], dict) and isinstance(meta["digests"], dict)):
        raise DamagedError("the metadata are not those of factors", where=path, hint=_DAMAGED)


def check_arrays(meta: dict[str, Any], arrays: dict[str, numpy.ndarray], path: str) -> None:
    """Raise DamagedError unless these are the flat arrays the metadata speak of, value by value."""
    digests = meta["digests"]
    if sorted(digests) != sorted(arrays):
        held, named = ", ".join(arrays) or "none", ", ".join(digests) or "none"
        raise DamagedError(f"holds the arrays {held} where its metadata name {named}", where=path, hint=_DAMAGED)
    for name, array in arrays.items():
        if digest(array) != digests[name]:
            raise DamagedError(f"array {name} does not match its digest", where=path, hint=_DAMAGED)


def flatten(arrays: dict[str, Any]) -> dict[str, numpy.ndarray]:
    """Named arrays as they are stored. A sparse one: sorted CSR with int64 indices, whatever SciPy chose."""
    flat = {}
    for name, array in arrays.items():
        if not hasattr(array, "tocsr"):
            flat[name] = stored(array)
            continue
        csr = array.tocsr()
        if not csr.has_sorted_indices:
            csr = csr.sorted_indices()
        values = (csr.data, csr.indices.astype(np.int64), csr.indptr.astype(np.int64), np.array(csr.shape, np.int64))
        flat.update({f"{name}.{part}": stored(value) for part, value in zip(PARTS, values, strict=True)})
    return flat


def assemble_sparse(flat: dict[str, numpy.ndarray], path: str) -> dict[str, Any]:
    """Flat arrays put together again: the inverse of ``flatten``. Raises DamagedError when parts miss or do not fit."""
    arrays: dict[str, Any] = {}
    for name, array in flat.items():
        base, dot, _ = name.partition(".")
        if not dot:
            arrays[name] = array
        elif base not in arrays:
            parts = [flat.get(f"{base}.{part}") for part in PARTS]
            if base in flat or any(part is None for part in parts):
                raise DamagedError(f"sparse array {base} is incomplete", where=path, hint=_DAMAGED)
            arrays[base] = _csr(base, parts, path)
    return arrays


def _csr(name: str, parts: list[Any], path: str) -> Any:
    data, indices, indptr, shape = parts
    # SciPy's compiled code follows these numbers without looking
    fits = (
        all(part.ndim == 1 for part in parts)
        and all(part.dtype == np.int64 for part in (indices, indptr, shape))
        and shape.size == 2
        and shape.min() >= 0
        and indptr.size == shape[0] + 1
        and data.size == indices.size == indptr[-1]
        and indptr[0] == 0
        and bool((indptr[1:] >= indptr[:-1]).all())
        and (indices.size == 0 or (indices.min() >= 0 and indices.max() < shape[1]))
    )
    if not fits:
        raise DamagedError(f"the parts of sparse array {name} do not fit each other", where=path, hint=_DAMAGED)
    from scipy.sparse import csr_array

    return csr_array((data, indices, indptr), shape=(int(shape[0]), int(shape[1])))


def _sha256(text: bytes) -> str:
    return f"sha256:{hashlib.sha256(text).hexdigest()}"


def _depth(value: Any) -> int:
    """Levels of a value; counted without recursion, of which JSON may need more than there is."""
    level, depth = [value], 0
    while level:
        held = [one for one in level if isinstance(one, (dict, list, tuple))]
        level = [one for many in held for one in (many.values() if isinstance(many, dict) else many)]
        depth += 1
    return depth


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise ValueError("a key occurs twice")
    return made


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name[:20]} is no JSON number")


def _finite(text: str) -> float:
    value = float(text)
    return value if math.isfinite(value) else _no_constant(text)


def _brief(err: BaseException) -> str:
    """An exception of a parser in one short line."""
    return " ".join(str(err).split())[:120] or type(err).__name__
