"""Files that git ignores are not linted by ruff, nor packed into the wheel by hatchling, even if they are tracked."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[1]


@pytest.mark.skipif(not (_ROOT / ".git").exists(), reason="not a git checkout")
def test_no_tracked_file_is_ignored() -> None:
    command = ["git", "-c", "safe.directory=*", "ls-files", "--cached", "--ignored", "--exclude-standard"]
    assert subprocess.run(command, cwd=_ROOT, check=True, capture_output=True, text=True).stdout == ""
