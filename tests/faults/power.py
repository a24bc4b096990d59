"""The power goes while files are being written: a disk image is copied at random moments, mounted, and looked at."""

from __future__ import annotations

import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

#: for ever: save factors in three kinds of files, and say so when each is done
WRITER = """
import sys
import numpy as np
from lowrank_cli.factors.svd import SVD
from lowrank_cli.formats.saving import save
number = 0
while True:
    number += 1
    for suffix in (".npz", ".h5", "/"):
        x = np.full((500, 4), float(number))
        save(SVD(x, np.ones(4), x[:50].T.copy()), {"number": number}, sys.argv[1] + "/F" + suffix)
        print(suffix, number, flush=True)
"""


def mount(image: Path, folder: Path) -> None:
    """Mount the image, as a device of its own. Raises CalledProcessError where that is not permitted."""
    folder.mkdir(exist_ok=True)
    subprocess.run(["mount", "-o", "loop", image, folder], check=True, capture_output=True, text=True)


def cuts(folder: Path, times: int) -> dict[str, Any]:
    """Cut the power so many times; how many files were found as they were promised, and under ``wrong`` the others.

    After a save has said that it is done, its content or a later one is in the file, whole.
    """
    from lowrank_cli.formats.saving import load_factors

    image, copy, disk, after = (folder / name for name in ("image", "copy", "disk", "after"))
    with open(image, "wb") as file:
        file.truncate(24 << 20)
    subprocess.run(["mkfs.ext4", "-q", "-F", image], check=True)
    mount(image, disk)
    said = folder / "said"
    with open(said, "wb") as told:
        writer = subprocess.Popen([sys.executable, "-c", WRITER, disk], stdout=told)
    wrong, files = [], 0
    chance = random.Random(times)
    try:
        while said.read_text().count("\n") < 3:
            time.sleep(0.05)
        for _ in range(times):
            time.sleep(chance.uniform(0, 0.1))
            writer.send_signal(signal.SIGSTOP)
            promised = dict(line.split() for line in said.read_text().splitlines())
            shutil.copyfile(image, copy)
            writer.send_signal(signal.SIGCONT)
            mount(copy, after)
            for suffix, number in promised.items():
                files += 1
                try:
                    saved = load_factors(f"{after}/F{suffix}")
                    if saved.report["number"] < int(number) or (saved.factor.U != saved.report["number"]).any():
                        wrong.append(f"F{suffix}: {saved.report['number']} where {number} was promised")
                except Exception as error:
                    wrong.append(f"F{suffix}: {error}")
            subprocess.run(["umount", after], check=True)
    finally:
        writer.kill()
        writer.wait()
        subprocess.run(["umount", disk], check=True)
    return {"cuts": times, "files": files, "wrong": wrong}
