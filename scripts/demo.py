"""Run a notebook and show each cell with its output as it comes: `python scripts/demo.py NOTEBOOK`.

Only for looking: the notebook file stays as it is.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

BOLD, DIM, BLUE, RED, RESET = "\033[1m", "\033[2m", "\033[34m", "\033[31m", "\033[0m"


class Presenter(NotebookClient):
    """Executes a notebook and prints what a reader of it would see."""

    def process_message(self, msg: dict[str, Any], cell: Any, cell_index: int) -> Any:
        """Show a message of the kernel, then let nbclient store it."""
        content = msg["content"]
        if msg["msg_type"] == "stream":
            print(content["text"], end="", flush=True)
        elif msg["msg_type"] in ("execute_result", "display_data"):
            print(content["data"].get("text/plain", ""), flush=True)
        elif msg["msg_type"] == "error":
            print("\n".join(content["traceback"]), flush=True)
        return super().process_message(msg, cell, cell_index)


def present(path: Path) -> None:
    """Print the notebook's cells in order, each followed by what it does."""
    notebook = nbformat.read(path, as_version=4)
    # ipykernel warns of its own TCP transport at every start; that is no news of this notebook.
    client = Presenter(notebook, timeout=None, extra_arguments=["--log-level=ERROR"])
    started = time.perf_counter()
    with client.setup_kernel():
        for index, cell in enumerate(notebook.cells):
            if cell.cell_type != "code":
                print(f"\n{BOLD}{cell.source}{RESET}")
                continue
            print(f"\n{BLUE}In [{client.code_cells_executed + 1}]:{RESET} " + cell.source.replace("\n", "\n        "))
            print(f"{DIM}{'─' * 80}{RESET}")
            client.execute_cell(cell, index)
    print(f"\n{DIM}{path} ran in {time.perf_counter() - started:.1f} s.{RESET}")


def main() -> int:
    """Exit status 0 when every cell ran."""
    try:
        present(Path(sys.argv[1]))
    except CellExecutionError:
        print(f"{RED}The notebook stopped at the cell above.{RESET}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
