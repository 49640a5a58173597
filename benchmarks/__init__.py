"""Benchmarks beside what limits them and beside the official client: `python -m benchmarks --help`."""
