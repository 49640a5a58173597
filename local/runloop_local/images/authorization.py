"""Authorization at registries: the challenge of an answer, and the tokens that meet it."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import httpx
import msgspec

from runloop_local.images.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from runloop_local.images.credentials import Credentials

_CLIENT = "runloop-local"
_MAX_TOKEN = 1 << 20
_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"  # noqa: S105 - a token of HTTP's grammar
_CHALLENGE = re.compile(rf"\s*({_TOKEN})(?:\s+|$)")
_PARAMETER = re.compile(rf"\s*({_TOKEN})\s*=\s*(?:\"((?:[^\"\\]|\\.)*)\"|({_TOKEN}))\s*(?:,|$)")


@dataclass(frozen=True, slots=True)
class Challenge:
    """What a registry asks for: `Bearer`, from the service at `realm`, or `Basic`."""

    scheme: str
    parameters: Mapping[str, str] = field(default_factory=dict)


def challenges(header: str) -> list[Challenge]:
    """The challenges of a `WWW-Authenticate` header; what cannot be read ends the list."""
    found: list[Challenge] = []
    position = 0
    while (scheme := _CHALLENGE.match(header, position)) is not None:
        position = scheme.end()
        parameters: dict[str, str] = {}
        while (parameter := _PARAMETER.match(header, position)) is not None:
            position = parameter.end()
            value = parameter[3] if parameter[3] is not None else re.sub(r"\\(.)", r"\1", parameter[2])
            parameters[parameter[1].lower()] = value
        found.append(Challenge(scheme[1].lower(), parameters))
    return found


class _Answer(msgspec.Struct):
    token: str | None = None
    access_token: str | None = None


class Authorizer:
    """Gets what one repository's requests need in their `Authorization` header."""

    def __init__(self, client: httpx.AsyncClient, host: str, scope: str, credentials: Credentials | None) -> None:
        self._client = client
        self._host = host
        self._scope = scope
        self._credentials = credentials
        self.headers: Mapping[str, str] = {}
        """The headers for the next request."""

    async def meet(self, response: httpx.Response) -> bool:
        """Meet the challenge of an answer 401; False if that would change nothing.

        Raises SourceError, and httpx's errors.
        """
        before = self.headers
        for challenge in challenges(", ".join(response.headers.get_list("www-authenticate"))):
            if challenge.scheme == "bearer" and "realm" in challenge.parameters:
                self.headers = {"Authorization": f"Bearer {await self._token(response, challenge.parameters)}"}
                return True
            if challenge.scheme == "basic" and self._credentials is not None and self._credentials.username:
                self.headers = {"Authorization": _basic(self._credentials)}
                return self.headers != before
        return False

    async def _token(self, response: httpx.Response, parameters: Mapping[str, str]) -> str:
        realm = parameters["realm"]
        self._check_realm(response, realm)
        asked = {"service": parameters.get("service", ""), "scope": parameters.get("scope") or self._scope}
        credentials = self._credentials
        if credentials is not None and credentials.identity_token:
            form = {**asked, "grant_type": "refresh_token", "refresh_token": credentials.identity_token}
            answer = await self._client.post(realm, data={**form, "client_id": _CLIENT})
        else:
            headers = {} if credentials is None else {"Authorization": _basic(credentials)}
            answer = await self._client.get(realm, params=asked, headers=headers)
        if answer.status_code in (400, 401, 403):
            raise SourceError(_refused(self._host, answer.status_code, has_credentials=credentials is not None))
        answer.raise_for_status()
        return _read_token(realm, answer)

    @staticmethod
    def _check_realm(response: httpx.Response, realm: str) -> None:
        """Raise SourceError if an account would be sent to where the registry itself could not have read it."""
        parts = urlsplit(realm)
        if parts.scheme not in ("https", response.request.url.scheme) or not parts.hostname:
            raise SourceError(f"the registry asks to log in at {realm[:100]!r}, which is no https address")


def _basic(credentials: Credentials) -> str:
    return f"Basic {base64.b64encode(f'{credentials.username}:{credentials.password}'.encode()).decode()}"


def _refused(host: str, status: int, *, has_credentials: bool) -> str:
    if has_credentials:
        return f"the account for {host} was refused ({status}): log in again with docker login {host}"
    return f"{host} gives it to no one without an account ({status}): log in with docker login {host}"


def _read_token(realm: str, answer: httpx.Response) -> str:
    try:
        said = msgspec.json.decode(answer.content[:_MAX_TOKEN], type=_Answer)
    except (msgspec.DecodeError, RecursionError):  # not chained: the answer may hold a token
        said = _Answer()
    token = said.token or said.access_token
    if not token or not token.isascii() or not token.isprintable():
        raise SourceError(f"{urlsplit(realm).hostname} gave an answer to the login that has no token")
    return token
