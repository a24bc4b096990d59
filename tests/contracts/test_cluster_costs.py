"""What ``docs/scaling.md`` says a pass on a cluster costs is what is counted, on real workers and simulated ones."""

from __future__ import annotations

import importlib.util
import itertools
import re
import sys

import numpy as np
import pytest
from scipy import sparse

from lowrank_cli import api
from lowrank_cli.engines.threads import SerialEngine
from lowrank_cli.formats.clustered import open_on


@pytest.fixture(scope="module")
def costs(repository):
    spec = importlib.util.spec_from_file_location("cluster_costs", repository / "bench" / "cluster_costs.py")
    module = importlib.util.module_from_spec(spec)
    monkey = pytest.MonkeyPatch()
    # dataclasses look a module up by its name
    monkey.setitem(sys.modules, spec.name, module)
    spec.loader.exec_module(module)
    yield module
    monkey.undo()


@pytest.mark.parametrize("parts", [1, 2, 8, 9, 10, 64, 65, 73, 512, 1000])
def test_the_tasks_of_a_sum_are_counted_as_they_are_made(costs, parts):
    from lowrank_cli.engines.cluster import Cluster

    numbers = itertools.count()
    fake = Cluster.__new__(Cluster)
    fake.submit = lambda *_: next(numbers)
    fake.add(list(range(parts)), 8)
    assert next(numbers) == costs.adds(parts)


@pytest.mark.parametrize("m", [1000, 40_000, 3_000_000])
@pytest.mark.parametrize(("workers", "memory"), [(2, 1 << 30), (100, 1 << 35)])
def test_the_code_that_runs_passes_takes_the_tasks_and_bytes_of_the_model(costs, m, workers, memory):
    cluster, model = costs.simulated(m, 500, 64, "float32", workers, memory)
    assert (cluster.tasks, cluster.gathered) == (model.tasks, model.driver)


def test_real_workers_take_the_tasks_and_bytes_of_the_model(costs, cluster, tmp_path):
    A = np.random.default_rng(0).standard_normal((14_000, 150))
    np.save(tmp_path / "A.npy", A)
    matrix = api.tiled(open_on(cluster, str(tmp_path / "A.npy"), None), SerialEngine())
    tasks, gathered = cluster.tasks, cluster.gathered
    matrix.normal_matmat(np.ones((150, 16)), keep=True)
    model = costs.model(*A.shape, 16, 8, len(matrix.home.shards), cluster.workers)
    assert model.shards > 2
    assert (cluster.tasks - tasks, cluster.gathered - gathered) == (model.tasks, model.driver)


def test_real_workers_take_the_tasks_and_bytes_of_the_model_for_a_sparse_matrix(costs, cluster, tmp_path):
    A = sparse.random_array((14_000, 150), density=0.01, rng=np.random.default_rng(0)).tocsr()
    sparse.save_npz(tmp_path / "A.npz", A, compressed=False)
    matrix = api.tiled(open_on(cluster, str(tmp_path / "A.npz"), None), SerialEngine())
    tasks, gathered = cluster.tasks, cluster.gathered
    matrix.normal_matmat(np.ones((150, 16)), keep=True)
    # a cluster of that many threads has as many shards
    _, model = costs.simulated_sparse(*A.shape, 2, 16, "float64", cluster.threads, 1 << 30)
    assert model.shards == len(matrix.home.shards) > 2
    assert (cluster.tasks - tasks, cluster.gathered - gathered) == (model.tasks, model.driver)


def test_real_workers_take_the_tasks_of_the_model_to_turn_a_matrix_by_columns_and_then_those_of_one_by_rows(
    costs, cluster, tmp_path
):
    A = sparse.random_array((14_000, 150), density=0.01, rng=np.random.default_rng(0)).tocsc()
    sparse.save_npz(tmp_path / "A.npz", A, compressed=False)
    tasks, gathered = cluster.tasks, cluster.gathered
    matrix = api.tiled(open_on(cluster, str(tmp_path / "A.npz"), None), SerialEngine())
    shards = len(matrix.home.shards)
    assert cluster.tasks - tasks == costs.turning(cluster.threads, shards)
    # a pointer of each shard: this process knows how many entries a row has
    assert cluster.gathered - gathered == 8 * (14_000 + shards)
    tasks, gathered = cluster.tasks, cluster.gathered
    matrix.normal_matmat(np.ones((150, 16)), keep=True)
    _, model = costs.simulated_sparse(*A.shape, 2, 16, "float64", cluster.threads, 1 << 30)
    assert model.shards == shards > 2
    assert (cluster.tasks - tasks, cluster.gathered - gathered) == (model.tasks, model.driver)


@pytest.mark.slow
def test_the_page_has_the_numbers_of_the_simulation_for_sparse_matrices(costs, repository):
    page = (repository / "docs" / "scaling.md").read_text()
    number = r"\| ([\d,]+) "
    rows = re.findall(rf"^{number * 4}\| ([\d.]+) GB \| ([\d.]+) GB \| (\d+) MB {number}\|$", page, re.M)
    assert len(rows) == 3
    for row in rows:
        workers, entries, shards, tasks, turned = (int(row[i].replace(",", "")) for i in (0, 1, 2, 3, 7))
        read, moved, driver = row[4:7]
        cluster, model = costs.simulated_sparse(10**6, 10**6, entries, 192, "float32", workers, 32 << 30)
        assert (model.shards, cluster.tasks, model.tasks) == (shards, tasks, tasks)
        assert model.read / 1e9 == pytest.approx(float(read), abs=0.005)
        assert model.moved / 1e9 == pytest.approx(float(moved), abs=0.05)
        assert model.driver / 1e6 == cluster.gathered / 1e6 == float(driver)
        cluster, model = costs.simulated_turning(10**6, 10**6, entries, workers, 32 << 30)
        assert cluster.tasks == model == turned


@pytest.mark.slow
def test_the_page_has_the_numbers_of_the_simulation(costs, repository):
    page = (repository / "docs" / "scaling.md").read_text()
    rows = re.findall(
        r"^\| (\d+) GiB \| ([\d,]+) \| ([\d,]+) \| ([\d.]+) GB \| ([\d.]+) GB \| ([\d.]+) MB \|", page, re.M
    )
    assert len(rows) >= 2
    for memory, shards, tasks, read, moved, driver in rows:
        cluster, model = costs.simulated(10**9, 10**4, 192, "float32", 1000, int(memory) << 30)
        assert (f"{model.shards:,}", f"{cluster.tasks:,}") == (shards, tasks)
        assert (model.read / 1e9, model.moved / 1e9) == (
            pytest.approx(float(read)),
            pytest.approx(float(moved), abs=0.05),
        )
        assert model.driver / 1e6 == pytest.approx(float(driver), abs=0.05)
