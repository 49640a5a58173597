"""What Tab offers, asked of a real kernel as a front end asks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from runloop_jupyter.commands import NOUNS, RUNLOOP
from runloop_jupyter.completion.lines import split_words
from tests.own_state import kept_in
from tests.starter import FROM
from tests.waiting import PATIENCE

if TYPE_CHECKING:
    from pathlib import Path

    from tests.jupyter.embedded import Home
    from tests.jupyter.kernels import Kernel


def completed(kernel: Kernel, code: str) -> list[str]:
    """What the end of the code may become: the whole of the last line each time."""
    content = kernel.client.complete(code, reply=True, timeout=PATIENCE)["content"]
    assert content["status"] == "ok"
    before, word = code[: content["cursor_start"]].rpartition("\n")[2], code[content["cursor_start"] :]
    return [] if content["matches"] == [word] else [before + match for match in content["matches"]]


@pytest.fixture(scope="module")
def furnished(kernel: Kernel, tmp_path_factory: pytest.TempPathFactory) -> Kernel:
    """A kernel whose devbox has files, beside another of two words; with a secret, a policy, a blueprint, an object."""
    kernel.run("%devbox create --name 'two words'").check()
    kernel.run("%devbox exec mkdir -p elsewhere; touch elsewhere/there").check()
    kernel.run("%devbox use main").check()
    kernel.run("%%devbox exec\nmkdir -p data/deep; touch data/table.csv 'data/a name' .hidden data/.also").check()
    kernel.run(f"%cd -q {tmp_path_factory.mktemp('here')}").check()
    kernel.run("import os; os.environ['TOKEN'] = 'x'; mine = 'text'").check()
    kernel.run("%runloop secret set GH_TOKEN --from-env TOKEN").check()
    kernel.run("%runloop policy create closed").check()
    kernel.run(f"%%runloop blueprint build tools\n{FROM}\nRUN true").check()
    kernel.run("open('thing.txt', 'w').write('x'); os.makedirs('folder', exist_ok=True)").check()
    kernel.run("%runloop object upload thing.txt").check()
    kernel.run("from runloop_jupyter.completion import lookups").check()
    wait_for_names(kernel, PATIENCE)
    return kernel


def wait_for_names(kernel: Kernel, seconds: float) -> None:
    """Let completions wait so long for the service, not the moment after which a user has typed on."""
    kernel.run(f"lookups._PATIENCE = lookups._PATIENCE_WITH_OLD = {seconds}").check()


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("%devbox cr", ["%devbox create"]),
        ("x = %devbox li", ["x = %devbox list"]),
        ("%%devbox ", ["%%devbox exec", "%%devbox python", "%%devbox script", "%%devbox write"]),
        ("%%runloop ", ["%%runloop blueprint", "%%runloop devbox"]),
        ("%runloop blue", ["%runloop blueprint"]),
        ("%runloop blueprint pr", ["%runloop blueprint prune"]),
        ("x = %devbox exec --ti", ["x = %devbox exec --timeout"]),
        ("%devbox create --size x_", ["%devbox create --size x_large", "%devbox create --size x_small"]),
        ("%devbox create --size=x_", ["%devbox create --size=x_large", "%devbox create --size=x_small"]),
        ("%%devbox exec --on ma", ["%%devbox exec --on main"]),
        ("%%devbox exec --on a", ["%%devbox exec --on all"]),
        ("%devbox use ma", ["%devbox use main"]),
        ("%devbox use tw", ["%devbox use 'two words'"]),
        ("%devbox use 'two w", ["%devbox use 'two words'"]),
        ("%devbox exec --env 'A=b c' --on ma", ["%devbox exec --env 'A=b c' --on main"]),
        ("%devbox create --secret TOKEN=G", ["%devbox create --secret TOKEN=GH_TOKEN"]),
        ("%devbox create --policy cl", ["%devbox create --policy closed"]),
        ("%devbox create --blueprint to", ["%devbox create --blueprint tools"]),
        ("%devbox create --mount thi", ["%devbox create --mount thing.txt"]),
        ("%runloop policy info c", ["%runloop policy info closed"]),
        ("%runloop connect lo", ["%runloop connect local"]),
        ("%devbox upload thi", ["%devbox upload thing.txt"]),
        ("%devbox upload thing.txt da", ["%devbox upload thing.txt data/"]),
        ("%devbox ls data/", ["%devbox ls 'data/a name'", "%devbox ls data/deep/", "%devbox ls data/table.csv"]),
        ("%devbox ls .h", ["%devbox ls .hidden"]),
        ("%devbox ls --on 'two words' else", ["%devbox ls --on 'two words' elsewhere/"]),
        ("%devbox rm data/table.csv data/d", ["%devbox rm data/table.csv data/deep/"]),
        ("%devbox exec --stdin mi", ["%devbox exec --stdin mine"]),
        ("%%devbox python --in mi", ["%%devbox python --in mine"]),
        ("%devbox exec cat data/t", ["%devbox exec cat data/table.csv"]),
        ("%devbox exec sha512", ["%devbox exec sha512sum"]),
        ("%%devbox exec\ncat da", ["cat data/"]),
        ("%%time\n%%devbox exec --quiet\ncat data/t", ["cat data/table.csv"]),
        ("%%devbox exec --cwd data\ncat t", ["cat table.csv"]),
        ("%%devbox exec\ntrue && sha512", ["true && sha512sum"]),
        ("%%devbox exec --on 'two words'\nls else", ["ls elsewhere/"]),
        ("%%devbox exec --shell s\nls da", []),
        ("%%runloop blueprint build x\nFR", ["FROM "]),
        ("%%runloop blueprint build x\nFROM to", ["FROM tools"]),
        ("%%runloop blueprint build x\nCOPY thi", ["COPY thing.txt"]),
        ("%%runloop blueprint build x\nRUN set", ["RUN set -euo pipefail"]),
    ],
)
def test_tab_offers(furnished: Kernel, code: str, found: list[str]) -> None:
    assert sorted(completed(furnished, code)) == sorted(found)


def test_alone_everything_that_can_follow_is_offered(furnished: Kernel) -> None:
    assert {"%devbox create", "%devbox exec", "%devbox --help"} <= set(completed(furnished, "%devbox "))
    assert {"%devbox use main", "%devbox use --help"} <= set(completed(furnished, "%devbox use "))


def test_what_a_command_has_just_made_is_offered(furnished: Kernel) -> None:
    assert completed(furnished, "%devbox cat new") == []
    furnished.run("%devbox exec touch new-file").check()
    assert completed(furnished, "%devbox cat new") == ["%devbox cat new-file"]


def test_snippets_are_the_users(furnished: Kernel) -> None:
    furnished.run("%config RunloopMagics.snippets = ['make -C src test']").check()
    assert "make -C src test" in completed(furnished, "%%devbox exec\nma")


def test_python_is_left_to_others(furnished: Kernel) -> None:
    assert "import" in completed(furnished, "impor")


def test_an_answer_that_takes_too_long_is_there_the_next_time(furnished: Kernel, home: Home) -> None:
    furnished.run("%devbox exec true").check()  # whatever was known of folders may have changed
    wait_for_names(furnished, 0.2)
    with home.silent():
        assert completed(furnished, "%devbox ls dat") == []
        assert completed(furnished, "%devbox use ma") == ["%devbox use main"]
        wait_for_names(furnished, PATIENCE)
    assert completed(furnished, "%devbox ls dat") == ["%devbox ls data/"]


def test_nothing_is_started_by_a_completion(tmp_path: Path) -> None:
    from tests.jupyter import kernels

    with kernels.start(kept_in(tmp_path)) as fresh:
        fresh.run("%load_ext runloop_jupyter").check()
        assert "%devbox use main" not in completed(fresh, "%devbox use ma")
        assert list(tmp_path.iterdir()) == []


def test_the_cells_of_each_noun_are_those_that_take_one() -> None:
    for noun in (RUNLOOP, *NOUNS.values()):
        assert sorted(noun.cells) == sorted(verb for verb in noun.verbs if noun.load(verb).parser().cell)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ([], "")),
        ("use", ([], "use")),
        ("use ", (["use"], "")),
        ("--env 'A=b c' x", (["--env", "'A=b c'"], "x")),
        ("use 'two w", (["use"], "'two w")),
        (r"use two\ w", (["use"], r"two\ w")),
    ],
)
def test_words_are_told_apart_as_a_shell_does(text: str, words: tuple[list[str], str]) -> None:
    assert split_words(text) == words
