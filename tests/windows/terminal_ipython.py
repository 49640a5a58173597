"""Runs cells of IPython as on Windows, on a loop of the kind that it has there: given as arguments, one by one.

With `--running` the loop runs while a cell's magic is called, as in a kernel.
"""

import asyncio
import sys

from tests.windows.as_windows import pretend
from tests.windows.proactor import ProactorLoop, ProactorPolicy


def main(*cells: str) -> None:
    pretend()
    asyncio.set_event_loop_policy(ProactorPolicy())
    from IPython.core.interactiveshell import InteractiveShell

    shell = InteractiveShell.instance()
    if cells[0] == "--running":
        asyncio.run(_run_all(shell, cells[1:]))
        return
    for cell in cells:
        shell.run_cell(cell).raise_error()


async def _run_all(shell: "InteractiveShell", cells: tuple[str, ...]) -> None:  # type: ignore[name-defined]  # noqa: F821
    assert isinstance(asyncio.get_running_loop(), ProactorLoop)
    for cell in cells:
        (await shell.run_cell_async(cell, transformed_cell=shell.transform_cell(cell))).raise_error()


if __name__ == "__main__":
    main(*sys.argv[1:])
