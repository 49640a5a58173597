"""`runloop-local`, or `python -m runloop_local`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from . import service
from .command_line import run

if TYPE_CHECKING:
    from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; exits with status 1 and one sentence on failure."""
    try:
        run(arguments)
    except service.ServiceError as error:
        sys.exit(f"runloop-local: {error}")


if __name__ == "__main__":
    main()
