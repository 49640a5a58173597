"""Select graphic rendition: the colours in which a terminal writes."""

from __future__ import annotations

Cell = tuple[str, str]
"""Its colours, as parameters of SGR, and its character; a wide character is followed by a cell with none."""

BLANK: Cell = ("", " ")
"""A cell that shows nothing."""
_LONGEST = 24  # characters of a colour: `38:2::255:255:255`

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
    """The colours in which text is written."""

    def __init__(self) -> None:
        self._set: dict[str, str] = {}
        self.parameters = ""
        self.blank = BLANK
        """What erasing leaves: a space on the background."""

    def copy(self) -> Style:
        """Another one that is alike."""
        made = Style()
        made._set = dict(self._set)
        made._note()
        return made

    def change(self, parameters: str) -> None:
        """Follow an SGR sequence."""
        codes = parameters.split(";")
        while codes:
            self._take(codes.pop(0), codes)
        self._note()

    def _note(self) -> None:
        self.parameters = ";".join(self._set.values())
        background = self._set.get("background", "")
        self.blank = (background, " ") if background else BLANK

    def _take(self, code: str, rest: list[str]) -> None:
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
    """The rest of `38;5;N` or `38;2;R;G;B`."""
    count = {"5": 2, "2": 4}.get(rest[0] if rest else "", 0)
    taken = [rest.pop(0)[:3] for _ in range(min(count, len(rest)))]
    return ";".join([str(number), *taken]) if count and len(taken) == count else ""


def _number(text: str) -> int:
    return int(text) if len(text) <= 3 and text.isdecimal() else 0 if not text else -1
