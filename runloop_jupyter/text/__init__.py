"""Formats and parses durations, sizes, names and templates."""
