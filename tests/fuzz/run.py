"""Coverage-guided fuzzing of one parser: ``python -m fuzz.run NAME SECONDS`` in tests/, ``make fuzz`` for all.

New inputs go to a folder that is thrown away; what ends a parser stays as crash-* in the working folder, and belongs
into ``corpus/NAME/`` once it is mended.
"""

from __future__ import annotations

import sys
import tempfile

import atheris
import scipy.sparse  # noqa: F401  it takes seconds, which no input is to answer for

with atheris.instrument_imports(include=["lowrank_cli"]):
    from fuzz.targets import CORPUS, attempt


def main(name: str, seconds: str) -> None:
    with tempfile.TemporaryDirectory() as found:
        options = [f"-max_total_time={seconds}", "-max_len=4096", "-timeout=10", "-rss_limit_mb=2048", "-verbosity=1"]
        atheris.Setup(["fuzz", *options, found, str(CORPUS / name)], lambda data: attempt(name, data) and None)
        atheris.Fuzz()


if __name__ == "__main__":
    main(*sys.argv[1:])
