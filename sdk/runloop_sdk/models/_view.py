"""The base of all views."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class View(BaseModel):
    """A JSON object from the API.

    Tolerant of other versions of the API: unknown fields are kept, unknown states are strings, and missing lists and
    mappings are empty.
    """

    # Built at first use: a notebook that only runs commands does not pay for a hundred schemas at import.
    model_config = ConfigDict(extra="allow", frozen=True, defer_build=True, protected_namespaces=())

    @classmethod
    def build_now(cls) -> None:
        """Build the view's schema, unless it is there: what its first use would do."""
        if not cls.__pydantic_complete__:
            cls.model_rebuild(_types_namespace={})
