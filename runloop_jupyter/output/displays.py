"""HTML formatters for the SDK's objects: they show as cards, not as `<AsyncDevbox dbx_...>`.

They are registered by class name, so that the SDK need not be imported for it.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from runloop_sdk import Page

T = TypeVar("T")

_TIMEOUT = 1.0  # seconds that a card waits for the current state
_LISTS = ("_pagination.Page",)
_VIEWS = ("models._view.View", "resources.execution.AsyncExecutionResult")
"""Classes whose objects have all that their card shows."""
_RESOURCES = (
    "resources.devbox.AsyncDevbox",
    "resources.blueprint.AsyncBlueprint",
    "resources.devbox.AsyncSnapshot",
    "resources.storage_object.AsyncStorageObject",
    "resources.secret.AsyncSecret",
    "resources.secret.AsyncSecretById",
    "resources.network_policy.AsyncNetworkPolicy",
    "resources.gateway_config.AsyncGatewayConfig",
    "resources.mcp_config.AsyncMcpConfig",
    "resources.axon.AsyncAxon",
    "resources.execution.AsyncExecution",
)
"""Classes whose card shows the current state, which the service is asked for."""


def register(shell: InteractiveShell) -> None:
    """Register the formatters with IPython."""
    formatter = _html_formatter(shell)
    for names, show in ((_LISTS, _table), (_VIEWS, _card), (_RESOURCES, _current_card)):
        for name in names:
            module, _, kind = f"runloop_sdk.{name}".rpartition(".")
            formatter.for_type_by_name(module, kind, show)


def unregister(shell: InteractiveShell) -> None:
    """Remove the formatters."""
    formatter = _html_formatter(shell)
    for name in (*_LISTS, *_VIEWS, *_RESOURCES):
        formatter.pop(f"runloop_sdk.{name}", None)


def _html_formatter(shell: InteractiveShell) -> Any:
    assert shell.display_formatter is not None
    return shell.display_formatter.formatters["text/html"]


def _table(page: Page[Any]) -> str:
    from ..rendering.cards import table_of

    return table_of(page)._repr_html_()


def _card(thing: object) -> str:
    from ..rendering.cards import card_of

    return card_of(thing)._repr_html_()


def _current_card(resource: object) -> str | None:
    """The card with the resource's current state; None, for plain text, if the service does not tell it in time."""
    from runloop_sdk import RunloopError

    from ..kernel import loop

    try:  # IPython calls formatters synchronously, so the request runs on the notebook's loop, like a magic
        return _card(loop.run(_in_time(_state_of(resource))))
    except (RunloopError, TimeoutError):
        return None


async def _state_of(resource: object) -> object:
    """The resource's current state, by whichever method its class has for that."""
    names = ("get_info", "refresh", "get_state")
    return await next(getattr(resource, name) for name in names if hasattr(resource, name))()


async def _in_time(view: Awaitable[T]) -> T:
    import asyncio

    async with asyncio.timeout(_TIMEOUT):
        return await view
