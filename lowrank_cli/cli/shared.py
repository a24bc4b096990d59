"""Parameters that several commands have, and what they do with them: inputs, outputs, threads, report face."""

from __future__ import annotations

import dataclasses
import math
import os
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..errors import UsageError
from ..lazy import np
from ..registry import find
from ..reports import TABLE as FACES
from .command import Param, Values
from .params import whole
from .terminal import Terminal

if TYPE_CHECKING:
    from ..engines.cluster import Cluster
    from ..formats.loaded import Loaded

STDIN = STDOUT = "-"
MAX_THREADS = 1024
#: Names of standard output that must not be opened as files: descriptor 1 is stderr in this process.
_STDOUT_NAMES = frozenset({STDOUT, "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"})

DATASET = Param(
    "dataset", "Name of the matrix inside a container; PATH:ITEM says the same.", ("-d", "--dataset"), "ITEM", "Input"
)
RAW = Param(
    "raw",
    "Read the input as a raw array by rows, of this shape and NumPy dtype: 1000x200:float32, 50x50:>f8; PATH:MxN:DTYPE "
    "says the same.",
    ("--raw",),
    "MxN:DTYPE",
    "Input",
)
#: What says which matrix of a file is meant.
INPUT = (DATASET, RAW)
MEMORY = Param(
    "memory",
    "Memory for everything, such as 2G; a matrix that takes more than half of it stays in its file, and the result "
    "does not depend on it.  [default: what is free]",
    ("--memory",),
    "SIZE",
    "Resources",
)
RESOURCES = (
    Param(
        "threads",
        f"Threads to compute with; the result does not depend on it.  [from 1 to {MAX_THREADS}; default: the cores we "
        "may run on]",
        ("--threads",),
        "N",
        "Resources",
    ),
    MEMORY,
)
SPOOL = Param(
    "spool",
    "Keep what comes through a pipe as a temporary file in this folder, and treat it as a file; removed in the end.",
    ("--spool",),
    "DIR",
    "Input",
)
SEED = Param("seed", "Seed of the random numbers.  [from 0 to 2**64 - 1; default: 0]", ("--seed",), "N", "Method")
REPORT = (
    Param(
        "report",
        lambda: f"Face of the report: {', '.join(FACES)}.  [default: table]",
        ("--report",),
        "FACE",
        "Output",
        choices=lambda: FACES,
    ),
    Param("json", "Short for --report json.", ("--json",), None, "Output", "switch"),
)
TALK = (
    Param("quiet", "No report and no warnings; errors only.", ("-q", "--quiet"), None, "Output", "switch"),
    Param("verbose", "Say on stderr what is done.", ("-v", "--verbose"), None, "Output", "count"),
    Param("debug", "Show the traceback of an error.", ("--debug",), None, "Output", "switch"),
)
NO_CLOBBER = Param("no_clobber", "Refuse to replace an existing output.", ("--no-clobber",), None, "Output", "switch")


def item(values: Values) -> str | None:
    """The item named: the one of --dataset, or the raw array of --raw. UsageError for both."""
    name, raw = values.get("dataset"), values.get("raw")
    if raw is None:
        return name
    if name is not None:
        raise UsageError("--dataset and --raw contradict each other", hint="a raw array has no name inside its file")
    from ..formats.raw import spec

    return spec(raw)


def threads(values: Values) -> int:
    """Threads asked for, or the number of cores this process may run on."""
    text = values.get("threads")
    if text is None:
        return available_cores()
    count = whole(text, "threads")
    if not 1 <= count <= MAX_THREADS:
        raise UsageError(f"--threads must be from 1 to {MAX_THREADS}, not {text}")
    return count


def available_cores() -> int:
    from ..engines.threads import available_threads

    return min(available_threads(), MAX_THREADS)


def face(values: Values) -> str:
    """The report face asked for. Raises UsageError for an unknown one, or for two."""
    name = values.get("report")
    if values.get("json"):
        if name not in (None, "json"):
            raise UsageError(f"--json and --report {name} contradict each other", hint="give one of them")
        return "json"
    name = "table" if name is None else name
    find(FACES, name, "report face")
    return name


def to_stdout(output: str | None) -> bool:
    """Whether ``-o`` names standard output, by any of its names."""
    return output in _STDOUT_NAMES


def check_inputs(paths: list[str], spool: str | None = None) -> None:
    """Refuse two inputs from one stream, a terminal as a matrix, and a folder for copies of streams without streams."""
    if spool is not None and not any(map(_is_stream, paths)):
        raise UsageError(
            "--spool is for what comes through a pipe, and every input is a file", hint="leave --spool out"
        )
    if paths.count(STDIN) > 1:
        raise UsageError("standard input can be read only once", hint="give one of the matrices as a file")
    if STDIN in paths and os.isatty(0):
        raise UsageError("standard input is a terminal", hint="pipe a .npy file into it, or name a file")


def check_output(output: str | None, inputs: list[str], values: Values, terminal: Terminal) -> None:
    """Find out before computing that an output cannot be written."""
    if output is None:
        return
    if to_stdout(output):
        if terminal.data_is_terminal:
            raise UsageError("binary data does not go to a terminal", hint="use -o FILE, or pipe it into something")
        terminal.data_descriptor()
        return
    from ..formats.opening import files
    from ..formats.saving import check_target

    read = [file for path in inputs if path != STDIN for file in files(path)]
    check_target(output, read, bool(values.get("no_clobber")))


def check_types(output: str | None, loaded: list[Loaded], narrow: bool = False) -> None:
    """Refuse an output that cannot hold factors of these matrices, before they are computed. narrow: those of float16
    are float16."""
    if output is not None and not to_stdout(output):
        from ..formats.saving import check_type

        for one in loaded:
            half = narrow and one.item.dtype == "float16"
            check_type(output, np.dtype("float16") if half else one.array.dtype)


def check_array_name(output: str) -> None:
    """Raise UsageError when an array cannot be written under this name."""
    from ..formats.saving import matrix_file

    matrix_file(output)


def load(
    path: str,
    item: str | None,
    terminal: Terminal,
    cluster: Cluster | None = None,
    *,
    once: int | None = None,
    spool: str | None = None,
) -> Loaded:
    """Open a matrix, for the workers of a cluster if there is one, and pass on what the reader has to say; once, spool:
    see ``open_matrix``, of streams."""
    if cluster is None:
        from ..formats.opening import open_matrix

        loaded = open_matrix(path, item, once=once, spool=spool if _is_stream(path) else None)
    else:
        from ..formats.clustered import open_on

        loaded = open_on(cluster, path, item)
    loaded = dataclasses.replace(loaded, watch=terminal.watch)
    say_notes(loaded, loaded.notes, terminal)
    rows, cols = loaded.shape
    dtypes = f"{loaded.item.dtype} stored, {loaded.array.dtype} computed"
    terminal.detail(f"{loaded.source}: {loaded.format}, {rows or 'any number of'} x {cols}, {dtypes}")
    return loaded


def say_notes(loaded: Loaded, notes: Sequence[str], terminal: Terminal) -> None:
    """Pass on what a reader has to say of a matrix."""
    for note in notes:
        terminal.note(f"{loaded.source}: {note}")


def _is_stream(path: str) -> bool:
    from ..formats.opening import split_item
    from ..formats.patterns import is_pattern

    file = split_item(path)[0]
    return path == STDIN or not (is_pattern(file) or os.path.isfile(file))


def since(started: float) -> float:
    """Seconds since ``started``, to the microsecond: more digits would say nothing."""
    return round(time.perf_counter() - started, 6)


def output_bytes(output: str | None) -> dict[str, int]:
    """The size of what was written, for the ``run`` block; nothing of a stream."""
    if output is None or to_stdout(output):
        return {}
    if os.path.isdir(output):
        return {"output_bytes": sum(entry.stat().st_size for entry in os.scandir(output))}
    return {"output_bytes": os.path.getsize(output)} if os.path.isfile(output) else {}


def reading(loaded: Sequence[Loaded], passes: int) -> dict[str, Any]:
    """For the ``run`` block: the bytes that were read. Of one matrix that stays in its file also how often it was read
    for each pass; how many reads beside the passes fetched lines that lie across the file; and its chunks, which can
    only be unpacked whole."""
    found: dict[str, Any] = {"bytes_read": sum(getattr(one.array, "bytes_read", one.item.bytes) for one in loaded)}
    array: Any = loaded[0].array if len(loaded) == 1 else None
    if not passes or not hasattr(array, "chunks"):
        return found
    size = math.prod(array.shape) * array.dtype.itemsize
    found["read_amplification"] = array.bytes_read / ((passes + array.fetches) * size)
    if array.fetches:
        found["fetches"] = array.fetches
    return found if array.chunks is None else found | {"chunks": list(array.chunks)}


def run_facts(values: Values, terminal: Terminal, **more: Any) -> dict[str, Any]:
    """What the ``run`` block of every report holds of the command line."""
    return {"argv": ["lowrank", *terminal.argv], "output": values.get("output")} | more
