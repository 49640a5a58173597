"""The mounts in requests: files, objects and repositories to put into a devbox before it runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

from pydantic import Field

from ..engine.build.setup_script import CodeMount
from ..engine.errors import InvalidError, NotServedError
from .wire import Body

MAX_MOUNT_BYTES = 98_250
_Part = Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]*$")]


class CodeMountParameters(Body):
    """A repository to clone."""

    repo_owner: _Part
    repo_name: _Part
    git_ref: str | None = None
    token: str | None = Field(default=None, repr=False)
    install_command: str | None = None

    def mount(self) -> CodeMount:
        """The engine's form of the mount."""
        return CodeMount(self.repo_owner, self.repo_name, self.git_ref, self.token, self.install_command)


class TypedCodeMount(CodeMountParameters):
    """A code mount in the list `mounts`."""

    type: Literal["code_mount"]


class FileMount(Body):
    """A file to write."""

    type: Literal["file_mount"]
    target: str
    content: str


class ObjectMount(Body):
    """An object to write; archives are unpacked."""

    type: Literal["object_mount"]
    object_id: str
    object_path: str


class BrokerMount(Body):
    """An agent at an axon, which only Runloop's cloud has."""

    type: Literal["broker_mount"]
    axon_id: str


class AgentMount(Body):
    """An agent, sent by older clients only."""

    type: Literal["agent_mount"]


Mount = Annotated[TypedCodeMount | FileMount | ObjectMount | BrokerMount | AgentMount, Field(discriminator="type")]


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
