"""The subcommands of `%runloop secret`."""

from ..noun import Noun

NOUN = Noun(
    "%runloop secret",
    __name__,
    "values that devboxes get and nobody reads back",
    {
        "list": "show the secrets, without their values",
        "set": "make a secret, or give it a new value, which is asked for and never shown",
        "delete": "delete secrets",
    },
)
