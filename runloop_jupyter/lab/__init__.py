"""The kernel's side of the JupyterLab extension: the comm between the kernel and the page of its notebook.

It is opened when the magics are loaded, and so costs next to nothing: what answers the page is imported when the page,
if it has the extension, says hello. A page that comes later, as after a reload, finds the comm by its target.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from ..session import Session
    from .notebook_page import NotebookPage

TARGET = "runloop_jupyter"


class NotebookComm:
    """The comm of one shell. `make_session` returns the notebook's session, made if need be."""

    def __init__(self, shell: InteractiveShell, make_session: Callable[[], Session]) -> None:
        self._shell = shell
        self._make_session = make_session
        self._session: Session | None = None
        self._comm: Any = None
        self._page: NotebookPage | None = None
        self._waits = False
        self._cell_runs = False

    def open(self) -> None:
        """Open it, or else before the first cell that somebody watches: programs that run notebooks warn about it."""
        kernel = getattr(self._shell, "kernel", None)
        if kernel is None:  # a terminal
            return
        if getattr(kernel, "_allow_stdin", False):
            self._stop_waiting()
            self._open()
            self._note_cells()
        elif not self._waits:
            self._shell.events.register("pre_run_cell", self._try_again)
            self._waits = True

    def close(self) -> None:
        """Close it, and end what it has shown."""
        self._stop_waiting()
        comm, self._comm = self._comm, None
        if comm is not None:
            self._shell.events.unregister("pre_run_cell", self._cell_begins)
            self._shell.events.unregister("post_run_cell", self._cell_ends)
            comm.close()
        self._end_page()

    def follow(self, session: Session) -> None:
        """Tell the page about this session's devbox from now on."""
        self._session = session
        if self._page is not None:
            self._page.follow(session)

    def _try_again(self, _: object) -> None:
        self.open()

    def _stop_waiting(self) -> None:
        if self._waits:
            self._shell.events.unregister("pre_run_cell", self._try_again)
            self._waits = False

    def _note_cells(self) -> None:
        self._cell_runs = True  # the one that loads the magics, or the first that is watched
        self._shell.events.register("pre_run_cell", self._cell_begins)
        self._shell.events.register("post_run_cell", self._cell_ends)

    def _cell_begins(self, _: object) -> None:
        self._cell_runs = True

    def _cell_ends(self, _: object) -> None:
        self._cell_runs = False

    def _open(self) -> None:
        from comm import create_comm

        self._comm = create_comm(target_name=TARGET)
        self._comm.on_msg(self._receive)
        self._comm.on_close(lambda _: self._end_page())  # a page without the extension closes what it does not know

    def _receive(self, message: Mapping[str, Any]) -> None:
        self._answering_page().receive(message["content"]["data"], message.get("buffers", ()))

    def _answering_page(self) -> NotebookPage:
        if self._page is None:
            from .notebook_page import NotebookPage

            self._page = NotebookPage(self._shell, self._send, self._make_session, lambda: self._cell_runs)
            if self._session is not None:
                self._page.follow(self._session)
        return self._page

    def _send(self, content: dict[str, Any], buffers: list[bytes]) -> None:
        if self._comm is not None:
            self._comm.send(content, buffers=buffers)

    def _end_page(self) -> None:
        page, self._page = self._page, None
        if page is not None:
            page.close()
