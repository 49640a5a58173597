"""`%%devbox python`: a session in the devbox, values both ways, rich output."""

from __future__ import annotations

import html
import itertools
import re
from typing import TYPE_CHECKING, Any

import pytest

from runloop_jupyter.executions.python import Frames
from runloop_jupyter.output.untrusted import sanitize
from tests.jupyter import kernels as _kernels
from tests.jupyter import packages
from tests.jupyter.embedded import Home
from tests.jupyter.kernels import fails
from tests.jupyter.remote import ends, remote

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.jupyter.kernels import Cell, Kernel

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="


@pytest.fixture(scope="module", params=["without IPython", "with IPython"])
def kernel(request: pytest.FixtureRequest, home: Home, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    """A kernel with the devbox `main`, whose Python has IPython or has not, and libraries that draw."""
    folder = tmp_path_factory.mktemp("packages")
    with _kernels.start(home.env) as started:
        started.run("%load_ext runloop_jupyter\n%devbox create --name main").check()
        packages.put(started, packages.written(packages.PLOTTING, folder / "plotting.tar"))
        if request.param == "with IPython":
            packages.put(started, packages.ipython(folder / "ipython.tar"))
        yield started
        started.run("%devbox shutdown main").check()


def has_ipython(kernel: Kernel) -> bool:
    return bundles(kernel.run("%%devbox python\n'__IPYTHON__' in dir(__builtins__)").check()) == [
        {"text/plain": "True"}
    ]


def bundles(cell: Cell) -> list[dict[str, Any]]:
    """What the cell displayed, but for its status lines."""
    data = [m.content["data"] for m in cell.outputs if "display_data" in m.kind]
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


def test_output_streams_and_both_streams_come(kernel: Kernel, home: Home) -> None:
    cell = kernel.send(
        "%%devbox python\nimport os, sys, time, subprocess\nprint('early', end='')\n"
        "while not os.path.exists('go'): time.sleep(0.05)\n"
        "print(' late')\nprint('err', file=sys.stderr)\nsubprocess.run(['echo', 'child'])\nNone"
    )
    kernel.shows(cell, "early")
    remote(home, "touch go")
    kernel.ended(cell).check()
    assert cell.stdout == "early late\nchild\n"
    assert cell.stderr == "err\n"


def test_await_works_at_the_top(kernel: Kernel) -> None:
    cell = kernel.run(
        "%%devbox python\nimport asyncio\nawait asyncio.sleep(0.01)\nawait asyncio.sleep(0, 'done')"
    ).check()
    assert bundles(cell) == [{"text/plain": "'done'"}]


SHOWN = {
    "one task over two cells": ["t = asyncio.create_task(asyncio.sleep(0.1, 7))", "await t"],
    "one task in one cell": ["t = asyncio.create_task(asyncio.sleep(0.1, 7))\nawait t"],
    "a task that waits for the next cell": [
        "e = asyncio.Event()\nasync def go():\n    await e.wait()\n    return 7\nt = asyncio.create_task(go())",
        "e.set()",
        "await t",
    ],
    "one loop": [
        "a = asyncio.get_running_loop()",
        "b = await asyncio.sleep(0, asyncio.get_running_loop())",
        "7 if a is b is asyncio.get_running_loop() else 0",
    ],
    "a context variable that a cell with await set": [
        "import contextvars\nv = contextvars.ContextVar('v')",
        "await asyncio.sleep(0)\nv.set(7);",
        "v.get()",
    ],
    "a loop that was closed": ["asyncio.get_running_loop().close()", "await asyncio.sleep(0, 7)"],
    "a semicolon in a comment": ["7 # note;"],
    "a semicolon in a text": ["';'\n3 + 4"],
    "a semicolon on the line above": ["7;\n7"],
    "a line of IPython": ["%matplotlib inline\nx = 7\nx"],
    "its mark in a text": ['x = len("""\n%pip\n!""")\nx'],
    "its mark in an expression": ["x = (27\n% 10\n)\nx"],
}


@pytest.mark.parametrize("cells", SHOWN.values(), ids=SHOWN)
def test_cells_behave_as_cells_of_a_notebook(kernel: Kernel, cells: list[str]) -> None:
    cells = ["import asyncio", *cells]
    shown = [bundles(kernel.run(f"%%devbox python\n{cell}").check()) for cell in cells]
    assert shown == [[]] * (len(cells) - 1) + [[{"text/plain": "7"}]]


@pytest.mark.parametrize("cell", ["42; # silent", "42;", "x = 42;", "42;\n\n# silent\n"])
def test_a_semicolon_in_the_end_silences(kernel: Kernel, cell: str) -> None:
    assert bundles(kernel.run(f"%%devbox python\n{cell}").check()) == []


def test_a_task_that_exits_between_cells_does_not_end_the_session(kernel: Kernel) -> None:
    kernel.run("%%devbox python\nimport asyncio\nasync def go(): exit(3)\nt = asyncio.create_task(go())\n").check()
    shown = bundles(kernel.run("%%devbox python\ntype(t.exception()).__name__").check())
    assert shown == [{"text/plain": "'SystemExit'"}]


def test_what_is_printed_between_cells_comes_with_the_next(kernel: Kernel) -> None:
    kernel.run(
        "%%devbox python\nimport asyncio, os, sys, threading\ngo = threading.Event()\nasync def late():\n"
        "    print('from a task', file=sys.stderr)\n    go.set()\ntask = asyncio.create_task(late())\n"
        "thread = threading.Thread(target=lambda: (go.wait(), print('from a thread')))\nthread.start()"
    ).check()
    cell = kernel.run("%%devbox python\nthread.join(); print('now')").check()
    assert sorted(cell.stdout.splitlines()) == ["from a thread", "now"]
    assert cell.stderr == "from a task\n"


def test_stop_cancels_what_is_awaited(kernel: Kernel) -> None:
    cell = kernel.send(
        "%%devbox python\nimport asyncio\ncleaned = 0\nprint('begun')\n"
        "try:\n    await asyncio.sleep(8713)\nfinally:\n    cleaned = 1"
    )
    kernel.shows(cell, "begun")
    kernel.interrupt()
    kernel.ended(cell)
    assert cell.error == "KeyboardInterrupt"
    assert bundles(kernel.run("%%devbox python\ncleaned").check()) == [{"text/plain": "1"}]


NOTED = "e = ValueError('the real reason')\ne.add_note('a hint')\ne.add_note('more\\nlines')\nraise e"


def test_the_reason_of_an_error_comes_before_its_notes(kernel: Kernel) -> None:
    cell = kernel.run(f"%%devbox python\n{NOTED}")
    fails(kernel, cell, "DevboxCommandError", "ValueError: the real reason; a hint; more")
    assert cell.stderr.endswith("ValueError: the real reason\na hint\nmore\nlines\n")


ODD = {
    "notes that are none": "e = ValueError('real'); e.__notes__ = 5; raise e",
    "an error without words": "class E(Exception):\n    def __str__(self): raise ValueError\nraise E",
    "no streams": "import sys; sys.stdout = sys.stderr = None; 1 / 0",
    "a loop that is stopped": "import asyncio; loop = asyncio.get_running_loop(); loop.call_soon(loop.stop); 1 / 0",
}


@pytest.mark.parametrize("code", ODD.values(), ids=ODD)
def test_nothing_that_a_cell_does_to_what_tells_of_it_ends_the_session(kernel: Kernel, code: str) -> None:
    kernel.run("%%devbox python\nkept = 'kept'").check()
    assert kernel.run(f"%%devbox python\n{code}").error == "DevboxCommandError"
    assert bundles(kernel.run("%%devbox python\nkept").check()) == [{"text/plain": "'kept'"}]


def test_lines_of_ipython_work_or_say_what_does(kernel: Kernel) -> None:
    assert kernel.run("%%devbox python\nif True:\n    !echo from a shell\nx = 1").check().stdout == "from a shell\n"
    assert kernel.run("%%devbox python\n%pip --version").check().stdout.startswith("pip ")
    assert "Package" in kernel.run("%%devbox python\n!pip list").check().stdout
    fails(kernel, kernel.run("%%devbox python\n%pip nonsense"), "DevboxCommandError", "pip ended with exit code 1")
    other = kernel.run("%%devbox python\n\n%timeit -n1 -r1 1")
    if has_ipython(kernel):
        assert "1 loop" in other.check().stdout
    else:
        fails(kernel, other, "DevboxCommandError", "%timeit", "%pip", "(line 3)")


IPYTHON_ONLY = {
    "magics": "%precision 2\n3.14159",
    "cell magics": "%%capture taken\nprint('3.14', end='')\n---\nfloat(taken.stdout)",
    "scripts": "%%bash --out taken\necho 3.14\n---\nfloat(taken)",
    "what a command prints": "taken = !echo 3.14\nfloat(taken[0])",
    "a command with a variable": "x = 3.14\ntaken = !echo {x}\nfloat(taken[0])",
    "what was shown": "3.14;\n---\n3.14\n---\n_",
    "what was run": "3.14\n---\neval(In[-2])",
    "what came out": "3.14\n---\nOut[max(Out)]",
    "formatters": (
        "f = get_ipython().display_formatter.formatters['text/plain']\n"
        "f.for_type(set, lambda value, printer, cycle: printer.text('3.14'))\n---\n{1}"
    ),
    "events": "get_ipython().events.register('post_execute', lambda: globals().update(x=3.14))\n---\nx",
    "completion": "3.14 if 'Fraction' in get_ipython().complete('Fr', 'from fractions import Fr')[1] else 0",
    "extensions": "%load_ext autoreload\n%autoreload 0\n3.14",
    "no history on disk": "3.14 if get_ipython().history_manager.enabled is False else 0",
}


@pytest.mark.parametrize("case", IPYTHON_ONLY)
def test_where_ipython_is_cells_are_its_own(kernel: Kernel, case: str) -> None:
    if not has_ipython(kernel):
        fails(kernel, kernel.run("%%devbox python\nget_ipython"), "DevboxCommandError", "NameError")
        return
    *before, last = IPYTHON_ONLY[case].split("\n---\n")
    kernel.run("%%devbox python --restart --session ipython\nNone").check()
    for cell in before:
        kernel.run(f"%%devbox python --session ipython\n{cell}").check()
    shown = bundles(kernel.run(f"%%devbox python --session ipython\n{last}").check())
    assert shown == [{"text/plain": "3.14"}]


def test_what_ipython_keeps_is_not_in_the_home_folder_and_nothing_is_coloured(kernel: Kernel, home: Home) -> None:
    assert ".ipython" not in remote(home, "ls -A")
    for cell in ("1 / 0", "if:", "%%devbox_has_none\nx", "import warnings; warnings.warn('w'); len?"):
        shown = kernel.run(f"%%devbox python --no-raise-error\n{cell}")
        assert "\x1b[" not in shown.stdout + shown.stderr


FIGURES = {
    "plotly: show": ("import plotly.graph_objects as go\ngo.Figure().show()", "/* plotly.js */ draw('bar')"),
    "plotly: the last line": ("import plotly.graph_objects as go\ngo.Figure('pie')", "/* plotly.js */ draw('pie')"),
    "plotly: io.show": ("import plotly.io, plotly.graph_objects as go\nplotly.io.show(go.Figure())", "draw('bar')"),
    "plotly: in a browser": ("import plotly.graph_objects as go\ngo.Figure().show('browser')", "draw('bar')"),
    "bokeh: show": ("import bokeh.io\nbokeh.io.show('line')", "/* bokeh.js */ draw('line')"),
    "bokeh: output_notebook": (
        "import bokeh.io\nbokeh.io.output_notebook()\nbokeh.io.show('line')",
        "/* bokeh.js */ draw('line')",
    ),
    "altair: show": ("import altair\naltair.Chart().show()", "/* vega.js */ draw('chart')"),
    "altair: display": ("import altair\naltair.Chart().display()", "/* vega.js */ draw('chart')"),
    "altair: the last line": ("import altair\naltair.Chart()", "/* vega.js */ draw('chart')"),
    "altair: in a browser": ("import altair\naltair.Chart().in_browser()", "/* vega.js */ draw('chart')"),
    "a page in a file": (
        "import webbrowser\nopen('p.html', 'w').write('<script>draw(1)</script>')\nwebbrowser.open('p.html');",
        "draw(1)",
    ),
}


@pytest.mark.parametrize("case", FIGURES)
def test_figures_show_with_what_draws_them(kernel: Kernel, case: str) -> None:
    code, drawn = FIGURES[case]
    kernel.run("%%devbox python --restart --session figures\nNone").check()
    cell = kernel.run(f"%%devbox python --session figures\n{code}").check()
    (shown,) = bundles(cell)
    assert shown["text/html"].startswith('<iframe sandbox="allow-scripts"')
    assert drawn in html.unescape(html.unescape(shown["text/html"]))
    assert (cell.stdout, cell.stderr) == ("", "")


def test_a_chart_without_its_scripts_says_what_to_install(kernel: Kernel) -> None:
    cell = kernel.run("%%devbox python\nimport altair\naltair.Chart.inline = False\naltair.Chart()").check()
    assert "/* cdn */" in html.unescape(html.unescape(bundles(cell)[0]["text/html"]))
    assert "%pip install vl-convert-python" in cell.stderr


def test_an_address_that_is_opened_is_told(kernel: Kernel) -> None:
    cell = kernel.run("%%devbox python\nimport webbrowser\nwebbrowser.open('https://example.com/x');").check()
    assert bundles(cell) == [{"text/plain": "https://example.com/x"}]


SHOWN_BY_IPYTHON_DISPLAY = {
    "HTML": ("HTML('<b>x</b>')", "text/html", "<b>x</b>"),
    "Markdown": ("Markdown('*x*')", "text/markdown", "*x*"),
    "Latex": ("Latex('$x$')", "text/latex", "$x$"),
    "Math": ("Math('x')", "text/latex", "$\\displaystyle x$"),
    "JSON": ("JSON({'x': 1})", "application/json", {"x": 1}),
    "Image": (f"Image(__import__('base64').b64decode('{PIXEL}'))", "image/png", PIXEL),
    "raw": ("{'text/plain': 'x', 'text/html': '<i>x</i>'}, raw=True", "text/html", "<i>x</i>"),
}


@pytest.mark.parametrize("case", SHOWN_BY_IPYTHON_DISPLAY)
def test_ipython_display_shows_as_in_a_notebook(kernel: Kernel, case: str) -> None:
    shown, mime, data = SHOWN_BY_IPYTHON_DISPLAY[case]
    cell = kernel.run(f"%%devbox python\nfrom IPython.display import *\ndisplay({shown})").check()
    (bundle,) = bundles(cell)
    assert (bundle[mime].strip() if isinstance(bundle[mime], str) else bundle[mime]) == data


def kept(cells: list[Cell]) -> list[str]:
    """What stands below cells in the end, but for their status lines: texts, and displays in brackets."""
    for earlier, later in itertools.combinations(cells, 2):  # what is updated may stand below another cell
        earlier.messages += [message for message in later.messages if message.kind == "update_display_data"]
    texts = ("".join(f"[{m.text}]" if "display" in m.kind else m.text for m in cell.outputs) for cell in cells)
    return [re.sub(r"\[([✓✗][^]]*|running[^]]*|)\]", "", text) for text in texts]


DISPLAY_IDS = {
    "an id": ["h = display(1, display_id='a')\nh.update(2)", "[2]"],
    "an id that is made": ["h = display(1, display_id=True)\ndisplay(7)\nh.update(2)", "[2][7]"],
    "by name": ["display(1, display_id='a')\nupdate_display(2, display_id='a');", "[2]"],
    "twice": ["display(1, display_id='a')\ndisplay(2, display_id='a')\nupdate_display(3, display_id='a')", "[3][3]"],
    "the handle shows more": ["h = display(1, display_id='a')\nh.display(2)\nh.update(3)", "[3][3]"],
    "as a MIME bundle": [
        "h = display({'text/plain': 'x'}, raw=True, display_id='a')\nh.update({'text/plain': 'y'}, raw=True)",
        "[y]",
    ],
    "between texts": ["print(1)\nh = display(2, display_id=True)\nprint(3)\nh.update(4)\nprint(5)", "1\n[4]3\n5\n"],
    "a number as its id": ["display(1, display_id=5)\nupdate_display(2, display_id=5)", "[2]"],
    "in another cell": ["h = display(1, display_id=True)\nprint('x')", "[3]x\n", "h.update(2); h.update(3)", ""],
    "an unknown id": ["update_display(1, display_id='none')\nprint('x')", "x\n"],
    "published": [
        "publish_display_data({'text/plain': 'x'}, transient={'display_id': 'p'})\n"
        "publish_display_data({'text/plain': 'y'}, transient={'display_id': 'p'}, update=True)",
        "[y]",
    ],
    "cleared": ["print(1)\ndisplay(2)\nclear_output()\nprint(3)", "3\n"],
    "cleared in the end": ["print(1)\ndisplay(2)\nclear_output()", ""],
    "cleared once something follows": ["print(1)\nclear_output(wait=True)\nprint(2)", "2\n"],
    "nothing follows": ["display(1)\nclear_output(wait=True);", "[1]"],
    "cleared again and again": [
        "for n in range(200):\n    clear_output(wait=True)\n    print(n)\n    display(n)",
        "199\n[199]",
    ],
    "cleared with a display": ["print(1)\ndisplay(2)\ndisplay(3, clear=True)", "[3]"],
    "cleared and updated": ["h = display(1, display_id='a')\nclear_output()\nh.update(2)\nprint(3)", "3\n"],
    "lines drawn anew before": ["print('a\\nb\\n\\x1b[2Ac')\nclear_output()\nprint('d')", "d\n"],
}


@pytest.mark.parametrize("case", DISPLAY_IDS)
def test_displays_change_in_their_place_and_go_as_in_a_notebook(kernel: Kernel, case: str) -> None:
    names = "from IPython.display import clear_output, publish_display_data, update_display\n"
    cells, right = DISPLAY_IDS[case][::2], DISPLAY_IDS[case][1::2]
    ran = [kernel.run(f"%%devbox python\n{names}{cell}\nNone").check() for cell in cells]
    if case == "nothing follows":
        assert [message.content for message in ran[0].messages if message.kind == "clear_output"] == [{"wait": True}]
        return
    assert kept(ran) == right
    here = [kernel.run(f"{names}{cell}\nNone").check() for cell in cells]
    assert kept(here) == right, "the notebook's own cells do the same"


def test_what_the_displays_of_a_cell_became_is_in_its_result(kernel: Kernel) -> None:
    kernel.run("%%devbox python -o r\nh = display(1, display_id=True)\ndisplay(2)\nh.update(3)").check()
    assert kernel.value("[each['text/plain'] for each in r.displays]") == ["3", "2"]


def test_an_update_without_an_id_is_refused(kernel: Kernel) -> None:
    cell = kernel.run("%%devbox python\ndisplay(1, update=True)")
    fails(kernel, cell, "DevboxCommandError", "display_id required for update_display")


def test_what_is_captured_is_cleared_too(kernel: Kernel) -> None:
    kernel.run(
        "from IPython.utils.capture import capture_output\nwith capture_output() as c:\n"
        "    get_ipython().run_cell_magic('devbox', 'python', 'from IPython.display import clear_output\\n"
        "display(1)\\nclear_output()\\nh = display(2, display_id=True)\\nh.update(3)')"
    ).check()
    assert kernel.value("[(o.data['text/plain'], o.update) for o in c.outputs]") == [("2", False), ("3", True)]


def test_values_show_as_ipython_shows_them(kernel: Kernel) -> None:
    cell = kernel.run(
        """%%devbox python
class Named:
    def __init__(self, **methods): self.__dict__.update(methods)
    def __repr__(self): return "named"
class Anything:
    def __getattr__(self, name): return lambda *a, **k: "anything"
    def __repr__(self): return "anything at all"
class Broken:
    def __repr__(self): return "the text"
    def _repr_html_(self): raise ValueError("no table")
class Shy:
    def __repr__(self): raise RuntimeError("no words")
class Itself:
    def _ipython_display_(self): print("it shows itself")
display(Named(_repr_latex_=lambda: "$x^2$"), Named(_repr_markdown_=lambda: "**bold**"), Anything(), Shy())
display(Itself(), Named(_repr_json_=lambda: {"a": {1}}))
Broken()
"""
    ).check()
    assert bundles(cell) == [
        {"text/plain": "named", "text/latex": "$x^2$"},
        {"text/plain": "named", "text/markdown": "**bold**"},
        {"text/plain": "anything at all"},
        {"text/plain": "<Shy whose repr raised RuntimeError>"},
        {"text/plain": "named"},
        {"text/plain": "the text"},
    ]
    assert cell.stdout == "it shows itself\n"
    assert "Broken._repr_html_ failed: ValueError: no table\n" in cell.stderr


VALUES = (
    "[1, 2.5, None, True, 'é\\n\\'\"', [], {'a': {}}]",
    "(1, {2, 3}, frozenset({4}), b'\\x00\\xff', 1 + 2j)",
    "{1: 'one', (2, 3): {'$': 'odd'}}",
    "__import__('datetime').datetime(2024, 2, 29, 1, 2, 3, 4)",
    "__import__('decimal').Decimal('0.10')",
    "[float('inf'), 2**100, -0.0]",
    "10**5000",
    "__import__('datetime').datetime(2024, 10, 27, 2, fold=1, tzinfo=__import__('zoneinfo').ZoneInfo('Europe/Berlin'))",
    "'x' * 600_000",
)


@pytest.mark.parametrize("value", VALUES)
def test_values_go_there_and_back_unchanged(kernel: Kernel, value: str) -> None:
    kernel.run(f"value = {value}").check()
    kernel.run("%%devbox python --in value --out back kind\nback = value\nkind = type(value).__name__").check()
    kernel.run("import sys; sys.set_int_max_str_digits(0)").check()  # for repr
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
    fails(kernel, back, "DevboxCommandError", "'f' is a fractions.Fraction", "unpickling", "send str(f)")
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
    kernel.ended(cell)
    assert (cell.error, "\n" in cell.traceback) == ("KeyboardInterrupt", False)
    assert bundles(kernel.run("%%devbox python\nkept").check()) == [{"text/plain": "'kept'"}]
    assert ends(home, "[8]711")


def test_a_process_that_is_started_as_the_cell_is_stopped_ends_too(kernel: Kernel, home: Home) -> None:
    cell = kernel.send(
        "%%devbox python\nimport os, signal, time\nsignal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])\n"
        "print('begun')\nwhile not signal.sigpending(): time.sleep(0.01)\n"
        "_ = os.posix_spawn('/bin/sleep', ['sleep', '8717'], os.environ, setsigmask=[])\n"
        "signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])"
    )
    kernel.shows(cell, "begun")
    kernel.interrupt()
    assert kernel.ended(cell).error == "KeyboardInterrupt"
    assert ends(home, "[8]717")


def test_a_cell_that_will_not_stop_costs_the_session(kernel: Kernel, home: Home) -> None:
    cell = kernel.send(
        "%%devbox python --session stubborn\nimport signal, time\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\n"
        "print('begun')\nwhile True: time.sleep(8712)"
    )
    kernel.shows(cell, "begun")
    kernel.interrupt()
    kernel.ended(cell)
    assert "new session" in kernel.run("%%devbox python --session stubborn\n1").check().displays[-1]


def test_a_timeout_interrupts_as_well(kernel: Kernel) -> None:
    kernel.run("%%devbox python\nkept = 2").check()
    fails(kernel, kernel.run("%%devbox python --timeout 1\nwhile True: pass"), "DevboxTimeoutError", "--timeout")
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
    assert kernel.asks() == "Name? "
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


@pytest.mark.parametrize(("end", "shown"), [("\x1e", "\x1e"), ("\x1eab", "\x1eab"), (FRAME[:-3], ""), (FRAME, "")])
def test_what_may_have_become_a_structured_line_is_output_after_all(end: str, shown: str) -> None:
    frames = Frames(WORD)
    pieces = [piece for piece in frames.feed(f"one{end}") if isinstance(piece, str)]
    assert "".join(pieces) + frames.end() == f"one{shown}"


def test_all_that_a_cell_prints_is_in_its_result(kernel: Kernel) -> None:
    kernel.run("%%devbox python -o printed\nprint('one\\x1e', end='')").check()
    assert kernel.value("printed.stdout") == "one\x1e"


HOSTILE = {
    "a script": "<p>x</p><script>1</script>",
    "a handler": "<img src=data:image/png;base64,x onerror=alert(1)>",
    "a link": "<a href='javascript:alert(1)'>x</a>",
    "a page of its own": "<a href='DATA:text/html,evil'>x</a>",
    "a page after a blank": "<a href=' data:text/html,evil'>x</a>",
    "the notebook's server": "<a href='/lab/evil'>x</a>",
    "another host": "<a href='//evil.example'>x</a>",
    "a frame": "<iframe src='https://evil.example'></iframe>",
    "a beacon": "<img src='https://evil.example/x.png'>",
    "a form": "<form action='https://evil.example'><input name=key></form>",
    "an object": "<object data='data:text/html,<script>1</script>'></object>",
    "a style": "<style>body {display: none}</style>",
}


@pytest.mark.parametrize("markup", HOSTILE.values(), ids=HOSTILE)
def test_nothing_from_a_devbox_runs_in_the_page(markup: str) -> None:
    shown = sanitize({"text/html": markup, "application/javascript": "alert(1)", "text/plain": "x"})
    assert set(shown) == {"text/plain", "text/html"}
    if shown["text/html"].startswith("<iframe"):
        assert re.fullmatch(r'<iframe sandbox="allow-scripts" [^<>]*></iframe>', shown["text/html"])
        outer = html.unescape(shown["text/html"].partition('srcdoc="')[2].partition('"')[0])
        inner = outer.partition("<iframe")[2]
        assert "Content-Security-Policy" in outer.partition("<iframe")[0]
        assert re.fullmatch(r' sandbox="allow-scripts" [^<>]*></iframe>', inner)
    else:
        assert not re.search(r"script|onerror|evil|<form|<object|<iframe", shown["text/html"])


ESCAPES = "\x1b[31mred\x1b[0m \x1b]52;c;aGk=\x07\x9b2J\x9d0;t\x9c\x85end"


def test_escapes_of_what_a_devbox_displays_are_filtered_as_those_it_prints(kernel: Kernel) -> None:
    assert sanitize({"text/plain": ESCAPES})["text/plain"] == "\x1b[31mred\x1b[0m end"
    cell = kernel.run(f"%%devbox python\nclass A:\n    def __repr__(self): return {ESCAPES!r}\nprint(A())\nA()").check()
    (text,) = [bundle["text/plain"] for bundle in bundles(cell)]
    assert " ".join(text.split()) == "\x1b[31mred\x1b[0m end"  # IPython breaks the lines of a repr at C1 controls too
    assert cell.stdout.rstrip() == "\x1b[31mred\x1b[0m end"
    raised = kernel.run(f"%%devbox python\nraise ValueError({ESCAPES!r})")
    shown = raised.error_text + raised.stderr + raised.stdout
    assert "red" in shown
    assert not re.search(r"[\x07\x80-\x9f]|\x1b(?!\[[\d;]*m)", shown)


SOURCES = {
    "text/latex": [
        r"$\href{javascript:alert(1)}{x}$",
        r"\style{color:red}{x}",
        r"\require{html}",
        r"\csname href\endcsname{}{}",
        r"\def\a{x}",
    ],
    "text/markdown": [
        "![x](https://evil.example/x.png)",
        "![x][a]\n\n[a]: https://evil.example/x.png",
        "<img src='https://evil.example/x.png'>",
        "<!-- x -->",
        "[x](javascript:alert(1))",
        r"$\href{javascript:alert(1)}{x}$",
    ],
}
KEPT = {"text/latex": r"$\frac{a}{b} < \alpha$", "text/markdown": "# a\n\n[x](https://a.example) `b` 1 < 2 $x$"}


@pytest.mark.parametrize(("mime", "source"), [(mime, each) for mime, sources in SOURCES.items() for each in sources])
def test_mathematics_and_markdown_that_act_are_shown_as_written(mime: str, source: str) -> None:
    assert sanitize({mime: source, "text/plain": "x"}) == {"text/plain": source}
    assert sanitize({mime: KEPT[mime], "text/plain": "x"}) == {"text/plain": "x", mime: KEPT[mime]}


def test_a_drawing_is_shown_as_a_picture() -> None:
    shown = sanitize({"image/svg+xml": "<svg onload='alert(1)'/>"})
    assert re.fullmatch(r'<img src="data:image/svg\+xml;base64,[\w+/=]+">', shown["text/html"])
    assert "image/png" not in sanitize({"image/png": "no base64 \x00!"})
    assert sanitize({"image/png": PIXEL + "\n"})["image/png"] == PIXEL + "\n"


def test_an_exit_code_that_a_shell_uses_is_no_proof_of_what_shells_mean(kernel: Kernel) -> None:
    cell = kernel.run("%%devbox python\nimport sys; sys.exit(127)")
    assert (cell.error, "cannot be started" in cell.error_text) == ("DevboxCommandError", False)
    cell = kernel.run("%%devbox python --python no-such-python\n1")
    assert "no-such-python cannot be started (--python)" in cell.error_text
