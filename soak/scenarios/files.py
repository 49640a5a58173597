"""Scenarios with files of a devbox and storage objects: uploads and downloads."""

from __future__ import annotations

import asyncio
import hashlib
import random
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from soak.findings import expect

from .context import same

if TYPE_CHECKING:
    from .context import Context, Scenario


async def text_is_kept(ctx: Context) -> None:
    """Write, read and overwrite a text."""
    path = ctx.file()
    for _ in range(ctx.chance.randint(1, 3)):
        text = ctx.text(ctx.size())
        await ctx.devbox.file.write(file_path=path, contents=text)
        same(await ctx.devbox.file.read(file_path=path), text, "a file's text")


async def bytes_are_kept(ctx: Context) -> None:
    """Upload bytes, hash them inside, and download them whole and as a stream."""
    path, data = ctx.file(), ctx.chance.randbytes(ctx.size())
    await ctx.devbox.file.upload(path=path, file=data)
    with ctx.once(f"sha256sum < {path}") as command:
        result = await ctx.devbox.cmd.exec(command)
    same((await result.stdout()).split(" ")[0], hashlib.sha256(data).hexdigest(), "the sum of an uploaded file")
    same(await ctx.devbox.file.download(path=path), data, "a downloaded file")
    async with ctx.devbox.file.stream(path=path) as pieces:
        same(b"".join([piece async for piece in pieces]), data, "a file downloaded as a stream")


async def folders_are_kept(ctx: Context) -> None:
    """Upload and download a folder."""
    path = ctx.file()
    with tempfile.TemporaryDirectory(prefix="soak-") as folder:
        here, back = Path(folder, "here"), Path(folder, "back")
        await asyncio.to_thread(_fill, here, ctx.chance, ctx.largest // 8)
        await ctx.devbox.file.upload_dir(here, path)
        await ctx.devbox.file.download_dir(path, back)
        wanted, got = await asyncio.to_thread(_content, here), await asyncio.to_thread(_content, back)
    expect(got == wanted, "wrong bytes", f"a folder came back with {sorted(got)} instead of {sorted(wanted)}")


async def files_are_arranged(ctx: Context) -> None:
    """List, move and remove files."""
    folder = ctx.file()
    names = sorted({f"n{ctx.chance.randrange(100)} ü'" for _ in range(ctx.chance.randint(1, 4))})
    await ctx.devbox.file.mkdir(folder)
    for name in names:
        await ctx.devbox.file.write(file_path=f"{folder}/{name}", contents=name)
    listed = await ctx.devbox.file.list(folder)
    expect([info.name for info in listed] == names, "losses", f"a folder lists {listed} instead of {names}")
    await ctx.devbox.file.move(f"{folder}/{names[0]}", f"{folder}/moved")
    info = await ctx.devbox.file.stat(f"{folder}/moved")
    expect(info.size == len(names[0].encode()), "wrong bytes", f"a moved file has {info.size} bytes")
    await ctx.devbox.file.remove(folder, recursive=True)


async def objects_are_kept(ctx: Context) -> None:
    """Upload, list, download and delete a storage object."""
    data, name = ctx.chance.randbytes(ctx.size()), ctx.new_name("object")
    made = await ctx.sdk.storage_object.upload_from_bytes(data, name, content_type="binary", metadata={"of": ctx.name})
    view = await made.refresh()
    expect((view.state, view.name) == ("READ_ONLY", name), "losses", f"an uploaded object is {view!r}")
    same(await made.download_as_bytes(), data, "an object")
    found = await ctx.sdk.storage_object.list(search=name)
    expect([one.id for one in found] == [made.id], "double runs", f"{name} is listed {len(found)} times")
    await made.delete()
    state = (await made.refresh()).state
    expect(state == "DELETED", "other", f"a deleted object is {state}")


async def objects_are_streamed(ctx: Context) -> None:
    """Stream an object up and down."""
    pieces = [ctx.chance.randbytes(ctx.chance.randint(0, 9000)) for _ in range(ctx.chance.randint(0, 20))]
    made = await ctx.sdk.storage_object.create(name=ctx.new_name("object"), content_type="unspecified")
    await made.upload_content(pieces)
    await made.complete()
    async with made.stream() as found:
        same(b"".join([piece async for piece in found]), b"".join(pieces), "a streamed object")
    await made.delete()


def _fill(folder: Path, chance: random.Random, largest: int) -> None:
    folder.mkdir()
    for number in range(chance.randint(0, 8)):
        file = folder / f"d{number % 3}" / f"ü {number}"
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(chance.randbytes(chance.randrange(1 + largest)))


def _content(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


SCENARIOS: dict[Scenario, int] = {
    text_is_kept: 2,
    bytes_are_kept: 3,
    folders_are_kept: 1,
    files_are_arranged: 1,
    objects_are_kept: 2,
    objects_are_streamed: 1,
}
