"""A Matrix Market file too large for memory, by rows: two reads of its text and a scratch file.

The first read counts the entries of each row, so that the rows are cut into groups that fit. The second puts every
entry into the place of its group in the scratch file. In a group entries keep the order in which a reader of the whole
file has them, the mirrored ones of a symmetric matrix behind all others, so repeated ones are summed to the same bits.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from ..errors import InputError, OutputError
from ..lazy import np
from . import atomic, mtx, mtx_entries, sparse_writer
from .mtx_header import Header, check_promise, read_header
from .mtx_lines import Lines
from .sparse_parts import fits
from .sparse_writer import SparseRows
from .working import require_memory

if TYPE_CHECKING:
    import numpy

#: Bytes that an entry takes while its group is put in order, about.
_PER_ENTRY = 120


def rows(path: str, item: str | None, most: int, target: str) -> SparseRows | None:
    """The matrix by rows, if reading it takes more than twice ``most`` bytes of memory; else None.

    The scratch file lies beside the target. Raises InputError as ``mtx.load`` does, some of it while parts are taken.
    """
    mtx.refuse_item(item, path)
    with mtx.opened(path) as file:
        lines = Lines(file, path)
        header = read_header(lines)
        check_promise(header, mtx.most_text(file, lines), path)
    if header.layout != "coordinate" or fits(header.reading, 2 * most):
        return None
    require_memory(40 * header.rows, path, "the counts of its rows")
    dtype = np.dtype("c16" if header.field == "complex" else "f8")
    notes: list[str] = []
    parts = _Sorter(path, header, dtype, max(1, most // 2 // _PER_ENTRY), target, notes).parts()
    return SparseRows((header.rows, header.cols), dtype, header.dtype, parts, notes)


class _Sorter:
    """What the two reads share. room: entries of a group, about; it has one row at least."""

    def __init__(self, path: str, header: Header, dtype: numpy.dtype, room: int, target: str, notes: list[str]):
        self.path, self.header, self.room, self.target, self.notes = path, header, room, target, notes
        index = np.int32 if max(header.rows, header.cols) < 2**31 else np.int64
        self.record = np.dtype([("row", index), ("col", index), ("value", dtype)])

    def parts(self) -> Iterator[Any]:
        with sparse_writer.scratch(self.target) as file:
            counts = self._count()
            marks = self._marks(counts.sum(axis=0))
            # of each group first the entries as they stand, then the mirrored ones
            sizes = np.add.reduceat(counts, marks[:-1], axis=1)
            ends = np.cumsum(sizes.T.reshape(-1)).reshape(sizes.T.shape)
            self._deal(file.fileno(), marks, ends - sizes.T, ends)
            repeats = 0
            for group, end in enumerate(ends[:, 1].tolist()):
                start = int(ends[group - 1, 1]) if group else 0
                part = self._put_in_order(file.fileno(), start, end, int(marks[group]), int(marks[group + 1]))
                repeats += end - start - part.nnz
                yield part
        if repeats:
            self.notes.append(mtx.summed(repeats))

    def _read(self) -> Iterator[mtx_entries.Entries]:
        with mtx.opened(self.path) as file:
            lines = Lines(file, self.path)
            if read_header(lines) != self.header:
                raise self._changed()
            yield from mtx_entries.parts(self.header, lines)

    def _changed(self) -> InputError:
        return InputError("changed while it was being read", where=self.path, hint="run again when it rests")

    def _count(self) -> numpy.ndarray:
        """(2, rows): entries as they stand, and mirrored ones."""
        counts = np.zeros((2, self.header.rows), np.int64)
        seen = mtx_entries.Entries(None, None, np.empty(0))
        for part in self._read():
            for kind, (down, _, _) in enumerate(self._both(part)):
                found = np.unique(down, return_counts=True)
                counts[kind, found[0]] += found[1]
            seen.lost += part.lost
            seen.upper |= part.upper
        self.notes += seen.notes(self.header)
        return counts

    def _both(self, part: mtx_entries.Entries) -> Iterator[tuple[numpy.ndarray, numpy.ndarray, numpy.ndarray]]:
        """Rows, columns and values of the entries as they stand, then of those that symmetry adds."""
        assert part.rows is not None and part.cols is not None
        yield part.rows, part.cols, part.values
        if self.header.symmetry != "general":
            off = part.rows != part.cols
            yield part.cols[off], part.rows[off], mtx.mirrored(self.header, part.values[off])

    def _marks(self, counts: numpy.ndarray) -> numpy.ndarray:
        """The first row of each group, and the number of rows."""
        upto, marks = np.cumsum(counts), [0]
        while marks[-1] < len(counts):
            before = int(upto[marks[-1] - 1]) if marks[-1] else 0
            marks.append(max(marks[-1] + 1, int(np.searchsorted(upto, before + self.room, side="right"))))
        return np.array(marks)

    def _deal(self, descriptor: int, marks: numpy.ndarray, at: numpy.ndarray, ends: numpy.ndarray) -> None:
        """The second read: each entry to the next place of its group; at (groups, 2) moves up to ends."""
        for part in self._read():
            for kind, (down, across, values) in enumerate(self._both(part)):
                group = np.searchsorted(marks, down, side="right") - 1
                order = np.argsort(group, kind="stable")
                records = np.empty(len(order), self.record)
                records["row"], records["col"], records["value"] = down[order], across[order], values[order]
                found, starts, counts = np.unique(group[order], return_index=True, return_counts=True)
                for g, start, count in zip(found.tolist(), starts.tolist(), counts.tolist(), strict=True):
                    if at[g, kind] + count > ends[g, kind]:
                        raise self._changed()
                    os.lseek(descriptor, int(at[g, kind]) * self.record.itemsize, os.SEEK_SET)
                    atomic.write_all(descriptor, [records[start : start + count].view(np.uint8).data], self.target)
                    at[g, kind] += count
        if not np.array_equal(at, ends):
            raise self._changed()

    def _put_in_order(self, descriptor: int, start: int, end: int, first: int, last: int) -> Any:
        from scipy.sparse import coo_array, csr_array

        records = np.empty(end - start, self.record)
        view, done = records.view(np.uint8).data, 0
        while done < len(view):
            came = os.preadv(descriptor, [view[done:]], start * self.record.itemsize + done)
            if not came:
                raise OutputError("the scratch file became shorter", where=self.target)
            done += came
        place = records["row"] - first, np.ascontiguousarray(records["col"])
        values = np.ascontiguousarray(records["value"])
        made = csr_array(coo_array((values, place), shape=(last - first, self.header.cols)))
        made.sum_duplicates()
        mtx.check_sums(made, len(records) - made.nnz, self.path)
        return made
