"""What the inputs of a command line stand for: one matrix each, or those that a pattern of items names; and where
what comes of each is written."""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from ..errors import InputError, UsageError
from ..options import flag
from . import shared
from .command import Param, Values
from .terminal import Terminal

if TYPE_CHECKING:
    from ..formats.loaded import Item

#: What of an input may stand in the name of an output.
FIELDS = ("{stem}", "{item}", "{dir}")
NAMING = (
    "{stem} in the name stands for the input's file name without suffix, {dir} for its folder, {item} for the item."
)
_MAGIC = re.compile(r"[*?[]")
_EXAMPLES = {"output": "out/{stem}.h5", "plot": "out/{stem}.svg"}
_PACKED = (".gz", ".bz2")
MATRICES = Param(
    "matrix",
    "The matrix: PATH, PATH:ITEM, or - for standard input. Several are a batch; PATH:PATTERN is every matrix of the "
    "file whose name fits, such as 'model.safetensors:layers.*'. A quoted pattern of files, such as 'part-*.npy', is "
    "one matrix: their rows below one another.",
    metavar="A...",
    kind="many",
)


@dataclasses.dataclass(frozen=True)
class Input:
    """One matrix: path as it was given or could have been, item when it is named apart; output and plot, where to
    write what comes of it and its picture; number, its place among all."""

    path: str
    item: str | None = None
    output: str | None = None
    plot: str | None = None
    number: int = 0

    @property
    def name(self) -> str:
        """What lines of talk call it."""
        return self.path if self.item is None else f"{self.path}:{self.item}"

    @property
    def on_stdout(self) -> bool:
        """Whether what comes of it goes to standard output, and the report has to give way."""
        return shared.to_stdout(self.output) or shared.to_stdout(self.plot)


def read(paths: Sequence[str], item: str | None, terminal: Terminal) -> list[Input]:
    """The inputs that paths and the item of --dataset stand for, patterns of items spelt out."""
    shared.check_inputs(list(paths))
    found = [one for path in paths for one in _spelt_out(path, item, terminal)]
    return [dataclasses.replace(one, number=i) for i, one in enumerate(found)]


def _spelt_out(path: str, item: str | None, terminal: Terminal) -> list[Input]:
    from ..formats.opening import split_item

    where, inside = split_item(path)
    pattern = inside if item is None else item
    if pattern is None or path == shared.STDIN or (item is not None and inside is not None):
        return [Input(path, item)]
    if not _MAGIC.search(pattern):
        return [Input(path, item)]
    names = fitting(where, pattern, terminal)
    return [Input(f"{where}:{name}") if item is None else Input(where, name) for name in names]


def fitting(path: str, pattern: str, terminal: Terminal) -> list[str]:
    """The names of the matrices in a file that fit the pattern, in the file's order; an item of just that name wins.

    What fits and is no matrix is told in a note. Raises InputError when none fits.
    """
    from ..formats.opening import list_items

    bare = pattern.strip("/")
    items = [entry for entry in list_items(path)[1] if entry.path is not None]
    if any(entry.path.strip("/") == bare for entry in items if entry.path):
        return [pattern]
    found = [entry for entry in items if fnmatchcase((entry.path or "").strip("/"), bare)]
    taken = matrices(found, path, terminal)
    if not taken:
        raise InputError(f"holds no matrix that fits {pattern!r}", where=path, hint="lowrank info lists what it holds")
    return [entry.path for entry in taken if entry.path]


def matrices(items: Sequence[Item], path: str, terminal: Terminal) -> list[Item]:
    """Those of the items of a file that are matrices of numbers; the others are told in a note."""
    from ..formats.working import computed_dtype

    def is_matrix(item: Item) -> bool:
        return len(item.shape) == 2 and 0 not in item.shape and computed_dtype(item.dtype) is not None

    left = [str(item.path) for item in items if not is_matrix(item)]
    if left:
        more = f" and {len(left) - 8} more" if len(left) > 8 else ""
        terminal.note(f"{path}: not a matrix, left out: {', '.join(left[:8])}{more}")
    return [item for item in items if is_matrix(item)]


def with_outputs(
    inputs: Sequence[Input],
    pattern: str | None,
    others: Sequence[str],
    values: Values,
    terminal: Terminal,
    *,
    text: bool = False,
    field: str = "output",
) -> list[Input]:
    """The inputs with the outputs that the pattern gives each; others: paths of files that are read too; text: what
    is written may go to a terminal; field: "output", or "plot" for their pictures.

    Raises UsageError when two would be written to one place or an output is an input, OutputError when one cannot be
    written: all before anything is computed.
    """
    if pattern is None:
        return list(inputs)
    names = [_filled(pattern, one) for one in inputs]
    first: dict[str, Input] = {}
    for one, name in zip(inputs, names, strict=True):
        same = first.setdefault(name, one)
        if same is not one:
            said = "-o" if field == "output" else flag(field)
            raise UsageError(
                f"the outputs of {same.name} and {one.name} would be the same file",
                where=name,
                hint=f"let {said} name them apart, with {', '.join(FIELDS)}, such as {said} '{_EXAMPLES[field]}'",
            )
    read_too = [*(one.path for one in inputs), *others]
    for name in names:
        if text and shared.to_stdout(name):
            terminal.data_descriptor()
        else:
            shared.check_output(name, read_too, values, terminal)
    return [dataclasses.replace(one, **{field: name}) for one, name in zip(inputs, names, strict=True)]


def _filled(pattern: str, one: Input) -> str:
    """The output of one input: {stem} its file name without suffix, {dir} its folder, {item} its name in the file."""
    if shared.to_stdout(pattern) or not any(field in pattern for field in FIELDS):
        return pattern
    from ..formats.opening import split_item

    where, inside = split_item(one.path)
    item = one.item if one.item is not None else inside
    if "{item}" in pattern and item is None:
        raise UsageError(
            f"{{item}} stands in the name of the output, but {one.name} names no item", hint="write it like PATH:ITEM"
        )
    folder, stem = os.path.split("stdin" if where == shared.STDIN else where)
    for suffix in _PACKED:
        stem = stem.removesuffix(suffix)
    inner = (item or "").strip("/").replace("/", ".")
    fields = {"stem": os.path.splitext(stem)[0], "dir": folder or ".", "item": inner}
    return re.sub(r"\{(stem|item|dir)\}", lambda found: fields[found[1]], pattern)
