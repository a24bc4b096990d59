"""Matrices through pipes that do not fit: one pass, little memory, the same file whoever brings them; or one line."""

from __future__ import annotations

import json
import os
import threading

import numpy as np
import pytest

from .conftest import one_error
from .test_memory import run

#: Writes the array of a file slowly, in odd pieces, and perhaps only so many bytes of it.
SLOW = (
    "import os, sys, time\n"
    "data = open(sys.argv[1], 'rb').read()[:int(sys.argv[2])]\n"
    "for start in range(0, len(data), 7001):\n"
    "    os.write(1, data[start : start + 7001]); time.sleep(0.002)\n"
)


@pytest.fixture
def noisy(tmp_path):
    rng = np.random.default_rng(2)
    A = rng.standard_normal((600, 8)) @ rng.standard_normal((8, 90)) + 0.01 * rng.standard_normal((600, 90))
    np.save(tmp_path / "N.npy", A)
    np.save(tmp_path / "T.npy", np.asfortranarray(A))
    (tmp_path / "N.raw").write_bytes(A.tobytes())
    (tmp_path / "slow.py").write_text(SLOW)
    return A


def test_a_pipe_a_slow_one_a_fifo_and_the_file_give_one_file(shell, noisy, tmp_path):
    os.mkfifo(tmp_path / "fifo")
    done = shell(
        "L approx N.npy --single-pass -k 8 -q -o file.h5;"
        "cat N.npy | L approx - --single-pass -k 8 -q -o pipe.h5 --threads 1;"
        '"$PYTHON" slow.py N.npy 1000000000 | L approx - --single-pass -k 8 -q -o slow.h5;'
        "cat N.npy > fifo & L approx fifo --single-pass -k 8 -q -o fifo.h5;"
        "L approx - --raw 600x90:float64 --single-pass -k 8 -q -o raw.h5 < N.raw",
        PYTHONUNBUFFERED="1",
    )
    assert done.returncode == 0 and done.stderr == b""
    wanted = (tmp_path / "file.h5").read_bytes()
    for name in ("pipe", "slow", "fifo", "raw"):
        assert (tmp_path / f"{name}.h5").read_bytes() == wanted, name


def test_columns_come_in_their_own_order_and_the_bound_is_verified(shell, noisy):
    done = shell("cat T.npy | L approx - --single-pass -k 8 --json -o F.npz && L verify F.npz --against N.npy -q")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["ledger"]["passes"] == 1 and report["error"]["kind"] == "bound"
    assert report["method_facts"]["single_pass"]["order"] == "columns"


@pytest.mark.parametrize("size", ["200", "100000", "432127"])
def test_e04_a_producer_that_dies_leaves_one_line_and_no_file(shell, noisy, tmp_path, size):
    done = shell(f'"$PYTHON" slow.py N.npy {size} | L approx - --single-pass -k 8 -o F.h5')
    assert "truncated" in one_error(done, 4) and not (tmp_path / "F.h5").exists()


def test_e05_more_than_was_announced_leaves_one_line_and_no_file(shell, noisy, tmp_path):
    done = shell("cat N.npy N.npy | L approx - --single-pass -k 8 -q -o F.h5")
    assert "more bytes follow" in one_error(done, 4) and not (tmp_path / "F.h5").exists()


def test_a_spooled_stream_gives_the_file_that_its_file_gives(shell, noisy, tmp_path):
    (tmp_path / "room").mkdir()
    done = shell("L approx N.npy -k 8 -q -o a.h5; cat N.npy | L approx - --spool room -k 8 -q -o b.h5")
    assert done.returncode == 0 and (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()
    assert not list((tmp_path / "room").iterdir())


def test_an_interrupted_spool_leaves_nothing(shell, noisy, tmp_path):
    (tmp_path / "room").mkdir()
    done = shell(
        'mkfifo f; sleep 60 > f & S=$!; "$PYTHON" -m lowrank_cli approx - --raw x90:float64 --spool room < f & P=$!;'
        'cat N.raw > f; for i in $(seq 100); do [ -n "$(ls -A room)" ] && break; sleep 0.1; done; ls -A room;'
        "kill -TERM $P; wait $P; echo $?; kill $S; ls -A room"
    )
    first, code, *left = done.stdout.split()
    assert first.endswith(b".tmp") and code == b"143" and not left


REFUSED = {
    "cat N.npy | L approx - --single-pass -k 8 --method id": "reads the matrix more than once",
    "cat N.npy | L approx - --single-pass": "needs --rank",
    "cat N.npy | L approx - --single-pass -k 8 --certify exact": "second pass",
    "cat N.npy | L approx - --single-pass --spool . -k 8": "contradict",
    "L approx N.npy --spool . -k 8": "every input is a file",
    "cat N.raw | L approx - --raw x90:float64 --single-pass -k 8": "how many rows",
    "L approx N.npy --single-pass -k 8 --kernel gaussian:1": "kernel",
}


@pytest.mark.parametrize("line", REFUSED)
def test_a_request_that_makes_no_sense_is_one_line_of_usage(shell, noisy, line):
    assert REFUSED[line] in one_error(shell(line), 2)


def test_nobody_waits_for_a_reader_that_hangs(shell, noisy):
    done = shell(
        "mkfifo f; sleep 60 > f & S=$!;"
        'timeout -s INT 2 "$PYTHON" -m lowrank_cli approx - --raw 600x90:f8 --single-pass -k 8 < f; echo $?; kill $S'
    )
    assert done.stdout == b"124\n"


def through_a_pipe(path, *argv):
    """As ``run``, with the file on standard input of the process that is watched."""
    read, write = os.pipe()

    def feed():
        with open(path, "rb") as file, os.fdopen(write, "wb") as pipe:
            while piece := file.read(1 << 20):
                pipe.write(piece)

    threading.Thread(target=feed, daemon=True).start()
    return run("approx", "-", *argv, stdin=read)


def test_e06_64_megabytes_pass_through_a_small_allowance(tmp_path):
    """What does not fit in half of the allowance is seen once, of its own accord, and the promise of memory holds."""
    rng = np.random.default_rng(3)
    A = rng.standard_normal((20_000, 5)) @ rng.standard_normal((5, 400))
    np.save(tmp_path / "A.npy", A)
    code, said, most = through_a_pipe(tmp_path / "A.npy", "-k", "5", "--memory", "150M", "-o", str(tmp_path / "F.h5"))
    assert code == 0 and "is seen once" in said
    assert most <= 1.1 * 150e6 + 64e6


def test_e06_what_does_not_fit_and_takes_more_passes_is_refused_before_it_comes(shell):
    done = shell("head -c 1000 /dev/zero | L approx - --raw 400000x4000:float64 -k 5 --method id --memory 300M")
    assert "--spool DIR" in one_error(done, 7)
    done = shell("head -c 1000 /dev/zero | L approx - --raw 40000000x4000:float64 -k 5 -q --memory 300M")
    assert "what one pass adds up" in one_error(done, 7)
