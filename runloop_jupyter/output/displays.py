"""How the SDK's own objects show as the last value of a cell: as cards, instead of `<AsyncDevbox dbx_...>`.

IPython is told the names of the classes only: the SDK is not imported for it.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

_TIMEOUT = 1.0  # seconds that a card waits for the state of what it shows
_LISTS = ("_pagination.Page",)
_KNOWN = ("models._view.View", "resources.execution.AsyncExecutionResult")
"""What is shown as it is."""
_ASKED = (
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
"""What is shown as the service says that it is now."""


def register(shell: InteractiveShell) -> None:
    """Show them as cards from now on."""
    formatter = _html(shell)
    for names, show in ((_LISTS, _table), (_KNOWN, _card), (_ASKED, _card_of_now)):
        for name in names:
            module, _, kind = f"runloop_sdk.{name}".rpartition(".")
            formatter.for_type_by_name(module, kind, show)


def unregister(shell: InteractiveShell) -> None:
    """Show them as they show themselves again."""
    formatter = _html(shell)
    for name in (*_LISTS, *_KNOWN, *_ASKED):
        formatter.pop(f"runloop_sdk.{name}", None)


def _html(shell: InteractiveShell) -> Any:
    assert shell.display_formatter is not None
    return shell.display_formatter.formatters["text/html"]


def _table(page: Any) -> str:
    from ..rendering.cards import table_of

    return table_of(page)._repr_html_()


def _card(thing: object) -> str:
    from ..rendering.cards import card_of

    return card_of(thing)._repr_html_()


def _card_of_now(resource: Any) -> str | None:
    """The card; None, and thus the plain text, where nobody says in time how the resource is."""
    from runloop_sdk import RunloopError

    from ..kernel import loop

    try:
        return _card(loop.run(_soon(_look(resource))))
    except (RunloopError, TimeoutError):
        return None


async def _look(resource: Any) -> Any:
    """What the service says of it now, by the name that the SDK has for that."""
    names = ("get_info", "refresh", "get_state")
    return await next(getattr(resource, name) for name in names if hasattr(resource, name))()


async def _soon(view: Awaitable[Any]) -> Any:
    import asyncio

    async with asyncio.timeout(_TIMEOUT):
        return await view
