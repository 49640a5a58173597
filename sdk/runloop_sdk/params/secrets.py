"""Parameters of operations on secrets."""

from __future__ import annotations

from typing import Required

from ._options import LongRequestOptions
from .lists import ListParams


class SecretCreateParams(LongRequestOptions, total=False):
    """The secret to create."""

    name: Required[str]
    value: Required[str]


class SecretUpdateParams(LongRequestOptions, total=False):
    """The new value."""

    value: Required[str]


SecretUpdateByIDParams = SecretUpdateParams
SecretListParams = ListParams
