"""Runs cells with IPython, if the devbox has it: with its magics, `In` and `Out`, and its formatters.

Displays go to the session's own, and errors are reported by the session, so that tracebacks have the notebook's line
numbers. There is no history on disk, and no colour.
"""

from __future__ import annotations

import builtins
import linecache
import os
import sys
import tempfile
import warnings
from types import ModuleType
from typing import Any, Callable, Coroutine, Mapping

from IPython import version_info
from IPython.core.compilerop import CachingCompiler
from IPython.core.displayhook import DisplayHook
from IPython.core.displaypub import DisplayPublisher
from IPython.core.formatters import DisplayFormatter, IPythonDisplayFormatter
from IPython.core.interactiveshell import InteractiveShell
from traitlets import Type
from traitlets.config import Config

from .cells import NAME, run_line
from .displays import bundle as own_bundle
from .displays import is_figure_or_chart, plain, write_stderr
from .ipython_display import Displays

_OLDEST = 8


class IPythonCells:
    """Runs cells in a module's namespace.

    `await_` awaits a coroutine on the session's loop; `call` calls a function while that loop counts as running.
    """

    def __init__(
        self,
        module: ModuleType,
        displays: Displays,
        await_: Callable[[Coroutine[object, None, object]], object],
        call: Callable[[Callable[[], object]], object],
    ) -> None:
        if version_info[0] < _OLDEST:
            raise ImportError(f"IPython {version_info[0]} is older than {_OLDEST}")
        _Hook.displays = _Publisher.displays = displays
        self._await, self._call = await_, call
        self._shell = _started(module)

    def run(self, code: str, offset: int, number: int) -> None:
        """Run a cell. Raises whatever the cell raises."""
        shell = self._shell
        shell.compile.place(offset, number)
        error: Any = None
        try:
            transformed = shell.transform_cell(code)
        except Exception as mistake:  # noqa: BLE001 - run_cell_async reports it
            transformed, error = code, (type(mistake), mistake, mistake.__traceback__)
        cell = {"store_history": True, "transformed_cell": transformed, "preprocessing_exc_tuple": error}
        result: Any = None
        try:
            asynchronous = error is None and shell.should_run_async(code, transformed_cell=transformed)
            coroutine = shell.run_cell_async(code, **cell)
            result = self._await(coroutine) if asynchronous else self._call(lambda: _driven(coroutine))
        finally:
            shell.events.trigger("post_execute")
            shell.events.trigger("post_run_cell", result)
        raised = result.error_before_exec or result.error_in_exec
        if raised is not None:
            raise raised


class _Compiler(CachingCompiler):  # type: ignore[misc, unused-ignore]
    """Names cells as the session does, with the line numbers that they have in the notebook."""

    _offset, _number = 0, 0

    def place(self, offset: int, number: int) -> None:
        self._offset, self._number = offset, number

    def get_code_name(self, raw_code: str, transformed_code: str, number: int) -> str:
        return f"{NAME}{self._number}>"

    def cache(self, transformed_code: str, number: int = 0, raw_code: str | None = None) -> str:
        name: str = super().cache(transformed_code, number, raw_code)
        source = "\n" * self._offset + (raw_code or transformed_code)
        linecache.cache[name] = (len(source), None, source.splitlines(keepends=True), name)
        return name

    def ast_parse(self, source: str, filename: str = "<unknown>", symbol: str = "exec") -> Any:
        above = "\n" * self._offset if filename.startswith(NAME) else ""
        return super().ast_parse(above + source, filename, symbol)


class _SelfDisplay(IPythonDisplayFormatter):  # type: ignore[misc, unused-ignore]
    """Remembers whether the last object displayed itself."""

    has_shown = False

    def __call__(self, obj: object) -> bool:
        self.has_shown = bool(super().__call__(obj))
        return self.has_shown


class _Formatter(DisplayFormatter):  # type: ignore[misc, unused-ignore]
    """IPython's formatters, with figures that only a notebook's front end could draw, and a text for every object."""

    def format(self, obj: object, include: object = None, exclude: object = None) -> Any:
        if is_figure_or_chart(obj):
            return own_bundle(obj) or {}, {}
        formats: Any = super().format
        data, metadata = formats(obj, include, exclude)
        if not data and not self.ipython_display_formatter.has_shown:
            data = {"text/plain": plain(obj)}
        return data, metadata


class _Hook(DisplayHook):  # type: ignore[misc, unused-ignore]
    displays: Displays

    def start_displayhook(self) -> None:
        """Do nothing: there is no prompt."""

    def write_output_prompt(self) -> None:
        """Do nothing."""

    def write_format_data(self, format_dict: Mapping[str, object], md_dict: object = None) -> None:
        self.displays.show(format_dict)

    def finish_displayhook(self) -> None:
        """Do nothing."""


class _Publisher(DisplayPublisher):  # type: ignore[misc, unused-ignore]
    displays: Displays

    def publish(self, data: Any, metadata: object = None, *_arguments: object, **options: Any) -> None:
        self.displays.publish(data, metadata, **options)

    def clear_output(self, wait: bool = False) -> None:
        self.displays.clear_output(wait)


class _Shell(InteractiveShell):  # type: ignore[misc, unused-ignore]
    compiler_class = Type(_Compiler)
    displayhook_class = Type(_Hook)
    display_pub_class = Type(_Publisher)

    def init_display_formatter(self) -> None:
        self.display_formatter = _Formatter(parent=self)
        self.display_formatter.ipython_display_formatter = _SelfDisplay(parent=self.display_formatter)
        parts: Any = self.configurables
        parts.append(self.display_formatter)

    def init_virtualenv(self) -> None:
        """Do nothing: the interpreter is the one that the user chose."""

    def showtraceback(self, exc_tuple: object = None, *_arguments: object, **_options: object) -> None:
        """Keep the error for `%debug`. Only an error of a formatter is reported here, all others by the session."""
        found: Any = self._get_exc_info
        kind, error, frames = found(exc_tuple)
        formats = frames.tb_frame.f_locals if frames is not None else {}
        name = getattr(formats.get("self"), "print_method", None)
        if name is not None and name != "_repr_pretty_" and formats.get("args"):
            reason = f"{kind.__name__}: {error}".strip().partition("\n")[0]
            write_stderr(f"{type(formats['args'][0]).__name__}.{name} failed: {reason}\n")

    def showsyntaxerror(self, *_arguments: object, **_options: object) -> None:
        """Do nothing: the session reports it."""

    def showindentationerror(self) -> None:
        """Do nothing."""


def _started(module: ModuleType) -> Any:
    """Start the process's only shell."""
    leave = {name: getattr(builtins, name) for name in ("exit", "quit") if hasattr(builtins, name)}
    shell: Any = _Shell
    shell = shell.instance(config=_config(), user_module=module, ipython_dir=_folder())
    shell.system = shell.system_raw
    shell.user_ns.update(leave)  # they end the cell, with an exit code
    shell.user_ns_hidden.update(leave)
    shell.set_hook("show_in_pager", _page)
    for name in ("pip", "matplotlib"):
        shell.register_magic_function(_line_of(name), "line", name)
    warnings.filterwarnings("ignore", message="To exit: use")
    return shell


def _config() -> Config:
    config = Config()
    config.HistoryManager.enabled = False
    config.InteractiveShell.colors = "nocolor" if version_info[0] >= 9 else "NoColor"
    config.InteractiveShell.autocall = 0
    return config


def _folder() -> str:
    """IPython's own folder: beside the sessions, not in the user's home."""
    return os.path.join(tempfile.gettempdir(), f"runloop-python-{os.getuid()}", "ipython")


def _driven(coroutine: Coroutine[object, None, object]) -> object:
    """The result of a coroutine that awaits nothing."""
    try:
        coroutine.send(None)
    except StopIteration as end:
        return end.value
    finally:
        coroutine.close()
    raise RuntimeError("a cell without await has waited")


def _line_of(name: str) -> Callable[[str], None]:
    return lambda line: run_line(f"%{name} {line}")


def _page(_shell: object, data: object, start: int = 0, screen_lines: int = 0) -> None:
    """Print the text of `name?`, which IPython would show in a pager."""
    sys.stdout.write(f"{data.get('text/plain', '') if isinstance(data, dict) else data}\n")
