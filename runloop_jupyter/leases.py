"""Devboxes that this kernel created: kept alive while it lives, shut down when it ends.

One daemon thread per devbox, because a cell that computes for hours blocks the event loop but must not cost the
devbox, and because no thread can be started any more once the interpreter is on its way out. A kernel that is
killed leaves its devboxes to their keep-alive time.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import httpx

    from .connection import Connection

_LAST_CALL = 0.9  # seconds that the end of a kernel waits for its devboxes' shutdown
_RETRY = 15.0  # seconds until a renewal that failed is tried again


class Lease:
    """One devbox. `keep_alive` is in seconds; `keep` leaves it running when the kernel ends."""

    def __init__(self, devbox_id: str, connection: Connection, *, keep_alive: float, keep: bool) -> None:
        self.devbox_id = devbox_id
        self.connection = connection
        self.keep = keep
        self.renewed_at = time.time()
        self._interval = keep_alive / 3
        self._over = threading.Event()
        self._shut_down = False
        self._thread = threading.Thread(target=self._hold, name=f"lease of {devbox_id}", daemon=True)
        self._thread.start()

    def end(self, *, shut_down: bool) -> None:
        """Stop renewing; with `shut_down` also ask the API to shut the devbox down. Returns at once."""
        self._shut_down = shut_down
        self._over.set()

    def join(self, deadline: float) -> None:
        """Wait until the end is through, at most until `deadline` on the monotonic clock."""
        self._thread.join(max(deadline - time.monotonic(), 0))

    def _hold(self) -> None:
        delay = self._interval
        while not self._over.wait(delay):
            delay = self._interval if self._renew() else min(_RETRY, self._interval)
        if self._shut_down:
            self._ask("shutdown", timeout=_LAST_CALL)

    def _renew(self) -> bool:
        renewed = self._ask("keep_alive", timeout=10)
        if renewed:
            self.renewed_at = time.time()
        return renewed

    def _ask(self, action: str, *, timeout: float) -> bool:
        import httpx

        try:
            answer = self._post(f"/v1/devboxes/{self.devbox_id}/{action}", timeout)
        except httpx.HTTPError:
            return False  # renewals are tried again; after a lost shutdown the keep-alive time ends the devbox
        return answer.status_code < 500

    def _post(self, path: str, timeout: float) -> httpx.Response:
        import httpx

        service = self.connection
        headers = {"authorization": f"Bearer {service.api_key}"}
        verify = service.base_url.startswith("https:")  # a TLS context costs 30 ms; plain HTTP needs none
        with httpx.Client(verify=verify, timeout=timeout, trust_env=not service.loopback) as client:
            return client.post(service.base_url + path, headers=headers, json={})


class Leases:
    """All devboxes that this kernel created."""

    def __init__(self) -> None:
        self._held: dict[str, Lease] = {}
        self._renewed: dict[str, float] = {}
        self._process = os.getpid()

    def __contains__(self, devbox_id: str) -> bool:
        return devbox_id in self._held

    def __iter__(self) -> Iterator[str]:
        return iter(tuple(self._held))

    def keeps(self, devbox_id: str) -> bool:
        """Whether a devbox stays when the kernel ends."""
        lease = self._held.get(devbox_id)
        return lease is None or lease.keep

    def renewed_at(self, devbox_id: str) -> float:
        """When this kernel last started a devbox's keep-alive time again, in seconds since 1970; 0 for never."""
        lease = self._held.get(devbox_id)
        return max(self._renewed.get(devbox_id, 0.0), lease.renewed_at if lease else 0.0)

    def note_renewal(self, devbox_id: str) -> None:
        """A devbox's keep-alive time was started again now, by the user."""
        self._renewed[devbox_id] = time.time()

    def add(self, devbox_id: str, connection: Connection, *, keep_alive: float, keep: bool) -> None:
        """Take care of a devbox from now on."""
        self._held[devbox_id] = Lease(devbox_id, connection, keep_alive=keep_alive, keep=keep)

    def drop(self, devbox_id: str) -> None:
        """Forget a devbox that has ended."""
        self._renewed.pop(devbox_id, None)
        lease = self._held.pop(devbox_id, None)
        if lease is not None:
            lease.end(shut_down=False)

    def follow(self, old: Connection, new: Connection) -> None:
        """A service came back elsewhere: its devboxes are renewed there from now on."""
        for lease in self._held.values():
            if lease.connection == old:
                lease.connection = new

    def end(self) -> None:
        """Shut down all devboxes but the kept ones, together, within a second. Called when the kernel ends."""
        if os.getpid() != self._process:  # a forked child does not own its parent's devboxes
            return
        leases, self._held = list(self._held.values()), {}
        for lease in leases:
            lease.end(shut_down=not lease.keep)
        deadline = time.monotonic() + _LAST_CALL
        for lease in leases:
            lease.join(deadline)
