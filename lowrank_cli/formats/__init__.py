"""Floor 4: names <-> matrices and factors. The one door to files."""

from __future__ import annotations

from collections.abc import Mapping

from ..plugins import Table
from ..registry import Entry

#: format -> its reader. Told apart by content first, extension second.
OURS: dict[str, Entry] = {
    "npy": Entry("lowrank_cli.formats.npy:FORMAT", "NumPy array file (.npy), also on standard input"),
    "npz": Entry("lowrank_cli.formats.npz:FORMAT", "NumPy archive (.npz), an array of it or a SciPy sparse matrix"),
    "hdf5": Entry(
        "lowrank_cli.formats.hdf5:FORMAT", "HDF5 dataset or sparse group (.h5, .hdf5, .h5ad, .loom, MATLAB 7.3)"
    ),
    "mtx": Entry("lowrank_cli.formats.mtx:FORMAT", "Matrix Market (.mtx), sparse or dense, also .gz, .bz2"),
    "safetensors": Entry(
        "lowrank_cli.formats.safetensors:FORMAT", "tensor of a .safetensors file, bfloat16 and float8 too"
    ),
    "mat": Entry("lowrank_cli.formats.mat:FORMAT", "MATLAB variable (.mat, versions 4 to 7; 7.3 is HDF5)"),
    "pnm": Entry("lowrank_cli.formats.pnm:FORMAT", "grey image (.pgm), or a channel of a colour one (.ppm)"),
    "raw": Entry("lowrank_cli.formats.raw:FORMAT", "raw array, of the shape and type that --raw says"),
    "text": Entry("lowrank_cli.formats.text:FORMAT", "table of numbers (.csv, .tsv, .txt), also .gz, .bz2"),
}
#: these, and those of other packages.
TABLE = Table(OURS, "lowrank.formats", "lowrank_cli.formats.loaded:Format", "format")

#: suffix -> writer of factors; a name that ends in a slash is that of a folder.
WRITERS: Mapping[str, Entry] = {
    ".npz": Entry("lowrank_cli.formats.npz_factors:CONTAINER", "factors as a stored NumPy archive"),
    ".h5": Entry("lowrank_cli.formats.hdf5_factors:CONTAINER", "factors as HDF5 datasets"),
    ".mat": Entry("lowrank_cli.formats.mat_factors:CONTAINER", "factors as MATLAB variables (version 5)"),
    ".safetensors": Entry("lowrank_cli.formats.safetensors_factors:CONTAINER", "real factors as tensors"),
    "/": Entry("lowrank_cli.formats.folder_factors:CONTAINER", "factors as a folder of .npy files"),
}

#: The names that factors can be written under, in words.
NAMED = f"{', '.join(suffix for suffix in WRITERS if suffix != '/')} or a folder, NAME/"
