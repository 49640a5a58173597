"""Secrets, which are made and changed in one way."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..resources.kind_names import SECRET
from .observer import UNOBSERVED, Observer

if TYPE_CHECKING:
    from runloop_sdk.models.secrets import SecretView

    from ..session import Session


async def set_secret(
    session: Session, name: str, value: str, observer: Observer = UNOBSERVED
) -> tuple[SecretView, bool]:
    """Make a secret, or give the one of this name another value; True if it is new."""
    from runloop_sdk import NotFoundError

    secrets = (await session.client.sdk()).api.secrets
    # The change first: a name that exists is the common case of a token that has expired.
    try:
        view, is_new = await observer.confirmed(secrets.update(name, value=value)), False
    except NotFoundError:
        view, is_new = await observer.confirmed(secrets.create(name=name, value=value)), True
    session.names.add(SECRET, view.name)
    observer.changed(view)
    return view, is_new
