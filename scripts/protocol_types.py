"""Writes the page's types of the messages, and the page of docs about them, from the classes of `widgets/protocol`.

`--check` writes nothing, and fails where what is there is not what would be written.
"""

from __future__ import annotations

import argparse
import dataclasses
import inspect
import sys
import types
import typing
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from runloop_jupyter.resources import specs
from runloop_jupyter.widgets.protocol import VERSION, common, console, files, logs, notebook, panel, terminal
from runloop_jupyter.widgets.protocol.message import Message, Protocol, Request, binary_fields

ROOT = Path(__file__).parents[1]
TYPES = ROOT / "ui" / "src" / "protocol"
PAGE = ROOT / "docs" / "panel-protocol.md"
MODULES = {
    "panel": panel,
    "console": console,
    "terminal": terminal,
    "logs": logs,
    "files": files,
    "notebook": notebook,
}
SHARED = {panel: specs}
"""By module of messages, the module of those parts of them that others make."""

_HEAD = (
    "// Made from runloop_jupyter/widgets/protocol by scripts/protocol_types.py: change the classes, then `make ui`.\n"
)
_PRIMITIVES = {str: "string", int: "number", float: "number", bool: "boolean", bytes: "Uint8Array", type(None): "null"}

_INTRODUCTION = """\
# The protocol of the widgets

The panel and the tools below it (console, terminal, logs, files) talk to the kernel by messages: Jupyter's custom
messages of a widget, JSON beside buffers. Nothing of what is shown travels as synced state, which a notebook file would
save. The classes in `runloop_jupyter/widgets/protocol/` are the protocol; `make ui` writes the page's types
(`ui/src/protocol/`) and this page from them. This is version {version}.

## The channel

Each place in a page where a widget is shown is a *view*, with an id of its own.

| | travels as |
|---|---|
| request, page to kernel | `{{"op": ..., "view": ID, "n": NUMBER, ...}}`; in the order of its numbers, from 0 |
| event for all views | `{{"op": ..., "seq": NUMBER, ...}}`, numbered by the widget |
| event for one view | `{{"op": ..., "view": ID, "at": NUMBER, ...}}`; `at` is the number of the last event for all |
| event for a view that is about to open | `{{"op": ..., "at": NUMBER, ...}}` |

`op` is the name of the message, the other fields are its own. Fields of bytes are the buffers, in their order.

A view says `hello` and gets a snapshot; what changes afterwards goes to all views. One that finds a gap in `seq`, or an
`at` that it has not come to, says `hello` again, and no event for all counts until the next snapshot is there. It says
`alive` every 15 seconds and whenever it comes into sight or leaves it, and `bye` when it closes. Each request is
answered by `ack` at once, so that a page knows whether its kernel is busy. After 150 seconds of silence a view is
forgotten, with its open forms and questions, and its details. One that comes back, as after a computer's sleep, gets no
`ack` but `hello_wanted`: nothing of what it sent was done. It takes a new id, says `hello` and sends what was not
acknowledged again. A page of another version is told to run its cell again.

A widget that is displayed may send a snapshot ahead. Its model keeps that for five seconds, for the first view, which
shows it while its `hello` is on the way.
"""


def main() -> int:
    """Write what has changed; the exit code is 1 where `--check` found something."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true")
    check = parser.parse_args().check
    stale = [path for path, text in written().items() if not path.is_file() or path.read_text(encoding="utf-8") != text]
    for path in stale:
        if check:
            print(f"{path.relative_to(ROOT)} is not what the protocol's classes say: run `make ui`.")
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(written()[path], encoding="utf-8")
    return int(check and bool(stale))


def written() -> dict[Path, str]:
    """Return the text of each file."""
    modules = {TYPES / "common.ts": common_types()}
    for name, module in MODULES.items():
        modules[TYPES / f"{name}.ts"] = module_types(module, module.PROTOCOL)
    return {**modules, PAGE: page()}


def common_types() -> str:
    """Return the module of the messages that every widget has."""
    kinds: tuple[type[Message], ...] = (common.Hello, *common.REQUESTS, *common.EVENTS)
    parts = [interface(each, {}) for each in kinds]
    version = f"export const VERSION = {VERSION};\n"
    binary = "/** By message, the fields that travel as buffers. */\n"
    table = "export type BinaryFields = Readonly<Record<string, readonly string[]>>;\n"
    return "\n".join([_HEAD, version, f"{binary}{table}", *parts])


def module_types(module: types.ModuleType, protocol: Protocol) -> str:
    """Return the module of one protocol."""
    named = dict(_named(module))
    own = [each for each in (*protocol.requests, *protocol.events) if each.__module__ == module.__name__]
    shared = sorted(each.__name__ for each in (*common.REQUESTS, *common.EVENTS))
    binary = {each.op: list(binary_fields(each)) for each in (*protocol.requests, *protocol.events)}
    table = "".join(f"\n  {op}: {_names(names)}," for op, names in binary.items() if names)
    return "\n".join(
        [
            _HEAD,
            f'import type {{ {", ".join(sorted([*shared, "BinaryFields"]))} }} from "./common";\n',
            *(_value(name, kind, named) for name, kind in named.items()),
            *(interface(each, named) for each in own),
            _union("Request", protocol.requests),
            _union("Event", protocol.events),
            f"export const BINARY: BinaryFields = {{{table}{chr(10) * bool(table)}}};\n",
        ]
    )


def _names(names: Sequence[str]) -> str:
    return "[" + ", ".join(f'"{name}"' for name in names) + "]"


def _named(module: types.ModuleType) -> Iterator[tuple[str, Any]]:
    """Yield the types that a module's messages are made of."""
    if module in SHARED:
        yield from _named(SHARED[module])
    for name, value in vars(module).items():
        is_own = getattr(value, "__module__", "") == module.__name__
        if name == "Row" or (is_own and (_is_named_tuple(value) or typing.is_typeddict(value))):
            yield name, value


def _is_named_tuple(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, tuple) and hasattr(kind, "_fields")


def _value(name: str, kind: Any, named: Mapping[str, Any]) -> str:
    """Return the type of what messages are made of."""
    if _is_named_tuple(kind):
        members = ", ".join(f"{field}: {spelled(hint, named)}" for field, hint in get_type_hints(kind).items())
        return f"{_comment(kind)}export type {name} = [{members}];\n"
    if typing.is_typeddict(kind):
        return f"{_comment(kind)}export interface {name} {{\n{_members(get_type_hints(kind), named)}}}\n"
    others = {other: value for other, value in named.items() if other != name}
    return f"export type {name} = {spelled(kind, others)};\n"


def interface(kind: type[Message], named: Mapping[str, Any]) -> str:
    """Return the type of one message."""
    hints = get_type_hints(kind)
    fields = {_key(kind, field): hints[field.name] for field in dataclasses.fields(kind)}
    return f'{_comment(kind)}export interface {kind.__name__} {{\n  op: "{kind.op}";\n{_members(fields, named)}}}\n'


def _key(kind: type[Message], field: dataclasses.Field[Any]) -> str:
    """Return the field's name, with a mark where the page may leave it out."""
    left_out = issubclass(kind, Request) and field.default is not dataclasses.MISSING
    return f"{field.name}?" if left_out else field.name


def _members(hints: Mapping[str, Any], named: Mapping[str, Any]) -> str:
    return "".join(f"  {name}: {spelled(hint, named)};\n" for name, hint in hints.items())


def _union(name: str, kinds: Sequence[type[Message]]) -> str:
    names = "".join(f"\n  | {kind.__name__}" for kind in kinds)
    return f"export type {name} ={names};\n"


def _comment(kind: Any) -> str:
    return f"/** {' '.join((inspect.getdoc(kind) or '').split())} */\n"


def spelled(hint: Any, named: Mapping[str, Any]) -> str:
    """Return a type as TypeScript has it."""
    if hint is Any:
        return "unknown"
    known = next((name for name, value in named.items() if value is hint or value == hint), None)
    if known or hint in _PRIMITIVES:
        return known or _PRIMITIVES[hint]
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Literal:
        return " | ".join(f'"{value}"' for value in arguments)
    if origin in (Union, types.UnionType):
        return " | ".join(spelled(each, named) for each in arguments)
    if origin is Sequence:
        return f"readonly {_element(spelled(arguments[0], named))}[]"
    if origin is Mapping:
        return f"Readonly<Record<string, {spelled(arguments[1], named)}>>"
    raise TypeError(f"{hint!r} has no spelling in TypeScript yet.")


def _element(spelled_type: str) -> str:
    return f"({spelled_type})" if " " in spelled_type else spelled_type


def page() -> str:
    """Return the page of docs."""
    parts = [_INTRODUCTION.format(version=VERSION)]
    parts.append("## Every widget\n\n" + _table("request", (common.Hello, *common.REQUESTS), {}))
    parts.append(_table("event", common.EVENTS, {}))
    for name, module in MODULES.items():
        named = dict(_named(module))
        own = {each.__name__ for each in (*common.REQUESTS, *common.EVENTS)}
        parts.append(f"## {name.capitalize()}\n\n" + _table("request", _own(module.PROTOCOL.requests, own), named))
        parts.append(_table("event", _own(module.PROTOCOL.events, own), named))
        if named:
            parts.append(_values(named))
    return "\n".join(parts)


def _own(kinds: Sequence[type[Message]], others: set[str]) -> list[type[Message]]:
    return [kind for kind in kinds if kind.__name__ not in others]


def _table(title: str, kinds: Sequence[type[Message]], named: Mapping[str, Any]) -> str:
    rows = [f"| {title} | fields | meaning |", "|---|---|---|"]
    for kind in kinds:
        shown = {field.name: get_type_hints(kind)[field.name] for field in dataclasses.fields(kind)}
        listed = ", ".join(f"`{name}: {spelled(hint, named)}`" for name, hint in shown.items()).replace("|", "\\|")
        rows.append(f"| `{kind.op}` | {listed} | {' '.join((inspect.getdoc(kind) or '').split())} |")
    return "\n".join([*rows, ""])


def _values(named: Mapping[str, Any]) -> str:
    rows = ["| value | is | meaning |", "|---|---|---|"]
    for name, kind in named.items():
        if name == "Row":
            rows.append("| `Row` | `readonly unknown[]` | A resource's id, then a value for each column of its kind. |")
            continue
        hints = get_type_hints(kind)
        listed = ", ".join(f"{field}: {spelled(hint, named)}" for field, hint in hints.items()).replace("|", "\\|")
        shape = f"[{listed}]" if _is_named_tuple(kind) else f"{{{listed}}}"
        rows.append(f"| `{name}` | `{shape}` | {' '.join((inspect.getdoc(kind) or '').split())} |")
    return "\n".join([*rows, ""])


if __name__ == "__main__":
    sys.exit(main())
