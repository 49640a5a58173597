"""`%devbox tunnel`."""

from __future__ import annotations

from argparse import ArgumentTypeError
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ...errors import UsageError
from ...operations.tunnels import OpenTunnel, close_tunnel, open_tunnel
from ...rendering import Done
from ...rendering.page import escaped
from ..option_groups import OnOption, add_on_option
from ..parser import Parser

if TYPE_CHECKING:
    from httpx import Response

    from ...resources.devboxes import DevboxInfo
    from ...session import Session

_HEIGHT = 400  # pixels of the frame


class Options(OnOption):
    """The options of `%devbox tunnel`."""

    port: int | None
    private: bool
    no_frame: bool
    height: int
    close: bool


def parser() -> Parser[Options]:
    """The parser of `%devbox tunnel`."""
    made = Parser(
        Options,
        "%devbox tunnel",
        "Show what a port of the devbox serves: a link, and a frame in the cell.",
        "The devbox has one tunnel for all its ports. Whoever knows the link gets in, unless it is --private.",
    )
    made.add_argument("port", metavar="PORT", nargs="?", type=_port, help="the port that a server in it listens on")
    made.add_argument("--private", action="store_true", help="ask for a token, the result's `.token`")
    made.add_argument("--no-frame", action="store_true", help="only the link")
    made.add_argument("--height", metavar="PIXELS", type=_pixels, default=_HEIGHT, help=f"of the frame ({_HEIGHT})")
    made.add_argument("--close", action="store_true", help="close the devbox's tunnel")
    add_on_option(made)
    return made.explain(
        ("a link to what port 8000 serves, and a frame with it", "%devbox tunnel 8000"),
        (
            "in Python, for nobody who has no token",
            (
                "web = %devbox tunnel 8000 --private\n"
                'headers = {"X-Runloop-Tunnel-Authorization": f"Bearer {web.token}"}'
            ),
        ),
        ("close it, for all ports", "%devbox tunnel --close"),
        returns=(
            "A link that shows as such, with `.url` and, for a private tunnel, `.token`, which is never shown. "
            '`await link.get("/path")` asks the server from Python.'
        ),
        mistakes=[
            "A tunnel that is open the other way is named: close it first.",
            "A port on which nothing listens opens, and its page says so.",
        ],
    )


async def run(session: Session, options: Options) -> TunnelLink | Done[DevboxInfo]:
    """Open the devbox's tunnel, or close it."""
    if options.close:
        devbox = await session.find(options.on)
        await close_tunnel(session, devbox)
        return Done(f"Closed the tunnel of {devbox.label}.", devbox)
    if options.port is None:
        raise UsageError("Say which port: %devbox tunnel 8000")
    devbox = await session.find(options.on)
    tunnel = await open_tunnel(session, devbox, options.port, private=options.private)
    return TunnelLink(tunnel, 0 if options.no_frame or options.private else options.height)


@dataclass(frozen=True, slots=True, repr=False)
class TunnelLink:
    """Shows as a link and a frame. `url` and, for private tunnels, `token` are there for programs, and `get` asks."""

    tunnel: OpenTunnel
    height: int

    @property
    def url(self) -> str:
        """The address at which the port is served."""
        return self.tunnel.url

    @property
    def token(self) -> str | None:
        """The token of a private tunnel, for the header `X-Runloop-Tunnel-Authorization: Bearer TOKEN`."""
        return self.tunnel.token

    async def get(self, path: str = "/", **options: Any) -> Response:
        """The answer of the server in the devbox: `(await link.get("/api")).json()`. `options` are those of httpx."""
        import httpx

        url = httpx.URL(self.url).join(path)
        headers = httpx.Headers(options.pop("headers", None))
        if self.token:
            headers["X-Runloop-Tunnel-Authorization"] = f"Bearer {self.token}"
        if url.host.endswith(".localhost"):  # browsers know that this is here; not every machine's resolver does
            headers["Host"] = url.netloc.decode()
            url = url.copy_with(host="127.0.0.1")
        async with httpx.AsyncClient() as client:
            return await client.get(url, headers=headers, **options)

    def __repr__(self) -> str:
        private = " (private: send `.token` as X-Runloop-Tunnel-Authorization: Bearer)" if self.token else ""
        return f"Port {self.tunnel.port} of {self.tunnel.devbox.short}: {self.url}{private}"

    def _repr_html_(self) -> str:
        url, words = escaped(self.url), escaped(repr(self).partition(": ")[0])
        link = f'{words}: <a href="{url}" target="_blank" rel="noopener">{url}</a>'
        if self.token:
            link += " (private: the result's <code>.token</code> opens it)"
        frame = (
            f'<iframe src="{url}" width="100%" height="{self.height}" style="border: 1px solid '
            'var(--jp-border-color2, #8884)" sandbox="allow-scripts allow-forms allow-same-origin allow-popups"'
            "></iframe>"
        )
        return f"<div>{link}</div>" + (frame if self.height else "")


def _port(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 65535:
        raise ArgumentTypeError(f"{text!r} is not a port: write a number from 1 to 65535")
    return int(text)


def _pixels(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 10_000:
        raise ArgumentTypeError(f"{text!r} is not a height in pixels: write a number from 1 to 10000")
    return int(text)
