"""What is kept of what nothing needs any more: deciding as tables, then limits that hold while the service runs."""

import json
import sqlite3
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from runloop_local.engine.devbox.history import KEPT
from runloop_local.engine.errors import InvalidError
from runloop_local.engine.storage.retention import Item, Retention, choose_excess, choose_unused
from runloop_local.engine.storage.retention_limits import (
    DEFAULTS,
    Limit,
    format_age,
    format_size,
    parse_age,
    parse_limits,
)
from tests.local.api import Api, connect
from tests.local.serving import serving
from tests.starter import FROM
from tests.waiting import until

DAY = 24 * 3600 * 1000
NOW = 100 * DAY
ALWAYS = Limit(10**9, 1000 * DAY)


def item(name: str, age: int, size: int = 10, *, live: bool = False) -> Item:
    """Something that was of use last `age` days ago."""
    return Item(name, NOW - age * DAY, {name: size}, live)


def step(name: str, age: int, *layers: str) -> Item:
    """A cached step on layers of 10 bytes each, its own first."""
    return Item(name, NOW - age * DAY, dict.fromkeys(layers, 10))


EXCESS: dict[str, tuple[list[Item], Limit, dict[str, int]]] = {
    "nothing": ([], Limit(0, 0), {}),
    "all within the limits": ([item("a", 2), item("b", 1)], Limit(20, 3 * DAY), {}),
    "too old, in whatever order": ([item("b", 1), item("a", 4)], Limit(100, 3 * DAY), {"a": 10}),
    "as old as may be": ([item("a", 3)], Limit(100, 3 * DAY), {}),
    "too much: the oldest, and down to nine tenths": (
        [item("b", 2), item("a", 3), item("c", 1)],
        Limit(29, 9 * DAY),
        {"a": 10},
    ),
    "too much of one": ([item("a", 3, 100), item("b", 2), item("c", 1)], Limit(30, 9 * DAY), {"a": 100}),
    "what came last stays, however much": ([item("a", 2, 10), item("b", 1, 100)], Limit(50, 9 * DAY), {"a": 10}),
    "what came last goes when it is too old": ([item("a", 5, 10)], Limit(50, 3 * DAY), {"a": 10}),
    "set clocks make nothing old": ([item("a", -5), item("b", 1)], Limit(100, 3 * DAY), {}),
    "what lives never gets too old": ([item("a", 9, live=True)], Limit(100, 3 * DAY), {}),
    "what lives after all else, and only as much as has to": (
        [item("a", 1), item("b", 2), item("x", 0, 100, live=True), item("y", 0, 50, live=True)],
        Limit(100, 9 * DAY),
        {"b": 10, "x": 70},
    ),
    "a shared part goes with the last that has it": (
        [step("top", 2, "t", "m", "l"), step("middle", 2, "m", "l"), step("low", 2, "l"), step("new", 1, "n")],
        Limit(25, 9 * DAY),
        {"top": 10, "middle": 10},
    ),
    "what frees nothing stays": ([step("low", 3, "l"), step("top", 1, "t", "l")], Limit(5, 9 * DAY), {}),
    "what frees nothing goes when it is too old": (
        [step("low", 9, "l"), step("top", 1, "t", "l")],
        Limit(100, 3 * DAY),
        {"low": 0},
    ),
}


@pytest.mark.parametrize(("items", "limit", "gone"), EXCESS.values(), ids=EXCESS.keys())
def test_what_is_to_go(items: list[Item], limit: Limit, gone: dict[str, int]) -> None:
    assert {removal.item.id: removal.bytes for removal in choose_excess(items, limit, NOW)} == gone


def test_what_cannot_go_counts() -> None:
    items = [item("a", 2), item("b", 1)]
    assert choose_excess(items, Limit(100, 9 * DAY), NOW, fixed=80) == []
    assert [removal.item.id for removal in choose_excess(items, Limit(100, 9 * DAY), NOW, fixed=90)] == ["a"]


UNNEEDED = [item("a", 3), item("b", 1), item("x", 0, live=True), step("top", 2, "t", "l"), step("low", 2, "l")]


@pytest.mark.parametrize(
    ("age", "live", "gone"),
    [
        (0, False, {"a": 10, "b": 10, "top": 10, "low": 10}),
        (0, True, {"a": 10, "b": 10, "top": 10, "low": 10, "x": 10}),
        (2, True, {"a": 10, "top": 10, "low": 10}),
        (5, True, {}),
    ],
    ids=["all", "what lives too", "older", "none so old"],
)
def test_what_may_go_whatever_the_limits(age: int, live: bool, gone: dict[str, int]) -> None:
    found = choose_unused(UNNEEDED, NOW - age * DAY + 1, live=live)
    assert {removal.item.id: removal.bytes for removal in found} == gone


@pytest.mark.parametrize(
    ("text", "kind", "limit"),
    [
        ("", "logs", DEFAULTS["logs"]),
        ("logs=2GB/12h", "logs", Limit(2 * 10**9, DAY // 2)),
        ("cache=1h/0.5kb", "cache", Limit(500, 3600_000)),
        ("logs=1MB, builds=30s", "builds", Limit(DEFAULTS["builds"].bytes, 30_000)),
        ("logs=1MB logs=2MB", "logs", Limit(2 * 10**6, DEFAULTS["logs"].age_ms)),
        ("records=0B/10m", "records", Limit(0, 600_000)),
    ],
)
def test_limits_as_they_are_written(text: str, kind: str, limit: Limit) -> None:
    found = parse_limits(text)
    assert found[kind] == limit
    assert found.keys() == DEFAULTS.keys()


@pytest.mark.parametrize(
    "text", ["log=1GB", "logs", "logs=", "logs=1", "logs=GB", "logs=-1GB", "logs=1GB/", "1GB", "x"]
)
def test_what_is_no_limit_is_named(text: str) -> None:
    with pytest.raises(InvalidError, match=r"write it like|neither a size"):
        parse_limits(text)
    with pytest.raises(InvalidError):
        parse_age(text)


def test_sizes_and_ages_as_they_are_shown() -> None:
    assert [format_size(n) for n in (0, 999, 1000, 1_540_000, 2 * 10**9)] == ["0 B", "999 B", "1 KB", "1.5 MB", "2 GB"]
    assert [format_age(n) for n in (500, 90_000, 600_000, DAY, 3 * DAY)] == [
        "0.5 seconds", "90 seconds", "10 minutes", "24 hours", "3 days",
    ]  # fmt: skip


class Stubborn:
    """Data of one item that cannot be removed at first."""

    def __init__(self, refusal: Exception) -> None:
        self.refusals = [refusal]
        self.kept = [Item("thing", 0, {"thing": 10})]

    async def restore(self) -> None: ...

    def items(self) -> list[Item]:
        return self.kept

    def total(self) -> int:
        return 10 * len(self.kept)

    async def remove(self, removal: object) -> int:
        if self.refusals:
            raise self.refusals.pop()
        self.kept.clear()
        return 10


REFUSALS = {
    "by the system": (OSError("it is stuck"), "it is stuck"),
    "no thread": (RuntimeError("can't start new thread"), "This machine cannot start more processes"),
}


@pytest.mark.parametrize(("refusal", "told"), REFUSALS.values(), ids=REFUSALS)
async def test_what_cannot_be_removed_is_told_and_tried_again(
    caplog: pytest.LogCaptureFixture, refusal: Exception, told: str
) -> None:
    retention, stubborn = Retention({"logs": Limit(100, 1)}), Stubborn(refusal)
    retention.add("logs", stubborn)
    assert await retention.prune(["logs"], 0, live=False) == {"logs": 0}
    (problem,) = retention.problems.values()
    assert problem.startswith(f"Of the logs that are no longer kept, thing cannot be removed: {told}")
    assert told in caplog.text
    assert await retention.prune(["logs"], 0, live=False) == {"logs": 10}
    assert retention.problems == {}


# With a service


PRINT_100_KB = "head -c 100000 /dev/zero | tr '\\0' x; echo said >&2"


async def kept(api: Api) -> dict[str, int]:
    """The bytes of each kind, as the status tells them."""
    found = (await api.json("/local/status"))["kept"]
    return {kind: usage["bytes"] for kind, usage in found.items()}


def on_disk(folders: Iterable[Path]) -> int:
    """The bytes that files and folders take."""
    return sum(path.stat().st_blocks * 512 for folder in folders for path in (folder, *folder.rglob("*")))


async def ended(api: Api, *commands: str) -> tuple[str, list[str]]:
    """A devbox that has run commands and has ended, and the paths of these."""
    devbox = await api.create()
    paths = []
    for command in commands:
        result = await api.execute(devbox, command)
        paths.append(f"/v1/devboxes/{devbox}/executions/{result['execution_id']}")
    await api.json(f"/v1/devboxes/{devbox}/shutdown", {})
    return devbox, paths


async def test_logs_of_ended_devboxes_hold_to_their_limit_and_say_when_they_are_gone(tmp_path: Path) -> None:
    with serving(tmp_path / "data", "--keep", "logs=500KB") as service:
        async with connect(service) as api:
            ran = [await ended(api, *[PRINT_100_KB] * 2) for _ in range(5)]

            async def is_within() -> bool:
                return (await kept(api))["logs"] <= 500_000

            await until(is_within)
            folders = list((service.data_dir / "logs").iterdir())
            assert {folder.name for folder in folders} < {devbox for devbox, _ in ran}
            assert abs((await kept(api))["logs"] - on_disk(folders)) <= 8192 * len(folders)
            await says_that_it_is_pruned(api, *ran[0])
            newest = await api.json(ran[-1][1][0])
            assert (len(newest["stdout"]), newest["stderr"]) == (100_000, "said\n")
    assert (tmp_path / "data.log").read_text() == ""


async def says_that_it_is_pruned(api: Api, devbox: str, executions: list[str]) -> None:
    view = await api.json(executions[0])
    assert (view["exit_status"], view["stdout"], view["stdout_truncated"]) == (0, "", True)
    for stream in ("stdout", "stderr"):
        gone = await api.json(f"{executions[0]}/stream_{stream}_updates", status=410)
        assert (gone["error"], gone["retryable"]) == ("pruned", False)
        assert "no longer kept" in gone["message"]
    logs = (await api.json(f"/v1/devboxes/{devbox}/logs"))["logs"]
    assert [entry for entry in logs if entry["level"] == "warn" and "no longer kept" in entry["message"]]


async def test_a_command_that_printed_nothing_is_not_taken_for_a_pruned_one(tmp_path: Path) -> None:
    with serving(tmp_path / "data") as service:
        async with connect(service) as api:
            _, (silent, loud) = await ended(api, "true", "echo loud")
            await api.json("/local/prune", {"kinds": ["logs"]})
            view = await api.json(silent)
            assert (view["stdout"], view["stdout_truncated"], view["stderr_truncated"]) == ("", False, False)
            assert await api.frames(silent) == []
            view = await api.json(loud)
            assert (view["stdout_truncated"], view["stderr_truncated"]) == (True, False)


async def test_of_a_devbox_that_lives_the_last_commands_keep_their_output(tmp_path: Path) -> None:
    with serving(tmp_path / "data", "--keep", "logs=1MB") as service:
        async with connect(service) as api:
            devbox = await api.create()
            running = await api.start(devbox, "echo here; sleep 1000")
            ids = [(await api.execute(devbox, PRINT_100_KB))["execution_id"] for _ in range(KEPT + 10)]
            folder = service.data_dir / "logs" / devbox

            async def is_trimmed() -> bool:
                return len(list(folder.iterdir())) == KEPT + 1

            await until(is_trimmed)
            one = f"/v1/devboxes/{devbox}/executions/"
            await says_that_it_is_pruned(api, devbox, [one + ids[0]])
            assert len((await api.json(one + ids[-KEPT]))["stdout"]) == 100_000
            async for frame in api.follow(running):
                assert frame["output"] == "here\n"
                break


async def test_what_has_ended_too_long_ago_is_forgotten_while_the_service_runs(tmp_path: Path) -> None:
    with serving(tmp_path / "data", "--keep", "records=1s") as service:
        async with connect(service) as api:
            alive = await api.create()
            devbox, (execution,) = await ended(api, "echo")

            async def is_gone() -> bool:
                return (await api.get(f"/v1/devboxes/{devbox}")).status_code == 404

            await until(is_gone)
            await api.json(execution, status=404)
            assert [view["id"] for view in (await api.json("/v1/devboxes"))["devboxes"]] == [alive]
            assert list((service.data_dir / "logs").iterdir()) == []
            assert (await kept(api))["records"] == 0


async def built(api: Api, dockerfile: str) -> dict[str, Any]:
    blueprint = await api.json("/v1/blueprints", {"name": "b", "dockerfile": dockerfile})
    found: dict[str, Any] = {}

    async def has_ended() -> bool:
        found.update(await api.json(f"/v1/blueprints/{blueprint['id']}"))
        return found["status"] in ("build_complete", "failed")

    await until(has_ended)
    assert found["status"] == "build_complete", await api.json(f"/v1/blueprints/{blueprint['id']}/logs")
    return found


DOCKERFILE = f"{FROM}\nRUN echo > ~/one\nRUN head -c 300000 /dev/urandom > ~/two"


async def test_steps_that_a_blueprint_needs_are_no_cache_and_the_others_can_be_freed(tmp_path: Path) -> None:
    with serving(tmp_path / "data") as service:
        async with connect(service) as api:
            blueprint = await built(api, DOCKERFILE)
            assert (await kept(api))["cache"] == 0
            await api.json("/local/prune", {"kinds": ["builds"]})
            gone = await api.json(f"/v1/blueprints/{blueprint['id']}/logs", status=410)
            assert "no longer kept" in gone["message"]
            await api.json(f"/v1/blueprints/{blueprint['id']}/delete", {})
            assert (await kept(api))["cache"] > 300_000
            again = await built(api, DOCKERFILE)
            log = (await api.json(f"/v1/blueprints/{again['id']}/logs"))["logs"]
            assert [line["message"] for line in log].count("cached") == 2
            await api.json(f"/v1/blueprints/{again['id']}/delete", {})
            freed = (await api.json("/local/prune", {"kinds": ["cache"]}))["freed"]
            assert freed["cache"] > 300_000
            assert layers(service.data_dir) == set()
            assert (await kept(api))["cache"] == 0


async def test_the_cache_holds_to_its_limit(tmp_path: Path) -> None:
    with serving(tmp_path / "data", "--keep", "cache=700KB") as service:
        async with connect(service) as api:
            for number in range(4):
                blueprint = await built(api, f"{FROM}\nRUN echo {number}; head -c 300000 /dev/urandom > ~/data")
                await api.json(f"/v1/blueprints/{blueprint['id']}/delete", {})

            async def is_within() -> bool:
                return (await kept(api))["cache"] <= 700_000 and len(layers(service.data_dir)) <= 2

            await until(is_within)
            assert layers(service.data_dir)


def layers(data_dir: Path) -> set[str]:
    return {path.name for path in data_dir.glob("sandboxes/*/layers/*")} - {"base", "scratch", "skeleton"}


async def test_the_next_service_knows_what_there_is(tmp_path: Path) -> None:
    with serving(tmp_path / "data") as first:
        async with connect(first) as api:
            devbox, _ = await ended(api, PRINT_100_KB)
            suspended = await api.create()
            await api.execute(suspended, PRINT_100_KB)
            before = await kept(api)
        first.kill()
    for lost in (False, True):
        if lost:  # an earlier version has noted nothing
            with sqlite3.connect(tmp_path / "data" / "service.db") as database:
                assert database.execute("DELETE FROM documents WHERE kind = 'ended_devbox'").rowcount == 1
            database.close()
        with serving(tmp_path / "data") as service:
            async with connect(service) as api:

                async def is_known() -> bool:
                    return (await kept(api))["logs"] == before["logs"]

                await until(is_known)
                assert (await kept(api))["records"] > 0
    with serving(tmp_path / "data", "--keep", "logs=1s records=9d") as service:
        async with connect(service) as api:

            async def only_of_the_live_one() -> bool:
                return [folder.name for folder in (service.data_dir / "logs").iterdir()] == [suspended]

            await until(only_of_the_live_one)
            assert (await api.json(f"/v1/devboxes/{devbox}"))["status"] == "shutdown"
    assert (tmp_path / "data.log").read_text() == ""


async def test_prune_leaves_what_lives_alone(tmp_path: Path) -> None:
    with serving(tmp_path / "data") as service:
        async with connect(service) as api:
            devbox = await api.create()
            await api.execute(devbox, "echo kept > file")
            snapshot = (await api.json(f"/v1/devboxes/{devbox}/snapshot_disk", {}))["id"]
            blueprint = await built(api, DOCKERFILE)
            gone, _ = await ended(api, PRINT_100_KB)
            everything = {"kinds": ["logs", "records", "builds", "cache"], "live": True}
            freed = (await api.json("/local/prune", everything))["freed"]
            assert all(freed[kind] > 0 for kind in ("logs", "records", "builds"))
            await api.json(f"/v1/devboxes/{gone}", status=404)
            assert (await api.execute(devbox, "cat file"))["stdout"] == "kept\n"
            for origin in ({"snapshot_id": snapshot}, {"blueprint_id": blueprint["id"]}):
                assert (await api.execute(await api.create(**origin), "ls"))["exit_status"] == 0
            assert json.loads(json.dumps(await kept(api)))["builds"] == 0
