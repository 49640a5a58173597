"""Network policies."""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

from ..resources.kind_names import POLICY
from .observer import UNOBSERVED, Observer

if TYPE_CHECKING:
    from runloop_sdk.models.network_policies import NetworkPolicyView
    from runloop_sdk.params.network_policies import NetworkPolicyCreateParams

    from ..session import Session


async def create_policy(
    session: Session, observer: Observer = UNOBSERVED, **request: Unpack[NetworkPolicyCreateParams]
) -> NetworkPolicyView:
    """Make a network policy (`POST /v1/network-policies`)."""
    policies = (await session.client.sdk()).api.network_policies
    view = await observer.confirmed(policies.create(**request))
    session.names.add(POLICY, view.name)
    observer.changed(view)
    return view
