"""Reading Matrix Market text every way there is, and requiring one answer."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest

from lowrank_cli.errors import InputError, LowrankError
from lowrank_cli.formats import mtx
from lowrank_cli.formats.loaded import Loaded


class Pipe(io.RawIOBase):
    """Bytes that can be read only once, and no more than step at a time."""

    def __init__(self, content: bytes, step: int = 1 << 16):
        super().__init__()
        self._rest = memoryview(content)
        self._step = step

    def readable(self) -> bool:
        return True

    def readinto(self, buffer) -> int:
        count = min(len(buffer), len(self._rest), self._step)
        buffer[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count


def dense(loaded: Loaded) -> np.ndarray:
    return loaded.array.toarray() if hasattr(loaded.array, "toarray") else loaded.array


def read(folder: Path, content: bytes | str) -> Loaded:
    """The matrix, read from a file (where a second look is possible) and from a pipe (where it is not).

    Both must give the same bits, header and notes, or the same error, which is raised.
    """
    content = content.encode() if isinstance(content, str) else content
    path = folder / "m.mtx"
    path.write_bytes(content)
    answers = []
    for take in (lambda: mtx.load(str(path)), lambda: mtx.load_stream(io.BufferedReader(Pipe(content)), str(path))):
        try:
            answers.append(take())
        except LowrankError as error:
            answers.append(error)
    file, pipe = answers
    if isinstance(file, LowrankError):
        # only a file has a size that its size line can be held against
        assert "size line promises" in str(file) or file.what == pipe.what  # the hint may name the file
        raise file
    assert not isinstance(pipe, LowrankError), pipe
    assert dense(file).tobytes("A") == dense(pipe).tobytes("A")
    assert (file.notes, file.item.nnz, file.item.detail) == (pipe.notes, pipe.item.nnz, pipe.item.detail)
    return file


def coordinate(*lines: str, size: str = "3 3", kind: str = "real general") -> str:
    """A coordinate file with these entry lines."""
    return "\n".join((f"%%MatrixMarket matrix coordinate {kind}", f"{size} {len(lines)}", *lines, ""))


def array(*lines: str, size: str = "2 2", kind: str = "real general") -> str:
    """An array file with these value lines."""
    return "\n".join((f"%%MatrixMarket matrix array {kind}", size, *lines, ""))


def refusal(folder, content, error=InputError) -> str:
    """What the one line of the error says behind the path."""
    with pytest.raises(error) as caught:
        read(folder, content)
    message = str(caught.value)
    path = str(folder / "m.mtx")
    assert caught.value.where == path and message.startswith(f"{path}: ")
    text = message.removeprefix(path)
    assert text.isprintable() and text.isascii() and len(text) < 250
    return text
