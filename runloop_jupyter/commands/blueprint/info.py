"""`%runloop blueprint info`."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from ...durations import spell_duration
from ...finding import BLUEPRINT
from ...rendering import Details, ago, pairs, state_text
from ..parser import Parser

if TYPE_CHECKING:
    from runloop_sdk.models.blueprints import BlueprintView

    from ...session import Session


def parser() -> Parser:
    """The options of `%runloop blueprint info`."""
    made = Parser("%runloop blueprint info", "Show one blueprint in detail: the latest build of its name.")
    made.add_name("blueprint", "name", metavar="NAME|ID", help="a blueprint's name or id")
    return made


async def run(session: Session, args: argparse.Namespace) -> Details[BlueprintView]:
    """The card."""
    view = await BLUEPRINT.find(await session.sdk(), args.name)
    return Details(view, tuple(_rows(view)))


def _rows(view: BlueprintView) -> list[tuple[str, str]]:
    built_from = view.parameters
    took = (view.build_finish_time_ms or 0) - view.create_time_ms
    return [
        ("name", view.name),
        ("id", view.id),
        ("status", state_text(view.status, view.failure_reason)),
        ("created", ago(view.create_time_ms)),
        ("build", f"took {spell_duration(took / 1000)}" if view.build_finish_time_ms else ""),
        ("base", built_from.base_blueprint_name or view.base_blueprint_id or ""),
        ("metadata", pairs(view.metadata)),
        ("Dockerfile", f"{len(built_from.dockerfile.splitlines())} lines" if built_from.dockerfile else ""),
        ("use it", f"%devbox create --blueprint {view.name}" if view.status == "build_complete" else ""),
        ("see why", f"%runloop blueprint logs {view.id}" if view.status == "failed" else ""),
    ]
