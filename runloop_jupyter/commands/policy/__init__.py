"""The subcommands of `%runloop policy`."""

from ..noun import Noun

NOUN = Noun(
    "%runloop policy",
    __name__,
    "where devboxes may connect to",
    {
        "list": "show the network policies",
        "info": "show one network policy in detail",
        "create": "make a network policy",
        "delete": "delete network policies",
    },
)
