"""States of all kinds of resources: each has a symbol, and the symbol a colour."""

from __future__ import annotations

_SYMBOLS = {
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
    """The symbol of a state. An unknown state counts as changing."""
    return _SYMBOLS.get(state.lower(), _CHANGING)


def state_text(state: str, reason: str | None = None) -> str:
    """A state with its symbol: "✗ failed (build_failed)"."""
    because = f" ({reason})" if reason else ""
    return f"{symbol_of(state)} {state.lower().replace('_', ' ')}{because}"


def css_class(text: str) -> str:
    """The CSS class of a text that begins with a symbol; empty for any other text."""
    tone = _TONES.get(text[:1])
    return f"runloop-{tone}" if tone else ""
