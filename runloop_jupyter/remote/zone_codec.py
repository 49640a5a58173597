"""Time zones that have a name: of zoneinfo, and of pytz, which older pandas uses."""

from __future__ import annotations

import importlib
from typing import Any

from .codec import Kind, Unwritable


def kind_of(kind: type) -> Kind | None:
    """How a zone is written."""
    package = str(kind.__module__).partition(".")[0]
    return _ZONEINFO if package == "zoneinfo" and kind.__name__ == "ZoneInfo" else _PYTZ if package == "pytz" else None


def kind_tagged(tag: str) -> Kind | None:
    """How a zone is read."""
    return {kind.tag: kind for kind in (_ZONEINFO, _PYTZ)}.get(tag)


def _package(name: str) -> Any:
    return importlib.import_module(name)


def _write_zoneinfo(zone: Any) -> str:
    if not zone.key:
        raise Unwritable("a time zone without a name", type(zone))
    return str(zone.key)


def _write_pytz(zone: Any) -> str:
    """The zone's name; one of its offsets, as in a date that it made, is not the zone itself."""
    name = getattr(zone, "zone", None)
    if not name or _package("pytz").timezone(name) is not zone:
        raise Unwritable("an offset of a time zone of pytz", type(zone))
    return str(name)


_ZONEINFO = Kind("zoneinfo.zone", _write_zoneinfo, lambda key: _package("zoneinfo").ZoneInfo(key))
_PYTZ = Kind("pytz.zone", _write_pytz, lambda name: _package("pytz").timezone(name))
