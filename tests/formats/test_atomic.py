"""An output is the old content or all of the new, with the right mode, whoever races."""

import os
import stat
import threading

import pytest

from lowrank_cli.errors import Exit, OutputError
from lowrank_cli.formats import atomic
from lowrank_cli.formats.atomic import check_target, commit

needs_nobody = pytest.mark.skipif(os.geteuid() != 0, reason="changes to an unprivileged user, which only root can")


def put(target, content, **options):
    commit(str(target), [content], len(content), **options)


def test_content_of_many_pieces_of_any_kind_arrives_whole(tmp_path):
    target = tmp_path / "out"
    pieces = [b"ab", bytearray(b"cd"), memoryview(b"ef"), b"", memoryview(b"").cast("B"), b"g" * 100_000]
    commit(str(target), iter(pieces), sum(map(len, pieces)))
    assert target.read_bytes() == b"".join(map(bytes, pieces))
    assert os.listdir(tmp_path) == ["out"] and atomic.pending() == []


def test_an_empty_file_can_be_written(tmp_path):
    put(tmp_path / "out", b"")
    assert (tmp_path / "out").read_bytes() == b""


def test_f09_short_writes_are_continued(tmp_path, monkeypatch):
    real = os.write
    monkeypatch.setattr(os, "write", lambda fd, view: real(fd, bytes(view[:7])))
    put(tmp_path / "out", b"0123456789" * 20)
    assert (tmp_path / "out").read_bytes() == b"0123456789" * 20


@pytest.mark.parametrize("error", (KeyboardInterrupt, SystemExit, MemoryError, ValueError, OSError))
def test_what_the_producer_raises_passes_and_leaves_the_old_content(error, tmp_path):
    target = tmp_path / "out"
    target.write_bytes(b"old")

    def chunks():
        yield b"x" * 1000
        assert [os.path.dirname(path) for path in atomic.pending()] == [str(tmp_path)]
        raise error

    with pytest.raises(error):
        commit(str(target), chunks(), 2000)
    assert target.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["out"] and atomic.pending() == []


@pytest.mark.parametrize("given", (0, 9, 11))
def test_content_of_another_length_than_announced_is_never_published(given, tmp_path):
    target = tmp_path / "out"
    target.write_bytes(b"old")
    with pytest.raises(OutputError, match="10 belong"):
        commit(str(target), [b"x" * given], 10)
    assert target.read_bytes() == b"old" and os.listdir(tmp_path) == ["out"]


def test_abort_removes_the_temporary_file_and_the_old_content_stays(tmp_path):
    target = tmp_path / "out"
    target.write_bytes(b"old")

    def chunks():
        yield b"x"
        thread = threading.Thread(target=atomic.abort_pending)
        thread.start()
        thread.join()
        assert os.listdir(tmp_path) == ["out"]

    with pytest.raises(OutputError):
        commit(str(target), chunks(), 1)
    assert target.read_bytes() == b"old" and atomic.pending() == []


def test_a_forked_child_does_not_abort_its_parents_files(tmp_path):
    def chunks():
        yield b"x"
        child = os.fork()
        if child == 0:
            atomic.abort_pending()
            os._exit(len(atomic.pending()))
        assert os.waitpid(child, 0)[1] == 0

    commit(str(tmp_path / "out"), chunks(), 1)
    assert (tmp_path / "out").read_bytes() == b"x"


@pytest.mark.parametrize("umask, mode", ((0o022, 0o644), (0o077, 0o600), (0o002, 0o664), (0o000, 0o666)))
def test_f16_a_new_file_gets_the_mode_the_umask_leaves(umask, mode, tmp_path):
    before = os.umask(umask)
    try:
        put(tmp_path / "out", b"x")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "out").stat().st_mode) == mode


@pytest.mark.parametrize("mode", (0o600, 0o640, 0o664, 0o755))
def test_f16_a_replaced_file_keeps_its_mode(mode, tmp_path):
    target = tmp_path / "out"
    target.write_bytes(b"old")
    target.chmod(mode)
    put(target, b"new")
    assert stat.S_IMODE(target.stat().st_mode) == mode and target.read_bytes() == b"new"


def test_f16_the_temporary_file_never_shows_more_than_the_file_it_replaces(tmp_path):
    target, seen = tmp_path / "out", []
    target.write_bytes(b"old")
    target.chmod(0o600)

    def chunks():
        seen.extend(stat.S_IMODE(os.stat(path).st_mode) for path in atomic.pending())
        yield b"x"

    commit(str(target), chunks(), 1)
    assert seen == [0o600]


@needs_nobody
def test_f16_a_replaced_file_keeps_its_owner(tmp_path):
    target = tmp_path / "out"
    target.write_bytes(b"old")
    os.chown(target, 65534, 65534)
    put(target, b"new")
    assert (target.stat().st_uid, target.stat().st_gid) == (65534, 65534)


def test_f04_a_symbolic_link_is_written_through(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "file").write_bytes(b"old")
    (tmp_path / "link").symlink_to("real/file")
    (tmp_path / "dangling").symlink_to("real/fresh")
    for name in ("link", "dangling"):
        check_target(str(tmp_path / name), [], False)
        put(tmp_path / name, b"new")
        assert (tmp_path / name).is_symlink() and (tmp_path / name).read_bytes() == b"new"
    assert sorted(os.listdir(tmp_path / "real")) == ["file", "fresh"]


def test_f01_no_clobber_keeps_what_is_there_and_creates_what_is_not(tmp_path):
    target = tmp_path / "out"
    put(target, b"first", no_clobber=True)
    with pytest.raises(OutputError, match="exists") as caught:
        put(target, b"second", no_clobber=True)
    assert caught.value.exit_code is Exit.OUTPUT
    with pytest.raises(OutputError, match="exists"):
        check_target(str(target), [], True)
    assert target.read_bytes() == b"first" and target.stat().st_nlink == 1 and os.listdir(tmp_path) == ["out"]


@pytest.mark.parametrize("links", ("hard links", "no hard links"))
def test_f01_no_clobber_keeps_a_file_that_appears_while_writing(links, tmp_path, monkeypatch):
    target = tmp_path / "out"
    if links == "no hard links":
        monkeypatch.setattr(os, "link", forbidden_link)

    def chunks():
        target.write_bytes(b"theirs")
        yield b"ours"

    with pytest.raises(OutputError, match="exists"):
        commit(str(target), chunks(), 4, no_clobber=True)
    assert target.read_bytes() == b"theirs" and os.listdir(tmp_path) == ["out"]


def forbidden_link(*args, **options):
    raise PermissionError(1, "Operation not permitted")


def test_f11_no_clobber_works_where_hard_links_do_not(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "link", forbidden_link)
    put(tmp_path / "out", b"x", no_clobber=True)
    assert (tmp_path / "out").read_bytes() == b"x" and os.listdir(tmp_path) == ["out"]


@pytest.mark.parametrize("links", (True, False))
def test_f01_of_racing_writers_with_no_clobber_exactly_one_wins(links, tmp_path, monkeypatch):
    if not links:
        monkeypatch.setattr(os, "link", forbidden_link)
    for race in range(20):
        target, won = tmp_path / f"out{race}", []
        gate = threading.Barrier(8)

        def run(number, target=target, won=won, gate=gate):
            def chunks():
                gate.wait()
                yield b"%d" % number

            try:
                commit(str(target), chunks(), 1, no_clobber=True)
                won.append(number)
            except OutputError:
                pass

        threads = [threading.Thread(target=run, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(won) == 1 and target.read_bytes() == b"%d" % won[0]
    assert len(os.listdir(tmp_path)) == 20


def test_f17_racing_writers_that_may_replace_leave_one_whole_content(tmp_path):
    target, failures = tmp_path / "out", []

    def run(number):
        for _ in range(10):
            try:
                commit(str(target), [b"%d" % number * 1000] * 50, 50_000)
            except Exception as err:
                failures.append(err)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    content = target.read_bytes()
    assert failures == [] and len(content) == 50_000 and len(set(content)) == 1 and os.listdir(tmp_path) == ["out"]
