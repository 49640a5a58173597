"""`%runloop policy delete`."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from ...rendering import Done
from ...resources.lookup import POLICY
from .. import removing
from ..parser import Parser

if TYPE_CHECKING:
    from runloop_sdk import AsyncRunloopSDK
    from runloop_sdk.models.network_policies import NetworkPolicyView

    from ...session import Session


def parser() -> Parser:
    """The options of `%runloop policy delete`."""
    return removing.deleting_parser(POLICY, "Delete network policies.", "%runloop policy delete offline")


async def run(session: Session, args: argparse.Namespace) -> Done[object]:
    """Delete them."""
    return await removing.delete(session, POLICY, args.names, remove)


async def remove(sdk: AsyncRunloopSDK, view: NetworkPolicyView) -> None:
    """Delete one."""
    await sdk.api.network_policies.delete(view.id)
