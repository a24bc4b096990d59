"""Damaged, foreign and hostile files of factors are refused in one line."""

import io
import os
import zipfile

import numpy as np
import pytest
from scipy.sparse import csr_array

from lowrank_cli import factors
from lowrank_cli.errors import DamagedError, InputError
from lowrank_cli.factors.interpolative import ColumnID
from lowrank_cli.formats import factor_meta, hdf5_factors, saving

from .factor_samples import SUFFIXES, assert_same, svd


def digests(flat):
    return {name: factor_meta.digest(array) for name, array in flat.items()}


def small():
    return ColumnID(np.array([1]), csr_array(np.array([[0.0], [3.5]])), np.array([[0.25, 1.0]]))


SLOW = pytest.mark.slow
FLIPS = {
    "one bit": lambda position: 1 << position % 8,
    "another bit": lambda position: 1 << (position + 3) % 8,
    "all bits": lambda position: 0xFF,
    "lowest bit": lambda position: 0x01,
}


#: every seventh byte meets every place in a word; the long form tries all
STEP = 7


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize(("flip", "step"), [("one bit", STEP), *(pytest.param(flip, 1, marks=SLOW) for flip in FLIPS)])
def test_h16_every_flipped_byte_is_caught_or_changes_nothing(suffix, flip, step, tmp_path):
    path = tmp_path / f"f{suffix}"
    report = {"rank": 1, "error": {"relative": 0.125}}
    saving.save(small(), report, str(path))
    content = path.read_bytes()
    damaged, caught = tmp_path / f"d{suffix}", 0
    for position in range(0, len(content), step):
        changed = bytearray(content)
        changed[position] ^= FLIPS[flip](position)
        damaged.write_bytes(changed)
        try:
            saved = saving.load_factors(str(damaged))
        except InputError as err:
            assert "\n" not in str(err) and str(damaged) in str(err)
            caught += 1
            continue
        assert_same(small(), saved.factor)
        assert saved.report == report and saved.kind == "id"
    assert caught > 200 / step


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("step", [STEP, pytest.param(1, marks=SLOW)])
def test_h16_a_file_cut_at_any_length_is_refused(suffix, step, tmp_path):
    path = tmp_path / f"f{suffix}"
    saving.save(small(), {"rank": 1}, str(path))
    content = path.read_bytes()
    for length in (*range(0, len(content), step), len(content) - 1):
        path.write_bytes(content[:length])
        with pytest.raises(InputError):
            saving.load_factors(str(path))


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_h17_an_edited_report_is_caught_and_an_edited_array_is_named(suffix, tmp_path):
    path = tmp_path / f"f{suffix}"
    container = saving.check_suffix(str(path))
    flat = factor_meta.flatten(svd().arrays())
    meta = factor_meta.describe("svd", "U diag(s) Vh", {"error": 0.5}, digests(flat))

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
        saving.load_factors(written(factor_meta.describe("tensor", "", {}, digests(flat)), flat))
    with pytest.raises(InputError, match="do not chain"):
        wrong = {**flat, "Vh": flat["Vh"][:1]}
        saving.load_factors(written(factor_meta.describe("svd", "", {}, digests(wrong)), wrong))


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
    meta = factor_meta.describe("id", "C Z", {}, digests(flat))
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
        meta = factor_meta.describe("svd", "", {}, digests(flat))
        del flat["U"]
        path.write_bytes(b"".join(hdf5_factors.encode(meta, flat)))
        with h5py.File(path, "a") as file:
            make(file)
        with pytest.raises(InputError, match="'U'"):
            saving.load_factors(str(path))


def test_h5_arrays_that_share_their_bytes_are_refused_before_memory_is_taken(tmp_path):
    import h5py

    path = tmp_path / "f.h5"
    flat = factor_meta.flatten(svd().arrays()) | {"U": np.ones((100, 100))}
    path.write_bytes(b"".join(hdf5_factors.encode(factor_meta.describe("svd", "", {}, digests(flat)), flat)))
    with h5py.File(path, "a") as file:
        file["W"] = file["U"]
    with pytest.raises(InputError, match="its arrays are larger than the file"):
        saving.load_factors(str(path))


@pytest.mark.parametrize("depth", [17, 300, 700, 900, 990])
def test_metadata_nested_to_any_depth_are_refused(depth):
    with pytest.raises(InputError, match=r"nested deeper than 16|are not JSON"):
        factor_meta.parse(b"[" * depth + b"]" * depth, "f")


@pytest.mark.parametrize("number", ["1e999", "-1e999", "Infinity", "NaN", "1" * 5000])
def test_a_number_that_json_cannot_write_again_is_refused(number):
    with pytest.raises(InputError, match="are not JSON"):
        factor_meta.parse(b'{"schema": "lowrank.factors/1", "report": {"x": %s}}' % number.encode(), "f")


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
def test_damage_is_told_from_a_file_that_was_never_ours(suffix, tmp_path):
    path = tmp_path / f"f{suffix}"
    saving.save(small(), {"rank": 1}, str(path))
    content = bytearray(path.read_bytes())
    content[content.index(np.float64(3.5).tobytes())] ^= 1
    path.write_bytes(content)
    with pytest.raises(DamagedError, match="damaged"):
        saving.load_factors(str(path))
    path.write_bytes(bytes(content[:8]) + b" and nothing of ours")
    with pytest.raises(InputError) as caught:
        saving.load_factors(str(path))
    assert not isinstance(caught.value, DamagedError)


def test_factors_are_not_read_from_standard_input():
    with pytest.raises(InputError, match="standard input"):
        saving.load_factors("-")


@pytest.mark.parametrize(("cols", "shape"), [([0, 6], (6, 2)), ([-1, 0], (6, 2)), ([0], (6, 2)), ([0.0, 1.0], (6, 2))])
def test_columns_that_a_nystrom_factor_cannot_have_are_refused(cols, shape):
    with pytest.raises(InputError, match="nystrom"):
        factors.assemble("nystrom", {"cols": np.array(cols), "F": np.ones(shape)})
