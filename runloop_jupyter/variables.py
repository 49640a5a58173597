"""Access to the notebook's variables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .errors import UsageError, did_you_mean


class Variables:
    """Reads the variables that are visible to a magic, and sets those of the notebook."""

    def __init__(self, namespace: dict[str, object], local: Mapping[str, object] | None = None) -> None:
        self._namespace = namespace
        self._local = local or {}

    def __getitem__(self, name: str) -> Any:
        """The value of a variable. Raises `UsageError` that suggests the most similar name."""
        for names in (self._local, self._namespace):  # a magic in a function sees the function's variables first
            if name in names:
                return names[name]
        near = did_you_mean(name, (each for each in self._namespace if not each.startswith("_")))
        raise UsageError(f"There is no variable {name!r}.{near}")

    def __setitem__(self, name: str, value: object) -> None:
        self._namespace[name] = value
