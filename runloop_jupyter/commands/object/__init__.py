"""The subcommands of `%runloop object`."""

from ..noun import Noun

NOUN = Noun(
    "%runloop object",
    __name__,
    "files that outlive devboxes",
    {
        "list": "show the storage objects",
        "info": "show one storage object in detail",
        "upload": "upload a file or a folder",
        "download": "download an object into a file",
        "delete": "delete objects",
    },
)
