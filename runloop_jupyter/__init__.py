"""Runloop devboxes in Jupyter and IPython: `%load_ext runloop_jupyter`, then `%runloop`.

Cheap to import: everything heavy (SDK, HTTP client, embedded service) is imported when first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from IPython.core.interactiveshell import InteractiveShell

    from runloop_sdk import AsyncRunloopSDK

    from .rendering import Listing
    from .resource_panel.panel import Panel
    from .resources.devboxes import DevboxInfo
    from .results import DevboxResult

__all__ = ["exec", "load_ipython_extension", "panel", "sdk", "unload_ipython_extension"]


async def exec(  # noqa: A001 - what it is called everywhere else, too
    command: str,
    *,
    devbox: str | None = None,
    cwd: str | None = None,
    env: Mapping[str, str] | None = None,
    user: str | None = None,
    stdin: str | None = None,
    timeout: float | None = None,
    check: bool = True,
) -> DevboxResult:
    """The result of a shell command in a devbox, whose output is shown as it comes: `%devbox exec` from Python.

    It works in any Python: `await runloop_jupyter.exec("uname -a")` in a notebook, in marimo or in a program's own
    coroutine, `asyncio.run(runloop_jupyter.exec("uname -a"))` in a script. `devbox` is a name or an id; without it the
    current devbox is used, and one is created where there is none, which ends with this process. The command gets
    `stdin` as its input, and is killed after `timeout` seconds, or when the call is cancelled.

    Raises `DevboxCommandError`, which has the `.result`, for another exit code than 0 unless `check` is False, and
    `DevboxTimeoutError`.
    """
    from .commands.calls import call
    from .magics import current_session

    session = current_session()
    return await session.client.guard(
        call(session, command, devbox=devbox, cwd=cwd, env=env, user=user, stdin=stdin, timeout=timeout, check=check)
    )


def panel() -> Panel | Listing[DevboxInfo]:
    """The resource panel: devboxes, blueprints, snapshots and storage objects, live. `%runloop panel` shows it too.

    Where nobody watches, as when papermill runs the notebook, it is a table of the devboxes.
    """
    from .magics import current_session
    from .resource_panel import open_panel

    return open_panel(current_session())


async def sdk(*, keep: bool | None = None) -> AsyncRunloopSDK:
    """The async SDK, connected to what the magics use: `sdk = await runloop_jupyter.sdk()`. The kernel closes it.

    Devboxes that it creates end with the kernel, as those of `%devbox create` do. With `keep=True` they stay; None
    for what is set by `%config RunloopMagics.keep`. A keep-alive time that a request gives is left as it is.

    Raises `RemoteError` where the service is out of reach.
    """
    from .magics import current_session

    return await current_session().user_sdk(keep=keep)


def load_ipython_extension(shell: InteractiveShell) -> None:
    """Give `shell` the magics %runloop, %devbox and %%devbox."""
    from .magics import load

    load(shell)


def unload_ipython_extension(shell: InteractiveShell) -> None:
    """Take the magics away again and shut down the devboxes that this kernel created without --keep."""
    from .magics import unload

    unload(shell)
