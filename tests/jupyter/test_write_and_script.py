"""`%%devbox write` and `%%devbox script`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.jupyter.embedded import Home
from tests.jupyter.remote import ends, remote

if TYPE_CHECKING:
    from tests.jupyter.kernels import Kernel


def test_a_cell_becomes_a_file(kernel: Kernel, home: Home) -> None:
    text = '#!/bin/sh\necho "it\'s $0" {{x}} \\n é\n'
    cell = kernel.run(f"%%devbox write --mode 755 new/deep/hello.sh\n{text}").check()
    assert cell.results == ["Wrote 37 B to new/deep/hello.sh on main."]
    assert remote(home, "cat ~/new/deep/hello.sh") == text
    assert remote(home, "cd new/deep; ./hello.sh; stat -c %a hello.sh").endswith("755\n")


def test_a_cell_is_added_to_a_file(kernel: Kernel, home: Home) -> None:
    kernel.run("%%devbox write '~/a b/log'\none\n").check()
    assert "Appended" in kernel.run("%%devbox write -a '~/a b/log'\ntwo\n").check().results[0]
    kernel.run("%%devbox write --append /tmp/x/y\nnew\n").check()
    assert remote(home, "cat ~/a\\ b/log /tmp/x/y; ls /tmp") == "one\ntwo\nnew\nx\n"


def test_values_are_filled_in_when_asked(kernel: Kernel, home: Home) -> None:
    kernel.run("value = 3").check()
    kernel.run("%%devbox write --template on conf\nn={{value}}\n").check()
    assert remote(home, "cat conf") == "n=3\n"


@pytest.mark.parametrize(
    ("line", "error", "words"),
    [
        ("%%devbox write\nx", "UsageError", ("PATH",)),
        ("%devbox write file", "UsageError", ("needs the text",)),
        ("%%devbox write dir/\nx", "UsageError", ("'dir/'", "folder")),
        ("%%devbox write --mode 9 f\nx", "UsageError", ("'9'", "755")),
        ("%%devbox write /etc/passwd\nx", "RemoteError", ("/etc/passwd",)),
        ("%%devbox write -a /etc/passwd\nx", "RemoteError", ("/etc/passwd", "ermission denied")),
        ("%%devbox script\nx", "UsageError", ("--proc",)),
        ("%%devbox script --proc nosuch\nx", "DevboxCommandError", ("exit code 127",)),
        ("%%devbox script --proc cat --stdin x\nx", "UsageError", ("--stdin",)),
    ],
)
def test_mistakes_say_so(kernel: Kernel, line: str, error: str, words: tuple[str, ...]) -> None:
    cell = kernel.run(line)
    assert (cell.status, cell.error) == ("error", error), cell.traceback
    assert all(word in cell.error_text for word in words), cell.error_text
    assert "\n" not in cell.traceback


def test_any_interpreter_runs_a_cell(kernel: Kernel) -> None:
    perl = "%%devbox script --proc 'perl -w' --out text\nprint \"a$_\\n\" for 1..3;"
    assert kernel.run(perl).check().stdout == "a1\na2\na3\n"
    assert kernel.value("text") == "a1\na2\na3\n"
    cell = kernel.run("%%devbox script --proc 'python3 -' --json\nprint([1])").check()
    assert cell.results == ["[1]"]


def test_a_script_on_many_devboxes_and_in_the_background(kernel: Kernel) -> None:
    kernel.run("%%devbox script --proc sh --on 'm*' -o r\necho hi").check()
    assert kernel.value("r['main'].stdout") == "hi\n"
    kernel.run("%%devbox script --proc sh --bg -o job\nsleep 0.2; echo late").check()
    assert kernel.value("job.wait().stdout") == "late\n"


def test_stop_kills_the_interpreter(kernel: Kernel, home: Home) -> None:
    cell = kernel.send("%%devbox script --proc 'sh -s 7711'\necho begun; sleep 1000")
    kernel.shows(cell, "begun")
    kernel.interrupt()
    assert kernel.ended(cell).error == "KeyboardInterrupt"
    assert ends(home, "[7]711")
