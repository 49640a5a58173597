"""The folder of the extension's own files: the devboxes that kernels created, and the commands that they ran.

A problem with it never fails a cell: the user is told once, and the data is kept in memory only.
"""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import NamedTuple, TypeVar, get_type_hints

from runloop_local import file_lock, private_folder

from .errors import UsageError

_FILES = ("kernels", "ssh", "executions.jsonl*", "tmp*")
"""The files that the folder contains."""
_VARIABLE = "RUNLOOP_JUPYTER_HOME"
_MOVE = f"set {_VARIABLE} to a folder of your own."
_PROBE_SIZE = 4096  # bytes
_NAME = "runloop-jupyter"
_MAX_TIME = 1e12  # seconds since 1970 that a clock may show

E = TypeVar("E", bound=NamedTuple)


class StateFolder:
    """This user's folder. `warn` is called once with a sentence about a folder that cannot be used."""

    def __init__(self, warn: Callable[[str], None]) -> None:
        self._warn = warn
        self._warned_about: set[str] = set()

    @property
    def path(self) -> Path:
        """The folder's path, which the environment may change at any time.

        Raises OSError if it cannot be determined, or if other accounts could have put files there that we would read.
        """
        found = home()
        private_folder.require(found, _FILES)
        return found

    def ensure(self, *names: str) -> Path:
        """Create the folder, or one inside it, unless it exists. Raises OSError as `path` does."""
        private_folder.make(home(), _FILES)
        folder = home().joinpath(*names)
        if names:
            private_folder.make(folder)
        return folder

    @contextmanager
    def best_effort(self, *, quiet: bool = False) -> Iterator[None]:
        """Run the body, and end it at the first OSError. The user is warned once for each folder, unless `quiet`."""
        try:
            yield
        except OSError as error:
            where = self._where()
            if not quiet and where not in self._warned_about:
                self._warned_about.add(where)
                self._warn(
                    f"{self.problem(error)}, so that other kernels will not know what this one made and ran: {_MOVE}"
                )

    @contextmanager
    def required(self) -> Iterator[None]:
        """Run the body, which needs the files. Raises `UsageError` that says how to move the folder."""
        try:
            yield
        except OSError as error:
            raise UsageError(f"{self.problem(error)}: {_MOVE}") from error

    def problem(self, error: OSError) -> str:
        """Describe an error of one of the files, without a full stop."""
        where, reason = self._where(), error.strerror or str(error)
        if error.filename and str(error.filename) != where:
            reason = f"{reason}: {error.filename}"
        return os.fsencode(f"The folder {where} cannot be used ({reason})").decode(errors="replace")

    def check_usable(self) -> None:
        """Raise OSError if files cannot be written or locked."""
        with tempfile.TemporaryFile(dir=self.ensure()) as file:
            file_lock.lock(file.fileno())
            file.write(bytes(_PROBE_SIZE))
            file.flush()

    def _where(self) -> str:
        try:
            return str(home())
        except OSError:
            return os.environ.get(_VARIABLE) or "~"


def home() -> Path:
    """The folder that the environment names, or the account's default. Raises OSError if there is neither."""
    chosen = os.environ.get(_VARIABLE)
    try:
        return _resolved(chosen) if chosen else _default()
    except RuntimeError as error:  # the account does not exist, or has no home
        raise FileNotFoundError(errno.ENOENT, str(error).rstrip("."), chosen or "~") from error


@cache  # so that a relative path means the same folder after a change of the working directory
def _resolved(name: str) -> Path:
    return Path(name).expanduser().absolute()


def _default() -> Path:
    from platformdirs import user_state_dir

    found = Path(user_state_dir(_NAME))
    # Older versions of platformdirs accept a relative XDG_STATE_HOME, which the specification tells to ignore, and
    # leave the "~" unchanged if there is no home.
    return found if found.is_absolute() else Path("~/.local/state", _NAME).expanduser()


def replace(file: Path, text: str) -> None:
    """Replace a file atomically by one that only its owner may read. Raises OSError."""
    new = file.with_name(f"{file.name}.{os.getpid()}.new")  # kernels of one user may write at the same time
    try:
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as opened:
            opened.write(text)
        new.replace(file)
    except OSError:
        with suppress(OSError):
            new.unlink(missing_ok=True)
        raise


def read(file: Path) -> str:
    """The text of a file, with � for bytes that are not UTF-8. Raises OSError."""
    return file.read_text(encoding="utf-8", errors="replace")


def entries_of(kind: type[E], kept: Iterable[object]) -> list[E]:
    """The valid entries of a file: without those that another version wrote differently or a full disk cut off."""
    wanted = get_type_hints(kind)
    found = [{**kind._field_defaults, **data} for data in kept if isinstance(data, dict)]
    return [kind._make(data[name] for name in kind._fields) for data in found if _fits(data, wanted)]


def _fits(data: Mapping[str, object], wanted: Mapping[str, type]) -> bool:
    return all(_is_of(kind, data.get(name)) for name, kind in wanted.items())


def _is_of(kind: type, value: object) -> bool:
    if kind is float:
        return isinstance(value, int | float) and abs(value) < _MAX_TIME  # which is false for NaN
    return isinstance(value, kind)
