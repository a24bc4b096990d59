"""A matrix that knows what was read of it."""

from __future__ import annotations

from lowrank_cli.matrices.metered import PRODUCTS


class Counted:
    """A matrix that writes down every read of all its entries, and the flops of every product."""

    def __init__(self, matrix, reads=None, products=None):
        self.matrix = matrix
        self.reads = [] if reads is None else reads
        self.products = [] if products is None else products

    def __getattr__(self, name):
        return getattr(self.matrix, name)

    def _multiplied(self, columns):
        m, n = self.matrix.shape
        self.products.append(2 * columns * (m * n if self.matrix.nnz is None else self.matrix.nnz))

    def matmat(self, X, keep=False):
        self.reads.append("matmat")
        self._multiplied(X.shape[1])
        return self.matrix.matmat(X)

    def rmatmat(self, Y, keep=False):
        self.reads.append("rmatmat")
        self._multiplied(Y.shape[1])
        return self.matrix.rmatmat(Y)

    def normal_matmat(self, X, keep=False):
        self.reads.append("normal")
        self._multiplied(X.shape[1])
        self._multiplied(X.shape[1])
        return self.matrix.normal_matmat(X)

    def adjoint_normal_matmat(self, Y, keep=False):
        self.reads.append("normal")
        self._multiplied(Y.shape[1])
        self._multiplied(Y.shape[1])
        return self.matrix.adjoint_normal_matmat(Y)

    def together(self, asks):
        self.reads.append(" and ".join(name for _, name, *_ in asks))
        for _, name, argument, *_ in asks:
            for _ in range(PRODUCTS.get(name, 0)):
                self._multiplied(argument.shape[1])
        return self.matrix.together([(matrix.matrix, *rest) for matrix, *rest in asks])

    def sweep(self, transposed=False, low=None):
        self.reads.append("sweep")
        return self.matrix.sweep(transposed) if low is None else self.matrix.sweep(transposed, low.matrix)

    def kept_single(self):
        low = self.matrix.kept_single()
        return None if low is None else Counted(low, self.reads, self.products)

    def tiles(self, visit):
        self.reads.append("tiles")
        return self.matrix.tiles(visit)

    def block(self, rows, cols):
        m, n = self.matrix.shape
        if (rows.stop - rows.start, cols.stop - cols.start) == (m, n):
            self.reads.append("whole")
        return self.matrix.block(rows, cols)

    def scaled(self, exponent):
        return Counted(self.matrix.scaled(exponent), self.reads, self.products)

    def single(self, exponent):
        return Counted(self.matrix.single(exponent), self.reads, self.products)
