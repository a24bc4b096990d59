"""Floor 0: arrays and scalars in, arrays out. No files, no operators, no printing, no defaults."""
