"""What can be done to a devbox, for the magics and the panel alike."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from ..errors import RemoteError
from ..output.progress import Progress, polling
from ..resources.devboxes import DevboxInfo, describe, unavailable

if TYPE_CHECKING:
    from runloop_sdk import AsyncDevbox, AsyncRunloopSDK, AsyncSnapshot
    from runloop_sdk.models.disk_snapshots import DevboxSnapshotView

    from ..session import Session
    from ..state import StateFolder

_AGAIN = 0.2  # seconds until the deletion of an unfinished snapshot is tried again


async def suspend(session: Session, devbox: DevboxInfo, progress: Progress | None = None) -> DevboxInfo:
    """Suspend it and wait until that is done; one that is suspended, or will be soon, is only waited for."""
    handle = await handle_of(session, devbox)
    if devbox.status not in ("suspending", "suspended"):
        await handle.suspend()
    async with polling(progress or Progress(""), lambda: _status(handle)):
        return describe(await handle.await_suspended())


async def resume(session: Session, devbox: DevboxInfo, progress: Progress | None = None) -> DevboxInfo:
    """Wake it, wait until it runs, and make it the current one; one that runs, or will soon, is only waited for."""
    handle = await handle_of(session, devbox)
    if devbox.status not in ("running", "resuming"):
        await handle.resume_async()
    async with polling(progress or Progress(""), lambda: _status(handle)):
        resumed = describe(await handle.await_running())
    session.choose(resumed)
    return resumed


async def shutdown(session: Session, devbox: DevboxInfo, *, force: bool = False) -> DevboxInfo:
    """End it for good, also one that has failed; `force` also while a snapshot is being taken."""
    view = await (await session.sdk()).devbox.from_id(devbox.id).shutdown(force=force or None)
    session.ended(devbox)
    return describe(view)


async def keep_alive(session: Session, devbox: DevboxInfo) -> None:
    """Start its keep-alive time again."""
    await (await handle_of(session, devbox)).keep_alive()
    session.owned.note_renewal(devbox.id)


async def snapshot(
    session: Session,
    devbox: DevboxInfo,
    *,
    name: str = "",
    message: str = "",
    metadata: Mapping[str, str] | None = None,
) -> DevboxSnapshotView:
    """A complete snapshot of its disk. Stopped meanwhile, the snapshot is deleted."""
    from runloop_sdk import complete_or_undo, run_undo

    handle = await handle_of(session, devbox)
    asked = handle.snapshot_disk_async(name=name or None, commit_message=message or None, metadata=metadata or None)
    made = await complete_or_undo(asked, _delete)
    try:
        view = (await made.await_completed()).snapshot
    except asyncio.CancelledError as cancelled:
        await run_undo(_delete(made), cancelled)
        raise
    if view is None:
        raise RemoteError(
            f"Snapshot {made.id} is complete, but the service does not show it yet. Look again: %runloop snapshot list"
        )
    session.names.add("snapshot", view.name or view.id)
    return view


async def _delete(made: AsyncSnapshot) -> None:
    """An unfinished snapshot cannot be deleted, so this waits for its end."""
    from runloop_sdk import ConflictError

    while True:
        try:
            await made.delete()
        except ConflictError:
            await asyncio.sleep(_AGAIN)
        else:
            return


@dataclass(frozen=True, slots=True)
class OpenTunnel:
    """Where a port of a devbox is served. `token` is what an authenticated tunnel wants in its header."""

    url: str
    port: int
    devbox: DevboxInfo
    token: str | None = field(default=None, repr=False)


async def open_tunnel(session: Session, devbox: DevboxInfo, port: int, *, private: bool = False) -> OpenTunnel:
    """The devbox's tunnel, opened if need be; `private` asks for a token with each request."""
    handle = await handle_of(session, devbox)
    tunnel = await handle.get_tunnel()
    if tunnel is None:
        tunnel = await handle.net.enable_tunnel(auth_mode="authenticated" if private else "open")
    elif private and tunnel.auth_mode != "authenticated":
        raise RemoteError(
            f"{devbox.label} has an open tunnel already; close it first: %devbox tunnel --close --on {devbox.reference}"
        )
    url = await handle.get_tunnel_url(port)
    assert url is not None
    return OpenTunnel(url, port, devbox, tunnel.auth_token)


async def close_tunnel(session: Session, devbox: DevboxInfo) -> None:
    """Close the devbox's tunnel."""
    await (await handle_of(session, devbox)).net.remove_tunnel()


@dataclass(frozen=True, slots=True)
class SSHLogin:
    """How to log in to a devbox over SSH; the key is in a file that its owner alone can read."""

    devbox: DevboxInfo
    host: str
    user: str
    key_file: Path
    proxy: str

    @property
    def alias(self) -> str:
        """What the configuration calls the devbox."""
        return "".join(char if char.isalnum() or char in "-_." else "-" for char in self.devbox.short)

    @property
    def config(self) -> str:
        """For ~/.ssh/config."""
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
        """For a terminal."""
        return (
            f'ssh -i "{self.key_file}" -o IdentitiesOnly=yes -o StrictHostKeyChecking=accept-new '
            f'-o ProxyCommand="{self.proxy}" {self.user}@{self.host}'
        )


async def ssh_login(session: Session, devbox: DevboxInfo) -> SSHLogin:
    """A new key for the devbox, in a file of mode 600."""
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
    assert session.connection is not None
    with session.state.required():
        key_file = await asyncio.to_thread(_write_key, session.state, devbox.id, made.ssh_private_key)
    domain = (urlsplit(session.connection.base_url).hostname or "").removeprefix("api.")
    proxy = f"openssl s_client -quiet -verify_quiet -servername %h -connect ssh.{domain}:443 2>/dev/null"
    return SSHLogin(devbox, made.url, made.ssh_user, key_file, proxy)


def _write_key(state: StateFolder, devbox_id: str, key: str) -> Path:
    file = state.ensure("ssh") / f"{devbox_id}.pem"
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w") as opened:
        os.fchmod(descriptor, 0o600)  # also where it was there before
        opened.write(key if key.endswith("\n") else key + "\n")
    return file


async def handle_of(session: Session, devbox: DevboxInfo) -> AsyncDevbox:
    """The SDK's handle on it. Raises `DevboxUnavailableError` for one that has ended, which says why."""
    sdk: AsyncRunloopSDK = await session.sdk()
    error = None if devbox.alive else unavailable(devbox)
    if error is not None:
        raise error
    return sdk.devbox.from_id(devbox.id)


async def _status(handle: AsyncDevbox) -> str:
    return str((await handle.get_info()).status)
