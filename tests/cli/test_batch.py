"""Several inputs in one run: order, failures, names of outputs, and that nothing depends on how many at a time."""

from __future__ import annotations

import json

import h5py
import numpy as np
import pytest

from lowrank_cli import memory
from lowrank_cli.errors import ResourceError


@pytest.fixture
def files(tmp_path) -> list[str]:
    paths = [str(tmp_path / f"{name}.npy") for name in "cabd"]
    for i, path in enumerate(paths):
        np.save(path, np.random.default_rng(i).standard_normal((9 + i, 7)))
    return paths


@pytest.fixture
def layers(tmp_path) -> str:
    path = str(tmp_path / "model.h5")
    with h5py.File(path, "w") as file:
        for i in range(3):
            file[f"layers/{i}/W"] = np.random.default_rng(i).standard_normal((6, 5))
            file[f"layers/{i}/b"] = np.zeros(6)
        file["head"] = np.ones((4, 3))
        file["names"] = np.array([[b"a", b"b"]], dtype="S1")
    return path


def reports(result) -> list[dict]:
    return [json.loads(line) for line in result.out.splitlines()]


@pytest.mark.parametrize("face", [["--json"], ["--report", "jsonl"]])
@pytest.mark.parametrize("jobs", ["1", "3"])
@pytest.mark.parametrize("verb", ["approx", "spectrum", "info"])
def test_several_inputs_are_one_object_a_line_in_the_order_given(lowrank, files, verb, jobs, face):
    many = [] if verb == "info" else ["--jobs", jobs]
    done = lowrank(verb, *files, *many, *face)
    assert done.code == 0 and done.err == ""
    told = reports(done)
    assert [one["run"]["input_path"] for one in told] == files
    assert {one["command"] for one in told} == {verb}


def test_one_input_is_told_as_before(lowrank, files):
    assert lowrank("approx", files[0], "--json", "--jobs", "4").out.startswith("{\n")
    assert "of 1 inputs" not in lowrank("approx", files[0]).out


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_the_first_failure_ends_the_batch_with_its_code(lowrank, files, tmp_path, jobs):
    missing = str(tmp_path / "missing.npy")
    done = lowrank("approx", files[0], missing, *files[1:], "--json", "--jobs", jobs)
    first, failed = reports(done)
    assert done.code == 4 and first["run"]["input_path"] == files[0]
    assert failed["error"] == {"message": f"{missing}: no such file", "exit": 4}
    assert failed["run"]["input_path"] == missing
    assert done.err == f"lowrank: error: {missing}: no such file\n"


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_keep_going_tells_all_and_exits_1(lowrank, files, tmp_path, jobs):
    bad = tmp_path / "bad.npy"
    bad.write_bytes(b"\x93NUMPY")
    done = lowrank("approx", files[0], str(bad), files[1], str(bad), "--json", "--keep-going", "--jobs", jobs)
    told = reports(done)
    assert done.code == 1 and done.err.count("\n") == 2
    assert ["error" in one and "message" in one["error"] for one in told] == [False, True, False, True]


@pytest.mark.parametrize("face", ["table", "md", "tsv", "csv"])
def test_every_face_tells_what_failed_beside_what_was_done(lowrank, files, tmp_path, face):
    done = lowrank("approx", files[0], str(tmp_path / "no.npy"), files[1], "--keep-going", "--report", face)
    assert done.code == 1
    assert "failed" in done.out and files[1].replace("_", r"\_" if face == "md" else "_") in done.out


def test_people_get_one_table(lowrank, files):
    out = lowrank("approx", *files).out
    assert out.count("smaller") == 1 and out.startswith("lowrank approx of 4 inputs\n") and "4 of 4 done" in out
    assert lowrank("spectrum", *files).out.startswith("lowrank spectrum of 4 inputs\n")


def test_tsv_of_several_spectra_names_the_matrix_of_each_value(lowrank, files):
    header, *lines = (line.split("\t") for line in lowrank("spectrum", *files, "--report", "tsv").out.splitlines())
    assert header[:2] == ["index", "value"]
    assert [line[header.index("file")] for line in lines] == [path for path in files for _ in range(7)]


def test_an_error_that_names_no_file_is_given_the_name_of_its_input(lowrank, library, files):
    library.error = ValueError("what")
    done = lowrank("approx", *files[:2], "--keep-going")
    assert [f"{path}: internal error" in line for path, line in zip(files, done.err.splitlines(), strict=False)] == [
        True,
        True,
    ]


def test_a_missed_tolerance_does_not_end_the_batch_and_exits_3(lowrank, library, files):
    from lowrank_cli.algorithms.outcome import Status

    library.status = Status.RANK_REACHED
    done = lowrank("approx", *files, "--rtol", "1e-9", "--json")
    assert done.code == 3 and len(reports(done)) == 4
    assert done.err.count("\n") == 4 and files[3] in done.err


def test_a_pattern_of_items_is_every_matrix_that_fits(lowrank, layers):
    done = lowrank("approx", f"{layers}:layers/*", "--json")
    assert [one["input"]["item"] for one in reports(done)] == [f"/layers/{i}/W" for i in range(3)]
    assert "left out: /layers/0/b" in done.err and done.err.count("\n") == 1
    assert [one["input"]["item"] for one in reports(lowrank("approx", layers, "-d", "*W", "--json"))] == [
        f"/layers/{i}/W" for i in range(3)
    ]
    everything = reports(lowrank("spectrum", f"{layers}:*", "--json"))
    assert {one["input"]["item"] for one in everything} == {"/head", *(f"/layers/{i}/W" for i in range(3))}


def test_a_pattern_that_fits_nothing_is_an_input_error(lowrank, layers):
    done = lowrank("approx", f"{layers}:tail*")
    assert done.code == 4 and done.err.count("\n") == 1 and "tail*" in done.err


def test_an_item_whose_name_is_a_pattern_wins(lowrank, tmp_path):
    np.savez(tmp_path / "a.npz", **{"w*": np.ones((3, 2)), "wx": np.zeros((4, 2))})
    (report,) = [json.loads(lowrank("approx", str(tmp_path / "a.npz:w*"), "--json").out)]
    assert report["input"]["shape"] == [3, 2]


@pytest.mark.parametrize("jobs", ["1", "3"])
def test_outputs_are_named_by_their_inputs(lowrank, files, layers, tmp_path, jobs):
    assert lowrank("approx", *files, "-o", str(tmp_path / "{stem}.F.h5"), "--jobs", jobs, "-q").code == 0
    assert sorted(p.name for p in tmp_path.glob("*.F.h5")) == [f"{name}.F.h5" for name in "abcd"]
    assert lowrank("approx", *files, "-o", "{dir}/{stem}.npz", "-q").code == 0
    assert lowrank("approx", f"{layers}:*W", "-o", str(tmp_path / "{stem}-{item}.npz"), "-q").code == 0
    assert (tmp_path / "model-layers.0.W.npz").exists()
    assert lowrank("spectrum", *files[:2], "--plot", "{dir}/{stem}.svg", "-q").code == 0
    assert (tmp_path / "c.svg").exists() and (tmp_path / "a.svg").exists()


def test_any_number_of_jobs_writes_the_same_files(lowrank, files, tmp_path):
    for jobs in ("1", "2", "4"):
        (tmp_path / jobs).mkdir()
        for suffix in ("h5", "npz"):
            done = lowrank("approx", *files, "-o", str(tmp_path / jobs / f"{{stem}}.{suffix}"), "--jobs", jobs, "-q")
            assert done.code == 0, done.err
    for one in (tmp_path / "1").iterdir():
        for jobs in ("2", "4"):
            assert one.read_bytes() == (tmp_path / jobs / one.name).read_bytes()


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["-o", "all.h5"], "would be the same file"),
        (["-o", "-"], "would be the same file"),
        (["-o", "{item}.h5"], "names no item"),
        (["-o", "{stem}.txt"], "suffix"),
        (["-o", "{dir}/{stem}.npy", "--part", "U"], "same file"),
        (["--jobs", "0"], "--jobs"),
        (["--left", "-"], "only once"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_computed(lowrank, library, files, more, words):
    done = lowrank("approx", *files, *more)
    assert done.code == 2 and words in done.err and done.err.count("\n") == 1
    assert not library.jobs


def test_an_output_that_exists_is_refused_for_all_before_any_is_computed(lowrank, library, files, tmp_path):
    (tmp_path / "d.h5").write_bytes(b"old")
    done = lowrank("approx", *files, "-o", str(tmp_path / "{stem}.h5"), "--no-clobber")
    assert done.code == 5 and not library.jobs and (tmp_path / "d.h5").read_bytes() == b"old"


def test_what_does_not_fit_beside_others_is_tried_again_alone(lowrank, library, files):
    real = library.run

    def run(job, matrix, companions, **more):
        if memory._sharers > 1 and matrix.source == files[1]:
            raise ResourceError("no room")
        return real(job, matrix, companions, **more)

    from lowrank_cli import api

    api.run = run
    done = lowrank("approx", *files, "--jobs", "2", "--json")
    assert done.code == 0 and [one["run"]["input_path"] for one in reports(done)] == files


def test_jobs_share_what_memory_there_is(monkeypatch):
    monkeypatch.setattr(memory, "_system_memory", lambda: 1000)
    monkeypatch.setattr(memory.cgroups, "memory_left", lambda: None)
    monkeypatch.setattr(memory, "_address_space", lambda: None)
    with memory.shared_by(4):
        assert memory.available_memory() == 250
        with memory.shared_by(1):
            assert memory.available_memory() == 1000
    assert memory.available_memory() == 1000


def test_verify_takes_several_and_exits_8_when_one_does_not_hold(lowrank, files, tmp_path, monkeypatch):
    from lowrank_cli.analysis import verify

    lowrank("approx", *files[:2], "-k", "2", "-o", "{dir}/{stem}.npz", "-q")
    saved = [path.replace(".npy", ".npz") for path in files[:2]]
    verdicts = iter([False, True, True, False, True])
    monkeypatch.setattr(
        verify, "verify", lambda *args, **more: {"claimed": 0.25, "measured": 0.5, "holds": next(verdicts)}
    )
    done = lowrank("verify", *saved, "--against", files[0], "--json")
    assert done.code == 8 and [one["holds"] for one in reports(done)] == [False, True]
    table = lowrank("verify", *saved, "--against", files[0])
    assert table.code == 8 and "does not hold" in table.out and "2 of 2 done" in table.out
    assert lowrank("verify", saved[0], str(tmp_path / "none.npz"), "--keep-going").code == 1
