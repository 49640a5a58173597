"""The base of all views."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class View(BaseModel):
    """Something the API sent.

    Tolerant: fields that this version does not know are kept, states that it does not know are strings, and a list or
    mapping that was left out is empty.
    """

    # Built at first use: a notebook that only runs commands does not pay for a hundred schemas at import.
    model_config = ConfigDict(extra="allow", frozen=True, defer_build=True, protected_namespaces=())
