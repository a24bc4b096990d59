"""Rows of HDF5 files that take a process; the reader's own are in ``tests/formats``, under the same names."""

from __future__ import annotations

import json
import subprocess

import h5py
import numpy as np
import pytest
from shell.conftest import one_error

A = np.random.default_rng(2).standard_normal((20, 12))


def one_chunk(path, code: int, settings: tuple[int, ...]) -> None:
    """A dataset of one chunk of zeros that says it went through this filter."""
    with h5py.File(path, "w") as file:
        create = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        create.set_chunk((4, 4))
        create.set_filter(code, h5py.h5z.FLAG_OPTIONAL, settings)
        space = h5py.h5s.create_simple((4, 4))
        h5py.h5d.create(file.id, b"A", h5py.h5t.NATIVE_DOUBLE, space, dcpl=create).write_direct_chunk(
            (0, 0), bytes(128)
        )


@pytest.mark.parametrize("code", [300, 307, 32001, 32004])
def test_c09_plugins_are_not_searched_for(shell, tmp_path, code):
    """A library in the search path of plugins is not even opened: its constructor would leave a witness."""
    (tmp_path / "evil.c").write_text(
        "#include <fcntl.h>\n__attribute__((constructor)) void f(void)\n"
        f'{{ open("{tmp_path}/witness", O_CREAT, 0600); }}\n'
    )
    (tmp_path / "plugins").mkdir()
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", "plugins/libevil.so", "evil.c"], cwd=tmp_path, check=True)
    one_chunk(tmp_path / "a.h5", code, ())
    one_error(shell("L approx a.h5 -k 1", HDF5_PLUGIN_PATH=str(tmp_path / "plugins")), 4)
    assert not (tmp_path / "witness").exists()


@pytest.mark.parametrize("settings", [(), (2, 2, 8), (2, 2, 8, 128)])
def test_c19_settings_that_would_crash_blosc_are_refused(shell, tmp_path, settings):
    one_chunk(tmp_path / "a.h5", 32001, settings)
    assert one_error(shell("L approx a.h5 -k 1"), 4).startswith("lowrank: error: a.h5")


def test_c11_what_no_checksum_covers_shows_in_the_digest(shell, tmp_path):
    """A flipped bit of a plain dataset cannot be told from the value meant: the digest of the report tells the two
    apart, and ``verify`` does not hold the old factors against the new values."""
    with h5py.File(tmp_path / "a.h5", "w") as file:
        offset = file.create_dataset("A", data=A).id.get_offset()
    before = shell("L approx a.h5 -k 3 -o F.npz --json")
    assert before.returncode == 0, before
    with (tmp_path / "a.h5").open("r+b") as raw:
        raw.seek(offset + 6)
        byte = raw.read(1)
        raw.seek(offset + 6)
        raw.write(bytes([byte[0] ^ 0x40]))
    after = shell("L approx a.h5 -k 3 --json")
    digests = [json.loads(done.stdout)["input"]["digest"] for done in (before, after)]
    assert digests[0] != digests[1]
    assert shell("L verify F.npz --against a.h5").returncode == 8
    assert b"contiguous" in shell("L info a.h5").stdout


def test_c19_a_crash_in_the_library_harms_no_output_and_no_caller(shell, tmp_path):
    """The process dies as if libhdf5 had read beyond its memory: the shell goes on, the old output is whole."""
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["A"] = A
    (tmp_path / "crash.py").write_text(
        "import os, runpy, signal, sys\n"
        "from lowrank_cli.formats import hdf5_read\n"
        "hdf5_read.check = lambda *a, **k: os.kill(os.getpid(), signal.SIGSEGV)\n"
        "import lowrank_cli.formats.hdf5 as hdf5\n"
        "hdf5.check = hdf5_read.check\n"
        "sys.argv[0] = 'lowrank'\n"
        "runpy.run_module('lowrank_cli', run_name='__main__', alter_sys=True)\n"
    )
    (tmp_path / "F.npz").write_bytes(b"old")
    before = sorted(path.name for path in tmp_path.iterdir())
    done = shell('"$PYTHON" crash.py approx a.h5 -k 3 -o F.npz; echo "code $?"')
    assert done.stdout == b"code 139\n", done
    assert (tmp_path / "F.npz").read_bytes() == b"old"
    assert sorted(path.name for path in tmp_path.iterdir()) == before
