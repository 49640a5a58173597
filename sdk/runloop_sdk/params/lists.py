"""Parameters that all lists take."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ._options import RequestOptions

MetadataFilter = Mapping[str, str | Sequence[str]]
"""Key to value, or to several values of which the item must have one."""


class ListParams(RequestOptions, total=False):
    """The page of a list."""

    include_total_count: bool | None
    """False saves the service from counting the items."""
    limit: int | None
    """Items of one page: 20 by default, at most 5000."""
    starting_after: str | None
    """The id of the last item of the page before."""


class SearchParams(ListParams, total=False):
    """A page of the items whose id or name matches."""

    search: str | None
    """Part of an id or a name."""


class MetadataFilterParams(SearchParams, total=False):
    """A page of the items with certain metadata."""

    metadata: MetadataFilter | None
    metadata_key: str | None
    """The value of the metadata named `key`, as in the official client; `metadata` filters by any name."""
    metadata_key_in: str | None
    """Values of the metadata named `key`, separated by commas."""
