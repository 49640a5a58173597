"""Lines that IPython would read otherwise: help by `?`, a last `;`, cell magics without a cell, ends in CRLF."""

from __future__ import annotations

import pytest

from runloop_jupyter.kernel.input_lines import call_of, line_of_empty_cell
from tests.jupyter.kernels import Kernel, fails

CALL = "get_ipython().run_line_magic({!r}, {!r})"


@pytest.mark.parametrize(
    ("line", "call"),
    [
        ("%devbox create?", CALL.format("devbox", "create --help")),
        ("%devbox create ??", CALL.format("devbox", "create --help")),
        ("%devbox create lab?", CALL.format("devbox", "create --help")),
        ("%devbox keep-alive?", CALL.format("devbox", "keep-alive --help")),
        ("%devbox exec?", CALL.format("devbox", "exec --help")),
        ("%runloop blueprint build?", CALL.format("runloop", "blueprint build --help")),
        ("%runloop blueprint?", CALL.format("runloop", "blueprint --help")),
        ("%runloop devbox create?", CALL.format("devbox", "create --help")),
        ("%devbox?", CALL.format("devbox", "--help")),
        ("%devbox craete?", CALL.format("devbox", "craete --help")),
        ("%devbox exec ls run-?", CALL.format("devbox", "exec ls run-?")),
        ("%runloop devbox exec echo really??", CALL.format("runloop", "devbox exec echo really??")),
        ("%devbox list;", CALL.format("devbox", "list") + ";"),
        ("%devbox list --all ;\r\n", CALL.format("devbox", "list --all") + ";"),
        ("%runloop;", CALL.format("runloop", "") + ";"),
        ("%devbox cat 'a b';", CALL.format("devbox", "cat 'a b'") + ";"),
        ("%devbox exec echo hi;", ""),
        ("%devbox exec --quiet 'a;b' ;", ""),
        ("%devbox list", ""),
        ("%devboxes list;", ""),
    ],
)
def test_what_is_not_the_magics_is_taken_from_the_end_of_its_line(line: str, call: str) -> None:
    assert call_of(line) == call


@pytest.mark.parametrize(
    ("cell", "shown"),
    [
        pytest.param("%devbox create?", "usage: %devbox create", id="help of a subcommand"),
        pytest.param("?%devbox create", "usage: %devbox create", id="help before it"),
        pytest.param("if True:\n    %devbox info?\n    print('after')", "usage: %devbox info", id="in a block"),
        pytest.param("%%devbox exec?", "usage: %devbox exec", id="help of a cell"),
        pytest.param("%%devbox exec?\ntouch ran", "usage: %devbox exec", id="help beside a cell"),
        pytest.param("%%runloop blueprint build ?", "usage: %runloop blueprint build", id="help of another cell"),
        pytest.param("%devbox create --help", "usage: %devbox create", id="help as elsewhere"),
    ],
)
def test_help_is_found_by_a_question_mark(kernel: Kernel, cell: str, shown: str) -> None:
    ran = kernel.run(cell).check()
    assert ran.stdout.startswith(shown)
    assert ran.stdout.endswith("\nafter\n") == ("after" in cell)
    assert kernel.run("%devbox exec ls").check().stdout == ""


def test_a_question_mark_or_semicolon_of_the_shell_stays_there(kernel: Kernel) -> None:
    kernel.run("%devbox exec mkdir -p q; touch q/run-1 q/run-22").check()
    assert kernel.run("%devbox exec ls q/run-?").check().stdout == "q/run-1\n"
    assert kernel.run("%%devbox exec\nls q/run-??\n").check().stdout == "q/run-22\n"
    assert kernel.run("%devbox exec rm -r q; echo gone;").check().stdout == "gone\n"


def test_a_last_semicolon_shows_nothing_and_keeps_the_value(kernel: Kernel) -> None:
    assert kernel.run("%devbox list;").check().messages == []
    assert kernel.run("boxes = %devbox list ;\nfor _ in [1]:\n    %devbox info;").check().messages == []
    assert kernel.value("[each.name for each in boxes]") == ["main"]
    assert kernel.run("text = '''\n%devbox list;\n%devbox create?\n'''\ntext").check().results == [
        repr("\n%devbox list;\n%devbox create?\n")
    ]


@pytest.mark.parametrize(
    ("cell", "words"),
    [
        ("%%devbox exec", ("There is no command", "below %%devbox exec")),
        ("%%devbox exec\n\n  \n", ("There is no command", "below %%devbox exec")),
        ("%%devbox python", ("needs the code", "%%devbox python")),
        ("%%devbox script --proc sh", ("needs the script", "%%devbox script")),
        ("%%devbox write x.txt", ("needs the text", "%%devbox write")),
        ("%%devbox\nls", ("nothing was run", "%%devbox exec", "%%devbox python")),
        ("%%devbox \n\nls", ("nothing was run", "%%devbox exec")),
        ("%%runloop\nls", ("nothing was run", "%%devbox exec")),
        ("%%runloop devbox\nls", ("nothing was run", "%%devbox exec")),
        ("%%runloop blueprint\nFROM debian", ("nothing was run", "%%runloop blueprint build")),
        ("%%runloop snapshot\nls", ("nothing was run", "%%devbox exec")),
        ("%%devbox exec ls?\npwd", ("'ls?'", "in the cell")),
    ],
)
def test_a_cell_without_its_half_says_what_to_type(kernel: Kernel, cell: str, words: tuple[str, ...]) -> None:
    ran = kernel.run(cell)
    fails(kernel, ran, "UsageError", *words)
    assert ran.messages == [], "nor does IPython say anything of its own"


def test_a_cell_magic_that_means_its_line_runs_it(kernel: Kernel) -> None:
    assert kernel.run("%%devbox exec echo one line").check().stdout == "one line\n"
    assert kernel.run("%%devbox").check().stdout.startswith("usage: %devbox VERB")


def test_a_terminal_waits_for_the_cell(kernel: Kernel) -> None:
    complete = "get_ipython().input_transformer_manager.check_complete({!r})[0]"
    assert kernel.value(complete.format("%%devbox exec")) == "incomplete"
    assert kernel.value(complete.format("%%devbox exec\nls\n")) == "incomplete"
    assert kernel.value(complete.format("%devbox list;")) == "complete"
    assert kernel.value(complete.format("%devbox create?")) == "complete"


def test_what_is_loaded_is_unloaded() -> None:
    lines = ["%%devbox exec\n"]
    assert line_of_empty_cell(lines) == ["%devbox exec\n"]
    assert line_of_empty_cell(["%%time\n"]) == ["%%time\n"]
    assert line_of_empty_cell([]) == []


@pytest.mark.parametrize(
    ("cell", "shown"),
    [
        ("%%devbox exec\r\nif [ -d /tmp ]; then\r\n  echo yes\r\nfi", "yes\n"),
        ("%%devbox exec\r\ncat <<END\r\ntwo\r\nlines\r\nEND\r\n", "two\nlines\n"),
        ("%%devbox exec --cwd /tmp\r\npwd\r\n", "/tmp\n"),
        ("%%devbox exec --shell crlf\r\nfor i in 1 2; do\r\necho $i\r\ndone\r\n", "1\n2\n"),
        ("%%devbox exec\nif true; then\r\necho mixed\nfi", "mixed\n"),
        ("%%devbox exec\r\nprintf %q \"{{'a' + chr(13) + chr(10)}}\"\r\n", "$'a\\r\\n'"),
        ("%%devbox script --proc sh\r\nif true; then\r\n  echo yes\r\nfi\r\n", "yes\n"),
        ("%%devbox script --proc 'python3 -'\r\nprint(repr('''a\r\nb'''))\r\n", "'a\\nb'\n"),
        ("%%devbox python\r\nif True:\r\n    print(repr('''a\r\nb'''))\r\n", "'a\\nb'\n"),
        ("x = 1\r\n%devbox exec echo {{x}}\r\n", "1\n"),
    ],
)
def test_lines_that_end_in_crlf_run_as_others_do(kernel: Kernel, cell: str, shown: str) -> None:
    assert kernel.run(cell).check().stdout == shown


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a\r\nb\r\n", "its lines ending in CRLF"),
        ("a\nb\r\nc\n", "1 of its lines ending in CRLF"),
        ("a\nb\n", ""),
        ("a\rb\n", ""),
    ],
)
@pytest.mark.parametrize("options", ["", "--append "])
def test_write_keeps_the_ends_of_lines_and_says_so(kernel: Kernel, text: str, said: str, options: str) -> None:
    ran = kernel.run(f"%%devbox write {options}ends.txt\n{text}").check()
    kernel.run("written = %devbox exec --quiet cat ends.txt; rm ends.txt").check()
    assert kernel.value("written.stdout") == text
    assert ("CRLF" in ran.results[0]) == bool(said)
    assert said in ran.results[0]
