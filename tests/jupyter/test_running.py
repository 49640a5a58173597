"""The options of `%devbox exec`: input, JSON, users, the last lines, dialogues."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from runloop_jupyter.errors import UsageError
from runloop_jupyter.results import parse_json
from tests.jupyter.embedded import Home
from tests.jupyter.kernels import fails
from tests.jupyter.remote import ends, remote

if TYPE_CHECKING:
    from tests.jupyter.kernels import Kernel


def test_the_input_is_a_variable_or_a_text(kernel: Kernel) -> None:
    kernel.run("words = 'b\\na\\n' * 100_000; raw = b'x\\xc3\\xa9'").check()
    kernel.run("r = %devbox exec --quiet --stdin words sort | uniq -c").check()
    assert kernel.value("r.stdout.split()") == ["100000", "a", "100000", "b"]
    assert kernel.run("%devbox exec --stdin 'two words' cat").check().stdout == "two words\n"
    assert kernel.run("%devbox exec --stdin raw cat").check().stdout == "xé"


def test_an_input_that_is_not_read_does_not_hold_the_cell(kernel: Kernel) -> None:
    assert kernel.run("%devbox exec --stdin words head -c 1").check().stdout == "b"


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("%devbox exec --stdin wordz cat", ("'wordz'", "'words'")),
        ("%devbox exec --stdin json_module cat", ("json_module", "module")),
        ("%devbox exec --stdin binary cat", ("binary", "not UTF-8")),
        ("%devbox exec --stdin words -i cat", ("--stdin", "--interactive")),
        ("%devbox exec --bg -i cat", ("--bg", "--interactive")),
        ("%devbox exec --shell s --user root ls", ("--shell", "--user")),
        ("%devbox exec --user nobody-there ls", ("'nobody-there'", "--user")),
        ("%devbox exec --tail x ls", ("'x'", "number of lines")),
    ],
)
def test_options_that_make_no_sense_say_so(kernel: Kernel, line: str, words: tuple[str, ...]) -> None:
    kernel.run("import json as json_module; binary = b'\\xff'").check()
    fails(kernel, kernel.run(line), "UsageError", *words)


def test_json_is_read_from_stdout(kernel: Kernel) -> None:
    cell = kernel.run("""%devbox exec --json echo '{"a": [1, null]}'; echo beside >&2""").check()
    assert cell.results == ["{'a': [1, None]}"]
    assert cell.streams == [("stderr", "beside\n")]
    kernel.run("""%%devbox exec --json --out value -o r\nprintf '[1, 2]'""").check()
    assert kernel.value("value, r.stdout, r.json()") == ([1, 2], "[1, 2]", [1, 2])


def test_json_that_is_wrong_is_told_with_its_place(kernel: Kernel) -> None:
    text = '{"a": 1,\n "b" 2}'
    kernel.run(f"text = {text!r}").check()
    fails(kernel, kernel.run("%devbox exec --json --stdin text cat"), "UsageError", "line 2, column 6", "main", "b")
    fails(kernel, kernel.run("%devbox exec --json true"), "UsageError", "nothing to stdout")
    digits = kernel.run("%devbox exec --json python3 -c \"print('1' * 5001)\"")
    fails(kernel, digits, "UsageError", "main", "JSON that Python cannot read", "5001 digits")
    fails(kernel, kernel.run("%devbox exec --json exit 3"), "DevboxCommandError", "exit code 3")


@pytest.mark.parametrize("text", ["", " \n", "[1,", '{"a": nan', "x" * 100_000, "[" * 100_000, "1" * 5000])
def test_every_wrong_json_is_one_short_sentence(text: str) -> None:
    with pytest.raises(UsageError) as raised:
        parse_json(text, "main")
    assert len(str(raised.value)) < 250
    assert parse_json(json.dumps([text]), "main") == [text]


def test_only_the_last_lines_are_shown_and_all_are_kept(kernel: Kernel) -> None:
    cell = kernel.run("%%devbox exec --tail 2 -o r\nseq 1000").check()
    assert cell.stdout.endswith("\n999\n1000\n")
    assert "998 lines not shown; r.output has all of it" in cell.stdout
    assert "\n998\n" not in cell.stdout
    assert kernel.value("len(r.stdout.splitlines())") == 1000


def test_another_user_can_run_it(kernel: Kernel) -> None:
    cell = kernel.run("%devbox exec --user root --env 'A=x y' --cwd /tmp id -un; echo \"$A\"; pwd").check()
    assert cell.stdout == "root\nx y\n/tmp\n"
    assert kernel.run("%devbox exec --user user id -un").check().stdout == "user\n"
    fails(kernel, kernel.run("%devbox exec --user root exit 214"), "DevboxCommandError", "exit code 214")


def test_bytes_that_are_no_text_are_shown_and_told(kernel: Kernel) -> None:
    cell = kernel.run("%%devbox exec -o r\nprintf 'a\\377\\000b\\n'").check()
    assert cell.stdout.replace("\0", "") == "a�b\n"
    assert "not UTF-8" in cell.displays[-1]
    assert kernel.value("r.replaced") is True
    latin = kernel.run("%devbox exec printf 'caf\\351\\n'").check()
    assert (latin.stdout, "not UTF-8" in latin.displays[-1]) == ("caf�\n", True)


@pytest.mark.parametrize("value", ['it\'s "so"', "two\nlines\n", "$HOME `id` \\ {{x}}", "é漢", "'" * 50])
def test_values_arrive_as_they_are(kernel: Kernel, value: str) -> None:
    kernel.run(f"value = {value!r}").check()
    kernel.run("%%devbox exec --quiet --out got --env 'V={{value}}'\nprintf %s \"$V\"").check()
    assert kernel.value("got") == value
    kernel.run("%devbox exec --quiet --out got --stdin value cat").check()
    assert kernel.value("got") == value


def test_questions_are_asked_at_the_prompt(kernel: Kernel) -> None:
    cell = kernel.send(
        "%%devbox exec -i\nprintf 'Name? '; read name; echo \"hello $name\"; printf 'Sure? '; read sure; echo [$sure]"
    )
    for question, answer in (("Name? ", "Ada"), ("Sure? ", "y")):
        assert kernel.asks() == question
        kernel.client.input(answer)
    kernel.ended(cell).check()
    assert "hello Ada\n" in cell.stdout
    assert "[y]\n" in cell.stdout


def test_a_prompt_ends_with_the_command_and_with_stop(kernel: Kernel, home: Home) -> None:
    cell = kernel.send("%%devbox exec -i\nprintf 'Quick? '; until [ -e over ]; do sleep 0.05; done; echo over")
    assert kernel.asks() == "Quick? "
    remote(home, "touch over")
    assert kernel.ended(cell).check().stdout == "Quick? over\n"
    cell = kernel.send("%%devbox exec -i\nprintf 'Slow? '; read x; : 4711")
    kernel.asks()
    kernel.interrupt()
    assert kernel.ended(cell).error == "KeyboardInterrupt"
    assert ends(home, "[4]711")


def test_the_end_of_input_can_be_typed(kernel: Kernel) -> None:
    cell = kernel.send("%%devbox exec -i\ncat; echo over")
    assert "input for main" in kernel.asks()
    kernel.client.input("^D")
    assert kernel.ended(cell).check().stdout == "over\n"


def test_where_nobody_can_answer_nothing_is_started(kernel: Kernel, home: Home) -> None:
    kernel.client.allow_stdin = False
    try:
        fails(kernel, kernel.run("%devbox exec -i read x; : 4712"), "UsageError", "nobody can answer", "--stdin")
        assert ends(home, "[4]712")
    finally:
        kernel.client.allow_stdin = True
