"""Images of containers, in a container: pulled, unpacked and run as on this machine itself."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from tests.container.podman import HOST, Podman, serving_in_container
from tests.local.api import connect
from tests.local.images.registry import Registry, make_image, serving
from tests.local.small_images import make_root, packed
from tests.waiting import until


async def test_devboxes_and_builds_stand_on_images(engine: Podman, tmp_path: Path) -> None:
    async with serving(Registry()) as registry:
        registry.add("small:1", make_image([packed(make_root(tmp_path / "small"))], {"Env": ["LEVEL=3"]}))
        where = f"{HOST}:{registry.host.rpartition(':')[2]}"
        options = ("--image", f"{where}/small:1", "--insecure-registries", where)
        entered = serving_in_container(engine, tmp_path / "home", *options)
        service = await asyncio.to_thread(entered.__enter__)
        try:
            async with connect(service) as api:
                devbox = await api.create()
                said = await api.execute(devbox, ". /etc/os-release; echo $PRETTY_NAME $LEVEL; sudo id -u")
                assert said["stdout"] == "Small 3\n0\n"
                dockerfile = f"FROM {where}/small:1\nRUN echo built > /etc/made\n"
                made = await api.json("/v1/blueprints", {"name": "on-small", "dockerfile": dockerfile})

                async def built() -> dict[str, Any] | None:
                    view: dict[str, Any] = await api.json(f"/v1/blueprints/{made['id']}")
                    return view if view["status"] == "build_complete" else None

                await until(built, "the blueprint")
                devbox = await api.create(blueprint_id=made["id"])
                assert (await api.execute(devbox, "cat /etc/made"))["stdout"] == "built\n"
        finally:
            await asyncio.to_thread(entered.__exit__, None, None, None)
