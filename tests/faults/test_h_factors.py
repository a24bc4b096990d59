"""Rows H18 and H20: factors put together from two runs, and those of every release so far."""

from __future__ import annotations

import json
import shutil
import zipfile

import numpy as np
import pytest
from formats.factor_samples import SUFFIXES

from lowrank_cli import approx
from lowrank_cli.errors import DamagedError
from lowrank_cli.formats import saving


def test_h18_a_folder_with_an_array_of_another_run_is_damaged(tmp_path):
    A = np.random.default_rng(0).standard_normal((12, 9))
    for name, scale in (("F", 1.0), ("G", 2.0)):
        outcome = approx(A * scale, rank=2)
        saving.save(outcome.factor, {"rank": 2}, f"{tmp_path}/{name}/")
    for name in ("U.npy", "s.npy", "meta.json"):
        shutil.copytree(tmp_path / "F", tmp_path / "H")
        changed = (tmp_path / "H" / name).read_bytes() != (tmp_path / "G" / name).read_bytes()
        shutil.copy(tmp_path / "G" / name, tmp_path / "H" / name)
        # a scale of two leaves U as it was: then nothing was put together
        if changed:
            with pytest.raises(DamagedError):
                saving.load_factors(f"{tmp_path}/H/")
        shutil.rmtree(tmp_path / "H")
    assert (tmp_path / "F" / "s.npy").read_bytes() != (tmp_path / "G" / "s.npy").read_bytes()


def test_h18_an_archive_with_a_member_of_another_run_is_damaged(tmp_path):
    for name, scale in (("F", 1.0), ("G", 2.0)):
        outcome = approx(np.random.default_rng(0).standard_normal((12, 9)) * scale, rank=2)
        saving.save(outcome.factor, {"rank": 2}, f"{tmp_path}/{name}.npz")
    with zipfile.ZipFile(tmp_path / "F.npz") as F, zipfile.ZipFile(tmp_path / "G.npz") as G:
        with zipfile.ZipFile(tmp_path / "H.npz", "w") as H:
            for name in F.namelist():
                H.writestr(name, (G if name == "s.npy" else F).read(name))
    with pytest.raises(DamagedError):
        saving.load_factors(f"{tmp_path}/H.npz")


@pytest.mark.parametrize("suffix", [*SUFFIXES, "/"])
@pytest.mark.parametrize("kind", ["svd", "id"])
def test_h20_the_factors_of_a_release_are_read_for_ever(kind, suffix, repository):
    folder = repository / "tests" / "data" / "0.1.0"
    saved = saving.load_factors(f"{folder / kind}{suffix}")
    wanted = json.loads((folder / "arrays.json").read_text())[kind]
    arrays = saved.factor.arrays()
    assert {name: np.asarray(array).tolist() for name, array in arrays.items()} == wanted
    assert saved.report == {"rank": 2, "made": "0.1.0"} and saved.kind == kind
