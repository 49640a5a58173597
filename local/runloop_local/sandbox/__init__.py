"""Ways to isolate a devbox on this machine, behind one interface."""

from runloop_local.sandbox.base import (
    Command,
    Isolation,
    IsolationName,
    Process,
    Sandbox,
    SandboxEnded,
    SandboxError,
    SandboxFull,
    User,
)
from runloop_local.sandbox.probe import Requested, open_isolation

__all__ = [
    "Command",
    "Isolation",
    "IsolationName",
    "Process",
    "Requested",
    "Sandbox",
    "SandboxEnded",
    "SandboxError",
    "SandboxFull",
    "User",
    "open_isolation",
]
