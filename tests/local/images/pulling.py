"""Pulls an image in a process of its own, which a test can kill: `pulling.py FOLDER REFERENCE`.

With `-` as reference it begins to unpack a layer whose end never comes.
"""

from __future__ import annotations

import asyncio
import os
import sys
from functools import partial
from pathlib import Path

from runloop_local.images import ImageError, Reference
from runloop_local.images.store import ImageStore
from runloop_local.sandbox.base import ImageLayers
from runloop_local.sandbox.namespaces import NamespacesIsolation, available_drivers
from tests.local.sandbox.archives import archive, member
from tests.waiting import until


async def main(folder: Path, reference: str) -> int:
    isolation = NamespacesIsolation(folder / "sandboxes", available_drivers()[0])
    assert isolation.image_layers is not None
    try:
        if reference == "-":
            feed = partial(feed_half, isolation.image_layers)
            await isolation.image_layers.unpack("img-stuck", feed, max_bytes=1 << 30, max_members=100)
        store = ImageStore(folder / "records", isolation.image_layers, backoff=0)
        image = await store.pull(Reference.parse(reference), say)
        say(image.digest)
    except ImageError as error:
        say(str(error))
        return 1
    finally:
        await isolation.aclose()
    return 0


def say(line: str) -> None:
    os.write(1, f"{line}\n".encode())


async def feed_half(layers: ImageLayers, target: int) -> None:
    os.write(target, archive(member("whole", b"x" * 5000), member("half", b"x" * 5000))[:8000])
    await until(layers.unfinished)
    say("waiting")
    await asyncio.Event().wait()


if __name__ == "__main__":
    sys.exit(asyncio.run(main(Path(sys.argv[1]), sys.argv[2])))
