"""Matrix Market files made by others: read as their index says and as SciPy reads them, or refused."""

import numpy as np
import pytest
import scipy.io

from lowrank_cli.errors import InputError
from lowrank_cli.formats import mtx

from .mtx_read import dense

#: refused, and what the message says of why
REFUSED = {
    "cegb2802.mtx.gz": "web page",
    "lfs_pointer_bcsstk25.mtx": "git lfs pull",
    "suite-mtx/cholmod_mangle1.mtx": "'junk' in the banner",
    "suite-mtx/cholmod_mangle2.mtx": "'junk' in the banner",
    "suite-mtx/cholmod_mangle3.mtx": "'junk' in the banner",
    "suite-mtx/cholmod_mangle4.mtx": "'junk' in the banner",
    "suite-mtx/comments_west0067.mtx": "line 6: value 'nan'",
    "suite-mtx/full_noheader.mtx": "no Matrix Market banner",
    "suite-mtx/gensim_test_corpus_ok.mm": "line 12: one entry more than the 9",
    "suite-mtx/gensim_test_mmcorpus_no_index.mm": "after 22 of the 28 entries",
    "suite-mtx/mangled1.mtx": "'mangled' in the banner",
    "suite-mtx/mangled2.mtx": "'mangled' in the banner",
    "suite-mtx/mangled3.mtx": "'mangled' in the banner",
    "suite-mtx/mangled4.mtx": "'mangled' in the banner",
    "suite-mtx/mangled5.mtx": "pattern cannot be hermitian",
    "suite-mtx/mangled6.mtx": "hermitian needs complex",
    "suite-mtx/mangled7.mtx": "line 5: 2 columns where 3 are due",
    "suite-mtx/mangled8.mtx": "line 4: the size line",
    "suite-mtx/mangled10.mtx": "after 2 of the 3 entries",
    "suite-mtx/mangled11.mtx": "line 5: column index 'zero'",
    "suite-mtx/mangled13.mtx": "line 7: column index '9999'",
    "suite-mtx/matrix_fp32.mtx": "line 7: value '-inf'",
    "suite-mtx/matrix_fp64.mtx": "line 7: value '-inf'",
    "suite-mtx/skew_fp32.mtx": "line 5: value 'inf'",
    "suite-mtx/spqr_a04.mtx": "it has no rows",
    "suite-mtx/spqr_a2.mtx": "0-based",
    "suite-mtx/spqr_c2.mtx": "0-based",
    "suite-mtx/spqr_c32.mtx": "0-based",
    "suite-mtx/spqr_r2.mtx": "0-based",
    "suite-mtx/spqr_s32.mtx": "0-based",
    "suite-mtx/west0067_noheader.mtx": "no Matrix Market banner",
}


def indexed(folder) -> dict[str, list[str]]:
    """Rows of INDEX.md by file name."""
    rows = (line.strip().strip("|").split(" | ") for line in (folder / "INDEX.md").read_text().splitlines())
    return {row[0].strip(): [cell.strip() for cell in row] for row in rows if len(row) > 3}


def files(folder) -> list[str]:
    found = [path for sub in (folder, folder / "suite-mtx") for path in sub.iterdir()]
    return sorted(str(p.relative_to(folder)) for p in found if p.name.endswith((".mtx", ".mtx.gz", ".mm")))


def test_every_file_is_read_as_indexed_and_as_scipy_reads_it_or_is_refused(data):
    folder = data("INDEX.md").parent
    rows = indexed(folder)
    names = files(folder)
    assert len(names) > 100
    for name in names:
        path = str(folder / name)
        if name in REFUSED:
            with pytest.raises(InputError) as caught:
                mtx.load(path)
            assert REFUSED[name] in str(caught.value) and str(caught.value).startswith(f"{path}: "), name
            continue
        loaded = mtx.load(path)
        theirs = scipy.io.mmread(path)
        if loaded.item.nnz is None:
            assert (loaded.array == theirs).all(), name
        else:
            theirs = theirs.tocsr()
            theirs.sum_duplicates()
            assert loaded.array.has_canonical_format and loaded.array.shape == theirs.shape, name
            for part in ("indptr", "indices", "data"):
                assert np.array_equal(getattr(loaded.array, part), getattr(theirs, part)), name
        if not name.startswith("suite"):
            row = rows[name]
            assert "{}x{}".format(*loaded.shape) == row[2], name
            assert str(np.count_nonzero(loaded.array) if loaded.item.nnz is None else loaded.item.nnz) == row[3], name
        (item,) = mtx.items(path)
        assert (item.shape, item.dtype, item.detail) == (loaded.shape, loaded.item.dtype, loaded.item.detail), name


def test_every_file_is_read_alike_from_a_pipe(data):
    folder = data("INDEX.md").parent
    for name in files(folder):
        if name in REFUSED or (folder / name).stat().st_size > 100_000:
            continue
        with open(folder / name, "rb", buffering=0) as raw:
            # read_exact is what a pipe gets
            raw.seekable = lambda: False
            piped = mtx.load_stream(raw, name)
        file = mtx.load(str(folder / name))
        assert dense(piped).tobytes("A") == dense(file).tobytes("A") and piped.notes == file.notes, name
