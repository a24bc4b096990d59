"""Progress: every pass is told byte by byte, shown on one line of a terminal, wiped, and of no influence on a bit."""

from __future__ import annotations

import io
import os

import numpy as np
import pytest
from scipy.sparse import csr_array, random_array

from lowrank_cli.cli import progress
from lowrank_cli.cli.terminal import Terminal
from lowrank_cli.engines.threads import ThreadEngine
from lowrank_cli.matrices.dense import TiledMatrix
from lowrank_cli.matrices.filed import Filed
from lowrank_cli.matrices.kernel import Kernel, KernelMatrix
from lowrank_cli.matrices.metered import Metered
from lowrank_cli.matrices.sparse import SparseMatrix
from lowrank_cli.matrices.watch import Watch

A = np.random.default_rng(0).standard_normal((2000, 1100))


class Tape(Watch):
    """Writes down what it is told."""

    def __init__(self):
        self.passes: list[list[int]] = []

    def begins(self, number):
        self.passes.append([number, 0, 0])

    def reads(self, size):
        self.passes[-1][1] += size

    def came(self, size):
        self.passes[-1][2] += size


def filed(A, by_rows, buffer):
    def read(rows, cols, out):
        out[...] = A[rows, cols]

    return Filed(A.shape, A.dtype, by_rows, read, lambda: None, buffer)


def matrices(watch):
    engine = ThreadEngine(3)
    yield TiledMatrix(A, engine, watch=watch)
    yield TiledMatrix(np.asfortranarray(A), engine, watch=watch).single(0)
    for by_rows in (True, False):
        for buffer in (1 << 20, 1 << 24):
            yield TiledMatrix(filed(A, by_rows, buffer), engine, watch=watch).scaled(2)
    yield SparseMatrix(csr_array(random_array((900, 700), density=0.1, rng=1)), engine, watch=watch)
    yield KernelMatrix(A[:700, :3].copy(), Kernel("gaussian", 1.0), engine, watch=watch)


PASSES = {
    "matmat": lambda M: M.matmat(np.ones((M.shape[1], 3), M.dtype)),
    "rmatmat": lambda M: M.rmatmat(np.ones((M.shape[0], 3), M.dtype)),
    "normal": lambda M: M.normal_matmat(np.ones((M.shape[1], 3), M.dtype)),
    "adjoint normal": lambda M: M.adjoint_normal_matmat(np.ones((M.shape[0], 3), M.dtype)),
    "tiles": lambda M: M.tiles(lambda *_: None),
}


@pytest.mark.parametrize("name", PASSES)
def test_all_that_a_pass_reads_is_told_whatever_the_storage(name):
    tape = Tape()
    for number, matrix in enumerate(matrices(tape)):
        PASSES[name](Metered(matrix))
        counted, announced, came = tape.passes.pop()
        assert counted == 1 and not tape.passes
        assert announced == came > 0, number


class Screen(io.StringIO):
    """A terminal: what stands on its one line."""

    def isatty(self):
        return True

    def fileno(self):
        raise io.UnsupportedOperation

    def shown(self):
        line: list[str] = []
        at = 0
        for letter in self.getvalue():
            if letter == "\r":
                at = 0
            elif letter == "\n":
                line, at = [], 0
            else:
                line[at:] = [letter, *line[at + 1 :]]
                at += 1
        return "".join(line)


@pytest.mark.parametrize("width", [10, 20, 40, 80, 200])
def test_a_line_fits_its_terminal_in_ascii_and_is_wiped(width, monkeypatch):
    monkeypatch.setattr(progress, "AFTER", 0.0)
    monkeypatch.setattr(progress, "EVERY", 0.01)
    monkeypatch.setenv("COLUMNS", str(width))
    screen = Screen()
    terminal = Terminal(err=screen)
    with progress.patience(terminal, "approx some/long/name/of/a/matrix.npy"):
        matrix = Metered(TiledMatrix(A, watch=terminal.watch))
        while "pass" not in screen.getvalue() or screen.getvalue().count("\r") < 20:
            matrix.tiles(lambda *_: os.sched_yield())
    assert not screen.shown().strip()
    lines = screen.getvalue().split("\r")
    assert all(len(line) < width and line.isascii() for line in lines)
    if width >= 200:
        assert any("pass 1" in line or "% of 17.6 MB" in line for line in lines)


def test_nothing_is_said_to_a_pipe_or_when_quiet():
    for err, quiet in ((io.StringIO(), False), (Screen(), True)):
        terminal = Terminal(err=err, quiet=quiet)
        with progress.patience(terminal, "plan"):
            TiledMatrix(A, watch=terminal.watch).matmat(np.ones((1100, 1)))
        assert err.getvalue() == ""


def test_verbose_says_one_line_a_pass():
    err = io.StringIO()
    terminal = Terminal(err=err, verbose=1)
    with progress.patience(terminal, "plan"):
        matrix = Metered(TiledMatrix(A, watch=terminal.watch))
        matrix.matmat(np.ones((1100, 1)))
        matrix.sweep()
    said = err.getvalue().splitlines()
    assert len(said) == 2
    assert said[1].startswith("lowrank: info: pass 2: 17.6 MB in ")


def test_bytes_that_others_read_are_not_told_as_none():
    err = io.StringIO()
    terminal = Terminal(err=err, verbose=1)
    with progress.patience(terminal, "approx"):
        terminal.watch.begins(1)
        terminal.watch.ends()
    assert err.getvalue().startswith("lowrank: info: pass 1: 0.0") and "byte" not in err.getvalue()


def test_watching_changes_no_bit():
    X = np.random.default_rng(1).standard_normal((1100, 40))
    free, watched = TiledMatrix(A), TiledMatrix(A, ThreadEngine(2), watch=Tape())
    watched.watch.passes.append([0, 0, 0])
    for one, other in zip(free.normal_matmat(X), watched.normal_matmat(X), strict=True):
        assert np.array_equal(one, other)
