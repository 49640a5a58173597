"""The names that files cannot have on Windows."""

from __future__ import annotations

import re

_FORBIDDEN = re.compile(r'[\x00-\x1f<>:"|?*\\/]')
_DEVICE = re.compile(
    r"(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9\u00b9\u00b2\u00b3])\s*(\..*)?", re.IGNORECASE | re.DOTALL
)


def windows_problem(name: str) -> str | None:
    """Why Windows cannot have a file of this name, or takes it for something else; None if it can."""
    if _FORBIDDEN.search(name):
        return 'Windows cannot have a name with one of < > : " | ? * \\ or a control character'
    if name.endswith((" ", ".")):
        return "Windows would drop the dot or the space at its end"
    if _DEVICE.fullmatch(name):
        return "Windows has a device of this name"
    return None
