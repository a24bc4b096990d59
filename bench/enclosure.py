"""How far apart the ends of the best possible error are, from the basis alone and with probes.

Usage: python bench/enclosure.py [m n k]. Prints a markdown table; counts ratios and products, not seconds.
"""

from __future__ import annotations

import math
import sys
from unittest import mock

import numpy as np
from spectra import SPECTRA, matrix

import lowrank_cli
from lowrank_cli.algorithms import optimum


def main(m: int = 4000, n: int = 3000, k: int = 100) -> None:
    print("| spectrum | Ritz tail alone | with probes | products for them | optimum inside |")
    print("|---|---|---|---|---|")
    for name in SPECTRA:
        A, s = matrix(name, m, n)
        best = float(np.linalg.norm(s[k:]) / np.linalg.norm(s))
        with mock.patch.object(optimum, "TIGHT", math.inf):
            alone = lowrank_cli.approx(A, rank=k)
        probed = lowrank_cli.approx(A, rank=k)
        found = probed.certificate
        ratios = [c.optimal_upper / c.optimal_lower for c in (alone.certificate, found)]
        inside = found.optimal_lower <= best <= found.optimal_upper
        extra = probed.ledger.products - alone.ledger.products
        print(f"| {name} | {ratios[0]:.4f} | {ratios[1]:.4f} | {extra} | {'yes' if inside else 'NO'} |")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
