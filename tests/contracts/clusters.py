"""What a cluster has to give: the factors and the report of one process, bit for bit."""

from __future__ import annotations

import numpy as np

from lowrank_cli import api
from lowrank_cli.formats.clustered import open_on
from lowrank_cli.formats.opening import open_matrix


def assert_same_as_one_process(cluster, path, job, item=None):
    """The outcome on the cluster, once it is found to be that of this process."""
    there, report = api.run(job, open_on(cluster, path, item))
    here, expected = api.run(job, open_matrix(path, item))
    for name, array in here.factor.arrays().items():
        found = there.factor.arrays()[name]
        if hasattr(array, "indptr"):
            pairs = [(getattr(found, part), getattr(array, part)) for part in ("data", "indices", "indptr")]
        else:
            pairs = [(np.asarray(found), array)]
        for mine, theirs in pairs:
            same = mine.dtype == theirs.dtype and mine.tobytes() == np.ascontiguousarray(theirs).tobytes()
            assert same, name
    assert report == expected and there.ledger == here.ledger
    return there
