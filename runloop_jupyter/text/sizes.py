"""Formats sizes for people."""

from __future__ import annotations


def spell_size(size: float) -> str:
    """A number of bytes in short: "312 B", "4.1 KB", "27 MB", "1.3 GB"."""
    for unit in ("B", "KB", "MB", "GB"):
        if size < 999.5:
            return f"{size:.1f} {unit}" if unit != "B" and size < 9.95 else f"{size:.0f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"
