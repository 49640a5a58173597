"""What cells show and leave behind: results in later cells, status lines, and notebooks that nobody watched."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from runloop_jupyter.rendering import devbox_listing
from runloop_jupyter.rendering.text import aligned
from tests.jupyter import kernels
from tests.jupyter.embedded import Home
from tests.jupyter.kernels import Kernel, fails
from tests.jupyter.test_batch import CREATE, nbconvert, notebook, papermill, written


def test_a_result_shows_its_text_in_a_later_cell_and_its_end_in_its_own(kernel: Kernel) -> None:
    own = kernel.run("x = %devbox exec echo hi\nx").check()
    assert (own.stdout, own.results[0][:13]) == ("hi\n", "✓ exit code 0")
    assert kernel.run("x").check().results == ["hi"]
    assert kernel.run("print(x)").check().stdout == "hi\n\n"
    assert kernel.value("repr(x)").startswith("✓ exit code 0")


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("x = %devbox exec true", "✓ exit code 0"),
        ("x = %devbox exec --no-raise-error echo out; echo err >&2; exit 3", "out\nerr\n✗ exit code 3"),
        ("x = %devbox exec printf '\\033[32mgreen\\033[0m\\033[2J'", "\x1b[32mgreen\x1b[0m"),
        ("x = %devbox exec --quiet echo quiet", "quiet"),
        ("%%devbox exec -o x\necho cell", "cell"),
        ("%%devbox python -o x\nprint('python')", "python"),
        ("job = %devbox exec --bg echo behind\nx = job.wait()", "behind"),
    ],
)
def test_results_of_all_kinds_show_what_was_printed(kernel: Kernel, line: str, shown: str) -> None:
    kernel.run(line).check()
    assert kernel.run("x").check().results[0].startswith(shown)


def test_a_long_result_shows_its_head_and_its_tail(kernel: Kernel) -> None:
    kernel.run("x = %devbox exec --quiet seq 100000").check()
    shown = kernel.run("x").check().results[0]
    assert shown.startswith("1\n2\n")
    assert shown.endswith("\n99999\n100000")
    assert "not shown; .output has all of it" in shown
    assert shown.count("\n") < 2600


@pytest.mark.parametrize(
    "last",
    [
        "class T:\n    def _repr_html_(self): return '<table></table>'\nT()",
        "print('text')",
        "raise ValueError('x')",
        "42",
    ],
)
def test_no_status_stands_above_what_a_python_cell_ends_with(kernel: Kernel, last: str) -> None:
    cell = kernel.run(f"%%devbox python\nimport time; time.sleep(2.6)\n{last}")
    assert any(m.text.startswith("running 2") for m in cell.messages), "it was shown while nothing came"
    assert not [text for text in cell.displays if "Stop to kill" in text]
    kinds = [(m.kind, m.text) for m in cell.messages]
    last_status = max(at for at, (_, text) in enumerate(kinds) if "Stop to kill" in text)
    assert kinds[last_status + 1] == ("update_display_data", ""), "the line goes before anything follows"


TABLE = "class T:\n    def _repr_html_(self): return '<table></table>'\n    def __repr__(self): return 'a table'\n"
QUIET = {
    "text": ("%%devbox exec\nsleep 2.4; echo a; sleep 2.4; echo b >&2; sleep 2.4; echo c", ["a\n", "b\n", "c\n"]),
    "text without an end": ("%%devbox exec\nprintf a; sleep 3.4; printf b; sleep 3.4", ["ab"]),
    "a table": (f"%%devbox python\nimport time\ntime.sleep(2.4)\n{TABLE}T()", ["a table"]),
    "tables and text": (
        f"%%devbox python\nimport time\n{TABLE}for n in 1, 2:\n    time.sleep(2.4)\n    display(T())\nprint('x')",
        ["a table", "a table", "x\n"],
    ),
    "lines that are drawn anew": (r"%%devbox exec" + "\n" + r"sleep 2.4; printf 'a\nb\n\033[2Ac\n'", ["c\nb"]),
    "an error": ("%%devbox exec --no-raise-error\nsleep 2.4; echo a; exit 3", ["a\n"]),
    "a line": ("%devbox exec sleep 2.4; echo a", ["a\n"]),
    "nothing": ("%%devbox exec\nsleep 2.4", []),
}


@pytest.mark.parametrize("case", QUIET)
def test_no_status_line_stays_among_the_outputs_of_a_cell(kernel: Kernel, case: str) -> None:
    code, right = QUIET[case]
    cell = kernel.run(code).check()
    assert any("Stop to kill" in message.text for message in cell.messages)
    outputs = [output.text for output in cell.outputs]
    assert outputs[: len(right)] == right
    assert [text[:1] in "✓✗" and bool(text) for text in outputs[len(right) :]] == [True]


def test_what_a_cell_shows_beside_its_magic_stays(kernel: Kernel) -> None:
    cell = kernel.run("print('mine')\nget_ipython().run_cell_magic('devbox', 'exec', 'sleep 2.4; echo a')").check()
    assert [output.text for output in cell.outputs if output.text][:2] == ["mine\n", "a\n"]


def test_a_table_prints_where_the_stream_has_no_file(monkeypatch: pytest.MonkeyPatch) -> None:
    class Stream:
        def isatty(self) -> bool:
            return True

        def fileno(self) -> int:
            raise OSError("no file")

    for stream in (Stream(), None, object()):
        monkeypatch.setattr("sys.stdout", stream)
        assert aligned([["a", "b"]], widest=60) == "a  b"
        assert "No devboxes" in repr(devbox_listing([]))


def test_displays_have_metadata_for_shells_that_need_it(kernel: Kernel) -> None:
    cell = kernel.run("""
    import contextlib, io
    from runloop_jupyter.output.cell_output import CellOutput
    shell, seen = get_ipython(), []
    publish = shell.display_pub.publish
    shell.display_pub.publish = lambda *args, **named: seen.append(named["metadata"])
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            output = CellOutput()
            output.display_in_place({"text/plain": "x"}, "one")
            output.display_in_place({"text/plain": "y"}, "one")
    finally:
        shell.display_pub.publish = publish
    """).check()
    assert cell.messages == []
    assert kernel.value("seen") == [{}, {}]


def test_voila_gets_the_live_panel_and_a_batch_the_table(home: Home) -> None:
    views = {}
    for name, extra in (("voila", {"SERVER_SOFTWARE": "voila/0.5.8"}), ("batch", {"SERVER_SOFTWARE": "other"})):
        with kernels.start({**home.env, **extra}) as started:
            started.client.allow_stdin = False
            started.run("%load_ext runloop_jupyter\nimport runloop_jupyter").check()
            cell = started.run("runloop_jupyter.panel()").check()
            views[name] = str([message.content.get("data", {}).keys() for message in cell.messages])
            started.run(f"%devbox create boxed-{name};").check()
            opened = started.run("%devbox pty")
            assert (opened.status == "ok") == (name == "voila")
    assert "widget-view+json" in views["voila"]
    assert "widget-view+json" not in views["batch"]
    assert "text/html" in views["batch"]


def test_a_terminal_says_where_it_opens(kernel: Kernel) -> None:
    text = kernel.run("%devbox pty").check().results[0]
    assert "run this cell again" not in text
    assert "in a notebook with widgets" in text
    kernel.client.allow_stdin = False
    try:
        fails(kernel, kernel.run("%devbox pty"), "UsageError", "%devbox exec")
    finally:
        kernel.client.allow_stdin = True


BAR = """%%devbox exec
for i in $(seq 60); do printf "\\r$i%%" >&2; sleep 0.02; echo "part $i"; sleep 0.02; done"""


@pytest.mark.parametrize("program", [papermill, nbconvert])
def test_a_notebook_that_nobody_watched_has_no_widgets_no_empty_outputs_and_few_for_a_bar(
    home: Home, tmp_path: Path, program: object
) -> None:
    name = "kept-" + tmp_path.name[-6:].replace("_", "-")
    silent = "%%devbox exec\nsleep 2.6; echo late; sleep 2.6; echo later"
    notebook(tmp_path, CREATE.format(name), "%runloop panel", "%devbox list", silent, BAR)
    options = () if program is papermill else ("--to", "notebook")
    ran = program(home, tmp_path, *options)  # type: ignore[operator]
    assert ran.returncode == 0, ran.stderr
    book = written(tmp_path)
    assert "widgets" not in book.metadata
    outputs = [output for cell in book.cells for output in cell.outputs]
    assert not [each for each in outputs if each.output_type == "display_data" and not each.data.get("text/plain")]
    assert len(book.cells[4].outputs) <= 16
    assert len(json.dumps(book)) < 60_000
