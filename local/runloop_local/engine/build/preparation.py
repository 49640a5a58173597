"""Looks up everything that a build needs, so that a request fails at once if something is missing."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from typing import TYPE_CHECKING

import msgspec

from ..devbox.limits import BUILD, size_of
from ..errors import InvalidError, NotFoundError
from ..ids import new_id, now_ms
from .base import Base
from .blueprint import BlueprintRecord
from .builder import BuildError, BuildRequest
from .dockerfile import error_at, parse
from .origins import Origin, Origins
from .plan import Stage, UnknownNameError, origin_name, outside_names, plan, secrets_of
from .setup_script import setup_steps

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from ...images.store import ImageStore
    from ..network.policies import EgressRules
    from .blueprint import BlueprintRequest
    from .disk import BuildEnvironment
    from .dockerfile import Instruction
    from .log import BuildLog

    ContextFile = Callable[[str], Awaitable[Path]]
    """Finds the archive of a build context by its object's id; raises `NotFoundError` or `InvalidError`."""
    SecretValues = Callable[[Mapping[str, str]], Awaitable[Mapping[str, str]]]
    """Returns the values of secrets by environment variable."""
    Built = Callable[[str | None, str | None], Awaitable[BlueprintRecord]]
    """Finds a built blueprint by its id or its name; raises `NotFoundError` or `InvalidError`."""
    FindRules = Callable[[str | None], Awaitable[EgressRules | None]]
    """Finds the rules of a network policy by its id; raises `NotFoundError` or `NotServedError`."""
    FindOrigin = Callable[[str], Awaitable[Origin]]


async def _unrestricted(_policy_id: str | None) -> EgressRules | None:
    return None


class Sources(msgspec.Struct, frozen=True):
    """The data that builds get from other parts of the service."""

    context: ContextFile
    secrets: SecretValues
    images: ImageStore | None = None
    """The images on this machine; None where devboxes cannot have one."""
    rules: FindRules = _unrestricted


class _NotHereError(Exception):
    """An image must be pulled before the build can be planned."""


class Preparation:
    """Makes builds of requests."""

    def __init__(self, environment: BuildEnvironment, sources: Sources, built: Built, default_image: str) -> None:
        self._environment = environment
        self._sources = sources
        self._built = built
        self._default_image = default_image
        self._origins = Origins(environment.isolation, sources.images, self._blueprint_named)

    async def prepare(self, request: BlueprintRequest) -> tuple[BlueprintRecord, BuildRequest | None]:
        """A new blueprint and its build; raises `EngineError` if something that they need is missing.

        There is no build yet if an image must be pulled for it first: see `pulled`.
        """
        base = await self._base(request)
        record = BlueprintRecord(
            id=new_id("bpt"),
            create_time_ms=now_ms(),
            name=request.name,
            parameters=request.parameters,
            base_blueprint_id=base.id if base else None,
        )
        try:
            return record, await self._build_request(request, base, self._here)
        except _NotHereError:
            return record, None

    async def pulled(self, request: BlueprintRequest, log: BuildLog) -> tuple[BuildRequest, ExitStack]:
        """The build, once its images are here, and its hold on the layers; raises `EngineError` or `BuildError`."""
        failures: dict[str, str] = {}

        async def here(name: str) -> Origin:
            return Origin(failure=failures[name]) if name in failures else await self._here(name)

        while True:
            try:
                # The lock spans the look-up of images and the holding of their layers: none is removed in between.
                async with self._environment.layers.choosing:
                    found = await self._build_request(request, await self._base(request), here)
                    return found, self.held(found)
            except _NotHereError as error:
                name = str(error)
                failure = await self._origins.pull(name, log.write)
                if failure is not None:
                    failures[name] = failure
            except InvalidError as error:
                # What follows an image that is not there may be wrong for that reason alone.
                if failures:
                    name, failure = next(iter(failures.items()))
                    raise BuildError(f"{name}: {failure}") from error
                raise

    def held(self, build_request: BuildRequest) -> ExitStack:
        """Holds the layers that a build starts from, from this call on until its end."""
        bases = [origin.base for origin in build_request.origins.values()]
        bases += [] if build_request.base is None else [build_request.base]
        held = ExitStack()
        held.enter_context(self._environment.layers.held([layer for base in bases for layer in base.layers]))
        return held

    async def _base(self, request: BlueprintRequest) -> BlueprintRecord | None:
        return await self._built(request.base_id, request.base_name) if request.base_id or request.base_name else None

    async def _build_request(
        self, request: BlueprintRequest, base: BlueprintRecord | None, find: FindOrigin
    ) -> BuildRequest:
        rules = await self._sources.rules(request.network_policy_id)
        instructions = request.instructions or (() if base else parse(f"FROM {self._default_image}"))
        stages, origins = await self._planned(instructions, request, base, find)
        return BuildRequest(
            self._with_setup(stages, origins, request),
            origins,
            Base(base.layers, base.key) if base else None,
            None if request.context_id is None else await self._sources.context(request.context_id),
            size_of(request.parameters.get("launch_parameters") or {}).at_least(BUILD),
            await self._sources.secrets(request.secrets),
            await self._mounted_secrets(stages, request),
            tuple(word for mount in (request.setup.code if request.setup else ()) for word in mount.hidden),
            rules,
        )

    async def _planned(
        self,
        instructions: tuple[Instruction, ...],
        request: BlueprintRequest,
        base: BlueprintRecord | None,
        find: FindOrigin,
    ) -> tuple[tuple[Stage, ...], dict[str, Origin]]:
        """The stages, and the origins that they name: each may bring variables on which the next name depends."""
        origins: dict[str, Origin] = {}
        while True:
            settings = {name: origin.settings for name, origin in origins.items()}
            try:
                stages = plan(instructions, request.build_args, settings, base.image if base else None)
            except UnknownNameError as error:
                origins[error.name] = await find(error.name)
                continue
            missing = [name for name in outside_names(stages) if name not in origins]
            if not missing:
                return stages, origins
            for name in missing:
                origins[name] = await find(name)

    async def _here(self, name: str) -> Origin:
        found = await self._origins.find(name)
        if found is None:
            raise _NotHereError(name)
        return found

    async def _mounted_secrets(self, stages: tuple[Stage, ...], request: BlueprintRequest) -> dict[str, str]:
        """The values of secrets that steps mount, by id: those mapped in the request, else those of that name."""
        found: dict[str, str] = {}
        for step, secret in secrets_of(stages):
            name = request.secrets.get(secret.id, secret.id)
            try:
                found |= await self._sources.secrets({secret.id: name})
            except NotFoundError as error:
                if secret.required:
                    sentence = f"RUN: the secret {secret.id} is required: {error} Create one, or name it in secrets."
                    raise error_at(step.line, sentence) from error
        return found

    async def _blueprint_named(self, name: str) -> Origin | None:
        """The blueprint of this name, or None; the tag `:latest` of Docker images is ignored."""
        try:
            found = await self._built(None, name.removesuffix(":latest"))
        except NotFoundError:
            return None
        return Origin(Base(found.layers, found.key), found.image, f"the blueprint {found.id}")

    def _with_setup(
        self, stages: tuple[Stage, ...], origins: Mapping[str, Origin], request: BlueprintRequest
    ) -> tuple[Stage, ...]:
        name = origin_name(stages)
        added = setup_steps(
            request.setup,
            stages[-1].stage_context,
            has_root=self._environment.has_root,
            is_bare=name is not None and origins[name].is_bare,
        )
        return (*stages[:-1], msgspec.structs.replace(stages[-1], steps=(*stages[-1].steps, *added)))
