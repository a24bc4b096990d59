"""Factors come back from every container bit for bit, and equal factors give equal files."""

import json
import os
import subprocess
import sys
import time
import zipfile

import numpy as np
import pytest
from scipy.sparse import csc_array, csr_array

from lowrank_cli.errors import InputError
from lowrank_cli.factors.interpolative import ColumnID
from lowrank_cli.factors.svd import SVD
from lowrank_cli.formats import saving, zip_writer

from .factor_samples import CASES, REPORT, STORED, SUFFIXES, assert_same, containers, svd, values


@pytest.mark.parametrize(("case", "suffix"), [(case, suffix) for case in CASES for suffix in containers(CASES[case])])
def test_factors_come_back_bit_for_bit(case, suffix, tmp_path):
    path = f"{tmp_path}/f{suffix}"
    saving.save(CASES[case], REPORT, path)
    saved = saving.load_factors(path)
    assert_same(CASES[case], saved.factor)
    assert saved.report == STORED
    assert saved.kind == CASES[case].kind and saved.path == path
    assert all(text.startswith("sha256:") for text in saved.digests.values())


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_nan_payloads_and_infinities_in_factors_keep_their_bits(suffix, tmp_path):
    odd = np.array([0x7FF8DEADBEEF0001, 0x7FF0000000000000, 0x8000000000000000, 1], np.uint64).view(np.float64)
    path = str(tmp_path / f"f{suffix}")
    saving.save(SVD(odd.reshape(4, 1), np.ones(1), odd.reshape(1, 4)), {}, path)
    assert saving.load_factors(path).factor.U.tobytes() == odd.tobytes()


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_rank_zero_factors_come_back(suffix, tmp_path):
    path = str(tmp_path / f"f{suffix}")
    saving.save(SVD(np.zeros((6, 0)), np.zeros(0), np.zeros((0, 5))), {}, path)
    factor = saving.load_factors(path).factor
    assert (factor.U.shape, factor.s.shape, factor.Vh.shape) == ((6, 0), (0,), (0, 5))


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_same_factors_give_same_bytes_however_they_lie_in_memory(suffix, tmp_path):
    factor = CASES["id-sparse-float64"]
    shuffled = csc_array(factor.C)
    wide = csr_array((factor.C.data, factor.C.indices.astype(np.int64), factor.C.indptr.astype(np.int64)), (6, 3))
    swapped = factor.Z.astype(">f8")
    strided = np.repeat(factor.Z, 2, axis=1)[:, ::2]
    twins = [
        ColumnID(factor.cols, factor.C, factor.Z),
        ColumnID(factor.cols, shuffled, np.asfortranarray(factor.Z)),
        ColumnID(factor.cols, wide, swapped),
        ColumnID(factor.cols, factor.C, strided),
    ]
    made = set()
    for number, twin in enumerate(twins):
        path = tmp_path / f"{number}{suffix}"
        saving.save(twin, dict(reversed(REPORT.items())) if number % 2 else REPORT, str(path))
        made.add(path.read_bytes())
    assert len(made) == 1


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_bytes_depend_neither_on_the_clock_nor_on_the_process(suffix, tmp_path):
    script = (
        "import sys, numpy as np\n"
        "from lowrank_cli.formats.saving import save\nfrom lowrank_cli.factors.svd import SVD\n"
        "save(SVD(np.ones((3, 1)), np.ones(1), np.ones((1, 2))), {'b': 1, 'a': 2}, sys.argv[1])\n"
    )
    first, second = tmp_path / f"1{suffix}", tmp_path / f"2{suffix}"
    subprocess.run([sys.executable, "-c", script, first], check=True, env={**os.environ, "TZ": "UTC"})
    time.sleep(max(0.0, 1.1 - (time.time() - first.stat().st_mtime)))
    env = {**os.environ, "TZ": "Asia/Tokyo", "PYTHONHASHSEED": "7"}
    subprocess.run([sys.executable, "-c", script, second], check=True, env=env, cwd=tmp_path)
    assert first.read_bytes() == second.read_bytes()


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_the_run_block_is_not_stored(suffix, tmp_path):
    path = tmp_path / f"f{suffix}"
    saving.save(svd(), {"rank": 2, "run": {"argv": "SECRET"}}, str(path))
    assert saving.load_factors(str(path)).report == {"rank": 2}
    assert b"SECRET" not in path.read_bytes()


def test_npz_is_read_by_numpy(tmp_path):
    path = str(tmp_path / "f.npz")
    factor = CASES["id-sparse-float64"]
    saving.save(factor, REPORT, path)
    with np.load(path, allow_pickle=False) as archive:
        names = ["cols", "C.data", "C.indices", "C.indptr", "C.shape", "Z"]
        assert archive.files == ["meta.json", *names]
        assert np.array_equal(archive["Z"], factor.Z) and archive["cols"].dtype == np.int64
        assert json.loads(archive["meta.json"])["report"] == STORED
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        assert {info.compress_type for info in archive.infolist()} == {zipfile.ZIP_STORED}


def test_h5_is_read_by_h5py_with_its_metadata_as_text(tmp_path):
    import h5py

    path = str(tmp_path / "f.h5")
    saving.save(svd(), REPORT, path)
    with h5py.File(path) as file:
        assert np.array_equal(file["U"][...], svd().U)
        texts = {name: file.attrs[name].decode("utf-8") for name in file.attrs}
    assert texts["kind"] == "svd" and texts["product"] == "U diag(s) Vh" and texts["schema"] == "lowrank.factors/1"
    assert json.loads(texts["report"]) == STORED


@pytest.mark.parametrize("limit", (0, 300, 700))
def test_archives_past_four_gigabytes_use_zip64(limit, tmp_path, monkeypatch):
    # the limit is lowered instead of the file being grown
    monkeypatch.setattr(zip_writer, "ZIP64_FROM", limit)
    path = str(tmp_path / "f.npz")
    saving.save(svd(), REPORT, path)
    assert_same(svd(), saving.load_factors(path).factor)
    with np.load(path) as archive:
        assert np.array_equal(archive["Vh"], svd().Vh)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_large_report_comes_back(suffix, tmp_path):
    report = {"rows": [{"n": n, "x": n / 7} for n in range(20_000)]}
    path = str(tmp_path / f"f{suffix}")
    saving.save(svd(), report, path)
    assert saving.load_factors(path).report == report


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_headers_say_names_types_and_shapes_without_the_values(suffix, tmp_path):
    path = tmp_path / f"f{suffix}"
    # large enough that no read ahead meets the checksum of the archive
    factor = SVD(values((9000, 2), np.float64), np.ones(2), values((2, 5), np.float64))
    saving.save(factor, REPORT, str(path))
    content = bytearray(path.read_bytes())
    content[content.index(factor.U.tobytes("F" if suffix == ".mat" else "C")) + 70_000] ^= 255
    path.write_bytes(content)
    headers = saving.load_headers(str(path))
    assert {name: (a.dtype, a.shape) for name, a in headers.arrays.items()} == {
        "U": ("float64", (9000, 2)),
        "s": ("float64", (2,)),
        "Vh": ("float64", (2, 5)),
    }
    assert headers.report == STORED and headers.kind == "svd"
    with pytest.raises(InputError):
        saving.load_factors(str(path))


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_is_factors_tells_by_content_whatever_the_name(suffix, tmp_path):
    path = tmp_path / f"f{suffix}"
    saving.save(svd(), REPORT, str(path))
    os.rename(path, tmp_path / "plain")
    assert saving.is_factors(str(tmp_path / "plain"))
    assert_same(svd(), saving.load_factors(str(tmp_path / "plain")).factor)
