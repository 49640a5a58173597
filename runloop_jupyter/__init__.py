"""Runloop devboxes in Jupyter and IPython: `%load_ext runloop_jupyter`, then `%runloop`.

Cheap to import: everything heavy (SDK, HTTP client, embedded service) is imported when first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from runloop_sdk import AsyncRunloopSDK

    from .rendering import Listing
    from .resource_panel.panel import Panel
    from .resources.devboxes import DevboxInfo

__all__ = ["load_ipython_extension", "panel", "sdk", "unload_ipython_extension"]


def panel() -> Panel | Listing[DevboxInfo]:
    """The resource panel: devboxes, blueprints, snapshots and storage objects, live. `%runloop panel` shows it too.

    Where nobody watches, as when papermill runs the notebook, it is a table of the devboxes.
    """
    from .magics import session_of_this_shell
    from .resource_panel import open_panel

    return open_panel(session_of_this_shell())


async def sdk(*, keep: bool | None = None) -> AsyncRunloopSDK:
    """The async SDK, connected to what the magics use: `sdk = await runloop_jupyter.sdk()`. The kernel closes it.

    Devboxes that it creates end with the kernel, as those of `%devbox create` do. With `keep=True` they stay; None
    for what is set by `%config RunloopMagics.keep`. A keep-alive time that a request gives is left as it is.

    Raises `UsageError` outside of IPython, `RemoteError` where the service is out of reach.
    """
    from .magics import session_of_this_shell

    return await session_of_this_shell().user_sdk(keep=keep)


def load_ipython_extension(shell: InteractiveShell) -> None:
    """Give `shell` the magics %runloop, %devbox and %%devbox."""
    from .magics import load

    load(shell)


def unload_ipython_extension(shell: InteractiveShell) -> None:
    """Take the magics away again and shut down the devboxes that this kernel created without --keep."""
    from .magics import unload

    unload(shell)
