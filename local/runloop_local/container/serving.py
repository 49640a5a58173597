"""`runloop-local serve --engine ...`: the options of `serve`, for a service in a container."""

from __future__ import annotations

import hashlib
import os
import sys
from typing import TYPE_CHECKING, Any

from .. import service_folder
from ..service_error import ServiceError
from ..service_folder import Endpoint
from .container import Container
from .supervisor import Wanted, supervise

if TYPE_CHECKING:
    import argparse
    from pathlib import Path

    from .container import Found
    from .engine_client import EngineClient

_LOOPBACK = "127.0.0.1"
_KEEP_VARIABLE = "RUNLOOP_LOCAL_KEEP"
_PASSED = ("image", "mirrors", "insecure_registries", "idle_timeout", "pty_idle_ttl", "heartbeat")
"""The options that the service in the container is given as they are."""


def serve_in_container(engine: EngineClient, options: argparse.Namespace, *, own: bool) -> None:
    """Serve until stopped; `own` if it is the account's own service. Raises `ServiceError`."""
    _check(options)
    container = Container(engine, container_name(service_folder.home(), None if own else options.port))
    wanted = Wanted(options.engine_image, passed_options(options), options.port, options.api_key)

    def ready(found: Found, status: dict[str, Any]) -> None:
        if own:
            service_folder.publish(_endpoint(container, found, status, options.isolation))
        print(f"ready {base_url(found.port)}", flush=True)  # noqa: T201 - the command line's own output

    print(f"Serving in {engine.name}'s container {container.name}.", file=sys.stderr, flush=True)  # noqa: T201
    supervise(container, wanted, ready)


def _check(options: argparse.Namespace) -> None:
    if options.data_dir is not None:
        raise ServiceError("--data-dir has no meaning with --engine: the data is in a volume of the engine.")
    if options.host != _LOOPBACK:
        raise ServiceError(f"--host {options.host} has no meaning with --engine: the port is open on {_LOOPBACK} only.")
    if options.isolation == "process":
        raise ServiceError("--isolation process has no meaning with --engine: leave one of them out.")


def container_name(home: Path, port: int | None = None) -> str:
    """The name of the container and the volume of the service of a folder, or of one beside it: always the same."""
    name = f"runloop-local-{hashlib.sha256(os.fsencode(home)).hexdigest()[:8]}"
    return name if port is None else f"{name}-{port}"


def passed_options(options: argparse.Namespace) -> tuple[str, ...]:
    """The options for the service in the container."""
    keep = " ".join(filter(None, (os.environ.get(_KEEP_VARIABLE, ""), options.keep)))
    given = {name: getattr(options, name) for name in _PASSED} | {"keep": keep}
    return tuple(
        part
        for name, value in given.items()
        if value not in ("", None)
        for part in (f"--{name.replace('_', '-')}", f"{value}")
    )


def base_url(port: int) -> str:
    """The address of the service on this machine."""
    return f"http://{_LOOPBACK}:{port}"


def _endpoint(container: Container, found: Found, status: dict[str, Any], requested: str) -> Endpoint:
    return Endpoint(
        base_url(found.port),
        found.api_key,
        os.getpid(),
        status["isolation"],
        tuple(status["notes"]),
        requested,
        status["image"] or "",
        container.engine.name,
        container.name,
    )
