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
        "logs": "show what happened in a devbox",
        "upload": "upload a file or a folder",
        "download": "download a file or a folder",
        "push": "send what has changed in a folder",
        "pull": "fetch what has changed in a folder",
        "ls": "show what a folder of the devbox has",
        "cat": "show a text file of the devbox",
        "rm": "remove files of the devbox",
        "tunnel": "show what a port of the devbox serves",
        "ssh": "show how to log in over SSH",
        "pty": "open an interactive terminal",
        "snapshot": "keep the devbox's disk as it is now",
        "suspend": "end a devbox's processes and keep its disk",
        "resume": "start a suspended devbox again",
        "keep-alive": "start a devbox's keep-alive time again",
        "shutdown": "end devboxes for good",
    },
    cells=("exec", "python", "script", "write"),
)
