"""Codecs for named time zones: those of zoneinfo, and of pytz, which older versions of pandas use."""

from __future__ import annotations

import importlib
from typing import Any

from .codec import Codec, Unwritable


def codec_for(kind: type) -> Codec | None:
    """The codec for a zone."""
    package = str(kind.__module__).partition(".")[0]
    return _ZONEINFO if package == "zoneinfo" and kind.__name__ == "ZoneInfo" else _PYTZ if package == "pytz" else None


def codec_tagged(tag: str) -> Codec | None:
    """The codec with this tag."""
    return {codec.tag: codec for codec in (_ZONEINFO, _PYTZ)}.get(tag)


Zone = Any
"""A zone or a module of zoneinfo or pytz, which not every devbox has."""


def _package(name: str) -> Zone:
    return importlib.import_module(name)


def _write_zoneinfo(zone: Zone) -> str:
    if not zone.key:
        raise Unwritable("a time zone without a name", type(zone))
    return str(zone.key)


def _write_pytz(zone: Zone) -> str:
    """The zone's name. A localized datetime has one of the zone's offsets as its tzinfo, which is not the zone."""
    name = getattr(zone, "zone", None)
    if not name or _package("pytz").timezone(name) is not zone:
        raise Unwritable("an offset of a time zone of pytz", type(zone))
    return str(name)


_ZONEINFO = Codec("zoneinfo.zone", _write_zoneinfo, lambda key: _package("zoneinfo").ZoneInfo(key))
_PYTZ = Codec("pytz.zone", _write_pytz, lambda name: _package("pytz").timezone(name))
