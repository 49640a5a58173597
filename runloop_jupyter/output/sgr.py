"""SGR (select graphic rendition): the colours and other attributes of text in a terminal."""

from __future__ import annotations

Cell = tuple[str, str]
"""The SGR parameters of a cell, and its character. A wide character is followed by a cell with an empty one."""

BLANK: Cell = ("", " ")
"""An empty cell."""
_LONGEST = 24  # characters of a parameter, such as `38:2::255:255:255`

_ON = {
    1: "bold",
    2: "faint",
    3: "italic",
    4: "underline",
    5: "blink",
    6: "blink",
    7: "inverse",
    8: "conceal",
    9: "strike",
    21: "underline",
    53: "overline",
    **dict.fromkeys([*range(30, 38), *range(90, 98)], "foreground"),
    **dict.fromkeys([*range(40, 48), *range(100, 108)], "background"),
}
_OFF = {
    22: ("bold", "faint"),
    23: ("italic",),
    24: ("underline",),
    25: ("blink",),
    27: ("inverse",),
    28: ("conceal",),
    29: ("strike",),
    39: ("foreground",),
    49: ("background",),
    55: ("overline",),
}
_COLOURS = {38: "foreground", 48: "background", 58: "underline-colour"}


class Style:
    """The attributes that text is written with."""

    def __init__(self) -> None:
        self._set: dict[str, str] = {}
        self.parameters = ""
        self.blank = BLANK
        """The cell that erasing leaves: a space on the current background."""

    def copy(self) -> Style:
        """A copy of this style."""
        copied = Style()
        copied._set = dict(self._set)
        copied._update()
        return copied

    def change(self, parameters: str) -> None:
        """Apply the parameters of an SGR sequence."""
        codes = parameters.split(";")
        while codes:
            self._apply(codes.pop(0), codes)
        self._update()

    def _update(self) -> None:
        self.parameters = ";".join(self._set.values())
        background = self._set.get("background", "")
        self.blank = (background, " ") if background else BLANK

    def _apply(self, code: str, rest: list[str]) -> None:
        number = _number(code.partition(":")[0])
        if number in _COLOURS:
            colour = code[:_LONGEST] if ":" in code else _colour(number, rest)
            if colour and number != 58:
                self._set[_COLOURS[number]] = colour
        elif number == 0:
            self._set.clear()
        elif number in _ON and code != "4:0":
            self._set[_ON[number]] = code[:_LONGEST]
        elif number in _OFF or code == "4:0":
            for name in _OFF.get(number, ("underline",)):
                self._set.pop(name, None)


def _colour(number: int, rest: list[str]) -> str:
    """Take the parameters of a colour from `rest`: `38;5;N` or `38;2;R;G;B`. Empty if they are incomplete."""
    count = {"5": 2, "2": 4}.get(rest[0] if rest else "", 0)
    taken = [rest.pop(0)[:3] for _ in range(min(count, len(rest)))]
    return ";".join([str(number), *taken]) if count and len(taken) == count else ""


def _number(text: str) -> int:
    return int(text) if len(text) <= 3 and text.isdecimal() else 0 if not text else -1
