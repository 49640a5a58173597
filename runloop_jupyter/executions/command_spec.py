"""A command with what surrounds it: its folder, environment, user, input and terminal."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from ..remote import terminal_program

if TYPE_CHECKING:
    from ..output.output_targets import ScreenSize

NO_DIRECTORY = 213
"""The exit code for a directory that does not exist, by the command's first line; checked before it is believed."""
NO_USER = 214
"""The same for its user."""
NO_PYTHON = 215
"""The same for the Python that makes its terminal."""
_BEGINS = ": runloop_jupyter; "
"""Stands between what goes before a command and the command itself; to a shell it does nothing."""
_SHOWN = '[ "${TERM:-dumb}" = dumb ] && TERM=xterm-256color; export TERM; '  # of itself bash says dumb


class CommandSpec(NamedTuple):
    """A shell command with what surrounds it. `timeout` is in seconds; `title` is its first line as it was typed."""

    command: str
    title: str = ""
    cwd: str | None = None
    env: tuple[tuple[str, str], ...] = ()
    user: str | None = None
    shell: str | None = None
    timeout: float | None = None
    stdin: str | None = None
    interactive: bool = False
    open_input: bool = False
    """True if its input stays open for whoever holds its handle."""
    size: ScreenSize | None = None
    """The size of the screen that shows its output."""
    terminal: bool = False
    """True if it has a terminal of that size: for its output, and where it is interactive for its input."""

    @property
    def attaches_stdin(self) -> bool:
        """True if the command gets an input."""
        return self.interactive or self.open_input or self.stdin is not None

    @property
    def prepared(self) -> str:
        """The command as sent: what goes before it stands on its first line, so that its line numbers stay."""
        exports = "".join(f"export {name}={shlex.quote(value)}; " for name, value in self.env)
        move = f"cd -- {self._directory} 2>/dev/null || exit {NO_DIRECTORY}; " if self.cwd else ""
        before = self._surroundings + exports + move
        command = f"{before}{_BEGINS}{self.command}" if before else self.command
        command = self._on_terminal(command) if self.terminal else command
        return _as_user(self.user, command) if self.user else command

    @property
    def _surroundings(self) -> str:
        """Tells the command what its output is shown on; what the devbox says of that counts."""
        if self.size is None:
            return ""
        if self.terminal:  # which says how wide it is; nobody turns pages in a cell
            return f"{_SHOWN}export PAGER=cat GIT_PAGER=cat; "
        return f'{_SHOWN}export COLUMNS="${{COLUMNS:-{self.size.columns}}}"; '

    def _on_terminal(self, command: str) -> str:
        """A command that runs another on a terminal: in a shell like the one that it finds itself in."""
        assert self.size is not None
        mode = "both" if self.interactive else "output"
        return (
            f"command -v python3 >/dev/null 2>&1 || exit {NO_PYTHON}; "
            f"exec python3 -ISc {shlex.quote(terminal_program())} {self.size.columns} {self.size.lines} {mode} "
            f'"${{BASH:-sh}}" {"-c" if self.user else "-lc"} {shlex.quote(command)}'
        )

    def checks(self, exit_code: int) -> Iterator[tuple[str, str]]:
        """Yield the meanings that an exit code may have: a command that fails if it has, and the problem in words."""
        if exit_code == NO_USER and self.user:
            yield f"id -u -- {shlex.quote(self.user)}", f"There is no user {self.user!r} on {{}} (--user)."
        if exit_code == NO_PYTHON and self.terminal:
            yield "command -v python3", "There is no python3 on {}, which makes the terminal (--tty, -i)."
        if exit_code == NO_DIRECTORY and self.cwd:
            test = f"test -d {self._directory}"
            command = _as_user(self.user, test) if self.user else test
            yield command, f"There is no directory {self.cwd!r} on {{}} (--cwd)."

    @property
    def _directory(self) -> str:
        """The directory, quoted for the shell but for a leading ~ that means the home directory."""
        path = self.cwd or "."
        if path == "~":
            return "~"
        return "~/" + shlex.quote(path[2:]) if path.startswith("~/") and path[2:] else shlex.quote(path)


def typed(prepared: str) -> str:
    """Return the command that was typed, of one as it is sent (`CommandSpec.prepared`); of any other, all of it."""
    for wrapper, end in (("id -u -- ", ";"), ("command -v python3 ", "")):
        if prepared.startswith(wrapper):
            inner = _quoted(prepared)
            return typed(inner.removesuffix(end)) if inner else prepared
    before, mark, command = prepared.partition(_BEGINS)
    return command if mark and before.startswith(("[ ", "export ", "cd -- ")) else prepared


def _quoted(wrapped: str) -> str:
    """The prepared command in one that runs it as another user or on a terminal; nothing if there is none."""
    try:
        return next((word for word in shlex.split(wrapped) if _BEGINS in word), "")
    except ValueError:
        return ""


def _as_user(user: str, command: str) -> str:
    """A command that runs another as `user`, whoever it starts as: that user, root, or one who may use sudo."""
    name, script = shlex.quote(user), shlex.quote(command)
    return (
        f"id -u -- {name} >/dev/null 2>&1 || exit {NO_USER}; "
        f'[ "$(id -un)" = {name} ] && exec bash -c {script}; '
        f'[ "$(id -u)" = 0 ] && exec su {name} -s /bin/bash -c {script}; '
        f"exec sudo -n -H -u {name} -- bash -c {script}"
    )
