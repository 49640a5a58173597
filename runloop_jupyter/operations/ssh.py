"""Logins to a devbox over SSH."""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from ..errors import RemoteError
from ..state import replace
from .lifecycle import handle_of

if TYPE_CHECKING:
    from ..resources.devboxes import DevboxInfo
    from ..session import Session
    from ..state import StateFolder


@dataclass(frozen=True, slots=True)
class SSHLogin:
    """A login to a devbox over SSH. Only the owner of `key_file` can read it."""

    devbox: DevboxInfo
    host: str
    user: str
    key_file: Path
    proxy: str

    @property
    def alias(self) -> str:
        """The host name for the SSH configuration."""
        return "".join(char if char.isalnum() or char in "-_." else "-" for char in self.devbox.short)

    @property
    def config(self) -> str:
        """The entry for ~/.ssh/config."""
        lines = [
            f"Host {self.alias}",
            f"  HostName {self.host}",
            f"  User {self.user}",
            f'  IdentityFile "{self.key_file}"',
            "  IdentitiesOnly yes",
            "  StrictHostKeyChecking accept-new",
            f"  ProxyCommand {self.proxy}",
        ]
        return "\n".join(lines)

    @property
    def command(self) -> str:
        """The command for a terminal."""
        return (
            f'ssh -i "{self.key_file}" -o IdentitiesOnly=yes -o StrictHostKeyChecking=accept-new '
            f'-o ProxyCommand="{self.proxy}" {self.user}@{self.host}'
        )


async def ssh_login(session: Session, devbox: DevboxInfo) -> SSHLogin:
    """Create a key for the devbox and store it in a file of mode 600."""
    from runloop_sdk import APIStatusError

    handle = await handle_of(session, devbox)
    try:
        made = await handle.net.create_ssh_key()
    except APIStatusError as error:
        if error.status_code != 501:
            raise
        raise RemoteError(
            "The embedded service has no SSH. Use %devbox pty for a terminal, %devbox push and pull for files, "
            "or connect to Runloop's cloud: %runloop connect cloud"
        ) from error
    assert session.client.connection is not None
    with session.state.required():
        key_file = await asyncio.to_thread(_write_key, session.state, devbox.id, made.ssh_private_key)
    domain = (urlsplit(session.client.connection.base_url).hostname or "").removeprefix("api.")
    proxy = f"openssl s_client -quiet -verify_quiet -servername %h -connect ssh.{domain}:443 2>{os.devnull}"
    return SSHLogin(devbox, made.url, made.ssh_user, key_file, proxy)


def _write_key(state: StateFolder, devbox_id: str, key: str) -> Path:
    file = state.ensure("ssh") / f"{devbox_id}.pem"
    replace(file, key if key.endswith("\n") else key + "\n")
    return file
