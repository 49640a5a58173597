"""Terminals in cells: `--tty` and `-i`, and what is drawn anew in its place."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import nbformat
import pytest

from runloop_jupyter.executions import command_output
from runloop_jupyter.executions.command_spec import NO_PYTHON, CommandSpec
from runloop_jupyter.output.output_targets import ScreenSize
from runloop_jupyter.remote import terminal
from tests.jupyter.embedded import Home
from tests.jupyter.kernels import Cell, Message, fails
from tests.jupyter.remote import ends, remote
from tests.jupyter.test_batch import CREATE, notebook, papermill, written

if TYPE_CHECKING:
    from tests.jupyter.kernels import Kernel

FRAMES = r"""
echo before
for i in 1 2 3 4 5; do
  [ $i = 1 ] || printf '\033[3A'
  printf '\033[2Kone %s\n\033[2Ktwo %s\n\033[2Kthree %s\n' $i $i $i
  sleep 0.2
done
echo after"""
DRAWN = ["before", "one 5", "two 5", "three 5", "after"]
TERMINAL = "test -t 1 && test -t 2 && echo 'a terminal'; test -t 0 && echo 'that reads'"


def kept(cell: Cell) -> list[Message]:
    """The outputs that a notebook keeps of a cell, and that show something."""
    return [output for output in cell.outputs if output.text]


def text_of(cell: Cell) -> list[str]:
    return "\n".join(output.text.removesuffix("\n") for output in kept(cell)).splitlines()


@pytest.mark.parametrize("line", ["%%devbox exec", "%%devbox exec --tty", "%%time\n%%devbox exec --tty"])
def test_lines_are_drawn_anew_in_their_place(kernel: Kernel, line: str) -> None:
    cell = kernel.run(line + FRAMES).check()
    assert text_of(cell)[: len(DRAWN)] == DRAWN
    assert "exit code 0" in text_of(cell)[len(DRAWN)]
    assert len(kept(cell)) <= 4


def test_of_the_last_lines_those_are_shown_that_were_drawn_last(kernel: Kernel) -> None:
    cell = kernel.run("%%devbox exec --tail 5" + FRAMES).check()
    assert text_of(cell)[-5:-1] == DRAWN[1:]


def test_what_the_cell_printed_itself_stays(kernel: Kernel) -> None:
    cell = kernel.run(f"print('mine')\nget_ipython().run_cell_magic('devbox', 'exec', r'''{FRAMES}''')").check()
    assert text_of(cell)[:2] == ["mine", "before"]
    assert text_of(cell)[-5:-1] == DRAWN[1:]


def test_what_was_told_in_the_cell_stays(home: Home, kernels: ModuleType) -> None:
    with kernels.start(home.env) as fresh:
        fresh.run("%load_ext runloop_jupyter").check()
        cell = fresh.run("%%devbox exec" + FRAMES).check()
        assert any("No devbox was chosen" in line for line in text_of(cell))
        assert text_of(cell)[-5:-1] == DRAWN[1:]


def test_both_commands_of_one_cell_are_drawn(kernel: Kernel) -> None:
    cell = kernel.run(f"for _ in '12':\n    get_ipython().run_cell_magic('devbox', 'exec', r'''{FRAMES}''')").check()
    assert [line for line in text_of(cell) if line == "after"] == ["after"] * 2
    assert text_of(cell).count("one 5") == 2


def test_a_notebook_file_keeps_the_last_state(home: Home, tmp_path: Path) -> None:
    notebook(tmp_path, "x = 1", CREATE.format("filed"), "%%devbox exec --tty" + FRAMES)
    ran = papermill(home, tmp_path)
    assert ran.returncode == 0, ran.stderr
    outputs = written(tmp_path).cells[-1].outputs
    assert len(outputs) == 2
    assert outputs[0]["data"]["text/plain"].splitlines() == DRAWN
    nbformat.validate(written(tmp_path))


def test_without_a_terminal_a_command_knows_what_the_cell_can_show(kernel: Kernel) -> None:
    cell = kernel.run("%%devbox exec\ntput cols; ls --color=always -d /; test -t 1 || echo no terminal").check()
    assert cell.stdout.startswith("100\n")
    assert "\x1b[01;34m/\x1b[0m\nno terminal\n" in cell.stdout
    assert kernel.run("%devbox exec echo $TERM").check().stdout == "xterm-256color\n"
    told = kernel.run("%devbox exec --env TERM=vt100 --env COLUMNS=33 echo $TERM; tput cols").check()
    assert told.stdout == "vt100\n33\n"


def test_what_the_user_says_of_the_width_counts(kernel: Kernel) -> None:
    kernel.run("%config RunloopMagics.columns = 77").check()
    try:
        assert kernel.run("%devbox exec echo $COLUMNS").check().stdout == "77\n"
        assert kernel.run("%devbox exec --tty stty size <&1; tput cols").check().stdout == "40 77\n77\n"
    finally:
        kernel.run("%config RunloopMagics.columns = 0").check()


def test_a_terminal_is_for_the_output(kernel: Kernel) -> None:
    cell = kernel.run(f"%%devbox exec --tty -o r\n{TERMINAL}; ls --color=auto -d /; cat; echo to stderr >&2; exit 7")
    fails(kernel, cell, "DevboxCommandError", "exit code 7")
    assert cell.stdout == "a terminal\n\x1b[0m\x1b[01;34m/\x1b[0m\nto stderr\n"
    assert kernel.value("r.exit_code, r.stdout == r.output, r.stderr") == (7, True, "")


def test_nobody_is_asked_where_nobody_answers(kernel: Kernel) -> None:
    cell = kernel.run("%%devbox exec --tty\nread x </dev/tty; echo $?; git --version >/dev/null; echo $PAGER").check()
    assert "/dev/tty: No such device" in cell.stdout
    assert cell.stdout.endswith("1\ncat\n")


@pytest.mark.parametrize("command", ["kill -9 $$", "kill -TERM $$"])
def test_a_signal_is_told_as_without_a_terminal(kernel: Kernel, command: str) -> None:
    codes = []
    for options in ("", "--tty "):
        kernel.run(f"%devbox exec {options}--no-raise-error --quiet -o r {command}").check()
        codes.append(kernel.value("r.exit_code"))
    assert codes[0] == codes[1] > 128


def test_a_long_output_comes_whole(kernel: Kernel) -> None:
    kernel.run("%%devbox exec --tty --quiet --out text\nseq 300000").check()
    assert kernel.value("text == ''.join(f'{n}\\n' for n in range(1, 300_001))") is True


def test_the_input_may_be_a_value(kernel: Kernel) -> None:
    kernel.run("words = 'b\\na\\n' * 100_000").check()
    kernel.run("%devbox exec --tty --quiet --out text --stdin words sort | uniq -c").check()
    assert kernel.value("text.split()") == ["100000", "a", "100000", "b"]


def test_stop_ends_all_that_runs_on_it(kernel: Kernel, home: Home) -> None:
    cell = kernel.send("%%devbox exec --tty\ntrap '' HUP INT TERM; sleep 4720 & echo up; sleep 4720")
    kernel.shows(cell, "up")
    kernel.interrupt()
    assert kernel.ended(cell).error == "KeyboardInterrupt"
    assert ends(home, "[s]leep 4720")


def test_its_time_may_be_up(kernel: Kernel, home: Home) -> None:
    cell = kernel.run("%%devbox exec --tty --timeout 1\necho begun; sleep 4721")
    fails(kernel, cell, "DevboxTimeoutError", "--timeout", "was killed")
    assert cell.stdout == "begun\n"
    assert ends(home, "[s]leep 4721")


def test_what_goes_on_behind_it_does_not_hold_the_cell(kernel: Kernel) -> None:
    kernel.run("%%devbox exec --tty\nsleep 4722 & echo started").check()
    kernel.run("%devbox exec pkill -f '[s]leep 4722'").check()


def test_it_runs_in_the_background(kernel: Kernel) -> None:
    kernel.run("%%devbox exec --bg --tty --stdin - -o job\ntput cols; read x; echo got $x; exit 3").check()
    kernel.run("job.send_stdin('words\\n'); r = job.wait()").check()
    assert kernel.value("r.stdout, r.exit_code") == ("100\ngot words\n", 3)


def test_another_user_has_it(kernel: Kernel) -> None:
    cell = kernel.run(f"%%devbox exec --tty --user root --cwd /tmp --env 'A=x y'\nid -un; echo $A; pwd; {TERMINAL}")
    assert cell.stdout == "root\nx y\n/tmp\na terminal\n"


def test_each_of_many_devboxes_has_one(kernel: Kernel) -> None:
    cell = kernel.run("%%devbox exec --on 'mai*' --tty\ntput cols; printf 'one\\ntwo\\n\\033[2Athree\\n'").check()
    lines = [line.split("│")[1].replace("\x1b[0m", "").strip() for line in cell.stdout.splitlines()]
    assert lines[0] == "100"
    assert lines[-2:] == ["three", "two"]  # above them what was passed on before it was written over, if anything


def test_python_has_one(kernel: Kernel) -> None:
    cell = kernel.run(
        "%%devbox python --tty\nimport shutil, sys\n"
        "print(sys.stdout.isatty(), shutil.get_terminal_size().columns, sys.stdin.isatty())\n{'a': 1}"
    ).check()
    assert cell.stdout == "True 100 False\n"
    assert "{'a': 1}" in cell.displays


def test_a_script_has_one(kernel: Kernel) -> None:
    cell = kernel.run("%%devbox script --tty --proc 'python3 -'\nimport sys; print(sys.stdout.isatty())").check()
    assert cell.stdout == "True\n"


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("%devbox exec --tty --shell s ls", ("--tty", "--shell")),
        ("%devbox exec --tty --err e ls", ("--err", "--tty")),
        ("%devbox exec -i --err e ls", ("--err", "--interactive")),
    ],
)
def test_what_cannot_be_combined_says_so(kernel: Kernel, line: str, words: tuple[str, ...]) -> None:
    fails(kernel, kernel.run(line), "UsageError", *words)


def test_a_question_of_the_shell_is_seen_and_its_answer_shown_once(kernel: Kernel) -> None:
    cell = kernel.send(f"%%devbox exec -i\nread -p 'your name? ' name; echo hello $name; {TERMINAL}")
    assert kernel.asks() == "your name? "
    kernel.client.input("Ada")
    assert kernel.ended(cell).check().stdout == "your name? hello Ada\na terminal\nthat reads\n"


def test_a_password_is_not_shown(kernel: Kernel) -> None:
    cell = kernel.send(
        "%%devbox exec -i -o r\n"
        "read -p 'user: ' x; read -s -p 'password: ' y; echo; read -p 'sure? ' z; echo [$x $y $z]"
    )
    asked = []
    for answer in ("ada", "hush", "y"):
        content = kernel.client.get_stdin_msg(timeout=60)["content"]
        asked.append((content["prompt"], content["password"]))
        kernel.client.input(answer)
    kernel.ended(cell).check()
    assert asked == [("user: ", False), ("password: ", True), ("sure? ", False)]
    assert kernel.value("r.stdout, r.stderr") == ("user: password: \nsure? [ada hush y]\n", "")


def test_each_reading_ends_once_the_end_of_the_input_was_typed(kernel: Kernel) -> None:
    cell = kernel.send("%%devbox exec -i\ncat; cat; read x; echo over")
    kernel.asks()
    kernel.client.input("^D")
    assert kernel.ended(cell).check().stdout == "over\n"


def test_stop_takes_a_question_back_and_ends_the_command(kernel: Kernel, home: Home) -> None:
    cell = kernel.send("%%devbox exec -i\ntrap '' HUP; read -p 'Sure? ' x; : 4723")
    assert kernel.asks() == "Sure? "
    kernel.interrupt()
    assert kernel.ended(cell).error == "KeyboardInterrupt"
    assert ends(home, "[4]723")


def test_python_asks_for_passwords(kernel: Kernel) -> None:
    cell = kernel.send("%%devbox python -i\nimport getpass\nprint(input('Name? '), getpass.getpass())")
    for question, answer in (("Name? ", "Ada"), ("Password: ", "hush")):
        assert kernel.asks() == question
        kernel.client.input(answer)
    assert kernel.ended(cell).check().stdout.endswith("Ada hush\n")


def test_a_devbox_without_python_says_so(kernel: Kernel, home: Home) -> None:
    remote(home, "echo 'PATH=/nowhere' > ~/.bash_profile")
    try:
        fails(kernel, kernel.run("%devbox exec --tty echo x"), "UsageError", "no python3", "main", "--tty")
    finally:
        remote(home, "/bin/rm ~/.bash_profile")
    fails(kernel, kernel.run(f"%devbox exec --tty exit {NO_PYTHON}"), "DevboxCommandError", f"exit code {NO_PYTHON}")


ORDERS = {
    "exit code": ("exit 42", "", 42),
    "not there": ("no-such-program 2>/dev/null", "", 127),
    "line numbers stay": ("echo $LINENO\necho $LINENO", "1\n2\n", 0),
    "quotes": ("echo 'it'\\''s' \"$HOME\" `echo x`", "it's /tmp x\n", 0),
    "a here-document": ("cat <<E\nhello\nE", "hello\n", 0),
    "bytes": ("printf 'caf\\351\\000\\033[31m'", "caf\udce9\0\x1b[31m", 0),
    "functions of the login shell": ("shout hi", "HI\n", 0),
}


@pytest.mark.parametrize(("command", "output", "code"), ORDERS.values(), ids=ORDERS)
def test_a_terminal_changes_nothing_else(command: str, output: str, code: int, tmp_path: Path) -> None:
    (tmp_path / ".bash_profile").write_text('shout() { echo "$1" | tr a-z A-Z; }\nexport HOME=/tmp\n')
    text = CommandSpec(command, size=ScreenSize(), terminal=True).prepared
    ran = subprocess.run(
        ["bash", "-c", text],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path)},
        check=False,
    )
    assert (ran.stdout.decode(errors="surrogateescape"), ran.stderr, ran.returncode) == (output, b"", code)


def test_what_hides_input_is_written_as_it_is_read() -> None:
    assert (command_output.CONCEAL.encode(), command_output.REVEAL.encode()) == (terminal.CONCEAL, terminal.REVEAL)
