"""Replaces `{{expr}}` in a magic's line or cell by the value of the Python expression."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from ..errors import UsageError

_EXPRESSION = re.compile(r"\{\{(.+?)\}\}", re.DOTALL)
_MARK = re.compile("\ue000(\\d+)\ue001")  # private-use characters: they stand for a value while a line is split

Evaluate = Callable[[str], object]


def evaluator(
    namespace: dict[str, object], local: Mapping[str, object] | None = None, *, hint: bool = False
) -> Evaluate:
    """A function that evaluates an expression in the notebook's namespace. It raises `UsageError` if that fails."""
    advice = " To send {{ and }} as they are, add --template off." if hint else ""

    def evaluate(expression: str) -> object:
        try:
            return eval(expression.strip(), namespace, local)  # noqa: S307 - the user's own expression
        except Exception as error:
            raise UsageError(f"{{{{{expression}}}}}: {type(error).__name__}: {error}.{advice}") from error

    return evaluate


def expand(text: str, evaluate: Evaluate) -> str:
    """`text` with each {{expr}} replaced by its value."""
    return _EXPRESSION.sub(lambda match: str(evaluate(match[1])), text)


def mark(line: str) -> tuple[str, list[str]]:
    """`line` with a mark for each {{expr}}, which splitting leaves unchanged, and the expressions."""
    found: list[str] = []

    def replace(match: re.Match[str]) -> str:
        found.append(match[1])
        return f"\ue000{len(found) - 1}\ue001"

    return _EXPRESSION.sub(replace, line), found


def fill(text: str, values: Callable[[int], str]) -> str:
    """`text` with each mark replaced by `values` of its number."""
    return _MARK.sub(lambda match: values(int(match[1])), text)
