"""Full disks, size limits, kills and failing system calls: the output is the old content or the new, never else."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

#: save small factors under argv[1]; the letter argv[2] decides the content
SAVE = """
import sys
import numpy as np
from lowrank_cli.errors import LowrankError
from lowrank_cli.factors.svd import SVD
from lowrank_cli.formats.saving import save
k = 4
x = np.full((200, k), float(ord(sys.argv[2])))
try:
    save(SVD(x, np.ones(k), x[:50].T.copy()), {"who": sys.argv[2]}, sys.argv[1])
except LowrankError as err:
    print(type(err).__name__ + ": " + str(err))
    sys.exit(int(err.exit_code))
"""

#: commit plain bytes: no numpy, so a process starts fast and makes few system calls of its own
COMMIT = """
import sys
from lowrank_cli.errors import LowrankError
from lowrank_cli.formats.atomic import commit
try:
    commit(sys.argv[1], [b"n" * 5000, b"n" * 5000], 10_000, no_clobber=sys.argv[2] == "keep")
except LowrankError as err:
    print(type(err).__name__ + ": " + str(err))
    sys.exit(int(err.exit_code))
"""
OLD, NEW = b"old" * 100, b"n" * 10_000


def run(script, *args, before=(), timeout=60):
    return subprocess.run(
        [*before, sys.executable, "-c", script, *map(str, args)],
        capture_output=True,
        text=True,
        timeout=timeout,
        cwd=ROOT,
    )


def assert_one_line(done, what):
    lines = done.stdout.splitlines()
    assert done.returncode == 5 and len(lines) == 1, (done.returncode, done.stdout, done.stderr)
    assert lines[0].startswith("OutputError: ") and what in lines[0] and done.stderr == ""


@pytest.mark.parametrize("suffix", (".npz", ".h5"))
def test_f08_under_every_file_size_limit_the_file_is_whole_or_the_old_one_stays(suffix, tmp_path):
    import resource

    import numpy as np

    from lowrank_cli.errors import OutputError
    from lowrank_cli.factors.svd import SVD
    from lowrank_cli.formats.saving import load_factors, save

    target = str(tmp_path / f"f{suffix}")
    old, new = (SVD(np.full((40, 3), x), np.ones(3), np.full((3, 20), x)) for x in (1.0, 2.0))
    save(new, {"who": "new"}, target)
    size = os.path.getsize(target)
    outcomes = set()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    for limit in (*range(0, size + 200, 97), size - 1, size):
        save(old, {"who": "old"}, target)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limits[1]))
        try:
            save(new, {"who": "new"}, target)
            outcome = "new"
        except OutputError as err:
            assert "larg" in str(err) and "\n" not in str(err)
            outcome = "old"
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        assert load_factors(target).report["who"] == outcome
        assert (outcome == "new") == (limit >= size)
        assert os.listdir(tmp_path) == [f"f{suffix}"]
        outcomes.add(outcome)
    assert outcomes == {"old", "new"}


def in_mount(options, script, *args):
    """Run a script whose last argument is a fresh tmpfs; skip where mounting is not permitted."""
    if shutil.which("unshare") is None:
        pytest.skip("unshare is not installed")
    folder, *rest = map(str, args)
    setup = 'mount -t tmpfs -o "$1" tmpfs "$2" || exit 99; d=$2; shift 2; exec "$@" "$d"'
    done = run(script, *rest, before=["unshare", "-m", "sh", "-c", setup, "sh", options, folder])
    if done.returncode == 99 or "unshare" in done.stderr:
        pytest.skip(f"a file system cannot be mounted here: {done.stderr.strip()[:100]}")
    return done


FULL_DISK = """
import os, sys
import numpy as np
from lowrank_cli.errors import OutputError
from lowrank_cli.factors.svd import SVD
from lowrank_cli.formats.saving import load_factors, save
suffix, folder = sys.argv[1:]
target = os.path.join(folder, "f" + suffix)
x = np.ones((1000, 5))
old, new = (SVD(x * v, np.ones(5), x[:100].T * v) for v in (1.0, 2.0))
seen = set()
page = 4096
for free in range(0, 25):
    save(old, {"who": "old"}, target)
    left = os.statvfs(folder).f_bavail * page
    with open(os.path.join(folder, "filler"), "wb") as filler:
        filler.write(bytes(left - free * page))
    try:
        save(new, {"who": "new"}, target)
        outcome = "new"
    except OutputError as err:
        assert "no space left" in str(err), err
        outcome = "old"
    assert load_factors(target).report["who"] == outcome
    os.unlink(os.path.join(folder, "filler"))
    assert os.listdir(folder) == ["f" + suffix], os.listdir(folder)
    seen.add(outcome)
print(sorted(seen))
"""


@pytest.mark.parametrize("suffix", (".npz", ".h5"))
def test_f08_on_a_full_disk_the_file_is_whole_or_the_old_one_stays(suffix, tmp_path):
    done = in_mount("size=1m", FULL_DISK, tmp_path, suffix)
    assert (done.returncode, done.stdout.strip()) == (0, "['new', 'old']"), done.stderr


READ_ONLY = """
import os, subprocess, sys
from lowrank_cli.formats.atomic import check_target, commit
folder = sys.argv[1]
open(folder + "/there", "w").close()
subprocess.run(["mount", "-o", "remount,ro", folder], check=True)
for name in ("there", "fresh"):
    for attempt in (lambda t: check_target(t, [], False), lambda t: commit(t, [b"x"], 1)):
        try:
            attempt(os.path.join(folder, name))
            print("written")
        except Exception as err:
            print(type(err).__name__, err)
"""


def test_f06_a_read_only_file_system_is_found_before_computing(tmp_path):
    done = in_mount("size=1m", READ_ONLY, tmp_path)
    lines = done.stdout.splitlines()
    assert len(lines) == 4 and all(l.startswith("OutputError") and "read-only" in l for l in lines), done


LOOP = """
import sys
from lowrank_cli.formats.atomic import commit
print("go", flush=True)
n = 0
while True:
    n += 1
    commit(sys.argv[1], [(b"%d" % (n % 10)) * 1_000_000] * 2, 2_000_000)
"""


def test_f14_killed_at_any_moment_the_file_is_one_whole_content_and_the_next_run_cleans_up(tmp_path):
    from lowrank_cli.formats.atomic import commit

    target, leftovers = tmp_path / "out", 0
    commit(str(target), [b"0" * 2_000_000], 2_000_000)
    for shot in range(25):
        loop = subprocess.Popen([sys.executable, "-c", LOOP, target], stdout=subprocess.PIPE, cwd=ROOT)
        loop.stdout.readline()
        time.sleep(0.0007 * shot)
        loop.kill()
        loop.wait()
        loop.stdout.close()
        content = target.read_bytes()
        assert len(content) == 2_000_000 and len(set(content)) == 1
        leftovers += len(os.listdir(tmp_path)) > 1
    commit(str(target), [b"last"], 4)
    assert os.listdir(tmp_path) == ["out"]
    # otherwise no kill met a write, and nothing was shown
    assert leftovers > 0


SIGNALLED = """
import signal, sys
from lowrank_cli.formats.atomic import commit
signal.signal(signal.SIGTERM, lambda n, frame: sys.exit(128 + n))
print("go", flush=True)
n = 0
while True:
    n += 1
    commit(sys.argv[1], [(b"%d" % (n % 10)) * 100_000] * 2, 200_000)
"""


@pytest.mark.parametrize("number", (signal.SIGINT, signal.SIGTERM))
def test_f12_a_signal_that_raises_leaves_one_whole_content_and_no_temporary_file(number, tmp_path):
    target = tmp_path / "out"
    target.write_bytes(b"0" * 200_000)
    for shot in range(8):
        loop = subprocess.Popen(
            [sys.executable, "-c", SIGNALLED, target], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=ROOT
        )
        loop.stdout.readline()
        time.sleep(0.002 * shot)
        loop.send_signal(number)
        loop.wait(timeout=20)
        loop.stdout.close()
        content = target.read_bytes()
        assert len(content) == 200_000 and len(set(content)) == 1
        assert os.listdir(tmp_path) == ["out"]


def strace(options, target, keep="replace"):
    """The commit under strace; skip where tracing is not permitted. Returns the finished process and the log."""
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed")
    log = f"{target}.log"
    done = run(COMMIT, target, keep, before=["strace", "-f", "-y", "-o", log, *options])
    if not os.path.exists(log) or "ptrace" in done.stderr:
        pytest.skip(f"strace cannot trace here: {done.stderr.strip()[:100]}")
    with open(log) as file:
        text = file.read()
    os.unlink(log)
    return done, text


@pytest.mark.parametrize("keep, publish", (("replace", "rename"), ("keep", "link")))
def test_f15_the_file_is_synced_before_it_gets_its_name_and_the_directory_after(keep, publish, tmp_path):
    done, log = strace(["-e", "trace=fsync,rename,renameat,renameat2,link,linkat"], tmp_path / "out", keep)
    assert done.returncode == 0, done.stderr
    calls = re.findall(r"(fsync|rename|link)(?:at2?)?\(\d+<([^>]*)>", log)
    assert [name for name, _ in calls] == ["fsync", publish, "fsync"]
    assert calls[0][1].endswith(".tmp") and calls[2][1] == str(tmp_path)


RENAMES = "rename,renameat,renameat2"
FAULTS = [
    ("fallocate", "ENOSPC", "no space left"),
    ("fallocate", "EDQUOT", "quota"),
    ("fsync", "EIO", "input/output error"),
    ("fsync", "ENOSPC", "no space left"),
    ("fsync", "EDQUOT", "quota"),
    (RENAMES, "EIO", "input/output error"),
    (RENAMES, "EXDEV", "ross-device"),
    (RENAMES, "ENOSPC", "no space left"),
    ("fchmod", "EIO", "input/output error"),
]


@pytest.mark.parametrize("call, error, said", FAULTS)
def test_f09_a_failing_system_call_is_one_line_and_the_old_content_stays(call, error, said, tmp_path):
    target = tmp_path / "out"
    target.write_bytes(OLD)
    done, log = strace(["-e", f"trace={call}", "-e", f"inject={call}:error={error}:when=1"], target)
    assert "INJECTED" in log
    assert_one_line(done, said)
    assert target.read_bytes() == OLD and os.listdir(tmp_path) == ["out"]


def test_f09_a_directory_that_cannot_be_synced_is_reported_though_the_file_is_there(tmp_path):
    done, log = strace(["-e", "trace=fsync", "-e", "inject=fsync:error=EIO:when=2"], tmp_path / "out")
    assert "INJECTED" in log
    assert_one_line(done, "directory could not be synced")
    assert (tmp_path / "out").read_bytes() == NEW


@pytest.mark.parametrize("call, error", (("fsync", "EINVAL"), ("fsync", "EOPNOTSUPP"), ("flock", "ENOLCK")))
def test_f11_what_a_simple_file_system_lacks_is_done_without(call, error, tmp_path):
    which = 2 if call == "fsync" else "1+"
    done, log = strace(["-e", f"trace={call}", "-e", f"inject={call}:error={error}:when={which}"], tmp_path / "out")
    assert "INJECTED" in log and done.returncode == 0, done.stdout
    assert (tmp_path / "out").read_bytes() == NEW and os.listdir(tmp_path) == ["out"]


def test_f11_a_file_system_without_reservation_or_hard_links_still_takes_the_file(tmp_path):
    calls = "fallocate,link,linkat"
    options = ["-e", f"trace={calls}", "-e", "inject=link,linkat:error=EOPNOTSUPP"]
    done, log = strace(options, tmp_path / "out", "keep")
    assert "INJECTED" in log and done.returncode == 0, done.stdout
    assert (tmp_path / "out").read_bytes() == NEW and os.listdir(tmp_path) == ["out"]


@pytest.mark.parametrize(
    "call, number, left",
    (
        ("fallocate", 1, OLD),
        ("fsync", 1, OLD),
        (RENAMES, 1, OLD),
        ("fsync", 2, NEW),
    ),
)
def test_f14_killed_at_each_step_the_file_is_old_or_new_and_the_next_run_cleans_up(call, number, left, tmp_path):
    from lowrank_cli.formats.atomic import commit

    target = tmp_path / "out"
    target.write_bytes(OLD)
    options = ["-e", f"trace={call}", "-e", f"inject={call}:error=EIO:signal=KILL:when={number}"]
    done, log = strace(options, target)
    assert "killed by SIGKILL" in log and done.returncode != 0
    assert target.read_bytes() == left
    commit(str(target), [b"x"], 1)
    assert os.listdir(tmp_path) == ["out"]


def test_f08_a_whole_save_under_a_hard_limit_ends_with_exit_code_5_and_the_old_file(tmp_path):
    if shutil.which("prlimit") is None:
        pytest.skip("prlimit is not installed")
    for suffix in (".npz", ".h5"):
        target = tmp_path / f"f{suffix}"
        assert run(SAVE, target, "a").returncode == 0
        old = target.read_bytes()
        assert_one_line(run(SAVE, target, "b", before=["prlimit", "--fsize=1000"]), "larg")
        assert target.read_bytes() == old
    assert sorted(os.listdir(tmp_path)) == ["f.h5", "f.npz"]
