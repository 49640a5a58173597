"""How times, sizes, names and templates are written and read."""
