"""A codebook: M ~ S C, where every row of S picks one row of C. An approximation of rank K that is stored in few bits.

The codewords of 8 x 8 blocks of a photograph, found by k-means; and the rotation that carries a row to its codeword,
through which the rotation trick sends gradients. After the articles of Su Jianlin on vector quantization; Fifty et al.
2024.
"""

from __future__ import annotations

import numpy as np
from chart import Series, chart, tiles
from page import Page


def blocks(picture: np.ndarray) -> np.ndarray:
    """The 8 x 8 blocks of a picture, one a row."""
    high, wide = picture.shape
    return picture.reshape(high // 8, 8, wide // 8, 8).transpose(0, 2, 1, 3).reshape(-1, 64)


def main() -> None:
    page = Page("codebook", "A codebook")
    page.say(__doc__)
    M = blocks(np.load(page.out / "camera.npy").astype(float))
    np.save(page.out / "blocks.npy", M)
    page.run("lowrank approx blocks.npy --method vq -k 64 -o blocks.vq64.npz")
    saved = np.load(page.out / "blocks.vq64.npz")
    codes, C = saved["codes"].ravel().astype(int), saved["codebook"]
    error = float(np.linalg.norm(M - C[codes]))
    counts = np.bincount(codes, minlength=len(C))
    page.check(
        "|M - S C|^2 and |M|^2 - sum of n_c |c|^2, codewords being means",
        error**2,
        float(np.sum(M**2) - counts @ np.sum(C**2, axis=1)),
        1e-8 * float(np.sum(M**2)),
    )
    sizes, plain, product, rank = [4, 16, 64, 256], [], [], []
    s = np.linalg.svd(M, compute_uv=False)
    for K in sizes:
        plain.append(page.ask(f"lowrank approx blocks.npy --method vq -k {K}"))
        product.append(page.ask(f"lowrank approx blocks.npy --method vq -k {K} --code product:4"))
        rank.append(float(np.sqrt(np.sum(s[K:] ** 2) / np.sum(s**2))))
    page.table(
        ("codewords K", "one codeword a block", "four, one a quarter", "best of rank K"),
        [
            (str(K), a["error"]["relative"], b["error"]["relative"], c)
            for K, a, b, c in zip(sizes, plain, product, rank, strict=True)
        ],
    )
    for K, report, best in zip(sizes, plain, rank, strict=True):
        page.holds(f"{K} codewords are no nearer than the best of rank {K}", report["error"]["relative"] >= best)
    page.picture(
        chart(
            "Error against bytes",
            "bytes",
            "relative error",
            [
                Series(
                    name,
                    [r["compression"]["bytes_out"] for r in some],
                    [r["error"]["relative"] for r in some],
                    marks=True,
                )
                for name, some in (("one codeword a block", plain), ("four, one a quarter", product))
            ],
            log_x=True,
        ),
        "Relative error against bytes",
    )
    order = np.argsort(C.mean(axis=1))
    page.picture(
        tiles("64 codewords, from dark to light", [C[i].reshape(8, 8) for i in order], 16, pixel=5),
        "Codewords",
        "-words",
    )
    e, q = M[0], C[codes[0]]
    w = e / np.linalg.norm(e) + q / np.linalg.norm(q)
    w /= np.linalg.norm(w)
    R = np.eye(64) - 2 * np.outer(w, w) + 2 * np.outer(q / np.linalg.norm(q), e / np.linalg.norm(e))
    page.check("the rotation is orthogonal", float(np.linalg.norm(R.T @ R - np.eye(64))), 0.0, 1e-12)
    carried = float(np.linalg.norm(np.linalg.norm(q) / np.linalg.norm(e) * (R @ e) - q) / np.linalg.norm(q))
    page.check("it carries the first block to its codeword", carried, 0.0, 1e-12)
    page.write()


if __name__ == "__main__":
    main()
