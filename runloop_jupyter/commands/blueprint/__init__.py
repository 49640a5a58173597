"""The subcommands of `%runloop blueprint`."""

from ..noun import Noun

NOUN = Noun(
    "%runloop blueprint",
    __name__,
    "images that devboxes start from",
    {
        "build": "build one; %%runloop blueprint build NAME takes the cell as its Dockerfile",
        "list": "show the blueprints",
        "info": "show one blueprint in detail",
        "logs": "show what a build printed",
        "delete": "delete blueprints",
        "prune": "delete failed builds and those that newer ones of the same name replace",
    },
    cells=("build",),
)
