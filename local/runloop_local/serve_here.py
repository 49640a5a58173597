"""Serves on this machine itself: `runloop-local serve` without a container engine. POSIX only."""

from __future__ import annotations

import asyncio
import os
import secrets
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from .engine.errors import EngineError, InvalidError
from .engine.prerequisites import Prerequisites
from .engine.storage.retention_limits import DEFAULTS, VARIABLE, parse_limits
from .listening import listen
from .registry_settings import parse_registries
from .sandbox import SandboxError
from .service_error import ServiceError
from .service_folder import Endpoint, describe_error, publish
from .settings import Settings

if TYPE_CHECKING:
    import argparse
    import socket
    from collections.abc import Awaitable, Callable, Iterator
    from pathlib import Path

    from .engine.engine import Engine
    from .engine.storage.retention_limits import Limit
    from .fork_server import ForkServer
    from .registry_settings import RegistrySettings

_TURN_S = 0.0005
_MOVE_HINT = "Choose a folder of your own with --data-dir, or make this one private: chmod 700."


def serve_here(options: argparse.Namespace, data_dir: Path, fork_server: ForkServer, *, own: bool) -> None:
    """Serve until stopped, with this fork server; `own` if it is the account's own service. Raises `ServiceError`."""
    key = options.api_key or f"local_{secrets.token_urlsafe(24)}"
    settings = Settings(
        options.host,
        options.port or 0,
        data_dir,
        key,
        options.isolation,
        options.idle_timeout,
        options.pty_idle_ttl,
        _limits(options.keep),
        max(options.heartbeat, 0.0),
        options.image.strip(),
        _registries(options),
    )
    try:
        listeners = listen(settings.host, settings.port)
    except (OSError, OverflowError) as error:
        raise ServiceError(_unusable_address(settings.host, settings.port, error)) from error

    def ready(url: str, engine: Engine) -> None:
        if own:
            isolation, notes = engine.isolation.name, tuple(engine.notes)
            standard = engine.standard_image
            image = "" if standard is None else standard.name
            publish(Endpoint(url, key, os.getpid(), isolation, notes, options.isolation, image))
        print(f"ready {url}", flush=True)  # noqa: T201 - the command line's own output

    try:
        asyncio.run(_serve_when_imported(settings, listeners, fork_server, ready))
    except (EngineError, SandboxError) as error:
        raise ServiceError(str(error)) from error
    except OSError as error:
        reason = describe_error(error, data_dir)
        raise ServiceError(f"The data folder {data_dir} cannot be used: {reason}. {_MOVE_HINT}") from error


async def _serve_when_imported(
    settings: Settings,
    listeners: list[socket.socket],
    fork_server: ForkServer,
    ready: Callable[[str, Engine], None],
) -> None:
    """Import most of the service while its isolation opens, which is work of another process."""
    opening = asyncio.create_task(Prerequisites.open(settings.data_dir, settings.isolation, fork_server))
    await asyncio.sleep(0)  # so that it is waiting before a thread begins to compete with it
    with _short_turns():
        serve = await asyncio.to_thread(_import_server)
        opened = await opening
    await serve(settings, listeners, opened, ready)


@contextmanager
def _short_turns() -> Iterator[None]:
    """Let the event loop interrupt a thread that imports soon after it has something to do."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(_TURN_S)
    try:
        yield
    finally:
        sys.setswitchinterval(usual)


def _import_server() -> Callable[..., Awaitable[None]]:
    from .server import serve

    return serve


def _registries(options: argparse.Namespace) -> RegistrySettings:
    try:
        return parse_registries(options.mirrors, options.insecure_registries)
    except ValueError as error:
        raise ServiceError(f"--mirrors: {error}") from None


def _limits(given: str) -> dict[str, Limit]:
    """The retention limits; the command line takes precedence over the environment."""
    limits = dict(DEFAULTS)
    for source, text in ((VARIABLE, os.environ.get(VARIABLE, "")), ("--keep", given)):
        try:
            limits = parse_limits(text, limits)
        except InvalidError as error:
            raise ServiceError(f"{source}: {error}") from None
    return limits


def _unusable_address(host: str, port: int, error: Exception) -> str:
    reason = getattr(error, "strerror", None) or error
    return f"Cannot listen on {host}:{port}: {reason}. Choose another --port, or leave it out for a free one."
