"""The base of all options of subcommands."""

from __future__ import annotations

from typing import NoReturn, dataclass_transform


@dataclass_transform(kw_only_default=True, frozen_default=True)
class OptionGroup:
    """Options of a subcommand: a field for each, which the parser sets. Subclasses can be combined.

    To type checkers each subclass is a frozen dataclass. A real one would compile methods of its own, which takes
    0.3 ms for each of seventy classes; only a parser makes options, and a test holds its arguments against the fields.
    """

    def __init__(self, **options: object) -> None:
        vars(self).update(options)

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"{type(self).__name__}.{name} cannot be set.")
