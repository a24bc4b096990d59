"""Floor 5: questions about a matrix that no single factorization answers. Loaded matrix in, report out."""
