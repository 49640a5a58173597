"""`%runloop connect`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...connection import CLOUD_URL, Connection, checked_url, from_environment
from ...kernel.prompts import ask
from ...rendering import Connected
from ..options import OptionGroup
from ..parser import Parser

if TYPE_CHECKING:
    from ...session import Session


class Options(OptionGroup):
    """The options of `%runloop connect`."""

    to: str | None


def parser() -> Parser[Options]:
    """The parser of `%runloop connect`."""
    made = Parser(
        Options,
        "%runloop connect",
        "Choose the service that this notebook uses: local (on this machine), cloud, or a URL.\n"
        "Without one, what RUNLOOP_API_KEY and RUNLOOP_BASE_URL name counts again.",
        "The key comes from RUNLOOP_API_KEY, or is asked for and never shown.",
    )
    made.add_name("service", "to", metavar="local|cloud|URL", nargs="?", help="the service")
    return made.explain(
        ("the service on this machine", "%runloop connect local"),
        ("the cloud; the key is asked for if RUNLOOP_API_KEY is not set", "%runloop connect cloud"),
        ("what the environment names again", "%runloop connect"),
        returns="The connection, which shows as a sentence.",
        mistakes=[
            (
                "An address that does not answer, or a key that it does not accept, is named, and the "
                "connection stays what it was."
            ),
            "A key is sent only to the service that it was given for.",
        ],
    )


async def run(session: Session, options: Options) -> Connected:
    """Connect to the service, if it answers and accepts the key."""
    connection = await session.client.connect(await _wanted(session, options.to))
    return Connected(connection)


async def _wanted(session: Session, to: str | None) -> Connection | None:
    if to is None:
        return None
    from ...client import reach

    if to == "local":
        return await session.client.embedded()
    url = checked_url(CLOUD_URL if to == "cloud" else to, f"{to!r}")
    known = from_environment(session.client.environ)
    if known is not None and known.base_url == url:
        return known  # a key goes only to the service that it is meant for
    await reach(Connection(url, ""))
    key = await ask(
        f"API key for {url}: ", hidden=True, instead="Set RUNLOOP_API_KEY, and RUNLOOP_BASE_URL for another service."
    )
    return Connection(url, key.strip()) if key.strip() else None
