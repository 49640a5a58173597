"""`%devbox create`."""

from __future__ import annotations

import argparse
import time
from typing import TYPE_CHECKING, Any

from ...durations import spell_duration
from ...rendering import Outcome
from ...session import KEEP_ALIVE
from ..parser import Parser, assignment, duration, pair

if TYPE_CHECKING:
    from ...session import Session

SIZES = ("x_small", "small", "medium", "large", "x_large", "xx_large")
_LONGEST = 48 * 3600


def parser() -> Parser:
    """The options of `%devbox create`."""
    made = Parser(
        "%devbox create",
        "Create a devbox, wait until it runs and make it the current one.",
        "It is shut down when this kernel ends. If the kernel is killed, it ends after its keep-alive time.",
    )
    made.add_argument("--name", help="what to call it")
    made.add_name("blueprint", "--blueprint", metavar="NAME|ID", help="the blueprint to start from")
    made.add_name("snapshot", "--snapshot", metavar="ID", help="the snapshot to start from")
    made.add_argument(
        "--size", choices=SIZES, type=_size, help="how large a machine: " + ", ".join(SIZES), metavar="SIZE"
    )
    made.add_argument("--env", metavar="K=V", action="append", default=[], type=assignment, help="environment variable")
    made.add_argument("--metadata", metavar="K=V", action="append", default=[], type=pair, help="metadata")
    made.add_argument(
        "--keep-alive", metavar="DURATION", type=_keep_alive, default=KEEP_ALIVE, help="90s, 30m, 2h; at most 48h"
    )
    made.add_argument("--keep", action="store_true", help="leave it running when this kernel ends")
    return made


async def run(session: Session, args: argparse.Namespace) -> Outcome:
    """Create it, and say how long that took."""
    if args.blueprint and args.snapshot:
        parser().error("--blueprint and --snapshot exclude each other")
    started = time.monotonic()
    devbox = await session.create(_parameters(args), keep_alive=args.keep_alive, keep=args.keep)
    took = spell_duration(time.monotonic() - started)
    return Outcome(f"Created {devbox.label} in {took}: it is {devbox.status} and the current devbox.", devbox)


def _parameters(args: argparse.Namespace) -> dict[str, Any]:
    blueprint_key = "blueprint_id" if (args.blueprint or "").startswith(("bpt_", "bp_")) else "blueprint_name"
    wanted = {
        "name": args.name,
        blueprint_key: args.blueprint,
        "snapshot_id": args.snapshot,
        "environment_variables": dict(args.env),
        "metadata": dict(args.metadata),
        "launch_parameters": {"resource_size_request": args.size.upper()} if args.size else {},
    }
    return {key: value for key, value in wanted.items() if value}


def _size(text: str) -> str:
    return text.lower().replace("-", "_")


def _keep_alive(text: str) -> float:
    seconds = duration(text)
    if not 1 <= seconds <= _LONGEST:
        raise argparse.ArgumentTypeError(f"{text} is out of range: from 1s to 48h")
    return seconds
