"""Floor 2: matrices as algorithms see them, whatever they are stored in."""
