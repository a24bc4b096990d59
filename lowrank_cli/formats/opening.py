"""Choosing the reader: by content first, by name second, and never by guessing.

``PATH``, ``PATH:ITEM`` (the longest prefix that exists on disk is the path) or ``-`` for standard input. Pipes and
FIFOs are read once, forwards; regular files are opened again by the reader, which checks everything for itself.
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
import os
import re
import stat
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from ..errors import InputError, LowrankError, ResourceError, UsageError
from ..memory import available_memory
from . import TABLE, raw, zarr_store
from .loaded import Format, Item, Loaded
from .patterns import fitting, is_pattern, split
from .sources import Source
from .spooling import kept, spooled

if TYPE_CHECKING:
    from .sparse_writer import SparseRows

STDIN = "-"

#: what files that are none of ours begin with, what they are, and what to do
_FOREIGN: tuple[tuple[re.Pattern[bytes], str, str], ...] = (
    (re.compile(rb"version https://git-lfs"), "a Git LFS pointer, not the data", "fetch the data with git lfs pull"),
    (re.compile(rb"\s*<(!|html|\?xml)", re.IGNORECASE), "a web page, not the data", "download the file again"),
    (re.compile(rb"GIF8"), "an animated image", "save its pixels as a .npy array"),
    (
        re.compile(rb"[^\n]{72,}\n[ \d]{28,}[^\n]*\n[RCPrcp][SUHZRsuhzr][AEae] "),
        "a Harwell-Boeing file, which is not read",
        "convert it to Matrix Market",
    ),
    (
        re.compile(rb"RD[XA][23]\n|X\n\x00\x00\x00"),
        "an R data file, which is not read",
        "write the matrix with write.csv",
    ),
    (
        re.compile(rb"ORC"),
        "a table of columns (ORC), which is not read",
        "convert it to Parquet",
    ),
    (re.compile(rb"CDF[\x01\x02\x05]"), "a classic netCDF file, which is not read", "convert it to netCDF-4 or .npy"),
    (
        re.compile(rb"\x80[\x02-\x05]"),
        "a Python pickle; pickled objects are never loaded",
        "save the array with numpy.save",
    ),
)
_COMPRESSED = ((b"\xfd7zXZ\x00", "xz"), (b"\x28\xb5\x2f\xfd", "zstd"))


def open_matrix(path: str, item: str | None = None, *, once: int | None = None, spool: str | None = None) -> Loaded:
    """Load the matrix that ``PATH``, ``PATH:ITEM`` or ``-`` names; ``item`` names it inside a container.

    The array has the dtype we compute in (see :class:`Loaded`); one that would take more than half of the memory there
    is stays in its file, where the format can do that. NaN and infinity are not looked for here. once: a stream of more
    bytes is left to be read one time, where the format can do that. spool: a folder for a copy of the stream, which
    then is a file. Raises InputError (missing, unreadable, not a matrix, ambiguous), ResourceError (does not fit in
    memory) and UsageError (standard input is a terminal, item named twice).
    """
    path, item = _named(path, item)
    if zarr_store.is_store(path):
        return zarr_store.load(path, item)
    if is_pattern(path):
        from .stacked import stacked

        if spool is not None:
            raise UsageError("--spool is for streams, and these are files", where=path, hint="leave --spool out")
        return stacked(path, item)
    with contextlib.ExitStack() as stack:
        source = stack.enter_context(_opened(path))
        format, source = _choose(source, item)
        if not source.stream:
            if spool is not None:
                raise UsageError("--spool is for streams, and this is a file", where=path, hint="leave --spool out")
            return _from_file(format, path, item)
        if spool is not None:
            loaded = kept(source, spool, path, lambda copy: _from_file(format, copy, item))
        elif once is not None and format.once is not None:
            loaded = format.once(source, source.where, item, once)
            if hasattr(loaded.array, "release"):
                # the stream stays open until its last line has come
                loaded.array.release = stack.pop_all().close
        else:
            loaded = _load_stream(format, source, item, path)
        return _ours(dataclasses.replace(loaded, source=path))


def open_filed(path: str, item: str | None = None) -> Loaded:
    """The matrix in a file, which keeps it where the format can do that, however small. Raises errors like
    ``open_matrix``."""
    path, item = _named(path, item)
    if is_pattern(path):
        from .stacked import stacked

        return stacked(path, item, 0)
    with _opened(path) as source:
        return _from_file(_choose(source, item)[0], path, item, 0)


def open_unsettled(path: str, item: str | None, buffer: int) -> Loaded | None:
    """The sparse matrix in a file, which stays there unread but for its pointer; None for any other. buffer:
    bytes of each of the two that it is read into. Raises errors like ``open_matrix``."""
    path, item = _named(path, item)
    if path == STDIN or is_pattern(path) or zarr_store.is_store(path):
        return None
    with _opened(path) as source:
        format, source = _choose(source, item)
        return None if source.stream or format.unsettled is None else format.unsettled(path, item, buffer)


def _from_file(format: Format, path: str, item: str | None, most: int | None = None) -> Loaded:
    most = available_memory() // 2 if most is None else most
    left = None if format.filed is None else format.filed(path, item, most)
    return left or _ours(format.load(path, item))


def left_in_file(path: str, item: str | None) -> Loaded | None:
    """The matrix left in its file, however small; None where the format cannot do that. Raises as ``open_matrix``."""
    with _opened(path) as source:
        format, source = _choose(source, item)
        return None if source.stream or format.filed is None else format.filed(path, item, 0)


def open_rows(path: str, item: str | None, target: str) -> SparseRows | Loaded:
    """A matrix to be written to ``target`` by rows: a sparse one that does not fit in memory a part at a time.

    Any other as ``open_matrix`` gives it, sparse or not. Raises as ``open_matrix``.
    """
    path, item = _named(path, item)
    if path != STDIN and not is_pattern(path) and not zarr_store.is_store(path):
        with _opened(path) as source:
            format, source = _choose(source, item)
            if format.rows is not None and not source.stream:
                # what fits is loaded: left in its file it could not be converted from packed members
                return format.rows(path, item, available_memory() // 2, target) or _ours(format.load(path, item))
    return open_matrix(path, item)


def list_items(path: str, item: str | None = None) -> tuple[str, list[Item]]:
    """The format's name and the matrices it holds, or the one named, from headers only (text has to be read)."""
    path, item = _named(path, item)
    if is_pattern(path):
        from .stacked import item_of

        name, joined = item_of(path, item)
        return name, [joined]
    if zarr_store.is_store(path):
        name, found = "zarr", zarr_store.items(path)
    else:
        name, found = _items_of(path, item)
        if raw.is_spec(item):
            return name, found
    if item is None:
        return name, found
    wanted = [entry for entry in found if (entry.path or "").strip("/") == item.strip("/")]
    if not wanted:
        raise InputError(f"no item {item!r}", where=path, hint="leave the item out to list what the file holds")
    return name, wanted


def _items_of(path: str, item: str | None) -> tuple[str, list[Item]]:
    with _opened(path) as source:
        format, source = _choose(source, item)
        if raw.is_spec(item):
            return format.name, [raw.described(item or "", None if source.stream else path)]
        if not source.stream:
            return format.name, format.items(path)
        if format.stream_items is not None:
            return format.name, format.stream_items(source, source.where)
        with spooled(source, path) as copy:
            return format.name, format.items(copy)


def split_item(path: str) -> tuple[str, str | None]:
    """``PATH:ITEM`` as (path, item): the longest prefix that exists on disk is the path; None when no item is named."""
    if path == STDIN or os.path.lexists(path):
        return path, None
    at = path.rfind(":")
    while at > 0:
        if os.path.lexists(path[:at]):
            return path[:at], path[at + 1 :]
        at = path.rfind(":", 0, at)
    return split(path) if is_pattern(path) else (path, None)


def files(path: str) -> list[str]:
    """The files that ``PATH``, ``PATH:ITEM`` or a pattern of paths names."""
    path = split_item(path)[0]
    return fitting(path) if is_pattern(path) else [path]


def _named(path: str, item: str | None) -> tuple[str, str | None]:
    if path == "":
        raise UsageError("the input is an empty file name", hint="use - for standard input")
    if "\0" in path:
        raise UsageError("a file name cannot hold a NUL byte")
    where, inside = split_item(path)
    if item is None:
        return where, inside
    if inside is not None:
        raise UsageError(f"the item is named twice, as {inside!r} and as {item!r}", where=where, hint="name it once")
    return where, item


@contextlib.contextmanager
def _opened(path: str) -> Iterator[Source]:
    where = "standard input" if path == STDIN else path
    try:
        # descriptor 0 itself and not sys.stdin, which has read ahead and may be replaced; it stays open for others
        raw = open(0, "rb", buffering=0, closefd=False) if path == STDIN else open(path, "rb", buffering=0)
    except IsADirectoryError as error:
        raise _directory(where) from error
    except FileNotFoundError as error:
        raise InputError("no such file", where=where, hint=_missing_hint(path)) from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(f"cannot be opened ({reason})", where=where) from error
    try:
        with raw:
            yield _inspected(raw, path, where)
    except OSError as error:
        if isinstance(error, LowrankError):
            raise
        raise InputError(f"reading failed ({error.strerror or error})", where=where) from error


def _inspected(raw: io.FileIO, path: str, where: str) -> Source:
    """Refuse what is no file or pipe, then read the first bytes."""
    status = os.fstat(raw.fileno())
    if stat.S_ISDIR(status.st_mode):
        raise _directory(where)
    if raw.isatty():
        raise UsageError(f"{where} is a terminal", hint="pipe or redirect the file of a matrix into it")
    device = stat.S_ISBLK(status.st_mode) or stat.S_ISCHR(status.st_mode)
    if device and path != STDIN:
        raise InputError("a device, not a file", where=where)
    source = Source(raw, path, where, path == STDIN or not stat.S_ISREG(status.st_mode))
    source.sniff()
    if not source.head:
        raise InputError(
            "is empty", where=where, hint="the command before the pipe wrote nothing" if source.stream else None
        )
    # files of /proc claim no size and have content: nothing can be checked against their size
    source.stream = source.stream or status.st_size == 0
    return source


def _directory(where: str) -> InputError:
    if os.path.lexists(os.path.join(where, "meta.json")):
        return InputError("is a folder of saved factors", where=where, hint="name an array in it, such as U.npy")
    return InputError("is a directory", where=where, hint="name a file in it")


def _missing_hint(path: str) -> str | None:
    if os.path.islink(path):
        return "it is a symbolic link to a file that does not exist"
    parent = os.path.dirname(path)
    if parent and not os.path.isdir(parent):
        return f"there is no directory {parent}"
    return None


def _choose(source: Source, item: str | None) -> tuple[Format, Source]:
    """The format: raw when the item says so, by content, else by what the content is known not to be, else by the
    file's name; and the source that it reads, behind gzip or bzip2 where no format reads it packed."""
    head, name = source.head, os.path.basename(source.path)
    if raw.is_spec(item):
        return raw.FORMAT, source
    for pattern, what, hint in _FOREIGN:
        if pattern.match(head):
            added = _matching(head, name, added=True)
            if added is not None:
                return added, source
            raise InputError(f"is {what}", where=source.where, hint=hint)
    found = _matching(head, name)
    if found is not None and found.guessed and not name.lower().endswith(found.suffixes):
        found = _matching(head, name, added=True) or found
    if found is not None:
        return found, source
    if source.packer is not None:
        inner = source.expanded()
        if inner.packer is not None:
            raise InputError("is compressed twice", where=source.where, hint="decompress it first")
        if not inner.head:
            raise InputError(f"holds nothing behind its {source.packer}", where=source.where)
        return _choose(inner, item)
    for magic, packer in _COMPRESSED:
        if head.startswith(magic):
            hint = "gzip and bzip2 are read; decompress it first"
            raise InputError(f"is compressed with {packer}", where=source.where, hint=hint)
    formats: list[Format] = [format for _, format in TABLE.loaded()]
    for format in formats:
        if name.lower().endswith(format.suffixes):
            return format, source
    known = ", ".join(dict.fromkeys(suffix for format in formats for suffix in format.suffixes))
    what = "text in a format that is not known" if _is_text(head) else "in a format that is not known"
    hint = f"formats read: {known}; a raw array needs --raw MxN:DTYPE"
    raise InputError(f"is {what}", where=source.where, hint=hint)


def _matching(head: bytes, name: str, *, added: bool = False) -> Format | None:
    """The first format, of all or of those of other packages, that knows the first bytes or the name. One after
    another: a reader that is not needed is not loaded."""
    return next((format for _, format in TABLE.loaded(added=added) if format.matches(head, name)), None)


def _is_text(head: bytes) -> bool:
    return not re.search(rb"[\x00-\x08\x0e-\x1f\x7f]", head)


def _load_stream(format: Format, source: Source, item: str | None, path: str) -> Loaded:
    """Read forwards what can be, and by way of a temporary file what cannot."""
    if format.stream is not None:
        try:
            return format.stream(source, source.where, item)
        except ResourceError as error:
            raise ResourceError(
                error.what, where=error.where, hint="approx keeps a stream in a folder with --spool DIR"
            ) from error
    with spooled(source, path) as copy:
        loaded = format.load(copy, item)
        return dataclasses.replace(loaded, notes=tuple(note.replace(copy, path) for note in loaded.notes))


def _ours(loaded: Loaded) -> Loaded:
    """Sparse matrices leave here sorted and without duplicates, whatever the file held."""
    from .working import canonical

    array: Any = loaded.array
    if not hasattr(array, "indptr") or array.has_canonical_format:
        return loaded
    array, summed = canonical(array)
    notes = (*loaded.notes, f"{summed} duplicate entries were summed") if summed else loaded.notes
    return dataclasses.replace(loaded, array=array, notes=notes)
