"""`/local/kernels`: kernels whose devboxes end with them; an extension of the cloud's API.

A kernel registers, locks the file that it is given (fcntl, whole file, for writing) and attaches. From then on it names
itself in the header `x-runloop-kernel` when it creates devboxes, and the service detects by itself when it has ended.
If it cannot attach (412), it has to renew keep-alive times instead. A kernel that shares no files with the service,
which runs in a container of its machine, holds a connection instead of the lock.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from msgspec import Meta
from starlette.routing import Route

from ..engine.devbox.lifecycle import Owner
from ..engine.errors import InvalidError
from .body import Body, read_body
from .event_stream import PING, event_stream
from .wire import attempt_of, engine_of, json_response, path_id

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.requests import Request
    from starlette.responses import Response

KERNEL = "x-runloop-kernel"
"""`krn_1`; with `; ends=no` the devbox survives the kernel; with `; holds=no` its keep-alive time also runs while the
kernel is alive.
"""


def is_connection(path: str) -> bool:
    """True for requests that last as long as a kernel, and are no activity of it."""
    return path.startswith("/local/kernels/") and path.endswith("/connection")


class Register(Body, frozen=True):
    """POST /local/kernels."""

    name: Annotated[str, Meta(max_length=4096)] = ""


async def register(request: Request) -> Response:
    """POST /local/kernels: the kernel's id, and the path of the file that it must lock."""
    body = await read_body(request, Register)
    kernel_id = attempt_of(request).new_id("krn")
    lock = engine_of(request).kernels.register(kernel_id, body.name)
    return json_response({"id": kernel_id, "lock": str(lock)})


async def attach(request: Request) -> Response:
    """POST /local/kernels/{id}/attach; 412 if the service cannot see the lock."""
    await engine_of(request).kernels.attach(path_id(request))
    return json_response({})


async def connection(request: Request) -> Response:
    """GET /local/kernels/{id}/connection: an endless response; a kernel that has had none for a while has ended."""
    held = await engine_of(request).kernels.connect(path_id(request))

    async def frames() -> AsyncIterator[bytes]:
        with held.opened():
            yield PING
            await held.closed()

    return event_stream(request, frames())


async def end(request: Request) -> Response:
    """POST /local/kernels/{id}/end: answers once its devboxes have ended; repeating it is not an error."""
    await engine_of(request).kernels.end(path_id(request))
    return json_response({})


async def list_all(request: Request) -> Response:
    """GET /local/kernels: the live kernels and their devboxes."""
    engine = engine_of(request)
    kernels = [
        {
            "id": kernel_id,
            "name": name,
            "devboxes": [devbox.record.id for devbox in engine.kernel_devboxes.of(kernel_id)],
        }
        for kernel_id, name in engine.kernels.names().items()
    ]
    return json_response({"kernels": kernels})


def owner_of(request: Request) -> Owner | None:
    """The kernel that a devbox is created for, or None; raises `InvalidError` for an invalid header."""
    header = request.headers.get(KERNEL)
    return None if header is None else parsed_owner(header)


def parsed_owner(header: str) -> Owner:
    """Parse the header that names a kernel and how the devbox belongs to it."""
    kernel_id, *rest = [part.strip() for part in header.split(";")]
    flags = dict(part.split("=", 1) for part in rest if "=" in part)
    known = flags.keys() <= {"ends", "holds"} and set(flags.values()) <= {"yes", "no"} and len(flags) == len(rest)
    if not kernel_id or not known:
        raise InvalidError(f"{KERNEL} must be like 'krn_1; ends=no; holds=no', not {header[:80]!r}.")
    return Owner(kernel_id, ends=flags.get("ends") != "no", holds=flags.get("holds") != "no")


ROUTES = [
    Route("/local/kernels", register, methods=["POST"]),
    Route("/local/kernels", list_all, methods=["GET"]),
    Route("/local/kernels/{id}/attach", attach, methods=["POST"]),
    Route("/local/kernels/{id}/connection", connection, methods=["GET"]),
    Route("/local/kernels/{id}/end", end, methods=["POST"]),
]
