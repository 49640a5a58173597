"""Builds with `RUN --mount`: what steps see, what stays of it, and what must not."""

import asyncio
import re
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import pytest
from msgspec.structs import replace

from runloop_local.engine.build.cache_mounts import CacheMounts
from runloop_local.engine.errors import InvalidError
from runloop_local.engine.storage.retention import choose_unused
from runloop_local.sandbox import Isolation, open_isolation
from tests.local.building import BuildOptions, Yard, tar, yard
from tests.local.test_build import SMALL
from tests.waiting import until

CONTEXT = {"./a.txt": "A", "./d/x.py": "X", "./d/e/y.py": "Y", "./secret/key": "K", "./.dockerignore": "secret\n"}
ONE = "FROM x AS one\nRUN mkdir /s && echo 1 > /s/f && ln -s /s /l && ln -s /etc/hostname /away\nFROM y"
SEED = "type=cache,target=/c,from=one,source=/s"


@pytest.fixture
async def works(tmp_path: Path) -> AsyncIterator[Yard]:
    tar(tmp_path / "context", CONTEXT)
    async with yard(tmp_path) as found:
        if found.isolation.name != "namespaces":
            pytest.fail("these tests need namespaces; see below for plain processes")
        yield found


SEEN = {
    "the context": (
        "FROM x\nRUN --mount=target=/c cd /c; find . -type f | sort",
        "./.dockerignore\n./a.txt\n./d/e/y.py",
    ),
    "a folder of the context": ("FROM x\nRUN --mount=target=/c,source=d ls /c", "e\nx.py"),
    "a file of the context": ("FROM x\nRUN --mount=target=/c/f,source=a.txt cat /c/f && echo .", "A."),
    "in the folder of work": ("FROM x\nWORKDIR /w\nRUN --mount=target=c,source=d ls /w/c", "e\nx.py"),
    "closed to writing": ("FROM x\nRUN --mount=target=/c ! touch /c/z 2>&1", "Read-only file system"),
    "open to writing": ("FROM x\nRUN --mount=target=/c,rw echo B >> /c/a.txt && cat /c/a.txt", "AB"),
    "what was written is dropped": (
        "FROM x\nRUN --mount=target=/c,rw echo B > /c/a.txt\nRUN --mount=target=/c cat /c/a.txt && echo .",
        "A.",
    ),
    "a stage": (f"{ONE}\nRUN --mount=target=/c,from=one cat /c/s/f && ls /c/usr/bin/env", "1\n/c/usr/bin/env"),
    "a folder of a stage": (f"{ONE}\nRUN --mount=target=/c,from=one,source=/s ls /c", "f"),
    "a link of a stage": (f"{ONE}\nRUN --mount=target=/c,from=one,source=/l ls /c", "f"),
    "a file of a stage": (f"{ONE}\nRUN --mount=target=/c,from=0,source=/s/f cat /c", "1"),
    "over what is there": (
        f"{ONE}\nRUN mkdir /c && echo 2 > /c/f\nRUN --mount=target=/c,from=one,source=/s cat /c/f",
        "1",
    ),
    "by a link": (f"{ONE}\nRUN ln -s /srv /c\nRUN --mount=target=/c/d,from=one,source=/s cat /srv/d/f", "1"),
    "in a folder in memory": (
        f"{ONE}\nRUN --mount=target=/m/a/c,from=one,source=/s --mount=type=tmpfs,target=/m cat /m/a/c/f && df /m",
        "1\n.*tmpfs .* /m",
    ),
    "memory": ("FROM x\nRUN --mount=type=tmpfs,target=/m,size=8m df -k /m && touch /m/f", "tmpfs +8192 "),
    "memory for everybody": ("FROM x\nUSER user\nRUN --mount=type=tmpfs,target=/m touch /m/f && ls /m", "f"),
    "a secret": ("FROM x\nRUN --mount=type=secret,id=s stat -c '%a %u %g %s' /run/secrets/s", "400 0 0 10"),
    "a secret of an account": (
        "FROM x\nUSER user\nRUN --mount=type=secret,id=s,uid=1000,gid=7,mode=0440 stat -c '%a %u %g' /run/secrets/s && "
        "wc -c < /run/secrets/s",
        "440 1000 7\n10",
    ),
    "nobody else's": ("FROM x\nUSER user\nRUN --mount=type=secret,id=s ! cat /run/secrets/s", "Permission denied"),
    "a secret somewhere": (
        "FROM x\nRUN --mount=type=secret,id=s,target=/root/.npmrc wc -c /root/.npmrc",
        "10 /root/.npmrc",
    ),
    "a secret that is not there": ("FROM x\nRUN --mount=type=secret,id=missing ! ls /run/secrets", "No such file"),
    "a secret as a variable": (
        'FROM x\nRUN --mount=type=secret,id=s,env=T [ "$T" = "value of s" ] && ls -A /run && echo .',
        "\\.",
    ),
    "a secret as both": (
        'FROM x\nRUN --mount=type=secret,id=s,env=T,target=/t [ "$T" = "$(cat /t)" ] && echo same',
        "same",
    ),
    "a cache": ("FROM x\nRUN --mount=type=cache,target=/c stat -c '%a %u %g' /c", "755 0 0"),
    "a cache of an account": (
        "FROM x\nUSER user\nRUN --mount=type=cache,target=/c,uid=1000,mode=0700 stat -c '%a %u' /c; touch /c/f",
        "700 1000",
    ),
    "a cache once more": (
        "FROM x\nRUN --mount=type=cache,target=/c echo 1 > /c/f\nRUN --mount=type=cache,target=/c cat /c/f",
        "1",
    ),
    "a cache somewhere else": (
        "FROM x\nRUN --mount=type=cache,target=/c,id=i echo 1 > /c/f\nRUN --mount=type=cache,target=/d,id=i,ro "
        "cat /d/f && ! touch /d/f",
        "1\n.*Read-only file system",
    ),
    "a cache of another id": (
        "FROM x\nRUN --mount=type=cache,target=/c,id=i touch /c/f\nRUN --mount=type=cache,target=/c ls -A /c; echo .",
        "\\.",
    ),
    "a cache twice in one step": (
        "FROM x\nRUN --mount=type=cache,target=/c,id=i,sharing=locked --mount=type=cache,target=/d,id=i,sharing=locked "
        "echo 1 > /c/f && cat /d/f",
        "1",
    ),
    "a cache with a beginning": (
        f"{ONE}\nRUN --mount={SEED} echo 2 >> /c/f\nRUN --mount={SEED} cat /c/f && ls -A /run && echo .",
        "1\n2\n\\.",
    ),
    "of ONBUILD": (
        "FROM x AS s\nONBUILD RUN --mount=type=secret,id=s wc -c < /run/secrets/s\nFROM s",
        "10",
    ),
}


async def test_what_a_step_sees(works: Yard) -> None:
    for number, (title, (dockerfile, said)) in enumerate(SEEN.items()):
        if number:  # caches are the build's own
            await forget_all(works)
        record = await works.build(dockerfile, "context")
        log = await works.log(record)
        assert record.status == "build_complete", (title, log)
        assert re.search(said, log, re.DOTALL), (title, log)


async def forget_all(works: Yard) -> None:
    for removal in choose_unused(works.cache.items(), 1 << 60, live=True):
        await works.cache.remove(removal)


LEFT = {
    "a place in a folder that is there": ("type=cache,target=/srv/c", "true", "/srv/c", ""),
    "folders on the way": ("type=tmpfs,target=/srv/a/b/c", "true", "/srv/a", ""),
    "a file": ("type=secret,id=s,target=/root/.npmrc", "true", "/root/.npmrc", ""),
    "at the root": ("target=/c", "true", "/c", ""),
    "by a link": ("target=/srv/bin/c", "ln -s /opt /srv/bin-2", "/opt/c /srv/bin /usr/bin/c", ""),
    "what something was put beside": ("type=tmpfs,target=/srv/a/b", "touch /srv/a/f", "/srv/a/*", "/srv/a/f\n"),
    "what was there": ("type=tmpfs,target=/etc/apt", "true", "/etc/apt/apt.conf.d", "/etc/apt/apt.conf.d\n"),
    "a link that the step put there": (
        "type=tmpfs,target=/srv/a/b/c",
        "mv /srv/a /srv/d && ln -s /etc /srv/a",
        "/srv/a /etc/apt",
        "/etc/apt\n/srv/a\n",
    ),
}


@pytest.mark.parametrize("case", LEFT)
async def test_places_made_for_mounts_are_no_part_of_the_disk(works: Yard, case: str) -> None:
    mount, does, paths, left = LEFT[case]
    lines = f"RUN mkdir -p /srv\nRUN --mount={mount} {does}\nRUN ls -d {paths} > /list; true"
    record = await works.build(f"FROM x\n{lines}", "context")
    assert await works.disk(record, "/list") == {"/list": left}


MISTAKES = {
    "no secret": (
        "RUN --mount=type=secret,id=missing,required true",
        "line 2: RUN: the secret missing is required: No secret",
    ),
    "no stage": ("RUN --mount=target=/c,from=127.0.0.1:1/x true", "line 2: .*127.0.0.1:1/x"),
    "nothing in the stage": (
        "FROM y\nRUN --mount=target=/c,from=0,source=/none true",
        "line 3: .*/none, which is to be mounted",
    ),
    "nothing in the context": (
        "RUN --mount=target=/c,source=none true",
        "line 2: .*nothing in the build context is called 'none'",
    ),
    "ignored": ("RUN --mount=target=/c,source=secret true", "nothing in the build context is called 'secret'"),
    "a folder over a file": (
        "RUN touch /c\nRUN --mount=target=/c true",
        "line 3: .*nothing can be mounted at /c: Not a directory",
    ),
    "below a file": (
        "RUN touch /c\nRUN --mount=type=tmpfs,target=/c/d true",
        "line 3: .*nothing can be mounted at /c/d: Not",
    ),
    "a link to nothing": (
        "RUN ln -s /none /c\nRUN --mount=type=tmpfs,target=/c true",
        "line 3: .*nothing can be mounted at /c: File",
    ),
    "a file of the cache": (
        "RUN --mount=type=cache,target=/c,from=127.0.0.1:1/x true",
        "127.0.0.1:1/x",
    ),
}


@pytest.mark.parametrize("case", MISTAKES)
async def test_what_cannot_be_mounted_is_said_with_its_line(works: Yard, case: str) -> None:
    lines, said = MISTAKES[case]
    try:
        log = await works.log(await works.build(f"FROM x\n{lines}", "context"))
    except InvalidError as error:
        log = str(error)
    assert re.search(said, log), log
    assert works.isolation.sandboxes() == frozenset()


def files_with(text: bytes, folder: Path) -> list[Path]:
    return [
        path for path in folder.rglob("*") if path.is_file() and not path.is_symlink() and text in path.read_bytes()
    ]


async def test_a_secret_is_nowhere_after_its_step(works: Yard, tmp_path: Path) -> None:
    record = await works.build(
        'FROM x\nRUN --mount=type=secret,id=zebra,env=T echo "it is $T"\n'
        "RUN --mount=type=secret,id=zebra cat /run/secrets/zebra && cp /run/secrets/zebra /dev/shm/\n"
        "RUN --mount=type=secret,id=zebra,target=/etc/token true\n"
        "RUN grep -rs 'value of' /run /etc/token /dev/shm /root; env | grep 'value of'; [ ! -e /etc/token ]",
    )
    log = await works.log(record)
    assert record.status == "build_complete", log
    assert "it is ***" in log
    assert "value of" not in log.replace("grep -rs 'value of'", "").replace("grep 'value of'", "")
    assert files_with(b"value of zebra", tmp_path) == []


async def test_each_line_of_a_secret_is_hidden(works: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
    async def lines(wanted: Mapping[str, str]) -> dict[str, str]:
        return dict.fromkeys(wanted, "-----BEGIN\n  first line\n{\nlast-line\n")

    preparation = works.blueprints.preparation
    monkeypatch.setattr(preparation, "_sources", replace(preparation._sources, secrets=lines))
    log = await works.log(await works.build("FROM x\nRUN --mount=type=secret,id=s cat /run/secrets/s; echo {"))
    assert log.split("\n")[3:] == ["***", "  ***", "{", "***", "{", "Blueprint test is built."]


async def test_steps_with_mounts_are_cached_by_what_is_mounted_and_not_by_secrets_or_caches(
    works: Yard, tmp_path: Path
) -> None:
    async def cached(mount: str) -> bool:
        dockerfile = f"FROM x AS one\nARG V\nRUN echo $V > /f\nFROM y\nRUN --mount={mount} true"
        return (await works.log(await works.build(dockerfile, "context", **options))).split("\n")[-2] == "cached"

    mounts = ["target=/c,source=a.txt", "target=/c,source=d", "target=/c,from=one", "type=cache,target=/c"]
    mounts += ["type=secret,id=s", "type=secret,id=s,env=T"]
    options: BuildOptions = {}
    assert [await cached(mount) for mount in mounts] == [False] * 6
    assert [await cached(mount) for mount in mounts] == [True] * 6
    tar(tmp_path / "context", {**CONTEXT, "./a.txt": "changed"})
    options = {"secrets": {}}
    assert [await cached(mount) for mount in mounts] == [False, True, True, True, True, True]
    options = {"build_args": {"V": "1"}}
    assert [await cached(mount) for mount in mounts] == [True, True, False, True, True, True]


async def test_caches_outlive_the_service_and_go_when_they_are_pruned(tmp_path: Path) -> None:
    text = "FROM x\nRUN --mount=type=cache,target=/c echo {0} >> /c/f; head -c 1000000 /dev/zero > /c/big; cat /c/f"
    async with yard(tmp_path) as works:
        if works.isolation.name != "namespaces":
            pytest.fail("this test needs namespaces")
        await works.build(text.format("first"))
        assert 1_000_000 < works.cache.total() < 1_500_000
    async with yard(tmp_path) as works:
        await works.cache.restore()
        assert works.cache.total() > 1_000_000
        assert "first\nsecond" in await works.log(await works.build(text.format("second")))
        assert any(item.id.endswith("-0") for item in works.cache.items())
        await forget_all(works)
        assert works.cache.total() == 0
        assert works.isolation.caches is not None
        assert works.isolation.caches.used() == {}
        assert "second\nthird" not in (log := await works.log(await works.build(text.format("third"))))
        assert "third" in log


async def test_what_a_cache_grows_by_is_the_builds_disk(works: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runloop_local.engine.build.preparation.BUILD", SMALL)
    monkeypatch.setattr("runloop_local.engine.devbox.limits.DEFAULT", SMALL)
    write = "RUN --mount=type=cache,target=/c head -c {}M /dev/zero > /c/{}"
    record = await works.build(f"FROM x\n{write.format(700, 'a')}\n{write.format(700, 'b')}\nRUN true")
    assert (record.status, record.failure_reason) == ("failed", "out_of_disk")
    record = await works.build(f"FROM x\n{write.format(1, 'c')}")
    assert record.status == "build_complete", await works.log(record)


async def test_a_step_that_cannot_share_waits_until_the_other_has_ended(works: Yard) -> None:
    def dockerfile(number: int) -> str:
        mark = f"[ ! -e /c/busy ] && touch /c/busy && sleep 0.{number}1 && rm /c/busy"
        return f"FROM x\nRUN --mount=type=cache,target=/c,sharing=locked {mark}"

    records = await asyncio.gather(*(works.build(dockerfile(number)) for number in range(3)))
    assert [record.status for record in records] == ["build_complete"] * 3


SHARINGS = [
    # what one has, what another wants, whether it gets: the same, another, or has to wait
    ("shared", "shared", "same"),
    ("shared", "private", "other"),
    ("shared", "locked", "waits"),
    ("private", "shared", "other"),
    ("private", "private", "other"),
    ("private", "locked", "waits"),
    ("locked", "shared", "other"),
    ("locked", "private", "other"),
    ("locked", "locked", "waits"),
]


@pytest.fixture
async def isolation(tmp_path: Path) -> AsyncIterator[Isolation]:
    opened = await open_isolation(tmp_path / "sandboxes", "auto")
    yield opened
    await opened.aclose()


@pytest.mark.parametrize(("has", "wants", "gets"), SHARINGS)
async def test_who_shares_a_cache(isolation: Isolation, has: str, wants: str, gets: str) -> None:
    caches, waiting = CacheMounts(isolation.caches, lambda: None), asyncio.Event()

    async def another() -> str:
        async with caches.use("id", wants, waiting.set) as name:  # type: ignore[arg-type] # one of the three
            return name

    async with caches.use("id", has, lambda: None) as first:  # type: ignore[arg-type] # as above
        assert all(item.id != first for item in caches.items())
        second = asyncio.create_task(another())
        await until(lambda: second.done() or waiting.is_set(), "the second")
        assert ("waits" if not second.done() else "same" if second.result() == first else "other") == gets
    if gets == "waits":
        assert await second == first


PLAIN = {
    "cache": ("--mount=type=cache,target=/c true", "--mount has no effect"),
    "memory": ("--mount=type=tmpfs,target=/c true", "--mount has no effect"),
    "a variable": ('--mount=type=secret,id=s,env=T [ "$T" = "value of s" ] && echo same', "same"),
    "a file": ("--mount=type=secret,id=s true", "line 2: .*nothing can be mounted for them"),
    "a bind": ("--mount=target=/c true", "line 2: .*nothing can be mounted for them"),
}


@pytest.mark.parametrize("case", PLAIN)
async def test_plain_processes_have_what_only_makes_a_build_faster_left_out(tmp_path: Path, case: str) -> None:
    step, said = PLAIN[case]
    tar(tmp_path / "context", CONTEXT)
    async with yard(tmp_path, "process") as works:
        assert re.search(said, await works.log(await works.build(f"FROM x\nRUN {step}", "context")))
