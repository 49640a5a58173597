"""Long, seeded runs against a real service that look for wrong bytes, losses, leaks, double runs and hangs.

See `python -m soak --help`; each finding names the command that reproduces it.
"""
