"""The subcommands of `%devbox`."""

from ..noun import Noun

NOUN = Noun(
    "%devbox",
    __name__,
    "isolated Linux machines",
    {
        "create": "create a devbox and make it the current one",
        "use": "choose the devbox that the next cells run on",
        "list": "show the devboxes",
        "info": "show one devbox in detail",
        "exec": "run a shell command; %%devbox exec runs the whole cell",
        "python": "run the cell in the devbox's Python: %%devbox python",
        "script": "run the cell by any interpreter: %%devbox script --proc node",
        "write": "write the cell to a file: %%devbox write PATH",
        "attach": "stream the output of a command that runs",
        "kill": "end commands with all that they started",
        "suspend": "end a devbox's processes and keep its disk",
        "resume": "start a suspended devbox again",
        "shutdown": "end devboxes for good",
    },
)
