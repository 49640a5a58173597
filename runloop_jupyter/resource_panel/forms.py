"""What can be made in the panel: the fields of each form, what is wrong with what was typed, and what is asked for.

A form's values are text by field, as typed. `check` finds a sentence for each field that cannot stay so; `magic` is the
line that does the same, where the value `about` names the devbox that the form is for, as it is typed in a cell. Values
are never kept: they may be secrets.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from ..text.durations import parse_duration
from ..text.quoting import as_word

Values = Mapping[str, str]
Check = Callable[[str], str]
"""What is wrong with a value; empty where nothing is."""

SIZES = ("x-small", "small", "medium", "large", "x-large", "xx-large")
_LONGEST = 48 * 3600
_LONG_NAME = 1000
_ENV_NAME = re.compile(r"[A-Za-z_]\w*", re.ASCII)
_REPOSITORY = re.compile(r"(?P<repo_owner>[\w.-]+)/(?P<repo_name>[\w.-]+)(?:@(?P<git_ref>\S+))?")
_HOST = re.compile(r"(\*\.)?[\w-]+(\.[\w-]+)*", re.ASCII)


@dataclass(frozen=True, slots=True)
class Field:
    """One field. `form` is text, lines, choice, switch or hidden; `options` are the choices, or what to suggest."""

    name: str
    label: str
    form: str = "text"
    hint: str = ""
    options: tuple[tuple[str, str], ...] = ()
    more: bool = False
    """Whether it is among those that are folded away at first."""
    check: Check = lambda value: ""
    value: str = ""

    def spec(self) -> dict[str, Any]:
        """What the front end needs to know of it."""
        facts = asdict(self)
        del facts["check"]
        return facts


@dataclass(frozen=True, slots=True)
class Form:
    """One form. `request` makes of good values what the API is asked for."""

    name: str
    title: str
    submit: str
    fields: tuple[Field, ...]
    request: Callable[[Values], dict[str, Any]]
    magic: Callable[[Values], str]

    def spec(self) -> dict[str, Any]:
        """What the front end needs to know of it."""
        fields = [field.spec() for field in self.fields]
        return {"name": self.name, "title": self.title, "submit": self.submit, "fields": fields}

    def check(self, values: Values) -> dict[str, str]:
        """A sentence for each field whose value cannot be sent."""
        found = {field.name: field.check(values.get(field.name, "").strip()) for field in self.fields}
        return {name: problem for name, problem in found.items() if problem}


# Checks


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]


def _each(check: Check) -> Check:
    return lambda text: next((problem for line in _lines(text) if (problem := check(line))), "")


def _pair(what: str) -> Check:
    def check(line: str) -> str:
        key, equals, _ = line.partition("=")
        return "" if equals and key.strip() else f"{line!r} is not {what}: write each on a line of its own."

    return _each(check)


def _assignment(line: str) -> str:
    name, equals, _ = line.partition("=")
    if equals and _ENV_NAME.fullmatch(name.strip()):
        return ""
    return f"{line!r} is not NAME=value: write each on a line of its own; a name has letters, digits and _."


def _short(text: str) -> str:
    return f"At most {_LONG_NAME} characters; these are {len(text):,}." if len(text) > _LONG_NAME else ""


def _needed(text: str) -> str:
    return _short(text) if text else "A name is needed."


def _duration(text: str) -> str:
    try:
        seconds = parse_duration(text) if text else 1
    except ValueError as error:
        return f"{error}."
    return "" if 1 <= seconds <= _LONGEST else f"{text} is out of range: from 1s to 48h."


def _mount(line: str) -> str:
    source, _, path = line.partition(" ")
    if _REPOSITORY.fullmatch(line) or (source and path.strip().startswith(("/", "~"))):
        return ""
    return f"{line!r} is neither OBJECT-ID /path/in/devbox nor OWNER/REPOSITORY."


def _env_name(text: str) -> str:
    return "" if _ENV_NAME.fullmatch(text) else "A name is needed: letters, digits and _, not beginning with a digit."


def _host(line: str) -> str:
    return "" if _HOST.fullmatch(line) else f"{line!r} is not a host name: write it like example.com or *.example.com."


# What the API is asked for


def _pairs(text: str) -> dict[str, str]:
    parts = (line.partition("=") for line in _lines(text))
    return {key.strip(): value for key, _, value in parts}


def _mounts(text: str) -> list[dict[str, str]]:
    return [_one_mount(line) for line in _lines(text)]


def _one_mount(line: str) -> dict[str, str]:
    repository = _REPOSITORY.fullmatch(line)
    if repository:
        return {"type": "code_mount", **{key: value for key, value in repository.groupdict().items() if value}}
    source, _, path = line.partition(" ")
    return {"type": "object_mount", "object_id": source, "object_path": path.strip()}


def _given(wanted: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in wanted.items() if value}


def _source(values: Values) -> tuple[str, str]:
    """ "blueprint" or "snapshot", and its id; nothing for the standard image."""
    kind, _, identity = values.get("source", "").partition(":")
    return kind, identity


def _devbox_request(values: Values) -> dict[str, Any]:
    kind, identity = _source(values)
    size = values.get("size", "").upper().replace("-", "_")
    return _given(
        {
            "name": values.get("name", "").strip(),
            "blueprint_id": identity if kind == "blueprint" else "",
            "snapshot_id": identity if kind == "snapshot" else "",
            "environment_variables": _pairs(values.get("env", "")),
            "secrets": _pairs(values.get("secrets", "")),
            "metadata": _pairs(values.get("metadata", "")),
            "mounts": _mounts(values.get("mounts", "")),
            "tunnel": _given({"auth_mode": values.get("tunnel", "")}),
            "launch_parameters": _given({"resource_size_request": size}),
        }
    )


def _blueprint_request(values: Values) -> dict[str, Any]:
    return _given(
        {
            "name": values.get("name", "").strip(),
            "dockerfile": values.get("dockerfile", "").strip(),
            "system_setup_commands": _lines(values.get("commands", "")),
            "metadata": _pairs(values.get("metadata", "")),
        }
    )


def _policy_request(values: Values) -> dict[str, Any]:
    return _given(
        {
            "name": values.get("name", "").strip(),
            "allow_all": values.get("allow_all") == "yes",
            "allowed_hostnames": _lines(values.get("hosts", "")),
            "description": values.get("description", "").strip(),
        }
    )


# The same as a magic


def _line(start: str, options: Iterable[tuple[str, str]]) -> str:
    given = [f"{name}{'=' if value.startswith('-') else ' '}{as_word(value)}" for name, value in options if value]
    return " ".join([start, *given])


def _repository(mount: Mapping[str, str]) -> str:
    ref = f"@{mount['git_ref']}" if "git_ref" in mount else ""
    return f"{mount['repo_owner']}/{mount['repo_name']}{ref}"


def _repeated(option: str, text: str) -> list[tuple[str, str]]:
    return [(option, line) for line in _lines(text)]


def _devbox_magic(values: Values) -> str:
    kind, identity = _source(values)
    mounts = [_one_mount(line) for line in _lines(values.get("mounts", "")) if not _mount(line)]
    options = [
        ("--name", values.get("name", "").strip()),
        (f"--{kind}", identity),
        ("--size", values.get("size", "").replace("-", "_")),
        *_repeated("--env", values.get("env", "")),
        *_repeated("--secret", values.get("secrets", "")),
        *(("--mount", f"{m['object_id']}:{m['object_path']}") for m in mounts if "object_id" in m),
        *(("--repo", _repository(m)) for m in mounts if "repo_name" in m),
        ("--tunnel", values.get("tunnel", "")),
        *_repeated("--metadata", values.get("metadata", "")),
        ("--keep-alive", values.get("keep_alive", "").strip()),
    ]
    return _line("%devbox create", options) + (" --keep" if values.get("keep") == "yes" else "")


def _blueprint_magic(values: Values) -> str:
    name = as_word(values.get("name", "").strip() or "NAME")
    options = [*_repeated("--run", values.get("commands", "")), *_repeated("--metadata", values.get("metadata", ""))]
    line = _line(f"%runloop blueprint build {name}", options)
    dockerfile = values.get("dockerfile", "").strip()
    return f"%{line}\n{dockerfile}" if dockerfile else line


def _policy_magic(values: Values) -> str:
    start = f"%runloop policy create {as_word(values.get('name', '').strip() or 'NAME')}"
    options = [*_repeated("--host", values.get("hosts", "")), ("--description", values.get("description", "").strip())]
    return _line(start, options) + (" --allow-all" if values.get("allow_all") == "yes" else "")


Choice = tuple[str, str]


def devbox_form(blueprints: Iterable[Choice], snapshots: Iterable[Choice], source: str = "") -> Form:
    """A new devbox, from one of these (id and name), `source` chosen at first ("blueprint:ID")."""
    sources = [
        ("", "The standard image"),
        *((f"blueprint:{identity}", f"Blueprint {name}") for identity, name in blueprints),
        *((f"snapshot:{identity}", f"Snapshot {name}") for identity, name in snapshots),
    ]
    known = {value for value, _ in sources}
    sizes = (("", "As usual"), *((size, size) for size in SIZES))
    tunnels = (("", "None"), ("open", "Open: whoever has the link"), ("authenticated", "Authenticated: with a token"))
    fields = (
        Field("name", "Name", hint="what to call it; optional", check=_short),
        Field("source", "Start from", "choice", options=tuple(sources), value=source if source in known else ""),
        Field("size", "Size", "choice", options=sizes),
        Field("keep_alive", "Keep alive for", hint="as set; or 90s, 30m, 2h; at most 48h", check=_duration),
        Field("use", "Use it in this notebook", "switch", value="yes"),
        Field("keep", "Leave it running when this kernel ends", "switch"),
        Field("env", "Environment", "lines", "NAME=value, one a line", more=True, check=_each(_assignment)),
        Field("secrets", "Secrets", "lines", "VARIABLE=name-of-secret", more=True, check=_each(_assignment)),
        Field("mounts", "Mounts", "lines", "OBJECT-ID /path, or OWNER/REPOSITORY", more=True, check=_each(_mount)),
        Field("tunnel", "Tunnel", "choice", options=tunnels, more=True),
        Field("metadata", "Metadata", "lines", "key=value, one a line", more=True, check=_pair("key=value")),
    )
    return Form("devbox", "New devbox", "Create devbox", fields, _devbox_request, _devbox_magic)


BLUEPRINT = Form(
    "blueprint",
    "Build a blueprint",
    "Build",
    (
        Field("name", "Name", hint="devboxes start from the latest build of a name", check=_needed),
        Field("dockerfile", "Dockerfile", "lines", "FROM …\nRUN …"),
        Field("commands", "Setup commands", "lines", "run after the Dockerfile, one a line", more=True),
        Field("metadata", "Metadata", "lines", "key=value, one a line", more=True, check=_pair("key=value")),
    ),
    _blueprint_request,
    _blueprint_magic,
)
SECRET = Form(
    "secret",
    "New secret",
    "Save secret",
    (
        Field("name", "Name", hint="letters, digits and _", check=_env_name),
        Field("value", "Value", "hidden", "it is sent to the service and kept nowhere else",
              check=lambda text: "" if text else "A value is needed."),
    ),
    lambda values: {"name": values.get("name", "").strip(), "value": values.get("value", "")},
    lambda values: f"%runloop secret set {as_word(values.get('name', '').strip() or 'NAME')}",
)  # fmt: skip
POLICY = Form(
    "policy",
    "New network policy",
    "Save policy",
    (
        Field("name", "Name", check=_needed),
        Field("hosts", "Allowed hosts", "lines", "example.com or *.example.com, one a line", check=_each(_host)),
        Field("allow_all", "Allow everything", "switch"),
        Field("description", "Description", more=True),
    ),
    _policy_request,
    _policy_magic,
)


def _snapshot_request(values: Values) -> dict[str, Any]:
    return _given({"name": values.get("name", "").strip(), "commit_message": values.get("message", "").strip()})


def _snapshot_magic(values: Values) -> str:
    options = [(f"--{name}", values.get(name, "").strip()) for name in ("name", "message")]
    return _line("%devbox snapshot", options) + _on(values)


def _on(values: Values) -> str:
    return f" --on {values['about']}" if values.get("about") else ""


def _tunnel_magic(values: Values) -> str:
    private = " --private" if values.get("auth") == "authenticated" else ""
    return f"%devbox tunnel {as_word(values.get('port', '').strip() or 'PORT')}{private}{_on(values)}"


def _port(text: str) -> str:
    return "" if text.isdecimal() and 0 < int(text) < 65536 else "A port is a number from 1 to 65535."


SNAPSHOT = Form(
    "snapshot",
    "Take a snapshot",
    "Take snapshot",
    (
        Field("name", "Name", hint="optional", check=_short),
        Field("message", "Message", hint="what is in it; optional"),
    ),
    _snapshot_request,
    _snapshot_magic,
)
_OPENNESS = (("open", "Whoever has the link"), ("authenticated", "Whoever has the link and its token"))
TUNNEL = Form(
    "tunnel",
    "Tunnel link",
    "Open link",
    (
        Field("port", "Port in the devbox", hint="such as 8000", check=_port),
        Field("auth", "Who gets in", "choice", options=_OPENNESS, value="open"),
    ),
    lambda values: {"auth_mode": values.get("auth") or "open"},
    _tunnel_magic,
)
