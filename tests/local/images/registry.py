"""A registry on loopback that serves images made by hand, and fails as it is told."""

from __future__ import annotations

import asyncio
import base64
import gzip
import hashlib
import json
import socket
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

import uvicorn
import zstandard

from runloop_local.images.manifest import this_platform

OCI = "application/vnd.oci.image"
THIS = this_platform()[0]
Scope = Mapping[str, Any]


def digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def compress(content: bytes, how: str) -> bytes:
    match how:
        case "gzip":
            return gzip.compress(content, 1)
        case "zstd":
            return zstandard.compress(content)
        case _:
            return content


@dataclass
class HandMade:
    """The documents and blobs of an image."""

    manifest: bytes
    blobs: dict[str, bytes]
    media_type: str = f"{OCI}.manifest.v1+json"

    @property
    def digest(self) -> str:
        return digest(self.manifest)

    @property
    def layers(self) -> list[str]:
        return [layer["digest"] for layer in json.loads(self.manifest)["layers"]]


def make_image(
    archives: Sequence[bytes],
    config: Mapping[str, object] | None = None,
    *,
    how: str = "gzip",
    platform: Mapping[str, str] | None = None,
    diff_ids: Sequence[str] | None = None,
    docker: bool = False,
) -> HandMade:
    """An image of these layers, lowest first."""
    layers = [compress(archive, how) for archive in archives]
    document = {
        **(platform or {"architecture": THIS.architecture, "os": "linux"}),
        "config": config or {},
        "rootfs": {"type": "layers", "diff_ids": list(diff_ids or map(digest, archives))},
    }
    content = json.dumps(document).encode()
    types = (
        ("application/vnd.docker.container.image.v1+json", "application/vnd.docker.image.rootfs.diff.tar.gzip")
        if docker
        else (f"{OCI}.config.v1+json", f"{OCI}.layer.v1.tar+{how}")
    )
    manifest = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.docker.distribution.manifest.v2+json" if docker else f"{OCI}.manifest.v1+json",
        "config": described(content, types[0]),
        "layers": [described(layer, types[1]) for layer in layers],
    }
    blobs = {digest(blob): blob for blob in (content, *layers)}
    return HandMade(json.dumps(manifest).encode(), blobs, str(manifest["mediaType"]))


def described(content: bytes, media_type: str, **more: object) -> dict[str, object]:
    return {"mediaType": media_type, "digest": digest(content), "size": len(content), **more}


def make_index(images: Mapping[str, HandMade]) -> bytes:
    """An index of images by platform: `linux/arm64/v8`."""
    manifests = []
    for name, image in images.items():
        system, architecture, *variant = name.split("/")
        on = {"os": system, "architecture": architecture, **({"variant": variant[0]} if variant else {})}
        manifests.append(described(image.manifest, image.media_type, platform=on))
    return json.dumps({"schemaVersion": 2, "mediaType": f"{OCI}.index.v1+json", "manifests": manifests}).encode()


@dataclass(frozen=True)
class Fault:
    """What a registry does instead of answering, or while it does."""

    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    cut_after: int | None = None
    """Ends the connection after so many bytes of the body."""
    waits_after: int | None = None
    """Sends no more after so many."""
    content: bytes | None = None
    """Sent instead of the right one."""
    ignores_range: bool = False


@dataclass
class Registry:
    """Its content, what it was asked, and what it shall do wrong."""

    port: int = 0
    manifests: dict[str, tuple[str, bytes]] = field(default_factory=dict)
    """By `repository:tag` and `repository@digest`."""
    blobs: dict[str, bytes] = field(default_factory=dict)
    faults: dict[str, list[Fault]] = field(default_factory=lambda: defaultdict(list))
    """By a part of the path; each is done once."""
    asked: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)
    """Method, path and headers."""
    account: tuple[str, str] | None = None
    """Needed to get a token."""
    authentication: str = ""
    """`token` or `basic`."""
    blob_host: str = ""
    """Where requests for blobs are sent."""
    waiting: asyncio.Event = field(default_factory=asyncio.Event)
    """Set once an answer waits."""

    @property
    def host(self) -> str:
        return f"localhost:{self.port}"

    def add(self, name: str, image: HandMade, index: bytes | None = None) -> str:
        """Serve an image as `name:tag`; returns its reference."""
        repository = name.partition(":")[0]
        self.manifests[f"{repository}@{image.digest}"] = (image.media_type, image.manifest)
        self.manifests[name] = (f"{OCI}.index.v1+json", index) if index else (image.media_type, image.manifest)
        self.manifests[f"{repository}@{digest(self.manifests[name][1])}"] = self.manifests[name]
        self.blobs.update(image.blobs)
        return f"{self.host}/{name}"

    def paths(self, part: str, method: str = "GET") -> list[str]:
        return [path for how, path, _ in self.asked if part in path and how == method]

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        path = scope["path"]
        self.asked.append((scope["method"], path, headers))
        if path == "/token":
            await self._token(scope, headers, receive, send)
            return
        fault = next((found.pop(0) for part, found in self.faults.items() if part in path and found), Fault())
        if fault.status is not None:
            await answer(send, fault.status, fault.body, fault.headers)
        elif self.authentication and headers.get("authorization") != self._wanted():
            await answer(send, 401, refused("UNAUTHORIZED"), {"WWW-Authenticate": self._challenge()})
        else:
            await self._serve(scope["method"], path, headers, fault, send)

    def _wanted(self) -> str:
        return f"Basic {basic(self.account)}" if self.authentication == "basic" else "Bearer let-me-in"

    def _challenge(self) -> str:
        if self.authentication == "basic":
            return 'Basic realm="here"'
        return f'Bearer realm="http://{self.host}/token",service="here",scope="repository:x:pull"'

    async def _token(self, scope: Scope, headers: Mapping[str, str], receive: Any, send: Any) -> None:
        if scope["method"] == "POST":
            form = parse_qs((await receive())["body"].decode())
            allowed = self.account is None or form.get("refresh_token") == [self.account[1]]
        else:
            allowed = self.account is None or headers.get("authorization") == f"Basic {basic(self.account)}"
        if allowed:
            await answer(send, 200, json.dumps({"token": "let-me-in"}).encode())
        else:
            await answer(send, 401, refused("UNAUTHORIZED"))

    async def _serve(self, method: str, path: str, headers: Mapping[str, str], fault: Fault, send: Any) -> None:
        _, _, rest = path.partition("/v2/")
        for kind in ("manifests", "blobs"):
            repository, found, wanted = rest.rpartition(f"/{kind}/")
            if found and kind == "manifests":
                await self._manifest(method, f"{repository}{'@' if ':' in wanted else ':'}{wanted}", fault, send)
                return
            if found:
                await self._blob(wanted, path, headers, fault, send)
                return
        await answer(send, 404, refused("UNSUPPORTED"))

    async def _manifest(self, method: str, key: str, fault: Fault, send: Any) -> None:
        found = self.manifests.get(key)
        if found is None:
            await answer(send, 404, refused("MANIFEST_UNKNOWN"))
            return
        head = {"Content-Type": found[0], "Docker-Content-Digest": digest(found[1])}
        body = found[1] if fault.content is None else fault.content
        await answer(send, 200, b"" if method == "HEAD" else body, head, cut_after=fault.cut_after)

    async def _blob(self, wanted: str, path: str, headers: Mapping[str, str], fault: Fault, send: Any) -> None:
        if self.blob_host:
            await answer(send, 307, b"", {"Location": f"{self.blob_host}{path}"})
            return
        content = self.blobs.get(wanted) if fault.content is None else fault.content
        if content is None:
            await answer(send, 404, refused("BLOB_UNKNOWN"))
            return
        status, start, head = 200, 0, dict[str, str]()
        if "range" in headers and not fault.ignores_range:
            start = int(headers["range"].removeprefix("bytes=").removesuffix("-"))
            status, head = 206, {"Content-Range": f"bytes {start}-{len(content) - 1}/{len(content)}"}
        if fault.waits_after is not None:
            self.waiting.set()
        await answer(send, status, content[start:], head, cut_after=fault.cut_after, waits_after=fault.waits_after)


def basic(account: tuple[str, str] | None) -> str:
    return base64.b64encode(":".join(account or ("", "")).encode()).decode()


def refused(code: str) -> bytes:
    return json.dumps({"errors": [{"code": code, "message": code.lower().replace("_", " ")}]}).encode()


class CutError(Exception):
    """Ends a connection within an answer."""


async def answer(
    send: Any,
    status: int,
    body: bytes,
    headers: Mapping[str, str] | None = None,
    *,
    cut_after: int | None = None,
    waits_after: int | None = None,
) -> None:
    head = {"Content-Length": str(len(body)), **(headers or {})}
    raw = [(name.lower().encode(), value.encode()) for name, value in head.items()]
    await send({"type": "http.response.start", "status": status, "headers": raw})
    if waits_after is not None:
        await send({"type": "http.response.body", "body": body[:waits_after], "more_body": True})
        await asyncio.Event().wait()
    if cut_after is not None:
        await send({"type": "http.response.body", "body": body[:cut_after], "more_body": True})
        raise CutError
    await send({"type": "http.response.body", "body": body})


@asynccontextmanager
async def serving(registry: Registry) -> AsyncIterator[Registry]:
    """Serve a registry on a free port."""
    sock = socket.create_server(("127.0.0.1", 0))
    registry.port = sock.getsockname()[1]
    config = uvicorn.Config(registry, lifespan="off", log_config=None, log_level="critical", access_log=False)
    server = uvicorn.Server(config)
    task = asyncio.create_task(server.serve([sock]))
    try:
        yield registry
    finally:
        server.should_exit = server.force_exit = True
        await task
        sock.close()
