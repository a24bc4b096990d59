"""MATLAB files of every version: what SciPy and MATLAB wrote is read to the bit, and what is no matrix is named."""

from __future__ import annotations

import io
import struct
import zlib

import h5py
import numpy as np
import pytest
import scipy.io
import scipy.sparse as sp

from lowrank_cli.errors import InputError, ResourceError
from lowrank_cli.formats import mat4, mat5, working
from lowrank_cli.formats.opening import list_items, open_matrix

A = np.random.default_rng(17).standard_normal((6, 4))
SPARSE = sp.csc_array(np.where(A > 0.4, A, 0))


def refusal(path, item: str | None = None) -> str:
    with pytest.raises(InputError) as caught:
        open_matrix(str(path), item)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def saved(path, version: str, **arrays) -> str:
    """A file of SciPy's: v4, v6 (nothing packed) or v7 (packed)."""
    how = {"v4": {"format": "4"}, "v6": {}, "v7": {"do_compression": True}}[version]
    scipy.io.savemat(path, arrays, **how)
    return str(path)


def test_a_double_that_is_stored_for_a_single_and_too_large_is_infinite_without_a_warning(tmp_path, recwarn):
    path = saved(tmp_path / "a.mat", "v6", A=np.full((3, 2), 1e300))
    content = bytearray((tmp_path / "a.mat").read_bytes())
    flags = content.index(struct.pack("<II", 6, 8)) + 8
    content[flags] = 7
    (tmp_path / "a.mat").write_bytes(content)
    loaded = open_matrix(path)
    assert loaded.array.dtype == np.float32 and np.isinf(loaded.array).all() and not recwarn.list


def test_a_file_of_very_many_variables_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(mat4, "MAX_VARIABLES", 3)
    monkeypatch.setattr(mat5, "MAX_VARIABLES", 3)
    fields = {f"f{k}": A for k in range(4)}
    for version, most, more in [("v4", dict(list(fields.items())[:3]), fields), ("v7", {"f0": A}, {"P": fields})]:
        assert (open_matrix(saved(tmp_path / "a.mat", version, **most), "f0").array == A).all()
        assert "more than 3 variables" in refusal(saved(tmp_path / "b.mat", version, **more))


def test_a_field_whose_name_is_longer_than_names_are_is_refused(tmp_path):
    path = saved(tmp_path / "a.mat", "v6", P={f"{'f' * 20}{k}": A for k in range(10, 30)})
    content = (tmp_path / "a.mat").read_bytes()
    width = struct.pack("<HHI", 5, 4, 23)
    assert content.count(width) == 1
    # twenty names become one
    (tmp_path / "a.mat").write_bytes(content.replace(width, struct.pack("<HHI", 5, 4, 460)))
    assert "field names of 460 bytes in pieces of 460" in refusal(path)


@pytest.mark.parametrize(("version", "what"), [("v4", "the 8 x 3 matrix"), ("v7", "a list of 7 indices")])
def test_the_indices_of_a_sparse_matrix_are_not_read_where_memory_is_short(tmp_path, monkeypatch, version, what):
    path = saved(tmp_path / "a.mat", version, S=SPARSE[:, :3])
    monkeypatch.setattr(working, "available_memory", lambda: 20)
    with pytest.raises(ResourceError, match=what):
        open_matrix(path)


CLASSES = ["f8", "f4", "c16", "i2", "u1", "i4", "u2"]


@pytest.mark.parametrize("version", ["v4", "v6", "v7"])
@pytest.mark.parametrize("dtype", [*CLASSES, "c8", "i1", "u4", "i8", "u8", "?"])
def test_every_class_of_numbers_is_read_to_the_bit(tmp_path, version, dtype):
    if version == "v4" and dtype not in CLASSES:
        pytest.skip("version 4 has no such class")
    array = (9 * A if dtype != "?" else A > 0).astype(dtype)
    loaded = open_matrix(saved(tmp_path / "a", version, A=array))
    assert (loaded.array == array).all() and loaded.array.flags.f_contiguous
    assert loaded.array.dtype == {"f4": "f4", "c8": "c8", "c16": "c16"}.get(dtype, "f8")
    assert loaded.item.path == "A" and loaded.item.shape == (6, 4)
    # version 5 has one class for booleans and bytes, with a flag; version 4 none for booleans
    assert version == "v4" or loaded.item.dtype == np.dtype(dtype).name


@pytest.mark.parametrize("version", ["v4", "v6", "v7"])
@pytest.mark.parametrize("dtype", ["f8", "c16"])
def test_sparse_matrices_are_read_to_the_bit(tmp_path, version, dtype):
    matrix = (SPARSE * (1 + 2j)).astype(dtype) if dtype == "c16" else SPARSE
    loaded = open_matrix(saved(tmp_path / "a.mat", version, S=matrix))
    assert loaded.array.has_canonical_format and (loaded.array != sp.csr_array(matrix)).nnz == 0
    assert loaded.item.nnz == SPARSE.nnz and loaded.item.dtype == np.dtype(dtype).name


@pytest.mark.parametrize("version", ["v6", "v7"])
def test_fields_of_structs_are_items_and_what_is_no_matrix_is_named(tmp_path, version):
    path = saved(
        tmp_path / "a.mat", version,
        P={"A": SPARSE, "b": A[:, :1], "deep": {"B": A}, "name": "text"}, many=np.array([{"x": 1}, {"x": 2}]),
        cell=np.array([A, "x"], dtype=object), word="hello", n=3.0, T=np.zeros((2, 3, 4)),
    )  # fmt: skip
    shapes = {item.path: item.shape for item in list_items(path)[1]}
    assert (
        shapes["P.A"] == (6, 4) and shapes["P.b"] == (6, 1) and shapes["P.deep.B"] == (6, 4) and shapes["n"] == (1, 1)
    )
    assert f"{path}:P.A (6 x 4 float64), {path}:P.deep.B (6 x 4 float64)" in refusal(path)
    assert (open_matrix(f"{path}:P.A").array.toarray() == SPARSE.toarray()).all()
    assert (open_matrix(f"{path}:P.deep.B").array == A).all()
    assert (open_matrix(f"{path}:P.b").array == A[:, :1]).all()
    assert open_matrix(f"{path}:n").array.tolist() == [[3.0]]
    for item, words in {
        "P.name": "holds text", "word": "holds text", "cell": "holds cells", "T": "3-D", "P": "no 'P'", "Q": "no 'Q'"
    }.items():  # fmt: skip
        assert words in refusal(path, item)


@pytest.mark.parametrize("version", ["v4", "v6", "v7"])
def test_the_only_matrix_beside_scalars_and_vectors_is_used_and_named(tmp_path, version):
    path = saved(tmp_path / "a.mat", version, x=1.0, v=A[:1], A=A, w=A[:, :1])
    loaded = open_matrix(path)
    assert (loaded.array == A).all() and loaded.notes == (f"using {path}:A",)
    assert (open_matrix(f"{path}:w").array == A[:, :1]).all()
    assert [item.path for item in list_items(path)[1] if item.candidate] == ["A"]
    assert "no matrix" in refusal(saved(tmp_path / "a.mat", version, x=1.0, v=A[:1]))


def test_integers_beyond_float64_are_counted(tmp_path):
    path = saved(tmp_path / "a.mat", "v7", A=np.array([[2**53 + 1, 1], [3, 4]], dtype="i8"))
    assert any("1 value is not exact" in note for note in open_matrix(path).notes)


def element(kind: int, data: bytes) -> bytes:
    return struct.pack("<II", kind, len(data)) + data + bytes(-len(data) % 8)


def matrix(dims, body: bytes, flags: int = 6, name: bytes = b"A") -> bytes:
    inside = element(6, struct.pack("<II", flags, 4)) + element(5, struct.pack(f"<{len(dims)}i", *dims))
    return element(14, inside + element(1, name) + body)


def five(*elements: bytes) -> bytes:
    return b"MATLAB 5.0 MAT-file".ljust(124) + b"\x00\x01IM" + b"".join(elements)


VALUES = np.arange(6.0)


def test_a_file_made_by_hand_after_the_format_document_is_read(tmp_path):
    path = tmp_path / "a.mat"
    path.write_bytes(five(matrix((2, 3), element(9, VALUES.tobytes()))))
    assert open_matrix(str(path)).array.tolist() == [[0, 2, 4], [1, 3, 5]]
    # a class of doubles may be stored in bytes, and short ones in the tag itself
    path.write_bytes(five(matrix((2, 2), struct.pack("<HH4B", 2, 4, 1, 2, 3, 4))))
    assert open_matrix(str(path)).array.tolist() == [[1, 3], [2, 4]]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (matrix((2, 4), element(9, VALUES.tobytes())), "48 bytes where 8 values"),
        (matrix((2, 2), element(9, VALUES.tobytes())), "48 bytes where 4 values"),
        (matrix((2**30, 2**30), element(9, VALUES.tobytes())), "bytes where"),
        (matrix((-2, -3), element(9, VALUES.tobytes())), "negative dimension"),
        (matrix((2, 3), element(99, VALUES.tobytes())), "of type 99"),
        (matrix((2, 3), struct.pack("<II", 9, 2**31) + VALUES.tobytes()), "element of"),
        (matrix((2,), element(9, VALUES.tobytes())), "dimensions"),
        (matrix((2, 3), element(9, VALUES.tobytes()))[:-8], "element of"),
        (element(15, b"not deflated"), "cannot be unpacked"),
        (element(15, zlib.compress(matrix((2, 3), element(9, VALUES.tobytes())))[:-4]), "too early"),
        (element(15, zlib.compress(matrix((2, 3), element(9, VALUES.tobytes())) + b"more")), "behind its end"),
        (element(5, b"1234"), "where a variable belongs"),
        (b"1234", "element of"),
    ],
)
def test_what_a_tag_says_is_checked_before_it_is_believed(tmp_path, content, words):
    path = tmp_path / "a.mat"
    path.write_bytes(five(content))
    assert words in refusal(path, "A")


def test_indices_of_a_sparse_matrix_are_checked(tmp_path):
    def content(rows, pointers, values) -> bytes:
        body = element(5, np.array(rows, "i4").tobytes()) + element(5, np.array(pointers, "i4").tobytes())
        return five(matrix((3, 2), body + element(9, np.array(values, "f8").tobytes()), flags=5))

    path = tmp_path / "a.mat"
    path.write_bytes(content([0, 2, 9], [0, 1, 2], [5, 6, 7]))  # room for one more than there are
    assert open_matrix(str(path)).array.toarray().tolist() == [[5, 0], [0, 0], [0, 6]]
    for rows, pointers, values in (
        ([0, 3], [0, 1, 2], [5, 6]), ([0, -1], [0, 1, 2], [5, 6]), ([0, 1], [0, 2, 1], [5, 6]),
        ([0, 1], [0, 1], [5, 6]), ([0, 1], [0, 1, 9], [5, 6]),
        ([0, 1], [1, 1, 2], [5, 6]), ([0, 1], [0, 1, 2], [5]), ([0], [0, 1, 2], [5, 6]),
    ):  # fmt: skip
        path.write_bytes(content(rows, pointers, values))
        refusal(path)


def test_version_4_without_magic_is_told_from_other_files_by_its_whole_header(tmp_path):
    file = io.BytesIO()
    scipy.io.savemat(file, {"A": A}, format="4")
    good = file.getvalue()
    path = tmp_path / "a"
    for at, byte in ((0, 77), (12, 9), (16, 0), (20, 0x31)):
        path.write_bytes(good[:at] + bytes([byte]) + good[at + 1 :])
        assert "not known" in refusal(path)
    path.write_bytes(good)
    assert (open_matrix(str(path)).array == A).all()
    path.write_bytes(good + b"junk")
    assert "damaged" in refusal(path)


# --- version 7.3 is HDF5 ------------------------------------------------------------------------------------------


def seven_three(path, build) -> str:
    with h5py.File(path, "w", userblock_size=512) as file:
        build(file)
    content = bytearray(path.read_bytes())
    content[:128] = b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM"
    path.write_bytes(content)
    return str(path)


def variable(file, name: str, array, kind: str = "double", **attributes):
    file[name] = np.asarray(array)
    for key, value in {"MATLAB_class": np.bytes_(kind), **attributes}.items():
        file[name].attrs[key] = value


@pytest.mark.parametrize("name", ["a.mat", "a"])
def test_arrays_of_7_3_are_transposed_back(tmp_path, name):
    def build(file):
        pair = np.dtype([("real", "<f8"), ("imag", "<f8")])
        variable(file, "A", A.T)
        variable(file, "Z", np.rec.fromarrays([A.T, -A.T], dtype=pair))
        variable(file, "L", (A.T > 0).astype("u1") * 2, "logical", MATLAB_int_decode=np.int32(1))
        variable(file, "x", [[1.0]])
        variable(file, "t", np.zeros((4, 3), "u2"), "char")
        variable(file, "e", np.array([0, 3], "u8"), MATLAB_empty=np.uint8(1))
        file.create_group("#refs#")["a"] = A

    path = seven_three(tmp_path / name, build)
    assert (open_matrix(f"{path}:A").array == A).all() and open_matrix(f"{path}:A").array.flags.f_contiguous
    assert (open_matrix(f"{path}:Z").array == A - 1j * A).all()
    assert (open_matrix(f"{path}:L").array == (A > 0)).all()
    assert {item.path: (item.shape, item.dtype) for item in list_items(path)[1]} == {
        "/A": ((6, 4), "float64"), "/L": ((6, 4), "bool"), "/Z": ((6, 4), "complex128"), "/e": ((2,), "empty array"),
        "/t": ((4, 3), "text"), "/x": ((1, 1), "float64"),
    }  # fmt: skip
    said = refusal(path)
    assert "holds 3 matrices" in said and ":/A (6 x 4 float64)" in said
    assert "text" in refusal(path, "t") and "no entries" in refusal(path, "e")


@pytest.mark.parametrize("dtype", ["f8", "c16"])
def test_sparse_groups_of_7_3(tmp_path, dtype):
    matrix = (SPARSE * (1 - 1j)).astype(dtype) if dtype == "c16" else SPARSE
    data = matrix.data
    if dtype == "c16":
        data = data.view(np.dtype([("real", "<f8"), ("imag", "<f8")]))

    def build(file):
        group = file.create_group("S")
        group["data"], group["ir"], group["jc"] = data, matrix.indices.astype("u8"), matrix.indptr.astype("u8")
        none = file.create_group("zero")
        none["jc"] = np.zeros(5, "u8")
        for one in (group, none):
            one.attrs["MATLAB_class"], one.attrs["MATLAB_sparse"] = np.bytes_("double"), np.uint64(6)

    path = seven_three(tmp_path / "a.mat", build)
    assert (open_matrix(f"{path}:S").array != sp.csr_array(matrix)).nnz == 0
    assert open_matrix(f"{path}:zero").array.shape == (6, 4) and open_matrix(f"{path}:zero").array.nnz == 0


# --- real files ---------------------------------------------------------------------------------------------------


def test_every_numeric_variable_of_the_collection_equals_what_scipy_reads(data):
    folder, compared = data("speaker_box.mat").parent, 0
    for path in sorted(folder.glob("*.mat")) + sorted(folder.glob("suite-mat/*.mat")):
        try:
            expected = scipy.io.loadmat(path)
        except NotImplementedError:
            continue  # 7.3
        for name, value in expected.items():
            if name.startswith("__") or not (sp.issparse(value) or value.dtype.kind in "biufc"):
                continue
            if value.ndim != 2 or 0 in value.shape:
                continue
            found = open_matrix(f"{path}:{name}").array
            assert found.shape == value.shape, (path.name, name)
            same = (abs(found - sp.csr_array(value)) if sp.issparse(value) else found != value).sum() == 0
            assert same, (path.name, name)
            compared += 1
    assert compared > 90


def test_version_7_3_holds_what_its_twins_of_version_6_and_7_hold(data):
    for name, items in {
        "array": ["a1x2", "a2x1", "a2x2"], "complex": ["imaginary"], "logical": ["logical_mat"],
        "sparse": ["sparse_complex", "sparse_eye", "sparse_logical", "sparse_random", "sparse_zeros"],
    }.items():  # fmt: skip
        for item in items:
            arrays = [open_matrix(f"{data(f'suite-mat/{v}_{name}.mat')}:{item}").array for v in ("v6", "v7", "v7.3")]
            dense = [array.toarray() if sp.issparse(array) else array for array in arrays]
            assert dense[0].shape == dense[1].shape == dense[2].shape
            if item != "sparse_random":  # random again in each of them
                assert (dense[0] == dense[1]).all() and (dense[0] == dense[2]).all(), item
