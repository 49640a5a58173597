"""The panel in a real kernel: callbacks on other threads, its end, and what is left where there are no widgets."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.jupyter import kernels
from tests.jupyter.embedded import Home, embedded_home
from tests.jupyter.kernels import Kernel
from tests.jupyter.remote import remote
from tests.waiting import wait_until

OPEN = """
import asyncio, threading, runloop_jupyter
%load_ext runloop_jupyter
%devbox create --name in-kernel
panel = runloop_jupyter.panel()
loops = set()
post = panel._channel.post

def posting(event, **options):
    loops.add((asyncio.get_running_loop(), threading.current_thread() is threading.main_thread()))
    post(event, **options)

panel._channel.post = posting

def as_a_subshell_would(**content):
    async def main():
        panel.view._handle_custom_msg({"view": "v", **content}, [])
    return asyncio.run(main())
"""
SNAP = """
async def snap():
    act = {"op": "act", "view": "v", "n": 2, "kind": "devbox", "action": "snapshot", "ids": [box, box]}
    panel.view._handle_custom_msg(act, [])
    while not panel._feed.tables["snapshot"].rows: await asyncio.sleep(0.05)
    print("one taken")
"""


HELLO = "op='hello', protocol=1, visible=True, kinds=['devbox']"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    with embedded_home(tmp_path_factory.mktemp("home")) as folder:
        yield folder


@pytest.fixture(scope="module")
def kernel(home: Home) -> Iterator[Kernel]:
    with kernels.start(home.env) as started:
        started.run(OPEN).check()
        yield started


def test_a_callback_on_a_subshells_thread_works_on_the_notebooks_loop(kernel: Kernel, home: Home) -> None:
    say = f"await asyncio.to_thread(as_a_subshell_would, n=0, {HELLO})"
    kernel.run(say).check()
    kernel.run("while not (rows := panel._feed.tables['devbox'].rows): await asyncio.sleep(0.05)").check()
    kernel.run("box = next(iter(rows))").check()
    act = "n=1, op='act', kind='devbox', action='suspend', ids=[box]"
    kernel.run(f"await asyncio.to_thread(as_a_subshell_would, {act})").check()
    wait_until(lambda: home.statuses()["in-kernel"] == "suspended", "the suspended devbox")
    wait_until(lambda: kernel.value("not panel._marks"), "the end of its mark")
    assert kernel.value("[(loop is asyncio.get_running_loop(), main) for loop, main in loops]") == [(True, True)]


def test_it_works_while_a_cell_runs(kernel: Kernel, home: Home) -> None:
    kernel.run("%devbox resume in-kernel\nawait panel._feed.look(['devbox'])").check()
    kernel.run(SNAP).check()
    cell = kernel.send(
        "snapping = asyncio.create_task(snap())\n"
        "%devbox exec --on in-kernel until [ -e taken ]; do sleep 0.1; done; echo done"
    )
    kernel.shows(cell, "one taken\n")
    remote(home, "touch taken", "in-kernel")
    kernel.ended(cell).check()
    assert cell.stdout.endswith("done\n")


def test_closing_it_ends_its_tasks(kernel: Kernel) -> None:
    tasks = "[t.get_coro().__qualname__ for t in asyncio.all_tasks() if 'Feed' in repr(t) or 'Follower' in repr(t)]"
    assert kernel.value(tasks) == ["Feed._run"]
    kernel.run("panel.close()").check()
    wait_until(lambda: kernel.value(tasks) == [], "their end")


def test_unloading_the_extension_ends_its_tasks_and_the_panel_says_so(kernel: Kernel) -> None:
    kernel.run("other, told = runloop_jupyter.panel(), []").check()
    kernel.run("other._channel._send = lambda message, _: told.append(message['op'])").check()
    tasks = "len([t for t in asyncio.all_tasks() if 'Feed' in repr(t)])"
    kernel.run(f"other.view._handle_custom_msg(dict(view='v', n=0, {HELLO}), [])").check()
    wait_until(lambda: kernel.value(tasks) == 1, "the looking")
    kernel.run("%unload_ext runloop_jupyter").check()
    wait_until(lambda: kernel.value(tasks) == 0, "its end")
    kernel.run(f"told.clear(); other.view._handle_custom_msg(dict(view='v', n=1, {HELLO}), [])").check()
    wait_until(lambda: len(kernel.value("told")) > 1, "the answers")
    assert kernel.value("told") == ["ack", "ended"]
