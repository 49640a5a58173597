"""`%runloop object delete`."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from ...rendering import Done
from ...resources.lookup import OBJECT
from .. import removing
from ..parser import Parser

if TYPE_CHECKING:
    from runloop_sdk import AsyncRunloopSDK
    from runloop_sdk.models.objects import ObjectView

    from ...session import Session


def parser() -> Parser:
    """The options of `%runloop object delete`."""
    return removing.deleting_parser(OBJECT, "Delete storage objects.", "%runloop object delete data.csv")


async def run(session: Session, args: argparse.Namespace) -> Done[object]:
    """Delete them."""
    return await removing.delete(session, OBJECT, args.names, remove)


async def remove(sdk: AsyncRunloopSDK, view: ObjectView) -> None:
    """Delete one."""
    await sdk.api.objects.delete(view.id)
