"""%runloop, %devbox and %%devbox: parse the line, run the subcommand, hand back what it made."""

from __future__ import annotations

import atexit
import sys
from collections.abc import Coroutine
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

from IPython.core.magic import Magics, line_cell_magic, line_magic, magics_class, needs_local_scope, no_var_expand

if TYPE_CHECKING:
    import argparse

    from IPython.core.completer import CompletionContext, SimpleMatcherResult
    from IPython.core.interactiveshell import InteractiveShell

    from .errors import UsageError
    from .results import DevboxResult
    from .session import Session
    from .templates import Evaluate

T = TypeVar("T")

_NAMES = (("line", "runloop"), ("line", "devbox"), ("cell", "devbox"))
_HELP = ("", "help", "-h", "--help")


def load(shell: InteractiveShell) -> None:
    """Register the magics and their completion."""
    magics = RunloopMagics(shell)
    shell.register_magics(magics)
    shell.Completer.custom_matchers.append(magics.matcher)


def unload(shell: InteractiveShell) -> None:
    """Undo `load`, down to magics of the same names that were there before."""
    manager = shell.magics_manager
    magics = manager.registry.pop(RunloopMagics.__name__, None)
    if not isinstance(magics, RunloopMagics):
        return
    magics.close()
    shell.Completer.custom_matchers.remove(magics.matcher)
    shell.configurables[:] = [each for each in shell.configurables if not isinstance(each, RunloopMagics)]
    for kind, name in _NAMES:
        before = magics.displaced[kind, name]
        manager.magics[kind].update({name: before}) if before else manager.magics[kind].pop(name, None)


@magics_class
class RunloopMagics(Magics):
    """The magics of one shell, around its session."""

    def __init__(self, shell: InteractiveShell) -> None:
        super().__init__(shell=shell)
        self.displaced = {(kind, name): shell.magics_manager.magics[kind].get(name) for kind, name in _NAMES}
        self._namespace = shell.user_ns
        self.matcher = _matcher(self)

    @cached_property
    def session(self) -> Session:
        """Made at first use; what it creates ends with the kernel."""
        from .session import Session

        session = Session()
        atexit.register(session.end)
        return session

    @no_var_expand
    @line_magic
    def runloop(self, line: str) -> object:
        """Show what this notebook is connected to, the devboxes, and what can be typed."""
        from .commands import overview

        if line.strip():
            raise _unknown(line.split()[0])
        return self._run(overview.run(self.session), "asking")

    @no_var_expand
    @needs_local_scope
    @line_cell_magic
    def devbox(self, line: str, cell: str | None = None, local_ns: dict[str, Any] | None = None) -> object:
        """Work with Runloop devboxes: isolated Linux machines that run a notebook's commands.

        %devbox create | use | list | info | exec | suspend | resume | shutdown
        %%devbox exec   runs the cell as a shell script in the current devbox, its output streaming in

        %devbox --help lists them; %devbox VERB --help explains one.
        """
        from .commands import load, usage
        from .commands.parser import HelpRequested
        from .errors import UsageError
        from .templates import evaluator

        verb, rest = _first_word(line)
        if verb in _HELP:
            return self.session.say(usage())
        command, evaluate = load(verb), evaluator(self._namespace, local_ns, hint=verb == "exec")
        try:
            args = command.parser().parse_line(rest, evaluate)
        except HelpRequested as help_text:
            return self.session.say(str(help_text))
        if verb == "exec":
            self._take_cell(args, cell, evaluate)
        elif cell is not None:
            raise UsageError(f"%%devbox {verb} takes no cell: write %devbox {verb}, or %%devbox exec to run a cell.")
        result = self._run(command.run(self.session, args), "" if verb == "exec" else f"%devbox {verb}")
        return result if cell is None else None

    def close(self) -> None:
        """End the session, if there is one: its connections, and the devboxes that it created."""
        from . import loop

        if "session" not in vars(self):
            return
        atexit.unregister(self.session.end)
        self.session.end()
        loop.run(self.session.disconnect())

    def _take_cell(self, args: argparse.Namespace, cell: str | None, evaluate: Evaluate) -> None:
        from .errors import UsageError
        from .templates import expand

        def keep(result: DevboxResult) -> None:
            wanted = {args.out: "stdout", args.err: "stderr"}
            self._namespace.update({name: getattr(result, text) for name, text in wanted.items() if name})
            if args.result:
                self._namespace[args.result] = result

        args.keep_result, args.show_status = keep, cell is not None
        if cell is None:
            return
        if args.command:
            raise UsageError(f"{args.command!r} follows %%devbox exec: the command belongs below it, in the cell.")
        args.command = cell if args.template == "off" else expand(cell, evaluate)

    def _run(self, work: Coroutine[Any, Any, T], doing: str) -> T:
        from . import loop
        from .errors import error_lines

        try:
            return loop.run(self.session.guard(work, doing))
        except KeyboardInterrupt as stop:
            lines = error_lines("KeyboardInterrupt", _stopped(stop))
            vars(stop)["_render_traceback_"] = lambda: lines  # IPython asks the exception itself how to show it
            raise
        finally:
            sys.stdout.flush()  # streamed output goes another way than prints: what is printed next comes after it


def _unknown(word: str) -> UsageError:
    from .commands import VERBS
    from .errors import UsageError

    instead = f"%devbox {word}" if word in VERBS else "%devbox --help"
    return UsageError(f"%runloop takes nothing after it, not {word!r}. Try {instead}.")


def _stopped(stop: KeyboardInterrupt) -> str:
    return f"stopped, but the clean-up failed: {stop.__cause__}" if stop.__cause__ else "stopped."


def _first_word(line: str) -> tuple[str, str]:
    word, *rest = line.split(maxsplit=1) or [""]
    return word, rest[0] if rest else ""


def _matcher(magics: RunloopMagics) -> Any:
    """The completion of %devbox lines; what finds them is imported when first asked."""
    from IPython.core.completer import context_matcher

    @context_matcher(identifier="runloop_jupyter")  # type: ignore[untyped-decorator]  # IPython's has no types
    def devbox_matcher(context: CompletionContext) -> SimpleMatcherResult:
        from .completion import complete

        return complete(magics.session, context.text_until_cursor)

    return devbox_matcher
