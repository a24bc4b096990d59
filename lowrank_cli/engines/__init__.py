"""Floor 1: run a pass. Map over blocks, results in order; nothing else."""
