"""Long, seeded runs against a real service that look for wrong bytes, losses, leaks, double runs and hangs.

`python -m soak --help` says how; each finding names the command that repeats it alone.
"""
