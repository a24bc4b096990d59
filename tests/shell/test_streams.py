"""FAULTS.md 2.5: closed, full, broken and narrow streams, seen from a real shell."""

from __future__ import annotations

import io
import json
import os
import pty
import subprocess
import sys

import numpy as np
import pytest

from .conftest import COMMAND, STANDIN, environment

THIRD = repr(1 / 3)


def one_error(done, code):
    assert done.returncode == code, done
    lines = done.stderr.decode().splitlines()
    assert len(lines) == 1 and lines[0].startswith("lowrank: error: "), done.stderr
    return lines[0]


@pytest.mark.parametrize("verb", ["L --help", "L list methods", "S approx A.npy", "S approx A.npy --json"])
def test_closed_stdout_is_exit_5_and_not_silence(shell, matrix, verb):
    assert "standard output" in one_error(shell(f"{verb} >&-"), 5)


def test_with_stdout_closed_no_output_file_becomes_stdout(shell, matrix, tmp_path):
    done = shell("S approx A.npy -k 2 -o out.npz -q >&-")
    assert done.returncode == 0 and done.stderr == b""
    assert sorted(np.load(tmp_path / "out.npz"))[:1] != []


@pytest.mark.parametrize("verb", ["L --help", "L list formats", "S approx A.npy", "S approx A.npy -o - --part U"])
def test_a_full_stdout_is_exit_5(shell, matrix, verb):
    assert "no space left" in one_error(shell(f"{verb} > /dev/full"), 5).lower()


def test_closed_stdin_is_an_unreadable_input(shell):
    assert one_error(shell("S approx - <&-"), 4)


def test_closed_stderr_does_not_stop_the_work(shell, matrix):
    done = shell("S approx A.npy --json -v 2>&-")
    assert done.returncode == 0 and json.loads(done.stdout)["rank"] == 2


def test_all_streams_closed_still_writes_the_output(shell, matrix, tmp_path):
    assert shell("S approx A.npy -k 2 -q -o out.npz <&- >&- 2>&-").returncode == 0
    assert (tmp_path / "out.npz").stat().st_size > 0


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_reader_that_goes_away_is_quiet_141_with_the_output_committed(shell, matrix, tmp_path, unbuffered):
    line = "{ sleep 0.5; S approx A.npy -k 2 -o out.npz; echo $? >&2; } | true"
    done = shell(line, PYTHONUNBUFFERED=unbuffered)
    assert done.stderr == b"141\n"
    assert (tmp_path / "out.npz").exists()


@pytest.mark.parametrize("verb", ["L --help", "L --version", "L list methods --json", "S approx A.npy -o -"])
def test_every_kind_of_output_to_a_closed_pipe_is_quiet_141(shell, matrix, verb):
    done = shell(f"{{ sleep 0.5; {verb} 2>err; echo $? >&2; }} | true; cat err >&2")
    assert done.stderr.splitlines()[0] == b"141"
    assert b"rror" not in done.stderr


def test_what_lapack_prints_does_not_reach_the_data(shell, matrix):
    done = shell("S approx A.npy -o - --part U", LOWRANK_STANDIN="xerbla")
    assert np.load(io.BytesIO(done.stdout)).shape == (6, 2)
    assert b"DLASCL" in done.stderr and b"lowrank approx" in done.stderr


def test_a_pipe_of_factors_is_an_npz_and_the_report_is_on_stderr(shell, matrix):
    done = shell("S approx A.npy -o - --json")
    with np.load(io.BytesIO(done.stdout)) as arrays:
        assert {"U", "s", "Vh"} <= set(arrays)
    assert json.loads(done.stderr)["schema"] == "lowrank.report/1"


@pytest.mark.parametrize("name", ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"])
def test_every_name_of_stdout_is_stdout(shell, matrix, name):
    done = shell(f"S approx A.npy -o {name} -q")
    assert done.returncode == 0 and done.stdout.startswith(b"PK") and done.stderr == b""


def test_a_matrix_comes_through_a_pipe(shell, matrix):
    done = shell("cat A.npy | S approx - -k 2 --json")
    assert json.loads(done.stdout)["input"]["shape"] == [6, 5]


@pytest.mark.parametrize("columns", ["1", "5", "20", "0", "abc", "-3", "", "80", "999999999999999999999"])
def test_no_width_of_the_terminal_cuts_a_number_or_crashes(shell, matrix, columns):
    done = shell("S approx A.npy", COLUMNS=columns)
    assert done.returncode == 0 and THIRD in done.stdout.decode()
    assert "…" not in done.stdout.decode()


@pytest.mark.parametrize(
    "env",
    [
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
        {"PYTHONIOENCODING": "ascii"},
        {"LC_ALL": "POSIX"},
        {"PYTHONIOENCODING": "latin-1"},
    ],
)
def test_an_ascii_locale_works(shell, tmp_path, env):
    np.save(tmp_path / "é.npy", np.ones((6, 5)))
    done = shell("S approx é.npy -v", **env)
    assert done.returncode == 0 and THIRD.encode() in done.stdout
    assert b"Traceback" not in done.stderr
    missing = shell("L info ☃.npy", **env)
    assert missing.returncode == 4 and missing.stderr.startswith(b"lowrank: error: ")


@pytest.mark.parametrize("name", ["[/x].npy", "[red]x.npy", "a b'\"\n.npy", "\x1b]0;t\x07.npy", "\u202ex.npy"])
def test_a_hostile_file_name_is_processed_and_printed_harmless(shell, tmp_path, name):
    (tmp_path / name).parent.mkdir(exist_ok=True)
    np.save(tmp_path / name, np.ones((6, 5)))
    done = shell('S approx "$NAME"', NAME=name)
    assert done.returncode == 0, done.stderr
    assert b"\x1b" not in done.stdout and "\u202e" not in done.stdout.decode()
    assert json.loads(shell('S approx "$NAME" --json', NAME=name).stdout)["run"]["input_path"] == name


def test_a_file_name_that_is_no_text_is_processed(tmp_path):
    path = os.fsencode(tmp_path) + b"/\xff.npy"
    with open(path, "wb") as file:
        np.save(file, np.ones((6, 5)))
    done = subprocess.run([*STANDIN, "approx", path, "--json"], env=environment(LOWRANK_STANDIN="quick"),
                          capture_output=True, timeout=60)  # fmt: skip
    assert json.loads(done.stdout)["run"]["input_path"].endswith("\udcff.npy")


@pytest.mark.parametrize("flags", ["-W error", "-O", "-OO"])
def test_interpreter_flags_change_nothing(shell, matrix, flags):
    done = shell(f'"$PYTHON" {flags} "$STANDIN" approx A.npy --json')
    assert done.returncode == 0 and json.loads(done.stdout)["rank"] == 2


@pytest.mark.parametrize("value", ["0", "-1", "abc", "1000"])
def test_odd_thread_variables_are_harmless(shell, matrix, value):
    done = shell("S approx A.npy --json", OMP_NUM_THREADS=value, OPENBLAS_NUM_THREADS=value)
    assert done.returncode == 0 and done.stderr == b""


def on_terminal(argv, tmp_path, **env):
    """The exit code and everything printed, with all three streams a terminal."""
    host, guest = pty.openpty()
    made = environment(LOWRANK_STANDIN="quick", TERM="xterm", **env)
    made.pop("NO_COLOR") if "NO_COLOR" not in env else None
    child = subprocess.Popen(argv, stdin=guest, stdout=guest, stderr=guest, cwd=tmp_path, env=made)
    os.close(guest)
    text = b""
    while True:
        try:
            part = os.read(host, 65536)
        except OSError:
            break
        if not part:
            break
        text += part
    os.close(host)
    return child.wait(60), text


def test_binary_data_does_not_go_to_a_terminal(matrix, tmp_path):
    code, text = on_terminal([*STANDIN, "approx", "A.npy", "-o", "-"], tmp_path)
    assert code == 2 and b"terminal" in text and text.count(b"\n") == 1


def test_a_terminal_is_no_matrix(tmp_path):
    code, text = on_terminal([*STANDIN, "approx", "-"], tmp_path)
    assert code == 2 and b"terminal" in text


def test_a_terminal_sees_colour_unless_it_must_not(matrix, tmp_path):
    argv = [*STANDIN, "approx", "A.npy"]
    assert b"\x1b[" in on_terminal(argv, tmp_path)[1]
    assert b"\x1b[" not in on_terminal(argv, tmp_path, NO_COLOR="1")[1]


def test_debug_shows_the_traceback_and_nothing_else_does(shell, tmp_path):
    quiet = shell("L info missing.npy")
    assert b"Traceback" not in quiet.stderr
    assert b"Traceback" in shell("L info missing.npy --debug").stderr
    assert b"Traceback" in shell("L info missing.npy", LOWRANK_DEBUG="1").stderr
    assert COMMAND[0] == sys.executable


def test_a_full_stderr_does_not_change_the_exit_code(shell, matrix):
    assert shell("S approx A.npy -k 0 2>/dev/full").returncode == 2
    assert shell("L approx missing.npy 2>/dev/full").returncode == 4
    done = shell("S approx A.npy --json -v 2>/dev/full")
    assert done.returncode == 0 and json.loads(done.stdout)["rank"] == 2
