"""The limits and patterns of the API that are checked before anything is sent."""

from __future__ import annotations

import re

SIZES = ("x_small", "small", "medium", "large", "x_large", "xx_large")
"""The sizes of a devbox, as magics and settings spell them: the API's in lower case."""
LONGEST_KEEP_ALIVE = 48 * 3600
"""Seconds that a devbox may be kept alive."""
LONGEST_NAME = 1000
"""Characters of a name."""
VARIABLE = re.compile(r"[A-Za-z_]\w*", re.ASCII)
"""The name of an environment variable or a secret."""
REPOSITORY = re.compile(r"(?P<repo_owner>[\w.-]+)/(?P<repo_name>[\w.-]+)(?:@(?P<git_ref>\S+))?")
"""A repository of GitHub: OWNER/NAME or OWNER/NAME@REF. The groups are the API's parameters."""
HOST = re.compile(r"(\*\.)?[\w-]+(\.[\w-]+)*", re.ASCII)
"""A host of a network policy, with or without a wildcard."""


def repository_mount(text: str) -> dict[str, str] | None:
    """Return the API's mount for a repository, or None where the text is not one."""
    found = REPOSITORY.fullmatch(text)
    return None if found is None else {key: value for key, value in found.groupdict().items() if value}
