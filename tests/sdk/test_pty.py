"""`devbox.pty` on the real embedded service."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import pytest

from runloop_sdk import (
    AsyncDevbox,
    AsyncPty,
    AsyncRunloopSDK,
    BadRequestError,
    ConfigurationError,
    ConflictError,
    NotFoundError,
    StreamError,
)
from tests.local.serving import Service
from tests.waiting import PATIENCE


async def sees(terminal: AsyncPty, pattern: str, seen: str = "") -> str:
    """What was printed up to `pattern`, and with it."""
    async with asyncio.timeout(PATIENCE):
        while not re.search(pattern, seen):
            data = await terminal.read()
            assert data, f"the terminal ended after {seen!r}"
            seen += data.decode(errors="replace")
    return seen


async def rest(terminal: AsyncPty) -> str:
    async with asyncio.timeout(PATIENCE):
        return b"".join([data async for data in terminal]).decode()


async def quiet(terminal: AsyncPty) -> None:
    """A shell that prints nothing but what its commands print."""
    await terminal.write("exec env PS1= sh\nstty -echo -onlcr; echo re''ady\n")
    await sees(terminal, "ready\n$")


async def test_what_is_typed_runs_in_the_devbox(devbox: AsyncDevbox) -> None:
    async with devbox.pty("main", cols=101, rows=33) as terminal:
        await terminal.write("echo $((6*7)); stty size; tty\n")
        await sees(terminal, r"42\s+33 101\s+/dev/pts/\d")
        await terminal.resize(132, 50)
        await terminal.write("stty size\n")
        await sees(terminal, "50 132")


async def test_ctrl_c_and_signals_reach_the_foreground(devbox: AsyncDevbox) -> None:
    async with devbox.pty() as terminal:
        # Said by the program itself: it is in the foreground, where bash still may be when its own echo is seen.
        await terminal.write("sh -c 'echo be\"\"gun; exec sleep 100'\n")
        await sees(terminal, "begun")
        await terminal.write("\x03")
        await terminal.write(
            'echo status $?; sh -c \'trap "echo ca""ught; exit 5" USR1; echo re""ady; sleep 100 & wait\'\n'
        )
        await sees(terminal, r"status 130[\s\S]*ready")
        await terminal.signal("SIGUSR1")
        await sees(terminal, "caught")
        await terminal.write("echo status $?\n")
        await sees(terminal, "status 5")
        with pytest.raises(BadRequestError, match="SIGNOTHING"):
            await terminal.signal("SIGNOTHING")


async def test_exit_ends_the_reading_and_begins_anew(devbox: AsyncDevbox) -> None:
    async with devbox.pty("main") as terminal:
        assert terminal.created
        await terminal.write("echo la''st; exit\n")
        assert "last" in await rest(terminal)
        assert terminal.ended
        await terminal.reattach()
        assert terminal.created
        await terminal.write("echo fre''sh\n")
        await sees(terminal, "fresh")


async def test_reattach_goes_on_where_reading_was(devbox: AsyncDevbox) -> None:
    async with devbox.pty("main") as terminal:
        await quiet(terminal)
        await terminal.write("for n in $(seq 2000); do echo $n; done; echo en''d\n")
        seen = await sees(terminal, "\n20\n")
        await terminal.detach()
        with pytest.raises(StreamError, match="detached"):
            await terminal.read()
        await terminal.reattach()
        assert not terminal.created
        seen = await sees(terminal, "end\n", seen)
    assert re.findall(r"\d+", seen) == [str(n) for n in range(1, 2001)]


async def test_another_client_sees_what_was_printed_before(devbox: AsyncDevbox) -> None:
    async with devbox.pty("main") as terminal:
        await terminal.write("export WORD=kept; cd /tmp; echo fir''st\n")
        await sees(terminal, "first")
    async with devbox.pty("main") as again:
        assert not again.created
        await sees(again, "first")
        await again.write("echo $WORD:$PWD\n")
        await sees(again, "kept:/tmp")


async def test_one_client_at_a_time(devbox: AsyncDevbox) -> None:
    async with devbox.pty("main") as terminal:
        with pytest.raises(ConflictError, match="one at a time"):
            await devbox.pty("main").reattach()
        async with devbox.pty("other") as other:
            await other.write("echo o''ther\n")
            await sees(other, "other")
        await terminal.write("echo st''ill\n")
        await sees(terminal, "still")


async def test_close_ends_the_shell(devbox: AsyncDevbox) -> None:
    async with devbox.pty("main") as terminal:
        await terminal.write("echo $$ > pid; echo wr''itten\n")
        await sees(terminal, "written")
        await terminal.close()
        assert await terminal.read() == b""
        await terminal.close()
        result = await devbox.cmd.exec(
            "for i in $(seq 600); do [ -d /proc/$(cat pid) ] || exit 0; sleep 0.1; done; exit 1"
        )
        assert result.exit_code == 0


async def test_a_slow_reader_loses_nothing(devbox: AsyncDevbox) -> None:
    async with devbox.pty("main") as terminal:
        await quiet(terminal)
        await terminal.write("seq 300000; echo en''d\n")
        await asyncio.sleep(0.3)
        seen = await sees(terminal, "end\n")
    assert seen == "".join(f"{n}\n" for n in range(1, 300_001)) + "end\n"


async def test_a_suspended_devbox_ends_its_terminals(devbox: AsyncDevbox) -> None:
    async with devbox.pty("main") as terminal:
        await sees(terminal, r"[$#] ")
        await devbox.suspend()
        with pytest.raises(StreamError, match="lost"):
            await rest(terminal)
        await devbox.await_suspended()
        await devbox.resume()
        await terminal.reattach()
        assert terminal.created


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"session": ""}, "no name"),
        ({"session": "a b"}, "no name"),
        ({"session": "a" * 257}, "no name"),
        ({"cols": 0, "rows": 5}, "cols is 0"),
        ({"cols": 80}, "rows is None"),
        ({"cols": 80, "rows": 1001}, "rows is 1001"),
    ],
    ids=str,
)
async def test_bad_names_and_sizes_never_reach_the_network(
    sdk: AsyncRunloopSDK, options: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(ConfigurationError, match=complaint):
        sdk.devbox.from_id("dbx_x").pty(**options)


async def test_there_is_no_terminal_without_a_devbox(sdk: AsyncRunloopSDK) -> None:
    with pytest.raises(NotFoundError):
        async with sdk.devbox.from_id("dbx_x").pty():
            pass


async def test_the_url_of_a_port_is_the_services_own(devbox: AsyncDevbox, service: Service) -> None:
    assert await devbox.get_tunnel_url(8080) is None
    tunnel = await devbox.net.enable_tunnel()
    own = service.base_url.rpartition(":")[2]
    assert await devbox.get_tunnel_url(8080) == f"http://8080-{tunnel.tunnel_key}.tunnel.localhost:{own}"


async def test_secrets_stay_out_of_the_repr(devbox: AsyncDevbox) -> None:
    async with devbox.pty("main") as terminal:
        assert repr(terminal) == "<AsyncPty main attached>"
