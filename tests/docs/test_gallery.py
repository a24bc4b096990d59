"""Every page of the gallery is made, which means that every claim on it was checked."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

GALLERY = Path(__file__).resolve().parents[2] / "samples" / "gallery"
PAGES = sorted(p.stem for p in GALLERY.glob("*.py") if p.stem not in ("chart", "page", "train"))
#: Pages that take more than a few seconds.
SLOW = {"batch", "codebook", "cr", "cur", "hessian", "id", "msign", "svd"}


@pytest.mark.parametrize("page", [pytest.param(p, marks=pytest.mark.slow if p in SLOW else ()) for p in PAGES])
def test_a_page_holds_what_it_claims(page, tmp_path):
    env = {**os.environ, "LOWRANK": f"{sys.executable} -m lowrank_cli"}
    python = [sys.executable, str(GALLERY / "train.py"), str(GALLERY / "digits.npy"), str(tmp_path)]
    subprocess.run(python, check=True, capture_output=True)
    done = subprocess.run(
        [sys.executable, f"{page}.py", str(tmp_path)], cwd=GALLERY, env=env, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    text = (tmp_path / f"{page}.md").read_text(encoding="utf-8")
    assert "Checked: " in text and "$ lowrank " in text
    pictures = re.findall(r"!\[[^]]+\]\(([^)]+)\)", text)
    assert pictures and all((tmp_path / name).read_text(encoding="utf-8").startswith("<svg ") for name in pictures)


def test_the_gallery_lists_every_page():
    text = (GALLERY / "README.md").read_text(encoding="utf-8")
    assert re.findall(r"^\| \[(\w+)\]", text, re.MULTILINE) and set(re.findall(r"^\| \[(\w+)\]", text, re.M)) == set(
        PAGES
    )
