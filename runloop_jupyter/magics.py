"""%runloop, %devbox and %%devbox: parse the line, run the subcommand, hand back what it made."""

from __future__ import annotations

import atexit
import reprlib
import sys
from collections.abc import Callable, Coroutine
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

from IPython.core.magic import Magics, line_cell_magic, magics_class, needs_local_scope, no_var_expand
from traitlets import Bool, Int, List, TraitError, Unicode, validate
from traitlets.config import Config

from .kernel import input_lines
from .kernel.preload import Preload
from .lab import NotebookComm
from .output import displays

if TYPE_CHECKING:
    from IPython.core.completer import CompletionContext, SimpleMatcherResult
    from IPython.core.interactiveshell import InteractiveShell
    from traitlets import Bunch

    from .commands.noun import Noun
    from .completion import Completer
    from .session import Session
    from .settings import Settings

T = TypeVar("T")

_SNIPPETS = [
    "python3 -m pip install -q ",
    "python3 -m venv ~/venv && . ~/venv/bin/activate",
    "git clone --depth 1 https://github.com/",
    "sudo apt-get update -qq && sudo apt-get install -yqq ",
    "curl -fsSLO https://",
    "set -euo pipefail",
    "du -sh -- * | sort -h",
]
_NAMES = (("line", "runloop"), ("cell", "runloop"), ("line", "devbox"), ("cell", "devbox"))


def load(shell: InteractiveShell) -> None:
    """Register the magics, their completion, and how the SDK's objects show."""
    magics = RunloopMagics(shell)
    for sentence in magics.refused:
        sys.stderr.write(f"{sentence}\n")
    shell.register_magics(magics)
    shell.Completer.custom_matchers.append(magics.matcher)
    input_lines.add(shell)
    displays.register(shell)
    magics.notebook_comm.open()
    magics.preload.start()


def unload(shell: InteractiveShell) -> None:
    """Undo `load`, down to magics of the same names that were there before."""
    manager = shell.magics_manager
    magics = manager.registry.pop(RunloopMagics.__name__, None)
    if not isinstance(magics, RunloopMagics):
        return
    magics.notebook_comm.close()
    magics.close()
    shell.Completer.custom_matchers.remove(magics.matcher)
    input_lines.remove(shell)
    displays.unregister(shell)
    shell.configurables[:] = [each for each in shell.configurables if not isinstance(each, RunloopMagics)]
    for kind, name in _NAMES:
        before = magics.displaced[kind, name]
        manager.magics[kind].update({name: before}) if before else manager.magics[kind].pop(name, None)


def current_session() -> Session:
    """The session of the magics in the running shell, which are loaded if need be; outside of IPython the process's."""
    from IPython.core.getipython import get_ipython

    shell: Any = get_ipython()
    if shell is None:
        from .session import session_of_this_process

        return session_of_this_process()
    if RunloopMagics.__name__ not in shell.magics_manager.registry:
        shell.extension_manager.load_extension("runloop_jupyter")
    magics: RunloopMagics = shell.magics_manager.registry[RunloopMagics.__name__]
    return magics.session


@magics_class
class RunloopMagics(Magics):
    """The magics of one shell, around its session."""

    keep_alive = Unicode(
        "",
        help="How long a devbox outlives a kernel that its service cannot see, with keep any: 90s, 2h. Unless set, "
        "10m, with keep 1h.",
    ).tag(config=True)
    keep = Bool(False, help="Whether new devboxes stay when the kernel ends.").tag(config=True)
    size = Unicode("", help="The size of new devboxes: x_small, small, medium, large, x_large, xx_large.").tag(
        config=True
    )
    blueprint = Unicode("", help="The blueprint that new devboxes start from, a name or an id.").tag(config=True)
    start_timeout = Unicode(
        "",
        help="How long a cell waits for the embedded service to start: 90s, 5m. Unless set, the number of seconds in "
        "RUNLOOP_LOCAL_START_TIMEOUT, else 60.",
    ).tag(config=True)
    frame_network = Bool(
        False, help="Whether plots and other output with scripts may load what is elsewhere: libraries, maps."
    ).tag(config=True)
    columns = Int(
        0,
        help="How many characters wide commands take the cell to be, 20 to 500. Unless set, 100, in a terminal as "
        "wide as that is.",
    ).tag(config=True)
    snippets = List(Unicode(), _SNIPPETS, help="Lines that Tab offers where a shell command begins.").tag(config=True)

    @validate("keep_alive", "start_timeout")
    def _check_duration(self, proposal: Bunch) -> str:
        text = str(proposal["value"])
        if not text:
            return text
        from .resources.api_limits import LONGEST_KEEP_ALIVE
        from .text.durations import parse_duration

        try:
            seconds = parse_duration(text)
        except ValueError as error:
            raise TraitError(str(error)) from error
        if not 1 <= seconds <= LONGEST_KEEP_ALIVE:
            raise TraitError(f"{text!r} is out of range: from 1s to 48h")
        return text

    @validate("columns")
    def _check_columns(self, proposal: Bunch) -> int:
        columns = int(proposal["value"])
        if columns and not 20 <= columns <= 500:
            raise TraitError(f"{columns} is out of range: from 20 to 500 columns")
        return columns

    @validate("size")
    def _check_size(self, proposal: Bunch) -> str:
        from .resources.api_limits import SIZES

        size = str(proposal["value"]).lower().replace("-", "_")
        if size and size not in SIZES:
            raise TraitError(f"{proposal['value']!r} is not a size: choose one of {', '.join(SIZES)}")
        return size

    def _settings(self) -> Settings:
        from .settings import Settings
        from .text.durations import parse_duration

        seconds = parse_duration(self.keep_alive) if self.keep_alive else None
        limit = parse_duration(self.start_timeout) if self.start_timeout else None
        return Settings(
            seconds, self.keep, self.size, self.blueprint, limit, self.frame_network, self.columns, self.refused
        )

    def __init__(self, shell: InteractiveShell) -> None:
        self.refused: tuple[str, ...] = ()
        super().__init__(shell=shell)
        self.displaced = {(kind, name): shell.magics_manager.magics[kind].get(name) for kind, name in _NAMES}
        self._namespace = shell.user_ns
        self._hidden = shell.user_ns_hidden
        self.matcher = _matcher(self)
        self.notebook_comm = NotebookComm(shell, lambda: self.session)
        self.preload = Preload()

    def _load_config(self, cfg: Config, section_names: Any = None, traits: Any = None) -> None:
        """Take each value that fits by itself: one that does not must not keep the magics from being loaded."""
        from .errors import did_you_mean

        known, refused = self.trait_names(config=True), []
        for name, value in self._find_my_config(cfg).items():
            if name not in known:
                refused.append(
                    f"RunloopMagics has no setting {name!r}.{did_you_mean(name, known)} %runloop config shows all."
                )
                continue
            try:
                super()._load_config(Config({type(self).__name__: {name: value}}), section_names, traits)
            except Exception as error:  # noqa: BLE001 - a configuration file may hold anything
                refused.append(_refusal(name, value, error, getattr(self, name)))
        self.refused = tuple(refused)

    def update_config(self, config: Config) -> None:
        """Set what %config says. Raises `TraitError` about what does not fit."""
        before = self.refused
        super().update_config(config)
        refused, self.refused = self.refused, before
        if refused:
            raise TraitError(" ".join(refused))

    @cached_property
    def session(self) -> Session:
        """Made at first use; what it creates ends with the kernel."""
        from .session import Session

        session = Session(settings=self._settings)
        atexit.register(session.end)
        self.notebook_comm.follow(session)
        return session

    @cached_property
    def completer(self) -> Completer:
        """Made when first asked for a completion."""
        from .completion import Completer

        return Completer(self.session, self._variables, lambda: self.snippets)

    def _variables(self) -> list[str]:
        return [name for name in self._namespace if name not in self._hidden and not name.startswith("_")]

    @no_var_expand
    @needs_local_scope
    @line_cell_magic
    def runloop(self, line: str, cell: str | None = None, local_ns: dict[str, object] | None = None) -> object:
        """Runloop in this notebook; alone it shows the connection, the devboxes and what can be typed.

        %runloop devbox|blueprint|snapshot|object|secret|policy VERB   work with one kind of resource
        %runloop VERB                                                  the connection and this kernel

        %runloop --help lists all; %runloop NOUN VERB --help explains one.
        """
        from .commands import asks_for_help, resolve, usage

        noun, verb, rest = resolve(line)
        if verb:
            return self._command(noun, verb, rest, cell, local_ns)
        if cell is not None and not asks_for_help(line):
            raise noun.verb_is_missing()
        if noun.typed != "%runloop":
            return self.session.say(noun.usage())
        if line.strip():
            return self.session.say(usage())
        return self._command(noun, "overview", "", cell, local_ns)

    @no_var_expand
    @needs_local_scope
    @line_cell_magic
    def devbox(self, line: str, cell: str | None = None, local_ns: dict[str, object] | None = None) -> object:
        """Work with Runloop devboxes: isolated Linux machines that run a notebook's commands.

        %devbox create | use | list | info | exec | upload | download | snapshot | shutdown ...
        %%devbox exec   runs the cell as a shell script in the current devbox, its output streaming in

        %devbox --help lists them; %devbox VERB --help explains one.
        """
        from .commands import DEVBOX, asks_for_help, resolve

        noun, verb, rest = resolve(line, DEVBOX)
        if verb:
            return self._command(noun, verb, rest, cell, local_ns)
        if cell is not None and not asks_for_help(line):
            raise noun.verb_is_missing()
        return self.session.say(noun.usage())

    def _command(
        self, noun: Noun, verb: str, line: str, cell: str | None, local_ns: dict[str, object] | None
    ) -> object:
        from .commands.parser import HelpRequested
        from .text.templates import evaluator
        from .variables import Variables

        command = noun.load(verb)
        parser = noun.parser(verb)
        evaluate = evaluator(self._namespace, local_ns, hint="--template" in parser.options_by_name)
        try:
            options = parser.parse(line, cell, evaluate, Variables(self._namespace, local_ns))
        except HelpRequested as help_text:
            return self.session.say(str(help_text))
        doing = "" if parser.shows_output or parser.shows_progress else parser.prog
        self.session.printed.forget()  # completion asks anew for what this may change
        return self._run(lambda: command.run(self.session, options), doing)

    def close(self) -> None:
        """End the session, if there is one: its panels and connections, and the devboxes that it created."""
        from .kernel import loop

        if "session" not in vars(self):
            return
        atexit.unregister(self.session.end)
        loop.run(self.session.close())

    def _run(self, work: Callable[[], Coroutine[object, None, T]], doing: str) -> T:
        from .errors import error_lines
        from .kernel import loop

        async def guarded() -> T:
            # Begun on the loop: where that cannot be had, nothing is.
            return await self.session.client.guard(work(), doing)

        try:
            with self.preload.paused():
                return loop.run(guarded())
        except KeyboardInterrupt as stop:
            lines = error_lines("KeyboardInterrupt", _stopped(stop))
            vars(stop)["_render_traceback_"] = lambda: lines  # IPython asks the exception itself how to show it
            raise
        finally:
            sys.stdout.flush()  # streamed output goes another way than prints: what is printed next comes after it


def _refusal(name: str, value: object, error: Exception, kept: object) -> str:
    reason = str(error).rstrip(".").removeprefix(f"The {name!r} trait of a RunloopMagics instance ")
    return f"RunloopMagics.{name} = {reprlib.repr(value)} is not used ({reason}): it stays {reprlib.repr(kept)}."


def _stopped(stop: KeyboardInterrupt) -> str:
    return f"stopped, but the clean-up failed: {stop.__cause__}" if stop.__cause__ else "stopped."


def _matcher(magics: RunloopMagics) -> Any:
    """The completion of %devbox lines; what finds them is imported when first asked."""
    from IPython.core.completer import context_matcher

    @context_matcher(identifier="runloop_jupyter", priority=100)  # type: ignore[untyped-decorator]  # has no types
    def devbox_matcher(context: CompletionContext) -> SimpleMatcherResult:
        return magics.completer.complete(context.text_until_cursor, context.full_text)

    return devbox_matcher
