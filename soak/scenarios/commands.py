"""Scenarios with commands: their output, their input, and their end."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from runloop_sdk import PollingConfig, PollingTimeoutError
from soak.findings import expect

from .context import STREAMS, same

if TYPE_CHECKING:
    from runloop_sdk import AsyncExecutionResult

    from .context import Context, Printing, Scenario

DIALOGUE = r"""
n=0
while IFS= read -r line; do
  n=$((n+1))
  case $line in o*) printf '%s\n' "$line" ;; *) printf '%s\n' "$line" >&2 ;; esac
done
"""
"""Answers each line before it reads the next, so that the order of both streams is known."""
_GONE_WITHIN_S = 10.0


async def runs(ctx: Context) -> None:
    """Run a command that prints to its end."""
    printing, code = ctx.printing(), ctx.chance.choice((0, 0, 1, 42, 255))
    with ctx.once(f"{printing.command}; exit {code}") as command:
        result = await ctx.devbox.cmd.exec(command)
    await _check(result, printing, code)


async def runs_with_callbacks(ctx: Context) -> None:
    """Run a command that prints, with callbacks for its output."""
    printing, heard = _live(ctx), dict[str, list[str]](stdout=[], stderr=[])
    with ctx.once(printing.command) as command:
        result = await ctx.devbox.cmd.exec(command, stdout=heard["stdout"].append, stderr=heard["stderr"].append)
    _check_heard(heard, printing)
    await _check(result, printing, 0)


async def is_iterated(ctx: Context) -> None:
    """Start a command, and iterate over its output."""
    printing, heard = _live(ctx), dict[str, list[str]](stdout=[], stderr=[])
    with ctx.once(printing.command) as command:
        execution = await ctx.devbox.cmd.exec_async(command)
        async for chunk in execution:
            heard[chunk.stream].append(chunk.text)
        result = await execution.result()
    _check_heard(heard, printing)
    await _check(result, printing, 0)
    again = [chunk.text async for chunk in ctx.devbox.execution(execution.execution_id).output(["stdout"])]
    same("".join(again), printing.texts()["stdout"], "stdout read again")


async def is_quiet(ctx: Context) -> None:
    """Run a command that prints nothing for longer than the stream's timeout."""
    with ctx.once(f"sleep {ctx.chance.choice((1, 5))}; echo spoken") as command:
        result = await ctx.devbox.cmd.exec(command, stdout=lambda _: None, stderr=lambda _: None)
    same(await result.stdout(), "spoken\n", "stdout")


async def talks(ctx: Context) -> None:
    """Send input that is answered line by line on both streams, and check the merged order."""
    lines = [
        f"{ctx.chance.choice('oe')}{n} {'ü' * ctx.chance.randrange(20)}\n" for n in range(ctx.chance.randint(1, 8))
    ]
    heard: list[tuple[str, str]] = []
    with ctx.once(DIALOGUE) as command:
        execution = await ctx.devbox.cmd.exec_async(command, attach_stdin=True)
        output = execution.output()
        for line in lines:
            await execution.send_stdin(line)
            heard.append(("", ""))
            while heard[-1][1] != line and line.startswith(heard[-1][1]):
                chunk = await anext(output)
                heard[-1] = (chunk.stream, heard[-1][1] + chunk.text)
        await execution.close_std_in()
        rest = [chunk.text async for chunk in output]
        result = await execution.result()
    wanted = [("stdout" if line.startswith("o") else "stderr", line) for line in lines]
    expect(heard == wanted and rest == [], "wrong bytes", f"a dialogue: {heard} and {rest} instead of {wanted}")
    expect(result.exit_code == 0, "other", f"a dialogue ended with {result.exit_code}")


async def copies_its_input(ctx: Context) -> None:
    """Send input of any size that the command prints."""
    pieces = [ctx.text(ctx.chance.randint(0, 3000)) for _ in range(ctx.chance.randint(0, 5))]
    with ctx.once("cat") as command:
        execution = await ctx.devbox.cmd.exec_async(command, attach_stdin=True)
        for piece in pieces:
            if piece:
                await execution.send_std_in(piece)
        await execution.close_std_in()
        result = await execution.result()
    same(await result.stdout(), "".join(pieces), "what cat was sent")


async def shares_a_shell(ctx: Context) -> None:
    """Run commands in a named shell, which keeps its state."""
    shell, value = ctx.devbox.shell(f"s{ctx.name}"), ctx.chance.randrange(1000)
    with ctx.once(f"mkdir -p ~/{ctx.name}.shell") as command:
        await ctx.devbox.cmd.exec(command)
    await shell.exec(f"export N={value}; cd ~/{ctx.name}.shell")
    for _ in range(ctx.chance.randint(1, 3)):
        await shell.exec("export N=$((N + 1)) M=$((M + 1))")
    result = await shell.exec('echo "$((N - M)) ${PWD##*/}"')
    same(await result.stdout(), f"{value} {ctx.name}.shell\n", "a shell's state")


async def is_killed(ctx: Context) -> None:
    """Kill a command, which must leave no process."""
    mark = str(ctx.chance.randrange(10**8, 10**9))
    with ctx.once(f"sleep 1000.{mark} & sleep 2000.{mark}", stopped=True) as command:
        execution = await ctx.devbox.cmd.exec_async(command)
        await execution.kill()
        result = await execution.result()
    expect(result.exit_code == 137, "other", f"a killed command ended with {result.exit_code}")
    await _is_gone(ctx, mark)


async def is_cancelled(ctx: Context) -> None:
    """Cancel the caller of a command, which must leave no process."""
    mark = str(ctx.chance.randrange(10**8, 10**9))
    with ctx.once(f"sleep 1000.{mark}", stopped=True) as command:
        running = asyncio.create_task(ctx.devbox.cmd.exec(command))
        await asyncio.wait({running}, timeout=ctx.chance.uniform(0, 0.2))
        running.cancel()
        await asyncio.wait({running})
        expect(running.cancelled(), "other", "a cancelled command was not")
    await _is_gone(ctx, mark)


async def runs_out_of_time(ctx: Context) -> None:
    """Run a command into a timeout, after which it must leave no process."""
    mark = str(ctx.chance.randrange(10**8, 10**9))
    with ctx.once(f"sleep 1000.{mark}", stopped=True) as command:
        try:
            await ctx.devbox.cmd.exec(command, polling_config=PollingConfig(timeout_seconds=0.3))
        except PollingTimeoutError:
            pass
        else:
            expect(False, "other", "a command that sleeps for long ended in time")
    await _is_gone(ctx, mark)


async def runs_many(ctx: Context) -> None:
    """Run many commands in parallel, each with its own output."""

    async def one(number: int) -> None:
        with ctx.once(f"echo {number}; echo {number} >&2") as command:
            result = await ctx.devbox.cmd.exec(command)
        same(await result.stdout(), f"{number}\n", "stdout of one of many")
        same(await result.stderr(), f"{number}\n", "stderr of one of many")

    await asyncio.gather(*(one(number) for number in range(ctx.chance.randint(2, 20))))


async def is_logged(ctx: Context) -> None:
    """Find a command in the devbox's logs."""
    text = f"logged {ctx.chance.getrandbits(32)}"
    with ctx.once(f"echo {text}") as command:
        result = await ctx.devbox.cmd.exec(command)
    logs = await ctx.devbox.logs(execution_id=result.execution_id)
    expect(text in [log.message for log in logs.logs], "losses", f"{text!r} is not in its logs")
    state = await ctx.devbox.execution(result.execution_id).get_state()
    expect((state.status, state.exit_status) == ("completed", 0), "other", f"its state is {state}")


def _live(ctx: Context) -> Printing:
    return ctx.printing(
        largest=60_000 if ctx.chance.random() < 0.5 else ctx.largest, pause_ms=ctx.chance.choice((0, 5))
    )


def _check_heard(heard: dict[str, list[str]], printing: Printing) -> None:
    for stream, wanted in printing.texts().items():
        same("".join(heard[stream]), wanted, f"{stream} of {printing.command} as it came")


async def _check(result: AsyncExecutionResult, printing: Printing, code: int) -> None:
    wanted = printing.texts()
    expect(result.exit_code == code, "wrong bytes", f"exit code {result.exit_code} instead of {code}")
    for stream, text in zip(STREAMS, (await result.stdout(), await result.stderr()), strict=True):
        same(text, wanted[stream], f"{stream} of {printing.command}")


async def _is_gone(ctx: Context, mark: str) -> None:
    pattern = f"[{mark[0]}]{mark[1:]}"  # which does not match the command line of grep itself
    look = f"grep -qs '{pattern}' /proc/[0-9]*/cmdline || exit 0; sleep 0.1"
    look = f"for n in $(seq {_GONE_WITHIN_S / 0.1:.0f}); do {look}; done; exit 1"
    result = await ctx.devbox.cmd.exec(look)
    expect(result.exit_code == 0, "leaks", f"a process of a command that was ended runs on (sleep ...{mark})")


SCENARIOS: dict[Scenario, int] = {
    runs: 4,
    runs_with_callbacks: 3,
    is_iterated: 3,
    is_quiet: 1,
    talks: 2,
    copies_its_input: 2,
    shares_a_shell: 1,
    is_killed: 1,
    is_cancelled: 1,
    runs_out_of_time: 1,
    runs_many: 1,
    is_logged: 1,
}
