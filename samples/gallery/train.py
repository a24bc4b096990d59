"""Per-sample gradients of a small model: a two-layer network on scikit-learn's digits, trained by NumPy alone.

    python train.py digits.npy OUT

writes OUT/gradients.npy (samples x parameters), the gradient of each sample's loss at the point where training stopped,
early enough that gradients have not vanished; OUT/gradients_W1.npy and _W2.npy, the columns of each layer; and
OUT/shapes.json.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np

HIDDEN, STEPS, BATCH, RATE = 16, 120, 64, 0.3


def load(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Pixels in [0, 1] with a constant one appended, and labels."""
    table = np.load(path).astype(np.float64)
    pixels = table[:, :-1] / 16
    return np.hstack([pixels, np.ones((len(pixels), 1))]), table[:, -1].astype(int)


def forward(X: np.ndarray, W1: np.ndarray, W2: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Hidden values (samples x hidden + 1, the last one 1) and class probabilities."""
    H = np.hstack([np.tanh(X @ W1), np.ones((len(X), 1))])
    scores = H @ W2
    scores -= scores.max(axis=1, keepdims=True)
    P = np.exp(scores)
    return H, P / P.sum(axis=1, keepdims=True)


def per_sample(X: np.ndarray, y: np.ndarray, W1: np.ndarray, W2: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(samples x W1.size, samples x W2.size): the gradient of -log p(label) of each sample."""
    H, P = forward(X, W1, W2)
    errors = P.copy()
    errors[np.arange(len(y)), y] -= 1
    back = (errors @ W2[:-1].T) * (1 - H[:, :-1] ** 2)
    first = np.einsum("ni,nj->nij", X, back).reshape(len(y), -1)
    second = np.einsum("ni,nj->nij", H, errors).reshape(len(y), -1)
    return first, second


def train(X: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    W1 = rng.standard_normal((X.shape[1], HIDDEN)) / np.sqrt(X.shape[1])
    W2 = rng.standard_normal((HIDDEN + 1, 10)) / np.sqrt(HIDDEN)
    for _ in range(STEPS):
        some = rng.choice(len(X), BATCH, replace=False)
        first, second = per_sample(X[some], y[some], W1, W2)
        W1 -= RATE * first.mean(axis=0).reshape(W1.shape)
        W2 -= RATE * second.mean(axis=0).reshape(W2.shape)
    return W1, W2


def main(digits: str, out: str) -> None:
    folder = Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    X, y = load(Path(digits))
    W1, W2 = train(X, y)
    right = float((forward(X, W1, W2)[1].argmax(axis=1) == y).mean())
    first, second = per_sample(X, y, W1, W2)
    np.save(folder / "gradients_W1.npy", first)
    np.save(folder / "gradients_W2.npy", second)
    np.save(folder / "gradients.npy", np.hstack([first, second]))
    facts = {"W1": list(W1.shape), "W2": list(W2.shape), "right": right}
    (folder / "shapes.json").write_text(json.dumps(facts) + "\n", encoding="utf-8")
    print(f"{len(y)} gradients of {W1.size + W2.size} parameters; {100 * right:.1f} % of the digits are told right")


if __name__ == "__main__":
    main(*sys.argv[1:])
