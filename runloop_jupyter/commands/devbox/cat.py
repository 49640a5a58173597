"""`%devbox cat`."""

from __future__ import annotations

import codecs
from typing import TYPE_CHECKING

from ...errors import UsageError
from ...operations.lifecycle import handle_of
from ...operations.transfers import there
from ...text.quoting import as_word
from ...text.sizes import spell_size
from ..argument_types import variable
from ..devbox_to_use import current_or_new_devbox
from ..invocation import InvocationOptions
from ..option_groups import OnOption, add_on_option
from ..parser import Parser

if TYPE_CHECKING:
    from ...session import Session


class Options(InvocationOptions, OnOption):
    """The options of `%devbox cat`."""

    path: str
    out: str | None
    encoding: str


def parser() -> Parser[Options]:
    """The parser of `%devbox cat`."""
    made = Parser(Options, "%devbox cat", "Show a text file of the devbox.")
    made.shows_output = True
    made.add_name("remote path", "path", metavar="PATH", help="the file")
    made.add_argument("--out", metavar="NAME", type=variable, help="put the text into this variable, and show nothing")
    made.add_argument("--encoding", default="utf-8", help="of the file (default utf-8)")
    add_on_option(made)
    return made.explain(
        ("show it", "%devbox cat project/README.md"),
        ("keep its text in a variable", "%devbox cat --out config ~/config.toml"),
        returns="Nothing: it prints, or with --out sets the variable.",
        mistakes=[
            "A folder is named, with %devbox ls for it; a binary file with %devbox download.",
            "A text in another encoding is named: give --encoding.",
        ],
    )


async def run(session: Session, options: Options) -> None:
    """Show the file as it comes, or keep its text in a variable."""
    from ...output.cell_output import CellOutput

    decoder = _decoder(options.encoding)
    devbox = await current_or_new_devbox(session, options.on)
    handle = await handle_of(session, devbox)
    found = await there(handle, options.path, devbox.label)
    if found.kind == "directory":
        raise UsageError(f"{options.path!r} is a folder. See what it has: %devbox ls {as_word(options.path)}")
    kept: list[str] = []
    whole = f"%devbox cat {as_word(options.path)} --out NAME keeps all of it"
    async with CellOutput(quiet=bool(options.out), whole=whole) as output:
        async with handle.file.stream(path=options.path) as pieces:
            async for piece in pieces:
                if b"\0" in piece:
                    raise _binary(options.path, found.size)
                text = _decoded(decoder, piece, options)
                output.write("stdout", text)
                if options.out:
                    kept.append(text)
    if options.out:
        options.invocation.variables[options.out] = "".join(kept)


def _decoder(encoding: str) -> codecs.IncrementalDecoder:
    try:
        return codecs.getincrementaldecoder(encoding)()
    except LookupError as error:
        raise UsageError(f"There is no encoding {encoding!r}: try utf-8, latin-1 or utf-16.") from error


def _decoded(decoder: codecs.IncrementalDecoder, piece: bytes, options: Options) -> str:
    try:
        return decoder.decode(piece)
    except UnicodeDecodeError as error:
        raise UsageError(
            f"{options.path!r} is not {options.encoding} text: name its --encoding, or fetch it: "
            f"%devbox download {as_word(options.path)}"
        ) from error


def _binary(path: str, size: int) -> UsageError:
    return UsageError(f"{path!r} is not text ({spell_size(size)}). Fetch it: %devbox download {as_word(path)}")
