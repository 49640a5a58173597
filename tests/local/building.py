"""An engine's blueprints on a real isolation, with build contexts straight from this machine's disk."""

import io
import json
import re
import tarfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict, Unpack

from runloop_local.engine.build.blueprint import BlueprintRecord, BlueprintRequest
from runloop_local.engine.build.blueprints import Blueprints
from runloop_local.engine.build.cache import BuildCache
from runloop_local.engine.build.cache_mounts import CacheMounts
from runloop_local.engine.build.disk import BuildEnvironment
from runloop_local.engine.build.dockerfile import parse
from runloop_local.engine.build.log import BuildLogs
from runloop_local.engine.build.origins import STARTER
from runloop_local.engine.build.preparation import Sources
from runloop_local.engine.build.setup_script import Setup
from runloop_local.engine.devbox.files import Files
from runloop_local.engine.errors import NotFoundError
from runloop_local.engine.fair_queue import FairQueue
from runloop_local.engine.storage.idempotency import NO_REQUEST
from runloop_local.engine.storage.layers import Layers
from runloop_local.engine.storage.retention import CombinedData, RetainedData
from runloop_local.engine.storage.store import Store
from runloop_local.images.store import ImageStore
from runloop_local.sandbox import Isolation, Requested, open_isolation
from tests.waiting import until

_ON_STARTER = re.compile(r"^(FROM )(x|y|machine-\d+)\b", re.MULTILINE)
TERMINAL = ("failed", "build_complete")
Member = str | bytes | tarfile.TarInfo


def tar(path: Path, members: Mapping[str, Member], mode: str = "w") -> Path:
    """An archive: text is a file, None a folder, a TarInfo what it says."""
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload] # the mode is a caller's
        for name, member in members.items():
            if isinstance(member, tarfile.TarInfo):
                archive.addfile(member)
                continue
            info = tarfile.TarInfo(name)
            data = member.encode() if isinstance(member, str) else member
            info.size, info.mode = len(data), 0o640
            archive.addfile(info, io.BytesIO(data))
    return path


def special(name: str, kind: bytes, target: str = "") -> tarfile.TarInfo:
    """A member that is a link, a folder, a device."""
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.mode = kind, target, 0o755
    return info


class BuildOptions(TypedDict, total=False):
    setup: Setup
    build_args: Mapping[str, str]
    secrets: Mapping[str, str]


@dataclass(frozen=True)
class Yard:
    """Where a test builds."""

    blueprints: Blueprints
    isolation: Isolation
    store: Store
    cache: RetainedData
    """What steps have left."""

    async def build(
        self, dockerfile: str, context: str | None = None, **options: Unpack[BuildOptions]
    ) -> BlueprintRecord:
        """A blueprint, built or failed. In FROM, x, y and machine-1 stand for this machine's userland."""
        given: BuildOptions = {"setup": Setup(), **options}
        instructions = parse(_ON_STARTER.sub(rf"\1{STARTER}", dockerfile))
        order = BlueprintRequest("test", {}, instructions, context_id=context, **given)
        record = await self.blueprints.create(order, NO_REQUEST)

        async def ended() -> BlueprintRecord | None:
            found = await self.blueprints.get(record.id)
            return found if found.status in TERMINAL else None

        built: BlueprintRecord = await until(ended, "the end of the build")
        return built

    async def log(self, record: BlueprintRecord) -> str:
        """What a build said."""
        lines = json.loads(f"[{await self.blueprints.logs(record.id)}]")
        return "\n".join(line["message"] for line in lines)

    async def disk(self, record: BlueprintRecord, *paths: str) -> dict[str, str]:
        """Files of a built disk."""
        assert record.status == "build_complete", await self.log(record)
        sandbox = await self.isolation.create(f"look-{record.id}", layers=record.layers)
        await sandbox.start()
        try:
            found = {}
            for path in paths:
                found[path] = b"".join(
                    [chunk async for chunk in await Files(sandbox, "root", FairQueue().flow("test")).read(path)]
                ).decode()
            return found
        finally:
            await sandbox.destroy()


@asynccontextmanager
async def yard(folder: Path, requested: Requested = "auto") -> AsyncIterator[Yard]:
    """A place to build in; the ids of contexts are names of files in `folder`."""

    async def context(name: str) -> Path:
        return folder / name

    async def secrets(wanted: Mapping[str, str]) -> Mapping[str, str]:
        if "missing" in wanted.values():
            raise NotFoundError("No secret is called 'missing'.")
        return {name: f"value of {secret}" for name, secret in wanted.items()}

    isolation = await open_isolation(folder / "sandboxes", requested)
    store = Store.open(folder / "service.db")
    layers = Layers(isolation)
    cache = BuildCache(store, layers, lambda: None)
    mounts = CacheMounts(isolation.caches, lambda: None)
    environment = BuildEnvironment(isolation, store, layers, cache, FairQueue(), mounts, folder / "builds")
    image_layers = isolation.image_layers
    images = None if image_layers is None else ImageStore(folder / "images", image_layers)
    blueprints = Blueprints(environment, Sources(context, secrets, images), BuildLogs(folder / "logs"))
    await blueprints.restore()
    try:
        yield Yard(blueprints, isolation, store, CombinedData(cache, mounts))
    finally:
        await blueprints.aclose()
        await layers.aclose()
        await isolation.aclose()
        await store.aclose()
