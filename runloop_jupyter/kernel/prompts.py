"""Asks the user questions, through the front end's own prompt.

The event loop keeps running while a notebook's prompt is open, and Stop cancels the question.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ..errors import UsageError

_POLL_INTERVAL = 0.02  # seconds between checks whether the answer has arrived


async def ask(question: str, *, hidden: bool = False, printed: bool = False, instead: str = "") -> str:
    """Ask a question and return the answer.

    A `hidden` answer is not shown while it is typed. A question that is `printed` already is not repeated in a
    terminal. Raises `UsageError`, which says what to do `instead`, if nobody can answer.
    """
    from IPython.core.getipython import get_ipython

    kernel = getattr(get_ipython(), "kernel", None)
    if kernel is not None:
        return await _ask_front_end(kernel, question, hidden, instead)
    if not sys.stdin.isatty():
        raise _cannot_ask(question, instead)
    question = "" if printed else question
    return _ask_hidden(question) if hidden else await _ask_terminal(question)


def can_ask() -> bool:
    """True if somebody can answer: not if papermill, nbconvert or a script runs the code."""
    from IPython.core.getipython import get_ipython

    kernel = getattr(get_ipython(), "kernel", None)
    return sys.stdin.isatty() if kernel is None else bool(kernel._allow_stdin)


def is_live() -> bool:
    """True if somebody sees the cell while it runs: in a notebook, in a terminal or on a page of Voila.

    Voila runs a notebook as papermill does, without questions, but its page stays connected to the kernel.
    """
    return can_ask() or os.environ.get("SERVER_SOFTWARE", "").startswith("voila/")


def in_marimo() -> bool:
    """True in a cell of marimo, where there are widgets, but neither magics nor a prompt."""
    marimo = sys.modules.get("marimo")
    return marimo is not None and bool(marimo.running_in_notebook())


async def confirm(question: str, *, instead: str) -> bool:
    """Ask a yes-or-no question. True if the answer is yes; anything else means no."""
    answer = await ask(f"{question} [y/N] ", instead=instead)
    return answer.strip().lower() in ("y", "yes")


async def _ask_front_end(kernel: Any, question: str, hidden: bool, instead: str) -> str:
    if not kernel._allow_stdin:  # papermill, nbconvert
        raise _cannot_ask(question, instead)
    sys.stdout.flush()
    while _reply(kernel) is not None:
        pass  # discard the answer to a question that was cancelled
    # `kernel.raw_input` does the same but blocks the loop, so that no output would stream and no click be handled.
    content = {"prompt": question, "password": hidden}
    kernel.session.send(
        kernel.stdin_socket, "input_request", content, kernel.get_parent("shell"), ident=kernel._parent_ident["shell"]
    )
    while (answer := _reply(kernel)) is None:  # noqa: ASYNC110 - a ZeroMQ socket, on which nothing can wait here
        await asyncio.sleep(_POLL_INTERVAL)
    return answer


def _reply(kernel: Any) -> str | None:
    _, reply = kernel.session.recv(kernel.stdin_socket)
    return None if reply is None else str(reply["content"]["value"])


async def _ask_terminal(question: str) -> str:
    sys.stdout.write(question)
    sys.stdout.flush()
    if sys.platform == "win32":  # no loop can wait for a console there
        with _interruptible():
            return sys.stdin.readline().removesuffix("\n")
    loop, typed = asyncio.get_running_loop(), asyncio.Event()
    # The terminal is in line mode: once it is readable, a whole line can be read without blocking.
    loop.add_reader(sys.stdin.fileno(), typed.set)
    try:
        await typed.wait()
    finally:
        loop.remove_reader(sys.stdin.fileno())
    return sys.stdin.readline().removesuffix("\n")


def _ask_hidden(question: str) -> str:
    import getpass

    with _interruptible():
        return getpass.getpass(question)


@contextmanager
def _interruptible() -> Iterator[None]:
    """Have Ctrl-C raise KeyboardInterrupt in a body that blocks the loop, which could not cancel it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _cannot_ask(question: str, instead: str) -> UsageError:
    return UsageError(f"{question.strip()!r} cannot be asked here: nobody can answer. {instead}".strip())
