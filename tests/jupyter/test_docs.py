"""The pages of docs/magics say what this version does: they are as the parsers make them, which take the examples."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_type_hints

import pytest
from IPython.core.inputtransformer2 import TransformerManager
from pydantic import TypeAdapter, ValidationError

from runloop_jupyter.commands import DEVBOX, resolve
from runloop_jupyter.commands.noun import Noun
from runloop_jupyter.variables import Variables
from runloop_sdk.params.devboxes import DevboxStatus
from runloop_sdk.params.objects import ObjectContentType
from scripts import magics_pages

ROOT = Path(__file__).parents[2]
PAGES = magics_pages.pages()
VERBS = [(noun, verb) for noun in magics_pages.ALL.values() for verb in noun.verbs]
EACH_VERB = pytest.mark.parametrize(("noun", "verb"), VERBS, ids=[f"{noun.typed} {verb}" for noun, verb in VERBS])
LINK = re.compile(r"\]\(([^)#]+)")
TYPES = {"DevboxStatus": DevboxStatus, "ObjectContentType": ObjectContentType}
MAGICS = {"run_line_magic", "run_cell_magic"}


def calls(cell: str) -> Iterator[list[str]]:
    """The arguments of each magic in a cell, as IPython would call it: its name, its line, and its cell if any."""
    for node in ast.walk(ast.parse(TransformerManager().transform_cell(cell))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in MAGICS:
            yield [ast.literal_eval(argument) for argument in node.args]


def typed(expression: str) -> str:
    return f"<{expression}>"


def misfits(options: object) -> list[str]:
    """The fields whose values are not of the type that they are declared with."""
    hints = get_type_hints(type(options), localns=TYPES)
    return [name for name, hint in hints.items() if name != "invocation" and not fits(getattr(options, name), hint)]


def fits(value: object, hint: Any) -> bool:
    try:
        TypeAdapter(hint).validate_python(value, strict=True)
    except ValidationError:
        return False
    return True


def test_each_page_is_as_its_parser_makes_it_now() -> None:
    assert not magics_pages.differences(PAGES), "run make docs, and commit what it writes"


def test_a_page_that_is_stale_missing_or_too_many_is_found(tmp_path: Path) -> None:
    (tmp_path / "stale.md").write_text("before")
    (tmp_path / "too-many.md").write_text("")
    assert magics_pages.differences({"stale.md": "now", "missing.md": ""}, tmp_path) == [
        "missing.md",
        "stale.md",
        "too-many.md",
    ]


def test_each_link_leads_to_a_page() -> None:
    links = {(path, target) for path, text in PAGES.items() for target in LINK.findall(text)}
    broken = [
        (path, target)
        for path, target in links
        if not (magics_pages.FOLDER / Path(path).parent / target).resolve().is_file()
    ]
    assert len(links) > 100
    assert not broken


def test_the_readme_leads_to_each_page() -> None:
    links = LINK.findall((ROOT / "README.md").read_text())
    assert {f"docs/magics/{path}" for path in PAGES} <= set(links)
    assert [link for link in links if "://" not in link and not (ROOT / link).is_file()] == []


@EACH_VERB
def test_each_subcommand_says_what_it_returns_and_what_can_go_wrong(noun: Noun, verb: str) -> None:
    parser = noun.load(verb).parser()
    assert parser.returns.endswith(".")
    assert parser.mistakes
    assert all(told.endswith(".") for told in parser.mistakes)


@EACH_VERB
def test_each_example_is_taken_as_its_types_say_and_one_at_least_shows_the_subcommand(noun: Noun, verb: str) -> None:
    used = set()
    for example in noun.load(verb).parser().examples:
        for name, line, *below in calls(example.cell):
            if name == "config":
                continue
            found, word, rest = resolve(line, DEVBOX if name == "devbox" else None)
            parser = found.load(word or "overview").parser()
            options = parser.parse(rest, below[0] if below else None, typed, Variables({}))
            assert misfits(options) == []
            used.add((found.typed, word or "overview"))
    assert (noun.typed, verb) in used
