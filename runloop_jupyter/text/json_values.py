"""The types of JSON that comes from elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

JsonObject: TypeAlias = dict[str, object]
"""A JSON object. Its values are JSON of any kind: what they are is looked at before they are used."""
MimeBundle: TypeAlias = Mapping[str, object]
"""Representations of one value by MIME type: texts, and JSON where the type is one of JSON."""
RequestParams: TypeAlias = Mapping[str, Any]
"""Parameters of a request: the SDK checks them as it sends it."""
