"""`runloop-local serve | status | env | stop`."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from . import service

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .engine.engine import Engine

_DESCRIPTION = "The Runloop REST API on this machine."
_SERVE = """Serve until stopped. Without --data-dir and --port this is your own service, which notebooks find and
`status`, `env` and `stop` act on; with one of them it stands by itself and disturbs no other."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; exits with status 1 and one sentence where it cannot do what was asked."""
    options = _parser().parse_args(arguments)
    try:
        options.run(options)
    except service.ServiceError as error:
        sys.exit(f"runloop-local: {error}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("runloop-local", description=_DESCRIPTION)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    serve = commands.add_parser("serve", help="serve the API", description=_SERVE)
    serve.set_defaults(run=_serve)
    serve.add_argument("--host", default="127.0.0.1", help="address to listen on (default: 127.0.0.1)")
    serve.add_argument("--port", type=int, help="port to listen on (default: a free one)")
    serve.add_argument("--data-dir", type=Path, metavar="DIR", help="where devboxes are kept")
    serve.add_argument("--api-key", metavar="KEY", help="the key to ask for (default: a random one)")
    serve.add_argument("--isolation", choices=["auto", "namespaces", "process"], default="auto")
    serve.add_argument("--idle-timeout", type=float, default=1800.0, metavar="SECONDS", help="stop when unused so long")
    serve.add_argument("--pty-idle-ttl", type=float, default=900.0, metavar="SECONDS", help="end unused terminals")
    serve.add_argument("--detach", action="store_true", help=argparse.SUPPRESS)
    for name, run, text in (
        ("status", _status, "show your service: address, isolation, devboxes"),
        ("env", _env, "print exports that point any Runloop client to your service"),
        ("stop", _stop, "stop your service; disks of devboxes are kept, suspended"),
    ):
        commands.add_parser(name, help=text, description=text).set_defaults(run=run)
    return parser


def _serve(options: argparse.Namespace) -> None:
    if options.detach:
        _leave_starter()
    if options.data_dir is not None or options.port is not None:
        _run(options, options.data_dir or service.home() / f"data-{options.port}", own=False)
        return
    with service.published():
        try:
            _run(options, service.home() / "data", own=True)
        finally:
            service.withdraw()


def _leave_starter() -> None:
    """Go on as a child of init, so that no starter has to wait for the service, or ends it by ending."""
    if os.fork():
        os._exit(0)
    os.chdir("/")


def _run(options: argparse.Namespace, data_dir: Path, *, own: bool) -> None:
    import asyncio
    import secrets

    from .engine.errors import EngineError
    from .sandbox import SandboxError
    from .server import Settings, listen, serve

    key = options.api_key or f"local_{secrets.token_urlsafe(24)}"
    settings = Settings(
        options.host, options.port or 0, data_dir, key, options.isolation, options.idle_timeout, options.pty_idle_ttl
    )
    try:
        listener = listen(settings.host, settings.port)
    except (OSError, OverflowError) as error:
        raise service.ServiceError(_unusable_address(settings.host, settings.port, error)) from error

    def ready(url: str, engine: Engine) -> None:
        if own:
            service.publish(service.Endpoint(url, key, os.getpid(), engine.isolation.name, tuple(engine.notes)))
        _say(f"ready {url}")
        if options.detach:
            _close_stdout()

    try:
        asyncio.run(serve(settings, listener, ready))
    except (EngineError, SandboxError) as error:
        raise service.ServiceError(str(error)) from error
    except OSError as error:
        raise service.ServiceError(f"The data folder {data_dir} cannot be used: {error}.") from error


def _unusable_address(host: str, port: int, error: Exception) -> str:
    reason = getattr(error, "strerror", None) or error
    return f"Cannot listen on {host}:{port}: {reason}. Choose another --port, or leave it out for a free one."


def _close_stdout() -> None:
    sys.stdout.flush()
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 1)
    os.close(nothing)


def _status(_options: argparse.Namespace) -> None:
    found = _found()
    state = _ask(found)
    _say(f"address    {found.base_url}")
    _say(f"pid        {found.pid}")
    _say(f"version    {state['version']}")
    _say(f"isolation  {state['isolation']}")
    for what, limit in state["limits"].items():
        _say(f"  {what:11}{limit}")
    for note in state["notes"]:
        _say(f"  {note}")
    devboxes = ", ".join(f"{count} {status}" for status, count in state["devboxes"].items())
    _say(f"devboxes   {devboxes or 'none'}")


def _ask(found: service.Endpoint) -> dict[str, dict[str, str]]:
    import json
    from urllib.request import ProxyHandler, Request, build_opener

    request = Request(f"{found.base_url}/local/status", headers={"Authorization": f"Bearer {found.api_key}"})  # noqa: S310 -- our own http address
    try:
        with build_opener(ProxyHandler({})).open(request, timeout=10) as answer:
            state: dict[str, dict[str, str]] = json.load(answer)
    except OSError as error:
        raise service.ServiceError(f"The service (pid {found.pid}) does not answer: {error}.") from error
    return state


def _env(_options: argparse.Namespace) -> None:
    from shlex import quote

    found = _found()
    _say(f"export RUNLOOP_BASE_URL={quote(found.base_url)}")
    _say(f"export RUNLOOP_API_KEY={quote(found.api_key)}")


def _stop(_options: argparse.Namespace) -> None:
    import asyncio

    _say("stopped" if asyncio.run(service.stop()) else "not running")


def _found() -> service.Endpoint:
    found = service.find()
    if found is None:
        raise service.ServiceError("Your service is not running: start it with runloop-local serve.")
    return found


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201 -- the command line's own output


if __name__ == "__main__":
    main()
