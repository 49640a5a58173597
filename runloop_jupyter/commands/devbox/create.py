"""`%devbox create`."""

from __future__ import annotations

import argparse
import asyncio
import re
import time
from typing import TYPE_CHECKING, Any

from ...errors import UsageError
from ...operations.transfers import here
from ...output.progress import progress
from ...rendering import Done
from ...resources.lookup import OBJECT, POLICY, SNAPSHOT
from ...resources.namesakes import awake, check_free, namesakes
from ...session import blueprint_key
from ...settings import SIZES
from ...text.durations import spell_duration
from ...text.quoting import as_word
from ..parser import Parser, add_metadata_option, assignment, duration, one_name

if TYPE_CHECKING:
    from runloop_sdk import AsyncRunloopSDK

    from ...resources.devboxes import DevboxInfo
    from ...session import Session

_LONGEST = 48 * 3600
_OF_NEW = (
    "blueprint", "snapshot", "size", "env", "secret", "mount", "file", "repo", "run", "tunnel", "policy", "metadata",
    "keep_alive", "keep",
)  # fmt: skip
_REPOSITORY = re.compile(r"(?P<repo_owner>[\w.-]+)/(?P<repo_name>[\w.-]+)(?:@(?P<git_ref>\S+))?")


def parser() -> Parser:
    """The options of `%devbox create`."""
    made = Parser(
        "%devbox create",
        "Create a devbox, wait until it runs and make it the current one.",
        "It ends with this kernel, also where another notebook uses it; with --keep it goes on for its keep-alive\n"
        "time. Where the service cannot see the kernel, as in the cloud, it ends at the latest ten minutes after the\n"
        "kernel's last sign of life: give a longer --keep-alive to let a laptop sleep.",
    )
    made.shows_progress = True
    made.add_argument("word", metavar="NAME", nargs="?", help="what to call it; the same as --name NAME")
    made.add_name("blueprint", "--blueprint", metavar="NAME|ID", help="the blueprint to start from")
    made.add_name("snapshot", "--snapshot", metavar="NAME|ID", help="the snapshot to start from")
    add_options(made)
    made.add_argument(
        "--reuse",
        action="store_true",
        default=False,
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


def add_options(made: Parser) -> None:
    """What a new devbox may have, whatever disk it starts from."""
    made.add_argument("--name", help="what to call it")
    made.set_defaults(word=None, reuse=None)  # where the name is no word, and none is taken
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
    made.add_name("policy", "--policy", metavar="NAME|ID", help="the network policy that it is under")
    add_metadata_option(made)
    made.add_argument(
        "--keep-alive",
        metavar="DURATION",
        type=_keep_alive,
        help="how long it may go on without its kernel: 90s, 30m, 2h; at most 48h",
    )
    made.add_argument("--keep", action="store_true", default=None, help="leave it running when this kernel ends")


def _add_list(made: Parser, option: str, metavar: str, kind: Any, told: str) -> None:
    made.add_argument(option, metavar=metavar, action="append", default=[], type=kind, help=told)


async def run(session: Session, args: argparse.Namespace) -> Done[DevboxInfo]:
    """Create it, and say how long that took."""
    if args.blueprint and args.snapshot:
        raise UsageError(
            "%devbox create: --blueprint and --snapshot cannot be used together: a disk comes from one of them."
        )
    args.name = one_name("%devbox create", args.word, args.name)
    if args.reuse and not args.name:
        raise UsageError("%devbox create --reuse takes the devbox of a name: %devbox create NAME --reuse")
    found = await namesakes(session, args.name) if args.reuse else []
    if found:
        return await _reuse(session, args, found)
    reuse = "" if args.reuse is None else f"%devbox create {as_word(args.name)} --reuse"
    started = time.monotonic()
    async with progress(f"creating {args.name or 'a devbox'}") as made:
        await check_free(session, args.name, reuse=reuse)
        parameters = await _parameters(await session.sdk(), args)
        devbox = await session.create(parameters, keep_alive=args.keep_alive, keep=args.keep, progress=made)
    took = spell_duration(time.monotonic() - started)
    return Done(f"Created {devbox.label} in {took}: it is {devbox.status} and the current devbox.", devbox)


async def _reuse(session: Session, args: argparse.Namespace, found: list[DevboxInfo]) -> Done[DevboxInfo]:
    """Take one of those that have the name, and say so."""
    async with progress(f"taking {args.name}") as made:
        devbox, did = await awake(session, args.name, found, made)
    owner = next(box.owner for box in found if box.id == devbox.id)
    unused = " and ".join(f"--{name.replace('_', '-')}" for name in _OF_NEW if getattr(args, name))
    note = f" It is as it was made: of this cell, {unused} hold for a new one." if unused else ""
    return Done(f"{did} {devbox.label} of {owner}: it is {devbox.status} and the current devbox.{note}", devbox)


async def _parameters(sdk: AsyncRunloopSDK, args: argparse.Namespace) -> dict[str, Any]:
    launch = {
        "resource_size_request": args.size.upper() if args.size else None,
        "launch_commands": args.run,
        "network_policy_id": (await POLICY.find(sdk, args.policy)).id if args.policy else None,
    }
    wanted = {
        "name": args.name,
        blueprint_key(args.blueprint or ""): args.blueprint,
        "snapshot_id": (await SNAPSHOT.find(sdk, args.snapshot)).id if args.snapshot else None,
        "environment_variables": dict(args.env),
        "secrets": dict(args.secret),
        "metadata": dict(args.metadata),
        "mounts": await _mounts(sdk, args),
        "tunnel": {"auth_mode": args.tunnel} if args.tunnel else None,
        "launch_parameters": {key: value for key, value in launch.items() if value},
    }
    return {key: value for key, value in wanted.items() if value}


async def _mounts(sdk: AsyncRunloopSDK, args: argparse.Namespace) -> list[dict[str, Any]]:
    objects = await asyncio.gather(*(OBJECT.find(sdk, name) for name, _ in args.mount))
    mounts: list[dict[str, Any]] = [
        {"type": "object_mount", "object_id": found.id, "object_path": path}
        for found, (_, path) in zip(objects, args.mount, strict=True)
    ]
    mounts += [{"type": "file_mount", "content": _text_of(name), "target": path} for name, path in args.file]
    return mounts + [{"type": "code_mount", **repository} for repository in args.repo]


def _text_of(name: str) -> str:
    try:
        return here(name).read_text()
    except (UnicodeDecodeError, IsADirectoryError) as error:
        raise UsageError(
            f"{name!r} is not a text file: %runloop object upload {as_word(name)}, then --mount OBJECT:PATH."
        ) from error


def size(text: str) -> str:
    """A size as the API spells it, but for its case."""
    return text.lower().replace("-", "_")


def _placed(text: str) -> tuple[str, str]:
    name, colon, path = text.rpartition(":")
    if not colon or not name or not path:
        raise argparse.ArgumentTypeError(f"{text!r} has no path: write it like NAME:PATH")
    return name, path


def _repository(text: str) -> dict[str, str]:
    found = _REPOSITORY.fullmatch(text)
    if found is None:
        raise argparse.ArgumentTypeError(f"{text!r} is not a repository: write it like OWNER/NAME or OWNER/NAME@BRANCH")
    return {key: value for key, value in found.groupdict().items() if value}


def _keep_alive(text: str) -> float:
    seconds = duration(text)
    if not 1 <= seconds <= _LONGEST:
        raise argparse.ArgumentTypeError(f"{text} is out of range: from 1s to 48h")
    return seconds
