"""What is installed while a Python session lives: it is there at once, and nothing of the session is lost."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.jupyter import packages
from tests.jupyter.kernels import Kernel, fails
from tests.wheels import wheel

FILE = "/tmp/fresh-1.0-py3-none-any.whl"
INSTALL = f"pip install --no-index --quiet {FILE}"
WAYS = {
    "%pip": f"%%devbox python\n%{INSTALL}\nimport fresh; fresh.main()",
    "!pip": f"%%devbox python\n!{INSTALL}\nimport fresh; fresh.main()",
    "a command": f"%devbox exec {INSTALL}",
}


@pytest.fixture
def box(kernel: Kernel) -> Iterator[Kernel]:
    """A kernel with a new devbox, where nobody has installed anything."""
    kernel.run("%devbox create --name fresh").check()
    yield kernel
    kernel.run("%devbox shutdown fresh").check()


@pytest.mark.parametrize("way", WAYS)
def test_what_pip_installs_is_imported_at_once(box: Kernel, way: str) -> None:
    box.run("%%devbox python\nx = 41\nimport os, site\nassert not os.path.exists(site.getusersitepackages())").check()
    box.run(f"%devbox exec echo {wheel('fresh')} | base64 -d > {FILE}").check()
    box.run(WAYS[way]).check()
    assert box.run("%%devbox python\nimport fresh; fresh.main(); print(x)").check().stdout == "fresh runs\n41\n"
    cell = box.run(
        "%%devbox python\nimport sys\nfolders = [site.getusersitepackages(), *site.getsitepackages()]\n"
        "mine, *others = (sys.path.index(folder) for folder in folders if folder in sys.path)\n"
        "print(all(mine < other for other in others))"
    ).check()
    assert cell.stdout == "True\n", "it goes before the system's, as in a Python that starts now"


def test_an_ipython_that_was_installed_runs_the_next_cell(
    box: Kernel, tmp_path_factory: pytest.TempPathFactory
) -> None:
    names = "from IPython.display import HTML, clear_output, display, update_display"
    box.run(f"%%devbox python\n{names}\nx = 41\nh = display(1, display_id=True)").check()
    refused = box.run("%%devbox python\n%timeit -n1 -r1 1")
    fails(box, refused, "DevboxCommandError", "%timeit", "%pip install ipython")
    packages.put(box, packages.ipython(tmp_path_factory.mktemp("packages") / "ipython.tar"))
    cell = box.run("%%devbox python\ny = !echo {x + 1}\ndisplay(HTML('<b>x</b>'))\nh.update(2)\nint(y[0])").check()
    shown = [message for message in cell.messages if "display_data" in message.kind]
    assert "<b>x</b>" in [message.content["data"].get("text/html") for message in shown]
    assert ("update_display_data", "2") in [(message.kind, message.text) for message in shown]
    assert "42" in cell.displays
    assert cell.stderr == ""
    box.run("%%devbox python\nimport IPython\nassert IPython.get_ipython() is get_ipython()").check()


def test_an_ipython_that_cannot_be_started_is_told_once(box: Kernel, tmp_path_factory: pytest.TempPathFactory) -> None:
    box.run("%%devbox python\nfrom IPython.display import HTML\nx = 41").check()
    broken = packages.written(
        {"IPython/__init__.py": "raise ValueError('broken')"}, tmp_path_factory.mktemp("b") / "b.tar"
    )
    packages.put(box, broken)
    first = box.run("%%devbox python\nx + 1").check()
    assert "42" in first.displays
    assert first.stderr == "IPython is not used, as it cannot be started here: ValueError: broken\n"
    second = box.run("%%devbox python\nfrom IPython.display import HTML\nHTML('<b>x</b>')").check()
    assert second.stderr == ""
    assert "<b>x</b>" in str([message.content for message in second.messages])
