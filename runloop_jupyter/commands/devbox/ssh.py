"""`%devbox ssh`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...operations.ssh import SSHLogin, ssh_login
from ..option_groups import DevboxArgument, add_devbox_argument
from ..parser import Parser

if TYPE_CHECKING:
    from pathlib import Path

    from ...session import Session


class Options(DevboxArgument):
    """The options of `%devbox ssh`."""


def parser() -> Parser[Options]:
    """The parser of `%devbox ssh`."""
    made = Parser(
        Options,
        "%devbox ssh",
        "Make a key for the devbox and show how to log in with it: a command, and lines for ~/.ssh/config.",
        "The key goes into a file that you alone can read, never into the notebook.",
    )
    add_devbox_argument(made)
    return made.explain(
        ("the command, and lines for ~/.ssh/config", "%devbox ssh"),
        ("in Python", "login = %devbox ssh web\nlogin.command"),
        returns="What to type, with `.command`, `.config` and `.key_file`, the path of the key.",
        mistakes=[
            (
                "The service on this machine has no SSH; it says what to use instead: %devbox pty, %devbox push"
                " and %devbox pull."
            ),
        ],
    )


async def run(session: Session, options: Options) -> SSHCard:
    """Make a key for the devbox, and show how to log in with it."""
    return SSHCard(await ssh_login(session, await session.find(options.devbox)))


@dataclass(frozen=True, slots=True, repr=False)
class SSHCard:
    """Text to copy for logging in: `command`, `config`, `key_file`."""

    login: SSHLogin

    @property
    def command(self) -> str:
        """The command for a terminal."""
        return self.login.command

    @property
    def config(self) -> str:
        """The lines for ~/.ssh/config."""
        return self.login.config

    @property
    def key_file(self) -> Path:
        """The path of the private key."""
        return self.login.key_file

    def __repr__(self) -> str:
        return (
            f"In a terminal:\n\n{self.command}\n\nOr put this into ~/.ssh/config, for ssh {self.login.alias}, "
            f"scp, rsync and editors:\n\n{self.config}"
        )
