"""Floor 1: test matrices that exist by row blocks."""
