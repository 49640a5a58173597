"""A `docker` or `podman` that records what it is asked, and answers as a test wants."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_PROGRAM = """\
#!{python} -I
import json, os, sys, time
from pathlib import Path
folder, arguments = Path({folder!r}), sys.argv[1:]
asked = {{"arguments": arguments, "env": dict(os.environ), "context": {{}}}}
if arguments[0] == "build":
    context = Path(arguments[-1])
    files = (each for each in context.rglob("*") if each.is_file())
    asked["context"] = {{str(each.relative_to(context)): each.read_text() for each in files}}
with open(folder / "asked", "a") as file:
    file.write(json.dumps(asked) + "\\n")
answers = json.loads((folder / "answers").read_text())
if arguments[0] == "build" and (folder / "built").exists():
    (folder / "built").rename(folder / "answers")
for begin, (status, stdout, stderr) in answers.items():
    if " ".join(arguments).startswith(begin):
        while status < 0:
            time.sleep(1)
        print(stdout, end="")
        print(stderr, end="", file=sys.stderr)
        sys.exit(status)
"""


@dataclass(frozen=True)
class FakeEngine:
    """A folder for PATH with one program in it."""

    folder: Path
    name: str

    @classmethod
    def make(cls, folder: Path, name: str) -> FakeEngine:
        """Make the program, which succeeds and says nothing."""
        folder.mkdir(exist_ok=True)
        program = folder / name
        program.write_text(_PROGRAM.format(python=sys.executable, folder=str(folder)))
        program.chmod(0o755)
        made = cls(folder, name)
        made.answers({})
        return made

    def answers(
        self, answers: dict[str, tuple[int, str, str]], built: dict[str, tuple[int, str, str]] | None = None
    ) -> None:
        """From now on the first entry that the arguments begin with says the status, stdout and stderr.

        With a status below zero it does not end. Once it has built an image, those of `built` count.
        """
        (self.folder / "answers").write_text(json.dumps(answers))
        if built is not None:
            (self.folder / "built").write_text(json.dumps(built))

    @property
    def asked(self) -> list[dict[str, Any]]:
        """What it was asked so far: the arguments, the environment and the files of a build."""
        file = self.folder / "asked"
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []

    @property
    def env(self) -> dict[str, str]:
        """An environment in which there is no other engine."""
        return {**os.environ, "PATH": str(self.folder)}
