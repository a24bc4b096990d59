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
    "image": Entry("lowrank_cli.formats.image:FORMAT", "PNG, JPEG or TIFF, grey or a channel (extra: image)"),
    "columns": Entry("lowrank_cli.formats.columns:FORMAT", "Parquet, Arrow and Feather tables (extra: arrow)"),
    "zarr": Entry("lowrank_cli.formats.zarr_store:FORMAT", "Zarr array of a folder, versions 2 and 3 (extra: zarr)"),
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

#: suffix -> writer of one matrix, or one array of a factorization.
MATRICES: Mapping[str, Entry] = {
    ".npy": Entry("lowrank_cli.formats.binary_matrices:NPY", "a matrix as a NumPy array"),
    ".npz": Entry("lowrank_cli.formats.binary_matrices:NPZ", "a matrix as a NumPy archive, a sparse one as SciPy's"),
    ".h5": Entry("lowrank_cli.formats.binary_matrices:HDF5", "a matrix as an HDF5 dataset, a sparse one as AnnData's"),
    ".mtx": Entry("lowrank_cli.formats.mtx_writer:FILE", "a matrix as Matrix Market, also .mtx.gz"),
    ".csv": Entry("lowrank_cli.formats.text_writer:CSV", "a real matrix as text with commas, also .csv.gz"),
    ".tsv": Entry("lowrank_cli.formats.text_writer:TSV", "a real matrix as text with tabs, also .tsv.gz"),
    ".mat": Entry("lowrank_cli.formats.binary_matrices:MAT", "a matrix as a MATLAB variable (version 5)"),
    ".safetensors": Entry("lowrank_cli.formats.binary_matrices:SAFETENSORS", "a real matrix as a tensor"),
    ".pgm": Entry("lowrank_cli.formats.pgm_writer:FILE", "whole numbers from 0 to 65535 as a grey image"),
}

#: The names that factors can be written under, in words.
NAMED = f"{', '.join(suffix for suffix in WRITERS if suffix != '/')} or a folder, NAME/"
#: The names that a matrix can be written under, in words.
MATRIX_NAMED = ", ".join(MATRICES)
#: The ends of names that a matrix can have and factors cannot.
SINGLE = (*(suffix for suffix in MATRICES if suffix not in WRITERS), ".gz")
