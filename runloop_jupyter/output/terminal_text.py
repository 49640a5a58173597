"""Adapts terminal output to notebooks, which support colours, carriage returns and backspaces but no cursor moves."""

from __future__ import annotations

import re

from ..text.quoting import printable

_SGR = re.compile(r"\x1b\[[0-9;:]*m")
_LAST_SGR = re.compile(r"\x1b\[[0-9;:]*m\Z")
_LONGEST_SGR = 64

# Everything but text and \b \t \n \r: escape sequences and other control characters. C1 control characters begin the
# same sequences in one character; none of them is kept, because notebooks would show them. A control string (OSC, DCS,
# ...) cannot contain the beginning of another one, so each character is matched once, however many strings have no end.
_CONTROL = re.compile(
    r"""
      \x1b\[ (?P<parameters>[0-?]*) [\ -/]* (?P<final>[@-~])   # CSI
    | \x9b [0-?]* [\ -/]* [@-~]
    | (?: \x1b[\]P^_X] | [\x90\x98\x9d-\x9f] )               # OSC, DCS, PM, APC, SOS
      [^\x07\x1b\x90\x98\x9c-\x9f\n]* (?: \x07 | \x1b\\ | \x9c )
    | \x1b[\ -/]* [0-~]                                         # a character set and other short ones
    | [\x00-\x07\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]     # surrogates: no message can carry them
    """,
    re.VERBOSE,
)

# The characters that these begin with. Most text has none of them, and to check that takes an eighth of the time. To
# look for each of the ASCII ones takes a tenth of that again: finding one character is a single fast search.
_SUSPECT = re.compile(r"[\x00-\x07\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")
_ASCII_SUSPECTS = tuple(char for char in map(chr, range(0x80)) if _SUSPECT.match(char))

# An incomplete escape sequence at the end, which the next text may complete.
_INCOMPLETE = re.compile(
    r"""
    (?: (?: \x1b\[ | \x9b ) [0-?]* [\ -/]*
      | (?: \x1b[\]P^_X] | [\x90\x98\x9d-\x9f] ) [^\x07\x1b\x90\x98\x9c-\x9f\n]* \x1b?
      | \x1b [\ -/]*
    ) \Z
    """,
    re.VERBOSE,
)
_LONGEST_ESCAPE = 4096

# Sequences that move the cursor, or change more than the text to its right: only `TerminalEmulator` handles them.
_MOVE = re.compile(
    r"""
      \x1b\[ [0-9;]{0,24} [A-HJLMPSTX@`bdfrsu]
    | \x1b\[ \? (?: 25l | (?: 47 | 1047 | 1049 ) [hl] )       # the cursor is hidden; another screen
    | \x1b [78DEMc]
    """,
    re.VERBOSE,
)

_EDIT = re.compile(r"(\r|\x08|\x1b\[[0-2]?K)")
_CELL = re.compile(r"\x1b\[[0-9;:]*m|.", re.DOTALL)
# These keep hostile output cheap: longer lines are not edited any more, and of many edits only the last are applied.
_LONGEST_LINE = 4096
_MAX_EDITS = 400

MAX_CHARACTERS = 1_000_000
"""The number of characters of one text that are shown."""
_RESETS = ("\x1b[m", "\x1b[0m")


class EscapeFilter:
    """Removes from one stream the sequences that a notebook cannot show, also those that are split between two texts.

    Colours, `\\r`, `\\b` and "erase line" are kept; a move to the first column becomes `\\r`. With `moves`, so are the
    sequences that `TerminalEmulator` handles.
    """

    def __init__(self, *, moves: bool = False) -> None:
        self._held = ""
        self._kept = _kept_with_moves if moves else _kept

    def feed(self, text: str) -> str:
        """Filter the next text of the stream. An incomplete sequence at its end is held back for the next call."""
        text = self._held + text
        if _is_plain(text):
            return text
        # Longer than that no real sequence is: what looks like one is shown instead of being held back for ever.
        held = _INCOMPLETE.search(text[-_LONGEST_ESCAPE:])
        self._held = held.group() if held else ""
        return _CONTROL.sub(self._kept, text[: len(text) - len(self._held)])


class LineFolder:
    """Applies `\\r`, `\\b` and "erase line" to their line, and returns the result instead of the steps.

    A progress bar that is redrawn a hundred times within one text costs a single redraw.
    """

    def __init__(self) -> None:
        self._before = ""  # the last line up to the cursor ...
        self._after = ""  # ... and beyond
        self._shown = ""  # that line in the notebook, which cannot erase: erased text is overwritten with spaces
        self._finished = 0

    @property
    def size(self) -> int:
        """The number of characters that the notebook shows; overwritten ones count once."""
        return self._finished + len(self._shown)

    @property
    def line(self) -> str:
        """The last line, as it is shown."""
        return self._shown

    def feed(self, text: str) -> str:
        """Return the text that, appended to the notebook's output, makes it show what a terminal would."""
        first, *others = text.split("\n")
        parts = [self._typed(first)]
        for line in others:
            self._end_line()
            parts.append(self._typed(line))
        return "\n".join(parts)

    def next_item(self) -> None:
        """Begin an empty line, because the notebook shows what follows as another output item."""
        self._finished -= 1  # the line ends without a newline
        self._end_line()

    def _end_line(self) -> None:
        self._finished += len(self._shown) + 1
        self._before = self._after = self._shown = ""

    def _typed(self, text: str) -> str:
        if not text:
            return ""
        for part in _EDIT.split(text)[-_MAX_EDITS:]:
            self._apply(part)
        # A shorter line is padded, because after \r the notebook overwrites only as many characters as it gets.
        shown = (self._before + self._after).ljust(len(self._shown))
        previous, self._shown = self._shown, shown
        return shown[len(previous) :] if shown.startswith(previous) else "\r" + shown

    def _apply(self, part: str) -> None:
        if len(self._before) + len(self._after) > _LONGEST_LINE:
            self._before, self._after = self._before + self._after + _EDIT.sub("", part), ""
        elif part == "\r":
            self._before, self._after = "", self._before + self._after
        elif part == "\b":
            self._before, cell = _without_last(self._before)
            self._after = cell + self._after
        elif _EDIT.fullmatch(part):
            self._erase(part)
        else:
            self._before += part
            self._after = _beyond(self._after, _width(part))

    def _erase(self, escape: str) -> None:
        if escape != "\x1b[1K":
            self._after = ""
        if escape in ("\x1b[1K", "\x1b[2K"):
            self._before = " " * _width(self._before)


def safe_text(text: str, most: int = MAX_CHARACTERS) -> str:
    """A complete text that is safe to show in a notebook or a terminal: with colours, without other escape sequences.

    A text of more than `most` characters is cut, and says so.
    """
    if len(text) <= most:
        return EscapeFilter().feed(text)
    return f"{EscapeFilter().feed(text[:most])}\x1b[0m\n... (cut: only the first {most:,} of {len(text):,} characters)"


def without_colours(text: str) -> str:
    """The text without SGR sequences."""
    return _SGR.sub("", text)


def plain_message(text: str) -> str:
    """One of our messages, which may quote foreign text: without escape sequences, colours and bidi controls."""
    lines = _SGR.sub("", safe_text(text)).replace("\t", " ").splitlines()
    return "\n".join(map(printable, lines))


def plain(text: str) -> str:
    """One line in its final state: its edits applied, without colours and other escape sequences."""
    folder = LineFolder()
    folder.feed(EscapeFilter().feed(text))
    return _SGR.sub("", folder.line).rstrip("\n")


def last_line(text: str) -> str:
    """The last line of a text that shows anything, in its final state; empty if there is none."""
    # A program often resets its colours after the last line: what has only escape sequences is blank too.
    shown = (plain(line).strip() for line in reversed(text.split("\n")))
    return next(filter(None, shown), "")


def _is_plain(text: str) -> bool:
    """True if nothing in the text begins an escape sequence or is a control character to remove."""
    if text.isascii():
        return not any(map(text.__contains__, _ASCII_SUSPECTS))
    return not _SUSPECT.search(text)


def _kept(control: re.Match[str]) -> str:
    final, parameters = control["final"], control["parameters"]
    if final == "m" and _SGR.fullmatch(control[0]):
        return control[0]
    if final == "K" and parameters in ("", "0", "1", "2"):
        return control[0]
    if final == "G" and parameters in ("", "0", "1"):
        return "\r"
    return ""


def _kept_with_moves(control: re.Match[str]) -> str:
    return _kept(control) or (control[0] if _MOVE.fullmatch(control[0]) else "")


def first_move(text: str) -> int:
    """The index of the first cursor move in the output of a filter with `moves`; -1 if there is none."""
    if "\x1b" not in text:
        return -1
    found = _MOVE.search(text)
    return found.start() if found else -1


def _width(text: str) -> int:
    return len(_SGR.sub("", text) if "\x1b" in text else text)


def _beyond(text: str, width: int) -> str:
    """The text without its first `width` characters, in the colours that it had there."""
    if "\x1b" not in text:
        return text[width:]
    colours: list[str] = []
    for cell in _CELL.finditer(text):
        if cell[0][0] == "\x1b":
            colours = [] if cell[0] in _RESETS else [*colours[-3:], cell[0]]
        elif width == 0:
            return "".join(colours) + text[cell.start() :]
        else:
            width -= 1
    return ""


def _without_last(text: str) -> tuple[str, str]:
    """Split off the last character. Colours after it take no room and stay with the text before it."""
    escapes = ""
    while escape := _LAST_SGR.search(text[-_LONGEST_SGR:]):
        escapes = escape[0] + escapes
        text = text[: -len(escape[0])]
    return text[:-1] + escapes, text[-1:]
