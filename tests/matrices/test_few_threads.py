"""A system that lets no thread start, or fewer than were asked for."""

from __future__ import annotations

import threading

import pytest

from lowrank_cli.engines.threads import ThreadEngine
from lowrank_cli.matrices.ahead import Ahead


@pytest.mark.parametrize("most", [0, 1, 2])
def test_g07_blocks_are_done_by_the_threads_there_are(most, monkeypatch):
    real, started = threading.Thread.start, []

    def start(self):
        if len(started) >= most:
            raise RuntimeError("can't start new thread")
        started.append(self)
        real(self)

    monkeypatch.setattr(threading.Thread, "start", start)
    engine = ThreadEngine(4)
    for _ in range(2):
        assert engine.map(lambda i: i * i, 50) == [i * i for i in range(50)]
    with pytest.raises(ZeroDivisionError):
        engine.map(lambda i: 1 // (i - 3), 50)
    assert [*Ahead().pieces(range(5), lambda piece, slot: (piece, slot))] == [(i, i % 2) for i in range(5)]
    assert len(started) == most
