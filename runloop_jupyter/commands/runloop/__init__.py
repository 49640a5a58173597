"""The subcommands of `%runloop` itself: the overview, the connection, and this kernel."""

from ..noun import Noun

NOUN = Noun(
    "%runloop",
    __name__,
    "this notebook",
    {
        "overview": "show the connection, the devboxes and what can be typed, as %runloop alone does",
        "executions": "show the commands that run in the background",
        "panel": "open the resource panel: everything live, to click",
        "connect": "choose the service: on this machine, the cloud, or a URL",
        "config": "show what can be set, and how it is set",
        "cleanup": "shut down what this kernel and dead ones left",
        "doctor": "check the key, the network and the versions",
    },
)
