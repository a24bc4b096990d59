"""Floor 3: how large the error is, and how that is known."""
