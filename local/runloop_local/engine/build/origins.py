"""What the names in FROM, COPY --from and RUN --mount stand for, besides stages of the same Dockerfile.

In this order: `scratch`, this machine's own userland, a blueprint, an image. So a name never means another image than
the one that it is.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from ...images import ImageError, Reference
from ...sandbox.base import SCRATCH
from ..errors import InvalidError
from .base import Base
from .image import Image

if TYPE_CHECKING:
    from ...images import Image as PulledImage
    from ...images import ImageConfig
    from ...images.store import ImageStore
    from ...sandbox.base import Isolation

_OF_CLOUD = "runloop:runloop/"
STARTER = f"{_OF_CLOUD}starter-{'arm64' if os.uname().machine == 'aarch64' else 'x86_64'}"
"""This machine's own userland; in Runloop's cloud, its default image."""


class Origin(msgspec.Struct, frozen=True):
    """A disk that a Dockerfile names, and the settings that come with it."""

    base: Base = msgspec.field(default_factory=Base)
    settings: Image = msgspec.field(default_factory=Image)
    meaning: str = ""
    """What the name stands for, in words for the build's log."""
    is_bare: bool = False
    """True if the disk lacks what devboxes have."""
    failure: str | None = None
    """Why there is no such disk."""


FindBlueprint = Callable[[str], Awaitable[Origin | None]]
"""Finds the built blueprint of a name."""


class Origins:
    """Finds origins by their names."""

    def __init__(self, isolation: Isolation, images: ImageStore | None, find_blueprint: FindBlueprint) -> None:
        self._isolation = isolation
        self._images = images
        self._find_blueprint = find_blueprint

    async def find(self, name: str) -> Origin | None:
        """The origin of this name, without asking anybody outside; None for an image that is not here yet.

        Raises `InvalidError` for a name that cannot be one here.
        """
        if name.startswith(_OF_CLOUD):
            return self._userland(name)
        blueprint = await self._find_blueprint(name)
        if blueprint is not None:
            return blueprint
        if self._images is None:
            raise InvalidError(
                f"Devboxes are plain processes here, on this machine's own userland, so {name} cannot be their disk: "
                f"name {STARTER} instead, or use a machine with namespaces."
            )
        if name == "scratch":
            return Origin(Base((SCRATCH,), "scratch"), meaning="an empty disk", is_bare=True)
        found = self._images.find(_reference(name))
        return None if found is None else origin_of(found)

    async def pull(self, name: str, log: Callable[[str], None]) -> str | None:
        """Bring an image here; returns why that failed."""
        if self._images is None:
            return "devboxes are plain processes here"
        try:
            await self._images.pull(_reference(name), log)
        except ImageError as error:
            return str(error)
        return None

    def machine(self) -> Origin:
        """This machine's own userland."""
        return Origin(Base(key=machine_key(self._isolation)), meaning=f"this machine's own userland ({system()})")

    def _userland(self, name: str) -> Origin:
        if name != STARTER:
            raise InvalidError(f"{name} is an image that only Runloop's cloud has: name {STARTER} here.")
        return self.machine()


def origin_of(image: PulledImage) -> Origin:
    """The origin that an image is."""
    base = Base(tuple(reversed(image.layers)), image.digest)
    return Origin(base, settings_of(image.config), f"the image {image.reference} ({image.digest[:19]})", is_bare=True)


def settings_of(config: ImageConfig) -> Image:
    """The settings for builds and devboxes that an image brings."""
    return Image(
        env=config.env,
        # The root is what images have that set none; devboxes start in their home then.
        cwd=config.working_dir if config.working_dir.strip("/") else None,
        user=config.user or None,
        entrypoint=config.entrypoint,
        command=config.cmd,
        on_build=config.onbuild,
        shell=config.shell,
    )


def _reference(name: str) -> Reference:
    try:
        return Reference.parse(name)
    except ImageError as error:
        raise InvalidError(str(error)) from error


def machine_key(isolation: Isolation) -> str:
    """The cache key of this machine's userland, which changes with its packages."""
    # Written by each installation: a step that used a newer package must not be found under the older one's key.
    packages = Path("/var/lib/dpkg/status")
    changed = packages.stat().st_mtime_ns if packages.exists() else 0
    return f"{isolation.name} {system()} {changed}"


def system() -> str:
    """The name of this machine's system."""
    release = Path("/etc/os-release")
    lines = release.read_text().splitlines() if release.exists() else []
    names = [line.partition("=")[2].strip('"') for line in lines if line.startswith("PRETTY_NAME=")]
    return names[0] if names else os.uname().sysname
