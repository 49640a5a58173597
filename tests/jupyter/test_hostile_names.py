"""Names from the wire, which anybody may have chosen: nothing in them runs, wherever they are shown or offered.

A real service has resources of every kind that are called like that, and a real kernel shows them by every subcommand.
What a subcommand says to type next is then typed.
"""

from __future__ import annotations

import asyncio
import re
from html.parser import HTMLParser
from typing import TYPE_CHECKING

import pytest

from runloop_jupyter.commands import NOUNS, RUNLOOP
from tests.jupyter import kernels
from tests.jupyter.embedded import Home
from tests.jupyter.remote import remote
from tests.jupyter.test_completion import completed, wait_for_names
from tests.starter import FROM
from tests.waiting import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.jupyter.kernels import Cell, Kernel

NAMES = {
    "an expression": 'n{{open("PWNED","w")}}',
    "quotes and a shell": "q'\"$(touch PWNED)`touch PWNED`; touch PWNED",
    "lines": "l\n%%bash\ntouch PWNED\nopen('PWNED', 'w')",
    "markup": '</script><script>document.title = "PWNED"</script><img src=x onerror=alert(1)>"\'>',
    "turned around": "t\u202egnp.exe\u2066\u200b",
    "escapes": "e\x1b]52;c;aGk=\x07\x1b[2J\x9b2J\x9d0;PWNED\x9c\r\x08",
    "an option": "--template=on",
    "a pattern": "*",
}
# Verbs by what they are given: an id or a name, a path in the devbox, nothing; and why others are not tried.
OF_ONE = {
    "devbox": ["info", "use", "logs", "suspend", "resume"],
    "blueprint": ["info", "logs", "delete"],
    "snapshot": ["info", "update", "delete"],
    "object": ["info", "delete", "download"],
    "secret": ["delete"],
    "policy": ["info", "delete"],
}
OF_A_PATH = ["ls", "cat", "download", "pull", "rm"]
OF_NOTHING = {
    "devbox": ["list"],
    "blueprint": ["list"],
    "snapshot": ["list"],
    "object": ["list"],
    "secret": ["list"],
    "policy": ["list"],
    "runloop": ["overview", "executions", "config"],
}
TRIED_OTHERWISE = {
    "devbox": {"attach", "kill", "tunnel", "keep-alive", "snapshot", "exec"},
}
NOT_TRIED = {
    "devbox": {
        "create",
        "python",
        "script",
        "write",
        "upload",
        "push",
        "ssh",
        "pty",
        "shutdown",
    },  # what the user types
    "blueprint": {"build", "prune"},
    "snapshot": {"restore", "prune"},
    "object": {"upload"},
    "secret": {"set"},
    "policy": {"create"},
    "runloop": {"panel", "connect", "cleanup", "doctor"},
}
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_HINT = re.compile(r"%{1,2}(?:devbox|runloop) (?!--help)[^\n]*")
_ABOUT = re.compile(r"[a-z]+_[0-9a-z]{20,}|['\"{$*]")
_ENDLESS = re.compile(r"%{1,2}\w+ (pty|ssh|panel|connect|doctor|cleanup|shutdown|prune|create|blueprint build)\b")


def test_every_verb_has_a_place_here() -> None:
    for noun in (*NOUNS.values(), RUNLOOP):
        word = noun.typed.split()[-1].lstrip("%")
        known = {*OF_ONE.get(word, ()), *OF_NOTHING.get(word, ()), *TRIED_OTHERWISE.get(word, ()), *NOT_TRIED[word]}
        assert known | (set(OF_A_PATH) if word == "devbox" else set()) == set(noun.verbs), word


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("here")


@pytest.fixture(scope="module")
def kernel(home: Home, here: Path) -> Iterator[Kernel]:
    with kernels.start(home.env) as started:
        started.run(f"%cd -q {here}").check()
        started.run("%load_ext runloop_jupyter\n%devbox create --name main").check()
        started.run("from runloop_jupyter.completion import lookups").check()
        wait_for_names(started, PATIENCE)
        yield started


Made = dict[str, list[str]]


@pytest.fixture(scope="module")
def made(kernel: Kernel, home: Home) -> Made:
    """The ids of resources, by kind: two are called by each name, so that a name alone is not clear."""
    return asyncio.run(_make(home))


async def _make(home: Home) -> Made:
    made: Made = {kind: [] for kind in OF_ONE}
    async with home.sdk() as sdk:
        main = next(iter([view async for view in sdk.api.devboxes.list(status="running")]))
        for name in NAMES.values():
            for again in range(2):
                box = await sdk.devbox.create(name=name, metadata={name: name})
                made["devbox"].append(box.id)
                obj = await sdk.storage_object.upload_from_text("text", name)
                made["object"].append(obj.id)
                snap = await sdk.devbox.from_id(main.id).snapshot_disk(name=name, commit_message=name)
                made["snapshot"].append(snap.id)
                policy = await sdk.network_policy.create(name=f"{name}{again}", description=name, allow_all=True)
                made["policy"].append(policy.id)
        failing = await sdk.api.blueprints.create(
            name=NAMES["an expression"], dockerfile=f"{FROM}\nRUN false # {{{{1}}}}"
        )
        made["blueprint"].append(failing.id)
        made["secret"].append((await sdk.api.secrets.create(name="SECRET", value="v")).name)
    return made


class Tags(HTMLParser):
    """The tags of some HTML, and the attributes that run something."""

    def __init__(self, markup: str) -> None:
        super().__init__()
        self.found: set[str] = set()
        self.feed(markup)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found |= {tag, *(name for name, _ in attrs if name.startswith("on"))}


def texts(cell: Cell) -> list[str]:
    """All that a cell shows as text."""
    return [*(m.text for m in cell.messages if m.text), cell.traceback]


def is_harmless(cell: Cell) -> None:
    """Nothing that a cell shows moves a cursor, turns a text around or runs in a page."""
    for text in texts(cell):
        plain = _COLOUR.sub("", text)
        assert not [char for char in plain if not char.isprintable() and char not in "\n\t\r"], repr(text)
    for message in cell.messages:
        markup = message.content.get("data", {}).get("text/html", "")
        assert Tags(markup).found & {"script", "img", "onerror"} == set(), markup


def hints(cell: Cell) -> set[str]:
    """What a cell says to type that has the id or the name of something in it."""
    found = {hint for text in texts(cell) for hint in _HINT.findall(_COLOUR.sub("", text)) if _ABOUT.search(hint)}
    # A line's sentence may go on after the command: both are typed, which harms nobody either.
    return {part for hint in found for part in (hint, hint.rstrip("."), hint.split(" — ")[0].split(" · ")[0])}


def type_all(kernel: Kernel, lines: set[str]) -> None:
    for line in sorted(lines):
        if not _ENDLESS.match(line):
            is_harmless(kernel.run(line))


def nothing_ran(home: Home, here: Path) -> None:
    assert not (here / "PWNED").exists()
    assert remote(home, "ls -d PWNED /tmp/PWNED 2>/dev/null; true") == ""


@pytest.mark.parametrize("kind", OF_ONE)
def test_subcommands_that_name_one_resource(kernel: Kernel, home: Home, here: Path, made: Made, kind: str) -> None:
    start = "%devbox" if kind == "devbox" else f"%runloop {kind}"
    # By its id, and by the letter that all names begin with: that is not clear, so all are named.
    words = [*made[kind], *sorted({name[0] for name in NAMES.values()} - set("<-*"))]
    to_type: set[str] = set()
    for verb in OF_ONE[kind]:
        for word in words[::-1] if verb == "delete" else words:
            cell = kernel.run(f"{start} {verb} {word}")
            is_harmless(cell)
            to_type |= hints(cell)
        if verb == "info":
            type_all(kernel, to_type)
            nothing_ran(home, here)
    kernel.run("%devbox use main").check()
    type_all(kernel, to_type)
    nothing_ran(home, here)


def test_tables(kernel: Kernel, home: Home, here: Path, made: Made) -> None:
    for noun, verbs in OF_NOTHING.items():
        for verb in verbs:
            cell = kernel.run(f"%{noun} {verb}" if noun in ("devbox", "runloop") else f"%runloop {noun} {verb}")
            is_harmless(cell)
            type_all(kernel, hints(cell) if verb != "config" else set())
    nothing_ran(home, here)


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_files(kernel: Kernel, home: Home, here: Path, name: str) -> None:
    file = name.replace("/", "_")
    kernel.run(f"name = {file!r}").check()
    kernel.run("%%devbox python --in name\nimport os\nos.makedirs('d/' + name + '/in', exist_ok=True)").check()
    kernel.run("%%devbox python --in name\nopen('d/' + name + '/in/' + name, 'w').write('x')").check()
    to_type: set[str] = set()
    kernel.run("folder = 'd/' + name; inside = folder + '/in/' + name; nothing = folder + '/nothing'").check()
    for verb in OF_A_PATH:
        for path in ("d", "{{folder}}", "{{inside}}", "{{nothing}}", "d/nothing"):
            cell = kernel.run(f"%devbox {verb} {path}")
            is_harmless(cell)
            to_type |= hints(cell)
    type_all(kernel, to_type)
    nothing_ran(home, here)
    remote(home, "rm -rf d")


@pytest.mark.parametrize(
    "line",
    ["%devbox use ", "%devbox info ", "%devbox exec --on ", "%runloop object info ", "%runloop snapshot info ",
     "%runloop policy info ", "%runloop blueprint info ", "%devbox ls d/", "%devbox cat d/",
     "%%devbox exec\ncat d/"],
)  # fmt: skip
def test_what_tab_offers(kernel: Kernel, home: Home, here: Path, made: Made, line: str) -> None:
    files = {f"f{number}": name.replace("/", "_") for number, name in enumerate(NAMES.values())}
    kernel.run(f"files = {list(files.values())!r}").check()
    kernel.run("%%devbox python --in files\nimport os\nos.makedirs('d', exist_ok=True)").check()
    kernel.run("%%devbox python --in files\nfor each in files: open('d/' + each, 'w').close()").check()
    start = line.rpartition("\n")[0]
    offered = completed(kernel, line)
    assert len(offered) > 0
    for each in offered:
        assert each.isprintable()
        if not _ENDLESS.match(each):
            is_harmless(kernel.run(f"{start}\n{each}" if start else each))
    kernel.run("%devbox use main").check()
    nothing_ran(home, here)


def test_what_runs_and_where_it_runs(kernel: Kernel, home: Home, here: Path, made: Made) -> None:
    to_type: set[str] = set()
    for devbox in made["devbox"][::2]:
        for line in (
            f"%devbox exec --on {devbox} false",
            f"%devbox exec --on {devbox} --timeout 0.2 sleep 100",
            f"%devbox keep-alive {devbox}",
            f"%devbox tunnel 8000 --on {devbox}",
            f"%devbox tunnel 8000 --on {devbox}",
            f"%devbox attach nothing --on {devbox}",
            f"%devbox kill nothing --on {devbox}",
            f"%devbox snapshot --on {devbox} --name 'n{{{{1}}}}'",
            f"%devbox suspend {devbox}",
            f"%devbox exec --on {devbox} true",
        ):
            cell = kernel.run(line)
            is_harmless(cell)
            to_type |= hints(cell)
    cell = kernel.run("%devbox exec --no-raise-error --on all echo out; false")
    is_harmless(cell)
    type_all(kernel, to_type | hints(cell))
    nothing_ran(home, here)
