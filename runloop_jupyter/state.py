"""The folder of the files that the extension keeps for itself: what kernels made, what they ran.

Nothing in it is worth a cell: where it cannot be used, the user hears so once, and all goes on in memory.
"""

from __future__ import annotations

import errno
import fcntl
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import MISSING, fields
from functools import cache
from pathlib import Path
from typing import TypeVar, get_type_hints

from runloop_local import private_folder

from .errors import UsageError

_FILES = ("kernels", "ssh", "executions.jsonl*", "tmp*")
"""What the folder holds."""
_VARIABLE = "RUNLOOP_JUPYTER_HOME"
_MOVE = f"set {_VARIABLE} to a folder of your own."
_TRIED = 4096  # bytes
_NAME = "runloop-jupyter"
_MOST = 1e12  # seconds since 1970 that a clock may show

E = TypeVar("E")


class StateFolder:
    """This user's folder. `say` takes the one sentence about one that cannot be used."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._told: set[str] = set()

    @property
    def path(self) -> Path:
        """Where it is, which the environment may change at any time.

        Raises OSError where there is no such place, or other accounts could have put there what we would read.
        """
        found = home()
        private_folder.require(found, _FILES)
        return found

    def ensure(self, *names: str) -> Path:
        """The folder, or one in it, made if need be. Raises OSError as `path` does."""
        private_folder.make(home(), _FILES)
        folder = home().joinpath(*names)
        if names:
            private_folder.make(folder)
        return folder

    @contextmanager
    def best_effort(self, *, quiet: bool = False) -> Iterator[None]:
        """Run the body as far as the files let it; what keeps it from its end is said once for each folder."""
        try:
            yield
        except OSError as error:
            where = self._where()
            if not quiet and where not in self._told:
                self._told.add(where)
                self._say(
                    f"{self.problem(error)}, so that other kernels will not know what this one made and ran: {_MOVE}"
                )

    @contextmanager
    def required(self) -> Iterator[None]:
        """Run the body, which cannot do without a file. Raises `UsageError` that tells how to move the folder."""
        try:
            yield
        except OSError as error:
            raise UsageError(f"{self.problem(error)}: {_MOVE}") from error

    def problem(self, error: OSError) -> str:
        """What an error of one of its files means, without a full stop."""
        where, reason = self._where(), error.strerror or str(error)
        if error.filename and str(error.filename) != where:
            reason = f"{reason}: {error.filename}"
        return os.fsencode(f"The folder {where} cannot be used ({reason})").decode(errors="replace")

    def check_usable(self) -> None:
        """Raise OSError where files cannot be written, or locked."""
        with tempfile.TemporaryFile(dir=self.ensure()) as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            file.write(bytes(_TRIED))
            file.flush()

    def _where(self) -> str:
        try:
            return str(home())
        except OSError:
            return os.environ.get(_VARIABLE) or "~"


def home() -> Path:
    """The folder that the environment names, else the account's usual place. Raises OSError where there is none."""
    chosen = os.environ.get(_VARIABLE)
    try:
        return _resolved(chosen) if chosen else _usual()
    except RuntimeError as error:  # there is no such account, or it has no home
        raise FileNotFoundError(errno.ENOENT, str(error).rstrip("."), chosen or "~") from error


@cache  # a relative folder is the same one for as long as this process lives, wherever it works
def _resolved(name: str) -> Path:
    return Path(name).expanduser().absolute()


def _usual() -> Path:
    from platformdirs import user_state_dir

    found = Path(user_state_dir(_NAME))
    # Older versions of platformdirs take a relative XDG_STATE_HOME, which its specification has ignored, and leave
    # the "~" as it is where there is no home.
    return found if found.is_absolute() else Path("~/.local/state", _NAME).expanduser()


def replace(file: Path, text: str) -> None:
    """Write a file for its owner alone; others see the old content or the new one. Raises OSError."""
    new = file.with_name(f"{file.name}.{os.getpid()}.new")
    try:
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as opened:
            opened.write(text)
        new.replace(file)
    except OSError:
        with suppress(OSError):
            new.unlink(missing_ok=True)
        raise


def read(file: Path) -> str:
    """The text of a file, whatever its bytes are. Raises OSError."""
    return file.read_text(encoding="utf-8", errors="replace")


def entries_of(kind: type[E], kept: Iterable[object]) -> list[E]:
    """The entries among what was kept; left out is what another version wrote in its own way, or a full disk cut."""
    wanted = get_type_hints(kind)
    found = [{**_defaults(kind), **data} for data in kept if isinstance(data, dict)]
    return [kind(**{name: data[name] for name in wanted}) for data in found if _fits(data, wanted)]


def _defaults(kind: type) -> dict[str, object]:
    return {field.name: field.default for field in fields(kind) if field.default is not MISSING}


def _fits(data: Mapping[str, object], wanted: Mapping[str, type]) -> bool:
    return all(_is_of(kind, data.get(name)) for name, kind in wanted.items())


def _is_of(kind: type, value: object) -> bool:
    if kind is float:
        return isinstance(value, int | float) and abs(value) < _MOST  # which NaN is not
    return isinstance(value, kind)
