"""The mounts in requests: files, objects and repositories to put into a devbox before it runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated

from msgspec import Meta

from ..engine.build.setup_script import CodeMount
from ..engine.errors import InvalidError, NotServedError
from .body import Body

MAX_MOUNT_BYTES = 98_250
_Part = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]*\Z")]


class CodeMountParameters(Body, frozen=True):
    """A repository to clone."""

    repo_owner: _Part
    repo_name: _Part
    git_ref: str | None = None
    token: str | None = None
    install_command: str | None = None

    def mount(self) -> CodeMount:
        """The engine's form of the mount."""
        return CodeMount(self.repo_owner, self.repo_name, self.git_ref, self.token, self.install_command)


class TypedCodeMount(CodeMountParameters, frozen=True, tag_field="type", tag="code_mount"):
    """A code mount in the list `mounts`."""


class FileMount(Body, frozen=True, tag_field="type", tag="file_mount"):
    """A file to write."""

    target: str
    content: str


class ObjectMount(Body, frozen=True, tag_field="type", tag="object_mount"):
    """An object to write; archives are unpacked."""

    object_id: str
    object_path: str


class BrokerMount(Body, frozen=True, tag_field="type", tag="broker_mount"):
    """An agent at an axon, which only Runloop's cloud has."""

    axon_id: str


class AgentMount(Body, frozen=True, tag_field="type", tag="agent_mount"):
    """An agent, sent by older clients only."""


Mount = TypedCodeMount | FileMount | ObjectMount | BrokerMount | AgentMount
"""Told apart by `type`."""


def files_of(mounts: Sequence[Mount], more: Mapping[str, str]) -> dict[str, str]:
    """The contents of file mounts by path; raises `InvalidError` for one that is too large."""
    files = {mount.target: mount.content for mount in mounts if isinstance(mount, FileMount)} | dict(more)
    for path, content in files.items():
        if len(content.encode("utf-8", "surrogatepass")) > MAX_MOUNT_BYTES:
            raise InvalidError(f"The file mount {path!r} is over {MAX_MOUNT_BYTES:,} bytes: mount an object instead.")
    return files


def objects_of(mounts: Sequence[Mount]) -> dict[str, str]:
    """The ids of object mounts by path."""
    return {mount.object_path: mount.object_id for mount in mounts if isinstance(mount, ObjectMount)}


def code_of(mounts: Sequence[Mount], more: Sequence[CodeMountParameters]) -> tuple[CodeMount, ...]:
    """The repositories to clone."""
    return tuple(mount.mount() for mount in (*mounts, *more) if isinstance(mount, CodeMountParameters))


def refuse_agents(mounts: Sequence[Mount]) -> None:
    """Raise `NotServedError` for mounts of agents."""
    for mount in mounts:
        if isinstance(mount, BrokerMount):
            raise NotServedError("The embedded service has no broker_mount, as agents are run by Runloop's cloud.")
        if isinstance(mount, AgentMount):
            raise NotServedError("The API has no agent_mount any more: mount an object, or install it by a command.")
