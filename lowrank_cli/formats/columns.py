"""Tables by columns: Parquet, Arrow and Feather files, read with pyarrow; a matrix has the columns that are numbers.

Names of columns are kept. One column of text, if there is one, holds the names of the rows. Nothing is unpickled.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

from ..errors import DependencyError, InputError, ResourceError
from ..lazy import np
from .arrow_batch import Batch
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
        rows = None if labels is None else _labels(table, labels, path)
    return Loaded(out, path, "columns", found, tuple(notes), Names(rows, tuple(numbers)))


class _Table:
    """A file opened: its schema, its number of rows, and ``read(name)``, one column in pieces; before anything is
    expanded ``expanded(name)`` says how many bytes it takes."""

    def __init__(self, path: str):
        with open(path, "rb") as file:
            head = file.read(8)
        if head.startswith(_PARQUET):
            self._parquet(path)
        elif head.startswith(_ARROW):
            self._arrow(path)
        else:
            raise InputError("is Feather of version 1, which is not read", where=path, hint="save it as Parquet")

    def _parquet(self, path: str) -> None:
        parquet = needed("pyarrow.parquet", "arrow", path, "reading Parquet")
        file = parquet.ParquetFile(path)
        self.schema, self.rows, meta = file.schema_arrow, file.metadata.num_rows, file.metadata
        # a text that stands in many rows is kept once
        text = [field.name for field in self.schema if _is_text(field.type)]
        file = parquet.ParquetFile(path, read_dictionary=text)

        def expanded(name: str) -> int:
            groups = (meta.row_group(at) for at in range(meta.num_row_groups))
            chunks = (group.column(at) for group in groups for at in range(group.num_columns))
            return sum(max(0, chunk.total_uncompressed_size) for chunk in chunks if chunk.path_in_schema == name)

        self.expanded = expanded
        self.read: Callable[[str], Any] = lambda name: file.read([name]).column(0)

    def _arrow(self, path: str) -> None:
        arrow = needed("pyarrow", "arrow", path, "reading Arrow")
        ipc = needed("pyarrow.ipc", "arrow", path, "reading Arrow")
        # the messages of the file, one after another: what the index at its end says of them need not be so
        file = arrow.memory_map(path)
        indexed = ipc.open_file(file).num_record_batches
        file.seek(8)
        messages = list(ipc.MessageReader.open_stream(file))
        if not messages or messages[0].type != "schema":
            raise InputError("does not begin with its schema", where=path, hint="write the file again")
        self.schema = ipc.read_schema(messages[0])
        found = [message for message in messages if message.type == "record batch"]
        if len(found) != indexed:
            raise InputError(f"has {len(found)} of {indexed} batches", where=path, hint="copy or write the file again")
        batches = [Batch(message.metadata, message.body) for message in found]
        self.rows = sum(batch.rows for batch in batches)
        total = sum(batch.expanded for batch in batches)
        self.expanded = lambda name: total

        def read(name: str) -> Any:
            if not hasattr(self, "_whole"):
                parts = [ipc.read_record_batch(message, self.schema) for message in found]
                self._whole = arrow.Table.from_batches(parts, self.schema)
            return self._whole.column(name)

        self.read = read


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
    text = [field for field in others if _is_text(field.type)]
    if len(others) > 1 or others != text:
        said = next((field for field in others if field not in text), others[-1])
        raise InputError(
            f"column {said.name!r} holds {said.type}, not numbers", where=path, hint="write the columns of numbers only"
        )
    return [name for name in names if name in numeric], text[0].name if text else None


def _is_text(kind: Any) -> bool:
    import pyarrow.types as types

    return bool(types.is_string(kind) or types.is_large_string(kind))


def _dtype(kind: Any) -> Any:
    """NumPy's type for one of the numbers, by its name: the answer of pyarrow 16 needs pandas."""
    return np.dtype({"halffloat": "f2", "float": "f4", "double": "f8"}.get(str(kind), str(kind)))


def _item(table: _Table, path: str) -> Item:
    numbers, labels = _columns(table.schema, path)
    stored = [_dtype(table.schema.field(name).type) for name in numbers]
    dtype = np.result_type(*stored) if stored else np.dtype("f8")
    size = table.rows * sum(one.itemsize for one in stored)
    detail = "by columns, names" + ("" if labels is None else ", labels")
    return Item(None, (table.rows, len(numbers)), native_name(dtype), None, size, detail)


def _values(table: _Table, name: str, rows: int, path: str) -> Any:
    require_memory(max(16 * rows, table.expanded(name)), path, f"column {name!r}")
    column = table.read(name)
    if len(column) != rows:
        raise InputError(f"column {name!r} has {len(column)} of {rows} values", where=path, hint="write the file again")
    if column.null_count:
        raise InputError(
            f"column {name!r} has {column.null_count} missing values", where=path, hint="fill them, or leave it out"
        )
    return np.asarray(column.to_numpy())


def _labels(table: _Table, name: str, path: str) -> tuple[str, ...]:
    """The names of the rows; of Parquet one that stands in many rows is one object."""
    require_memory(64 * table.rows + 2 * table.expanded(name), path, f"column {name!r}")
    found: list[str] = []
    for piece in table.read(name).chunks:
        if hasattr(piece, "dictionary"):
            texts = [str(text) for text in piece.dictionary.to_pylist()]
            found += ["None" if at is None else texts[at] for at in piece.indices.to_pylist()]
        else:
            found += map(str, piece.to_pylist())
    return tuple(found)


FORMAT = Format("columns", (".parquet", ".arrow", ".feather"), matches, items, load)
