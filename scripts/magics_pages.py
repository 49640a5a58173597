"""Write docs/magics/: an index, and one page for each subcommand, made from its parser.

`make docs` runs it.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from runloop_jupyter.commands import NOUNS, RUNLOOP
from runloop_jupyter.commands.inspection import Argument, arguments, synopsis, title
from runloop_jupyter.commands.noun import Noun
from runloop_jupyter.commands.parser import Example, Parser

FOLDER = Path(__file__).parents[1] / "docs" / "magics"
ALL = {**NOUNS, "runloop": RUNLOOP}
"""Each folder of pages, and whose subcommands are in it."""
PAGES = {f"{noun.typed} {verb}": f"{folder}/{verb}.md" for folder, noun in ALL.items() for verb in noun.verbs}
"""Where the page of each subcommand is, by what is typed."""

_INDEX = "index.md"
_VERBS = "|".join(sorted(map(re.escape, PAGES), key=len, reverse=True))
_WORDS = re.compile(
    r"(?P<code>`[^`]+`)"
    rf"|(?P<magic>%?(?P<typed>{_VERBS})\b(?!-)(?: -{{1,2}}[a-z][\w-]*| [A-Z][A-Z|:=]*\b)*)"
    r"|(?P<literal>%config [\w.]+(?: = \S+)?|%{1,2}(?:devbox|runloop)\b|\b\w\.RunloopMagics[\w.]+ = \S+|\w+\.py\b"
    r"|\{\{\w+\}\}|\{\{|\}\}|(?<![\w-])--?[a-z][\w-]*(?: [A-Z]{2,}\b| off\b)?"
    r"|'[\w.-]*\*[\w.-]*'|\*[\w.-]+|(?<![\w.*])\.[a-z_]\w+(?:\(\))?|\b[A-Za-z]+_\w+\b|~/[\w./]*)"
    r"|(?P<sign>[*_<\[\]])"
)
_INTRODUCTION = """\
# The magics

`%load_ext runloop_jupyter` makes them; then each can be typed into a cell. These pages are made from what
`--help` knows, so they say what this version does.

- **A name** is a name, an id, or the beginning of either. One that means several lists their ids and does nothing;
  one that means none suggests the nearest. Where none is typed, the current devbox is meant.
- **A result** is a Python value: `boxes = %devbox list`. In a notebook it shows as a table or a card, in a terminal as
  text.
- **`{{expr}}`** in a line is the value of a Python expression.
- **A mistake** is one sentence that names what was typed and says what to type instead. It fails the cell, so that
  Run All stops there, and the next cell works.
- **Stop** ends what the cell waits for, also what it has begun to make.
- **A service that cannot be reached**, or that refuses the key, is named: [`%runloop doctor`](runloop/doctor.md) says
  what to do.
"""


def pages() -> dict[str, str]:
    """The text of each page, by its path in the folder."""
    texts = {_INDEX: _index()}
    order = list(PAGES)
    for noun in ALL.values():
        for verb in noun.verbs:
            typed = f"{noun.typed} {verb}"
            at = order.index(typed)
            around = (order[at - 1] if at else "", order[at + 1] if at + 1 < len(order) else "")
            texts[PAGES[typed]] = _page(noun.load(verb).parser(), PAGES[typed], around)
    return texts


def _index() -> str:
    parts = [_INTRODUCTION]
    for noun in ALL.values():
        parts += [f"## `{noun.typed}`", f"{_sentence(noun.summary)}\n"]
        parts.append(_table((_titled(noun, verb), _marked(summary, _INDEX)) for verb, summary in noun.verbs.items()))
    return _joined(parts)


def _titled(noun: Noun, verb: str) -> str:
    return _link(f"{noun.typed} {verb}", _INDEX, title(noun.load(verb).parser()))


def _page(parser: Parser[object], page: str, around: tuple[str, str]) -> str:
    said = [_marked(parser.description or "", page), _marked(parser.epilog or "", page)]
    taken = arguments(parser)
    return _joined(
        [
            f"# {_code(title(parser))}",
            said[0],
            _fenced("\n\n".join(synopsis(parser)), "text"),
            said[1],
            *(["## What it takes", _takes(taken, page)] if taken else []),
            "## Examples",
            *(part for each in parser.examples for part in _example(each, page)),
            "## What it returns",
            _marked(parser.returns, page),
            "## What can go wrong",
            "\n".join(f"- {_marked(each, page)}" for each in parser.mistakes),
            "---",
            _around(around, page),
        ]
    )


def _takes(taken: Iterable[Argument], page: str) -> str:
    return _table((", ".join(map(_code, each.forms)), _marked(each.description, page)) for each in taken)


def _example(example: Example, page: str) -> Iterator[str]:
    language = "bash" if example.cell.startswith("%%devbox exec") else "python"
    yield f"{_marked(_sentence(example.description).rstrip('.'), page)}:"
    yield _fenced(example.cell, language)


def _around(around: tuple[str, str], page: str) -> str:
    before, after = (_link(typed, page) if typed else "" for typed in around)
    parts = [f"← {before}" if before else "", f"[all magics]({_to('index.md', page)})", f"{after} →" if after else ""]
    return " · ".join(filter(None, parts))


def _marked(text: str, page: str) -> str:
    """Plain words as Markdown: what is typed is code, and a subcommand a link to its page."""

    def mark(match: re.Match[str]) -> str:
        if match["magic"]:
            return _link(match["typed"], page, match["magic"])
        if match["literal"]:
            return _code(match["literal"])
        return match["code"] or "\\" + match["sign"]

    return _WORDS.sub(mark, " ".join(text.split()))


def _link(typed: str, page: str, shown: str = "") -> str:
    code = _code(shown or typed)
    return code if PAGES[typed] == page else f"[{code}]({_to(PAGES[typed], page)})"


def _to(path: str, page: str) -> str:
    """The way to a page from another."""
    return posixpath.relpath(path, posixpath.dirname(page))


def _table(rows: Iterable[tuple[str, str]]) -> str:
    lines = [f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |" for row in rows]
    return "\n".join(["| type | to |", "|---|---|", *lines])


def _code(text: str) -> str:
    return f"`{text}`"


def _fenced(text: str, language: str) -> str:
    return f"```{language}\n{text}\n```"


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:].rstrip('.')}."


def _joined(parts: Iterable[str]) -> str:
    return "\n\n".join(part.strip() for part in parts if part.strip()) + "\n"


def differences(texts: Mapping[str, str], folder: Path = FOLDER) -> list[str]:
    """The paths of pages that are missing, stale, or of a subcommand that is no more."""
    there = {path.relative_to(folder).as_posix(): path.read_text() for path in folder.rglob("*.md")}
    return sorted(path for path in texts.keys() | there.keys() if texts.get(path) != there.get(path))


def main() -> None:
    """Write what has changed, and remove pages that belong to nothing."""
    texts = pages()
    for path in differences(texts):
        target = FOLDER / path
        if path not in texts:
            target.unlink()
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(texts[path])
        print(f"docs/magics/{path}")


if __name__ == "__main__":
    main()
