"""Plans the setup of a blueprint after its Dockerfile (commands, files, repositories), and previews a build as text."""

from __future__ import annotations

import base64
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec

from ...sandbox import shells
from .origins import STARTER
from .plan import HOME, PATH, Furnish, Run, StageContext, Step, Write

_PROFILE = "/etc/profile.d/zz-blueprint.sh"
_FURNISH = "what devboxes have: the account user, sudo, PATH"
_HOST = "https://github.com/"


@dataclass(frozen=True, slots=True)
class CodeMount:
    """A repository to clone into the home folder."""

    owner: str
    name: str
    ref: str | None = None
    token: str | None = field(default=None, repr=False)
    install: str | None = None

    @property
    def script(self) -> str:
        """The shell script that clones it."""
        ref = f"--branch {shlex.quote(self.ref)} " if self.ref else ""
        address, folder = shlex.quote(f"{_HOST}{self.owner}/{self.name}.git"), shlex.quote(f"{HOME}/{self.name}")
        clone = f"rm -rf {folder} && git clone --depth 1 {ref}{address} {folder}"
        return f"{clone} && cd {folder} && {{ {self.install}\n}}" if self.install else clone

    @property
    def env(self) -> dict[str, str]:
        """The environment that passes the token to git, so that it is in no file and on no command line."""
        found = {"GIT_TERMINAL_PROMPT": "0"}
        if self.token:
            found |= {
                "GIT_CONFIG_COUNT": "1",
                "GIT_CONFIG_KEY_0": f"http.{_HOST}.extraHeader",
                "GIT_CONFIG_VALUE_0": f"Authorization: Basic {self._login}",
            }
        return found

    @property
    def hidden(self) -> tuple[str, ...]:
        """The words that logs must not show."""
        return (self.token, self._login) if self.token else ()

    @property
    def _login(self) -> str:
        return base64.b64encode(f"x-access-token:{self.token}".encode()).decode()


class Setup(msgspec.Struct, frozen=True):
    """The setup after the Dockerfile."""

    commands: tuple[str, ...] = ()
    files: Mapping[str, str] = msgspec.field(default_factory=dict)
    code: tuple[CodeMount, ...] = ()


def setup_steps(
    setup: Setup | None, stage_context: StageContext, *, has_root: bool, is_bare: bool = False
) -> tuple[Step, ...]:
    """The steps after a Dockerfile, whose final context is `stage_context`; `is_bare` is true on an image's disk."""
    wanted = setup or Setup()
    user = StageContext(env=stage_context.env, cwd=HOME, user="user")
    path = stage_context.env.get("PATH")
    # Before all others, which run as `user`; and after the Dockerfile, which may have made the same account.
    steps = (
        [Step(_FURNISH, StageContext(user="root"), Furnish(path or PATH, stage_context.cwd or "/"))] if is_bare else []
    )
    steps += [
        Step(f"system_setup_commands: {' '.join(command.split())}", user, Run((shells.LOGIN, "-lc", command)))
        for command in wanted.commands
    ]
    steps += [_file(path, content) for path, content in wanted.files.items()]
    for mount in wanted.code:
        inner = StageContext(env={**stage_context.env, **mount.env}, cwd=HOME, user="user")
        run = Run((shells.LOGIN, "-lc", mount.script), cached=False)
        steps.append(Step(f"code_mounts: {mount.owner}/{mount.name}", inner, run))
    if path is not None and has_root and not is_bare:
        # Login shells reset PATH; they read this file after that.
        profile = f"export PATH={shlex.quote(path)}\n"
        steps.append(Step("PATH of login shells", StageContext(user="root"), Write(_PROFILE, profile)))
    return tuple(steps)


def _file(path: str, content: str) -> Step:
    full = path.replace("~/", f"{HOME}/", 1) if path.startswith("~/") else path
    full = full if full.startswith("/") else f"{HOME}/{full}"
    owner = "user" if full.startswith((f"{HOME}/", "/tmp/")) else "root"  # noqa: S108 -- a devbox's own
    return Step(f"file_mounts: {path}", StageContext(user=owner), Write(full, content))


def preview(dockerfile: str | None, base: str | None, setup: Setup) -> str:
    """The complete build as one Dockerfile."""
    begin = (dockerfile or "").rstrip("\n")
    if base is not None:
        begin = f"FROM {base}\n{begin}".rstrip("\n")
    lines = [begin or f"FROM {STARTER}", *_preview_lines(setup)]
    return "".join(f"{line}\n" for line in lines)


def _preview_lines(setup: Setup) -> list[str]:
    lines = ["USER user", f"WORKDIR {HOME}"] if setup != Setup() else []
    lines += [f"RUN {command}" if "\n" not in command else _script(command) for command in setup.commands]
    for path, content in setup.files.items():
        end = _unused_name(content)
        lines.append(f"COPY --chown=user <<'{end}' {path}\n{content.removesuffix(chr(10))}\n{end}")
    lines += [f"RUN {mount.script}" for mount in setup.code]
    return lines


def _script(command: str) -> str:
    end = _unused_name(command)
    return f"RUN <<'{end}'\n{command}\n{end}"


def _unused_name(text: str) -> str:
    """A heredoc name that does not occur as a line of the text."""
    name = "EOF"
    while name in text.split("\n"):
        name += "_"
    return name
