"""`%%devbox write`."""

from __future__ import annotations

import os
from argparse import ArgumentTypeError
from shlex import quote
from typing import TYPE_CHECKING

from ...errors import RemoteError, UsageError
from ...rendering import Done
from ...text.sizes import spell_size
from ..devbox_to_use import current_or_new_devbox
from ..invocation import InvocationOptions
from ..option_groups import OnOption, TemplateOption, add_on_option, add_template_option
from ..parser import Parser

if TYPE_CHECKING:
    from runloop_sdk import AsyncDevbox

    from ...resources.devboxes import DevboxInfo
    from ...session import Session


class Options(InvocationOptions, OnOption, TemplateOption):
    """The options of `%%devbox write`."""

    path: str
    append: bool
    mode: str | None


def parser() -> Parser[Options]:
    """The parser of `%%devbox write`."""
    made = Parser(
        Options,
        "%devbox write",
        "Write the cell below %%devbox write PATH to a file in the devbox; folders that are missing are made.",
        "A path is relative to the home directory; ~/ and absolute ones work too.",
    )
    made.needs_cell = made.keeps_line_ends = True
    made.cell, made.cell_language_argument = "the text", "path"
    made.add_name("remote path", "path", metavar="PATH", help="the file")
    made.add_argument("--append", "-a", action="store_true", help="add the cell to the end of the file")
    made.add_argument("--mode", metavar="MODE", type=_mode, help="the file's permissions: 755")
    add_on_option(made, "the devbox to write on instead of the current one")
    add_template_option(made, "off")
    return made.explain(
        ("a file in the home folder; folders that are missing are made", "%%devbox write app/main.py\nprint('hello')"),
        (
            "an executable, with a value from the notebook",
            "%%devbox write --mode 755 --template on run.sh\n#!/bin/sh\necho {{greeting}}",
        ),
        ("more at its end", "%%devbox write -a notes.txt\none more line"),
        returns="A sentence about what was done, with the fields of the devbox: `.id`, `.name`, `.status`.",
        mistakes=[
            "The file is replaced at once or, if that fails, stays as it was.",
            "A path that ends in / or that may not be written is named, with the devbox's own reason.",
            "Lines of the cell that end in CRLF are written so, and the sentence says it.",
        ],
    )


async def run(session: Session, options: Options) -> Done[DevboxInfo]:
    """Write the file. One that is there is replaced at once or, if that fails, stays as it was."""
    if options.path.endswith("/"):
        raise UsageError(f"{options.path!r} is a folder: name the file to write.")
    devbox = await current_or_new_devbox(session, options.on)
    await session.check_usable(devbox.id)
    handle = (await session.client.sdk()).devbox.from_id(devbox.id)
    text = options.invocation.text
    data = text.encode("utf-8", "surrogatepass")
    await (_append if options.append else _replace)(handle, options.path, data)
    if options.mode:
        await _run(handle, f"chmod {options.mode} -- {_quoted(options.path)}", options.path)
    did = "Appended" if options.append else "Wrote"
    return Done(
        f"{did} {spell_size(len(data))} to {options.path} on {devbox.short}{_line_ends(text)}.",
        devbox,
    )


def _line_ends(text: str) -> str:
    """A note on lines that do not end as they do on Linux: few see it, and programs stumble over it."""
    crlf = text.count("\r\n")
    if not crlf:
        return ""
    return f", {'its' if crlf == text.count(chr(10)) else f'{crlf:,} of its'} lines ending in CRLF, as in the cell"


async def _replace(devbox: AsyncDevbox, path: str, data: bytes) -> None:
    await devbox.file.upload(path=path, file=data)


async def _append(devbox: AsyncDevbox, path: str, data: bytes) -> None:
    temporary = f"/tmp/runloop-{os.urandom(8).hex()}"  # noqa: S108 - in the devbox, which is its user's alone
    await devbox.file.upload(path=temporary, file=data)
    target = _quoted(path)
    move = f'mkdir -p -- "$(dirname -- {target})" && cat {temporary} >> {target}'
    await _run(devbox, f"{move}; code=$?; rm -f {temporary}; exit $code", path)


async def _run(devbox: AsyncDevbox, command: str, path: str) -> None:
    from runloop_sdk.own_commands import own_command

    result = await devbox.cmd.exec(own_command(command))
    if not result.success:
        reason = (await result.stderr()).strip().rpartition("\n")[2] or f"exit code {result.exit_code}"
        raise RemoteError(f"{path!r} cannot be written: {reason}")


def _quoted(path: str) -> str:
    """The path for a command line, as the file calls of the API take it: relative to the home directory."""
    if path.startswith("/"):
        return quote(path)
    return '"$HOME"/' + quote(path.removeprefix("~/"))


def _mode(text: str) -> str:
    if not (3 <= len(text) <= 4 and set(text) <= set("01234567")):
        raise ArgumentTypeError(f"{text!r} is not a mode: write it like 755 or 0600")
    return text
