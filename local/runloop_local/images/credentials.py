"""Accounts at registries, from the files in which `docker login` and `podman login` keep them."""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from runloop_local.images.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_HUB = "docker.io"
_HUB_SERVERS = ("https://index.docker.io/v1/", "index.docker.io", "registry-1.docker.io", _HUB)
_HELPER = re.compile(r"[A-Za-z0-9._-]{1,64}")
_HELPER_SECONDS = 30.0
_IDENTITY_TOKEN = "<token>"  # noqa: S105 - by this name helpers say that the secret is one
_NOT_FOUND = "credentials not found"


@dataclass(frozen=True, slots=True)
class Credentials:
    """An account at a registry, or a token that stands for it."""

    username: str = ""
    password: str = field(default="", repr=False)
    identity_token: str = field(default="", repr=False)
    """A refresh token, which is exchanged for others."""


class _Auth(msgspec.Struct):
    auth: str | None = None
    username: str | None = None
    password: str | None = None
    identitytoken: str | None = None


class _File(msgspec.Struct, rename="camel"):
    auths: dict[str, _Auth | None] | None = None
    cred_helpers: dict[str, str] | None = None
    creds_store: str | None = None


class CredentialFiles:
    """Finds credentials as Docker and Podman do, in the home of the service's account."""

    def __init__(self, environment: Mapping[str, str], home: Path) -> None:
        self._environment = environment
        self._home = home

    async def find(self, registry: str, repository: str) -> Credentials | None:
        """The credentials for a repository; None if there are none. Raises SourceError for a file that is wrong."""
        for path in self._paths():
            file = await asyncio.to_thread(_load, path)
            found = None if file is None else await self._in_file(file, registry, repository)
            if found is not None:
                return found
        return None

    def _paths(self) -> Iterator[Path]:
        named = self._environment.get("REGISTRY_AUTH_FILE")
        if named:
            yield Path(named)
        runtime = self._environment.get("XDG_RUNTIME_DIR")
        if runtime:
            yield Path(runtime, "containers/auth.json")
        yield Path(self._environment.get("XDG_CONFIG_HOME") or self._home / ".config", "containers/auth.json")
        yield Path(self._environment.get("DOCKER_CONFIG") or self._home / ".docker", "config.json")

    async def _in_file(self, file: _File, registry: str, repository: str) -> Credentials | None:
        helper = next(
            (name for server, name in (file.cred_helpers or {}).items() if server_of(server) == registry), None
        )
        if helper is None and file.creds_store:
            helper = file.creds_store
        if helper is not None:
            return await self._ask_helper(helper, _HUB_SERVERS[0] if registry == _HUB else registry)
        auths = {server_of(server): auth for server, auth in (file.auths or {}).items()}
        for key in _keys(registry, repository):
            found = auths.get(key)
            if found is not None and (credentials := _decoded(found, key)) is not None:
                return credentials
        return None

    async def _ask_helper(self, helper: str, server: str) -> Credentials | None:
        if not _HELPER.fullmatch(helper):
            raise SourceError(
                f"the credential helper {helper!r} in Docker's configuration has a name that none can have"
            )
        program = f"docker-credential-{helper}"
        pipe = asyncio.subprocess.PIPE
        try:
            process = await asyncio.create_subprocess_exec(
                program, "get", stdin=pipe, stdout=pipe, stderr=asyncio.subprocess.DEVNULL, env=dict(self._environment)
            )
        except OSError as error:
            raise SourceError(
                f"the credential helper {program} of Docker's configuration cannot be run: {error.strerror}"
            ) from error
        try:
            out, _ = await asyncio.wait_for(process.communicate(server.encode()), _HELPER_SECONDS)
        except TimeoutError:
            raise SourceError(f"the credential helper {program} did not answer in {_HELPER_SECONDS:.0f} s") from None
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        return _of_helper(program, process.returncode or 0, out)


def _of_helper(program: str, status: int, out: bytes) -> Credentials | None:
    if status:
        if _NOT_FOUND in out.decode(errors="replace").lower():
            return None
        raise SourceError(f"the credential helper {program} failed with status {status}")
    try:
        said = json.loads(out)
        username, secret = str(said["Username"]), str(said["Secret"])
    except (ValueError, KeyError, TypeError):  # not chained: the text may hold the secret
        raise SourceError(f"the credential helper {program} gave an answer that cannot be read") from None
    return Credentials(identity_token=secret) if username == _IDENTITY_TOKEN else Credentials(username, secret)


def server_of(key: str) -> str:
    """The registry, and perhaps a part of a repository's name, that a key of such a file means."""
    if key in _HUB_SERVERS:
        return _HUB
    _, found, rest = key.partition("://")
    return rest.partition("/")[0] if found else key.rstrip("/")


def _keys(registry: str, repository: str) -> Iterator[str]:
    """The keys under which credentials may stand, the most exact first."""
    parts = repository.split("/")
    for count in range(len(parts), 0, -1):
        yield "/".join((registry, *parts[:count]))
    yield registry


def _decoded(auth: _Auth, key: str) -> Credentials | None:
    if auth.identitytoken:
        return Credentials(identity_token=auth.identitytoken)
    if auth.username and auth.password:
        return Credentials(auth.username, auth.password)
    if not auth.auth:  # a helper has them
        return None
    try:
        username, colon, password = base64.b64decode(auth.auth, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        colon = ""
    if not colon:
        raise SourceError(f"the credentials for {key} are not readable: log in again")
    return Credentials(username, password.rstrip("\0"))


def _load(path: Path) -> _File | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=_File)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error.strerror}") from error
    except (msgspec.DecodeError, RecursionError):  # not chained, as it quotes the file
        raise SourceError(f"{path} is no file of credentials: log in again, or move it away") from None
