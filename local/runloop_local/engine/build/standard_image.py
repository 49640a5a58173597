"""The disk of devboxes that name none, where the service was started with an image for them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec

from ..errors import InvalidError
from .blueprint import BlueprintRequest
from .builder import Build, BuildError
from .dockerfile import parse

if TYPE_CHECKING:
    from .disk import BuildEnvironment
    from .image import Image
    from .log import BuildLogs
    from .preparation import Preparation

_NAME = "standard-image"


class StandardDisk(msgspec.Struct, frozen=True):
    """A disk to start devboxes from, and its settings."""

    layers: tuple[str, ...]
    image: Image


class StandardImage:
    """Makes the disk when the first devbox needs it, and keeps it while the service runs."""

    def __init__(self, name: str, environment: BuildEnvironment, preparation: Preparation, logs: BuildLogs) -> None:
        self.name = name
        self._environment = environment
        self._preparation = preparation
        self._logs = logs
        self._making: asyncio.Task[StandardDisk] | None = None

    async def disk(self) -> StandardDisk:
        """The disk; raises `InvalidError` if the image cannot be had. The next call tries again then."""
        task = self._making
        if task is None or (task.done() and (task.cancelled() or task.exception() is not None)):
            task = self._making = asyncio.create_task(self._make())
        try:
            # Shared by all devboxes: one that ends meanwhile must not end what the others wait for.
            return await asyncio.shield(task)
        except BuildError as error:
            raise InvalidError(f"The standard image of devboxes cannot be used. {error}") from error

    async def aclose(self) -> None:
        """Stop pulling it."""
        if self._making is not None:
            self._making.cancel()
            await asyncio.wait({self._making})

    async def _make(self) -> StandardDisk:
        with self._logs.write(_NAME) as log:
            build_request, held = await self._preparation.pulled(
                BlueprintRequest(_NAME, {}, parse(f"FROM {self.name}")), log
            )
            build = Build(self._environment, build_request, log)
            try:
                with held:
                    base = await build.run()
                    self._environment.layers.hold(_NAME, base.layers)
            finally:
                build.close()
        return StandardDisk(base.layers, build_request.stages[-1].image())
