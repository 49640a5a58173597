"""Gives a command its input and takes its output, until that ends."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING

from .dialogue import Dialogue

if TYPE_CHECKING:
    from runloop_sdk import AsyncExecution

    from .command_output import CommandOutput
    from .command_spec import CommandSpec
    from .remote_command import RemoteCommand
    from .sink import Sink

_STDIN_PIECE = 64 * 1024  # characters


async def communicate(command: RemoteCommand, spec: CommandSpec, output: CommandOutput, sink: Sink) -> None:
    """Stream the output to `sink` and give the input that the spec has, until the output ends."""
    execution = command.execution
    assert execution is not None
    if spec.stdin is None and not spec.interactive:
        return await _stream(execution, output, sink)
    dialogue = Dialogue(sink, execution, command.devbox.short, lambda: output.hides_input) if spec.interactive else None
    streaming = asyncio.create_task(_stream(execution, output, dialogue or sink))
    giving = asyncio.create_task(dialogue.answer() if dialogue else _feed(execution, spec.stdin or ""))
    # Both at once: a command that prints before it has read all its input would else wait for a reader, and its writer
    # here for it. Only the end of the output is the end; input that is left over then is nobody's.
    try:
        await asyncio.wait((streaming, giving), return_when=asyncio.FIRST_COMPLETED)
        if not streaming.done():
            giving.result()  # it raises what kept the command from its input
        await streaming
    finally:
        streaming.cancel()
        giving.cancel()
        await asyncio.gather(streaming, giving, return_exceptions=True)


async def _stream(execution: AsyncExecution, output: CommandOutput, sink: Sink) -> None:
    async with aclosing(execution.output()) as chunks:
        async for chunk in chunks:
            output.take(chunk.stream, chunk.text, sink)
    output.end(sink)


async def _feed(execution: AsyncExecution, text: str) -> None:
    for start in range(0, len(text), _STDIN_PIECE):
        if not (await execution.send_stdin(text[start : start + _STDIN_PIECE])).success:
            return  # the command ended, or closed its input
    await execution.close_std_in()
