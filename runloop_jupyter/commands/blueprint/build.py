"""`%runloop blueprint build` and `%%runloop blueprint build`."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from ...errors import UsageError
from ...operations.builds import delete, excerpt, failing_line, failure, follow, renumbered, start_build, step_of
from ...operations.transfers import here, upload_object
from ...rendering import Done
from ...resources.api_limits import SIZES
from ...resources.kind import label
from ...resources.kinds.network_policy import POLICY
from ...text.durations import spell_duration
from ...text.json_values import RequestParams
from ...text.quoting import as_word, reference
from ..argument_types import assignment, pair, size
from ..invocation import InvocationOptions
from ..option_groups import MetadataOption, TemplateOption, add_metadata_option, add_template_option
from ..parser import Parser

if TYPE_CHECKING:
    from runloop_sdk import AsyncBlueprint, AsyncRunloopSDK
    from runloop_sdk.models.blueprints import BlueprintView

    from ...output.cell_output import CellOutput
    from ...session import Session

_LONGEST_BUILD = timedelta(days=1)


class Options(InvocationOptions, MetadataOption, TemplateOption):
    """The options of `%runloop blueprint build`."""

    name: str
    file: str | None
    context: str | None
    base: str | None
    run: Sequence[str]
    build_arg: Sequence[tuple[str, str]]
    secret: Sequence[tuple[str, str]]
    policy: str | None
    size: str | None


def parser() -> Parser[Options]:
    """The parser of `%runloop blueprint build`."""
    made = Parser(
        Options,
        "%runloop blueprint build",
        "Build a blueprint; the cell below %%runloop blueprint build NAME is its Dockerfile.",
        "The log of the build streams in. Stop ends the build and deletes what there is of it.",
    )
    made.shows_progress = True
    made.cell, made.cell_language = "the Dockerfile", "Dockerfile"
    made.add_name("blueprint", "name", metavar="NAME", help="what to call it; the latest of a name is what counts")
    made.add_name("local path", "--file", metavar="FILE", help="the Dockerfile, instead of the cell")
    made.add_name("local path", "--context", metavar="DIR", help="the folder that COPY and ADD take files from")
    made.add_name("blueprint", "--base", metavar="NAME|ID", help="the blueprint to build on, instead of FROM")
    made.add_argument(
        "--run", metavar="COMMAND", action="append", default=[], help="a command to run after the Dockerfile"
    )
    made.add_argument("--build-arg", metavar="K=V", action="append", default=[], type=assignment, help="for ARG")
    made.add_argument(
        "--secret", metavar="VARIABLE=NAME", action="append", default=[], type=pair, help="a secret for the build"
    )
    made.add_name("policy", "--policy", metavar="NAME|ID", help="the network policy in force during the build")
    made.add_argument("--size", choices=SIZES, type=size, metavar="SIZE", help="for devboxes that start from it")
    add_metadata_option(made)
    add_template_option(made, "off")
    return made.explain(
        (
            "the cell is the Dockerfile",
            (
                "%%runloop blueprint build science\n"
                "FROM ubuntu:24.04\n"
                "RUN apt-get update && apt-get install -y python3-pip"
            ),
        ),
        (
            "a Dockerfile with its folder, for COPY",
            "%runloop blueprint build app --file Dockerfile --context . --build-arg VERSION=2",
        ),
        (
            "on another blueprint, without a Dockerfile",
            "%runloop blueprint build tools --base science --run 'pip install ruff'",
        ),
        returns="A sentence about what was done, with the fields of the blueprint: `.id`, `.name`, `.status`.",
        mistakes=[
            "A step that fails is marked, with the line of the cell or file, and what it printed last.",
            "A mistake in the Dockerfile is named with its line before anything is built.",
            "Stop ends the build and deletes what there is of it.",
            "A value of ARG is part of the blueprint: pass keys and tokens with --secret, or mount the account's: "
            "RUN --mount=type=secret,id=NAME.",
        ],
    )


async def run(session: Session, options: Options) -> Done[BlueprintView]:
    """Build the blueprint; its log streams into the cell."""
    source = _Source(options)
    started = time.monotonic()
    async with _request(session, options, source.text) as request:
        view = await _build(session, options.name, source, request)
    took = spell_duration(time.monotonic() - started)
    use = f"%devbox create --blueprint {reference(view.name, view.id)}"
    return Done(f"Built {label(view)} in {took}. Use it: {use}", view)


class _Source:
    """The Dockerfile's text, the place that it comes from, and how its lines are numbered there."""

    def __init__(self, options: Options) -> None:
        is_cell = options.invocation.is_cell
        if is_cell and options.file:
            raise UsageError("Give the Dockerfile in the cell or as --file, not both.")
        self.text = options.invocation.text if is_cell else _read(options.file) if options.file else ""
        self.where = "the cell" if is_cell else options.file or "the Dockerfile"
        self.offset = 1 if is_cell else 0  # the line with the magic is the cell's first
        if not self.text.strip() and not (options.base or options.run):
            build = f"%%runloop blueprint build {as_word(options.name)}"
            raise UsageError(
                f"There is nothing to build: write a Dockerfile below {build}, or give --file, --base or --run."
            )


def _read(name: str) -> str:
    path = here(name)
    if path.is_dir():
        raise UsageError(f"{name!r} is a folder: give a file, like {name.rstrip('/')}/Dockerfile.")
    return path.read_text()


@asynccontextmanager
async def _request(session: Session, options: Options, dockerfile: str) -> AsyncIterator[RequestParams]:
    """The request to the API; the context is a storage object that lives as long as the build, or for a day."""
    from runloop_sdk import APIConnectionError

    sdk = await session.client.sdk()
    request = {
        "name": options.name,
        "dockerfile": dockerfile,
        "build_args": dict(options.build_arg),
        "secrets": dict(options.secret),
        "system_setup_commands": options.run,
        "metadata": dict(options.metadata),
        "launch_parameters": {"resource_size_request": options.size.upper()} if options.size else {},
        "network_policy_id": (await POLICY.find(sdk, options.policy)).id if options.policy else None,
        _base_key(options.base): options.base,
    }
    given = {key: value for key, value in request.items() if value}
    if not options.context:
        yield given
        return
    context, is_needed = await _context(sdk, _folder(options.context), options.name), False
    try:
        yield {**given, "build_context": {"type": "object", "object_id": context}}
    except APIConnectionError:
        is_needed = True  # only we do not hear of the build any more
        raise
    finally:
        if not is_needed:
            await sdk.api.objects.delete(context)


def _base_key(base: str | None) -> str:
    return "base_blueprint_id" if (base or "").startswith(("bpt_", "bp_")) else "base_blueprint_name"


def _folder(name: str) -> Path:
    folder = here(name)
    if not folder.is_dir():
        raise UsageError(f"{name!r} is not a folder: --context takes the one that COPY and ADD take files from.")
    return folder


async def _context(sdk: AsyncRunloopSDK, folder: Path, name: str) -> str:
    from ...output.progress import progress

    async with progress(f"uploading {folder}") as made:
        return (await upload_object(sdk, folder, f"context of {name}.tar.gz", ttl=_LONGEST_BUILD, progress=made)).id


async def _build(session: Session, name: str, source: _Source, request: RequestParams) -> BlueprintView:
    from runloop_sdk import BadRequestError

    from ...output.cell_output import CellOutput

    sdk = await session.client.sdk()
    async with CellOutput(whole=f"%runloop blueprint logs {as_word(name)} shows all of it") as output:
        try:
            view = await start_build(session, request)
        except BadRequestError as error:
            _mark(output, source, [error.message])
            message = renumbered(f"{error.message}.", source.where, source.offset)
            raise UsageError(message[0].upper() + message[1:]) from error
        return await _watch(sdk.blueprint.from_id(view.id), name, source, output)


async def _watch(blueprint: AsyncBlueprint, name: str, source: _Source, output: CellOutput) -> BlueprintView:
    from runloop_sdk import run_undo

    messages: list[str] = []
    began = time.monotonic()

    def status() -> str:
        steps = list(filter(None, map(step_of, messages)))
        return f"building {name} {spell_duration(time.monotonic() - began)} · {steps[-1][:80] if steps else 'queued'}"

    output.status(status)
    try:
        async for line in follow(blueprint):
            messages.append(line.message)
            message = renumbered(line.message, source.where, source.offset)
            output.write("stderr" if line.level == "error" else "stdout", message + "\n")
    except asyncio.CancelledError as cancelled:
        await run_undo(delete(blueprint), cancelled)
        raise
    view = await blueprint.get_info()
    if view.status == "failed":
        line_number = _mark(output, source, messages)
        raise failure(f"{name} ({view.id})", messages, source.where, line_number, source.offset)
    return view


def _mark(output: CellOutput, source: _Source, messages: list[str]) -> int | None:
    line = failing_line(messages, source.text)
    if line is not None:
        output.write("stderr", f"\n{excerpt(source.text, line, source.offset)}\n")
    return line
