"""The life of a devbox: create, suspend, resume, shut down, keep alive."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable
from typing import TYPE_CHECKING

from ..resources.devboxes import describe, unavailable
from ..settings import Settings
from ..text.json_values import RequestParams
from .observer import UNOBSERVED, Observer

if TYPE_CHECKING:
    from runloop_sdk import AsyncDevbox, AsyncRunloopSDK
    from runloop_sdk.models.devboxes import DevboxView

    from ..resources.devboxes import DevboxInfo
    from ..session import Session

_AT_ONCE = 16  # devboxes that are shut down together


async def handle_of(session: Session, devbox: DevboxInfo) -> AsyncDevbox:
    """Return the SDK's handle on a devbox. Raises `DevboxUnavailableError`, with the reason, for one that has ended."""
    sdk = await session.client.sdk()
    error = None if devbox.alive else unavailable(devbox)
    if error is not None:
        raise error
    return sdk.devbox.from_id(devbox.id)


async def create(
    session: Session,
    parameters: RequestParams,
    *,
    keep_alive: float | None = None,
    keep: bool | None = None,
    use: bool = True,
    observer: Observer = UNOBSERVED,
) -> DevboxInfo:
    """Create a devbox and wait until it runs; with `use` it becomes the current one. Cancelled, it is shut down again.

    `keep_alive` is in seconds. What is not given is as the user has set it.
    """
    from runloop_sdk import NotFoundError

    sdk, connection = await session.client.sdk(), session.client.connection
    assert connection is not None
    request = _with_settings(parameters, session.settings)
    creating = session.own(sdk.api.devboxes.create, request, connection, keep=keep, keep_alive=keep_alive)
    try:
        created = await _until_running(session, sdk, creating, observer)
    except NotFoundError:
        await _check_blueprint(sdk, request)
        raise
    if use:
        session.choose(created)
    return created


async def _check_blueprint(sdk: AsyncRunloopSDK, request: RequestParams) -> None:
    """Raise `UsageError`, with a name that is near, if there is no blueprint that the request names."""
    wanted = request.get("blueprint_name") or request.get("blueprint_id")
    if wanted is None:
        return
    from ..resources.kinds.blueprint import BLUEPRINT  # all kinds and their forms: not for a first command

    known = await BLUEPRINT.all(sdk)
    if not any(wanted in (blueprint.id, blueprint.name) for blueprint in known):
        raise BLUEPRINT.unknown(wanted, known)


async def _until_running(
    session: Session, sdk: AsyncRunloopSDK, creating: Coroutine[object, None, DevboxView], observer: Observer
) -> DevboxInfo:
    """Return the devbox that `creating` makes once it runs; where the wait is cancelled, shut it down."""
    from runloop_sdk import UnexpectedStateError, complete_or_undo, run_undo

    async def shut_down(view: DevboxView) -> None:
        await sdk.devbox.from_id(view.id).shutdown()
        session.ended(describe(view))

    view = await complete_or_undo(creating, shut_down)
    observer.changed(view)
    handle = sdk.devbox.from_id(view.id)
    try:
        async with observer.waiting(lambda: _status(handle)):
            view = await handle.await_running()
    except asyncio.CancelledError as cancelled:
        await run_undo(shut_down(view), cancelled)
        raise
    except UnexpectedStateError:
        session.ended(describe(view))
        raise
    observer.changed(view)
    return describe(view)


def _with_settings(parameters: RequestParams, settings: Settings) -> RequestParams:
    """Return the request for a devbox: `parameters`, and what the user has set for all devboxes."""
    launch = dict(parameters.get("launch_parameters", {}))
    if settings.size:
        launch.setdefault("resource_size_request", settings.size.upper())
    request = {**parameters, "launch_parameters": launch}
    if settings.blueprint and not {"blueprint_id", "blueprint_name", "snapshot_id"} & request.keys():
        request[blueprint_key(settings.blueprint)] = settings.blueprint
    return request


def blueprint_key(reference: str) -> str:
    """Return the API's parameter for a blueprint's name or id."""
    return "blueprint_id" if reference.startswith(("bpt_", "bp_")) else "blueprint_name"


async def suspend(session: Session, devbox: DevboxInfo, observer: Observer = UNOBSERVED) -> DevboxInfo:
    """Suspend a devbox and wait until that is done; one that is suspended, or will be soon, is only waited for."""
    handle = await handle_of(session, devbox)
    if devbox.status not in ("suspending", "suspended"):
        observer.changed(await observer.confirmed(handle.suspend()))
    async with observer.waiting(lambda: _status(handle)):
        view = await handle.await_suspended()
    observer.changed(view)
    return describe(view)


async def resume(
    session: Session, devbox: DevboxInfo, observer: Observer = UNOBSERVED, *, use: bool = True
) -> DevboxInfo:
    """Resume a devbox and wait until it runs; with `use` it becomes the current one.

    One that runs, or will soon, is only waited for.
    """
    handle = await handle_of(session, devbox)
    if devbox.status not in ("running", "resuming"):
        observer.changed(await observer.confirmed(handle.resume_async()))
    async with observer.waiting(lambda: _status(handle)):
        view = await handle.await_running()
    observer.changed(view)
    resumed = describe(view)
    if use:
        session.choose(resumed)
    return resumed


async def shut_down(
    session: Session, devbox: DevboxInfo, observer: Observer = UNOBSERVED, *, force: bool = False
) -> DevboxInfo:
    """End a devbox for good, also one that has failed; with `force` also while a snapshot of it is being taken."""
    handle = (await session.client.sdk()).devbox.from_id(devbox.id)
    view = await observer.confirmed(handle.shutdown(force=force or None))
    session.ended(devbox)
    observer.changed(view)
    return describe(view)


async def shut_down_all(session: Session, devboxes: Iterable[DevboxInfo], *, force: bool = False) -> list[DevboxInfo]:
    """Shut devboxes down together and return them as they are then, in the same order."""
    turns = asyncio.Semaphore(_AT_ONCE)

    async def one(devbox: DevboxInfo) -> DevboxInfo:
        async with turns:
            return await shut_down(session, devbox, force=force)

    return list(await asyncio.gather(*map(one, devboxes)))


async def keep_alive(session: Session, devbox: DevboxInfo, observer: Observer = UNOBSERVED) -> None:
    """Start a devbox's keep-alive time again."""
    await observer.confirmed((await handle_of(session, devbox)).keep_alive())
    session.owned.note_renewal(devbox.id)


async def _status(handle: AsyncDevbox) -> str:
    return str((await handle.get_info()).status)
