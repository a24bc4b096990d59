"""Faults H10 to H15: workers that die, schedulers that do not answer, and workers that are not what they should be."""

from __future__ import annotations

import functools
import importlib.metadata
import itertools
import logging
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import types

import numpy as np
import pytest
import scipy.sparse

from lowrank_cli import api
from lowrank_cli.api import Job
from lowrank_cli.budget import Budget
from lowrank_cli.engines import cluster as engine
from lowrank_cli.engines.cluster import Cluster, connected, local
from lowrank_cli.engines.threads import SerialEngine
from lowrank_cli.errors import ClusterError, Exit, InputError, UsageError
from lowrank_cli.formats import clustered
from lowrank_cli.formats.clustered import open_on
from lowrank_cli.formats.opening import open_matrix
from lowrank_cli.matrices.blocks import gram
from lowrank_cli.matrices.spread import Home, spread_over

JOB = Job("approx", "svd", Budget(rank=5))


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    """A matrix of several shards."""
    rng = np.random.default_rng(0)
    A = (rng.standard_normal((13_000, 30)) * 0.8 ** np.arange(30)) @ rng.standard_normal((30, 200))
    name = tmp_path_factory.mktemp("h") / "A.npy"
    np.save(name, A + 1e-3 * rng.standard_normal(A.shape))
    return str(name)


def kill_one(cluster: Cluster) -> None:
    """SIGKILL to one worker; its nanny starts another."""
    os.kill(next(iter(cluster.everywhere(os.getpid).values())), signal.SIGKILL)


def test_h10_what_a_killed_worker_held_is_computed_again_with_the_same_bits(cluster, path):
    A = api.tiled(open_on(cluster, path, None), SerialEngine())
    X = np.random.default_rng(1).standard_normal((200, 8))
    expected = api.tiled(open_matrix(path), SerialEngine()).matmat(X)
    kept = A.matmat(X, keep=True)
    first = gram(kept, A.engine)
    kill_one(cluster)
    assert np.array_equal(np.asarray(kept), expected)
    assert np.array_equal(gram(kept, A.engine), first)


@pytest.mark.parametrize("layout", ["csr", "csc"])
def test_h10_a_killed_worker_changes_no_bit_of_a_sparse_product_that_goes_on(cluster, tmp_path, layout):
    made = scipy.sparse.random_array((9000, 200), density=0.02, rng=np.random.default_rng(0)).asformat(layout)
    scipy.sparse.save_npz(tmp_path / "A.npz", made, compressed=False)
    path = str(tmp_path / "A.npz")
    A = api.tiled(open_on(cluster, path, None), SerialEngine())
    expected = api.tiled(open_matrix(path), SerialEngine())
    X = np.random.default_rng(1).standard_normal((200, 4))
    kept = A.matmat(X, keep=True)
    kill_one(cluster)
    # what the dead one knew or held of its rows, and held of A X, is found out again
    assert np.array_equal(A.rmatmat(kept), expected.normal_matmat(X)[1])


@pytest.mark.slow
@pytest.mark.parametrize("sparse", [False, True])
def test_h10_workers_killed_at_any_moment_change_no_bit(path, sparse, tmp_path):
    if sparse:
        # by columns: workers read each once, and hold the matrix from then on
        made = scipy.sparse.random_array((40_000, 1000), density=0.01, rng=np.random.default_rng(0)).tocsc()
        scipy.sparse.save_npz(path := str(tmp_path / "A.npz"), made, compressed=False)
    expected = api.run(JOB, open_matrix(path))[0].factor
    with local(3, 6 << 30) as own:
        loaded = open_on(own, path, None)
        stop = threading.Event()

        def killer():
            # Dask gives a task up after four workers died with it
            for _ in range(3):
                if stop.wait(1.5):
                    return
                kill_one(own)

        thread = threading.Thread(target=killer)
        thread.start()
        try:
            for _ in range(3):
                found = api.run(JOB, loaded)[0].factor
                for name, array in expected.arrays().items():
                    assert np.array_equal(np.asarray(found.arrays()[name]), array)
        finally:
            stop.set()
            thread.join()


@pytest.mark.slow
def test_h10_a_task_that_kills_every_worker_is_given_up_and_its_rows_are_named():
    with local(2, 2 << 30) as own, pytest.raises(ClusterError, match="a task of rows 0 to 4223 was lost with every"):
        Home(own, 20_000, 8).each(lambda i: os._exit(1) if i == 3 else i)


@pytest.mark.parametrize(
    ("rows", "said"), [(slice(512, 1024), "a task of rows 512 to 1023 was lost"), (None, "a task was lost")]
)
def test_h10_the_rows_of_a_task_that_is_given_up_are_named(rows, said):
    from distributed.scheduler import KilledWorker

    class Client:
        def submit(self, work, *operands, key, **_):
            return key

        def gather(self, keys):
            raise KilledWorker(keys[0], None, 3)

    own = Cluster.__new__(Cluster)
    own._client, own._numbers, own._run, own.tasks = Client(), itertools.count(), "lowrank-1-ab", 0
    with pytest.raises(ClusterError, match=said):
        own.gather([own.submit(max, 1, 2, rows=rows)])


def test_a_local_cluster_ends_with_tasks_under_way_and_leaves_nothing(repository, tmp_path):
    code = (
        "import os, time, sys; from lowrank_cli.engines.cluster import local\n"
        "if __name__ == '__main__':\n"
        "  with local(2, 2 << 30) as own:\n"
        "    print(*own.everywhere(os.getpid).values(), flush=True)\n"
        "    kept = [own.submit(time.sleep, 600 + i) for i in range(8)]\n"
        "    time.sleep(0.5)\n"
    )
    (tmp_path / "run.py").write_text(code)
    (tmp_path / "scratch").mkdir()
    done = subprocess.run(
        [sys.executable, str(tmp_path / "run.py")],
        capture_output=True,
        text=True,
        timeout=120,  # of which the start of workers may take most on a busy machine; the tasks take ten minutes
        env=os.environ | {"TMPDIR": str(tmp_path / "scratch"), "PYTHONPATH": str(repository)},
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert list((tmp_path / "scratch").iterdir()) == []
    for pid in map(int, done.stdout.split()):
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_h11_a_scheduler_that_is_not_there_is_given_up_within_ten_seconds():
    started = time.monotonic()
    with pytest.raises(ClusterError, match="cannot be reached") as caught, connected(f"127.0.0.1:{free_port()}"):
        pass
    assert caught.value.exit_code == Exit.CLUSTER
    assert time.monotonic() - started < engine.PATIENCE + 20  # the machine may be busy; the limit itself is below ten
    assert engine.PATIENCE < 10


@pytest.mark.parametrize("address", ["nonsense", "", "host", "tcp://", "host:port", "a b:1"])
def test_h11_what_is_no_address_is_refused_at_once(address):
    with pytest.raises(UsageError, match="is no address"), connected(address):
        pass


@pytest.mark.slow
def test_h11_a_scheduler_that_dies_under_the_run_ends_it(path):
    port = free_port()
    address = f"tcp://127.0.0.1:{port}"
    run = functools.partial(subprocess.Popen, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    scheduler = run([sys.executable, "-m", "distributed.cli.dask_scheduler", "--port", str(port), "--no-dashboard"])
    worker = run([sys.executable, "-m", "distributed.cli.dask_worker", address, "--nthreads", "1", "--no-dashboard"])
    try:
        time.sleep(8)
        with pytest.raises(ClusterError), connected(address) as own:
            slow = own.submit(time.sleep, 60)
            threading.Timer(1, scheduler.kill).start()
            own.gather([slow])
    finally:
        for process in (worker, scheduler):
            process.kill()
            process.wait()


def test_h12_a_worker_that_sees_another_file_or_none_is_refused(cluster, path, monkeypatch):
    monkeypatch.setattr(cluster, "everywhere", lambda work, *given: {"w1": clustered.mark(path), "w2": ()})
    with pytest.raises(ClusterError, match="is not there for worker w2"):
        open_on(cluster, path, None)
    monkeypatch.setattr(cluster, "everywhere", lambda work, *given: {"w1": (1, 2, 3, 4)})
    with pytest.raises(ClusterError, match="is another file there"):
        open_on(cluster, path, None)


def test_h12_a_file_that_changes_under_the_run_is_noticed_by_the_workers(cluster, tmp_path):
    A = np.random.default_rng(0).standard_normal((5000, 40))
    np.save(tmp_path / "A.npy", A)
    loaded = open_on(cluster, str(tmp_path / "A.npy"), None)
    A[17, 3] += 1
    np.save(tmp_path / "A.npy", A)
    with pytest.raises(InputError, match="changed while it was being read"):
        api.run(JOB, loaded)


def test_h12_files_stacked_by_rows_are_read_by_the_workers_with_the_bits_of_one_file(cluster, path, tmp_path):
    A = np.load(path)
    for i, rows in enumerate(np.split(A, [1, 9000])):
        np.save(tmp_path / f"part-{i}.npy", rows)
    expected = api.run(JOB, open_matrix(path))[0].factor
    loaded = open_on(cluster, str(tmp_path / "part-*.npy"), None)
    found = api.run(JOB, loaded)[0].factor
    for name, array in expected.arrays().items():
        assert np.array_equal(array, found.arrays()[name])
    np.save(tmp_path / "part-3.npy", A[:1])
    with pytest.raises(InputError, match="changed while it was being read"):
        api.run(JOB, loaded)


def test_h12_a_sparse_file_that_changes_under_the_run_is_noticed_by_the_workers(cluster, tmp_path):
    made = scipy.sparse.random_array((9000, 50), density=0.02, rng=np.random.default_rng(0)).tocsr()
    scipy.sparse.save_npz(tmp_path / "A.npz", made, compressed=False)
    A = api.tiled(open_on(cluster, str(tmp_path / "A.npz"), None), SerialEngine())
    made.data[17] += 1
    scipy.sparse.save_npz(tmp_path / "A.npz", made, compressed=False)
    with pytest.raises(InputError, match="changed while it was being read"):
        A.rmatmat(np.ones((9000, 1)))


def test_h12_a_file_by_columns_may_change_once_the_workers_hold_it_and_not_before(cluster, tmp_path):
    made = scipy.sparse.random_array((9000, 50), density=0.02, rng=np.random.default_rng(0)).tocsc()
    scipy.sparse.save_npz(tmp_path / "A.npz", made, compressed=False)
    loaded = open_on(cluster, str(tmp_path / "A.npz"), None)
    A, Y = api.tiled(loaded, SerialEngine()), np.ones((9000, 1))
    before = A.rmatmat(Y)
    made.data[17] += 1
    scipy.sparse.save_npz(tmp_path / "A.npz", made, compressed=False)
    assert np.array_equal(A.rmatmat(Y), before)
    with pytest.raises(InputError, match="changed while it was being read"):
        api.tiled(loaded, SerialEngine())


@pytest.mark.parametrize("write", [scipy.sparse.save_npz, lambda name, A: np.savez_compressed(name, A.toarray())])
def test_h12_what_workers_cannot_read_in_parts_is_refused_as_such_and_not_for_memory(cluster, tmp_path, write):
    write(tmp_path / "A.npz", scipy.sparse.random_array((60, 50), density=0.1, rng=np.random.default_rng(0)).tocsr())
    with pytest.raises(UsageError, match="reads, in parts, dense matrices"):
        open_on(cluster, str(tmp_path / "A.npz"), None)


def test_local_workers_say_nothing_of_how_they_manage_their_memory(cluster):
    levels = cluster.everywhere(lambda: logging.getLogger("distributed.worker.memory").getEffectiveLevel())
    assert set(levels.values()) == {logging.CRITICAL}


def test_h11_local_workers_leave_nothing_in_the_temporary_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with local(1, 2 << 30):
        assert list(tmp_path.iterdir())
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("package", ["scipy", "numba", "lowrank-cli"])
def test_h13_workers_of_another_version_are_refused(cluster, package, monkeypatch):
    real = importlib.metadata.version
    monkeypatch.setattr(importlib.metadata, "version", lambda name: "0.0.1" if name == package else real(name))
    with pytest.raises(ClusterError, match=r"has (scipy|numba|lowrank) .* where this process has 0\.0\.1"):
        cluster._compare()


def test_h13_workers_with_threads_in_their_blas_are_refused(cluster, monkeypatch):
    theirs = {"w1": engine.traits() | {"threads": 4}}
    monkeypatch.setattr(cluster, "everywhere", lambda work: theirs)
    with pytest.raises(ClusterError, match="BLAS uses 4 threads; start workers with OPENBLAS_NUM_THREADS=1"):
        cluster._compare()


def test_h14_sums_follow_the_number_of_a_shard_and_not_the_order_it_came_in(cluster):
    home = Home(cluster, 20_000, 8)
    values = np.random.default_rng(0).standard_normal((40, 3)) * 10.0 ** np.arange(40)[:, None]

    def late(i: int):
        import time

        time.sleep(0.02 * (i % 8 == 0) * (5 - i // 8))
        return values[i].copy()

    first = home.total(late)
    assert np.array_equal(first, home.total(lambda i: values[i].copy()))


def test_h15_row_blocks_that_no_worker_has_memory_for_are_refused(path):
    A = api.tiled(open_matrix(path), SerialEngine())
    small = types.SimpleNamespace(task_memory=1 << 20, threads=2)
    with pytest.raises(ClusterError, match="do not fit the 1,048,576 bytes"):
        spread_over(small, A, lambda rows: None)


@pytest.mark.slow
def test_h15_a_worker_that_runs_out_of_memory_is_one_clear_line():
    def hog():
        import time

        import numpy

        kept = [numpy.ones(25 << 20) for _ in range(8)]
        time.sleep(20)
        return len(kept)

    with local(1, 1 << 30) as own, pytest.raises(ClusterError, match="more memory"):
        own.gather([own.submit(hog)])
