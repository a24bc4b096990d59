"""Tables by columns: Parquet, Arrow and Feather files, read with pyarrow; a matrix has the columns that are numbers.

Names of columns are kept. One column of text, if there is one, holds the names of the rows. Nothing is unpickled.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from ..errors import DependencyError, InputError, ResourceError
from ..lazy import np
from .loaded import Format, Item, Loaded, Names
from .optional import needed
from .working import Conversion, allocate, matrix_shape, native_name, require_memory

_PARQUET, _ARROW, _FEATHER = b"PAR1", b"ARROW1", b"FEA1"


def matches(head: bytes, name: str) -> bool:
    """Whether these first bytes are those of a Parquet, Arrow or Feather file."""
    return head.startswith((_PARQUET, _ARROW, _FEATHER))


def items(path: str) -> list[Item]:
    """The one table, from the headers."""
    with _opened(path) as table:
        return [_item(table, path)]


def load(path: str, item: str | None = None) -> Loaded:
    """Read the table. Raises InputError for a column that is neither numbers nor the only one of text, and for a value
    that is missing; ResourceError when it does not fit in memory; DependencyError without pyarrow."""
    if item is not None:
        raise InputError(f"holds one table and no item {item!r}", where=path, hint="leave the item out")
    with _opened(path) as table:
        found = _item(table, path)
        numbers, labels = _columns(table.schema, path)
        shape = matrix_shape(found.shape, path)
        out = allocate(shape, Conversion(np.dtype(found.dtype)).target, True, path)
        notes: list[str] = []
        for at, name in enumerate(numbers):
            values = _values(table, name, shape[0], path)
            conversion = Conversion(values.dtype)
            conversion(values, out[:, at])
            notes += [f"column {name!r}: {note}" for note in conversion.notes()]
        rows = None if labels is None else tuple(map(str, table.read([labels]).column(0).to_pylist()))
    return Loaded(out, path, "columns", found, tuple(notes), Names(rows, tuple(numbers)))


class _Table:
    """A file opened: its schema, its number of rows, and some of its columns at a time."""

    def __init__(self, path: str):
        with open(path, "rb") as file:
            head = file.read(8)
        if head.startswith(_PARQUET):
            self._file = needed("pyarrow.parquet", "arrow", path, "reading Parquet").ParquetFile(path)
            self.schema, self.rows = self._file.schema_arrow, self._file.metadata.num_rows
            self.read = self._file.read
        elif head.startswith(_ARROW):
            arrow = needed("pyarrow", "arrow", path, "reading Arrow")
            needed("pyarrow.ipc", "arrow", path, "reading Arrow")
            self._file = arrow.ipc.open_file(arrow.memory_map(path))
            self.schema = self._file.schema
            batches = [self._file.get_batch(at) for at in range(self._file.num_record_batches)]
            self.rows = sum(batch.num_rows for batch in batches)
            whole = arrow.Table.from_batches(batches, self.schema)
            self.read = whole.select
        else:
            raise InputError("is Feather of version 1, which is not read", where=path, hint="save it as Parquet")


@contextlib.contextmanager
def _opened(path: str) -> Iterator[_Table]:
    try:
        yield _Table(path)
    except (InputError, ResourceError, DependencyError):
        raise
    except Exception as error:
        # pyarrow raises kinds of its own, OSError and ValueError for damaged files
        line = " ".join(str(error).split())[:120] or type(error).__name__
        raise InputError(f"a damaged table ({line})", where=path, hint="copy or write the file again") from error


def _columns(schema: Any, path: str) -> tuple[list[str], str | None]:
    """The names of the columns of numbers, and that of the column of text."""
    import pyarrow.types as types

    names = list(schema.names)
    if len(set(names)) != len(names):
        raise InputError("two columns have one name", where=path, hint="rename one of them")
    numeric = {field.name for field in schema if types.is_integer(field.type) or types.is_floating(field.type)} | {
        field.name for field in schema if types.is_boolean(field.type)
    }
    others = [field for field in schema if field.name not in numeric]
    text = [field for field in others if types.is_string(field.type) or types.is_large_string(field.type)]
    if len(others) > 1 or others != text:
        said = next((field for field in others if field not in text), others[-1])
        raise InputError(
            f"column {said.name!r} holds {said.type}, not numbers", where=path, hint="write the columns of numbers only"
        )
    return [name for name in names if name in numeric], text[0].name if text else None


def _item(table: _Table, path: str) -> Item:
    numbers, labels = _columns(table.schema, path)
    stored = [np.dtype(table.schema.field(name).type.to_pandas_dtype()) for name in numbers]
    dtype = np.result_type(*stored) if stored else np.dtype("f8")
    size = table.rows * sum(one.itemsize for one in stored)
    detail = "by columns, names" + ("" if labels is None else ", labels")
    return Item(None, (table.rows, len(numbers)), native_name(dtype), None, size, detail)


def _values(table: _Table, name: str, rows: int, path: str) -> Any:
    require_memory(16 * rows, path, f"column {name!r}")
    column = table.read([name]).column(0)
    if column.null_count:
        raise InputError(
            f"column {name!r} has {column.null_count} missing values", where=path, hint="fill them, or leave it out"
        )
    return np.asarray(column.to_numpy())


FORMAT = Format("columns", (".parquet", ".arrow", ".feather"), matches, items, load)
