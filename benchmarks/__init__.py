"""Benchmarks beside the official client, in one run: `python -m benchmarks [name ...]`."""
