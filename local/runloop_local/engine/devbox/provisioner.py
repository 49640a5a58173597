"""The things that a devbox is given before it runs, besides its disk: objects, repositories, values of secrets."""

from __future__ import annotations

import asyncio
import gzip
import shlex
import zlib
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ..build.setup_script import CodeMount
from ..errors import InvalidError, UnreadableError
from ..ids import new_id
from ..storage.records import loader
from .execution_manager import ExecutionRequest

if TYPE_CHECKING:
    from pathlib import Path

    from ...sandbox.base import EgressPredicate, Isolation
    from ..network.enforcement import PolicyEnforcement
    from ..storage.objects import Content, Objects
    from ..storage.secrets import Secrets
    from ..storage.vault import Vault
    from .execution_manager import ExecutionManager
    from .files import Files, Packing
    from .lifecycle import DevboxRecord

HOME = "/home/user"
_SAID_LINES = 3
_GZIP = b"\x1f\x8b"


class Provisioner:
    """Checks what a devbox is to be given, and gives it."""

    def __init__(
        self, isolation: Isolation, objects: Objects, secrets: Secrets, vault: Vault, enforcement: PolicyEnforcement
    ) -> None:
        self._enforcement = enforcement
        self._has_root = isolation.name == "namespaces"
        self._objects = objects
        self._secrets = secrets
        self._vault = vault

    async def checked(self, record: DevboxRecord, code: tuple[CodeMount, ...]) -> DevboxRecord:
        """The record with what it is to be given; raises `NotFoundError` or `InvalidError` if that cannot be."""
        for path, object_id in record.object_mounts.items():
            self._check_place(path)
            await self._objects.content(object_id)
        await self.require(record)
        return replace(record, code_mounts=tuple([await self._kept(mount) for mount in code]))

    async def require(self, record: DevboxRecord) -> None:
        """Raise `EngineError` unless there is all that a devbox needs to start again."""
        await self._secrets.require(record.secrets)
        await self.reach(record)

    async def reach(self, record: DevboxRecord) -> EgressPredicate | None:
        """The addresses that its network policy allows; raises `NotServedError` if this machine cannot enforce it."""
        rules = await self._enforcement.rules(record.launch_parameters.get("network_policy_id"))
        return None if rules is None else rules.allows

    async def environment(self, record: DevboxRecord) -> Mapping[str, str]:
        """The variables that hold secrets, with the values that these have now."""
        return await self._secrets.values(record.secrets)

    async def furnish(self, record: DevboxRecord, files: Files, execution_manager: ExecutionManager) -> None:
        """Put objects and repositories into a devbox that has started; raises `EngineError` if one fails."""
        for path, object_id in record.object_mounts.items():
            await self._put_object(path, object_id, files)
        for kept in record.code_mounts:
            await _clone(await self._loaded(kept), execution_manager)

    async def _put_object(self, path: str, object_id: str, files: Files) -> None:
        content = await self._objects.content(object_id)
        packing = await asyncio.to_thread(_packing, content)
        if self._has_root and _is_outside(path):
            await files.claim(path, folder=packing in ("tar", "tar.gz"))
        try:
            await files.write(path, self._objects.files.read(content.path, 0, content.size), packing)
        except InvalidError as error:
            raise InvalidError(f"Object {object_id} cannot be mounted. {error}") from error

    def _check_place(self, path: str) -> None:
        if "\0" in path or not path:
            raise InvalidError("The object_path of a mount is empty or holds a NUL character.")
        if not self._has_root and (_is_outside(path) or ".." in path.split("/")):
            raise InvalidError(f"Devboxes are plain processes here and have {HOME} only, not {path!r}.")

    async def _kept(self, mount: CodeMount) -> dict[str, Any]:
        token = None if mount.token is None else await self._vault.seal(mount.token)
        return {"owner": mount.owner, "name": mount.name, "ref": mount.ref, "install": mount.install, "token": token}

    async def _loaded(self, kept: Mapping[str, Any]) -> CodeMount:
        try:
            mount = _loaded_mount(kept)
        except ValueError as error:
            raise UnreadableError(f"What is stored of a repository cannot be read: {error}.") from error
        if mount.token is None:
            return mount
        what = f"The token of the repository {mount.owner}/{mount.name} was"
        return replace(mount, token=await self._vault.unseal(mount.token, what))


_loaded_mount = loader(CodeMount)


def _is_outside(path: str) -> bool:
    return path.startswith("/") and not f"{path}/".startswith(f"{HOME}/")


async def _clone(mount: CodeMount, execution_manager: ExecutionManager) -> None:
    what = f"The repository {mount.owner}/{mount.name} cannot be mounted"
    ref = f"--branch {shlex.quote(mount.ref)} " if mount.ref else ""
    address = f"https://github.com/{mount.owner}/{mount.name}.git"
    await _run(execution_manager, f"git clone --depth 1 {ref}{address} {mount.name}", what, mount.env)
    if mount.install:
        await _run(
            execution_manager, f"cd {mount.name} && {{ {mount.install}\n}}", f"{what}: its install_command failed"
        )


async def _run(
    execution_manager: ExecutionManager, command: str, what: str, env: Mapping[str, str] | None = None
) -> None:
    """Run it in the home folder, to be seen in the devbox's logs."""
    request = ExecutionRequest(f"cd ~ && {command}", new_id("exec"), source="setup_commands", env=env or {})
    execution = await execution_manager.start(request)
    await execution.completed()
    if execution.record.exit_status:
        said = execution.log.tail("stderr", _SAID_LINES)[0].strip()
        raise InvalidError(f"{what}: {said or f'exit status {execution.record.exit_status}'}")


def _packing(content: Content) -> Packing | None:
    """The packing of an object, by its content type and its first bytes."""
    kind = content.record.content_type
    if kind not in ("tar", "tgz", "gzip"):
        return None
    with content.path.open("rb") as file:
        zipped = file.read(2) == _GZIP
    if kind == "gzip" and not (zipped and _holds_tar(content.path)):
        return "gz"
    return "tar.gz" if zipped else "tar"


def _holds_tar(path: Path) -> bool:
    try:
        with gzip.open(path) as file:
            return file.read(512)[257:262] == b"ustar"
    except (OSError, EOFError, zlib.error):
        return False  # what unpacks it will say what is wrong
