"""Every .npy and HDF5 file of the collection of real matrices: its indexed shape, or one line of LowrankError."""

from __future__ import annotations

import os
import re
from pathlib import Path

import numpy as np
import pytest

from lowrank_cli.errors import InputError
from lowrank_cli.formats.opening import open_matrix


@pytest.fixture(scope="module")
def data() -> Path:
    folder = os.environ.get("LOWRANK_DATA")
    if not folder:
        if os.environ.get("CI"):
            pytest.fail("CI is set and LOWRANK_DATA is not: the real matrices must be tested here")
        pytest.skip("LOWRANK_DATA does not name the folder of real matrices")
    return Path(folder)


def indexed(data: Path, suffix: str) -> list[tuple[str, tuple[int, int]]]:
    """(file, shape) of the rows of INDEX.md that give a 2-D shape."""
    found = re.findall(r"^\| (\S+) \| \d+ \| (\d+)x(\d+) \|", (data / "INDEX.md").read_text(), re.MULTILINE)
    return [(name, (int(rows), int(cols))) for name, rows, cols in found if name.endswith(suffix)]


def test_every_indexed_npy_opens_with_its_shape_and_numpys_values(data):
    rows = indexed(data, ".npy")
    assert len(rows) >= 15
    for name, shape in rows:
        loaded = open_matrix(str(data / name))
        expected = np.load(data / name, allow_pickle=False)
        assert loaded.shape == shape, name
        assert (loaded.array == expected).all(), name
        assert loaded.array.flags.f_contiguous == expected.flags.f_contiguous or 1 in shape, name


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("gjbex_test.h5", (100, 200)),
        ("pbmc68k_reduced.h5ad:X", (700, 765)),
        ("NCF_GMF_8.h5:/user_embedding/user_embedding_W", (6040, 8)),
        ("10x_v3_filtered_feature_bc_matrix.h5", (507, 1107)),
        ("10x_v2_multiple_genomes.h5:hg19_chr21", (343, 12)),
        ("suite-h5/pytables_smpl_f64be.h5", (6, 5)),
        ("suite-h5/gjbex_small_test.h5", (4, 3)),
        ("suite-h5/jhdf_test_compressed_chunked_datasets_latest.hdf5:float/float32lzf", (7, 5)),
    ],
)
def test_hdf5_files_open_with_their_indexed_shape(data, name, shape):
    assert open_matrix(str(data / name)).shape == shape


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("IL2_tensor.npy", "4-D"),
        ("suite-npy/numpy_py2-objarr.npy", "never loaded"),
        ("suite-npy/numpy_win64python2.npy", "1-D"),
        ("suite-npy/pydmd_input_sample_predict_exact.npy", "no columns"),
        ("lp_80BAU3B.npz:bounds", "never loaded"),
        ("lfs_pointer_bcsstk25.mtx", "git lfs pull"),
        ("NCF_GMF_8.h5", "holds 3 matrices"),
        ("10x_v2_multiple_genomes.h5", "holds 2 matrices"),
        ("suite-h5/gjbex_data.h5", "10 x 10 x 10"),
        ("suite-h5/pytables_smpl_unsupptype.h5:CompoundChunked", "compound"),
        ("suite-h5/jhdf_bitfield_datasets.hdf5:compressed_chunked_2d_bitfield", "bit fields"),
    ],
)
def test_what_is_no_matrix_is_refused_by_name(data, name, words):
    with pytest.raises(InputError, match=words):
        open_matrix(str(data / name))


def test_the_10x_file_equals_its_matrix_market_twin(data):
    h5 = open_matrix(str(data / "10x_v3_filtered_feature_bc_matrix.h5"))
    mtx = open_matrix(str(data / "10x_v3_matrix.mtx.gz"))
    for part in ("data", "indices", "indptr"):
        assert (getattr(h5.array, part) == getattr(mtx.array, part)).all(), part
    assert h5.array.has_canonical_format and mtx.array.has_canonical_format


def test_big_and_little_endian_files_hold_the_same_bits(data):
    for name in ("f64", "i32", "i64"):
        big, little = (open_matrix(str(data / f"suite-h5/pytables_smpl_{name}{end}.h5")).array for end in ("be", "le"))
        assert big.tobytes() == little.tobytes()
