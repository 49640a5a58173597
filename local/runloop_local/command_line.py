"""`runloop-local serve | status | pull | images | prune | env | stop`."""

from __future__ import annotations

import argparse
import json
import os
import sys
from contextlib import contextmanager
from textwrap import fill
from typing import TYPE_CHECKING, Any

from . import service
from .engine.errors import InvalidError
from .engine.storage.retention_limits import (
    MEANINGS,
    format_age,
    format_size,
    parse_age,
)
from .serve_command import add_serve

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from http.client import HTTPResponse

    from . import service_folder


_DESCRIPTION = "The Runloop REST API on this machine."
_KEEP = """How much is kept of data that is no longer needed, and for how long, is set by the environment variable
RUNLOOP_LOCAL_KEEP when the service starts (also from a notebook), or by serve --keep. An example is
logs=2GB/3d cache=20GB: for each kind a size (KB, MB, GB), an age (m, h, d) or both. What exceeds a limit is deleted
automatically, oldest first."""
_STATUS = f"""Show your service: its address, the isolation and number of its devboxes, and the size and limits of the
data it keeps. {_KEEP}"""
_PRUNE = f"""Free disk space now, whatever the limits: logs, builds and cache unless other kinds are named. Nothing in
use is deleted: no devbox that has not ended, no snapshot, no blueprint, no object. {_KEEP}"""
_PULL = """Bring an image here, or up to date, so that builds, and devboxes of serve --image, find it without a network.
IMAGE is a reference as Docker reads it (python:3.12-slim, ghcr.io/org/name@sha256:...), or names another source:
docker-daemon:NAME, podman:NAME, oci:FOLDER, oci-archive:FILE, docker-archive:FILE."""
_IMAGES = "List the images on this machine. runloop-local prune images removes those that nothing uses."
_SIGPIPE = 13


def run(arguments: Sequence[str] | None = None) -> None:
    """Run the command line. Raises ServiceError with a sentence on failure."""
    with _exit_on_broken_pipe():
        options = _parser().parse_args(arguments)
        options.run(options)


@contextmanager
def _exit_on_broken_pipe() -> Iterator[None]:
    """Exit silently on a broken pipe, as other tools do: `runloop-local status | head`."""
    try:
        try:
            yield
        finally:
            if sys.stdout is not None:
                sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or flushing the rest at exit fails again
        sys.exit(128 + _SIGPIPE)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("runloop-local", description=_DESCRIPTION)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    add_serve(commands)
    kinds = "kinds:\n" + "\n".join(f"  {kind:9}{text}" for kind, text in MEANINGS.items())
    _add(commands, "status", _status, "show your service: address, isolation, devboxes, disk use", _STATUS, kinds)
    pull = _add(commands, "pull", _pull, "bring an image here", _PULL)
    pull.add_argument("image", metavar="IMAGE")
    _add(commands, "images", _images, "list the images on this machine", _IMAGES)
    prune = _add(commands, "prune", _prune, "free disk space: logs, cached build steps", _PRUNE, kinds)
    prune.add_argument("kinds", nargs="*", metavar="KIND", help="see below (default: logs builds cache)")
    prune.add_argument("--older-than", default="0s", metavar="TIME", help="only what was last used so long ago: 12h")
    prune.add_argument("--all", action="store_true", help="all kinds, and old output of running devboxes")
    for name, run, text in (
        ("env", _env, "print exports that point any Runloop client to your service"),
        ("stop", _stop, "stop your service; its devboxes are suspended and keep their disks"),
    ):
        _add(commands, name, run, text)
    return parser


def _add(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],
    name: str,
    run: Callable[[argparse.Namespace], None],
    text: str,
    description: str = "",
    epilog: str | None = None,
) -> argparse.ArgumentParser:
    command = commands.add_parser(name, help=text, description=fill(description or text, 80), epilog=epilog)
    command.formatter_class = argparse.RawDescriptionHelpFormatter
    command.set_defaults(run=run)
    return command


def _status(_options: argparse.Namespace) -> None:
    found = _running_service()
    state = _request(found, "/local/status")
    _print(f"address    {found.base_url}")
    _print(f"pid        {found.pid}")
    if found.engine:
        _print(f"engine     {found.engine}, in the container {found.container}, which this machine is in what follows")
    _print(f"version    {state['version']}")
    _print(f"isolation  {state['isolation']}")
    for what, limit in state["limits"].items():
        _print(f"  {what:11}{limit}")
    for note in state["notes"]:
        _print(f"  {note}")
    userland = "the container's userland" if found.engine else "this machine's own userland"
    _print(f"image      {state['image'] or userland}")
    _print(f"images     {state['images']}")
    devboxes = ", ".join(f"{count} {status}" for status, count in state["devboxes"].items())
    _print(f"devboxes   {devboxes or 'none'}")
    _print("kept")
    for kind, usage in state["kept"].items():
        limit = f"{format_size(usage['limit']['bytes'])}, {format_age(usage['limit']['age_ms'])}"
        _print(f"  {kind:9}{format_size(usage['bytes'])} (at most {limit})")


def _pull(options: argparse.Namespace) -> None:
    found = _running_service()
    with _opened(found, "/local/images/pull", {"image": options.image}, timeout=None) as response:
        for line in response:
            told = json.loads(line)
            if "error" in told:
                raise service.ServiceError(told["error"])
            if "step" in told:
                _print(told["step"])
            else:
                _print(_image_line(told["image"]))
                return
    raise service.ServiceError(f"The service (pid {found.pid}) ended before {options.image} was here: pull it again.")


def _images(_options: argparse.Namespace) -> None:
    for image in _request(_running_service(), "/local/images")["images"]:
        _print(_image_line(image))


def _image_line(image: dict[str, Any]) -> str:
    return f"{image['reference']}  {image['digest'][:19]}  {format_size(image['bytes'])}"


def _prune(options: argparse.Namespace) -> None:
    kinds = list(MEANINGS) if options.all and not options.kinds else options.kinds or ["logs", "builds", "cache"]
    unknown = [kind for kind in kinds if kind not in MEANINGS]
    if unknown:
        raise service.ServiceError(f"{unknown[0]!r} is not a kind of kept data: there are {', '.join(MEANINGS)}.")
    try:
        older_than_ms = parse_age(options.older_than)
    except InvalidError as error:
        raise service.ServiceError(f"--older-than: {error}") from None
    wanted = {"kinds": kinds, "older_than_ms": older_than_ms, "live": options.all}
    freed = _request(_running_service(), "/local/prune", wanted, timeout=600)["freed"]
    for kind, count in freed.items():
        _print(f"{kind:9}{format_size(count)} freed")


def _request(found: service_folder.Endpoint, path: str, body: object = None, timeout: float = 10) -> dict[str, Any]:
    with _opened(found, path, body, timeout) as response:
        state: dict[str, Any] = json.load(response)
        return state


@contextmanager
def _opened(
    found: service_folder.Endpoint, path: str, body: object = None, timeout: float | None = 10
) -> Iterator[HTTPResponse]:
    """The service's answer; a refusal, or the end of the connection, becomes a `ServiceError`."""
    from urllib.error import HTTPError
    from urllib.request import ProxyHandler, Request, build_opener

    data = None if body is None else json.dumps(body).encode()
    headers = {"Authorization": f"Bearer {found.api_key}"}
    request = Request(f"{found.base_url}{path}", data, headers)  # noqa: S310 -- our own http address
    try:
        with build_opener(ProxyHandler({})).open(request, timeout=timeout) as response:
            yield response
    except HTTPError as error:
        raise service.ServiceError(f"The service (pid {found.pid}) refuses: {json.load(error)['message']}") from error
    except OSError as error:
        raise service.ServiceError(f"The service (pid {found.pid}) does not answer: {error}.") from error


def _env(_options: argparse.Namespace) -> None:
    from shlex import quote

    found = _running_service()
    _print(f"export RUNLOOP_BASE_URL={quote(found.base_url)}")
    _print(f"export RUNLOOP_API_KEY={quote(found.api_key)}")


def _stop(_options: argparse.Namespace) -> None:
    import asyncio

    _print("stopped" if asyncio.run(service.stop()) else "not running")


def _running_service() -> service_folder.Endpoint:
    found = service.find()
    if found is None and service.is_starting():
        raise service.ServiceError("Your service does not answer: it is starting, or about to end.")
    if found is None:
        raise service.ServiceError("Your service is not running: start it with runloop-local serve.")
    return found


def _print(line: str) -> None:
    print(line, flush=True)  # noqa: T201 -- the command line's own output
