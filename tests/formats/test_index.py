"""The whole index of the collection of real matrices: each file opens with its shape and leading singular values, or is
refused in one line that says what is wrong with it."""

from __future__ import annotations

import dataclasses
import os
import re
from pathlib import Path

import numpy as np
import pytest

from lowrank_cli.errors import Exit, InputError, LowrankError
from lowrank_cli.formats.opening import list_items, open_matrix

FOLDER = Path(os.environ.get("LOWRANK_DATA") or "missing")
#: Files that hold no matrix we read -> a word of the line that must say why.
REFUSED = {
    "fs_183_6.rua": "Harwell-Boeing", "illc1850.coord": "MatrixMarket", "cegb2802.mtx.gz": "web page",
    "lfs_pointer_bcsstk25.mtx": "git lfs pull", "demo_video.mat": "video.frames (1 x 51 struct)",
    "IL2_tensor.npy": "4-D", "airquality_NA.csv": "line 6, column 2 ('Ozone'): the field is empty",
    "sklearn_iris.csv": "neither names nor numbers", "sklearn_breast_cancer.csv": "line 1 has 4 fields",
    "sklearn_wine_data.csv": "line 1 has 5 fields", "10x_v2_multiple_genomes.h5": "holds 2 matrices",
    "1138_bus_SVD.mat": "S.s (1138 x 1 float64)", "jfk-codes.safetensors": "3-D", "fer2013_mini_XCEPTION.hdf5": "holds",
    "A1B_north_america.nc:air_temperature": "3-D", "lp_80BAU3B.npz:bounds": "never loaded",
}  # fmt: skip
#: The name that the index has for an item -> ours.
ITEMS = {"cora_gnn.npz": "attr", "A1B_north_america.nc": "air_temperature"}
#: Entries of a dense matrix, and of a sparse one, beyond which its singular values take more than a second or so.
DENSE, SPARSE = 1_500_000, 60_000
#: Entries, zeros counted, up to which a sparse matrix goes to LAPACK.
SMALL = 500_000


@dataclasses.dataclass(frozen=True)
class Row:
    """A row of one of the tables with a shape and singular values."""

    file: str
    shape: tuple[int, int]
    nnz: int
    sparse: bool
    item: str | None
    leading: tuple[float, ...]

    @property
    def name(self) -> str:
        return self.file if self.item is None else f"{self.file}:{self.item}"

    @property
    def slow(self) -> bool:
        return self.nnz > SPARSE if self.sparse else self.shape[0] * self.shape[1] > DENSE


def index() -> tuple[list[Row], list[str]]:
    """The rows that give a shape, and the names of all files of the index."""
    path = FOLDER / "INDEX.md"
    cells = (
        [line.split(" | ") for line in path.read_text().splitlines() if line.startswith("| ")] if path.exists() else []
    )
    rows, files = [], []
    for row in cells:
        file = row[0].removeprefix("| ")
        if not row[1].strip().isdigit():
            continue
        files.append(file)
        shape = re.fullmatch(r"(\d+)x(\d+)", row[2].strip())
        if shape:
            key = re.search(r"key=(?:h5:|st:)?(\S+)", row[4])
            item = ITEMS.get(file, key[1] if key and key[1] != "tsvrn" else None)
            leading = tuple(float(value) for value in row[6].split(","))
            rows.append(Row(file, (int(shape[1]), int(shape[2])), int(row[3]), "sparse" in row[4], item, leading))
    return rows, files


ROWS, FILES = index()
OPENED = [row for row in ROWS if row.name not in REFUSED]


@pytest.fixture(autouse=True)
def collection():
    """Skips without the collection; in CI it has to be there."""
    if not FILES:
        if os.environ.get("CI"):
            pytest.fail("CI is set and LOWRANK_DATA is not: the real matrices must be tested here")
        pytest.skip("LOWRANK_DATA does not name the folder of real matrices")


def leading(array, count: int) -> np.ndarray:
    """The largest singular values: by LAPACK of a dense or small matrix, by ARPACK of a sparse one."""
    import scipy.sparse as sp
    from scipy.sparse.linalg import svds

    wide = array.astype(np.complex128 if array.dtype.kind == "c" else np.float64)
    scale = abs(wide).max()
    m, n = wide.shape
    if not sp.issparse(wide):
        Q = np.linalg.qr(wide if m >= n else wide.T, mode="r") if max(m, n) > 2 * min(m, n) else wide
        return np.linalg.svd(Q, compute_uv=False)[:count]
    if m * n <= SMALL or min(m, n) <= count + 1:
        return np.linalg.svd(wide.toarray(), compute_uv=False)[:count]
    start = np.random.default_rng(0).standard_normal(min(m, n))
    found = svds(wide / scale, count, v0=start, ncv=60, return_singular_vectors=False)
    return np.sort(found)[::-1] * scale


@pytest.mark.parametrize(
    "row", [pytest.param(row, id=row.name, marks=[pytest.mark.slow] if row.slow else []) for row in OPENED]
)
def test_an_indexed_file_opens_with_its_shape_and_leading_singular_values(row):
    path = str(FOLDER / row.file)
    loaded = open_matrix(path, row.item)
    stored = loaded.array.nnz if row.sparse else np.count_nonzero(loaded.array)
    assert (loaded.shape, stored) == (row.shape, row.nnz)
    found = leading(loaded.array, len(row.leading))
    # the index prints six digits; below the rounding of the largest there is nothing to compare
    assert np.allclose(found, row.leading, rtol=1e-5, atol=1e-13 * row.leading[0]), found
    (told,) = (item for item in list_items(path)[1] if _same(item.path, loaded.item.path))
    assert told.shape == row.shape


def _same(path: str | None, other: str | None) -> bool:
    return (path or "").strip("/") == (other or "").strip("/")


@pytest.mark.parametrize("name", REFUSED)
def test_a_file_without_a_matrix_of_ours_is_refused_for_its_reason(name):
    with pytest.raises(InputError) as caught:
        open_matrix(str(FOLDER / name))
    assert REFUSED[name] in str(caught.value) and "\n" not in str(caught.value)


def test_every_file_of_the_index_is_opened_or_refused_in_one_line():
    opened = 0
    for file in FILES:
        if file in {row.file for row in ROWS}:
            continue
        for action in (open_matrix, list_items):
            try:
                action(str(FOLDER / file))
            except LowrankError as error:
                assert "\n" not in str(error) and error.exit_code in (Exit.INPUT, Exit.DEPENDENCY), file
            else:
                opened += 1
    assert len(FILES) > 300 and len(OPENED) > 110 and opened > 150
