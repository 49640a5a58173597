"""Runloop devboxes in Jupyter and IPython: `%load_ext runloop_jupyter`, then `%runloop`.

Cheap to import: everything heavy (SDK, HTTP client, embedded service) is imported when first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

__all__ = ["load_ipython_extension", "unload_ipython_extension"]


def load_ipython_extension(shell: InteractiveShell) -> None:
    """Give `shell` the magics %runloop, %devbox and %%devbox."""
    from .magics import load

    load(shell)


def unload_ipython_extension(shell: InteractiveShell) -> None:
    """Take the magics away again and shut down the devboxes that this kernel created without --keep."""
    from .magics import unload

    unload(shell)
