"""Scenarios with the official client."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runloop_api_client.sdk import AsyncDevbox, AsyncRunloopSDK

from .context import PRINTER, Printing, same

if TYPE_CHECKING:
    import random

    from tests.local.serving import Service

SHARE = 0.12
"""The share of cases that use the official client."""
_LARGEST = 100_000


async def one(service: Service, order: random.Random, name: str) -> None:
    """Create a devbox, run some of the scenarios on it, and shut it down."""
    async with AsyncRunloopSDK(bearer_token=service.api_key, base_url=service.base_url, max_retries=2) as sdk:
        async with await sdk.devbox.create(name=name, file_mounts={"printer.py": PRINTER}) as devbox:
            for act in order.sample((runs, hears, keeps, resumes, stores), 3):
                await act(sdk, devbox, order)


async def runs(_sdk: AsyncRunloopSDK, devbox: AsyncDevbox, order: random.Random) -> None:
    """Run a command to its end; the view has the last hundred lines."""
    code = order.choice((0, 3))
    result = await devbox.cmd.exec(f"seq 40; echo err >&2; exit {code}")
    same(await result.stdout(), "".join(f"{n}\n" for n in range(1, 41)), "stdout by the official client")
    same(await result.stderr(), "err\n", "stderr by the official client")
    same(str(result.exit_code), str(code), "the exit code by the official client")


async def hears(_sdk: AsyncRunloopSDK, devbox: AsyncDevbox, order: random.Random) -> None:
    """Follow the output of a command."""
    printing = Printing(order.getrandbits(32), order.randrange(_LARGEST), "text", "both", 0)
    heard: dict[str, list[str]] = {"stdout": [], "stderr": []}
    await devbox.cmd.exec(printing.command, stdout=heard["stdout"].append, stderr=heard["stderr"].append)
    for stream, wanted in printing.texts().items():
        same("".join(heard[stream]), wanted, f"{stream} by the official client's callbacks")


async def keeps(_sdk: AsyncRunloopSDK, devbox: AsyncDevbox, order: random.Random) -> None:
    """Write, read and download a file."""
    text, name = f"grün {order.getrandbits(64)}\n" * order.randrange(500), f"f{order.getrandbits(32)}"
    await devbox.file.write(file_path=name, contents=text)
    same(await devbox.file.read(file_path=name), text, "a text by the official client")
    same(await devbox.file.download(path=name), text.encode(), "a file by the official client")


async def resumes(_sdk: AsyncRunloopSDK, devbox: AsyncDevbox, order: random.Random) -> None:
    """Suspend, resume, snapshot and restore a devbox."""
    text = f"{order.getrandbits(64)}"
    await devbox.file.write(file_path="kept", contents=text)
    await devbox.suspend()
    await devbox.await_suspended()
    await devbox.resume()
    same(await devbox.file.read(file_path="kept"), text, "a file after a resume by the official client")
    snapshot = await devbox.snapshot_disk(name=text)
    async with await snapshot.create_devbox() as restored:
        same(await restored.file.read(file_path="kept"), text, "a file of a snapshot by the official client")
    await snapshot.delete()


async def stores(sdk: AsyncRunloopSDK, _devbox: AsyncDevbox, order: random.Random) -> None:
    """Upload, download and delete an object."""
    text = f"grün {order.getrandbits(64)}"
    stored = await sdk.storage_object.upload_from_text(text, name=f"o{order.getrandbits(32)}")
    same(await stored.download_as_text(), text, "an object by the official client")
    await stored.delete()
