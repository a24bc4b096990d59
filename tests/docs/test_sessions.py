"""The judge of README sessions is itself judged: it must find a wrong number and forgive a different clock."""

from __future__ import annotations

import os

import pytest
import sessions


@pytest.mark.parametrize(
    ("shown", "printed"),
    [
        ("error  0.00659  (exact)", "error     0.006591 (exact)"),
        ("in 0.12 s", "in 3.5 s"),
        ("────── 12", "──────── 12"),
        ("took 1e-05 s, 20 ms", "took 0.2 s, 3 ms"),
        ("2 threads, seed 0", "16 threads, seed 0"),
    ],
)
def test_spacing_times_threads_and_last_digits_may_differ(shown, printed):
    assert sessions.difference([shown], [printed]) is None


@pytest.mark.parametrize(
    ("shown", "printed"),
    [
        (["rank 10"], ["rank 11"]),
        (["columns 1000"], ["columns 1001"]),
        (["2 threads, seed 0"], ["2 threads, seed 1"]),
        (["error 0.00659"], ["error 0.00661"]),
        (["error 0.1 (exact)"], ["error 0.1 (bound)"]),
        (["a"], []),
        (["a"], ["a", "b"]),
        ([], ["warning"]),
        (["a 1 2"], ["a 1"]),
    ],
)
def test_other_numbers_words_and_lines_are_found(shown, printed):
    assert sessions.difference(shown, printed) is not None


def test_a_session_runs_in_one_shell_on_a_terminal(tmp_path):
    block = "$ cd /; test -t 1 && pwd\n/\n$ false\n$ echo $?\n1\n"
    ran = sessions.run(sessions.steps(block), tmp_path, os.environ["PATH"])
    assert [sessions.difference(r.step.shown, r.printed) for r in ran] == [None] * 3
    assert [r.code for r in ran] == [0, 1, 0]


def test_a_session_that_ends_early_is_an_error(tmp_path):
    with pytest.raises(AssertionError, match="stopped early"):
        sessions.run(sessions.steps("$ exit 3\n$ echo never\nnever\n"), tmp_path, os.environ["PATH"])


def test_progress_that_was_written_over_is_not_part_of_what_is_printed(tmp_path):
    block = r"$ printf '\r1 s\r2 s\r   \r'; echo done" + "\ndone\n$ echo 10 s\n10 s\n"
    ran = sessions.run(sessions.steps(block), tmp_path, os.environ["PATH"])
    assert [r.printed for r in ran] == [["done"], ["10 s"]]
