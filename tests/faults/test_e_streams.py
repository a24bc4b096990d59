"""Streams, terminals and arguments (rows E1 to E22 of the fault catalogue), seen from a real shell."""

from __future__ import annotations

import io
import json
import os
import pty
import subprocess
import sys

import numpy as np
import pytest
from shell.conftest import COMMAND, STANDIN, environment, one_error

THIRD = repr(1 / 3)


@pytest.mark.parametrize("verb", ["L --help", "L list methods", "S approx A.npy", "S approx A.npy --json"])
def test_e07_closed_stdout_is_exit_5_and_not_silence(shell, matrix, verb):
    assert "standard output" in one_error(shell(f"{verb} >&-"), 5)


def test_e07_with_stdout_closed_no_output_file_becomes_stdout(shell, matrix, tmp_path):
    done = shell("S approx A.npy -k 2 -o out.npz -q >&-")
    assert done.returncode == 0 and done.stderr == b""
    assert sorted(np.load(tmp_path / "out.npz"))[:1] != []


@pytest.mark.parametrize("verb", ["L --help", "L list formats", "S approx A.npy", "S approx A.npy -o - --part U"])
def test_e09_a_full_stdout_is_exit_5(shell, matrix, verb):
    assert "no space left" in one_error(shell(f"{verb} > /dev/full"), 5).lower()


def test_e01_closed_stdin_is_an_unreadable_input(shell):
    assert one_error(shell("S approx - <&-"), 4)


@pytest.mark.parametrize("how", ["", "--single-pass", "--method fd --single-pass"])
def test_e01_messages_call_standard_input_by_its_name(shell, tmp_path, how):
    np.save(tmp_path / "N.npy", np.array([[1.0, 2.0], [3.0, np.nan]]))
    said = one_error(shell(f"L approx - -k 1 {how} < N.npy"), 4)
    assert said.startswith("lowrank: error: standard input: ") and "row 1, column 1" in said


def test_e07_closed_stderr_does_not_stop_the_work(shell, matrix):
    done = shell("S approx A.npy --json -v 2>&-")
    assert done.returncode == 0 and json.loads(done.stdout)["rank"] == 2


def test_e07_all_streams_closed_still_writes_the_output(shell, matrix, tmp_path):
    assert shell("S approx A.npy -k 2 -q -o out.npz <&- >&- 2>&-").returncode == 0
    assert (tmp_path / "out.npz").stat().st_size > 0


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_e08_a_reader_that_goes_away_is_quiet_141_with_the_output_committed(shell, matrix, tmp_path, unbuffered):
    line = "{ sleep 0.5; S approx A.npy -k 2 -o out.npz; echo $? >&2; } | true"
    done = shell(line, PYTHONUNBUFFERED=unbuffered)
    assert done.stderr == b"141\n"
    assert (tmp_path / "out.npz").exists()


@pytest.mark.parametrize("verb", ["L --help", "L --version", "L list methods --json", "S approx A.npy -o -"])
def test_e08_every_kind_of_output_to_a_closed_pipe_is_quiet_141(shell, matrix, verb):
    done = shell(f"{{ sleep 0.5; {verb} 2>err; echo $? >&2; }} | true; cat err >&2")
    assert done.stderr.splitlines()[0] == b"141"
    assert b"rror" not in done.stderr


def test_e11_what_lapack_prints_does_not_reach_the_data(shell, matrix):
    done = shell("S approx A.npy -o - --part U", LOWRANK_STANDIN="xerbla")
    assert np.load(io.BytesIO(done.stdout)).shape == (6, 2)
    assert b"DLASCL" in done.stderr and b"lowrank approx" in done.stderr


def test_e13_a_pipe_of_factors_is_an_npz_and_the_report_is_on_stderr(shell, matrix):
    done = shell("S approx A.npy -o - --json")
    with np.load(io.BytesIO(done.stdout)) as arrays:
        assert {"U", "s", "Vh"} <= set(arrays)
    assert json.loads(done.stderr)["schema"] == "lowrank.report/1"


@pytest.mark.parametrize("name", ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"])
def test_e13_every_name_of_stdout_is_stdout(shell, matrix, name):
    done = shell(f"S approx A.npy -o {name} -q")
    assert done.returncode == 0 and done.stdout.startswith(b"PK") and done.stderr == b""


def test_e03_a_matrix_comes_through_a_pipe(shell, matrix):
    done = shell("cat A.npy | S approx - -k 2 --json")
    assert json.loads(done.stdout)["input"]["shape"] == [6, 5]


@pytest.mark.parametrize("columns", ["1", "5", "20", "0", "abc", "-3", "", "80", "999999999999999999999"])
def test_e12_no_width_of_the_terminal_cuts_a_number_or_crashes(shell, matrix, columns):
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
def test_e14_an_ascii_locale_works(shell, tmp_path, env):
    np.save(tmp_path / "é.npy", np.ones((6, 5)))
    done = shell("S approx é.npy -v", **env)
    assert done.returncode == 0 and THIRD.encode() in done.stdout
    assert b"Traceback" not in done.stderr
    missing = shell("L info ☃.npy", **env)
    assert missing.returncode == 4 and missing.stderr.startswith(b"lowrank: error: ")


@pytest.mark.parametrize("name", ["[/x].npy", "[red]x.npy", "a b'\"\n.npy", "\x1b]0;t\x07.npy", "\u202ex.npy"])
def test_e16_a_hostile_file_name_is_processed_and_printed_harmless(shell, tmp_path, name):
    (tmp_path / name).parent.mkdir(exist_ok=True)
    np.save(tmp_path / name, np.ones((6, 5)))
    done = shell('S approx "$NAME"', NAME=name)
    assert done.returncode == 0, done.stderr
    assert b"\x1b" not in done.stdout and "\u202e" not in done.stdout.decode()
    assert json.loads(shell('S approx "$NAME" --json', NAME=name).stdout)["run"]["input_path"] == name


def test_e17_a_file_name_that_is_no_text_is_processed(tmp_path):
    path = os.fsencode(tmp_path) + b"/\xff.npy"
    with open(path, "wb") as file:
        np.save(file, np.ones((6, 5)))
    done = subprocess.run([*STANDIN, "approx", path, "--json"], env=environment(LOWRANK_STANDIN="quick"),
                          capture_output=True, timeout=60)  # fmt: skip
    assert json.loads(done.stdout)["run"]["input_path"].endswith("\udcff.npy")


@pytest.mark.parametrize("flags", ["-W error", "-O", "-OO"])
def test_e22_interpreter_flags_change_nothing(shell, matrix, flags):
    done = shell(f'"$PYTHON" {flags} "$STANDIN" approx A.npy --json')
    assert done.returncode == 0 and json.loads(done.stdout)["rank"] == 2


@pytest.mark.parametrize("value", ["0", "-1", "abc", "1000"])
def test_e21_odd_thread_variables_are_harmless(shell, matrix, value):
    done = shell("S approx A.npy --json", OMP_NUM_THREADS=value, OPENBLAS_NUM_THREADS=value)
    assert done.returncode == 0 and done.stderr == b""


def on_terminal(argv, tmp_path, **env):
    """The exit code and everything printed, with all three streams a terminal."""
    host, guest = pty.openpty()
    made = environment(**{"LOWRANK_STANDIN": "quick", "TERM": "xterm", **env})
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


def test_e10_binary_data_does_not_go_to_a_terminal(matrix, tmp_path):
    code, text = on_terminal([*STANDIN, "approx", "A.npy", "-o", "-"], tmp_path)
    assert code == 2 and b"terminal" in text and text.count(b"\n") == 1


def test_e02_a_terminal_is_no_matrix(tmp_path):
    code, text = on_terminal([*STANDIN, "approx", "-"], tmp_path)
    assert code == 2 and b"terminal" in text


def test_e15_a_terminal_sees_colour_unless_it_must_not(matrix, tmp_path):
    argv = [*STANDIN, "approx", "A.npy"]
    assert b"\x1b[" in on_terminal(argv, tmp_path)[1]
    assert b"\x1b[" not in on_terminal(argv, tmp_path, NO_COLOR="1")[1]


def test_e22_debug_shows_the_traceback_and_nothing_else_does(shell, tmp_path):
    quiet = shell("L info missing.npy")
    assert b"Traceback" not in quiet.stderr
    assert b"Traceback" in shell("L info missing.npy --debug").stderr
    assert b"Traceback" in shell("L info missing.npy", LOWRANK_DEBUG="1").stderr
    assert COMMAND[0] == sys.executable


def test_e09_a_full_stderr_does_not_change_the_exit_code(shell, matrix):
    assert shell("S approx A.npy -k 0 2>/dev/full").returncode == 2
    assert shell("L approx missing.npy 2>/dev/full").returncode == 4
    done = shell("S approx A.npy --json -v 2>/dev/full")
    assert done.returncode == 0 and json.loads(done.stdout)["rank"] == 2


def test_e04_an_empty_pipe_says_that_the_producer_wrote_nothing(shell):
    assert "wrote nothing" in one_error(shell(": | S approx -"), 4)
    assert "wrote nothing" in one_error(shell("false | S approx - -o F.npz"), 4)


def test_e04_a_producer_that_dies_midway_is_told_with_both_counts_and_writes_nothing(shell, matrix, tmp_path):
    line = one_error(shell("head -c 300 A.npy | S approx - -o F.npz"), 4)
    assert "172 of 240 bytes" in line
    assert not (tmp_path / "F.npz").exists()


def test_e05_an_endless_pipe_is_read_no_further_than_its_header_says(shell, matrix):
    assert one_error(shell("cat A.npy /dev/zero | S approx -"), 4)
    assert one_error(shell("cat /dev/zero | S approx -"), 4)


def test_e06_more_than_memory_is_refused_before_it_comes(shell, tmp_path):
    header = io.BytesIO()
    shape = (10**9, 10**6)
    np.lib.format.write_array_header_1_0(header, {"descr": "<f8", "fortran_order": False, "shape": shape})
    (tmp_path / "header").write_bytes(header.getvalue())
    assert "memory" in one_error(shell("(cat header; yes) | L approx - -k 5 -q"), 7)


def test_e13_numbers_in_a_pipe_are_whole(shell, matrix):
    told = json.loads(shell("S approx A.npy --json").stdout)["error"]
    assert told["relative"] == 1 / 3
    header, line = (row.split("\t") for row in shell("S approx A.npy --report tsv").stdout.decode().splitlines())
    assert float(line[header.index("error_absolute")]) == told["absolute"]
    table = shell("S approx A.npy | cat").stdout.decode()
    assert THIRD in table and "…" not in table and "\x1b" not in table


@pytest.mark.parametrize("env", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_e15_no_escapes_where_they_are_not_wanted(matrix, tmp_path, env):
    code, text = on_terminal([*STANDIN, "approx", "A.npy"], tmp_path, **env)
    assert code == 0 and b"\x1b" not in text


@pytest.mark.parametrize("env", [{"CI": "true"}, {"FORCE_COLOR": "1"}, {"GITHUB_ACTIONS": "true"}])
def test_e15_a_pipe_has_no_escapes_whatever_forces_colour(shell, matrix, env):
    assert b"\x1b" not in shell("unset NO_COLOR; S approx A.npy", **env).stdout


def test_e18_a_name_with_a_leading_dash_is_a_file_after_two_dashes(shell, matrix):
    assert shell("cp A.npy ./-x.npy; S approx -k 1 --json -- -x.npy").returncode == 0
    assert "./-x.npy" in one_error(shell("S approx -x.npy"), 2)


def test_e19_names_as_long_as_they_may_be_work_and_longer_ones_are_one_line(shell, matrix, tmp_path):
    longest = "n" * 251 + ".npz"
    assert shell(f"S approx A.npy -o {longest} -q").returncode == 0 and (tmp_path / longest).exists()
    assert one_error(shell(f"S approx A.npy -o n{longest} -q"), 5)
    assert one_error(shell(f"S approx {'d/' * 3000}A.npy"), 4)


def test_e20_the_content_of_a_file_decides_and_not_its_name(shell, matrix, tmp_path):
    assert json.loads(shell("cp A.npy A.mtx; S info A.mtx --json").stdout)["format"] == "npy"
    assert json.loads(shell("cp A.npy A; S info A --json").stdout)["format"] == "npy"
    (tmp_path / "t.npy").write_text("1 2\n3 4\n")
    assert json.loads(shell("S info t.npy --json").stdout)["items"][0]["shape"] == [2, 2]
    (tmp_path / "t.npy").write_bytes(b"\x00\x01\x02")
    assert "t.npy" in one_error(shell("S approx t.npy"), 4)
