"""Names that are taken, devboxes that are taken in place of a new one, and whose each one is."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING

import pytest

from tests.jupyter import kernels
from tests.jupyter.embedded import Home
from tests.jupyter.kernels import Kernel, fails

if TYPE_CHECKING:
    from collections.abc import Iterator

LOAD = "%load_ext runloop_jupyter\n"


@pytest.fixture(scope="module")
def other(home: Home) -> Iterator[Kernel]:
    """The kernel of another notebook, which has made `theirs`."""
    with kernels.start({**home.env, "JPY_SESSION_NAME": "/notebooks/other.ipynb"}) as started:
        started.run(LOAD + "%devbox create theirs\n%devbox create theirs-stays --keep --keep-alive 2h").check()
        yield started


def ids(kernel: Kernel, name: str) -> list[str]:
    """The devboxes of a name that live, newest first."""
    kernel.run("boxes = %devbox list").check()
    found: list[str] = kernel.value(f"[each.id for each in boxes if each.name == {name!r}]")
    return found


def made_by_sdk(home: Home, name: str) -> str:
    async def make() -> str:
        async with home.sdk() as sdk:
            return (await sdk.devbox.create(name=name)).id

    return asyncio.run(make())


@pytest.mark.parametrize("line", ["%devbox create main", "%devbox create --name main --size small"])
def test_a_name_that_is_taken_is_refused(kernel: Kernel, line: str) -> None:
    (box,) = ids(kernel, "main")
    words = ("'main' is taken by", box, "running, of this notebook", "%devbox use main", "%devbox create main --reuse")
    fails(kernel, kernel.run(line), "UsageError", *words)
    assert ids(kernel, "main") == [box]


def test_a_snapshot_is_not_restored_to_a_name_that_is_taken(kernel: Kernel) -> None:
    kernel.run("%devbox use main\n%devbox snapshot kept").check()
    refused = kernel.run("%runloop snapshot restore kept --name main")
    fails(kernel, refused, "UsageError", "'main' is taken", "%devbox use main")
    assert "--reuse" not in refused.error_text
    assert len(ids(kernel, "main")) == 1


def test_names_that_only_begin_alike_are_free(kernel: Kernel) -> None:
    kernel.run("%devbox create mai;\n%devbox create main-2;").check()
    assert len(ids(kernel, "mai")) == len(ids(kernel, "main-2")) == 1


def test_a_cell_that_reuses_makes_one_and_takes_it_from_then_on(kernel: Kernel) -> None:
    cell = "box = %devbox create again --reuse\nbox"
    assert kernel.run(cell).check().results[0].startswith("Created again (dbx_")
    (box,) = ids(kernel, "again")
    kernel.run("%devbox use main").check()
    taken = kernel.run(cell).check().results[0]
    assert taken == f"Using again ({box}) of this notebook: it is running and the current devbox."
    assert kernel.value("box.id") == box
    assert "again" in kernel.run("%devbox info").check().results[0]
    assert ids(kernel, "again") == [box]
    sized = kernel.run("%devbox create again --reuse --size small --env A=1").check().results[0]
    assert "of this cell, --size and --env hold for a new one" in sized
    fails(kernel, kernel.run("%devbox create --reuse"), "UsageError", "%devbox create NAME --reuse")


def test_one_that_is_suspended_is_woken_and_one_that_has_ended_is_replaced(kernel: Kernel) -> None:
    kernel.run("%devbox create sleeper\n%devbox exec touch kept\n%devbox suspend").check()
    (box,) = ids(kernel, "sleeper")
    fails(kernel, kernel.run("%devbox create sleeper"), "UsageError", "suspended", "--reuse")
    assert kernel.run("%devbox create sleeper --reuse").check().results[0].startswith(f"Resumed sleeper ({box})")
    assert kernel.run("%devbox exec ls").check().stdout == "kept\n"
    kernel.run("%devbox shutdown").check()
    assert kernel.run("%devbox create sleeper --reuse").check().results[0].startswith("Created sleeper")
    assert ids(kernel, "sleeper") != [box]


def test_one_that_is_on_its_way_is_waited_for(kernel: Kernel) -> None:
    kernel.run("import runloop_jupyter\nsdk = await runloop_jupyter.sdk()").check()
    kernel.run("view = await sdk.api.devboxes.create(name='slow', launch_parameters={'launch_commands': ['sleep 2']})")
    assert "it is running" in kernel.run("%devbox create slow --reuse").check().results[0]
    assert ids(kernel, "slow") == [kernel.value("view.id")]


def test_of_several_this_notebooks_own_is_taken_and_of_equals_none(kernel: Kernel, other: Kernel, home: Home) -> None:
    stranger = made_by_sdk(home, "double")
    fails(kernel, kernel.run("%devbox create double"), "UsageError", stranger, "of the SDK")
    assert stranger in kernel.run("%devbox create double --reuse").check().results[0]
    kernel.run("sdk = await __import__('runloop_jupyter').sdk()\nmine = await sdk.devbox.create(name='double')").check()
    assert kernel.value("mine.id") in kernel.run("%devbox create double --reuse").check().results[0]
    both = (kernel.value("mine.id"), stranger)
    fails(kernel, kernel.run("%devbox create double"), "UsageError", *both, f"%devbox use {both[0]}")
    fails(other, other.run("%devbox create double --reuse"), "UsageError", "2 devboxes", *both)


def test_another_kernels_is_named_as_such(kernel: Kernel, other: Kernel) -> None:
    refused = kernel.run("%devbox create theirs")
    fails(kernel, refused, "UsageError", "running, of another notebook")
    taken = kernel.run("%devbox create theirs --reuse").check().results[0]
    assert "of another notebook" in taken
    assert "with its kernel" in kernel.run("%devbox info theirs").check().results[0]


def test_each_devbox_has_an_owner_and_an_end(kernel: Kernel, other: Kernel, home: Home) -> None:
    kernel.run("%devbox create stays --keep --keep-alive 90m\n%devbox create ended\n%devbox shutdown").check()
    made_by_sdk(home, "by-sdk")
    kernel.run("boxes = %devbox list --all").check()
    told = dict(kernel.value("[(each.name, (each.owner, each.ends)) for each in boxes]"))
    assert told["main"] == ("this notebook", "with this kernel")
    assert told["stays"] == ("this notebook", "1 h 30 min after this kernel")
    assert told["theirs"] == ("another notebook", "with its kernel")
    assert told["theirs-stays"] == ("another notebook", "2 h after its kernel")
    assert told["by-sdk"][0] == "the SDK"
    assert re.fullmatch(r"in (1 h|59 min \d+ s)", told["by-sdk"][1])
    assert re.fullmatch(r"[\d.]+ s ago.*", told["ended"][1])
    table = kernel.run("%devbox list --all").check().results[0]
    assert re.search(r"main +dbx_\w+ +● running +.* ago +this notebook +with this kernel", table)
    assert re.search(r"by-sdk .* the SDK +in ", table)
    assert "this notebook" in kernel.run("%runloop").check().results[0]
    assert list(kernel.value("list(boxes.to_dataframe().columns)"))[-2:] == ["owner", "ends"]


def test_what_dead_kernels_left_is_this_notebooks_again(home: Home) -> None:
    named = {**home.env, "JPY_SESSION_NAME": "/notebooks/restarted.ipynb"}
    with kernels.start(named) as first:
        first.run(LOAD + "%devbox create left --keep --keep-alive 3h").check()
        first.restart()
        first.run(LOAD + "boxes = %devbox list --search left").check()
        assert first.value("[each.owner for each in boxes if each.name == 'left']") == ["this notebook"]
        assert first.value("[each.ends[:5] for each in boxes if each.name == 'left']") == ["in 2 "]
        assert "Using left" in first.run("%devbox create left --reuse").check().results[0]
        first.run("%devbox shutdown").check()


def test_idle_times_are_told() -> None:
    from runloop_jupyter.kernel.owned import OwnedDevboxes
    from runloop_jupyter.resources.devboxes import DevboxInfo
    from runloop_jupyter.resources.ownership import OwnershipIndex

    known = OwnershipIndex(OwnedDevboxes(), {}, is_embedded=False, host="kernel")
    idle = DevboxInfo("dbx_1", "idle", "running", 0, keep_alive=60, idle=(600, "suspend"))
    assert known.described(idle).ends == "suspends after 10 min without use"
    assert known.described(idle).owner == "elsewhere"
    assert known.described(DevboxInfo("dbx_1", "kept", "suspended", 0, keep_alive=60)).ends == "not by itself"
    assert known.described(DevboxInfo("dbx_1", "old", "running", 1, keep_alive=60)).ends == "in 0.00 s"
    assert known.described(DevboxInfo("dbx_1", "new", "provisioning", 1, keep_alive=60)).ends == ""
    assert (
        known.described(DevboxInfo("dbx_1", "gone", "failure", 1, why="it would not start")).ends
        == "it would not start"
    )
