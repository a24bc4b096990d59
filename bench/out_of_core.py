"""A matrix in a file that is larger than the memory allowed: ours against those that work on a memory map.

Each contender is a process of its own under a limit that is set from outside: a cgroup where one can be made, else
RLIMIT_DATA, which counts what a process allocates and not the pages of a map. The cache of the file is dropped before
every run where the system allows it. The error of each is measured afterwards, in the same way, by blocks of rows.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

M, N, RANK, ALLOWED = 300_000, 2500, 20, 2_500_000_000
ROWS = 4096
#: Prints a line of JSON: seconds of the call, without imports; leaves U, s, Vh beside the output.
PEERS = {
    "scikit-learn randomized_svd": """
from sklearn.utils.extmath import randomized_svd
A = np.load(path, mmap_mode="r")
started = time.perf_counter()
U, s, Vh = randomized_svd(A, k, random_state=0)
""",
    "torch.svd_lowrank": """
import torch
A = torch.from_numpy(np.load(path, mmap_mode="c"))
torch.manual_seed(0)
started = time.perf_counter()
U, s, V = torch.svd_lowrank(A, q=k + 10, niter=2)
U, s, Vh = U.numpy()[:, :k], s.numpy()[:k], V.numpy().T[:k]
""",
}
FRAME = """
import json, sys, time
import numpy as np
path, k, out = sys.argv[1], int(sys.argv[2]), sys.argv[3]
{body}
seconds = time.perf_counter() - started
np.savez(out, U=U, s=s, Vh=Vh)
print(json.dumps({{"seconds": seconds}}))
"""


def make(path: Path, m: int) -> None:
    """Rank 20 and noise, row block by row block."""
    rng = np.random.default_rng(0)
    V = np.linalg.qr(rng.standard_normal((N, RANK)))[0] * np.linspace(10, 1, RANK)
    file = np.lib.format.open_memmap(path, mode="w+", dtype=np.float64, shape=(m, N))
    for start in range(0, m, ROWS):
        rows = min(ROWS, m - start)
        file[start : start + rows] = rng.standard_normal((rows, RANK)) @ V.T + 0.1 * rng.standard_normal((rows, N))
    file.flush()


def drop_cache(path: Path) -> bool:
    """Whether the file is out of the cache now, as far as the system says."""
    with open(path, "rb") as file:
        os.fsync(file.fileno())
        try:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        except (AttributeError, OSError):
            return False
    return True


def raw_read(path: Path) -> float:
    """Seconds to read the file once, 64 MiB at a time into one buffer."""
    buffer = bytearray(64 << 20)
    started = time.perf_counter()
    with open(path, "rb", buffering=0) as file:
        while file.readinto(buffer):
            pass
    return time.perf_counter() - started


def confined(allowed: int) -> Path | None:
    """A new cgroup, of either version, with that limit of memory; None where none can be made."""
    for folder, limit in (("", "memory.max"), ("memory", "memory.limit_in_bytes")):
        group = Path("/sys/fs/cgroup", folder, f"lowrank-bench-{os.getpid()}")
        try:
            group.mkdir()
        except OSError:
            continue
        try:
            if (group / limit).exists():
                (group / limit).write_text(str(allowed))
                return group
        except OSError:
            pass
        group.rmdir()
    return None


def limited(argv: list[str], allowed: int) -> tuple[int, str, float, int]:
    """Exit code, standard output, seconds and peak resident bytes of a process that may take so much."""
    group = confined(allowed)

    def enter() -> None:
        if group is not None:
            (group / "cgroup.procs").write_text(str(os.getpid()))
        else:
            resource.setrlimit(resource.RLIMIT_DATA, (allowed, allowed))

    started = time.perf_counter()
    with tempfile.TemporaryFile("w+") as out:
        child = subprocess.Popen(argv, stdout=out, stderr=subprocess.STDOUT, preexec_fn=enter)
        _, status, used = os.wait4(child.pid, 0)
        seconds = time.perf_counter() - started
        out.seek(0)
        said = out.read()
    if group is not None:
        group.rmdir()
    return os.waitstatus_to_exitcode(status), said, seconds, used.ru_maxrss * 1024


def relative_error(path: Path, factors: Path) -> float:
    """|A - U s Vh| / |A|, by blocks of rows."""
    A = np.load(path, mmap_mode="r")
    with np.load(factors) as kept:
        U, s, Vh = (kept[name] for name in ("U", "s", "Vh"))
    left = total = 0.0
    for start in range(0, len(A), ROWS):
        block = np.asarray(A[start : start + ROWS])
        left += float(np.sum(np.square(block - (U[start : start + ROWS] * s) @ Vh)))
        total += float(np.sum(np.square(block)))
    return (left / total) ** 0.5


def ours(path: Path, out: Path, allowed: int, threads: int) -> list[str]:
    asked = [str(path), "-k", str(RANK), "--memory", str(allowed), "--threads", str(threads)]
    return [sys.executable, "-m", "lowrank_cli", "approx", *asked, "-o", str(out), "--json"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scale", type=int, default=1, help="divides rows and allowance: a trial")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()), help="on the disk to be measured")
    how = parser.parse_args()
    m, allowed = M // how.scale, max(ALLOWED // how.scale, 400_000_000)
    with tempfile.TemporaryDirectory(dir=how.folder) as folder:
        path, out = Path(folder) / "A.npy", Path(folder) / "F.npz"
        make(path, m)
        dropped = drop_cache(path)
        raw = min(raw_read(path) for _ in range(how.rounds) if drop_cache(path) or True)
        size = path.stat().st_size
        print(f"{m} x {N}, {size / 1e9:.2f} GB; allowed {allowed / 1e9:.2f} GB; cache dropped: {dropped}")
        print(f"raw read {raw:.2f} s, {size / raw / 1e9:.2f} GB/s\n")
        print(f"{'':30}{'s':>8}{'/ raw':>8}{'passes':>8}{'/ passes raw':>14}{'GB read':>9}{'peak GB':>9}  error")
        whole: dict[int, float] = {}
        contenders = {f"lowrank, {t} threads": ours(path, out, allowed, t) for t in (1, 2)}
        for name, body in PEERS.items():
            contenders[name] = [sys.executable, "-c", FRAME.format(body=body), str(path), str(RANK), str(out)]
        for number, (name, argv) in enumerate(contenders.items()):
            runs = []
            for _ in range(how.rounds):
                drop_cache(path)
                code, said, seconds, peak = limited(argv, allowed)
                runs.append((seconds, peak))
                if code:
                    break
            if code:
                print(f"{name:30}  ended with {code}: {said.strip().splitlines()[-1][:70] if said.strip() else ''}")
                continue
            seconds, peak = min(runs)[0], max(peak for _, peak in runs)
            passes = read = None
            if number < 2:
                report = json.loads(said[said.index("{") :])
                passes, read = report["ledger"]["passes"], report["run"]["bytes_read"]
                whole[number + 1] = seconds
            cells = [f"{seconds:8.2f}", f"{seconds / raw:8.2f}", f"{passes or '-':>8}"]
            cells += [f"{seconds / raw / passes:14.2f}" if passes else f"{'-':>14}"]
            cells += [f"{read / 1e9:9.2f}" if read else f"{'-':>9}", f"{peak / 1e9:9.2f}"]
            print(f"{name:30}" + "".join(cells) + f"  {relative_error(path, out):.10f}")
        if len(whole) == 2:
            print(f"\nparallel efficiency of 2 workers: {whole[1] / whole[2] / 2:.2f}")


if __name__ == "__main__":
    main()
