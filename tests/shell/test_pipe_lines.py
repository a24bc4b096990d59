"""Lines people write in a shell: commands into commands, into jq, into plotting programs, and large ones whole.

gnuplot and Miller are not everywhere, and a test that may be skipped shows nothing: a stand-in of the same name takes
their place on the line and holds the table it is sent to what those programs read.
"""

from __future__ import annotations

import io
import json
import subprocess

import numpy as np
import pytest

#: Takes the place of a reader of tables: every line as many fields as the first, a heading, numbers below it.
TABLE = """
import csv, json, sys
rows = list(csv.DictReader(sys.stdin, delimiter="\\t", strict=True))
assert rows and all(None not in row and None not in row.values() for row in rows), rows[:1]
print(json.dumps([{name: float(value) for name, value in row.items()} for row in rows]))
"""
#: numpy.save needs a file that seeks; a pipe does not.
SAVE = "import io, sys, numpy as np; b = io.BytesIO(); np.save(b, {}); sys.stdout.buffer.write(b.getvalue())"


@pytest.fixture
def files(tmp_path, shell):
    rng = np.random.default_rng(3)
    for name in "AB":
        U, V = (np.linalg.qr(rng.standard_normal((side, 30)))[0] for side in (60, 40))
        np.save(tmp_path / f"{name}.npy", (U * 0.7 ** np.arange(30)) @ V.T)
    (tmp_path / "table.py").write_text(TABLE)
    (tmp_path / "gen.py").write_text(SAVE.format("np.load('A.npy')"))
    return tmp_path


def ok(done: subprocess.CompletedProcess) -> bytes:
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


LINE = "set -o pipefail; "


def test_an_approximation_goes_from_one_command_into_another(shell, files):
    """The matrix has rank 30: the product of that rank is the matrix, and that of rank 20 is not."""
    ok(shell("L approx A.npy -k 20 -q -o F.h5"))
    line = "L approx A.npy -k {} -q -o - --part product | L verify F.h5 --against - --json"
    assert json.loads(ok(shell(LINE + line.format(30))))["holds"] is True
    other = shell(LINE + line.format(20))
    assert other.returncode == 8 and json.loads(other.stdout)["measured"] < 1e-14


def test_factors_of_a_matrix_from_a_pipe_go_on_through_a_pipe(shell, files):
    line = "cat A.npy | L approx - -k 5 -q -o - --part U | L spectrum - --report tsv | cut -f 2 | tail -n +2"
    values = [float(v) for v in ok(shell(LINE + line)).split()]
    assert values == pytest.approx([1.0] * 5)


def test_matrix_market_from_zcat(shell, files, repository):
    line = f"gzip -c {repository}/samples/bus_1138.mtx > m.mtx.gz; zcat m.mtx.gz | L approx - -k 50 -q -o F.h5"
    ok(shell(LINE + line))
    assert json.loads(ok(shell("L info F.h5 --json")))["factors"]["rank"] == 50


def test_a_spectrum_into_a_plotting_program(shell, files):
    line = """gnuplot() { "$PYTHON" table.py; }
    L spectrum A.npy --report tsv | gnuplot -p -e 'set log y; plot "-" w lp'"""
    rows = json.loads(ok(shell(LINE + line)))
    assert [row["index"] for row in rows] == list(range(1, 41)) and rows[0]["value"] == pytest.approx(1.0)


def test_a_spectrum_into_a_table_program(shell, files):
    line = 'mlr() { "$PYTHON" table.py; }; L spectrum A.npy --report tsv | mlr --itsv --ojson head -n 5'
    assert set(json.loads(ok(shell(LINE + line)))[0]) == {"index", "value", "radius", "energy", "tail"}


def test_a_batch_into_jq_sorted_by_error(shell, files):
    line = "L approx *.npy -k 10 --report jsonl | jq -r '[.run.input_path, .error.relative] | @tsv' | sort -k2g | head"
    rows = [row.split("\t") for row in ok(shell(LINE + line)).decode().splitlines()]
    assert {name for name, _ in rows} == {"A.npy", "B.npy"}
    assert float(rows[0][1]) <= float(rows[1][1]) == pytest.approx(0.7**10, rel=0.01)


def test_a_batch_that_fails_in_part_is_told_apart_by_jq(shell, files):
    (files / "bad.npy").write_bytes(b"none")
    done = shell("L approx *.npy -k 3 --json --keep-going | jq -r 'select(.error.message) | .run.input_path'")
    assert done.stdout == b"bad.npy\n" and done.stderr.count(b"\n") == 1


def test_a_program_writes_into_a_factorization_into_a_file(shell, files):
    ok(shell(LINE + '"$PYTHON" gen.py | L approx - -k 5 -q -o - --part U > U.npy'))
    assert np.load(files / "U.npy").shape == (60, 5)


def test_a_product_of_two_pipes(shell, files):
    said = ok(shell(LINE + "L approx A.npy -k 5 -q -o A.npz; cat B.npy | L convert - - -q > C.npy; cmp B.npy C.npy"))
    assert said == b""


def test_process_substitution_is_a_file(shell, files):
    done = shell("L approx <(cat A.npy) <(cat B.npy) -k 2 --json")
    assert [json.loads(line)["rank"] for line in ok(done).splitlines()] == [2, 2]


def test_head_ends_a_batch_quietly_with_141(shell, files):
    line = "{ sleep 0.5; L approx A.npy B.npy A.npy -k 2 --json; echo $? >&2; } | true"
    assert shell(line).stderr == b"141\n"
    line = "{ L approx A.npy B.npy -k 2 --json -o '{stem}.npz'; echo $? >&2; } | head -n 1"
    done = shell(line)
    assert json.loads(done.stdout)["rank"] == 2 and (files / "A.npz").exists()


#: Rows of a matrix whose entries are all different, made and compared a block at a time.
STREAM = """
import sys, numpy as np
rows, cols, step = int(sys.argv[1]), 4096, 1024
out = sys.stdout.buffer
np.lib.format.write_array_header_1_0(out, {"descr": "<f8", "fortran_order": False, "shape": (rows, cols)})
for first in range(0, rows, step):
    block = np.arange(first * cols, min(first + step, rows) * cols, dtype=np.float64)
    out.write(memoryview(block).cast("B"))
"""


def assert_comes_whole(shell, tmp_path, rows: int) -> None:
    """A matrix in through a pipe and out through a pipe, every byte of it."""
    (tmp_path / "stream.py").write_text(STREAM)
    line = f"""{LINE}gen() {{ PYTHONUNBUFFERED= "$PYTHON" stream.py {rows}; }}
    gen | L convert - - -q | cmp - <(gen)"""
    ok(shell(line, PYTHONUNBUFFERED="1"))


def test_a_matrix_comes_through_two_pipes_whole(shell, tmp_path):
    assert_comes_whole(shell, tmp_path, 1200)


@pytest.mark.slow
def test_three_gigabytes_come_through_two_pipes_whole(shell, tmp_path):
    assert_comes_whole(shell, tmp_path, 92_000)


def test_a_stream_that_is_written_in_short_pieces_is_whole(shell, files):
    """A reader that takes its time, and a pipe that holds one page."""
    line = "L approx A.npy -k 30 -q -o - --part product | (sleep 0.3; dd bs=7 status=none) > slow.npy"
    ok(shell(LINE + line, PYTHONUNBUFFERED="1"))
    assert np.load(io.BytesIO((files / "slow.npy").read_bytes())).shape == (60, 40)
