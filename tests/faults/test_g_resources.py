"""Resources that are scarce, missing or taken away: one clear line, the right exit code, nothing half done."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from .injection import mounted

COMMAND = [sys.executable, "-m", "lowrank_cli"]
ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1"}


@pytest.fixture
def matrix(tmp_path):
    rng = np.random.default_rng(0)
    np.save(tmp_path / "A.npy", rng.standard_normal((300, 6)) @ rng.standard_normal((6, 200)))
    return tmp_path / "A.npy"


def run(*argv, limits=(), cwd=None, prefix=(), timeout=120, **environ):
    """The command under limits of the system, and variables that are set, or removed where they are None."""

    def limit():
        for what, value in limits:
            resource.setrlimit(what, (value, value))

    env = {**os.environ, **ONE_THREAD, **{name: value for name, value in environ.items() if value is not None}}
    for name, value in environ.items():
        if value is None:
            env.pop(name, None)
    return subprocess.run(
        [*prefix, *COMMAND, *map(str, argv)],
        capture_output=True,
        text=True,
        cwd=cwd,
        env=env,
        preexec_fn=limit,
        timeout=timeout,
    )


def one_line(done):
    assert "Traceback" not in done.stderr
    return done.stderr.count("lowrank: error: ") == 1


def test_g01_a_plan_beyond_the_allowance_is_refused_with_a_breakdown_before_reading(tmp_path):
    np.save(tmp_path / "A.npy", np.zeros((4000, 2500), np.float32))
    done = run("approx", tmp_path / "A.npy", "-k", "2400", "--memory", "120M", "-o", tmp_path / "F.npz")
    assert done.returncode == 7 and one_line(done)
    assert "MiB more of memory (" in done.stderr and "--memory " in done.stderr
    assert not (tmp_path / "F.npz").exists()


@pytest.mark.parametrize("asked", [("spectrum",), ("norm", "--kind", "nuclear")], ids=["spectrum", "norm"])
def test_g01_a_basis_that_may_give_way_to_lapack_is_refused_before_reading_and_what_was_advised_is_enough(
    asked, tmp_path
):
    rng = np.random.default_rng(0)
    np.save(tmp_path / "A.npy", rng.standard_normal((2600, 12)) @ rng.standard_normal((12, 2000)))
    argv = (*asked, tmp_path / "A.npy", "-v", "--memory")
    done = run(*argv, "110M")
    assert done.returncode == 7 and one_line(done) and "info: pass 1" not in done.stderr
    assert " MiB more of memory (" in done.stderr and "Gram matrix " in done.stderr
    advised = done.stderr.partition("--memory ")[2].partition(" ")[0]
    assert run(*argv, advised).returncode == 0


def values(done):
    assert done.returncode == 0, done.stderr
    return {name: one for name, one in json.loads(done.stdout).items() if name != "run"}


def test_g01_a_tall_matrix_that_stays_in_its_file_needs_no_copy_for_lapack(tmp_path):
    np.save(tmp_path / "A.npy", np.random.default_rng(0).standard_normal((30_000, 300)))
    argv = ("spectrum", tmp_path / "A.npy", "-k", "5", "--json")
    free, held = run(*argv), run(*argv, "--memory", "150M")
    assert "left in its file" in held.stderr and "left in its file" not in free.stderr
    assert values(held) == values(free) and values(held)["method"] == "lapack"


def test_g01_a_packed_archive_that_must_fit_is_refused_by_what_it_unpacks_to(tmp_path):
    np.savez_compressed(tmp_path / "A.npz", A=np.zeros((6000, 2500), np.float32))
    assert (tmp_path / "A.npz").stat().st_size < 100_000
    done = run("approx", tmp_path / "A.npz", "-k", "1", "--memory", "80M")
    assert done.returncode == 7 and one_line(done) and "6000 x 2500 matrix in float32 needs 57.2 MiB" in done.stderr


def test_g02_memory_that_goes_away_in_the_middle_is_exit_7_and_no_output(matrix, tmp_path, monkeypatch):
    from lowrank_cli.cli import app
    from lowrank_cli.cli.terminal import Terminal

    monkeypatch.setattr("lowrank_cli.algorithms.svd._finish", lambda *_: (_ for _ in ()).throw(MemoryError("gone")))
    assert app.run(["approx", str(matrix), "-k", "3", "-o", str(tmp_path / "F.npz")], Terminal()) == 7
    assert not (tmp_path / "F.npz").exists()


PEAK = (
    "import resource, subprocess, sys\n"
    "code = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL).returncode\n"
    "print(code, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024)\n"
)


def peak(memory, *asked):
    """Exit code, the most memory there was, and what was said."""
    argv = [sys.executable, "-c", PEAK, *COMMAND, *map(str, asked), "-q", "--memory", str(memory)]
    done = subprocess.run(argv, capture_output=True, text=True, env={**os.environ, **ONE_THREAD})
    code, used = map(int, done.stdout.split())
    return code, used, done.stderr


def assert_held(memory, *asked):
    """The allowance is held; or it is refused before anything is worked out, and what was advised instead is enough."""
    code, used, said = peak(memory, *asked)
    if code:
        assert code == 7 and used <= memory and " more of memory (" in said, said
        memory = int(said.partition("--memory ")[2].partition("M")[0]) * 10**6
        code, used, said = peak(memory, *asked)
    assert code == 0 and used <= 1.1 * memory + 64e6, said


GRID = [(30_000, 300), (3000, 3000), (600, 20_000), (100_000, 150)]


@pytest.mark.parametrize(
    ("shape", "asked"),
    [
        ((12_000, 500), ("-k", "10", "--passes", "3")),
        *(
            pytest.param(shape, ("-k", "20", *more), marks=pytest.mark.slow)
            for shape in GRID
            for more in ((), ("--passes", "2"), ("-m", "id"), ("-m", "qb"))
        ),
    ],
)
@pytest.mark.parametrize("order", ["C", "F"])
def test_g03_the_peak_is_at_most_the_allowance_and_a_tenth_and_64_megabytes(shape, asked, order, tmp_path):
    file = np.lib.format.open_memmap(
        tmp_path / "A.npy", mode="w+", dtype=np.float64, shape=shape, fortran_order=order == "F"
    )
    rng = np.random.default_rng(0)
    right = rng.standard_normal((10, shape[1]))
    for start in range(0, shape[0], 4000):
        rows = min(4000, shape[0] - start)
        file[start : start + rows] = rng.standard_normal((rows, 10)) @ right + rng.standard_normal((rows, shape[1]))
    file.flush()
    del file
    for memory in (90_000_000, 150_000_000):
        assert_held(memory, "approx", tmp_path / "A.npy", *asked)


@pytest.mark.parametrize(
    ("shape", "asked"),
    [
        ((12_000, 500), ("spectrum", "A.npy", "-k", "4")),
        *(
            pytest.param(shape, asked, marks=pytest.mark.slow)
            for shape in GRID
            for asked in (
                ("spectrum", "A.npy", "-k", "10"),
                ("norm", "A.npy"),
                ("plan", "A.npy", "--bytes", "3M"),
                ("verify", "F.npz", "--against", "A.npy"),
                ("product", "T.npy", "A.npy", "-k", "50"),
                ("product", "A.npy", "B.npy", "-k", "50"),
            )
        ),
    ],
)
def test_g03_other_commands_hold_the_allowance_too(shape, asked, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    np.save("A.npy", rng.standard_normal((shape[0], 10)) @ rng.standard_normal((10, shape[1])) + rng.random(shape))
    if asked[0] == "product":
        np.save("T.npy", np.load("A.npy").T)
        np.save("B.npy", rng.standard_normal((shape[1], 4000)))
    if asked[0] == "verify":
        assert run("approx", "A.npy", "-k", "20", "-q", "-o", "F.npz").returncode == 0
    for memory in (90_000_000, 150_000_000):
        assert_held(memory, *asked)


@pytest.mark.slow
@pytest.mark.parametrize("asked", [("spectrum",), ("spectrum", "--all"), ("norm", "--kind", "nuclear")])
@pytest.mark.parametrize("shape", [(20_000, 800), (600, 20_000), (2400, 1900)])
def test_g03_values_that_lapack_finds_in_the_end_hold_the_allowance(asked, shape, tmp_path):
    np.save(tmp_path / "A.npy", np.random.default_rng(0).standard_normal(shape))
    for memory in (90_000_000, 150_000_000):
        assert_held(memory, *asked, tmp_path / "A.npy")


@pytest.mark.parametrize("megabytes", [150, 250])
def test_g04_an_address_space_too_small_for_the_libraries_ends_soon_and_in_one_line(megabytes, matrix):
    done = run("approx", matrix, "-k", "3", limits=[(resource.RLIMIT_AS, megabytes << 20)], timeout=60)
    assert done.returncode in (0, 7) and one_line(done) == (done.returncode == 7)


def test_g05_a_parser_that_runs_out_of_memory_is_no_bug_report(matrix, monkeypatch, capsys):
    from lowrank_cli.cli.app import explain

    line, code = explain(MemoryError("Unable to allocate 9 TiB"))
    assert code == 7 and "internal error" not in line


def test_g06_a_limit_of_processor_time_leaves_no_half_of_an_output(tmp_path):
    np.save(tmp_path / "A.npy", np.random.default_rng(0).standard_normal((3000, 2000)))
    done = run("approx", tmp_path / "A.npy", "-k", "1500", "-o", tmp_path / "F.npz", limits=[(resource.RLIMIT_CPU, 1)])
    assert done.returncode != 0 and "Traceback" not in done.stderr
    assert [entry.name for entry in tmp_path.iterdir()] == ["A.npy"]


def test_g07_sixteen_open_files_are_enough(matrix, tmp_path):
    done = run("approx", matrix, "-k", "3", "-o", tmp_path / "F.npz", limits=[(resource.RLIMIT_NOFILE, 16)])
    assert done.returncode == 0, done.stderr


def test_g08_one_core_of_many_is_one_thread(matrix):
    done = run("approx", matrix, "-k", "3", "--json", prefix=("taskset", "-c", str(min(os.sched_getaffinity(0)))))
    assert done.returncode == 0 and '"threads": 1' in done.stdout


@pytest.mark.parametrize("home", [None, "/nonexistent", "/proc"])
def test_g09_without_a_home_that_can_be_written_the_work_is_done_all_the_same(home, matrix):
    done = run("approx", matrix, "-k", "3", HOME=home, XDG_CACHE_HOME=home, NUMBA_CACHE_DIR="/proc/none")
    assert done.returncode == 0, done.stderr


def test_g10_a_cache_that_others_may_write_to_is_not_used(matrix, tmp_path):
    open_to_all = tmp_path / "cache"
    open_to_all.mkdir()
    open_to_all.chmod(0o777)
    assert run("approx", matrix, "-k", "3", NUMBA_CACHE_DIR=str(open_to_all)).returncode == 0
    assert not [*open_to_all.iterdir()]


def test_g11_a_damaged_cache_changes_nothing(tmp_path):
    code = "from lowrank_cli.kernels import warmup; print(len(warmup.warm_up()))"
    said = []
    for _ in range(2):
        env = {**os.environ, **ONE_THREAD, "XDG_CACHE_HOME": str(tmp_path)}
        env.pop("NUMBA_CACHE_DIR", None)
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env)
        said.append((done.returncode, done.stdout))
        for file in tmp_path.rglob("*.nb*"):
            file.write_bytes(b"damaged")
    assert said[0] == said[1]


DRAW = """
import numpy as np
from lowrank_cli.kernels import jit, sampling
print(sampling.with_replacement(np.array([0.0, 1.0, 1.0]), np.array([0.1, 0.9]), compiled=True), jit.flavour(True))
print(jit.compiled().draw._cache.cache_path, jit.not_kept(), sep="\\n")
"""


@pytest.mark.parametrize(("room", "why"), [("bytes", "No space left on device"), ("files", "no directory")])
def test_g11_a_full_cache_changes_no_kernel_and_no_other_place_is_taken_for_it(room, why):
    limit, fill = ("", "head -c 4K /dev/zero > full") if room == "bytes" else (",nr_inodes=2", "true")
    script = f"mkdir -m 700 cache; {fill}; NUMBA_CACHE_DIR=$PWD/cache HOME= XDG_CACHE_HOME= $PYTHON -c '{DRAW}'"
    done = mounted(f"size=4k{limit}", script, PYTHON=sys.executable)
    assert done.returncode == 0 and done.stderr == ""
    drawn, place, said = done.stdout.splitlines()
    assert drawn == "[1 2] numba"
    # where nothing may be mounted, files of more than 4 KiB are refused, and kernels are larger
    assert (why in said and ("/cache/" in place if room == "bytes" else place == "None")) or "File too large" in said


def test_g12_nothing_needs_shared_memory():
    package = Path(sys.modules["lowrank_cli"].__file__).parent
    for file in package.rglob("*.py"):
        text = file.read_text()
        assert "multiprocessing" not in text and "shared_memory" not in text, file


@pytest.mark.parametrize("where", ["/nonexistent", "/proc", None])
def test_g13_outputs_need_no_folder_for_temporaries(where, matrix, tmp_path):
    done = run("approx", matrix, "-k", "3", "-o", tmp_path / "F.h5", TMPDIR=where)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "F.h5").exists()
