"""Finding objects in an HDF5 file without leaving it: every link on the way is looked at before it is followed.

HDF5 itself follows external links into other files, and a path is resolved link by link inside the library; so a path
is walked here one component at a time, by link type.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator
from typing import Any

from ..errors import InputError, LowrankError, ResourceError

MAX_OBJECTS = 1000
MAX_DEPTH = 32
#: Bytes of a path; a name may have 64 KiB, and a thousand paths are kept.
MAX_PATH = 1 << 14
MAX_SOFT_LINKS = 32

#: what h5py raises on a damaged or surprising file
H5_ERRORS = (OSError, RuntimeError, KeyError, ValueError, TypeError, IndexError, OverflowError, AttributeError)


@contextlib.contextmanager
def guarded(where: str, what: str) -> Iterator[None]:
    """Turn whatever the HDF5 library raises into one InputError line."""
    try:
        yield
    except LowrankError:
        raise
    except MemoryError as error:
        raise ResourceError(f"{what}: not enough memory", where=where) from error
    except H5_ERRORS as error:
        raise InputError(f"{what} ({reason(error)})", where=where) from error


def reason(error: BaseException) -> str:
    """The HDF5 library's own words, on one line and without h5py's preface."""
    text = " ".join(str(error.args[0] if isinstance(error, KeyError) and error.args else error).split())
    inner = re.search(r"\((.+)\)\s*$", text)
    return (inner[1] if inner else text)[:200] or type(error).__name__


@contextlib.contextmanager
def opened(path: str) -> Iterator[Any]:
    """The file, read only; its locks are respected. InputError when it cannot be opened."""
    import h5py

    try:
        file = h5py.File(path, "r")
    except MemoryError as error:
        raise ResourceError("not enough memory to open the file", where=path) from error
    except H5_ERRORS as error:
        raise _unopened(error, path) from error
    try:
        yield file
    finally:
        # a damaged file may fail again while it is closed; what was read has been checked by then
        with contextlib.suppress(*H5_ERRORS):
            file.close()


def _unopened(error: Exception, path: str) -> InputError:
    text = reason(error)
    if "unable to lock file" in text or getattr(error, "errno", None) in (11, 37):
        if getattr(error, "errno", None) == 37 or "No locks" in text:
            hint = "set HDF5_USE_FILE_LOCKING=FALSE if nobody is writing it"
            return InputError("cannot be locked on this file system", where=path, hint=hint)
        return InputError("is in use by another process that writes it", where=path, hint="try again when it is done")
    if "truncated file" in text:
        return InputError(f"truncated HDF5 file ({text})", where=path, hint="copy or write the file again")
    return InputError(f"not a readable HDF5 file ({text})", where=path)


def name_of(raw: bytes) -> str:
    """A link's name as text; bytes that are not UTF-8 survive the way back."""
    return raw.decode("utf-8", "surrogateescape")


def resolve(file: Any, item: str, where: str) -> Any:
    """The group or dataset at ``item``, reached by hard and soft links of this file only; None when nothing is there.

    Raises InputError at an external link, a user-defined link, or a loop of soft links.
    """
    import h5py

    todo = [part for part in item.encode("utf-8", "surrogateescape").split(b"/") if part not in (b"", b".")][::-1]
    here, hops = file["/"], 0
    while todo:
        part = todo.pop()
        if not isinstance(here, h5py.Group):
            return None
        kind, target = _link(here, part, where)
        if kind is None:
            return None
        if kind == "soft":
            hops += 1
            if hops > MAX_SOFT_LINKS:
                raise InputError(f"soft links at {item!r} lead in a circle", where=where)
            if target.startswith(b"/"):
                here = file["/"]
            todo += [piece for piece in target.split(b"/") if piece not in (b"", b".")][::-1]
            continue
        with guarded(where, f"cannot open {name_of(part)!r}"):
            here = wrap(h5py.h5o.open(here.id, part))
        if here is None:
            return None
    return here


def _link(group: Any, part: bytes, where: str) -> tuple[str | None, bytes]:
    """("hard", b""), ("soft", its target) or (None, b"") for a missing one; InputError for links we do not follow."""
    import h5py

    with guarded(where, f"cannot look up {name_of(part)!r}"):
        if not group.id.links.exists(part):
            return None, b""
        kind = group.id.links.get_info(part).type
        if kind == h5py.h5l.TYPE_HARD:
            return "hard", b""
        if kind == h5py.h5l.TYPE_SOFT:
            return "soft", group.id.links.get_val(part)
        if kind == h5py.h5l.TYPE_EXTERNAL:
            other = name_of(group.id.links.get_val(part)[0])
            raise InputError(
                f"{name_of(part)!r} is an external link to {other!r}, which is not followed",
                where=where,
                hint="give the other file itself",
            )
    raise InputError(f"{name_of(part)!r} is a user-defined link, which is not followed", where=where)


def wrap(oid: Any) -> Any:
    """The group or dataset with this low-level identifier; None for a committed datatype."""
    import h5py

    if isinstance(oid, h5py.h5d.DatasetID):
        return h5py.Dataset(oid)
    if isinstance(oid, h5py.h5g.GroupID):
        return h5py.Group(oid)
    return None


def walk(file: Any, closed: Callable[[Any], bool]) -> Iterator[tuple[str, Any]]:
    """(path, group or dataset) of what hard links reach, each object once, parents first, in the order of names.

    At most MAX_OBJECTS objects and MAX_DEPTH levels; what cannot be opened, or has a path of more than MAX_PATH bytes,
    is left out. A group for which ``closed`` is true is given, and not entered.
    """
    import h5py

    seen = {_address(file["/"])}
    stack, count = [("", file["/"], 0)], 0
    while stack and count < MAX_OBJECTS:
        path, obj, depth = stack.pop()
        if depth:
            count += 1
            yield path, obj
        if not isinstance(obj, h5py.Group) or depth >= MAX_DEPTH or (depth and closed(obj)):
            continue
        children = []
        for raw in hard_links(obj):
            if len(path) + len(raw) > MAX_PATH:
                continue
            try:
                child = wrap(h5py.h5o.open(obj.id, raw))
                address = None if child is None else _address(child)
            except H5_ERRORS:
                continue
            if address is None or address in seen:
                continue
            seen.add(address)
            children.append((f"{path}/{name_of(raw)}", child, depth + 1))
        # what lies deeper in the stack is never reached
        stack = [*stack, *children[::-1]][-MAX_OBJECTS:]


def _address(obj: Any) -> tuple[int, int]:
    import h5py

    info = h5py.h5o.get_info(obj.id)
    return info.fileno, info.addr


def hard_links(group: Any) -> list[bytes]:
    """The names of a group's hard links, at most MAX_OBJECTS, in order."""
    import h5py

    names: list[bytes] = []

    def visit(name: bytes, info: Any) -> bool | None:
        if info.type == h5py.h5l.TYPE_HARD:
            names.append(name)
        return True if len(names) >= MAX_OBJECTS else None

    with contextlib.suppress(*H5_ERRORS):
        group.id.links.iterate(visit, info=True)
    return names
