"""What ``lowrank doctor`` says, and what it does about an installation that is broken."""

from __future__ import annotations

import importlib
import json

import numpy as np
import pytest

from lowrank_cli.analysis import doctor


def checks(report: dict) -> dict[str, dict]:
    return {check["name"]: check for check in report["checks"]}


def test_a_sound_installation_is_healthy(lowrank):
    result = lowrank("doctor", "--json")
    report = json.loads(result.out)
    assert result.code == 0 and report["healthy"] and report["command"] == "doctor"
    found = checks(report)
    assert found["bits"]["value"] == "the same"
    assert found["numpy"]["value"] == np.__version__ and found["LAPACK"]["value"] == "right"
    assert {"lowrank", "python", "BLAS", "HDF5", "kernel cache", "cores", "free memory", "extra dask"} <= set(found)


@pytest.mark.parametrize("face", ["table", "tsv", "csv", "md", "jsonl"])
def test_every_face_has_a_line_a_check(lowrank, face):
    result = lowrank("doctor", "--report", face)
    assert result.code == 0 and "threadpoolctl" in result.out and "LAPACK" in result.out


def test_g17_an_old_library_is_broken_and_exits_with_1(lowrank, monkeypatch):
    true_version = doctor.importlib.metadata.version
    monkeypatch.setattr(
        doctor.importlib.metadata, "version", lambda name: "1.25.2" if name == "numpy" else true_version(name)
    )
    result = lowrank("doctor", "--json")
    numpy = checks(json.loads(result.out))["numpy"]
    assert result.code == 1 and numpy["state"] == "broken" and "older than 2.3" in numpy["note"]
    assert "1 broken" in lowrank("doctor").out


def test_a_library_that_does_not_load_is_named_with_its_reason(monkeypatch):
    def load(name):
        if name == "h5py":
            raise ImportError("libhdf5.so is gone")
        return importlib.__import__(name)

    monkeypatch.setattr(doctor.importlib, "import_module", load)
    found = checks(doctor.doctor())
    assert found["h5py"] == {
        "name": "h5py",
        "value": "cannot be loaded",
        "note": "ImportError: libhdf5.so is gone",
        "state": "broken",
    }


def test_a_lapack_that_lies_is_found(monkeypatch):
    true_svd = np.linalg.svd
    monkeypatch.setattr(np.linalg, "svd", lambda A, **how: 1.001 * true_svd(A, **how))
    found = checks(doctor.doctor())["LAPACK"]
    assert found["value"] == "WRONG" and found["state"] == "broken"


def test_what_slows_or_changes_every_run_is_named(monkeypatch):
    found = checks(
        doctor.doctor({"PYTHONDONTWRITEBYTECODE": "1", "OPENBLAS_CORETYPE": "Haswell", "HOME": "/nonexistent"})
    )
    assert found["PYTHONDONTWRITEBYTECODE"]["state"] == found["OPENBLAS_CORETYPE"]["state"] == "warning"
    assert found["kernel cache"]["value"] == "none" and "XDG_CACHE_HOME" in found["kernel cache"]["note"]


def test_a_missing_extra_says_what_installs_it():
    def version(name):
        raise doctor.importlib.metadata.PackageNotFoundError(name)

    lines = {line[0]: line[1:] for line in doctor._extras(version)}
    assert lines["extra zarr"] == ("not installed", "pip install 'lowrank-cli[zarr]'")
    assert not {"extra dev", "extra all", "extra fuzz"} & set(lines)


@pytest.mark.parametrize(("text", "parts"), [("2.0.0", (2, 0, 0)), ("1.14.4rc1", (1, 14, 4)), ("", ()), ("x", ())])
def test_versions_compare_by_their_numbers(text, parts):
    assert doctor.numbers(text) == parts


def test_the_oldest_versions_are_those_of_the_package():
    known = {name: (least, below) for name, least, below in doctor.requirements()}
    # an editable install keeps those of the day it was made: the last digits may differ
    assert known["numpy"][0].startswith("2.3") and known["numpy"][1] == ""
    assert known["typer"][0].startswith("0.2") and known["typer"][1] == "0.29"
