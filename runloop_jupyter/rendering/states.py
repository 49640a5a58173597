"""States of all kinds of resources: each has a sign, and the sign a colour."""

from __future__ import annotations

_SIGNS = {
    "running": "●",
    "in_progress": "◌",
    "suspended": "◐",
    "completed": "✓",
    "complete": "✓",
    "build_complete": "✓",
    "read_only": "✓",
    "failure": "✗",
    "failed": "✗",
    "error": "✗",
    "shutdown": "○",
    "deleted": "○",
}
_CHANGING = "◌"
_TONES = {"●": "good", "✓": "good", "◐": "warn", "✗": "bad", "○": "quiet", "◌": "busy"}


def symbol_of(state: str) -> str:
    """The sign of a state; one that is not known is on its way to another."""
    return _SIGNS.get(state.lower(), _CHANGING)


def state_text(state: str, reason: str | None = None) -> str:
    """A state with its sign: "✗ failed (build_failed)"."""
    because = f" ({reason})" if reason else ""
    return f"{symbol_of(state)} {state.lower().replace('_', ' ')}{because}"


def css_class(text: str) -> str:
    """The CSS class of a text that begins with a sign; empty for another."""
    tone = _TONES.get(text[:1])
    return f"runloop-{tone}" if tone else ""
