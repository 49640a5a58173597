"""Blueprints, snapshots, storage objects, secrets and network policies: their verbs, and Stop in the middle of each."""

from __future__ import annotations

import asyncio
import io
import os
import tarfile
from typing import TYPE_CHECKING, Any

import pytest

from tests.jupyter import kernels
from tests.jupyter.kernels import fails
from tests.jupyter.remote import ends, remote
from tests.starter import FROM
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.jupyter.embedded import Home
    from tests.jupyter.kernels import Cell, Kernel

TOOLS = f"%%runloop blueprint build tools --metadata team=a\n{FROM}\nRUN echo 'made here' > /opt/made\n"
BROKEN = f"%%runloop blueprint build broken\n{FROM}\n\nRUN echo before; exit 3\nRUN echo never"


@pytest.fixture(scope="module")
def kernel(home: Home, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    """A kernel whose folder is its own, with the devbox `main`."""
    folder = tmp_path_factory.mktemp("folder")
    with kernels.start({**home.env, "TOKEN": "hush-hush"}) as started:
        started.run(f"%cd -q {folder}\n%load_ext runloop_jupyter\n%devbox create --name main").check()
        yield started


def told(kernel: Kernel, line: str) -> str:
    """What a line that succeeds shows as its result."""
    return kernel.run(line).check().results[-1]


def folder(kernel: Kernel) -> str:
    """Where the kernel runs."""
    return str(kernel.value("__import__('os').getcwd()"))


def listed(home: Home, ask: Callable[[Any], Any]) -> list[Any]:
    """What another client finds."""

    async def find() -> list[Any]:
        async with home.sdk() as sdk:
            return [view async for view in ask(sdk.api)]

    return asyncio.run(find())


def test_a_blueprint_goes_through_its_life(kernel: Kernel, home: Home) -> None:
    built = kernel.run(TOOLS).check()
    assert "RUN echo 'made here'" in built.stdout
    assert "Use it: %devbox create --blueprint tools" in built.results[-1]
    mistyped = kernel.run("%devbox create --blueprint tolos")
    fails(kernel, mistyped, "UsageError", "No blueprint 'tolos'. Did you mean 'tools'? %runloop blueprint list")
    kernel.run("%devbox create --blueprint tools --name from-tools\n%devbox use main").check()
    assert remote(home, "cat /opt/made", "from-tools") == "made here\n"
    assert "✓ build complete" in told(kernel, "%runloop blueprint list")
    assert "team=a" in told(kernel, "%runloop blueprint info tools")
    assert "Step 2/2" in kernel.run("%runloop blueprint logs tools").check().stdout
    assert kernel.value("len(get_ipython().run_line_magic('runloop', 'blueprint list'))") == 1
    kernel.run("%devbox shutdown from-tools").check()
    assert "Deleted blueprint tools" in told(kernel, "%runloop blueprint delete tools")
    fails(kernel, kernel.run("%runloop blueprint info tools"), "UsageError", "No blueprint 'tools'")


def test_a_failing_step_is_marked_in_the_cell(kernel: Kernel) -> None:
    cell = kernel.run(BROKEN)
    assert cell.error == "RemoteError"
    assert "line 4 of the cell" in cell.error_text
    assert "→ 4 │ RUN echo before; exit 3" in cell.stderr
    assert "never" not in cell.stdout
    assert "Dockerfile line 3" in kernel.run("%runloop blueprint logs broken").check().stderr


def test_what_a_newer_build_replaced_is_pruned_after_a_yes(kernel: Kernel) -> None:
    kernel.run(f"%%runloop blueprint build pruned\n{FROM}\nRUN true").check()
    kernel.run(f"%%runloop blueprint build pruned\n{FROM}\nRUN true\nRUN true").check()
    assert "pruned" in kernel.run("%runloop blueprint prune --dry-run").check().stdout
    assert "Nothing was deleted" in answered(kernel, "%runloop blueprint prune", "")
    assert "Deleted" in answered(kernel, "%runloop blueprint prune", "yes")
    assert told(kernel, "%runloop blueprint list").count("pruned") == 1


def answered(kernel: Kernel, line: str, answer: str) -> str:
    """What a line says that asks first and gets this answer."""
    kernel.client.allow_stdin = True
    cell = kernel.send(line)
    kernel.asks()
    kernel.client.input(answer)
    kernel.client.allow_stdin = False
    kernel.ended(cell).check()
    return cell.stdout + "".join(cell.results)


def test_snapshots_are_listed_changed_and_pruned(kernel: Kernel, home: Home) -> None:
    remote(home, "echo first > /tmp/state")
    kernel.run("%devbox snapshot one --message 'the first' --metadata try=1").check()
    remote(home, "echo second > /tmp/state")
    kernel.run("%devbox snapshot two").check()
    shown = told(kernel, "%runloop snapshot list")
    assert shown.index("two") < shown.index("one")
    assert "the first" in told(kernel, "%runloop snapshot info one")
    kernel.run("%runloop snapshot update one --name renamed --metadata try=2").check()
    assert "try=2" in told(kernel, "%runloop snapshot info renamed")
    told(kernel, "%runloop snapshot restore renamed --name again")
    assert remote(home, "cat /tmp/state", "again") == "first\n"
    kernel.run("%devbox shutdown again\n%devbox use main").check()
    assert "renamed" in kernel.run("%runloop snapshot prune --dry-run").check().stdout
    assert "Deleted 1 snapshot" in told(kernel, "%runloop snapshot prune --yes")
    fails(kernel, kernel.run("%runloop snapshot info renamed"), "UsageError", "No snapshot 'renamed'")
    told(kernel, "%runloop snapshot delete two")


def test_an_object_goes_up_and_comes_back(kernel: Kernel, home: Home) -> None:
    kernel.run("data = bytes(range(256)) * 999; open('data.bin', 'wb').write(data)").check()
    assert "Uploaded data.bin" in told(kernel, "%runloop object upload data.bin --metadata a=b --ttl 2h")
    shown = told(kernel, "%runloop object info data.bin")
    assert all(words in shown for words in ("binary", "256 KB", "read only", "a=b"))
    kernel.run("%runloop object download data.bin back.bin").check()
    assert kernel.value("open('back.bin', 'rb').read() == data") is True
    kernel.run("%devbox create --name mounted --mount data.bin:/tmp/data.bin\n%devbox use main").check()
    assert remote(home, "stat -c %s /tmp/data.bin", "mounted") == f"{256 * 999}\n"
    kernel.run("%devbox shutdown mounted").check()
    assert "data.bin" not in told(kernel, "%runloop object list --type text")
    assert "Deleted" in told(kernel, "%runloop object delete data.bin")
    fails(kernel, kernel.run("%runloop object download data.bin"), "UsageError", "No object 'data.bin'")


def test_a_folder_goes_up_without_what_git_ignores(kernel: Kernel) -> None:
    kernel.run(
        "import pathlib; tree = pathlib.Path('tree'); (tree / 'sub').mkdir(parents=True)\n"
        "for name, text in {'.gitignore': '*.log', 'a.txt': 'a', 'sub/b.txt': 'b', 'x.log': 'x'}.items():\n"
        "    (tree / name).write_text(text)\n"
        "%runloop object upload tree --name packed\n%runloop object download packed packed.tgz"
    ).check()
    packed = bytes(kernel.value("open('packed.tgz', 'rb').read()"))
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        names = {name.removeprefix("./") for name in archive.getnames()}
    assert {"a.txt", "sub/b.txt"} <= names
    assert "x.log" not in names


def test_a_secret_is_asked_for_and_never_shown(kernel: Kernel, home: Home) -> None:
    assert "Made secret ASKED" in answered(kernel, "%runloop secret set ASKED", "hush-hush")
    told(kernel, "%runloop secret set TAKEN --from-env TOKEN")
    kernel.run("%devbox create --name knows --secret MINE=ASKED\n%devbox use main").check()
    assert remote(home, "printenv MINE", "knows") == "hush-hush\n"
    assert "TAKEN" in told(kernel, "%runloop secret list")
    kernel.run("%devbox shutdown knows").check()
    told(kernel, "%runloop secret delete ASKED TAKEN")
    fails(kernel, kernel.run("%runloop secret delete ASKED"), "UsageError", "No secret 'ASKED'")
    shown = "".join(message.text + str(message.content) for cell in kernel.cells for message in cell.messages)
    assert "hush-hush" not in shown


SUBMITTED = """
from runloop_jupyter.kernel import loop
from runloop_jupyter.magics import current_session
from runloop_jupyter.operations.observer import UNOBSERVED
from runloop_jupyter.resources.forms import Submission
from runloop_jupyter.resources.kinds.secret import FORM
typed = {{"name": "{name}", "value": "typed"}}
print(loop.run(FORM.submit(Submission(current_session(), typed, UNOBSERVED))).text)
"""


def test_the_form_for_a_secret_does_what_its_cell_does(kernel: Kernel) -> None:
    told(kernel, "%runloop secret set FORMED --from-env TOKEN")
    said = kernel.run(SUBMITTED.format(name="FORMED")).check().stdout
    assert said == "Changed secret FORMED.\n"
    assert kernel.run(SUBMITTED.format(name="FORMED_NEW")).check().stdout == "Saved secret FORMED_NEW.\n"
    assert "Changed secret FORMED_NEW" in told(kernel, "%runloop secret set FORMED_NEW --from-env TOKEN")
    told(kernel, "%runloop secret delete FORMED FORMED_NEW")


def test_a_policy_closes_a_devbox(kernel: Kernel, home: Home) -> None:
    assert "%devbox create --policy closed" in told(kernel, "%runloop policy create closed --host example.com")
    assert "example.com" in told(kernel, "%runloop policy info closed")
    assert "closed" in told(kernel, "%runloop policy list")
    kernel.run("%devbox create --name under --policy closed\n%devbox use main").check()
    assert listed(home, lambda api: api.devboxes.list(status="running"))
    kernel.run("%devbox shutdown under").check()
    told(kernel, "%runloop policy delete closed")
    fails(kernel, kernel.run("%runloop policy info closed"), "UsageError", "No network policy 'closed'")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("%runloop blueprint build x", ("%%runloop blueprint build",)),
        ("%%runloop blueprint build x\nFORM scratch", ("Line 2 of the cell", "FORM")),
        (
            f"%%runloop blueprint build x\n{FROM}\nCOPY absent /",
            ("absent", "line 3 of the cell"),
        ),
        (f"%%runloop blueprint build x --context nowhere\n{FROM}", ("'nowhere'",)),
        ("%devbox create --blueprint bpt_absent", ("No blueprint 'bpt_absent'",)),
        ("%runloop blueprint delete absent", ("No blueprint 'absent'",)),
        ("%runloop snapshot delete absent", ("No snapshot 'absent'",)),
        ("%runloop snapshot update main", ("--name",)),
        ("%runloop object upload absent.txt", ("'absent.txt'",)),
        ("%runloop object delete absent", ("No object 'absent'",)),
        ("%runloop object list --state lost", ("'lost'", "read_only")),
        ("%runloop object upload . --ttl soon", ("'soon'",)),
        ("%runloop secret set NAME --from-env ABSENT", ("'ABSENT'",)),
        ("%runloop secret set 'no name' --from-env TOKEN", ("no name",)),
        ("%runloop policy create x --cidr 10.0.0", ("10.0.0",)),
        ("%runloop policy delete absent", ("No network policy 'absent'",)),
        ("%runloop blueprnt list", ("blueprint",)),
        ("%runloop blueprint biuld x", ("build",)),
    ],
)
def test_a_mistake_is_one_sentence(kernel: Kernel, line: str, words: tuple[str, ...]) -> None:
    cell = kernel.run(line)
    assert cell.error in ("UsageError", "RemoteError"), cell.traceback
    fails(kernel, cell, cell.error, *words)


def test_two_of_one_name_are_told_apart(kernel: Kernel) -> None:
    kernel.run(
        "open('same.txt', 'w').write('1')\n%runloop object upload same.txt\n%runloop object upload same.txt"
    ).check()
    cell = kernel.run("%runloop object delete same.txt")
    fails(kernel, cell, "UsageError", "'same.txt'", "obj_")
    assert cell.error_text.count("obj_") == 2


def test_stop_ends_a_build_and_leaves_nothing_of_it(kernel: Kernel, home: Home) -> None:
    cell = kernel.send(f"%%runloop blueprint build stopped\n{FROM}\nRUN echo begun; sleep 9713")
    kernel.shows(cell, "begun")
    stopped(kernel, cell)
    assert ends(home, "[s]leep 9713")
    assert [view.name for view in listed(home, lambda api: api.blueprints.list()) if view.name == "stopped"] == []


def stopped(kernel: Kernel, cell: Cell) -> None:
    """Stop it; it ends soon, as stopped, in one line, and the next cell works."""
    kernel.interrupt()
    kernel.ended(cell)
    assert cell.error == "KeyboardInterrupt", cell.traceback
    assert "\n" not in cell.traceback
    assert kernel.run("%devbox exec echo next").check().stdout == "next\n"


def test_stop_ends_a_creation_and_leaves_no_devbox(kernel: Kernel, home: Home) -> None:
    cell = kernel.send("%devbox create --name slow --run 'sleep 9714'")
    kernel.until(lambda: "slow" in home.statuses(), "the devbox")
    stopped(kernel, cell)
    wait_until(lambda: home.statuses()["slow"] in ("shutdown", "failure"), "its end")
    assert "main" in told(kernel, "%devbox info")


@pytest.mark.parametrize(
    "code",
    [
        "%runloop object upload big.bin",
        "%runloop object download big big.copy",
        "%devbox upload big.bin",
        "%devbox download /tmp/big big.copy",
    ],
)
def test_stop_ends_a_transfer_and_leaves_nothing_of_it(kernel: Kernel, home: Home, code: str) -> None:
    make_big(kernel, home)
    before = leftovers(kernel, home)
    with home.silent():  # an upload and a download are in the middle for as long as this
        cell = kernel.begun(code)
        kernel.interrupt()
        kernel.listen(0.3)
    kernel.ended(cell)
    assert cell.error == "KeyboardInterrupt", cell.traceback
    assert "\n" not in cell.traceback
    wait_until(lambda: leftovers(kernel, home) == before, f"no more than {before}")
    assert kernel.run("%devbox exec echo next").check().stdout == "next\n"


def make_big(kernel: Kernel, home: Home) -> None:
    """A file of 200 MB here, in the devbox and in the object store, once."""
    if not kernel.value("__import__('os').path.exists('big.bin')"):
        remote(home, "truncate -s 200M /tmp/big")
        kernel.run(
            "import os; open('big.bin', 'wb').truncate(200 << 20)\n%runloop object upload big.bin --name big"
        ).check()


def leftovers(kernel: Kernel, home: Home) -> tuple[list[str], list[str], str]:
    """What there is: files here, objects, files in the devbox's home folder."""
    here = sorted(os.listdir(folder(kernel)))
    objects = sorted(view.name for view in listed(home, lambda api: api.objects.list()) if view.state != "deleted")
    return here, objects, remote(home, "ls -A")


@pytest.mark.parametrize(
    "code",
    [
        "%devbox list",
        "%devbox create --name other",
        "%devbox snapshot late",
        "%devbox tunnel 8000",
        "%devbox suspend",
        "%devbox logs",
        "%devbox push .",
        "%runloop blueprint list",
        f"%%runloop blueprint build late\n{FROM}",
        "%runloop snapshot list",
        "%runloop object list",
        "%runloop secret set LATE --from-env TOKEN",
        "%runloop policy create late",
        "%runloop doctor",
    ],
)
def test_stop_while_the_service_does_not_answer(kernel: Kernel, home: Home, code: str) -> None:
    with home.silent():
        cell = kernel.begun(code)
        kernel.interrupt()
        kernel.listen(0.2)
        kernel.interrupt()
        kernel.ended(cell)
    assert cell.error == "KeyboardInterrupt", cell.traceback
    assert "\n" not in cell.traceback
    kernel.run("%devbox resume main").check()
    assert kernel.run("%devbox exec echo next").check().stdout == "next\n"
