"""Calls as a type checker sees them; `test_api_typing.py` checks this file, nothing runs it."""

from collections.abc import Sequence
from pathlib import Path
from typing import assert_type

from runloop_sdk import AsyncDevbox, AsyncExecutionResult, AsyncRunloopSDK, RunloopError
from runloop_sdk._event_stream import EventResponse
from runloop_sdk._pagination import Page
from runloop_sdk.api._client import AsyncRunloopAPI
from runloop_sdk.models import DevboxAsyncExecutionDetailView, DevboxView, ExecutionUpdateChunk, ObjectView


async def right(api: AsyncRunloopAPI) -> None:
    box = await api.devboxes.create(
        name=None, launch_parameters={"after_idle": {"idle_time_seconds": 60, "on_idle": "suspend"}}, timeout=5.0
    )
    assert_type(box, DevboxView)
    assert_type(box.metadata, dict[str, str])
    assert_type(await api.devboxes.list(status="running", limit=5), Page[DevboxView])
    async for item in api.objects.list(state="READ_ONLY"):
        assert_type(item, ObjectView)
    execution = await api.devboxes.execute(box.id, command="ls", last_n=5, idempotency_key="once")
    assert_type(execution, DevboxAsyncExecutionDetailView)
    assert_type(execution.exit_status, int | None)
    events = await api.devboxes.executions.stream_stdout_updates(execution.execution_id, devbox_id=box.id, offset=3)
    assert_type(events, EventResponse[ExecutionUpdateChunk])
    assert_type(await api.devboxes.read_file_contents(box.id, file_path="a"), str)
    assert_type(await api.devboxes.download_file(box.id, path="a"), bytes)
    async with api.devboxes.download_file_stream(box.id, path="a") as pieces:
        async for piece in pieces:
            assert_type(piece, bytes)
    await api.devboxes.upload_file(box.id, path="a", file=Path("a"))
    await api.devboxes.create(mounts=[{"type": "object_mount", "object_id": "o", "object_path": "/o"}])


async def mapped(sdk: AsyncRunloopSDK, devboxes: list[AsyncDevbox]) -> None:
    """Failures are among the results only where they are kept."""
    assert_type(await sdk.devbox.map("ls", devboxes), Sequence[AsyncExecutionResult])
    assert_type(await sdk.devbox.map("ls", devboxes, on_failure="finish"), Sequence[AsyncExecutionResult])
    kept = await sdk.devbox.map("ls", devboxes, on_failure="keep")
    assert_type(kept, Sequence[AsyncExecutionResult | RunloopError])


async def wrong(api: AsyncRunloopAPI) -> None:
    """Each ignore is an error where the checker sees nothing wrong."""
    await api.devboxes.execute("box")  # type: ignore[call-arg]  # no command
    await api.devboxes.execute("box", command=5)  # type: ignore[arg-type]  # a number
    await api.devboxes.create(nam="x")  # type: ignore[call-arg]  # a misspelt keyword
    await api.devboxes.create(launch_parameters={"keepalive": 5})  # type: ignore[arg-type]  # within
    api.devboxes.list(status="asleep")  # type: ignore[arg-type]  # no such state
    await api.devboxes.retrieve("box", idempotency_key="x")  # type: ignore[call-arg]  # it changes nothing
    await api.devboxes.upload_file("box", path="a", file="text")  # type: ignore[arg-type]  # neither bytes nor Path
