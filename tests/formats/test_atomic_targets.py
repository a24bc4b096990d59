"""Where an output may go: odd names, inputs, directories, pipes, leftovers of dead runs."""

import os
import stat
import subprocess
import sys
import threading

import pytest

from lowrank_cli.errors import Exit, OutputError, UsageError
from lowrank_cli.formats import atomic, temporaries
from lowrank_cli.formats.atomic import check_target, commit

needs_nobody = pytest.mark.skipif(os.geteuid() != 0, reason="changes to an unprivileged user, which only root can")


def put(target, content, **options):
    commit(str(target), [content], len(content), **options)


def as_nobody(folder, target):
    """What check_target and commit say to a user whom permissions bind, in ``folder``: a line each."""
    script = """
import os, sys
from lowrank_cli.formats.atomic import check_target, commit
os.chdir(sys.argv[1])
os.setgroups([]); os.setgid(65534); os.setuid(65534)
for attempt in (lambda: check_target(sys.argv[2], [], False), lambda: commit(sys.argv[2], [b"x"], 1)):
    try:
        attempt()
        print("written")
    except Exception as err:
        print(type(err).__name__, err)
"""
    command = [sys.executable, "-c", script, str(folder), target]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()


@pytest.mark.parametrize("name", ("n" * 255, "é" * 127, "n.npz"))
def test_the_longest_names_work(name, tmp_path):
    check_target(str(tmp_path / name), [], False)
    put(tmp_path / name, b"x")
    assert os.listdir(tmp_path) == [name]


@pytest.mark.parametrize("name", ("with space", "new\nline", "[red]x", "-dash", "\udcff.npz", "q'\"", "*?"))
def test_odd_names_work(name, tmp_path):
    check_target(str(tmp_path / name), [], False)
    put(tmp_path / name, b"x")
    assert os.listdir(tmp_path) == [name]


def test_a_relative_name_works_in_the_current_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    check_target("out", [], False)
    put("out", b"x")
    assert os.listdir(tmp_path) == ["out"]


@pytest.mark.parametrize("way", ("same", "dot", "hard link", "link", "link to output"))
def test_f02_an_output_that_is_an_input_is_a_usage_error(way, tmp_path):
    source = tmp_path / "in"
    source.write_bytes(b"precious")
    target = tmp_path / "out"
    if way == "hard link":
        os.link(source, target)
    elif way == "link":
        target.symlink_to(source)
    elif way == "link to output":
        target, source = source, target
        source.symlink_to(target)
    else:
        target = source if way == "same" else f"{tmp_path}/./in"
    with pytest.raises(UsageError, match="same file") as caught:
        check_target(str(target), ["-", "missing", str(source)], False)
    assert caught.value.exit_code is Exit.USAGE
    assert (tmp_path / "in").read_bytes() == b"precious"


def refused(target, **options):
    """The one line with which both doors refuse a target."""
    lines = set()
    for attempt in (
        lambda: check_target(str(target), [], False),
        lambda: commit(str(target), iter([b"x"]), 1),
    ):
        with pytest.raises(OutputError) as caught:
            attempt()
        assert caught.value.exit_code is Exit.OUTPUT
        lines.add(str(caught.value))
    assert len(lines) == 1 and "\n" not in next(iter(lines)) and ";" in next(iter(lines))
    return lines.pop()


def test_f05_a_target_that_can_never_be_written_is_refused_before_computing(tmp_path):
    (tmp_path / "file").touch()
    (tmp_path / "loop").symlink_to("loop")
    assert "directory does not exist" in refused(tmp_path / "missing" / "out")
    assert "is a directory" in refused(tmp_path)
    assert "is a directory" in refused(f"{tmp_path}/fresh/")
    assert "not a directory" in refused(tmp_path / "file" / "out")
    assert "loop" in refused(tmp_path / "loop")
    assert "too long" in refused(tmp_path / ("n" * 256))
    assert "file name" in refused("")
    assert sorted(os.listdir(tmp_path)) == ["file", "loop"]


@needs_nobody
def test_f06_a_directory_or_file_that_may_not_be_written_is_refused_before_computing(tmp_path):
    closed, own, drop = tmp_path / "closed", tmp_path / "own", tmp_path / "drop"
    for folder, mode in ((closed, 0o755), (own, 0o777), (drop, 0o733)):
        folder.mkdir()
        folder.chmod(mode)
    (own / "file").write_bytes(b"old")
    (own / "file").chmod(0o444)
    for folder, target, what in ((closed, "out", "permission denied"), (own, "file", "write-protected")):
        said = as_nobody(folder, target)
        assert len(said) == 2 and all(what in line and line.startswith("OutputError") for line in said)
    # may be written but not listed: a probe that succeeds, a file that arrives
    assert as_nobody(drop, "out") == ["written", "written"]
    assert (own / "file").read_bytes() == b"old" and os.listdir(closed) == []
    assert sorted(os.listdir(own)) == ["file"] and os.listdir(drop) == ["out"]


def test_f19_a_directory_that_vanishes_while_writing_is_an_output_error(tmp_path):
    folder = tmp_path / "d"
    folder.mkdir()

    def chunks():
        for path in atomic.pending():
            os.unlink(path)
        folder.rmdir()
        yield b"x"

    with pytest.raises(OutputError):
        commit(str(folder / "out"), chunks(), 1)
    assert os.listdir(tmp_path) == []


def test_f19_a_directory_renamed_while_writing_still_gets_its_file(tmp_path):
    folder = tmp_path / "d"
    folder.mkdir()

    def chunks():
        folder.rename(tmp_path / "e")
        yield b"x"

    commit(str(folder / "out"), chunks(), 1)
    assert os.listdir(tmp_path) == ["e"] and os.listdir(tmp_path / "e") == ["out"]


def test_f05_pipes_devices_and_descriptors_are_written_where_they_are(tmp_path):
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    got = []
    thread = threading.Thread(target=lambda: got.append(fifo.read_bytes()))
    thread.start()
    check_target(str(fifo), [], True)
    commit(str(fifo), [b"through"], 7, no_clobber=True)
    thread.join()
    assert got == [b"through"] and stat.S_ISFIFO(fifo.stat().st_mode)

    check_target("/dev/null", ["/dev/null"], False)
    put("/dev/null", b"x")
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)

    with open(tmp_path / "plain", "w+b") as file:
        for name in (f"/dev/fd/{file.fileno()}", f"/proc/self/fd/{file.fileno()}"):
            check_target(name, [], False)
            put(name, b"again ")
    assert (tmp_path / "plain").read_bytes() == b"again again "
    with pytest.raises(OutputError, match="no space left"):
        put("/dev/full", b"x")
    assert sorted(os.listdir(tmp_path)) == ["fifo", "plain"]


def test_a_socket_is_refused(tmp_path, monkeypatch):
    import socket

    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX) as made:
        made.bind("s")
        assert "socket" in refused("s")


def test_leftovers_of_dead_runs_for_this_target_go_and_nothing_else_does(tmp_path):
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    gone = [f".out.lowrank-{dead.pid}-0123abcd.tmp", f".out.lowrank-{os.getpid()}-0123abcd.tmp"]
    stay = [
        f".out.lowrank-{os.getppid()}-0123abcd.tmp",
        f".other.lowrank-{dead.pid}-0123abcd.tmp",
        f".out.lowrank-{dead.pid}-0123abcd.tmp.bak",
        f".outXlowrank-{dead.pid}-0123abcd.tmp",
    ]
    link = f".out.lowrank-{dead.pid}-99999999.tmp"
    for name in (*gone, *stay):
        (tmp_path / name).touch()
    (tmp_path / link).symlink_to(stay[0])
    check_target(str(tmp_path / "out"), [], False)
    assert sorted(os.listdir(tmp_path)) == sorted([*stay, link])
    for name in gone:
        (tmp_path / name).touch()
    put(tmp_path / "out", b"x")
    assert sorted(os.listdir(tmp_path)) == sorted([*stay, link, "out"])


def test_a_leftover_whose_lock_is_held_is_somebodys_work(tmp_path):
    import fcntl

    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    # as from another container, whose process numbers mean nothing here
    name = f".out.lowrank-{dead.pid}-0123abcd.tmp"
    with open(tmp_path / name, "wb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        put(tmp_path / "out", b"x")
        assert (tmp_path / name).exists()
    put(tmp_path / "out", b"x")
    assert os.listdir(tmp_path) == ["out"]


def test_a_name_taken_by_chance_is_not_reused(tmp_path, monkeypatch):
    names = iter((b"aaaa", b"bbbb"))
    monkeypatch.setattr(temporaries.os, "urandom", lambda count: next(names))
    # held by somebody else, so it is not swept
    taken = tmp_path / f".out.lowrank-{os.getpid()}-{b'aaaa'.hex()}.tmp"
    taken.write_bytes(b"theirs")
    monkeypatch.setattr(temporaries, "sweep", lambda *args: None)
    put(tmp_path / "out", b"x")
    assert taken.read_bytes() == b"theirs" and (tmp_path / "out").read_bytes() == b"x"
