"""Records what a service has acknowledged, and checks it after a kill."""

from __future__ import annotations

import random
import uuid
from collections import Counter
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import httpx

from .findings import expect

if TYPE_CHECKING:
    from tests.local.api import Api

    from .scenarios.context import Printing

Look = Callable[[], Coroutine[Any, Any, None]]
SETTLED = {"suspended", "failure", "shutdown"}
_LOOKED_AT = 3
"""The number of resources of each kind with a disk to start after a kill, to check their contents."""


@dataclass(frozen=True, slots=True)
class Change:
    """An idempotent request that creates or runs something."""

    path: str
    body: dict[str, Any]
    token: str
    """Its unique mark: a name, or what its command appends to the file `runs`."""
    devbox: str | None = None
    """The devbox that its command runs in."""
    list_path: str | None = None
    """The path of the list with what it creates."""
    id: str = field(default_factory=lambda: str(uuid.uuid4()))


@dataclass
class Ledger:
    """The changes that the service has acknowledged, by id."""

    devboxes: dict[str, int] = field(default_factory=dict)
    """The last number that was written to the disk of each devbox that ran."""
    runs: dict[str, list[str]] = field(default_factory=dict)
    """The tokens of completed commands by devbox."""
    snapshots: dict[str, int] = field(default_factory=dict)
    blueprints: dict[str, int] = field(default_factory=dict)
    objects: dict[str, bytes] = field(default_factory=dict)
    secrets: dict[str, str] = field(default_factory=dict)
    events: dict[str, list[str]] = field(default_factory=dict)
    """The payloads by axon."""
    outputs: dict[str, tuple[Printing, dict[str, str]]] = field(default_factory=dict)
    """By path of an execution: what it prints, and what was received of it by stream."""
    unanswered: dict[str, Change] = field(default_factory=dict)

    def number(self) -> int:
        """The number of entries."""
        kinds = (self.devboxes, self.snapshots, self.blueprints, self.objects, self.secrets, self.events)
        return sum(len(kind) for kind in kinds)


class Sender:
    """Sends changes, and records those that were not answered."""

    def __init__(self, api: Api, ledger: Ledger) -> None:
        self.api = api
        self._ledger = ledger

    async def send(self, change: Change) -> Any:
        """Send a change; returns the response."""
        self._ledger.unanswered[change.id] = change
        answer = await self.api.json(change.path, change.body, headers={"x-request-id": change.id})
        del self._ledger.unanswered[change.id]
        return answer


async def check(api: Api, ledger: Ledger, order: random.Random) -> list[Look]:
    """Raise `Found` unless everything in the ledger exists; returns checks of the contents of some of it."""
    devboxes = await _settled(api)
    _all_there("devboxes", ledger.devboxes, devboxes)
    for name in ledger.snapshots:
        await _is(api, f"/v1/devboxes/disk_snapshots/{name}/status", "status", "complete")
    for name in ledger.blueprints:
        await _is(api, f"/v1/blueprints/{name}", "status", "build_complete")
    for name in ledger.objects:
        await _is(api, f"/v1/objects/{name}", "state", "READ_ONLY")
    secrets = (await api.json("/v1/secrets?limit=5000"))["secrets"]
    _all_there("secrets", ledger.secrets, [secret["name"] for secret in secrets])
    return _looks(api, ledger, order)


async def retry(api: Api, change: Change, devboxes: dict[str, str]) -> None:
    """Retry a change that was interrupted by the kill; raise `Found` if it was done more than once.

    `devboxes` are the statuses of devboxes by id.
    """
    if change.devbox is not None:
        if devboxes.get(change.devbox) not in ("suspended", "running"):
            return
        await running(api, change.devbox, devboxes)
    for _ in range(2):
        answer = await api.post(change.path, json=change.body, headers={"x-request-id": change.id})
        text = f"the retry of {change.path} after a kill was answered {answer.status_code}: {answer.text[:300]}"
        expect(answer.status_code == 200, "other", text)
    if change.devbox is not None:
        await api.finish(f"/v1/devboxes/{change.devbox}/executions/{answer.json()['execution_id']}")
        times = (await _tokens(api, change.devbox))[change.token]
    else:
        path = f"{change.list_path}{'&' if '?' in str(change.list_path) else '?'}limit=5000"
        [items] = [value for value in (await api.json(path)).values() if isinstance(value, list)]
        times = sum(item.get("payload", item.get("name")) == change.token for item in items)
    expect(times <= 1, "double runs", f"{change.path} with {change.token} was done {times} times after a retry")


async def running(api: Api, devbox: str, devboxes: dict[str, str]) -> None:
    """Resume a devbox unless it was resumed already, and wait until it runs."""
    if devboxes[devbox] == "suspended":
        devboxes[devbox] = "running"
        await api.json(f"/v1/devboxes/{devbox}/resume", {})
    await api.wait(devbox, "running")


async def _settled(api: Api) -> dict[str, str]:
    """The statuses of devboxes by id; checks that none is running, and the reason of suspended ones."""
    views = (await api.json("/v1/devboxes?limit=5000"))["devboxes"]
    for view in views:
        before, last = [{}, {}, *view["state_transitions"]][-2:]
        expect(view["status"] in SETTLED, "other", f"a devbox of a service that was killed is {view['status']}")
        if last.get("status") == "suspended" and before.get("status") != "suspending":
            reason = last.get("failure_reason")
            expect(reason == "service restarted", "other", f"a devbox is suspended because of {reason}")
    return {view["id"]: view["status"] for view in views}


async def statuses(api: Api) -> dict[str, str]:
    """The statuses of devboxes by id."""
    return {view["id"]: view["status"] for view in (await api.json("/v1/devboxes?limit=5000"))["devboxes"]}


def _all_there(kind: str, wanted: Any, found: Any) -> None:
    lost = set(wanted) - set(found)
    expect(not lost, "losses", f"{len(lost)} {kind} are lost: {', '.join(sorted(lost)[:5])}")


async def _is(api: Api, path: str, key: str, wanted: str) -> None:
    answer = await api.get(path)
    found = answer.json().get(key)
    expect(found == wanted, "losses", f"{path} answers {answer.status_code}, {found!r} instead of {wanted!r}")


def _looks(api: Api, ledger: Ledger, order: random.Random) -> list[Look]:
    def some(found: dict[str, Any]) -> list[tuple[str, Any]]:
        return order.sample(list(found.items()), min(_LOOKED_AT, len(found)))

    return [
        *(
            partial(_resumed, api, devbox, number, ledger.runs.get(devbox, []))
            for devbox, number in some(ledger.devboxes)
        ),
        *(
            partial(_started, api, f"{number}\n", "cat number", snapshot_id=name)
            for name, number in some(ledger.snapshots)
        ),
        *(
            partial(_started, api, f"{number}\n{number}\n", "cat step copied", blueprint_id=name)
            for name, number in some(ledger.blueprints)
        ),
        *(
            partial(_started, api, f"{value}\n", "echo $T", secrets={"T": name})
            for name, value in some(ledger.secrets)[:1]
        ),
        *(partial(_downloaded, api, name, data) for name, data in some(ledger.objects)),
        *(partial(_told, api, axon, payloads) for axon, payloads in some(ledger.events)),
        *(partial(_printed, api, path, *known) for path, known in ledger.outputs.items()),
    ]


async def _resumed(api: Api, devbox: str, number: int, tokens: list[str]) -> None:
    if (await api.json(f"/v1/devboxes/{devbox}"))["status"] == "suspended":
        answer = await api.post(f"/v1/devboxes/{devbox}/resume", json={})
        expect(answer.status_code in (200, 400), "losses", f"{devbox} cannot be resumed: {answer.text[:300]}")
    await api.wait(devbox, "running")
    found = (await api.execute(devbox, "cat number 2>/dev/null || echo 0"))["stdout"]
    # A write whose answer the kill has cut off may be there as well.
    expect(found.strip().isdigit() and int(found) >= number, "losses", f"{devbox} has {found!r} instead of {number}")
    times = await _tokens(api, devbox)
    for token in tokens:
        expect(times[token] >= 1, "losses", f"what {token} wrote in {devbox} is lost")
        expect(times[token] <= 1, "double runs", f"{token} ran {times[token]} times in {devbox}")


async def _tokens(api: Api, devbox: str) -> Counter[str]:
    text = (await api.execute(devbox, "cat runs 2>/dev/null", query="?last_n=100000"))["stdout"]
    return Counter(text.splitlines())


async def _started(api: Api, expected: str, command: str, **options: Any) -> None:
    devbox = await api.create(**options)
    found = (await api.execute(devbox, command))["stdout"]
    expect(found == expected, "losses", f"a devbox from {options} says {found!r} instead of {expected!r}")
    await api.json(f"/v1/devboxes/{devbox}/shutdown", {})


async def _downloaded(api: Api, name: str, data: bytes) -> None:
    url = (await api.json(f"/v1/objects/{name}/download"))["download_url"]
    async with httpx.AsyncClient() as bare:
        got = (await bare.get(url)).content
    expect(got == data, "wrong bytes", f"the object {name} has {len(got)} bytes instead of {len(data)}")


async def _told(api: Api, axon: str, payloads: list[str]) -> None:
    events = (await api.json(f"/v1/axons/{axon}/events?limit=5000"))["events"]
    found = Counter(event["payload"] for event in events)
    expect(all(found[one] for one in payloads), "losses", f"the axon {axon} has lost some of {payloads}")
    twice = [one for one, times in found.items() if times > 1]
    expect(not twice, "double runs", f"the axon {axon} has {twice} more than once")


async def _printed(api: Api, path: str, printing: Printing, heard: dict[str, str]) -> None:
    for stream, wanted in printing.texts().items():
        frames = await api.frames(path, stream)
        text = "".join(frame["output"] for frame in frames)
        whole = text.removesuffix("\ufffd")  # the kill may have split a character
        expect(wanted.startswith(whole), "wrong bytes", f"{stream} of {path} is no beginning of what it printed")
        known = heard[stream]
        expect(text.startswith(known), "losses", f"{stream} of {path} lacks some of the {len(known)} that were heard")
