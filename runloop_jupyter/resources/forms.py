"""The parts of a form in the panel: its fields, what is wrong with what was typed, and what is asked for.

A form's values are text by field, as typed. `check` finds a sentence for each field that cannot stay so; `magic` is the
line that does the same, where the value `about` names the resource that the form is for, as a cell has it. Values are
never kept: they may be secrets.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from ..text.durations import parse_duration
from ..text.quoting import as_word
from . import specs
from .api_limits import HOST, LONGEST_KEEP_ALIVE, LONGEST_NAME, VARIABLE, repository_mount

if TYPE_CHECKING:
    from ..operations.observer import Observer
    from ..session import Session

Values = Mapping[str, str]
Check = Callable[[str], str]
"""Says what is wrong with a value; empty where nothing is."""


@dataclass(frozen=True, slots=True)
class Field:
    """One field; `options` are the choices, or suggestions."""

    name: str
    label: str
    form: Literal["text", "lines", "choice", "switch", "hidden"] = "text"
    hint: str = ""
    options: tuple[tuple[str, str], ...] = ()
    more: bool = False
    """True if it is folded away at first."""
    check: Check = lambda value: ""
    value: str = ""

    def spec(self) -> specs.Field:
        """Return the part of it that the page gets."""
        return {
            "name": self.name,
            "label": self.label,
            "form": self.form,
            "hint": self.hint,
            "options": [specs.Option(*option) for option in self.options],
            "more": self.more,
            "value": self.value,
        }


@dataclass(frozen=True, slots=True)
class Submission:
    """A form that was sent, and the row that it is for, where it is for one."""

    session: Session
    values: Values
    observer: Observer
    row: list[Any] | None = None

    def value(self, name: str) -> str:
        """Return what was typed into a field, without spaces around it."""
        return self.values.get(name, "").strip()


@dataclass(frozen=True, slots=True)
class Link:
    """A URL to show, and the token that opens it where it needs one."""

    title: str
    url: str
    token: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of a form: a sentence, a link, the resource of which the details are to be shown."""

    text: str = ""
    link: Link | None = None
    details_of: str = ""


@dataclass(frozen=True, slots=True)
class Form:
    """One form. `submit` does what good values ask for, and may take long.

    `doing` is shown meanwhile on the row that the form is for.
    """

    name: str
    title: str
    button: str
    fields: tuple[Field, ...]
    magic: Callable[[Values], str]
    submit: Callable[[Submission], Awaitable[Outcome]]
    doing: str = ""

    def check(self, values: Values) -> dict[str, str]:
        """Return a sentence for each field whose value cannot be sent."""
        found = {field.name: field.check(values.get(field.name, "").strip()) for field in self.fields}
        return {name: problem for name, problem in found.items() if problem}


# Checks: what is wrong with a value, as a sentence; empty where nothing is


def lines(text: str) -> list[str]:
    """Return the lines of a field that are not empty."""
    return [line.strip() for line in text.splitlines() if line.strip()]


def check_each(check: Check) -> Check:
    """Check each line of a field; the first problem is told."""
    return lambda text: next((problem for line in lines(text) if (problem := check(line))), "")


def check_metadata(line: str) -> str:
    """Check a line of key=value."""
    key, equals, _ = line.partition("=")
    return "" if equals and key.strip() else f"{line!r} is not key=value: write each on a line of its own."


def check_assignment(line: str) -> str:
    """Check a line of NAME=value."""
    name, equals, _ = line.partition("=")
    if equals and VARIABLE.fullmatch(name.strip()):
        return ""
    return f"{line!r} is not NAME=value: write each on a line of its own; a name has letters, digits and _."


def check_length(text: str) -> str:
    """Check that a name is not too long."""
    return f"At most {LONGEST_NAME} characters; these are {len(text):,}." if len(text) > LONGEST_NAME else ""


def check_name(text: str) -> str:
    """Check that there is a name, not too long."""
    return check_length(text) if text else "A name is needed."


def check_keep_alive(text: str) -> str:
    """Check a duration, if there is one."""
    try:
        seconds = parse_duration(text) if text else 1
    except ValueError as error:
        return f"{error}."
    return "" if 1 <= seconds <= LONGEST_KEEP_ALIVE else f"{text} is out of range: from 1s to 48h."


def check_mount(line: str) -> str:
    """Check a line that names an object and a path, or a repository."""
    source, _, path = line.partition(" ")
    if repository_mount(line) or (source and path.strip().startswith(("/", "~"))):
        return ""
    return f"{line!r} is neither OBJECT-ID /path/in/devbox nor OWNER/REPOSITORY."


def check_variable(text: str) -> str:
    """Check the name of a secret."""
    return "" if VARIABLE.fullmatch(text) else "A name is needed: letters, digits and _, not beginning with a digit."


def check_host(line: str) -> str:
    """Check a host name, with or without a wildcard."""
    return "" if HOST.fullmatch(line) else f"{line!r} is not a host name: write it like example.com or *.example.com."


def check_port(text: str) -> str:
    """Check a port."""
    return "" if text.isdecimal() and 0 < int(text) < 65536 else "A port is a number from 1 to 65535."


# The request: what the API is asked for


def given(wanted: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters that have a value."""
    return {key: value for key, value in wanted.items() if value}


def pairs(text: str) -> dict[str, str]:
    """Return the keys and values of a field with key=value lines."""
    parts = (line.partition("=") for line in lines(text))
    return {key.strip(): value for key, _, value in parts}


def mount_of(line: str) -> dict[str, str]:
    """Return the API's mount for a line that names an object and a path, or a repository."""
    repository = repository_mount(line)
    if repository:
        return {"type": "code_mount", **repository}
    source, _, path = line.partition(" ")
    return {"type": "object_mount", "object_id": source, "object_path": path.strip()}


# The cell that does the same


def cell_line(start: str, options: Iterable[tuple[str, str]]) -> str:
    """Return a magic's line with the options that have a value."""
    typed = [f"{name}{'=' if value.startswith('-') else ' '}{as_word(value)}" for name, value in options if value]
    return " ".join([start, *typed])


def repeated(option: str, text: str) -> list[tuple[str, str]]:
    """Return the option once for each line of a field."""
    return [(option, line) for line in lines(text)]


def on_option(values: Values) -> str:
    """Return the option that names the resource that the form is for."""
    return f" --on {values['about']}" if values.get("about") else ""


METADATA = Field("metadata", "Metadata", "lines", "key=value, one a line", more=True, check=check_each(check_metadata))
"""The field for metadata, which devboxes and blueprints have."""
