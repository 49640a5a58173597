"""`%%devbox python`: a session in the devbox, values both ways, rich output."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from runloop_jupyter.executions.python import Frames
from runloop_jupyter.untrusted import harmless
from tests.jupyter.embedded import Home
from tests.jupyter.kernels import fails
from tests.jupyter.remote import ends, remote

if TYPE_CHECKING:
    from tests.jupyter.kernels import Cell, Kernel

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="


def bundles(cell: Cell) -> list[dict[str, Any]]:
    """What the cell displayed, but for its status lines."""
    data = [m.content["data"] for m in cell.messages if m.kind == "display_data"]
    return [each for each in data if not re.match(r"[✓✗]|running|$", each.get("text/plain", ""))]


def test_variables_last_from_cell_to_cell(kernel: Kernel) -> None:
    first = kernel.run("%%devbox python --restart\nimport sys\nx = 41\nprint('set')").check()
    assert first.stdout == "set\n"
    assert re.search(r"✓ exit code 0 · \d.* s · main · new session of Python 3\.\d+\.\d+", first.displays[-1])
    second = kernel.run("%%devbox python\nx + 1").check()
    assert bundles(second) == [{"text/plain": "42"}]
    assert "new session" not in second.displays[-1]
    assert "main · " not in str(kernel.run("%%devbox python\nx = 5;\nNone").check().stdout)
    assert bundles(kernel.run("%%devbox python\nx;").check()) == []


def test_sessions_are_apart(kernel: Kernel) -> None:
    kernel.run("%%devbox python\nwhose = 'main'").check()
    kernel.run("%%devbox python --session other\nwhose = 'other'").check()
    assert bundles(kernel.run("%%devbox python\nwhose").check()) == [{"text/plain": "'main'"}]
    fails(kernel, kernel.run("%%devbox python --restart\nwhose"), "DevboxCommandError", "NameError")
    assert bundles(kernel.run("%%devbox python --session other\nwhose").check()) == [{"text/plain": "'other'"}]


def test_an_error_shows_the_cells_lines_and_the_session_goes_on(kernel: Kernel) -> None:
    kernel.run("%%devbox python\ndef divide(a):\n    return 1 / a\nkept = 1").check()
    cell = kernel.run("%%devbox python\nkept = 2\n\ndivide(0)")
    fails(kernel, cell, "DevboxCommandError", "ZeroDivisionError: division by zero", "main")
    assert re.search(r'File "<cell \d+>", line 4, in <module>\n +divide\(0\)', cell.stderr)
    assert re.search(r'File "<cell \d+>", line 3, in divide\n +return 1 / a', cell.stderr)
    assert "interpreter" not in cell.stderr
    syntax = kernel.run("%%devbox python\nkept = 3\nif:")
    fails(kernel, syntax, "DevboxCommandError", "SyntaxError", "(line 3)")
    assert bundles(kernel.run("%%devbox python\nkept").check()) == [{"text/plain": "2"}]


def test_output_streams_and_both_streams_come(kernel: Kernel) -> None:
    cell = kernel.run(
        "%%devbox python\nimport sys, time, subprocess\nprint('early', end='')\ntime.sleep(1)\n"
        "print(' late')\nprint('err', file=sys.stderr)\nsubprocess.run(['echo', 'child'])\nNone"
    ).check()
    assert next(m.at for m in cell.messages if "early" in m.text) < cell.seconds - 0.8
    assert cell.stdout == "early late\nchild\n"
    assert cell.stderr == "err\n"


def test_await_works_at_the_top(kernel: Kernel) -> None:
    cell = kernel.run(
        "%%devbox python\nimport asyncio\nawait asyncio.sleep(0.01)\nawait asyncio.sleep(0, 'done')"
    ).check()
    assert bundles(cell) == [{"text/plain": "'done'"}]


VALUES = (
    "[1, 2.5, None, True, 'é\\n\\'\"', [], {'a': {}}]",
    "(1, {2, 3}, frozenset({4}), b'\\x00\\xff', 1 + 2j)",
    "{1: 'one', (2, 3): {'$': 'odd'}}",
    "__import__('datetime').datetime(2024, 2, 29, 1, 2, 3, 4)",
    "__import__('decimal').Decimal('0.10')",
    "[float('inf'), 2**100, -0.0]",
    "'x' * 600_000",
)


@pytest.mark.parametrize("value", VALUES)
def test_values_go_there_and_back_unchanged(kernel: Kernel, value: str) -> None:
    kernel.run(f"value = {value}").check()
    kernel.run("%%devbox python --in value --out back kind\nback = value\nkind = type(value).__name__").check()
    assert kernel.value("back == value and type(back) is type(value) and repr(back) == repr(value)") is True
    assert kernel.value("kind == type(value).__name__") is True


def test_large_values_leave_nothing_behind(kernel: Kernel, home: Home) -> None:
    assert "runloop-" not in remote(home, "ls /tmp").replace("runloop-python-", "")


def test_what_can_be_pickled_is_sent(kernel: Kernel) -> None:
    kernel.run("import fractions, collections\nf = fractions.Fraction(1, 3)\nc = collections.Counter('aab')").check()
    cell = kernel.run("%%devbox python --in f c\nprint(f + 1, c.most_common(1))").check()
    assert cell.stdout == "4/3 [('a', 2)]\n"


def test_what_cannot_be_sent_or_brought_back_says_so(kernel: Kernel) -> None:
    kernel.run("lock = __import__('threading').Lock()").check()
    fails(kernel, kernel.run("%%devbox python --in lock\n1"), "UsageError", "--in", "'lock'", "cannot be sent")
    fails(kernel, kernel.run("%%devbox python --in nosuch\n1"), "UsageError", "'nosuch'")
    back = kernel.run("%%devbox python --out f\nimport fractions\nf = fractions.Fraction(1, 3)")
    fails(kernel, back, "DevboxCommandError", "'f' is a fractions.Fraction", "unpickling")
    fails(kernel, kernel.run("%%devbox python --out missing\n1"), "DevboxCommandError", "'missing'")
    assert kernel.value("'missing' in globals()") is False


def test_tables_and_pictures_come_as_such_and_scripts_do_not_run(kernel: Kernel) -> None:
    cell = kernel.run(
        f"""%%devbox python
class Table:
    def __repr__(self): return "a table"
    def _repr_html_(self): return "<table class='dataframe jp-evil'><tr onclick='x()'><td>1</td></tr></table>"
class Picture:
    def __repr__(self): return "a picture"
    def _repr_png_(self): return __import__("base64").b64decode("{PIXEL}")
class Plot:
    def __repr__(self): return "a plot"
    def _repr_html_(self): return "<div id=p></div><script>alert('plot')</script>"
print("before"); display(Table()); print("between"); display(Picture(), Plot()); print("after")
Table()
"""
    ).check()
    table, picture, plot, last = bundles(cell)
    assert table["text/plain"] == "a table"
    assert "<td>1</td>" in table["text/html"]
    assert "onclick" not in table["text/html"]
    assert "jp-evil" not in table["text/html"]
    assert picture["image/png"].strip() == PIXEL
    assert plot["text/html"].startswith('<iframe sandbox="allow-scripts"')
    assert "<script" not in plot["text/html"]
    assert last == table
    order = "|".join(m.text.strip() for m in cell.messages if m.text.strip() and m.kind != "update_display_data")
    assert order.startswith("before|a table|between|a picture|a plot|after|a table")


def test_stop_interrupts_the_cell_and_keeps_the_variables(kernel: Kernel, home: Home) -> None:
    kernel.run("%%devbox python\nkept = 'kept'").check()
    cell = kernel.send("%%devbox python\nimport subprocess\nprint('begun')\nsubprocess.run(['sleep', '8711'])")
    kernel.shows(cell, "begun")
    kernel.interrupt()
    kernel.ended(cell, within=5)
    assert (cell.error, "\n" in cell.traceback) == ("KeyboardInterrupt", False)
    assert bundles(kernel.run("%%devbox python\nkept").check()) == [{"text/plain": "'kept'"}]
    assert ends(home, "[8]711")


def test_a_cell_that_will_not_stop_costs_the_session(kernel: Kernel, home: Home) -> None:
    cell = kernel.send(
        "%%devbox python --session stubborn\nprint('begun')\nimport time\nwhile True:\n    try: time.sleep(8712)\n"
        "    except BaseException: pass"
    )
    kernel.shows(cell, "begun")
    kernel.interrupt()
    kernel.ended(cell, within=5)
    assert "new session" in kernel.run("%%devbox python --session stubborn\n1", within=20).check().displays[-1]


def test_a_timeout_interrupts_as_well(kernel: Kernel) -> None:
    fails(
        kernel, kernel.run("%%devbox python --timeout 1\nkept = 2\nwhile True: pass"), "DevboxTimeoutError", "--timeout"
    )
    assert bundles(kernel.run("%%devbox python\nkept").check()) == [{"text/plain": "2"}]


def test_a_session_that_dies_is_told(kernel: Kernel) -> None:
    cell = kernel.run("%%devbox python --session mortal\nimport os\nos._exit(3)")
    fails(kernel, cell, "DevboxCommandError", "the Python session died", "variables are gone")
    assert "new session" in kernel.run("%%devbox python --session mortal\n1").check().displays[-1]


def test_exit_codes_are_kept(kernel: Kernel) -> None:
    kernel.run("%%devbox python --no-raise-error -o r\nimport sys; sys.exit(7)").check()
    assert kernel.value("r.exit_code, r.values, r.displays") == (7, {}, [])
    kernel.run("%%devbox python\nsys.exit()").check()


def test_questions_are_asked_at_the_prompt(kernel: Kernel) -> None:
    cell = kernel.send("%%devbox python -i\nname = input('Name? ')\nprint('hello', name)")
    assert kernel.client.get_stdin_msg(timeout=20)["content"]["prompt"] == "Name? "
    kernel.client.input("Ada")
    assert "hello Ada\n" in kernel.ended(cell).check().stdout


def test_it_runs_on_many_devboxes_and_in_the_background(kernel: Kernel) -> None:
    kernel.run("%devbox create --name second\n%devbox use main\nn = 20").check()
    kernel.run(
        "%%devbox python --on all --in n --out host\nimport os\nhost = n + len(os.environ['HOME'])\nprint('x')"
    ).check()
    assert kernel.value("host") == {"main": 30, "second": 30}
    kernel.run("%%devbox python --bg -o job\nimport time; time.sleep(0.3); print('late')").check()
    assert kernel.value("job.wait().stdout") == "late\n"
    kernel.run("%devbox shutdown second").check()


def test_an_interpreter_that_is_not_there_is_told(kernel: Kernel) -> None:
    fails(kernel, kernel.run("%%devbox python --python python9\n1"), "DevboxCommandError", "python9", "--python")
    fails(kernel, kernel.run("%%devbox python --session 'a b'\n1"), "UsageError", "'a b'")
    fails(kernel, kernel.run("%%devbox python\n \n"), "UsageError", "no code")


def test_a_large_cell_arrives(kernel: Kernel) -> None:
    text = "x" * 200_000
    cell = kernel.run(f"%%devbox python\nprint(len('{text}'))").check()
    assert cell.stdout == "200000\n"


def test_capture_takes_output_and_displays(kernel: Kernel) -> None:
    cell = kernel.run(
        "from IPython.utils.capture import capture_output\nwith capture_output() as c:\n"
        "    get_ipython().run_cell_magic('devbox', 'python', 'print(1)\\n2')"
    ).check()
    assert cell.messages == []
    assert kernel.value("c.stdout, [o.data['text/plain'] for o in c.outputs]") == ("1\n", ["2"])


WORD = "abcd"
FRAME = '\x1eabcd{"kind": "new"}\n'


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_structured_lines_are_told_from_text_however_they_are_cut(size: int) -> None:
    text = f"one{FRAME}\x1e two\x1eabX{FRAME}\x1eabcdno json\nthree\n"
    frames, shown, found = Frames(WORD), "", 0
    for start in range(0, len(text), size):
        for piece in frames.feed(text[start : start + size]):
            if isinstance(piece, str):
                shown += piece
            else:
                found += 1
    assert (shown + frames.end(), found) == ("one\x1e two\x1eabX\x1eabcdno json\nthree\n", 2)


HOSTILE = {
    "a script": "<p>x</p><script>1</script>",
    "a handler": "<img src=data:image/png;base64,x onerror=alert(1)>",
    "a link": "<a href='javascript:alert(1)'>x</a>",
    "a frame": "<iframe src='https://evil.example'></iframe>",
    "a beacon": "<img src='https://evil.example/x.png'>",
    "a form": "<form action='https://evil.example'><input name=key></form>",
    "an object": "<object data='data:text/html,<script>1</script>'></object>",
    "a style": "<style>body {display: none}</style>",
}


@pytest.mark.parametrize("markup", HOSTILE.values(), ids=HOSTILE)
def test_nothing_from_a_devbox_runs_in_the_page(markup: str) -> None:
    shown = harmless({"text/html": markup, "application/javascript": "alert(1)", "text/plain": "x"})
    assert set(shown) == {"text/plain", "text/html"}
    if shown["text/html"].startswith("<iframe"):
        assert re.fullmatch(r'<iframe sandbox="allow-scripts" [^<>]*></iframe>', shown["text/html"])
    else:
        assert not re.search(r"script|onerror|evil|<form|<object|<iframe", shown["text/html"])


def test_a_drawing_is_shown_as_a_picture() -> None:
    shown = harmless({"image/svg+xml": "<svg onload='alert(1)'/>"})
    assert re.fullmatch(r'<img src="data:image/svg\+xml;base64,[\w+/=]+">', shown["text/html"])
    assert "image/png" not in harmless({"image/png": "no base64 \x00!"})
    assert harmless({"image/png": PIXEL + "\n"})["image/png"] == PIXEL + "\n"
