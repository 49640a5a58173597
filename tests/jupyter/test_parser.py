"""Lines of %devbox as they are typed, and what a mistake says."""

from __future__ import annotations

import argparse
import inspect
import re
from typing import Any

import pytest

from runloop_jupyter.commands import DEVBOX, NOUNS, RUNLOOP, resolve
from runloop_jupyter.commands.invocation import InvocationOptions
from runloop_jupyter.commands.noun import Noun
from runloop_jupyter.commands.parser import HelpRequested
from runloop_jupyter.errors import UsageError
from runloop_jupyter.text.templates import evaluator
from runloop_jupyter.variables import Variables

NAMESPACE = {"name": "my box", "n": 3, "box": "web"}


def parse(verb: str, line: str, cell: str | None = None) -> Any:
    evaluate = evaluator(dict(NAMESPACE), hint=verb == "exec")
    return DEVBOX.load(verb).parser().parse(line, cell, evaluate, Variables({}))


@pytest.mark.parametrize(
    ("line", "command"),
    [
        pytest.param("ls -la | wc -l", "ls -la | wc -l", id="plain"),
        pytest.param("--timeout 5 ls --timeout 9", "ls --timeout 9", id="options after the command are its own"),
        pytest.param("--timeout=5 --quiet ls", "ls", id="value with equals sign"),
        pytest.param("-- --strange", "--strange", id="two dashes end the options"),
        pytest.param("echo it's", "echo it's", id="quotes belong to the shell"),
        pytest.param("echo 'a  b' # c", "echo 'a  b' # c", id="blanks and comments stay"),
        pytest.param("--cwd 'a b' echo {{n}} $HOME {x}", "echo 3 $HOME {x}", id="expressions are replaced"),
        pytest.param("--template off echo {{n}}", "echo {{n}}", id="unless told not to"),
        pytest.param("--template=off echo {{.Names}}", "echo {{.Names}}", id="told with equals sign"),
        pytest.param("--quiet", "", id="no command"),
    ],
)
def test_the_command_after_the_options_is_kept_as_typed(line: str, command: str) -> None:
    assert parse("exec", line).invocation.text == command


def test_options_of_exec_are_converted() -> None:
    options = parse("exec", "--timeout 1m30s --env A=1 --env B='x y' --cwd ~/a -o r --out o --err e --on {{box}} make")
    assert options.timeout == 90
    assert options.env == [("A", "1"), ("B", "x y")]
    assert (options.cwd, options.result, options.out, options.err, options.on) == ("~/a", "r", "o", "e", ["web"])


def test_a_value_with_blanks_stays_one_word() -> None:
    assert parse("create", "--name {{name}}").name == "my box"
    assert parse("create", '--name "{{ name }}-{{n}}"').name == "my box-3"


@pytest.mark.parametrize(
    ("verb", "line", "words"),
    [
        pytest.param("create", "--nmae x", ("'--nmae'", "Did you mean '--name'?"), id="nearest option"),
        pytest.param("exec", "--no-raise ls", ("'--no-raise'", "'--no-raise-error'"), id="no abbreviations"),
        pytest.param("exec", "--out 1x ls", ("'1x'", "variable"), id="no variable"),
        pytest.param("exec", "--out class ls", ("'class'", "variable"), id="a keyword"),
        pytest.param("exec", "--timeout soon ls", ("'soon'", "90s"), id="no duration"),
        pytest.param("exec", "--timeout 0 ls", ("'0'", "duration"), id="no time at all"),
        pytest.param("exec", "--env A-B=1 ls", ("'A-B=1'", "NAME=VALUE"), id="no variable of the shell"),
        pytest.param("exec", "--env 'A ls", ("quotation",), id="open quote"),
        pytest.param("exec", "echo {{missing}}", ("{{missing}}", "NameError", "--template off"), id="undefined name"),
        pytest.param("create", "--name {{missing}}", ("{{missing}}", "NameError"), id="undefined name in an option"),
        pytest.param("create", "--keep-alive 3d", ("3d", "48h"), id="too long"),
        pytest.param("create", "--size huge", ("huge", "small"), id="no size"),
        pytest.param("create", "x y", ("'y'", "one word too many"), id="a word too many"),
        pytest.param("rm", "", ("PATH",), id="no name"),
        pytest.param("list", "--limit 0", ("'0'",), id="no number"),
        pytest.param("list", "--status gone", ("gone", "running"), id="no state"),
    ],
)
def test_a_mistake_is_one_sentence_that_names_it(verb: str, line: str, words: tuple[str, ...]) -> None:
    with pytest.raises(UsageError) as caught:
        parse(verb, line)
    assert all(word in str(caught.value) for word in words), str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("line", "found"),
    [
        pytest.param("devbox list --all", ("%devbox", "list", "--all"), id="a kind of resource"),
        pytest.param("overview", ("%runloop", "overview", ""), id="its own"),
        pytest.param("", ("%runloop", "", ""), id="nothing"),
        pytest.param("--help", ("%runloop", "", ""), id="help"),
        pytest.param("devbox --help", ("%devbox", "", ""), id="help on a kind"),
    ],
)
def test_the_first_words_name_the_subcommand(line: str, found: tuple[str, str, str]) -> None:
    noun, verb, rest = resolve(line)
    assert (noun.typed, verb, rest) == found


@pytest.mark.parametrize(
    ("line", "words"),
    [
        pytest.param("list", "%devbox list", id="a devbox's"),
        pytest.param("terminal", "%devbox pty", id="a devbox's, as others call it"),
        pytest.param("devbx list", "Did you mean 'devbox'", id="a mistyped kind"),
        pytest.param("zzz", "%runloop --help lists them", id="nothing like it"),
    ],
)
def test_a_wrong_first_word_says_what_to_type(line: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        resolve(line)


@pytest.mark.parametrize(
    ("noun", "verb", "suggested"),
    [
        (DEVBOX, "craete", "create"),
        (DEVBOX, "terminal", "pty"),
        (DEVBOX, "run", "exec"),
        (DEVBOX, "stop", "shutdown"),
        (DEVBOX, "ps", "list"),
        (DEVBOX, "start", "create"),
        (DEVBOX, "get", "info"),
        (NOUNS["snapshot"], "rm", "delete"),
        (NOUNS["blueprint"], "create", "build"),
        (NOUNS["secret"], "create", "set"),
        (NOUNS["object"], "put", "upload"),
        (NOUNS["policy"], "show", "info"),
    ],
)
def test_an_unknown_subcommand_suggests_the_nearest(noun: Noun, verb: str, suggested: str) -> None:
    with pytest.raises(UsageError, match=rf"'{verb}'\. Did you mean '{suggested}'"):
        noun.load(verb)


ALL = [(noun, verb) for noun in (RUNLOOP, *NOUNS.values()) for verb in noun.verbs]


EACH_VERB = pytest.mark.parametrize(("noun", "verb"), ALL, ids=[f"{noun.typed} {verb}" for noun, verb in ALL])


@EACH_VERB
def test_every_subcommand_explains_itself(noun: Noun, verb: str) -> None:
    with pytest.raises(HelpRequested, match=f"usage: %?{noun.typed} {verb}"):
        noun.load(verb).parser().parse("--help", None, evaluator({}), Variables({}))


@EACH_VERB
def test_the_options_of_every_subcommand_are_what_its_parser_takes_no_more_and_no_less(noun: Noun, verb: str) -> None:
    command: Any = noun.load(verb)
    parser = command.parser()
    arguments = {action.dest for action in (*parser.positionals, *parser.options_by_name.values())}
    invocation = {"invocation"} if issubclass(command.Options, InvocationOptions) else set()
    assert fields_of(command.Options).keys() == arguments - {argparse.SUPPRESS} | invocation
    assert parser.options is command.Options
    assert inspect.signature(command.run).parameters["options"].annotation == "Options"


@EACH_VERB
def test_the_options_of_every_subcommand_are_frozen_and_typed(noun: Noun, verb: str) -> None:
    options: Any = noun.load(verb).parser().options
    made = options(**dict.fromkeys(fields_of(options)))
    for name in fields_of(options):
        with pytest.raises(AttributeError, match=f"Options.{name} cannot be set"):
            setattr(made, name, True)
    assert [name for name, kind in fields_of(options).items() if re.search(r"\bAny\b", kind)] == []


def fields_of(options: type) -> dict[str, str]:
    """The fields of some options, with the types that are written there."""
    return {name: kind for each in options.__mro__ for name, kind in inspect.get_annotations(each).items()}


@pytest.mark.parametrize(
    ("line", "cell", "text", "typed"),
    [
        pytest.param("echo {{n}}", None, "echo 3", "echo {{n}}", id="a command"),
        pytest.param("--quiet", "a {{n}}\r\nb", "a 3\nb", "a {{n}}\nb", id="a cell"),
        pytest.param("--template off", "a {{n}}", "a {{n}}", "a {{n}}", id="a cell as it is"),
        pytest.param("", "", "", "", id="an empty cell"),
    ],
)
def test_an_invocation_has_the_text_with_values_and_as_it_was_typed(
    line: str, cell: str | None, text: str, typed: str
) -> None:
    invocation = parse("exec", line, cell).invocation
    assert (invocation.text, invocation.typed, invocation.is_cell) == (text, typed, cell is not None)


@pytest.mark.parametrize(
    ("verb", "line", "cell", "words"),
    [
        pytest.param("exec", "ls", "pwd", "'ls' follows %%devbox exec", id="a command and a cell"),
        pytest.param("list", "", "pwd", "%%devbox list takes no cell", id="a cell too many"),
        pytest.param("python", "", None, "%devbox python needs the code", id="no cell"),
    ],
)
def test_a_cell_that_must_not_be_or_is_missing_is_named(verb: str, line: str, cell: str | None, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        parse(verb, line, cell)
