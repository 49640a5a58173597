"""What operations on secrets take."""

from __future__ import annotations

from typing import Required

from ._options import LongRequestOptions
from .lists import ListParams


class SecretCreateParams(LongRequestOptions, total=False):
    """A secret to keep."""

    name: Required[str]
    value: Required[str]


class SecretUpdateParams(LongRequestOptions, total=False):
    """A new value."""

    value: Required[str]


SecretUpdateByIDParams = SecretUpdateParams
SecretListParams = ListParams
