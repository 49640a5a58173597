"""Reads images from registries, by the API of OCI's distribution specification."""

from __future__ import annotations

import asyncio
import json
import re
from contextlib import asynccontextmanager
from typing import IO, TYPE_CHECKING

import httpx

from runloop_local.images import manifest, retry
from runloop_local.images.authorization import Authorizer
from runloop_local.images.endpoints import is_loopback
from runloop_local.images.errors import NotThereError, SourceError, WrongDigestError
from runloop_local.images.manifest import MAX_DOCUMENT
from runloop_local.images.source import Blob

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from pathlib import Path

    from runloop_local.images.credentials import Credentials
    from runloop_local.images.endpoints import Endpoint
    from runloop_local.images.manifest import Descriptor
    from runloop_local.images.reference import Reference
    from runloop_local.images.retry import Backoff

_PIECE = 1 << 20
_TIMEOUT = httpx.Timeout(60, connect=10)
_REDIRECTS = 5
_MAX_SAID = 200
_RANGE = re.compile(r"bytes (\d+)-")
_ERRORS = (httpx.HTTPError, httpx.InvalidURL)


class RegistryConnection:
    """Sends requests to one repository of a registry: authorized, and again where that may help."""

    def __init__(self, client: httpx.AsyncClient, endpoint: Endpoint, authorizer: Authorizer, backoff: Backoff) -> None:
        self._client = client
        self._endpoint = endpoint
        self._authorizer = authorizer
        self._backoff = backoff
        self._urls = endpoint.urls

    @property
    def host(self) -> str:
        """The registry's name, for errors."""
        return self._endpoint.host

    @asynccontextmanager
    async def answer(self, method: str, path: str, headers: Mapping[str, str]) -> AsyncIterator[httpx.Response]:
        """The answer to a request for `path` in the repository, whose body is not read yet. Raises SourceError."""
        response = await self._answer(method, path, headers)
        try:
            yield response
        finally:
            await response.aclose()

    async def _answer(self, method: str, path: str, headers: Mapping[str, str]) -> httpx.Response:
        attempt = logins = 0
        while True:
            attempt += 1
            try:
                response = await self._send(method, path, headers)
                # A token may have ended between two requests; one that is refused as it comes is not asked for again.
                if response.status_code == 401 and logins < 2 and await self._authorizer.meet(response):
                    await response.aclose()
                    logins += 1
                    attempt -= 1
                    continue
            except httpx.HTTPStatusError as error:  # of the service that gives tokens
                response = error.response
            except _ERRORS as error:
                await self.pause(attempt, error)
                continue
            if response.is_success or response.status_code == 416:
                return response
            await self._pause_or_refuse(attempt, response)

    async def _send(self, method: str, path: str, headers: Mapping[str, str]) -> httpx.Response:
        while True:
            url = f"{self._urls[0]}/v2/{self._endpoint.repository}/{path}"
            request = self._client.build_request(method, url, headers={**headers, **self._authorizer.headers})
            try:
                return await self._client.send(request, stream=True)
            except httpx.ConnectError:
                if len(self._urls) == 1:
                    raise
                self._urls = self._urls[1:]  # a registry without TLS, which the settings allow

    async def pause(self, attempt: int, error: Exception | None) -> None:
        """Wait before another attempt; raises SourceError after the last."""
        wait = self._backoff.wait(attempt, attempts=retry.attempts_after(error))
        if wait is None:
            reason = "it ended the connection too early, again and again" if error is None else _reason(error)
            raise SourceError(
                f"{self.host} cannot be reached: {reason}; check the network, the proxy or the registry's name, "
                "or use an image that is on this machine"
            ) from error
        await asyncio.sleep(wait)

    async def _pause_or_refuse(self, attempt: int, response: httpx.Response) -> None:
        after = retry.seconds(response.headers.get("retry-after"))
        wait = self._backoff.wait(attempt, response.status_code, after)
        if wait is None:
            said = await _said(response)
            await response.aclose()
            raise refusal(self.host, response.status_code, said, after)
        await response.aclose()
        await asyncio.sleep(wait)


class RegistrySource:
    """One image of a registry."""

    def __init__(self, connection: RegistryConnection, reference: Reference, scratch: Path) -> None:
        self._connection = connection
        self._reference = reference
        self._scratch = scratch

    async def top(self, known: str | None) -> bytes | None:
        """The manifest or index, unless the tag still means `known`."""
        wanted = self._reference.digest or self._reference.tag or ""
        if known is not None:
            headers = {"Accept": manifest.ACCEPTED}
            async with self._connection.answer("HEAD", f"manifests/{wanted}", headers) as response:
                if response.headers.get("docker-content-digest") == known:
                    return None
        return await self._read_document(f"manifests/{wanted}", self._reference.digest, "its manifest")

    async def document(self, wanted: Descriptor) -> bytes:
        """A manifest of an index, or a configuration."""
        kind = "manifests" if wanted.media_type in manifest.MANIFESTS + manifest.INDEXES else "blobs"
        return await self._read_document(f"{kind}/{wanted.digest}", wanted.digest, f"its {kind[:-1]}")

    async def _read_document(self, path: str, digest: str | None, what: str) -> bytes:
        attempt = 0
        while True:
            attempt += 1
            try:
                async with self._connection.answer("GET", path, {"Accept": manifest.ACCEPTED}) as response:
                    content = await _limited(response, what)
            except _ERRORS as error:
                await self._connection.pause(attempt, error)
            else:
                return content if digest is None else manifest.check(content, digest, what)

    async def blob(self, wanted: Descriptor) -> Blob:
        """Fetch a layer to a file, from where an earlier attempt has ended."""
        path = self._scratch / wanted.digest.replace(":", "-")
        have, failures = await asyncio.to_thread(_begin, path), 0
        while have < wanted.size:
            before, error = have, None
            try:
                have = await self._fetch(wanted, path, have)
            except _ERRORS as caught:
                error = caught
                have = path.stat().st_size
            if have > wanted.size:
                await asyncio.to_thread(path.unlink)
                raise WrongDigestError(f"its layer {wanted.digest} has more than the {wanted.size:,} bytes it should")
            if have < wanted.size:
                failures = 1 if have > before else failures + 1
                await self._connection.pause(failures, error)
        return Blob(path, 0, wanted.size, is_temporary=True)

    async def _fetch(self, wanted: Descriptor, path: Path, have: int) -> int:
        """Append what comes to the file; returns its size. The answer may begin anew, or end too early."""
        headers = {"Accept-Encoding": "identity", **({"Range": f"bytes={have}-"} if have else {})}
        async with self._connection.answer("GET", f"blobs/{wanted.digest}", headers) as response:
            if not _continues(response, have):
                have = 0
            with path.open("r+b") as file:
                file.truncate(have)
                file.seek(have)
                if response.status_code == 416:
                    return have
                return have + await _write(response, file, wanted.size - have)


def _begin(path: Path) -> int:
    path.touch()
    return path.stat().st_size


async def _write(response: httpx.Response, file: IO[bytes], most: int) -> int:
    """Write a body to a file, also if it is cut, until it is longer than `most`; returns how much was written."""
    written, pending = 0, bytearray()
    try:
        async for piece in response.aiter_raw():
            pending += piece
            if len(pending) >= _PIECE:
                full, pending = pending, bytearray()
                written += await asyncio.to_thread(file.write, full)
            if written + len(pending) > most:
                break
    finally:
        written += file.write(pending)
    return written


def _continues(response: httpx.Response, have: int) -> bool:
    """True if an answer goes on where the file ends."""
    found = _RANGE.match(response.headers.get("content-range", ""))
    return response.status_code == 206 and found is not None and int(found[1]) == have


async def _limited(response: httpx.Response, what: str) -> bytes:
    content = bytearray()
    async for piece in response.aiter_bytes():
        content += piece
        if len(content) > MAX_DOCUMENT:
            raise SourceError(f"{what} is larger than {MAX_DOCUMENT >> 20} MB")
    return bytes(content)


async def _said(response: httpx.Response) -> str:
    """What an answer says about its error, for people; empty if nothing can be read."""
    try:
        errors = json.loads(await _limited(response, "the answer"))["errors"]
        text = "; ".join(f"{error.get('code', '')} {error.get('message', '')}".strip() for error in errors)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, SourceError, *_ERRORS):
        return ""
    return "".join(character for character in text[:_MAX_SAID] if character.isprintable())


def refusal(host: str, status: int, said: str, after: float | None) -> SourceError:
    """The error for a registry that refuses a request."""
    answered = f"{host} answered {status}{f' ({said})' if said else ''}"
    if status in (401, 403):
        return SourceError(f"{answered}: check its name, and log in with docker login {host} if it is not for everyone")
    if status == 404:
        return NotThereError(f"{answered}: check the name and the tag")
    if status == 429:
        when = "later" if after is None else f"in {after:.0f} s"
        return SourceError(f"{answered}: it limits how much is pulled; try again {when}, or log in with docker login")
    return SourceError(answered)


def _reason(error: Exception) -> str:
    return "".join(character for character in retry.reason(error)[:_MAX_SAID] if character.isprintable())


@asynccontextmanager
async def connected(
    endpoint: Endpoint, credentials: Credentials | None, backoff: Backoff
) -> AsyncIterator[RegistryConnection]:
    """A connection to a registry."""
    verify = await asyncio.to_thread(httpx.create_ssl_context) if endpoint.is_verified else False
    needs_tls = all(url.startswith("https:") for url in endpoint.urls)

    async def check(request: httpx.Request) -> None:
        if needs_tls and request.url.scheme != "https":
            raise SourceError(f"{endpoint.host} redirects to {request.url.host} without TLS")

    async with httpx.AsyncClient(
        verify=verify,
        timeout=_TIMEOUT,
        follow_redirects=True,  # without the Authorization header where another host is asked
        max_redirects=_REDIRECTS,
        trust_env=not is_loopback(endpoint.host),  # proxies
        event_hooks={"request": [check]},
        headers={"User-Agent": "runloop-local"},
    ) as client:
        scope = f"repository:{endpoint.repository}:pull"
        authorizer = Authorizer(client, endpoint.host, scope, credentials)
        yield RegistryConnection(client, endpoint, authorizer, backoff)
