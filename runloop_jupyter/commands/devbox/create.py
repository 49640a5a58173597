"""`%devbox create`."""

from __future__ import annotations

import asyncio
import time
from argparse import ArgumentTypeError
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from ...errors import UsageError
from ...operations.devbox_names import check_free, reuse_by_name, same_named
from ...operations.lifecycle import blueprint_key
from ...operations.lifecycle import create as create_devbox
from ...operations.transfers import here
from ...output.progress import progress
from ...rendering import Done
from ...resources.api_limits import LONGEST_KEEP_ALIVE, SIZES, repository_mount
from ...resources.kinds.network_policy import POLICY
from ...resources.kinds.snapshot import SNAPSHOT
from ...resources.kinds.storage_object import OBJECT
from ...text.durations import spell_duration
from ...text.quoting import as_word
from ..argument_types import assignment, duration, size
from ..option_groups import MetadataOption, add_metadata_option, one_name
from ..parser import Parser
from ..progress_observer import ProgressObserver

if TYPE_CHECKING:
    from runloop_sdk import AsyncRunloopSDK

    from ...resources.devboxes import DevboxInfo
    from ...session import Session


class NewDevboxOptions(MetadataOption):
    """Options of a new devbox, whatever disk it starts from."""

    name: str | None
    size: str | None
    env: Sequence[tuple[str, str]]
    secret: Sequence[tuple[str, str]]
    mount: Sequence[tuple[str, str]]
    file: Sequence[tuple[str, str]]
    repo: Sequence[Mapping[str, str]]
    run: Sequence[str]
    tunnel: Literal["open", "authenticated"] | None
    policy: str | None
    keep_alive: float | None
    keep: bool | None


class Options(NewDevboxOptions):
    """The options of `%devbox create`."""

    word: str | None
    blueprint: str | None
    snapshot: str | None
    reuse: bool


def parser() -> Parser[Options]:
    """The parser of `%devbox create`."""
    made = Parser(
        Options,
        "%devbox create",
        "Create a devbox, wait until it runs and make it the current one.",
        "It ends with this kernel, also where another notebook uses it; with --keep it goes on for its keep-alive\n"
        "time. Where the service cannot see the kernel, as in the cloud, it ends at the latest ten minutes after the\n"
        "kernel's last sign of life: give a longer --keep-alive to let a laptop sleep.",
    )
    made.shows_progress = True
    made.add_argument("word", metavar="NAME", nargs="?", help="what to call it; the same as --name NAME")
    made.add_name("blueprint", "--blueprint", metavar="NAME|ID", help="the blueprint to start from")
    made.add_name(SNAPSHOT.name, "--snapshot", metavar="NAME|ID", help="the snapshot to start from")
    add_new_devbox_options(made)
    made.add_argument(
        "--reuse",
        action="store_true",
        help="where a devbox of this name runs or can run again, take it instead",
    )
    return made.explain(
        ("a devbox with a name, which ends with this kernel", "%devbox create lab"),
        (
            "in a cell that is run many times: the one that is there, else a new one",
            "%devbox create lab --reuse",
        ),
        (
            "a large one that stays when the kernel ends, and outlives it by two hours",
            "%devbox create train --size large --keep --keep-alive 2h",
        ),
        (
            "from a blueprint, with an environment variable and a secret",
            "%devbox create --blueprint science --env MODE=test --secret TOKEN=my-token",
        ),
        (
            "with a repository, a storage object and a command at each start",
            "%devbox create --repo psf/requests@main --mount data.tar.gz:/home/user/data --run 'make deps'",
        ),
        ("the id in Python", "box = %devbox create lab\nprint(box.id)"),
        returns="A sentence about what was done, with the fields of the devbox: `.id`, `.name`, `.status`.",
        mistakes=[
            "--blueprint and --snapshot cannot be used together: a disk comes from one of them.",
            "A snapshot, object or policy that does not exist is named before anything is made.",
            (
                "A name that a devbox has which runs or can run again is refused; with --reuse that one is taken, this "
                "notebook's before others, and a new one made where there is none. Its size, environment and end stay "
                "as they are."
            ),
            "Stop in the middle shuts down what has been made so far.",
            (
                "A devbox that fails to start raises an error with its reason; %devbox logs shows what its "
                "commands printed."
            ),
        ],
    )


def add_new_devbox_options(made: Parser[NewDevboxOptions]) -> None:
    """Add those of `NewDevboxOptions`, in the order of the help."""
    made.add_argument("--name", help="what to call it")
    made.add_argument(
        "--size", choices=SIZES, type=size, help="how large a machine: " + ", ".join(SIZES), metavar="SIZE"
    )
    _add_list(made, "--env", "K=V", assignment, "environment variable")
    made.add_name(
        "secret",
        "--secret",
        metavar="VARIABLE=NAME",
        action="append",
        default=[],
        type=assignment,
        help="a secret as an environment variable",
    )
    made.add_name(
        "object",
        "--mount",
        metavar="OBJECT:PATH",
        action="append",
        default=[],
        type=_placed,
        help="a storage object at this path; archives are extracted",
    )
    made.add_name(
        "local path",
        "--file",
        metavar="FILE:PATH",
        action="append",
        default=[],
        type=_placed,
        help="a small local text file at this path",
    )
    _add_list(made, "--repo", "OWNER/NAME[@REF]", _repository, "a repository of GitHub, checked out")
    _add_list(made, "--run", "COMMAND", str, "a command to run at each start, before the devbox is ready")
    made.add_argument("--tunnel", nargs="?", const="open", choices=("open", "authenticated"), help="open its tunnel")
    made.add_name(POLICY.name, "--policy", metavar="NAME|ID", help="the network policy that it is under")
    add_metadata_option(made)
    made.add_argument(
        "--keep-alive",
        metavar="DURATION",
        type=_keep_alive,
        help="how long it may go on without its kernel: 90s, 30m, 2h; at most 48h",
    )
    made.add_argument("--keep", action="store_true", default=None, help="leave it running when this kernel ends")


def _add_list(
    made: Parser[NewDevboxOptions], option: str, metavar: str, kind: Callable[[str], object], description: str
) -> None:
    made.add_argument(option, metavar=metavar, action="append", default=[], type=kind, help=description)


async def run(session: Session, options: Options) -> Done[DevboxInfo]:
    """Create the devbox, or with --reuse take the one that has its name."""
    if options.blueprint and options.snapshot:
        raise UsageError(
            "%devbox create: --blueprint and --snapshot cannot be used together: a disk comes from one of them."
        )
    name = one_name("%devbox create", options.word, options.name)
    if options.reuse:
        if not name:
            raise UsageError("%devbox create --reuse takes the devbox of a name: %devbox create NAME --reuse")
        found = await same_named(session, name)
        if found:
            return await _reuse(session, options, name, found)
    disk = Disk(options.blueprint, options.snapshot)
    return await create(session, options, name, disk, reuse=f"%devbox create {as_word(name)} --reuse")


@dataclass(frozen=True, slots=True)
class Disk:
    """The disk that a devbox starts from: a blueprint, a snapshot, or that of the service."""

    blueprint: str | None = None
    snapshot: str | None = None


async def create(
    session: Session, options: NewDevboxOptions, name: str, disk: Disk, *, reuse: str = ""
) -> Done[DevboxInfo]:
    """Create a devbox; `reuse` is what to type to take one that has the name already."""
    started = time.monotonic()
    async with progress(f"creating {name or 'a devbox'}") as made:
        await check_free(session, name, reuse=reuse)
        parameters = await _parameters(await session.client.sdk(), options, name, disk)
        devbox = await create_devbox(
            session, parameters, keep_alive=options.keep_alive, keep=options.keep, observer=ProgressObserver(made)
        )
    took = spell_duration(time.monotonic() - started)
    return Done(f"Created {devbox.label} in {took}: it is {devbox.status} and the current devbox.", devbox)


async def _reuse(session: Session, options: Options, name: str, found: list[DevboxInfo]) -> Done[DevboxInfo]:
    """Take one of those that have the name, and say so."""
    async with progress(f"taking {name}") as made:
        devbox, did = await reuse_by_name(session, name, found, ProgressObserver(made))
    owner = next(box.owner for box in found if box.id == devbox.id)
    unused = " and ".join(f"--{option.replace('_', '-')}" for option, value in _of_new(options).items() if value)
    note = f" It is as it was made: of this cell, {unused} hold for a new one." if unused else ""
    return Done(f"{did} {devbox.label} of {owner}: it is {devbox.status} and the current devbox.{note}", devbox)


def _of_new(options: Options) -> dict[str, object]:
    """The options that only a new devbox can have, in the order of the help."""
    return {
        "blueprint": options.blueprint,
        "snapshot": options.snapshot,
        "size": options.size,
        "env": options.env,
        "secret": options.secret,
        "mount": options.mount,
        "file": options.file,
        "repo": options.repo,
        "run": options.run,
        "tunnel": options.tunnel,
        "policy": options.policy,
        "metadata": options.metadata,
        "keep_alive": options.keep_alive,
        "keep": options.keep,
    }


async def _parameters(sdk: AsyncRunloopSDK, options: NewDevboxOptions, name: str, disk: Disk) -> dict[str, object]:
    launch = {
        "resource_size_request": options.size.upper() if options.size else None,
        "launch_commands": options.run,
        "network_policy_id": (await POLICY.find(sdk, options.policy)).id if options.policy else None,
    }
    wanted = {
        "name": name,
        blueprint_key(disk.blueprint or ""): disk.blueprint,
        "snapshot_id": (await SNAPSHOT.find(sdk, disk.snapshot)).id if disk.snapshot else None,
        "environment_variables": dict(options.env),
        "secrets": dict(options.secret),
        "metadata": dict(options.metadata),
        "mounts": await _mounts(sdk, options),
        "tunnel": {"auth_mode": options.tunnel} if options.tunnel else None,
        "launch_parameters": {key: value for key, value in launch.items() if value},
    }
    return {key: value for key, value in wanted.items() if value}


async def _mounts(sdk: AsyncRunloopSDK, options: NewDevboxOptions) -> list[dict[str, str]]:
    objects = await asyncio.gather(*(OBJECT.find(sdk, name) for name, _ in options.mount))
    mounts = [
        {"type": "object_mount", "object_id": found.id, "object_path": path}
        for found, (_, path) in zip(objects, options.mount, strict=True)
    ]
    mounts += [{"type": "file_mount", "content": _text_of(name), "target": path} for name, path in options.file]
    return mounts + [{"type": "code_mount", **repository} for repository in options.repo]


def _text_of(name: str) -> str:
    try:
        return here(name).read_text()
    except (UnicodeDecodeError, IsADirectoryError) as error:
        raise UsageError(
            f"{name!r} is not a text file: %runloop object upload {as_word(name)}, then --mount OBJECT:PATH."
        ) from error


def _placed(text: str) -> tuple[str, str]:
    name, colon, path = text.rpartition(":")
    if not colon or not name or not path:
        raise ArgumentTypeError(f"{text!r} has no path: write it like NAME:PATH")
    return name, path


def _repository(text: str) -> dict[str, str]:
    found = repository_mount(text)
    if found is None:
        raise ArgumentTypeError(f"{text!r} is not a repository: write it like OWNER/NAME or OWNER/NAME@BRANCH")
    return found


def _keep_alive(text: str) -> float:
    seconds = duration(text)
    if not 1 <= seconds <= LONGEST_KEEP_ALIVE:
        raise ArgumentTypeError(f"{text} is out of range: from 1s to 48h")
    return seconds
