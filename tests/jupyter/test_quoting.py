"""Names as they are typed: each comes out of a magic's line, of a template and of a shell as it went in."""

from __future__ import annotations

import random
import subprocess

import pytest

from runloop_jupyter.commands.devbox.download import parser
from runloop_jupyter.completion.offer import Offer, Texts
from runloop_jupyter.text.quoting import as_word, is_typable, reference
from runloop_jupyter.text.templates import expand
from runloop_jupyter.variables import Variables

NAMES = (
    "plain-1.txt", "two words", "it's", 'say "x"', "{{open('PWNED','w')}}.csv", "a{{b}}c", "{{{x}}}", "{{{{x}}}}", "{{",
    "}}", "a{b}", "$HOME", "$(id)", "`id`", "a;b", "a|b", "a&b", "!ls", "%cd", "?", "x?", "~", "~/a b", "~/{{x}}",
    "~user", "#no", "a#b", "\\", "a\\b", "*", "[a]", "é", "名前", "@x", "a=b", "'", "''", "{''{", "{'", "x {{ y }} z",
)  # fmt: skip


def refuse(expression: str) -> object:
    raise AssertionError(f"{expression!r} would run")


def in_a_line(word: str) -> str:
    """What a subcommand is given that is called with this word."""
    return str(parser().parse(f"{word} here", None, refuse, Variables({})).remote)


def in_a_shell(word: str) -> str:
    """What a program is given in a cell of `%%devbox exec`; the home folder is called HOME."""
    script = expand(f"printf %s {word}", refuse)
    return subprocess.run(["bash", "-c", script], env={"HOME": "HOME"}, capture_output=True, text=True).stdout


@pytest.mark.parametrize("name", NAMES, ids=repr)
def test_a_name_is_read_again_as_it_is_and_nothing_in_it_runs(name: str) -> None:
    assert in_a_line(as_word(name)) == name
    assert in_a_shell(as_word(name)) == (name.replace("~", "HOME", 1) if name.startswith("~/") else name)


@pytest.mark.parametrize("seed", range(10))
def test_no_invented_name_runs_or_changes(seed: int) -> None:
    chance = random.Random(seed)
    for _ in range(200):
        name = "".join(chance.choice("ab{}'\"\\$`~/ -%!?*()é") for _ in range(chance.randint(1, 12)))
        if is_typable(name):
            assert in_a_line(as_word(name)) == name, name


@pytest.mark.parametrize("name", ["a\nb", "a\x1b[2Jb", "a\u202eb", "\ue0000\ue001", "-rf", "--template=off"], ids=repr)
def test_what_no_line_can_hold_as_a_name_is_not_offered(name: str) -> None:
    assert not is_typable(name)
    assert Offer("", Texts("path", [name, "fine"])).completions()[0].text == "fine"


@pytest.mark.parametrize("name", NAMES, ids=repr)
def test_a_resource_is_typed_by_a_word_that_means_it_alone(name: str) -> None:
    assert in_a_line(reference(name, "dbx_1")) in (name, "dbx_1")
