"""The catalogue of faults: under each letter a number and what must hold. ``test_every_row`` wants a test of each."""

from __future__ import annotations

CATALOGUE = """
A .npy and .npz
1 cut data are refused with both sizes
2 a cut header or an empty file is refused
3 bytes after the data are refused
4 a shape far beyond the file is refused before memory is taken
5 a negative dimension is refused
6 a shape whose product overflows is refused
7 a dimension of 2^63 or more is refused
8 nothing times too much is refused
9 items of no size are refused
10 pickle is never loaded
11 records, text, dates and void are refused by name
12 a header that is code or junk is refused
13 a header of gigabytes is not read
14 unknown versions and wrong keys are refused
15 Fortran order gives the same bits
16 big-endian gives the same bits
17 what has not two dimensions is refused or asked about
18 bytes of a bool other than 0 and 1 are true
19 archives: several members, bombs, wrong sums, twins
20 directories, pipes, devices and files of no size
21 a file of holes is zeros within the plan
B text
1 too few or too many entries are refused by line
2 indices out of range are refused by line
3 Fortran exponents are understood or refused, never cut
4 what is only nearly a number is refused
5 a plus sign is accepted
6 a fraction in a file of integers is refused
7 more columns than belong are refused
8 overflow is refused, underflow is zero
9 duplicates are added up and counted
10 symmetric needs square
11 both triangles of a symmetric matrix are refused
12 a skew matrix has no diagonal
13 every field and symmetry is supported or refused
14 marks, line ends, blank lines, comments, NUL
15 dimensions of billions are refused by the plan
16 more entries than bytes are refused
17 a dense array larger than its file is refused
18 dimensions beyond 64 bits are refused
19 damaged gzip is refused, several members are joined
20 a bomb of one line is refused in bounded memory
21 integers that a double cannot hold are told
22 ragged, empty, quoted and foreign tables are refused by place
23 the locale changes nothing
24 many lines and one long line take bounded memory
C HDF5
1 a missing dataset lists the candidates
2 of several datasets none is picked
3 external links are refused
4 storage outside of the file is refused
5 virtual datasets are refused
6 links in the middle of a path are refused
7 an unknown filter is refused by name
8 only allowed filters are used
9 plugins are not searched for
10 a wrong checksum is refused
11 what no checksum covers is said
12 a cut file is refused
13 bytes around the data are accepted
14 a file in use is refused
15 types: supported or refused by name
16 a small file that claims a huge matrix is refused
17 a huge chunk is refused before it is read
18 dimensions of 2^40 are refused
19 a crash in the library harms no output and no caller
20 loops and many objects end
21 hostile names are escaped
22 a pipe is spooled or refused
D numbers
1 NaN and infinity are refused with place and count
2 nothing replaces NaN unasked
3 zeros give error zero and finite factors
4 less rank than asked stays orthonormal
5 no rows or columns are refused
6 one row, one column, one entry work
7 extreme scales change nothing but the scale
8 rows of mixed scale
9 float16 is widened
10 integers are widened before any product
11 long double is narrowed openly or refused
12 complex is conjugated everywhere
13 float32 has its own tolerance
14 ties give the same subspace and signs
15 a rank below one is a usage error
16 a rank beyond the matrix is a usage error
17 a rank that is no plain integer is a usage error
18 a tolerance that is no sensible number is a usage error
19 a tolerance out of reach ends with exit 3
20 rank and tolerance together: any limit stops
21 a seed that is none is a usage error
22 the seed is 0 unless given
23 sampling passes over zero columns
24 hard matrices for pivots are certified
25 a failing LAPACK is noticed
26 numeric warnings do not pass in silence
E streams and terminals
1 standard input closed
2 a terminal is no matrix
3 a matrix from a pipe
4 an empty pipe, a dying producer
5 an endless pipe
6 more than memory from a pipe
7 standard output closed
8 a reader that goes away
9 a full standard output
10 no binary data to a terminal
11 a library that prints
12 narrow terminals
13 whole numbers in a pipe
14 an ASCII locale
15 no colour where it is not wanted
16 hostile names
17 names that are no text
18 names with a leading dash
19 names that are too long
20 content decides, not the suffix
21 odd thread variables
22 interpreter flags
F output
1 an existing output is replaced at once, or kept with --no-clobber
2 an output that is an input is refused
3 two outputs of one name are refused
4 a link is written through
5 directories are refused, pipes and devices written
6 a place that cannot be written is found before computing
7 a full disk is found before anything is written
8 a disk or limit that ends midway leaves the old output
9 any failing system call leaves the old output and one line
10 the temporary file is on the file system of the target
11 a simple file system is enough
12 signals are acted on at once
13 a second interrupt ends it
14 killed at any call, old or new, and the next run cleans up
15 synced before named, and the directory after
16 mode, umask and owner
17 two runs with one output
18 two runs with one checkpoint
19 a directory that goes away
20 several files are one output
21 no clock in an output
22 what checkpoints and spools take is reserved
23 an interrupted make target
24 parallel runs with one cache
G resources
1 a plan beyond the limit is refused
2 memory that goes away midway
3 the peak keeps the promise
4 an address space too small for the libraries
5 a parser out of memory
6 a limit of processor time
7 few open files
8 one core
9 no home
10 a cache of others is not used
11 a damaged cache changes nothing
12 no shared memory
13 no folder for temporaries
14 no fork after threads
15 suspended and continued
16 another processor type
17 libraries that are too old
H long runs
1 an input that changes between passes
2 an input that is cut off while it is read
3 a read that fails
4 resumed with other work
5 a damaged checkpoint
6 a checkpoint of a later layout
7 killed and resumed, the same bits
8 killed while a checkpoint is written
9 a hostile checkpoint
10 a killed worker
11 a scheduler that is not there
12 a worker that sees another file
13 a worker of another version
14 tasks that run twice or out of order
15 a worker out of memory
16 damaged factors
17 an edited report
18 factors of different runs
19 factors of another matrix
20 factors of an older release
"""


def rows() -> dict[str, str]:
    """What must hold by the name that a test of it carries: ``f08`` for the eighth row of F."""
    found, letter = {}, ""
    for line in CATALOGUE.strip().splitlines():
        first, claim = line.split(" ", 1)
        if first.isdigit():
            found[f"{letter.lower()}{int(first):02d}"] = claim
        else:
            letter = first
    return found
