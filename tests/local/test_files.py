"""Files in and out of a devbox."""

import asyncio
import hashlib
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from runloop_local.engine.devbox import files
from tests.local.api import Api, connect
from tests.local.serving import Service, serving
from tests.waiting import until


async def write(api: Api, devbox: str, path: str, contents: str, status: int = 200) -> Any:
    body = {"file_path": path, "contents": contents}
    return await api.json(f"/v1/devboxes/{devbox}/write_file_contents", body, status=status)


async def read(api: Api, devbox: str, path: str) -> httpx.Response:
    return await api.post(f"/v1/devboxes/{devbox}/read_file_contents", json={"file_path": path})


async def download(api: Api, devbox: str, path: str) -> httpx.Response:
    return await api.post(f"/v1/devboxes/{devbox}/download_file", json={"path": path})


async def until_no_cat(api: Api, devbox: str) -> None:
    """Wait until the program that read a file for somebody has ended."""

    async def is_gone() -> bool:
        return bool((await api.execute(devbox, "pgrep -x cat")).get("exit_status") == 1)

    await until(is_gone, "the end of the program that reads")


async def upload(api: Api, devbox: str, path: str, data: bytes) -> httpx.Response:
    url = f"/v1/devboxes/{devbox}/upload_file"
    return await api.post(url, data={"path": path}, files={"file": ("name", data)})


@pytest.mark.parametrize(
    "path",
    ["plain.txt", "new/deep/er.txt", "~/tilde.txt", "/home/user/abs.txt", "with space ü.txt", "-rf"],
)
async def test_write_and_read(api: Api, devbox: str, path: str) -> None:
    written = await write(api, devbox, path, "héllo\nwörld")
    assert (written["exit_status"], written["devbox_id"]) == (0, devbox)
    answer = await read(api, devbox, path)
    assert answer.headers["content-type"].startswith("text/plain")
    assert answer.text == "héllo\nwörld"
    assert (await download(api, devbox, path)).content == "héllo\nwörld".encode()


async def test_an_empty_file(api: Api, devbox: str) -> None:
    await write(api, devbox, "empty", "")
    answer = await download(api, devbox, "empty")
    assert (answer.status_code, answer.content) == (200, b"")


@pytest.mark.parametrize(
    ("path", "status", "said"),
    [
        ("missing", 404, "No file 'missing'"),
        ("folder", 400, "'folder' is a folder"),
        ("secret", 400, "permission denied"),
        ("", 400, "empty"),
        ("dangling", 404, "No file 'dangling'"),
    ],
)
async def test_what_cannot_be_read_says_why(
    api: Api, service: Service, devbox: str, path: str, status: int, said: str
) -> None:
    if path == "secret" and service.isolation == "landlock":
        path = "/etc/shadow"  # its user may be the real root, whom only Landlock keeps out
    await api.execute(devbox, "mkdir -p folder; ln -sf nowhere dangling; touch secret; chmod 0 secret")
    for answer in (await read(api, devbox, path), await download(api, devbox, path)):
        assert answer.status_code == status
        assert said in answer.json()["message"]


@pytest.mark.parametrize(
    ("path", "said"), [("folder", "is a folder"), ("/proc/nope/x", "/proc/nope/x"), ("file/x", "")]
)
async def test_what_cannot_be_written_says_why(api: Api, devbox: str, path: str, said: str) -> None:
    await api.execute(devbox, "mkdir -p folder; touch file")
    error = await write(api, devbox, path, "x", status=400)
    assert said in error["message"]
    answer = await upload(api, devbox, path, b"x" * 3_000_000)
    assert answer.status_code == 400
    assert said in answer.json()["message"]


async def test_large_bytes_survive_up_and_down(api: Api, devbox: str) -> None:
    data = bytes(range(256)) * 80_000
    assert (await upload(api, devbox, "big/file.bin", data)).json() == {}
    assert (await download(api, devbox, "big/file.bin")).content == data
    result = await api.execute(devbox, "sha256sum < big/file.bin")
    assert result["stdout"].split()[0] == hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize("order", ["path first", "file first"])
async def test_parts_may_come_in_any_order(api: Api, devbox: str, order: str) -> None:
    data = bytes(range(256)) * 20_000
    parts = [("path", (None, b"some file")), ("file", ("f", data))]
    files = parts if order == "path first" else parts[::-1]
    answer = await api.post(f"/v1/devboxes/{devbox}/upload_file", files=files)
    assert answer.status_code == 200
    assert (await download(api, devbox, "some file")).content == data


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"", "multipart/form-data; boundary=x"),
        (b"{}", "application/json"),
        (b"--x\r\nContent-Disposition: form-data; name=path\r\n\r\na\r\n--x--\r\n", "multipart/form-data; boundary=x"),
        (b"garbage", "multipart/form-data; boundary=x"),
    ],
    ids=["empty", "json", "no file", "garbage"],
)
async def test_an_upload_without_its_parts_is_a_400(api: Api, devbox: str, content: bytes, kind: str) -> None:
    url = f"/v1/devboxes/{devbox}/upload_file"
    answer = await api.post(url, content=content, headers={"content-type": kind})
    assert answer.status_code == 400


@pytest.mark.parametrize("before", ["cat whole", "! ls whole"], ids=["a file", "none"])
async def test_a_cut_upload_leaves_what_was_there(api: Api, devbox: str, before: str) -> None:
    if before == "cat whole":
        await write(api, devbox, "whole", "as it was")

    async def cut() -> AsyncIterator[bytes]:
        yield b'--x\r\nContent-Disposition: form-data; name="path"\r\n\r\nwhole\r\n--x\r\n'
        yield b'Content-Disposition: form-data; name="file"; filename="f"\r\n\r\n' + b"a" * 100_000
        raise ConnectionError

    kind = {"content-type": "multipart/form-data; boundary=x"}
    with pytest.raises(ConnectionError):
        await api.post(f"/v1/devboxes/{devbox}/upload_file", content=cut(), headers=kind)
    await until_no_cat(api, devbox)

    async def nothing_is_left() -> bool:
        return bool((await api.execute(devbox, "ls -A | grep part")).get("exit_status") == 1)

    await until(nothing_is_left, "the part that came to be removed")
    after = await api.execute(devbox, before)
    assert after["stdout"] == ("as it was" if before == "cat whole" else "")


class Deaf:
    """A program that hears only after some signals, or never."""

    def __init__(self, hears: int) -> None:
        self.signals: list[int] = []
        self._hears = hears
        self._ended = asyncio.Event()

    async def signal(self, number: int, *, group: bool) -> None:
        self.signals.append(number)
        if group and len(self.signals) >= self._hears:
            self._ended.set()

    async def wait(self) -> int:
        await self._ended.wait()
        return 143


@pytest.mark.parametrize(
    ("hears", "more"), [(1, []), (2, [signal.SIGTERM]), (99, [*[signal.SIGTERM] * 9, signal.SIGKILL])]
)
async def test_a_program_that_did_not_hear_is_told_to_end_again(
    hears: int, more: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "_BETWEEN", 0.01)
    deaf: Any = Deaf(hears)
    await files._Program("whole", deaf, files._Complaints()).kill()
    assert deaf.signals == [signal.SIGTERM, *more]


async def test_a_file_that_is_written_again_keeps_its_mode_and_its_links(api: Api, devbox: str) -> None:
    await api.execute(devbox, "echo old > script; chmod 751 script; ln -s script called; mkfifo pipe; cat pipe > got &")
    await write(api, devbox, "called", "new")
    await write(api, devbox, "pipe", "through")
    result = await api.execute(devbox, "wait; stat -c '%a %F' script called; cat script got; ls -A | grep part")
    assert result["stdout"] == "751 regular file\n777 symbolic link\nnewthrough"


async def test_a_file_in_a_folder_of_somebody_else_can_be_written(api: Api, devbox: str) -> None:
    await api.execute(devbox, "mkdir closed; echo old > closed/f; chmod 555 closed")
    await write(api, devbox, "closed/f", "new")
    assert (await api.execute(devbox, "cat closed/f"))["stdout"] == "new"


async def test_a_download_that_is_left_ends_its_program(api: Api, devbox: str) -> None:
    url = f"/v1/devboxes/{devbox}/download_file"
    async with api.stream("POST", url, json={"path": "/dev/zero"}) as answer:
        async for _ in answer.aiter_raw(1000):
            break
    await until_no_cat(api, devbox)


MB = 1 << 20


async def test_a_file_is_read_as_text_up_to_100_mb(api: Api, devbox: str) -> None:
    await api.execute(devbox, f"truncate -s {100 * MB} most; truncate -s {100 * MB + 1} more; truncate -s 1T huge")
    assert (await read(api, devbox, "most")).content == bytes(100 * MB)
    for path in ("more", "huge"):
        answer = await read(api, devbox, path)
        assert (answer.status_code, answer.json()["error"]) == (413, "too_large")
        assert "download it" in answer.json()["message"]


@pytest.mark.parametrize("case", ["no end", "it ends meanwhile"])
async def test_a_reply_that_fails_on_its_way_is_not_taken_for_whole(tmp_path: Path, case: str) -> None:
    """The client sees that it is not whole, the program ends, and the log has nothing to say."""
    got = 0
    with serving(tmp_path / "data") as service:
        async with connect(service) as api:
            devbox = await api.create()
            operation, body = {
                "no end": ("read_file_contents", {"file_path": "/dev/zero"}),
                "it ends meanwhile": ("download_file", {"path": "/dev/zero"}),
            }[case]
            with pytest.raises(httpx.RemoteProtocolError, match="incomplete"):  # noqa: PT012 -- the last piece raises
                async with api.stream("POST", f"/v1/devboxes/{devbox}/{operation}", json=body) as answer:
                    async for piece in answer.aiter_raw():
                        got += len(piece)
                        if case == "it ends meanwhile" and got > MB:
                            await api.execute(devbox, "pkill -9 -x cat")
            if case == "no end":
                assert 99 * MB < got <= 100 * MB
            await until_no_cat(api, devbox)
    assert (tmp_path / "data.log").read_text() == ""


async def test_a_symbolic_link_is_followed_inside_the_devbox(api: Api, devbox: str) -> None:
    await api.execute(devbox, "mkdir real; ln -s real link")
    await write(api, devbox, "link/f", "through")
    assert (await api.execute(devbox, "cat real/f"))["stdout"] == "through"


async def test_files_of_a_suspended_devbox_are_a_400(api: Api, devbox: str) -> None:
    await api.json(f"/v1/devboxes/{devbox}/suspend", {})
    await api.wait(devbox, "suspended")
    assert "suspended" in (await read(api, devbox, "x")).json()["message"]


@pytest.mark.parametrize(
    ("path", "make", "status", "word"),
    [
        ("shut/file", "mkdir shut; echo x > shut/file; chmod 000 shut", 400, "permission denied"),
        ("shut2/none", "mkdir shut2; chmod 000 shut2", 400, "permission denied"),
        ("secret", "echo x > secret; chmod 000 secret", 400, "permission denied"),
        ("to-secret", "mkdir deep; echo x > deep/f; ln -s deep/f to-secret; chmod 000 deep", 400, "permission denied"),
        ("loop", "ln -s loop loop", 400, "Too many levels of symbolic links"),
        ("dangling", "ln -s nowhere dangling", 404, "No file"),
        ("none", "true", 404, "No file"),
        ("file/below", "echo x > file", 404, "No file"),
        ("folder", "mkdir folder", 400, "is a folder"),
        ("n" * 300, "true", 400, "File name too long"),
    ],
    ids=lambda value: value[:20] if isinstance(value, str) else None,
)
async def test_what_cannot_be_read_says_why_by_name(
    api: Api, devbox: str, path: str, make: str, status: int, word: str
) -> None:
    await api.execute(devbox, make)
    for answer in (await read(api, devbox, path), await download(api, devbox, path)):
        assert answer.status_code == status, answer.text
        assert word in answer.json()["message"]
        assert path[:200] in answer.json()["message"]


@pytest.mark.parametrize(
    ("path", "make"),
    [
        ("closed/file", "mkdir closed; chmod 000 closed"),
        ("closed2/new/file", "mkdir closed2; chmod 555 closed2; true"),
        ("locked", "echo x > locked; chmod 000 locked"),
    ],
)
async def test_what_cannot_be_written_says_why_by_name(api: Api, devbox: str, path: str, make: str) -> None:
    await api.execute(devbox, make)
    body = {"file_path": path, "contents": "x"}
    told = await api.json(f"/v1/devboxes/{devbox}/write_file_contents", body, status=400)
    assert "permission denied" in told["message"]
    assert path in told["message"]
    assert (await upload(api, devbox, path, b"x")).status_code == 400
