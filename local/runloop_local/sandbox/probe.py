"""Chooses the best isolation that works on this machine, by trying each out."""

from __future__ import annotations

import asyncio
import os
import secrets
import sys
from typing import TYPE_CHECKING, Literal

from runloop_local.sandbox import processes, seatbelt
from runloop_local.sandbox.base import Command, Isolation, SandboxError
from runloop_local.sandbox.namespaces import NamespacesIsolation, available_drivers
from runloop_local.sandbox.process import ProcessIsolation

if TYPE_CHECKING:
    from pathlib import Path

    from runloop_local.fork_server import ForkServer
    from runloop_local.sandbox.process import Confinement

Requested = Literal["auto", "namespaces", "process"]


async def open_isolation(
    data_dir: Path, requested: Requested = "auto", fork_server: ForkServer | None = None
) -> Isolation:
    """Open the requested isolation, or with `auto` the best one that works here; the first to be tried has the server.

    Raises SandboxError if the requested one does not work on this machine.
    """
    await asyncio.to_thread(data_dir.mkdir, 0o700, parents=True, exist_ok=True)
    if requested == "process":
        return await _open_process(data_dir, (), fork_server)
    failures: list[str] = []
    for driver in available_drivers():
        isolation = NamespacesIsolation(data_dir, driver, notes=tuple(failures), fork_server=fork_server)
        try:
            await try_out(isolation)
        except SandboxError as error:
            await isolation.aclose()
            failures.append(f"Namespaces ({driver}) do not work here: {error}")
        else:
            isolation.prepare()
            return isolation
    if requested == "namespaces":
        raise SandboxError(" ".join([*failures, "Start with --isolation process to run devboxes as plain processes."]))
    return await _open_process(data_dir, tuple(failures), fork_server)


async def _open_process(data_dir: Path, notes: tuple[str, ...], fork_server: ForkServer | None) -> Isolation:
    if sys.platform == "linux":
        await asyncio.to_thread(processes.end_with_home_in, data_dir)
    for confinement in _confinements():
        isolation = ProcessIsolation(data_dir, confinement, notes=notes, fork_server=fork_server)
        try:
            await try_out(isolation)
        except SandboxError as error:
            await isolation.aclose()
            notes = (*notes, f"{confinement.capitalize()} does not work here: {error}")
        else:
            return isolation
    isolation = ProcessIsolation(data_dir, "none", notes=notes, fork_server=fork_server)
    await try_out(isolation)
    return isolation


def _confinements() -> tuple[Confinement, ...]:
    """What this machine may have to confine plain processes with."""
    if has_landlock():
        return ("landlock",)
    return ("seatbelt",) if has_seatbelt() else ()


async def try_out(isolation: Isolation) -> None:
    """Create a sandbox, run `true` in it and remove it; raises SandboxError if that fails."""
    sandbox = await isolation.create(f"probe-{secrets.token_hex(4)}")
    null = os.open(os.devnull, os.O_RDWR)
    try:
        await sandbox.start()
        process = await sandbox.spawn(Command(("true",)), stdin=null, stdout=null, stderr=null)
        status = await asyncio.wait_for(process.wait(), 10)
    finally:
        os.close(null)
        await sandbox.destroy()
    if status:
        raise SandboxError(f"The command `true` ended with status {status} in a sandbox.")


def has_landlock() -> bool:
    """True if the kernel supports Landlock."""
    if sys.platform != "linux":
        return False
    from runloop_local.sandbox import landlock

    return landlock.version() > 0


def has_seatbelt() -> bool:
    """True on a Mac."""
    return sys.platform == "darwin" and os.access(seatbelt.PROGRAM, os.X_OK)
