"""Coverage-guided fuzzing of one parser: ``python -m fuzz.run NAME SECONDS [FOLDER]`` in tests/, ``make fuzz`` for all.

New inputs go to FOLDER, or are thrown away; what ends a parser stays as crash-* in the working folder, and belongs
into ``corpus/NAME/`` once it is mended. The last line is JSON: what was run, and the edges of our code that it reached;
bench/fuzzing.jsonl keeps those of long runs, of which docs/reliability.md tells.
``python -m fuzz.run NAME -merge=1 NEW OLD...`` is libFuzzer itself with its options, here for the fewest inputs of the
folders OLD that reach as much.
"""

from __future__ import annotations

import datetime
import json
import re
import signal
import subprocess
import sys
import tempfile
import time

#: Runs of one process. SciPy's reader of Matrix Market keeps 5 kB of every file that it refuses, and is asked twice.
_RUNS = 100_000


def fuzz(name: str, *options: str) -> None:
    """In this process, which ends here. libFuzzer starts others of its own by the first word of its command."""
    import atheris
    import scipy.sparse  # noqa: F401  it takes seconds, which no input is to answer for

    with atheris.instrument_imports(include=["lowrank_cli"]):
        from fuzz.targets import attempt

    atheris.Setup([f"{sys.executable} -m fuzz.run {name}", *options], lambda data: attempt(name, data) and None)
    atheris.Fuzz()


def main(name: str, seconds: float, folder: str, kept: bool) -> int:
    """Fuzz for that long, in one process after the other; the exit code of the one that found something. What keeps
    nothing tries the same inputs each time, as far as it comes."""
    from fuzz.targets import CORPUS

    begun, runs, edges, code = time.monotonic(), 0, 0, 0
    while not code and (left := int(begun + seconds - time.monotonic())) > 0:
        options = [f"-max_total_time={left}", f"-runs={_RUNS}", "-max_len=4096", "-timeout=10", "-rss_limit_mb=2048"]
        options += [] if kept else ["-seed=1"]
        command = [sys.executable, "-m", "fuzz.run", name, *options, folder, CORPUS / name]
        done = subprocess.run(command, stderr=subprocess.PIPE, text=True, errors="backslashreplace", check=False)
        # libFuzzer's own alarm may ring while the process ends
        code = 0 if done.returncode == -signal.SIGALRM else done.returncode
        runs += int((re.findall(r"^#(\d+)", done.stderr, re.MULTILINE) or ["0"])[-1])
        edges = int((re.findall(r" cov: (\d+) ", done.stderr) or ["0"])[-1])
        if code:
            print(done.stderr[-4000:], file=sys.stderr)
    told = {"name": name, "date": datetime.date.today().isoformat(), "seconds": round(time.monotonic() - begun)}
    print(json.dumps({**told, "runs": runs, "edges": edges, "found": int(code != 0)}), flush=True)
    return code


if __name__ == "__main__":
    if not re.fullmatch(r"[\d.]+", sys.argv[2]):
        fuzz(*sys.argv[1:])
    with tempfile.TemporaryDirectory() as thrown_away:
        sys.exit(main(sys.argv[1], float(sys.argv[2]), (*sys.argv[3:], thrown_away)[0], len(sys.argv) > 3))
