"""The crossing from a magic to the notebook's loop, in a real kernel."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from tests.jupyter.kernels import Cell, Kernel

PREAMBLE = """
import asyncio, contextvars, threading, time
from IPython.core.magic import register_line_cell_magic
from runloop_jupyter.kernel.loop import background, run

log = []

async def work(seconds, clean_up=0.0, result=None, name="work"):
    task = asyncio.current_task()
    assert task in asyncio.all_tasks()
    print(f"{name} begins")
    try:
        await asyncio.sleep(seconds)
    except asyncio.CancelledError:
        await asyncio.sleep(clean_up)
        log.append(f"{name} cleaned up")
        print(f"{name} cleaned up")
        raise
    return result

@register_line_cell_magic
def works(line, cell=None):
    return run(work(*eval(f"[{line}]")))
"""


@pytest.fixture(scope="module")
def kernel(kernels: ModuleType) -> Iterator[Kernel]:
    with kernels.start() as started:
        started.run(PREAMBLE).check()
        yield started


def begun(kernel: Kernel, code: str) -> Cell:
    cell = kernel.send(code)
    kernel.shows(cell, "begins")
    return cell


WAYS = {
    "a line": ("%works 0.01, 0, 7", ["7"], ""),
    "a cell": ("%%works 0.01, 0, 7\nx", ["7"], ""),
    "assigned": ("x = %works 0.01, 0, 7\nx", ["7"], ""),
    "timed": ("%%time\n%works 0.01, 0, 7", ["7"], "Wall time"),
    "timed again and again": (
        "%timeit -n 3 -r 2 get_ipython().run_line_magic('works', '0.001')",
        [],
        "6 runs|loops each",
    ),
    "in a loop": ("for i in range(3): x = get_ipython().run_line_magic('works', f'0, 0, {i}')\nx", ["2"], "begins"),
    "in a function": ("def f():\n    %works 0.01, 0, 8\n    return 9\nf()", ["9"], "begins"),
    "in an awaiting cell": ("await asyncio.sleep(0)\nx = %works 0.01, 0, 7\nawait asyncio.sleep(0, x)", ["7"], ""),
    "inside another": ("async def outer():\n    return run(work(0.01, 0, 5)) + 1\nrun(outer())", ["6"], ""),
    "in gathered tasks": (
        "async def one(i):\n    await asyncio.sleep(0.01)\n    return run(work(0.03 - i / 100, 0, i))\n"
        "await asyncio.gather(one(0), one(1), one(2))",
        ["[0, 1, 2]"],
        "",
    ),
    "in a thread": ("await asyncio.to_thread(run, work(0.01, 0, 4))", ["4"], ""),
}


@pytest.mark.parametrize(("code", "results", "printed"), WAYS.values(), ids=WAYS)
def test_it_runs(kernel: Kernel, code: str, results: list[str], printed: str) -> None:
    cell = kernel.run(code).check()
    assert cell.results == results
    assert any(part in cell.stdout for part in printed.split("|"))


def test_it_runs_under_capture(kernel: Kernel) -> None:
    assert kernel.run("%%capture caught\n%works 0.01").check().messages == []
    assert kernel.value("caught.stdout") == "work begins\n"


def test_an_error_comes_out_as_it_is(kernel: Kernel) -> None:
    cell = kernel.run("async def fails(): raise LookupError('no such thing')\nrun(fails())")
    assert (cell.error, cell.error_text) == ("LookupError", "no such thing")


def test_stop_waits_for_the_clean_up_and_the_next_cell_runs(kernel: Kernel) -> None:
    cell = begun(kernel, "%works 1000, 0.3")
    kernel.interrupt()
    kernel.ended(cell)
    assert cell.error == "KeyboardInterrupt"
    assert cell.stdout == "work begins\nwork cleaned up\n"
    assert kernel.run("1 + 1").results == ["2"]


def test_stop_in_an_awaiting_cell_is_the_same(kernel: Kernel) -> None:
    cell = begun(kernel, "await asyncio.sleep(0)\n%works 1000, 0.1")
    kernel.interrupt()
    assert kernel.ended(cell).error == "KeyboardInterrupt"
    assert cell.stdout.endswith("work cleaned up\n")


def test_stop_ends_a_python_loop_of_magics(kernel: Kernel) -> None:
    cell = begun(kernel, "for _ in range(100_000): get_ipython().run_line_magic('works', '0.001')")
    kernel.interrupt()
    assert kernel.ended(cell).error == "KeyboardInterrupt"


def test_stop_ends_the_cell_even_if_the_coroutine_returns_all_the_same(kernel: Kernel) -> None:
    cell = begun(
        kernel,
        """
    async def stubborn():
        try: await work(1000)
        except asyncio.CancelledError: return "a value"
    run(stubborn())
    """,
    )
    kernel.interrupt()
    assert kernel.ended(cell).error == "KeyboardInterrupt"


def test_a_failing_clean_up_is_told(kernel: Kernel) -> None:
    cell = begun(
        kernel,
        """
    async def unlucky():
        try: await work(1000)
        except asyncio.CancelledError: raise OSError("could not kill it")
    run(unlucky())
    """,
    )
    kernel.interrupt()
    assert kernel.ended(cell).error == "KeyboardInterrupt"
    assert "could not kill it" in cell.traceback


CLEAN_UPS = {
    "waits": "await asyncio.sleep(1000)",
    "waits whatever happens": "\n            while True:\n                try: await asyncio.sleep(0.2)\n"
    "                except asyncio.CancelledError: pass\n                print('still here')",
}


@pytest.mark.parametrize("clean_up", CLEAN_UPS.values(), ids=CLEAN_UPS)
def test_a_second_stop_gives_up_at_once_and_leaves_nothing_behind(kernel: Kernel, clean_up: str) -> None:
    cell = begun(
        kernel,
        f"""
    async def slow():
        try: await work(1000)
        finally:
            print("cleaning up")
            {clean_up}
            print("too late")
    run(slow())
    """,
    )
    kernel.interrupt()
    kernel.shows(cell, "cleaning up\n")
    kernel.interrupt()
    kernel.ended(cell)  # which the clean-up alone would not let it
    assert cell.error == "KeyboardInterrupt"
    shown = cell.stdout
    after = kernel.run("import gc; await asyncio.sleep(0.5); gc.collect(); print('quiet')").check()
    assert cell.stdout == shown
    assert "too late" not in shown
    assert (after.stdout, after.stderr, cell.stderr) == ("quiet\n", "", "")


def test_forty_stops_leave_nothing_behind(kernel: Kernel) -> None:
    kernel.run("log.clear(); before = len(asyncio.all_tasks())").check()
    for number in range(40):
        cell = begun(kernel, f"run(work(1000, 0.02, name='w{number}'))")
        kernel.interrupt()
        kernel.ended(cell)
        assert (cell.error, cell.stderr) == ("KeyboardInterrupt", "")
    assert kernel.value("log") == [f"w{number} cleaned up" for number in range(40)]
    assert kernel.value("len(asyncio.all_tasks()) - before") == 0


def test_ten_cells_in_the_queue_run_in_order(kernel: Kernel) -> None:
    cells = [kernel.send(f"%works 0.02, 0, {number}, 'cell {number}'") for number in range(10)]
    for number, cell in enumerate(cells):
        assert kernel.ended(cell).check().results == [str(number)]
        assert cell.stdout == f"cell {number} begins\n"
    counts = [cell.reply["execution_count"] for cell in cells]
    assert counts == list(range(counts[0], counts[0] + 10))


def test_output_of_tasks_goes_to_the_cell_that_began_them(kernel: Kernel) -> None:
    first = kernel.send("""
    async def ticks():
        for number in range(6):
            print(f"tick {number}")
            await asyncio.sleep(0.1)
    _ = background(ticks())
    """)
    second = kernel.send("%works 0.3, 0, None, 'second'")
    third = kernel.run("await asyncio.sleep(0.3); print('third')").check()
    kernel.shows(first, "tick 5")
    assert first.stdout == "".join(f"tick {number}\n" for number in range(6))
    assert (second.stdout, third.stdout) == ("second begins\n", "third\n")


def test_context_variables_of_the_cell_are_seen_inside(kernel: Kernel) -> None:
    cell = kernel.run("""
    color = contextvars.ContextVar("color", default="none")
    async def see(): return color.get(), await asyncio.create_task(asyncio.sleep(0, color.get()))
    color.set("red")
    run(see())
    """)
    assert cell.check().results == ["('red', 'red')"]


def test_a_widget_message_is_handled_while_the_cell_runs(kernel: Kernel) -> None:
    kernel.run("""
    from comm import create_comm
    clicks = asyncio.Queue()
    button = create_comm(target_name="test")
    button.on_msg(lambda message: clicks.put_nowait(message["content"]["data"]))
    async def click():
        print("begins")
        return await clicks.get()
    """).check()
    cell = begun(kernel, "run(click())")
    content = {"comm_id": kernel_comm_id(kernel), "data": {"click": 1}}
    kernel.client.shell_channel.send(kernel.client.session.msg("comm_msg", content))
    assert kernel.ended(cell).check().results == ["{'click': 1}"]
    assert kernel.run("1 + 1").results == ["2"]


def kernel_comm_id(kernel: Kernel) -> str:
    """The id of the latest comm, which its opening told the front end."""
    opened = [m.content["comm_id"] for cell in kernel.cells for m in cell.messages if m.kind == "comm_open"]
    return str(opened[-1])


def test_a_failure_in_the_background_is_shown_in_its_cell(kernel: Kernel) -> None:
    cell = kernel.run(
        "async def fails():\n    await asyncio.sleep(0.1)\n    raise LookupError('gone')\n_ = background(fails())"
    )
    kernel.shows(cell.check(), "LookupError: gone\n")


def test_a_thousand_runs_in_one_cell_stay_cheap_and_leave_nothing_on_the_loop(kernel: Kernel) -> None:
    cell = kernel.run("""
    async def nothing(): pass
    loop = asyncio.get_running_loop()
    def spent():
        begun = time.process_time()
        for _ in range(1000): run(nothing())
        return time.process_time() - begun
    before = len(loop._ready)
    first, second, third = spent(), spent(), spent()
    left = len(loop._ready) - before
    """)
    cell.check()
    assert kernel.value("min(second, third) < 3 * first"), "each costs more than the one before"
    assert kernel.value("left") < 5


def test_nested_runs_do_not_disturb_io_and_timers_of_others(kernel: Kernel) -> None:
    cell = kernel.run("""
    async def echo(reader, writer):
        writer.write(await reader.readline()); await writer.drain(); writer.close(); await writer.wait_closed()
    async def ask():
        server = await asyncio.start_server(echo, "127.0.0.1")
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        async with server:
            ticks = [asyncio.create_task(asyncio.sleep(0.01 * i, i)) for i in range(5)]
            writer.write(b"hello\\n")
            line = await reader.readline()
            writer.close()
            return line, await asyncio.gather(*ticks)
    run(ask())
    """)
    assert cell.check().results == ["(b'hello\\n', [0, 1, 2, 3, 4])"]


def test_it_works_beside_nest_asyncio2(kernels: ModuleType) -> None:
    with kernels.start() as patched:
        patched.run("import nest_asyncio2; nest_asyncio2.apply()\n" + PREAMBLE).check()
        assert patched.run("%works 0.01, 0, 7").check().results == ["7"]
        cell = begun(patched, "%works 1000, 0.1")
        patched.interrupt()
        assert patched.ended(cell).error == "KeyboardInterrupt"
        assert cell.stdout.endswith("cleaned up\n")
        assert patched.run("%works 0.01, 0, 8").check().results == ["8"]


def test_a_loop_of_another_kind_is_left_alone(kernels: ModuleType) -> None:
    other = PREAMBLE + "from runloop_jupyter.kernel import loop\nloop.can_pump = lambda running: False\n"
    with kernels.start() as kernel:
        kernel.run(other).check()
        assert kernel.run("x = %works 0.01, 0, 7\nx").check().results == ["7"]
        cell = begun(kernel, "%works 1000, 0.1")
        kernel.interrupt()
        assert kernel.ended(cell).error == "KeyboardInterrupt"
        assert cell.stdout == "work begins\nwork cleaned up\n"
        assert kernel.run("_ = background(work(0.05, name='task')); await asyncio.sleep(0.2)").stdout == "task begins\n"


IN_THREAD = """
import concurrent.futures, multiprocessing.pool
from runloop_jupyter.kernel import loop
from runloop_jupyter.errors import UsageError
told = []
def in_thread(_=None):
    try: run(work(0))
    except UsageError as failure: told.append(str(failure))
"""


@pytest.mark.parametrize(
    "waits",
    [
        "t = threading.Thread(target=in_thread); t.start(); t.join()",
        "with concurrent.futures.ThreadPoolExecutor() as pool: pool.submit(in_thread)",
        "concurrent.futures.ThreadPoolExecutor().submit(in_thread).result()",
        "list(concurrent.futures.ThreadPoolExecutor().map(in_thread, [1]))",
        "with multiprocessing.pool.ThreadPool(1) as pool: pool.map(in_thread, [1])",
        "with multiprocessing.pool.ThreadPool(1) as pool: pool.apply_async(in_thread).get()",
    ],
)
def test_a_thread_that_the_cell_waits_for_is_told_at_once(kernel: Kernel, waits: str) -> None:
    kernel.run(f"{IN_THREAD}loop._START_TIMEOUT = float('inf')").check()
    cell = kernel.run(waits)  # it ends although nothing else would end the thread's wait
    assert cell.check().stderr == "", "nor is anything said of coroutines that were never awaited"
    (told,) = kernel.value("told")
    assert "The cell waits for this thread" in told
    assert "await asyncio.to_thread" in told


def test_a_thread_whose_loop_is_held_up_by_something_else_is_told_in_the_end(kernel: Kernel) -> None:
    kernel.run(f"{IN_THREAD}loop._START_TIMEOUT = 0.3").check()
    kernel.run("t = threading.Thread(target=in_thread); t.start()\nwhile not told: time.sleep(0.01)").check()
    assert "has held up the notebook's event loop" in kernel.value("told")[0]


def test_a_thread_that_the_cell_does_not_wait_for_works(kernel: Kernel) -> None:
    kernel.run(f"{IN_THREAD}loop._START_TIMEOUT = float('inf')").check()
    kernel.run(
        "t = threading.Thread(target=in_thread); t.start(); t.join(0.5); await asyncio.to_thread(t.join)"
    ).check()
    assert kernel.value("told") == []


def test_the_import_is_cheap() -> None:
    program = """
import sys, IPython, asyncio
before = set(sys.modules)
import runloop_jupyter.kernel.loop, runloop_jupyter.output.cell_output, runloop_jupyter.output.transcript
print(*(set(sys.modules) - before))
"""
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert {name.partition(".")[0] for name in ran.stdout.split()} == {"runloop_jupyter"}


def test_outside_of_any_kernel_a_script_and_its_threads_can_run_coroutines() -> None:
    program = """
import asyncio, threading
from runloop_jupyter.kernel.loop import run
async def loop_of(): return asyncio.get_running_loop()
first, second, found = run(loop_of()), run(loop_of()), []
assert first is second
async def with_thread(): await asyncio.to_thread(lambda: found.append(run(loop_of())))
run(with_thread())
assert found == [first]
first.close()
"""
    subprocess.run([sys.executable, "-W", "error", "-c", program], check=True)


def test_a_kernel_told_to_shut_down_cleans_up_first(kernels: ModuleType, tmp_path: Path) -> None:
    mark = tmp_path / "cleaned up"
    with kernels.start() as kernel:
        kernel.run(PREAMBLE).check()
        begun(
            kernel, f"try: run(work(999, 0.1))\nfinally: __import__('pathlib').Path({str(mark)!r}).symlink_to(log[0])"
        )
        kernel.client.shutdown()  # the message alone, without the SIGINT that most front ends send before it
        while not mark.is_symlink():
            kernel.listen(0.05)
    assert str(mark.readlink()) == "work cleaned up"


START = """
from runloop_jupyter.kernel.loop import start

home = asyncio.get_running_loop()
seen = []

async def callback(name):
    seen.append((name, asyncio.get_running_loop() is home, threading.current_thread() is threading.main_thread()))
    await asyncio.sleep(0.01)
    if name == "fails":
        raise ValueError(name)
    return name

failures = []

def from_a_thread_with_a_loop_of_its_own(*names):
    async def main():
        return [start(callback(name), failures.append) for name in names]
    return asyncio.run(main())
"""


def test_callbacks_of_any_thread_are_handed_over_in_order_and_report_failures(kernel: Kernel) -> None:
    kernel.run(START).check()
    kernel.run("futures = await asyncio.to_thread(from_a_thread_with_a_loop_of_its_own, 'a', 'fails', 'b')").check()
    kernel.run("futures.append(start(callback('here'), failures.append))").check()
    kernel.run("while not all(future.done() for future in futures): await asyncio.sleep(0.01)").check()
    assert kernel.value("seen") == [(name, True, True) for name in ("a", "fails", "b", "here")]
    assert kernel.value("[future.result() for future in futures]") == ["a", None, "b", "here"]
    assert kernel.value("[repr(error) for error in failures]") == ["ValueError('fails')"]


def test_cancelling_what_was_handed_over_ends_it(kernel: Kernel) -> None:
    kernel.run(START).check()
    cell = kernel.run("future = start(work(1000, name='cancelled'), failures.append)").check()
    kernel.shows(cell, "cancelled begins")
    kernel.run("future.cancel()").check()
    kernel.shows(cell, "cancelled cleaned up")
