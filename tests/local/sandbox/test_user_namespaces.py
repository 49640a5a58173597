"""User namespaces are made by a process that shares the memory of the one that wants them, and ends at once."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import NAMESPACES

pytestmark = pytest.mark.skipif(not NAMESPACES, reason="this machine allows no namespaces")


def printed(function: str) -> list[str]:
    """What a function of `own_namespaces.py` prints."""
    argv = [sys.executable, str(Path(__file__).with_name("own_namespaces.py")), function]
    result = subprocess.run(argv, capture_output=True, text=True, timeout=60)
    assert result.returncode == 0, result.stderr
    return result.stdout.splitlines()


@pytest.mark.skipif("idmapped" not in NAMESPACES, reason="accounts are mapped by root alone")
def test_one_for_another_account_is_charged_to_that_and_nothing_is_left() -> None:
    assert printed("for_another_account") == ["200000 (0, 0, 0) True", "[] True"]


def test_where_they_are_not_allowed_it_says_so() -> None:
    assert printed("where_none_is_allowed") == ["user namespaces are not allowed on this machine"]


def test_the_process_is_found_where_proc_has_other_numbers() -> None:
    assert printed("in_a_pid_namespace") == ["1 7"]
