"""Factors come back from .npz and .h5 bit for bit, or are refused."""

import io
import json
import os
import subprocess
import sys
import time
import zipfile

import numpy as np
import pytest
from scipy.sparse import csc_array, csr_array

from lowrank_cli.errors import InputError, LowrankError, OutputError, ResourceError, UsageError
from lowrank_cli.factors.cr import CR
from lowrank_cli.factors.interpolative import ColumnID, RowID
from lowrank_cli.factors.svd import SVD
from lowrank_cli.formats import factor_meta, hdf5_factors, npz_factors, saving

SUFFIXES = (".npz", ".h5")
REPORT = {
    "schema": "lowrank.report/1",
    "rank": 2,
    "error": {"relative": 0.1 + 0.2, "kind": "exact", "probes": None},
    "input": {"item": "[/x] \x1b é \udcff", "shape": [6, 5]},
    "list": [1, [2.5, "three"], True],
}


def values(shape, dtype, seed=0):
    rng = np.random.default_rng([seed, *shape])
    made = rng.standard_normal(shape)
    if np.dtype(dtype).kind == "c":
        made = made + 1j * rng.standard_normal(shape)
    made = made.astype(dtype)
    made.reshape(-1)[0] = -0.0
    return made


def sparse(shape, dtype, seed=0):
    dense = values(shape, dtype, seed)
    dense[np.random.default_rng(seed).random(shape) < 0.6] = 0
    return csr_array(dense)


def svd(dtype=np.float64):
    return SVD(values((6, 2), dtype), np.array([2.5, 1e-300]), values((2, 5), dtype, 1))


def factorizations():
    for dtype in (np.float32, np.float64, np.complex64, np.complex128):
        name = np.dtype(dtype).name
        yield f"svd-{name}", svd(dtype)
        yield f"id-{name}", ColumnID(np.array([4, 0, 2]), values((6, 3), dtype), values((3, 5), dtype))
        yield f"id-sparse-{name}", ColumnID(np.array([4, 0, 2]), sparse((6, 3), dtype), values((3, 5), dtype))
        yield f"id-rows-{name}", RowID(np.array([5, 1]), values((2, 5), dtype), values((6, 2), dtype))
        yield f"id-rows-sparse-{name}", RowID(np.array([5, 1]), sparse((2, 5), dtype), values((6, 2), dtype))
        repeated = np.array([3, 3, 0])
        yield f"cr-{name}", CR(repeated, values((3,), np.float64), values((6, 3), dtype), values((3, 5), dtype))


CASES = dict(factorizations())


def assert_same(expected, got):
    assert type(expected) is type(got)
    for name, array in expected.arrays().items():
        other = got.arrays()[name]
        assert type(other) is type(array)
        assert other.shape == array.shape and other.dtype == array.dtype
        if hasattr(array, "indptr"):
            assert np.array_equal(other.indptr, array.indptr) and np.array_equal(other.indices, array.indices)
            array, other = array.data, other.data
        assert other.tobytes() == array.tobytes()


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("case", CASES)
def test_factors_come_back_bit_for_bit(case, suffix, tmp_path):
    path = str(tmp_path / f"f{suffix}")
    saving.save(CASES[case], REPORT, path)
    saved = saving.load_factors(path)
    assert_same(CASES[case], saved.factor)
    assert saved.report == REPORT
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
        assert json.loads(archive["meta.json"])["report"] == REPORT
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
    assert json.loads(texts["report"]) == REPORT


@pytest.mark.parametrize("limit", (0, 300, 700))
def test_archives_past_four_gigabytes_use_zip64(limit, tmp_path, monkeypatch):
    # the limit is lowered instead of the file being grown
    monkeypatch.setattr(npz_factors, "ZIP64_FROM", limit)
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
    factor = SVD(values((9000, 2), np.complex64), np.ones(2), values((2, 5), np.complex64))
    saving.save(factor, REPORT, str(path))
    content = bytearray(path.read_bytes())
    content[content.index(factor.U.tobytes()) + 70_000] ^= 255
    path.write_bytes(content)
    headers = saving.load_headers(str(path))
    assert {name: (a.dtype, a.shape) for name, a in headers.arrays.items()} == {
        "U": ("complex64", (9000, 2)),
        "s": ("float64", (2,)),
        "Vh": ("complex64", (2, 5)),
    }
    assert headers.report == REPORT and headers.kind == "svd"
    with pytest.raises(InputError):
        saving.load_factors(str(path))


def small():
    return ColumnID(np.array([1]), csr_array(np.array([[0.0], [3.5]])), np.array([[0.25, 1.0]]))


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("flip", (0x01, 0xFF))
def test_every_flipped_byte_is_caught_or_changes_nothing(suffix, flip, tmp_path):
    path = tmp_path / f"f{suffix}"
    report = {"rank": 1, "error": {"relative": 0.125}}
    saving.save(small(), report, str(path))
    content = path.read_bytes()
    damaged, caught = tmp_path / f"d{suffix}", 0
    for position in range(len(content)):
        changed = bytearray(content)
        changed[position] ^= flip
        damaged.write_bytes(changed)
        try:
            saved = saving.load_factors(str(damaged))
        except InputError as err:
            assert "\n" not in str(err) and str(damaged) in str(err)
            caught += 1
            continue
        assert_same(small(), saved.factor)
        assert saved.report == report and saved.kind == "id"
    assert caught > 200


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_file_cut_at_any_length_is_refused(suffix, tmp_path):
    path = tmp_path / f"f{suffix}"
    saving.save(small(), {"rank": 1}, str(path))
    content = path.read_bytes()
    for length in range(len(content)):
        path.write_bytes(content[:length])
        with pytest.raises(InputError):
            saving.load_factors(str(path))


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_an_edited_report_is_caught_and_an_edited_array_is_named(suffix, tmp_path):
    path = tmp_path / f"f{suffix}"
    container = saving.check_suffix(str(path))
    flat = factor_meta.flatten(svd().arrays())
    meta = factor_meta.describe("svd", "U diag(s) Vh", {"error": 0.5}, flat)

    def written(meta, flat):
        path.write_bytes(b"".join(container.encode(meta, flat)))
        return str(path)

    with pytest.raises(InputError, match="report do not match their digest"):
        saving.load_factors(written({**meta, "report": {"error": 0.1}}, flat))
    with pytest.raises(InputError, match=r"f\.\w+: array U does not match its digest"):
        saving.load_factors(written(meta, {**flat, "U": flat["U"] * 2}))
    with pytest.raises(InputError, match="holds the arrays"):
        saving.load_factors(written(meta, {"U": flat["U"]}))
    with pytest.raises(InputError, match="update lowrank"):
        saving.load_factors(written({**meta, "schema": "lowrank.factors/9"}, flat))
    with pytest.raises(InputError, match="unknown kind"):
        saving.load_factors(written(factor_meta.describe("tensor", "", {}, flat), flat))
    with pytest.raises(InputError, match="do not chain"):
        wrong = {**flat, "Vh": flat["Vh"][:1]}
        saving.load_factors(written(factor_meta.describe("svd", "", {}, wrong), wrong))


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize(
    "part, value",
    [
        ("indices", [0, 99]),
        ("indices", [-1, 0]),
        ("indptr", [0, 5, 2]),
        ("indptr", [1, 1, 2]),
        ("indptr", [0, 2]),
        ("shape", [2, -1]),
        ("shape", [2]),
        ("data", [1.0]),
    ],
)
def test_sparse_parts_that_lead_out_of_bounds_are_refused_though_their_digests_hold(part, value, suffix, tmp_path):
    path = tmp_path / f"f{suffix}"
    flat = factor_meta.flatten({"cols": np.array([0, 1]), "C": csr_array(np.eye(2)), "Z": np.eye(2)})
    dtype = np.float64 if part == "data" else np.int64
    flat[f"C.{part}"] = np.array(value, dtype)
    meta = factor_meta.describe("id", "C Z", {}, flat)
    path.write_bytes(b"".join(saving.check_suffix(str(path)).encode(meta, flat)))
    with pytest.raises(InputError, match="sparse array C"):
        saving.load_factors(str(path))


def archive_of(members, **options):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", **options) as archive:
        for name, body in members:
            archive.writestr(name, body)
    return buffer.getvalue()


@pytest.mark.parametrize(
    "members, compression",
    [
        ([], zipfile.ZIP_STORED),
        ([("U.npy", b"x")], zipfile.ZIP_STORED),
        ([("meta.json", b"[" * 100_000)], zipfile.ZIP_STORED),
        ([("meta.json", b'{"a":NaN}')], zipfile.ZIP_STORED),
        ([("meta.json", b"1" * 5000)], zipfile.ZIP_STORED),
        ([("meta.json", b'{"schema":1}')], zipfile.ZIP_STORED),
        ([("meta.json", b"{}"), ("../x.npy", b"")], zipfile.ZIP_STORED),
        ([("meta.json", b"{}"), ("evil.py", b"")], zipfile.ZIP_STORED),
        ([("meta.json", b"{}"), ("U.npy", b"\x80\x04pickle")], zipfile.ZIP_STORED),
        ([("meta.json", b"{}"), ("U.npy", bytes(10_000_000))], zipfile.ZIP_DEFLATED),
        ([("meta.json", b" " * 17_000_000 + b"{}")], zipfile.ZIP_STORED),
        ([("meta.json", b"{}")] + [(f"a{n}.npy", b"") for n in range(1001)], zipfile.ZIP_STORED),
    ],
)
def test_foreign_and_hostile_archives_are_refused_in_one_line(members, compression, tmp_path):
    path = tmp_path / "f.npz"
    path.write_bytes(archive_of(members, compression=compression))
    with pytest.raises(InputError) as caught:
        saving.load_factors(str(path))
    assert "\n" not in str(caught.value)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_member_that_occurs_twice_is_refused(tmp_path):
    path = tmp_path / "f.npz"
    saving.save(svd(), {}, str(path))
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("U.npy", archive.read("U.npy"))
    with pytest.raises(InputError, match="twice"):
        saving.load_factors(str(path))


def test_an_array_member_of_objects_is_never_unpickled(tmp_path):
    class Trap:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "sprung"),)

    buffer = io.BytesIO()
    np.save(buffer, np.array([Trap()], dtype=object), allow_pickle=True)
    path = tmp_path / "f.npz"
    path.write_bytes(archive_of([("meta.json", b"{}"), ("U.npy", buffer.getvalue())]))
    with pytest.raises(InputError):
        saving.load_factors(str(path))
    assert not (tmp_path / "sprung").exists()


def test_an_array_header_that_claims_terabytes_is_refused_before_memory_is_taken(tmp_path):
    from lowrank_cli.formats.npy_writer import header

    path = tmp_path / "f.npz"
    members = [("meta.json", b"{}"), ("U.npy", header("<f8", (10**6, 10**6)) + bytes(8))]
    path.write_bytes(archive_of(members))
    with pytest.raises(InputError, match="array U"):
        saving.load_factors(str(path))


def test_h5_links_and_storage_outside_the_file_are_refused(tmp_path):
    import h5py

    secret = tmp_path / "secret.bin"
    secret.write_bytes(bytes(range(64)))
    other = tmp_path / "other.h5"
    with h5py.File(other, "w") as file:
        file["U"] = np.ones((2, 2))

    def external_link(file):
        file["U"] = h5py.ExternalLink(str(other), "U")

    def soft_link(file):
        file["U"] = h5py.SoftLink("/U")

    def external_storage(file):
        file.create_dataset("U", (8,), "f8", external=[(str(secret), 0, 64)])

    def virtual(file):
        layout = h5py.VirtualLayout((2, 2), "f8")
        layout[...] = h5py.VirtualSource(str(other), "U", (2, 2))
        file.create_virtual_dataset("U", layout)

    def chunked(file):
        file.create_dataset("U", data=np.ones((2, 2)), chunks=(1, 1), compression="gzip")

    def unwritten(file):
        file.create_dataset("U", (1000, 1000), "f8")

    def group(file):
        file.create_group("U")

    def text(file):
        file["U"] = "text"

    def compound(file):
        file["U"] = np.zeros(2, [("a", "f8"), ("b", "i4")])

    for make in (external_link, soft_link, external_storage, virtual, chunked, unwritten, group, text, compound):
        path = tmp_path / f"{make.__name__}.h5"
        flat = factor_meta.flatten(svd().arrays())
        meta = factor_meta.describe("svd", "", {}, flat)
        del flat["U"]
        path.write_bytes(b"".join(hdf5_factors.encode(meta, flat)))
        with h5py.File(path, "a") as file:
            make(file)
        with pytest.raises(InputError, match="'U'"):
            saving.load_factors(str(path))


def test_an_ordinary_h5_and_an_ordinary_npz_hold_no_factors(tmp_path):
    import h5py

    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["U"] = np.ones((2, 2))
    np.savez(tmp_path / "a.npz", U=np.ones((2, 2)))
    np.save(tmp_path / "a.npy", np.ones((2, 2)))
    (tmp_path / "empty").touch()
    os.mkfifo(tmp_path / "fifo")
    for name in ("a.h5", "a.npz", "a.npy", "empty", "fifo", ".", "missing", "nul\0"):
        path = os.path.join(tmp_path, name)
        assert not saving.is_factors(path)
        with pytest.raises(InputError):
            saving.load_factors(path)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_is_factors_tells_by_content_whatever_the_name(suffix, tmp_path):
    path = tmp_path / f"f{suffix}"
    saving.save(svd(), REPORT, str(path))
    os.rename(path, tmp_path / "plain")
    assert saving.is_factors(str(tmp_path / "plain"))
    assert_same(svd(), saving.load_factors(str(tmp_path / "plain")).factor)


@pytest.mark.parametrize("name", ("f", "f.txt", "f.npz.bak", "f.npy", ".npz", "dir.h5/f"))
def test_an_unknown_suffix_is_a_usage_error_that_lists_the_known_ones(name, tmp_path):
    with pytest.raises(UsageError, match=r"\.npz or \.h5"):
        saving.save(svd(), {}, str(tmp_path / name))
    assert os.listdir(tmp_path) == []


def test_factors_that_no_file_holds_are_refused_and_nothing_is_written(tmp_path):
    odd = SVD(np.ones((2, 1), np.longdouble), np.ones(1), np.ones((1, 2)))
    with pytest.raises(OutputError, match="float"):
        saving.save(odd, {}, str(tmp_path / "f.npz"))
    for report in ({"x": float("nan")}, {"x": float("inf")}, {"x": object()}):
        with pytest.raises((ValueError, TypeError)):
            saving.save(svd(), report, str(tmp_path / "f.npz"))
    assert os.listdir(tmp_path) == []


def test_an_h5_image_that_would_crowd_the_memory_is_refused_with_a_way_out(tmp_path, monkeypatch):
    monkeypatch.setattr(hdf5_factors, "_memory", lambda: 100)
    with pytest.raises(ResourceError, match=r"\.npz"):
        saving.save(svd(), {}, str(tmp_path / "f.h5"))
    assert os.listdir(tmp_path) == []


ARRAYS = [
    np.arange(12.0).reshape(3, 4),
    np.asfortranarray(np.arange(12, dtype=np.float32).reshape(3, 4)),
    np.arange(24.0).reshape(4, 6)[::2, ::3],
    np.arange(3, dtype=np.int64),
    np.ones((1, 5), np.complex128) * 1j,
    np.zeros((0, 4)),
    np.array([[True, False]]),
    np.arange(6, dtype=">f8").reshape(2, 3),
]


@pytest.mark.parametrize("number", range(len(ARRAYS)))
def test_an_array_is_read_back_by_numpy_with_its_order(number, tmp_path):
    array, path = ARRAYS[number], str(tmp_path / "a.npy")
    saving.write_array(array, path)
    got = np.load(path, allow_pickle=False)
    assert got.shape == array.shape and np.array_equal(got, array)
    assert got.dtype == array.dtype.newbyteorder("<")
    if array.flags.f_contiguous and not array.flags.c_contiguous:
        assert got.flags.f_contiguous
    with open(path, "rb") as file:
        lead = file.read(10)
    assert lead[:8] == b"\x93NUMPY\x01\x00" and (10 + int.from_bytes(lead[8:], "little")) % 64 == 0


def test_an_array_has_the_bytes_numpy_writes(tmp_path):
    array = np.arange(12.0).reshape(3, 4)
    saving.write_array(array, str(tmp_path / "a.npy"))
    np.save(tmp_path / "b.npy", array)
    assert (tmp_path / "a.npy").read_bytes() == (tmp_path / "b.npy").read_bytes()


def test_an_array_under_another_suffix_is_a_usage_error(tmp_path):
    with pytest.raises(UsageError, match=r"\.npy"):
        saving.write_array(np.ones((2, 2)), str(tmp_path / "a.txt"))
    assert os.listdir(tmp_path) == []


def through_a_pipe(write):
    """What another process would read while write(fd) runs."""
    import threading

    reader, writer = os.pipe()
    got = []

    def drain():
        while part := os.read(reader, 1 << 16):
            got.append(part)

    thread = threading.Thread(target=drain)
    thread.start()
    try:
        write(writer)
    finally:
        os.close(writer)
        thread.join()
        os.close(reader)
    return b"".join(got)


def test_arrays_and_factors_go_through_a_pipe_whole(tmp_path):
    array = np.random.default_rng(0).random((300, 200))
    got = through_a_pipe(lambda fd: saving.write_array_to(fd, array))
    assert np.array_equal(np.load(io.BytesIO(got)), array)
    saving.save(svd(), REPORT, str(tmp_path / "f.npz"))
    got = through_a_pipe(lambda fd: saving.write_factors_to(fd, svd(), REPORT))
    assert got == (tmp_path / "f.npz").read_bytes()


def test_a_pipe_that_does_not_block_is_waited_for():
    array = np.random.default_rng(0).random((500, 500))

    def write(fd):
        os.set_blocking(fd, False)
        saving.write_array_to(fd, array)

    assert np.array_equal(np.load(io.BytesIO(through_a_pipe(write))), array)


def test_a_pipe_nobody_reads_is_a_broken_pipe_and_a_full_device_an_output_error():
    reader, writer = os.pipe()
    os.close(reader)
    with pytest.raises(BrokenPipeError) as caught:
        saving.write_array_to(writer, np.ones((200, 200)))
    assert not isinstance(caught.value, LowrankError)
    os.close(writer)
    with open("/dev/full", "wb", buffering=0) as full, pytest.raises(OutputError, match="no space left"):
        saving.write_array_to(full.fileno(), np.ones((2, 2)))


def test_a_device_takes_an_archive_under_any_name():
    saving.save(svd(), REPORT, "/dev/null")
    saving.write_array(np.ones((2, 2)), "/dev/null")
