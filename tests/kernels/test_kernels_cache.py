"""The kernel cache is private or absent, and its absence or damage is never an error."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from lowrank_cli.kernels import jit
from lowrank_cli.kernels.cache import cache_directory, is_private

posix = pytest.mark.skipif(not hasattr(os, "geteuid"), reason="ownership is a POSIX matter")

DRAW = """
import numpy as np
from lowrank_cli.kernels import jit, sampling
compiled = []
jit.set_on_compile(compiled.append)
out = sampling.with_replacement(np.array([0.0, 1.0, 1.0]), np.array([0.1, 0.9]), compiled=True)
print(out.tolist(), jit.cache_path(), jit.flavour(True), compiled)
"""


def run(code: str, **environ: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if name not in ("XDG_CACHE_HOME", "HOME")}
    kept = {name: value for name, value in kept.items() if not name.startswith("NUMBA_")}
    return subprocess.run(
        [sys.executable, "-c", code], env={**kept, **environ}, capture_output=True, text=True, timeout=120
    )


def private(path: Path) -> Path:
    path.mkdir(mode=0o700, parents=True)
    return path


def test_the_cache_lies_below_xdg_cache_home_with_mode_0700(tmp_path):
    found = cache_directory({"XDG_CACHE_HOME": str(tmp_path / "xdg"), "HOME": str(tmp_path)})
    assert found == str(tmp_path / "xdg" / "lowrank" / "numba")
    assert stat.S_IMODE(os.stat(found).st_mode) == 0o700


def test_without_xdg_the_cache_lies_below_home(tmp_path):
    assert cache_directory({"HOME": str(tmp_path)}) == str(tmp_path / ".cache" / "lowrank" / "numba")
    assert cache_directory({"HOME": str(tmp_path), "XDG_CACHE_HOME": "relative"}).startswith(str(tmp_path))


def test_a_private_directory_of_the_user_is_honoured(tmp_path):
    given = private(tmp_path / "mine")
    assert cache_directory({"NUMBA_CACHE_DIR": str(given), "HOME": str(tmp_path)}) == str(given)


@posix
@pytest.mark.parametrize("mode", [0o777, 0o1777, 0o770, 0o755])
def test_a_user_directory_open_to_others_is_ignored(tmp_path, mode):
    given = private(tmp_path / "open")
    given.chmod(mode)
    found = cache_directory({"NUMBA_CACHE_DIR": str(given), "HOME": str(tmp_path)})
    assert found == str(tmp_path / ".cache" / "lowrank" / "numba")


@posix
@pytest.mark.parametrize("mode", [0o777, 0o1777, 0o720])
def test_our_own_directory_is_refused_once_others_could_write_to_it(tmp_path, mode):
    ours = Path(cache_directory({"HOME": str(tmp_path)}))
    ours.chmod(mode)
    assert cache_directory({"HOME": str(tmp_path)}) is None
    assert stat.S_IMODE(ours.stat().st_mode) == mode


@posix
def test_our_own_directory_readable_by_others_is_closed(tmp_path):
    ours = Path(cache_directory({"HOME": str(tmp_path)}))
    ours.chmod(0o755)
    assert cache_directory({"HOME": str(tmp_path)}) == str(ours)
    assert stat.S_IMODE(ours.stat().st_mode) == 0o700


@posix
def test_a_directory_below_one_that_others_may_rename_is_refused(tmp_path):
    inner = private(tmp_path / "loose" / "inner")
    (tmp_path / "loose").chmod(0o777)
    assert not is_private(str(inner))
    (tmp_path / "loose").chmod(0o1777)
    assert is_private(str(inner))


@posix
def test_a_directory_of_another_owner_is_refused(tmp_path, monkeypatch):
    given = private(tmp_path / "theirs")
    monkeypatch.setattr(os, "geteuid", lambda: os.stat(given).st_uid + 1)
    assert not is_private(str(given))
    assert cache_directory({"NUMBA_CACHE_DIR": str(given), "HOME": str(tmp_path)}) is None
    assert not (tmp_path / ".cache").exists()


@pytest.mark.parametrize("environ", [{}, {"HOME": ""}, {"HOME": "relative"}, {"HOME": "/nonexistent"}])
def test_without_a_home_there_is_no_cache_and_none_is_made(environ):
    assert cache_directory(environ) is None
    assert not os.path.exists("/nonexistent")


def test_a_file_where_the_cache_should_be_means_no_cache(tmp_path):
    (tmp_path / ".cache").write_text("not a directory")
    assert cache_directory({"HOME": str(tmp_path)}) is None


def test_kernels_run_uncached_without_home_and_with_a_read_only_cache_dir(tmp_path):
    read_only = private(tmp_path / "locked")
    read_only.chmod(0o500)
    # root may write anywhere, so for root the directory is a file's child, which nobody can create
    given = read_only if os.access(read_only, os.W_OK) is False else Path("/dev/null/kernels")
    done = run(DRAW, HOME="/nonexistent", NUMBA_CACHE_DIR=str(given))
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[1, 2] None numba ['draw']"
    assert done.stderr == ""
    assert list(read_only.iterdir()) == []


def test_a_second_process_compiles_nothing_and_a_damaged_cache_heals(tmp_path):
    def compiled() -> str:
        done = run(DRAW, HOME=str(tmp_path))
        assert done.returncode == 0, done.stderr
        assert done.stderr == "" and done.stdout.startswith("[1, 2] " + str(tmp_path))
        return done.stdout.strip().rpartition(" ")[2]

    assert compiled() == "['draw']"
    assert compiled() == "[]"
    indices = list((tmp_path / ".cache" / "lowrank" / "numba").rglob("*.nbi"))
    assert indices
    for index in indices:
        index.write_bytes(b"damaged")
    assert compiled() == "['draw']"
    assert compiled() == "[]"


def test_a_full_disk_costs_the_cache_and_not_the_answer(monkeypatch):
    monkeypatch.setitem(jit._state, "lost", None)
    monkeypatch.setitem(jit._state, "directory", "/cache")

    class Cache:
        flushed = 0

        def load_overload(self, signature, context):
            raise EOFError("truncated")

        def save_overload(self, signature, data):
            raise OSError(errno.ENOSPC, "No space left on device")

        def flush(self):
            self.flushed += 1
            raise OSError(errno.ENOSPC, "No space left on device")

    class Kernel:
        _cache = Cache()

    jit._guard("kernel", Kernel)
    assert jit.not_kept() is None
    assert Kernel._cache.load_overload("signature", None) is None
    Kernel._cache.save_overload("signature", object())
    assert Kernel._cache.flushed == 1
    assert jit.not_kept() == "/cache: No space left on device"


def test_a_directory_without_room_for_a_file_is_no_cache(tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    ours = Path(cache_directory({"HOME": str(tmp_path)}))
    assert not [*ours.iterdir()]
    monkeypatch.setattr(os, "mkdir", full)
    assert cache_directory({"HOME": str(tmp_path)}) is None


@pytest.mark.parametrize("name", ["NUMBA_DISABLE_JIT"])
def test_with_numba_disabled_the_twins_serve(tmp_path, name):
    done = run(DRAW, HOME=str(tmp_path), **{name: "1"})
    assert done.stdout.strip() == "[1, 2] None numpy []", done.stderr


def test_a_broken_numba_means_twins(tmp_path):
    (tmp_path / "numba.py").write_text("raise SystemError('built for another python')")
    done = run(DRAW, HOME=str(tmp_path), PYTHONPATH=str(tmp_path))
    assert done.stdout.strip() == "[1, 2] None numpy []", done.stderr


def test_topic_modules_import_neither_numba_nor_scipy_nor_numpy():
    code = """
import sys
from lowrank_cli.kernels import cache, csr, gather, interpolation, jit, pivoting, sampling, sweep, warmup
print(sorted({name.partition(".")[0] for name in sys.modules} & {"numba", "scipy", "numpy", "llvmlite"}))
"""
    done = run(code, HOME="/nonexistent")
    assert done.stdout.strip() == "[]", done.stderr


def test_twins_of_dense_kernels_load_neither_numba_nor_scipy():
    code = """
import sys
import numpy as np
from lowrank_cli.kernels import gather, interpolation, pivoting, sampling, sweep
Y = np.arange(12.0).reshape(3, 4) ** 2
sweep.tile_sweep(Y)
found = pivoting.pivoted_qr(Y, 2)
interpolation.coefficients(found.R, found.pivots)
gather.gather_columns(Y, np.array([1]))
sampling.with_replacement(Y[0], np.array([0.5]))
print(sorted({name.partition(".")[0] for name in sys.modules} & {"numba", "scipy"}))
"""
    assert run(code, HOME="/nonexistent").stdout.strip() == "[]"


def test_another_user_of_numba_keeps_its_own_cache_directory(tmp_path):
    code = """
import numba
from lowrank_cli.kernels import jit
before = numba.config.CACHE_DIR
assert jit.compiled() is not None and jit.cache_path()
print(numba.config.CACHE_DIR == before != jit.cache_path())
"""
    done = run(code, HOME=str(tmp_path))
    assert done.stdout.strip() == "True", done.stderr


def test_warm_up_names_every_kernel():
    module = jit.compiled()
    if module is None:
        pytest.skip("numba is not installed")
    assert {name.partition("[")[0] for name in jit.warm_up()} == set(module.KERNELS)
    forms = {name: len(getattr(module, name).signatures) for name in module.KERNELS}
    named = [name.partition("[")[0] for name in jit.warm_up()]
    assert forms == {name: named.count(name) for name in module.KERNELS}


def test_small_work_does_not_pay_for_numba():
    assert not jit.pays(0.5)
    assert jit.pays(0.7)
