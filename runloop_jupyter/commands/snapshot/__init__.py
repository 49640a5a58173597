"""The subcommands of `%runloop snapshot`."""

from ..noun import Noun

NOUN = Noun(
    "%runloop snapshot",
    __name__,
    "disks of devboxes, kept",
    {
        "list": "show the snapshots",
        "info": "show one snapshot in detail",
        "restore": "create a devbox with a snapshot's disk",
        "update": "change a snapshot's name, message or metadata",
        "delete": "delete snapshots",
        "prune": "delete all but the newest snapshots of each devbox",
    },
)
