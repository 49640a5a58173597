"""What a strict type checker says about calls of the API, right ones and wrong ones."""

import subprocess
import sys
from pathlib import Path

SAMPLE = Path(__file__).with_name("typing_sample.py")


def test_strict_type_checker_agrees_with_the_sample() -> None:
    checker = [sys.executable, "-m", "mypy", "--strict", "--warn-unused-ignores", str(SAMPLE)]
    result = subprocess.run(checker, capture_output=True, text=True, check=False, cwd=Path(__file__).parents[2])
    assert (result.stdout.strip(), result.returncode) == ("Success: no issues found in 1 source file", 0)
