"""The devbox verbs beside running commands, and what `%runloop` does for a notebook."""

from __future__ import annotations

import re
import urllib.request
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from tests.jupyter import kernels
from tests.jupyter.embedded import Home
from tests.jupyter.remote import remote
from tests.waiting import PATIENCE

if TYPE_CHECKING:
    from tests.jupyter.kernels import Cell, Kernel


def answered(kernel: Kernel, line: str, answer: str) -> tuple[Cell, str]:
    """Run a line that asks, and answer it; the cell and the question."""
    kernel.client.allow_stdin = True
    cell = kernel.send(line)
    question = kernel.asks()
    kernel.client.input(answer)
    kernel.client.allow_stdin = False
    return kernel.ended(cell).check(), question


def fetched(url: str) -> str:
    """What a browser gets, which knows every name below localhost."""
    host = urlsplit(url).netloc
    here = f"http://127.0.0.1:{urlsplit(url).port}/"
    with urllib.request.urlopen(urllib.request.Request(here, headers={"Host": host}), timeout=PATIENCE) as page:
        return str(page.read(), "utf-8")


def test_logs_tell_what_ran(kernel: Kernel) -> None:
    kernel.run("%devbox exec echo one of the words").check()
    assert "one of the words" in kernel.run("%devbox logs").check().stdout
    assert kernel.run("%devbox logs --tail 1").check().stdout.count("\n") == 1
    assert "has no logs that match" in kernel.run("%devbox logs --source kmsg").check().stdout


RUN = {
    "%devbox exec echo there": "$ echo there\nthere\nexit code 0\n",
    "%devbox exec --cwd /tmp --env A=secret echo $PWD": "$ echo $PWD\n/tmp\nexit code 0\n",
    "%devbox exec --tty --user root id -un": "$ id -un\nroot\nexit code 0\n",
    "%devbox exec --shell s --env A=secret echo x": "$ echo x\nx\nexit code 0\n",
    "%%devbox script --proc sh\necho script": "$ sh\nscript\nexit code 0\n",
    "%%devbox python\nx = 41\nprint('text')\nx + 1": (
        "$ %%devbox python\nx = 41\nprint('text')\nx + 1\ntext\n42\nexit code 0\n"
    ),
    "%%devbox python --restart --out x\nx = 1": "$ %%devbox python\nx = 1\nexit code 0\n",
    "%%devbox python --tty\nNone": "$ %%devbox python\nNone\nexit code 0\n",
    "%%devbox python --no-raise-error\nprint('é' * 3, end='')\nexit(3)": (
        "$ %%devbox python\nprint('é' * 3, end='')\nexit(3)\nééé\nexit code 3\n"
    ),
    "get_ipython().run_cell_magic('devbox', 'python', f'x = {\"y\" * 100_000!r}')": "$ %%devbox python\nexit code 0\n",
}


@pytest.mark.parametrize("cell", RUN)
def test_logs_have_what_was_typed_and_what_it_printed(kernel: Kernel, cell: str) -> None:
    before = kernel.run("%devbox logs").check().stdout.count("\n")
    kernel.run(cell).check()
    lines = kernel.run("%devbox logs").check().stdout.splitlines()[before:]
    assert "".join(re.sub(r"^[\d:.]{12} exec {5}", "", line) + "\n" for line in lines) == RUN[cell]


def test_logs_are_followed_until_stop(kernel: Kernel, home: Home) -> None:
    cell = kernel.send("%devbox logs -f")
    kernel.shows(cell, "one of the words")
    remote(home, "echo came later")
    kernel.shows(cell, "came later")
    remote(home, "for n in 1 2 3; do echo out-$n; echo err-$n >&2; sleep 0.7; done")
    kernel.shows(cell, "err-3")
    kernel.interrupt()
    assert kernel.ended(cell).error == "KeyboardInterrupt"
    for line in ("out-1", "err-1", "out-2", "err-2", "out-3", "err-3"):
        assert cell.stdout.count(f"{line}\n") == 1
    assert remote(home, "echo lives") == "lives\n"


def test_a_snapshot_is_taken_and_restored(kernel: Kernel, home: Home) -> None:
    remote(home, "echo kept > /tmp/kept")
    told = kernel.run("s = %devbox snapshot before --message 'first try' --metadata a=b\ns").check().results[-1]
    assert "%runloop snapshot restore before" in told
    kernel.run("%runloop snapshot restore before --name again").check()
    assert kernel.run("t = %devbox snapshot --name before2\nt.name").check().results[-1] == "'before2'"
    kernel.run("%runloop snapshot delete before2").check()
    refused = kernel.run("%devbox snapshot before3 --name before4")
    assert refused.error_text == "%devbox snapshot: the name is given twice, 'before3' and 'before4'."
    assert remote(home, "cat /tmp/kept", "again") == "kept\n"
    kernel.run("%runloop snapshot update before --name after").check()
    kernel.run("%devbox use main").check()
    assert kernel.value("[each.name for each in get_ipython().run_line_magic('runloop', 'snapshot list')]") == ["after"]
    kernel.run("%runloop snapshot delete after").check()
    assert kernel.value("len(get_ipython().run_line_magic('runloop', 'snapshot list'))") == 0


def test_a_tunnel_shows_what_a_port_serves(kernel: Kernel, home: Home) -> None:
    remote(home, "echo '<h1>served</h1>' > index.html")
    kernel.run("job = %devbox exec --bg --quiet python3 -m http.server 8123").check()
    kernel.run("%devbox exec until curl -s localhost:8123; do sleep 0.05; done").check()
    kernel.run("link = %devbox tunnel 8123").check()
    assert fetched(kernel.value("link.url")) == "<h1>served</h1>\n"
    assert kernel.run("(await link.get('/index.html')).text").check().results == ["'<h1>served</h1>\\n'"]
    assert kernel.value("link.url in link._repr_html_() and '<iframe' in link._repr_html_()") is True
    kernel.run("%devbox tunnel --close").check()
    kernel.run("link = %devbox tunnel 8123 --private").check()
    assert kernel.value("link.token not in repr(link) + link._repr_html_()") is True
    assert kernel.run("(await link.get()).status_code").check().results == ["200"]
    kernel.run("%devbox tunnel --close\njob.kill()").check()


def test_keep_alive_says_how_long(kernel: Kernel, home: Home) -> None:
    assert "kept alive while this kernel lives." in kernel.run("%devbox keep-alive").check().results[-1]
    with kernels.start(home.env) as other:
        told = other.run("%load_ext runloop_jupyter\n%devbox keep-alive main").check().results[-1]
        assert "kept alive for 1 h from now." in told


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("%devbox ssh", ("no SSH", "%devbox pty")),
        ("%devbox tunnel", ("%devbox tunnel 8000",)),
        ("%devbox tunnel http", ("'http'", "65535")),
        ("%devbox logs --tail none", ("'none'",)),
        ("%devbox snapshot --on nobody", ("'nobody'",)),
        ("%devbox shutdown main --mine", ("one of them",)),
        ("%runloop connect ftp://x", ("'ftp://x'", "https://")),
        ("%runloop connect http://127.0.0.1:1", ("127.0.0.1:1",)),
        ("%runloop snapshot restore nothing", ("'nothing'",)),
    ],
)
def test_a_mistake_is_one_sentence(kernel: Kernel, line: str, words: tuple[str, ...]) -> None:
    cell = kernel.run(line)
    assert cell.status == "error"
    assert all(word in cell.error_text for word in words), cell.error_text
    assert "\n" not in cell.traceback
    assert kernel.run("%devbox exec echo fine").check().stdout == "fine\n"


def test_settings_are_shown_checked_and_used(kernel: Kernel) -> None:
    assert "keep_alive" in kernel.run("%runloop config").check().results[-1]
    assert "'soon'" in kernel.run("%config RunloopMagics.keep_alive = 'soon'").stderr
    assert "'huge' is not a size" in kernel.run("%config RunloopMagics.size = 'huge'").stderr
    kernel.run("%config RunloopMagics.keep_alive = '2h'").check()
    kernel.run("made = %devbox create --name longer").check()
    assert kernel.value("made.keep_alive") == 7200
    kernel.run("%config RunloopMagics.keep_alive = '1h'\n%devbox shutdown longer\n%devbox use main").check()


def test_connecting_elsewhere_asks_for_the_key_and_hides_it(kernel: Kernel, home: Home) -> None:
    url, key = home.endpoint["base_url"], home.endpoint["api_key"]
    cell, question = answered(kernel, f"%runloop connect {url}", key)
    assert url in question
    assert url in cell.results[-1]
    assert key not in repr(cell.messages)
    assert kernel.run("len(%devbox list)") is not None
    kernel.run("%runloop connect local\n%devbox use main").check()


def test_a_restarted_notebook_finds_its_devbox_again(home: Home) -> None:
    with kernels.start({**home.env, "JPY_SESSION_NAME": "/notebooks/one.ipynb"}) as kernel:
        kernel.run("%load_ext runloop_jupyter\n%devbox create --name again-here --keep").check()
        kernel.restart()
        assert "used last" in kernel.run("%load_ext runloop_jupyter\n%devbox use").check().results[-1]
        assert kernel.run("%devbox exec hostname").check().stdout.startswith("dbx_")
        kernel.run("%devbox shutdown again-here").check()


def test_all_are_shut_down_only_after_a_yes(kernel: Kernel, home: Home) -> None:
    kernel.run("%devbox create --name second --keep").check()
    cell, question = answered(kernel, "%devbox shutdown --all", "")
    assert question.endswith("[y/N] ")
    assert "second" in cell.stdout
    assert home.statuses()["second"] == "running"
    answered(kernel, "%devbox shutdown --all", "y")
    assert {home.statuses()[name] for name in ("main", "second")} == {"shutdown"}


def test_patterns_shut_down_what_they_match_after_a_yes(kernel: Kernel, home: Home) -> None:
    kernel.run("for n in range(2):\n    %devbox create node-{{n}}").check()
    cell, _ = answered(kernel, "%devbox shutdown 'node-*'", "")
    assert "node-1" in cell.stdout
    assert home.statuses()["node-1"] == "running"
    kernel.run("%devbox shutdown 'node-*' --yes").check()
    assert {home.statuses()[name] for name in ("node-0", "node-1")} == {"shutdown"}
    kernels.fails(kernel, kernel.run("%devbox shutdown 'node-*' --yes"), "UsageError", "'node-*'")


def test_the_sdk_is_connected_to_what_the_magics_use(kernel: Kernel) -> None:
    code = "import runloop_jupyter\nsdk = await runloop_jupyter.sdk()\n(await sdk.devbox.list())[0].id"
    assert kernel.run(f"%devbox create for-the-sdk\n{code}").check().results[-1].startswith("'dbx_")
    kernel.run("%devbox shutdown for-the-sdk").check()


def test_mine_are_those_of_this_kernel(kernel: Kernel, home: Home) -> None:
    kernel.run("%devbox create --name mine").check()
    with kernels.start(home.env) as other:
        other.run("%load_ext runloop_jupyter\n%devbox create --name theirs").check()
        kernel.run("%devbox shutdown --mine").check()
        assert (home.statuses()["mine"], home.statuses()["theirs"]) == ("shutdown", "running")


def test_cleanup_offers_what_a_killed_kernel_left(kernel: Kernel, home: Home) -> None:
    with kernels.start(home.env) as other:
        other.run("%load_ext runloop_jupyter\n%devbox create --name stray --keep").check()
        other.restart(now=True)
    assert "stray" not in kernel.run("%runloop cleanup --dry-run").check().results[-1]
    assert "stray" in kernel.run("%runloop cleanup --kept --dry-run").check().results[-1]
    assert home.statuses()["stray"] == "running"
    kernel.run("%runloop cleanup --kept --yes").check()
    assert home.statuses()["stray"] == "shutdown"
    assert "Nothing is left" in kernel.run("%runloop cleanup").check().results[-1]
