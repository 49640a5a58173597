"""Finds the rules of network policies for what is to run under them, if this machine can enforce them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import NotServedError
from . import policies

if TYPE_CHECKING:
    from ...sandbox.base import Isolation
    from ..config_collection import ConfigCollection
    from .policies import EgressRules


class PolicyEnforcement:
    """The network policies of this service, under its isolation."""

    def __init__(self, isolation: Isolation, network_policies: ConfigCollection) -> None:
        self._restricts = isolation.restricts
        self._network_policies = network_policies

    async def rules(self, policy_id: str | None) -> EgressRules | None:
        """The rules to enforce for this policy; None if everything is allowed.

        Raises `NotFoundError`, and `NotServedError` if this machine cannot enforce it.
        """
        if policy_id is None:
            return None
        rules = policies.loaded(await self._network_policies.get(policy_id))
        if rules.allow_all:
            return None
        if not self._restricts:
            raise NotServedError(
                f"The network policy {policy_id} cannot be enforced: devboxes are plain processes here and share this "
                "machine's network. Leave it out, or use a machine where `runloop-local status` shows namespaces."
            )
        return rules
