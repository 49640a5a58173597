"""Scenarios with the lifecycle of devboxes, snapshots, blueprints, tunnels and terminals."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import httpx

from runloop_local.engine.build.origins import STARTER
from runloop_sdk import AsyncDevbox, StreamError
from soak.findings import expect

from .context import PRINTER, same

if TYPE_CHECKING:
    from .context import Context, Scenario

WEB_SERVER = """
import http.server, sys
class Echo(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_POST(self):
        data = self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data[::-1])
    def log_message(self, *_): pass
server = http.server.ThreadingHTTPServer(("127.0.0.1", 8123), Echo)
print("serves", flush=True)
server.serve_forever()
"""


async def new_devbox(ctx: Context, **options: object) -> AsyncDevbox:
    """Create a devbox for the scenario."""
    return await ctx.sdk.devbox.create(name=ctx.new_name("devbox"), **options)  # type: ignore[arg-type] # as given


async def lives(ctx: Context) -> None:
    """Create, use, suspend, resume, snapshot, restore and shut down a devbox."""
    value = ctx.text(ctx.chance.randint(1, 500)).replace("\x00", "")
    devbox = await new_devbox(ctx, environment_variables={"V": value}, file_mounts={"mounted": value})
    async with devbox:
        await devbox.file.write(file_path="kept", contents=value)
        if ctx.chance.random() < 0.6:
            await devbox.suspend()
            await devbox.await_suspended()
            await devbox.resume()
        result = await devbox.cmd.exec('printf %s "$V"; cat kept mounted')
        same(await result.stdout(), value * 3, "what a devbox has kept")
        if ctx.chance.random() < 0.6:
            await is_restored(ctx, devbox, value)
    status = (await devbox.get_info()).status
    expect(status == "shutdown", "other", f"a devbox that was shut down is {status}")


async def is_restored(ctx: Context, devbox: AsyncDevbox, value: str) -> None:
    """Take a snapshot of a devbox, and create a devbox from it."""
    snapshot = await devbox.snapshot_disk(name=ctx.new_name("snapshot"))
    await devbox.file.write(file_path="kept", contents="written later")
    async with await snapshot.create_devbox(name=ctx.new_name("devbox")) as restored:
        same(await restored.file.read(file_path="kept"), value, "a file of a restored devbox")
    await snapshot.update(commit_message="updated")
    await snapshot.delete()


async def is_built(ctx: Context) -> None:
    """Build a blueprint, read its log, and create a devbox from it."""
    value = f"{ctx.chance.getrandbits(64):x}"
    dockerfile = f"FROM {STARTER}\nRUN echo said {value} && echo {value} > /home/user/built\n"
    built = await ctx.sdk.blueprint.create(name=ctx.new_name("blueprint"), dockerfile=dockerfile)
    logs = [line.message for line in (await built.logs()).logs]
    expect(any(f"said {value}" in line for line in logs), "losses", f"the log of a build lacks what it said: {logs}")
    async with await built.create_devbox(name=ctx.new_name("devbox")) as devbox:
        same(await devbox.file.read(file_path="built"), f"{value}\n", "a built file")
    await built.delete()


async def mounts_an_object(ctx: Context) -> None:
    """Mount an object in a new devbox."""
    data = ctx.chance.randbytes(min(ctx.size(), 100_000))
    made = await ctx.sdk.storage_object.upload_from_bytes(data, ctx.new_name("object"), content_type="binary")
    mount = {"type": "object_mount", "object_id": made.id, "object_path": "/home/user/mounted"}
    async with await new_devbox(ctx, mounts=[mount]) as devbox:
        same(await devbox.file.download(path="mounted"), data, "a mounted object")
    await made.delete()


async def is_reached(ctx: Context) -> None:
    """Connect to a server in a devbox through a tunnel."""
    async with await new_devbox(ctx) as devbox:
        tunnel = await devbox.net.enable_tunnel(auth_mode="authenticated")
        await devbox.file.write(file_path="echo.py", contents=WEB_SERVER)
        server = await devbox.cmd.exec_async("python3 echo.py")
        output = server.output(["stdout"])
        expect("serves" in (await anext(output)).text, "other", "the server in the devbox does not start")
        await output.aclose()
        where = await devbox.get_tunnel_url(8123)
        expect(where is not None, "losses", "an open tunnel has no URL")
        host = str(where).partition("//")[2]
        headers = {"host": host, "x-runloop-tunnel-authorization": f"Bearer {tunnel.auth_token}"}
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{host.rpartition(':')[2]}", timeout=30) as web:
            refused = await web.post("/", content=b"x", headers={"host": host})
            expect(refused.status_code == 401, "other", f"a tunnel lets strangers in: {refused.status_code}")
            for _ in range(ctx.chance.randint(1, 4)):
                data = ctx.chance.randbytes(ctx.size())
                answer = await web.post("/", content=data, headers=headers)
                same(answer.content, data[::-1], f"an answer ({answer.status_code}) through a tunnel")
        await devbox.net.remove_tunnel()


async def has_a_terminal(ctx: Context) -> None:
    """Read known output of a terminal, whose client reconnects."""
    rows = [f"row {ctx.chance.getrandbits(32)} grün" for _ in range(ctx.chance.randint(1, 30))]
    printed = b""
    async with ctx.devbox.pty(f"p{ctx.name}", cols=200, rows=50) as terminal:
        await terminal.write("stty -echo; PS1=; printf 'be%s\\n' gin\n")
        while b"begin\r\n" not in printed:
            printed += await terminal.read()
        printed = printed.partition(b"begin\r\n")[2]
        await terminal.write("".join(f"printf '%s\\n' '{row}'; " for row in rows) + "printf 'e%s\\n' nd\n")
        if ctx.chance.random() < 0.5:
            await terminal.reattach()
        while b"end\r\n" not in printed:
            try:
                printed += await terminal.read()
            except StreamError:
                await terminal.reattach()
        await terminal.close()
    wanted = "".join(f"{row}\r\n" for row in rows).encode()
    expect(wanted in printed, "wrong bytes", f"a terminal showed {printed!r} instead of {wanted!r}")


async def is_found(ctx: Context) -> None:
    """Find devboxes by name, page by page."""
    made = [await new_devbox(ctx, metadata={"of": ctx.name}) for _ in range(ctx.chance.randint(1, 3))]
    walked = [view.id async for view in ctx.sdk.api.devboxes.list(search=ctx.name, limit=1)]
    wanted = [devbox.id for devbox in reversed(made)]
    expect(len(walked) <= len(wanted), "double runs", f"{len(walked)} devboxes are there instead of {len(wanted)}")
    expect(walked == wanted, "losses", f"walking the list gives {walked} instead of {wanted}")
    for devbox in made:
        await devbox.shutdown()


async def prints_after_a_resume(ctx: Context) -> None:
    """Read the output of a command that a suspend has ended, after the resume."""
    async with await new_devbox(ctx, file_mounts={"printer.py": PRINTER}) as devbox:
        printing = replace(ctx.printing(largest=50_000), kind="lines")  # a split character would come only at the end
        execution = await devbox.cmd.exec_async(f"{printing.command}; sleep 1000")
        wanted = printing.texts()
        output, heard = execution.output(), {"stdout": "", "stderr": ""}
        while heard != wanted and not any(len(heard[stream]) > len(wanted[stream]) for stream in heard):
            chunk = await anext(output)
            heard[chunk.stream] += chunk.text
        await output.aclose()
        await devbox.suspend()
        await devbox.await_suspended()
        result = await execution.result()
        await devbox.resume()
        for stream, text in zip(heard, (await result.stdout(), await result.stderr()), strict=True):
            same(heard[stream], wanted[stream], f"{stream} before a suspend")
            same(text, wanted[stream], f"{stream} after a suspend")


SCENARIOS: dict[Scenario, int] = {
    lives: 3,
    is_built: 1,
    mounts_an_object: 1,
    is_reached: 1,
    has_a_terminal: 1,
    is_found: 1,
    prints_after_a_resume: 1,
}
