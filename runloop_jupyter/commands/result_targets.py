"""The variables that a result goes into, and what is left of it for the magic to return."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, TypeVar

if TYPE_CHECKING:
    from ..results import DevboxResult, FanOutResult
    from .invocation import Invocation

T = TypeVar("T")


class ResultTargets(NamedTuple):
    """The variables for the result itself, its stdout and its stderr; with `json` stdout is read as JSON."""

    invocation: Invocation
    result: str | None
    out: str | None = None
    err: str | None = None
    json: bool = False

    def deliver(self, result: DevboxResult | FanOutResult) -> object:
        """Set the variables; the magic's value, which for a cell is None unless it is JSON."""
        variables, is_cell = self.invocation.variables, self.invocation.is_cell
        if self.err:
            variables[self.err] = result.stderr
        if self.result:
            variables[self.result] = result
        if not self.json:
            if self.out:
                variables[self.out] = result.stdout
            return None if is_cell else result
        if not result.success:
            return result  # its stdout is what it printed before it failed
        value = result.json()
        if self.out:
            variables[self.out] = value
        return None if is_cell and (self.out or self.result) else value

    def deliver_handle(self, execution: T) -> T | None:
        """Put the handle on what runs in the background into its variable; the magic's value."""
        if not self.result:
            return execution
        self.invocation.variables[self.result] = execution
        return None if self.invocation.is_cell else execution

    @property
    def hint(self) -> str:
        """The way to all of a long output, for the line that stands for what a cell does not show."""
        if self.result:
            return f"{self.result}.output has all of it"
        if self.out:
            return f"{self.out} has all of stdout"
        return "-o NAME keeps all of it in a variable"
