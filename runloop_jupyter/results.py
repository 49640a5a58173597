"""What a command left behind: what `%%devbox exec -o NAME` puts into NAME."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING

from .durations import spell_duration

if TYPE_CHECKING:
    from .transcript import Transcript


class DevboxResult:
    """A finished command: exit code, the whole output, how long it took. `duration` is in seconds."""

    def __init__(
        self, exit_code: int, transcript: Transcript, *, duration: float, execution_id: str, devbox_id: str
    ) -> None:
        self.exit_code = exit_code
        self.duration = duration
        self.execution_id = execution_id
        self.devbox_id = devbox_id
        self._transcript = transcript

    @property
    def success(self) -> bool:
        """Whether the exit code is 0."""
        return self.exit_code == 0

    @property
    def stdout(self) -> str:
        """All of the command's standard output."""
        return self._transcript.stdout

    @property
    def stderr(self) -> str:
        """All of the command's standard error."""
        return self._transcript.stderr

    @property
    def output(self) -> str:
        """Standard output and error together, in the order in which they came."""
        return self._transcript.output

    def __repr__(self) -> str:
        return f"{outcome(self.exit_code, self.duration)} · {len(self._transcript):,} characters of output"

    def _repr_html_(self) -> str:
        colour = "var(--jp-success-color1, #2e7d32)" if self.success else "var(--jp-error-color1, #c62828)"
        return f'<span style="color: {colour}">{html.escape(repr(self))}</span>'


def outcome(exit_code: int, duration: float) -> str:
    """The one-line summary of a command: "✓ exit code 0 · 0.31 s"."""
    return f"{'✗' if exit_code else '✓'} exit code {exit_code} · {spell_duration(duration)}"
