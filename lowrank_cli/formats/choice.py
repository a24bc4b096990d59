"""Which matrix of a container is meant: the one named, or the only one there is; never a guess."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import NoReturn

from ..errors import InputError
from .loaded import Item

#: How many candidates an error line spells out.
SHOWN = 8


@dataclasses.dataclass(frozen=True, eq=False)
class Entry:
    """Something a container holds; candidate: a matrix that can be read."""

    item: Item
    candidate: bool


def choose(entries: Sequence[Entry], item: str | None, path: str) -> tuple[Entry, tuple[str, ...]]:
    """The entry called ``item``, or the only candidate, which a note then names. InputError listing them otherwise.

    Where nothing can be read and there is one entry only, it is given: reading it says best why not.
    """
    if item is not None:
        for entry in entries:
            if entry.item.path == item:
                return entry, ()
        refuse(path, f"there is no {item!r} in the file", entries)
    found = [entry for entry in entries if entry.candidate]
    if not found and len(entries) == 1:
        return entries[0], ()
    if len(found) != 1:
        refuse(path, f"holds {len(found)} matrices" if found else "holds no matrix", entries)
    name = found[0].item.path
    return found[0], () if name is None else (f"using {path}:{name}",)


def listed(entries: Sequence[Entry], main: str | None = None) -> list[Item]:
    """The items of a container, marked as candidates; only ``main`` where the format says which matrix is meant."""
    return [
        dataclasses.replace(entry.item, candidate=entry.candidate and main in (None, entry.item.path))
        for entry in entries
    ]


def refuse(path: str, what: str, entries: Sequence[Entry]) -> NoReturn:
    """InputError with the candidates of the file as arguments to copy, or else with what the file does hold."""
    found = [entry.item for entry in entries if entry.candidate]
    if not found:
        held = ", ".join(f"{entry.item.path} ({size(entry.item)}{entry.item.dtype})" for entry in entries[:3])
        more = f" and {len(entries) - 3} more" if len(entries) > 3 else ""
        hint = f"there is no matrix in it, only {held}{more}" if held else "it holds no datasets at all"
        raise InputError(what, where=path, hint=hint)
    names = [f"{path}:{one.path} ({size(one)}{one.dtype})" for one in found[:SHOWN]]
    more = "" if len(found) <= SHOWN else f" and {len(found) - SHOWN} more (lowrank info lists them)"
    raise InputError(what, where=path, hint=f"name one: {', '.join(names)}{more}")


def size(item: Item) -> str:
    """The shape as it stands before a dtype: "3 x 4 "; nothing for a scalar."""
    return " x ".join(map(str, item.shape)) + " " if item.shape else ""
