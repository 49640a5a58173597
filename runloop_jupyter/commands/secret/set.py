"""`%runloop secret set`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...errors import UsageError
from ...kernel.prompts import ask
from ...operations.secrets import set_secret
from ...rendering import Done
from ...text.quoting import as_word
from ..options import OptionGroup
from ..parser import Parser

if TYPE_CHECKING:
    from runloop_sdk.models.secrets import SecretView

    from ...session import Session


class Options(OptionGroup):
    """The options of `%runloop secret set`."""

    name: str
    from_env: str | None


def parser() -> Parser[Options]:
    """The parser of `%runloop secret set`."""
    made = Parser(
        Options,
        "%runloop secret set",
        "Make a secret, or give it a new value. The value is asked for and never shown: it gets into no notebook.",
        "%devbox create --secret VARIABLE=NAME gives it to a devbox as an environment variable.",
    )
    made.add_name("secret", "name", metavar="NAME", help="what to call it")
    made.add_argument("--from-env", metavar="VARIABLE", help="take the value of this kernel's environment variable")
    return made.explain(
        ("ask for the value, at a prompt that does not show it", "%runloop secret set my-token"),
        (
            "take it from the kernel's environment, where nobody can answer",
            "%runloop secret set my-token --from-env MY_TOKEN",
        ),
        returns="A sentence about what was done, with the fields of the secret: `.id`, `.name`. Never its value.",
        mistakes=[
            "An empty answer changes nothing.",
            ("Where nobody can answer, as in a notebook that runs by itself, it says to add --from-env VARIABLE."),
        ],
    )


async def run(session: Session, options: Options) -> Done[SecretView]:
    """Create the secret, or change its value."""
    await session.client.sdk()  # before the question: a service that cannot be reached needs no answer
    view, is_new = await set_secret(session, options.name, await _value(session, options))
    done = "Made" if is_new else "Changed"
    return Done(f"{done} secret {view.name}. Use it: %devbox create --secret VARIABLE={as_word(view.name)}", view)


async def _value(session: Session, options: Options) -> str:
    if options.from_env:
        if not session.client.environ.get(options.from_env):
            raise UsageError(f"There is no environment variable {options.from_env!r} in this kernel, or it is empty.")
        return session.client.environ[options.from_env]
    value = await ask(f"Value of secret {options.name}: ", hidden=True, instead="Add --from-env VARIABLE.")
    if not value:
        raise UsageError(f"No value was given for secret {options.name}: nothing was changed.")
    return value
