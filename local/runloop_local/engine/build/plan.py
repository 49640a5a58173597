"""Plans a build before it starts, without I/O.

The instructions of a Dockerfile become stages of steps, with all variables expanded, and with the context (environment,
working directory, account, shell) of each step.
"""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import msgspec

from .dockerfile import error_at, json_form, parse, trigger_text
from .expansion import expand, expand_document, pairs, split_words
from .image import Image
from .run_mounts import Bind, Cache, Secret, mount_of

if TYPE_CHECKING:
    from .dockerfile import Instruction
    from .run_mounts import Mount

HOME = "/home/user"
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_SHELL = ("/bin/sh", "-c")
_ARCHITECTURE = {"x86_64": "amd64", "aarch64": "arm64"}.get(os.uname().machine, os.uname().machine)
PLATFORM = f"linux/{_ARCHITECTURE}"
# As in BuildKit, they exist in FROM lines without a declaration, and in a stage once ARG names them.
_PREDEFINED = {
    f"{side}{name}": value
    for side in ("TARGET", "BUILD")
    for name, value in (("OS", "linux"), ("ARCH", _ARCHITECTURE), ("PLATFORM", PLATFORM))
}
_SCRIPT = 'f=$(mktemp) && printf %s "$1" >"$f" && chmod 755 "$f" && { "$f"; s=$?; rm -f "$f"; exit "$s"; }'
_ADDRESS = re.compile(r"(https?|ftp|git|ssh)://|git@")
_COPY_FLAGS = frozenset({"from", "chown", "chmod", "link", "exclude", "parents", "checksum", "keep-git-dir"})
_FLAGS = {
    "ADD": _COPY_FLAGS,
    "COPY": _COPY_FLAGS,
    "FROM": frozenset({"platform"}),
    "HEALTHCHECK": frozenset({"interval", "timeout", "start-period", "start-interval", "retries"}),
    "RUN": frozenset({"mount"}),
}
_NOTES = {
    "HEALTHCHECK": "HEALTHCHECK is not run.",
    "VOLUME": "A VOLUME is part of the disk here.",
    "CMD": "CMD is recorded, not run: give a devbox an entrypoint instead.",
    "ENTRYPOINT": "ENTRYPOINT is recorded, not run: give a devbox an entrypoint instead.",
}


class StageContext(msgspec.Struct, frozen=True):
    """The environment, arguments, working directory, account and shell of a step."""

    env: Mapping[str, str] = msgspec.field(default_factory=dict)
    args: Mapping[str, str] = msgspec.field(default_factory=dict)
    cwd: str | None = None
    user: str | None = None
    """An account, optionally with `:group`; by default root for steps, and `user` for devboxes."""
    shell: tuple[str, ...] = _SHELL

    @property
    def variables(self) -> dict[str, str]:
        """The variables for expansion."""
        # As in Docker, ENV overrides ARG of the same name.
        return {"PATH": PATH, **self.args, **self.env}


class Run(msgspec.Struct, frozen=True):
    """Run a program."""

    argv: tuple[str, ...]
    cached: bool = True
    mounts: tuple[Mount, ...] = ()
    """Sorted, so that a mount on a folder comes before those below it."""


class Copy(msgspec.Struct, frozen=True):
    """Copy files of the build context, of another stage or of heredocs to the disk."""

    sources: tuple[str, ...]
    target: str
    stage: int | str | None = None
    """An earlier stage, or a blueprint's name; the build context by default."""
    owner: str = ""
    mode: int | None = None
    unpack: bool = False
    """True if archives are extracted."""
    documents: Mapping[str, str] = msgspec.field(default_factory=dict)
    exclude: tuple[str, ...] = ()
    parents: bool = False
    """True if the sources keep their folders."""


class Folder(msgspec.Struct, frozen=True):
    """Create a folder."""

    path: str


class Write(msgspec.Struct, frozen=True):
    """Write a file."""

    path: str
    content: str


class Furnish(msgspec.Struct, frozen=True):
    """Add what devboxes have to the disk of an image: the account `user`, sudo and this PATH, where it lacks them."""

    path: str
    folder: str
    """The working folder, which an image may name without having it."""


Action = Run | Copy | Folder | Write | Furnish


class UnknownNameError(Exception):
    """A FROM names something outside of its Dockerfile that the plan was not given."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


class Step(msgspec.Struct, frozen=True):
    """One step of a build."""

    title: str
    stage_context: StageContext
    action: Action | None = None
    line: int | None = None
    note: str | None = None


class Stage(msgspec.Struct, frozen=True):
    """The steps from one FROM to the next."""

    base: int | str | None
    """An earlier stage, the name in FROM, or None for the base blueprint of the build."""
    steps: tuple[Step, ...] = ()
    stage_context: StageContext = msgspec.field(default_factory=StageContext)
    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    name: str | None = None
    on_build: tuple[str, ...] = ()
    """The ONBUILD instructions for stages based on it, each as a separate Dockerfile."""

    def image(self) -> Image:
        """The settings for devboxes from it."""
        stage_context = self.stage_context
        return Image(
            stage_context.env,
            stage_context.cwd,
            stage_context.user,
            self.entrypoint,
            self.command,
            self.on_build,
            shell=() if stage_context.shell == _SHELL else stage_context.shell,
        )

    @property
    def uses(self) -> frozenset[int]:
        """The earlier stages that it is based on, copies from or mounts."""
        return frozenset(stage for stage in self.named if isinstance(stage, int))

    @property
    def named(self) -> list[int | str | None]:
        """All stages and names that it is based on, copies from or mounts."""
        actions = [step.action for step in self.steps]
        copied = [action.stage for action in actions if isinstance(action, Copy)]
        mounts = [mount for action in actions if isinstance(action, Run) for mount in action.mounts]
        return [self.base, *copied, *(mount.stage for mount in mounts if isinstance(mount, Bind | Cache))]


def needed(stages: Sequence[Stage]) -> frozenset[int]:
    """The numbers of the stages that the last one needs, itself included."""
    # As with BuildKit, the others are not built at all, so an error in one of them does not fail the build.
    found, queue = set[int](), [len(stages) - 1]
    while queue:
        number = queue.pop()
        found.add(number)
        queue += stages[number].uses - found
    return frozenset(found)


def secrets_of(stages: Sequence[Stage]) -> list[tuple[Step, Secret]]:
    """The secrets mounted by steps of the last stage and of those that it needs."""
    steps = [step for number in sorted(needed(stages)) for step in stages[number].steps]
    return [
        (step, mount)
        for step in steps
        if isinstance(step.action, Run)
        for mount in step.action.mounts
        if isinstance(mount, Secret)
    ]


def outside_names(stages: Sequence[Stage]) -> list[str]:
    """The names in FROM, COPY --from and RUN --mount that are not stages, of all stages that the last one needs."""
    names = [name for number in sorted(needed(stages)) for name in stages[number].named if isinstance(name, str)]
    return list(dict.fromkeys(names))


def origin_name(stages: Sequence[Stage]) -> str | None:
    """The name in FROM that the last stage stands on, if need be through others."""
    base: int | str | None = len(stages) - 1
    while isinstance(base, int):
        base = stages[base].base
    return base


def plan(
    instructions: Sequence[Instruction],
    build_args: Mapping[str, str],
    images: Mapping[str, Image],
    base: Image | None = None,
) -> tuple[Stage, ...]:
    """Plan the stages of a build. `images` are the settings of the outside names; `base` replaces FROM.

    Raises `InvalidError` with the line of an instruction that cannot be carried out, and `UnknownNameError` for a name
    in FROM that is not among the images.
    """
    return _Plan(build_args, images, base).stages(instructions)


class _Stages:
    """The stages planned so far; steps are added to the last one."""

    def __init__(self, first: Stage | None) -> None:
        self.done: list[Stage] = []
        self._last = first

    @property
    def has_begun(self) -> bool:
        """True from the first FROM on."""
        return self._last is not None

    @property
    def current(self) -> Stage:
        if self._last is None:
            raise ValueError("it comes before FROM")
        return self._last

    @property
    def context(self) -> StageContext:
        return self.current.stage_context

    def begin(self, stage: Stage) -> None:
        """Replace the current stage by this one, which follows it."""
        self._last = stage

    def finish(self) -> None:
        """Note that the current stage, if any, is complete."""
        if self._last is not None:
            self.done.append(self._last)

    def change(self, **changes: object) -> None:
        self._last = msgspec.structs.replace(self.current, **changes)  # names and types are the callers'

    def change_context(self, **changes: object) -> None:
        self.change(stage_context=msgspec.structs.replace(self.context, **changes))

    def step(self, instruction: Instruction, action: Action | None = None) -> Step:
        note = _NOTES.get(instruction.keyword)
        return Step(instruction.title, self.context, action, instruction.line, note)

    def expanded(self, instruction: Instruction, text: str) -> str:
        return expand(text, self.context.variables, instruction.escape)

    def in_shell(self, script: str) -> tuple[str, ...]:
        return (*self.context.shell, script)

    def absolute(self, path: str) -> str:
        return posixpath.join(self.context.cwd or "/", path)

    def find(self, name: str) -> int | str:
        """The earlier stage of this name, or the name itself."""
        names = [stage.name for stage in self.done]
        return names.index(name.lower()) if name.lower() in names else name

    def find_numbered(self, name: str) -> int | str:
        """The earlier stage of this name or number, or the name itself."""
        return int(name) if name.isdigit() and int(name) < len(self.done) else self.find(name)


class _Plan:
    """Plans the instructions one by one, and keeps the current stage."""

    def __init__(self, build_args: Mapping[str, str], images: Mapping[str, Image], base: Image | None) -> None:
        self._build_args = build_args
        self._images = images
        self._base = base
        self._global_args: dict[str, str] = {}
        self._stages = _Stages(None if base is None else _new_stage(None, base))
        self._handlers: dict[str, Callable[[Instruction], Step | None]] = {
            "ADD": self._copy,
            "ARG": self._arg,
            "CMD": self._command,
            "COPY": self._copy,
            "ENTRYPOINT": self._command,
            "ENV": self._env,
            "FROM": self._from,
            "ONBUILD": self._on_build,
            "RUN": self._run,
            "SHELL": self._shell,
            "USER": self._user,
            "WORKDIR": self._workdir,
        }

    def stages(self, instructions: Sequence[Instruction]) -> tuple[Stage, ...]:
        if self._base is not None:
            self._apply_triggers(self._base.on_build, None)
        for instruction in instructions:
            if not self._stages.has_begun and instruction.keyword not in ("ARG", "FROM"):
                raise error_at(instruction.line, f"{instruction.keyword} comes before FROM.")
            self._apply(instruction, instruction.line)
        if not self._stages.has_begun:
            raise error_at(None, "The Dockerfile has no FROM.")
        return (*self._stages.done, self._stages.current)

    def _apply(self, instruction: Instruction, line: int | None) -> None:
        try:
            _check_flags(instruction)
            step = self._handlers.get(instruction.keyword, self._other)(instruction)
        except ValueError as error:
            raise error_at(line, f"{instruction.keyword}: {error}.") from error
        if step is not None:
            self._stages.change(steps=(*self._stages.current.steps, msgspec.structs.replace(step, line=line)))

    def _apply_triggers(self, on_build: Sequence[str], line: int | None) -> None:
        """Plan the ONBUILD instructions of a base."""
        for text in on_build:
            for instruction in parse(text):
                self._apply(instruction, line)

    def _from(self, instruction: Instruction) -> None:
        if self._base is not None:
            raise error_at(instruction.line, "FROM and a base blueprint exclude each other: leave out one of them.")
        variables = {**_PREDEFINED, **self._global_args}
        words = [expand(word, variables, instruction.escape) for word in instruction.text.split()]
        if len(words) not in (1, 3) or (len(words) == 3 and words[1].upper() != "AS") or not words[0]:
            raise ValueError("write FROM name, or FROM name AS stage")
        self._stages.finish()
        base = self._stages.find(words[0])
        name = words[2].lower() if len(words) == 3 else None
        if name is not None and name in [stage.name for stage in self._stages.done]:
            raise ValueError(f"an earlier stage is called {name} already")
        _require_platform(expand(instruction.flag("platform"), variables, instruction.escape))
        if isinstance(base, int):
            # ONBUILD applies to the stage directly based on it, and is not inherited further.
            earlier = self._stages.done[base]
            on_build = earlier.on_build
            self._stages.begin(msgspec.structs.replace(earlier, base=base, steps=(), name=name, on_build=()))
        else:
            if base not in self._images:
                raise UnknownNameError(base)
            image = self._images[base]
            on_build = image.on_build
            self._stages.begin(msgspec.structs.replace(_new_stage(base, image), name=name))
        self._stages.change(steps=(Step(instruction.title, self._stages.context, None, instruction.line),))
        self._apply_triggers(on_build, instruction.line)

    def _arg(self, instruction: Instruction) -> Step | None:
        for word in split_words(instruction.text, instruction.escape):
            name, given, default = word.partition("=")
            if not self._stages.has_begun:
                self._declare(self._global_args, name, expand(default, self._global_args, instruction.escape), given)
            else:
                args = dict(self._stages.context.args)
                inherited = {**_PREDEFINED, **self._global_args}.get(name, "")
                value = self._stages.expanded(instruction, default) if given else inherited
                self._declare(args, name, value, given or name in {**_PREDEFINED, **self._global_args})
                self._stages.change_context(args=args)
        return self._stages.step(instruction) if self._stages.has_begun else None

    def _declare(self, args: dict[str, str], name: str, default: str, has_default: object) -> None:
        # As in BuildKit, without a build arg and a default it stays undefined instead of empty.
        if name in self._build_args:
            args[name] = self._build_args[name]
        elif has_default:
            args[name] = default

    def _env(self, instruction: Instruction) -> Step:
        given = pairs(instruction.text, instruction.escape)
        values = {
            self._stages.expanded(instruction, name): self._stages.expanded(instruction, value) for name, value in given
        }
        self._stages.change_context(env={**self._stages.context.env, **values})
        return self._stages.step(instruction)

    def _run(self, instruction: Instruction) -> Step:
        return self._stages.step(instruction, Run(self._program(instruction), mounts=self._mounts(instruction)))

    def _mounts(self, instruction: Instruction) -> tuple[Mount, ...]:
        def expanded(text: str) -> str:
            return self._stages.expanded(instruction, text)

        flags = instruction.flags.get("mount", ())
        found = [mount_of(text, expanded, self._stages.absolute, self._stages.find_numbered) for text in flags]
        return tuple(sorted(found, key=lambda mount: mount.target or ""))

    def _program(self, instruction: Instruction) -> tuple[str, ...]:
        words = json_form(instruction.text)
        if words:
            return words
        documents = instruction.heredocs
        if len(documents) == 1 and len(split_words(instruction.text)) == 1:
            script = documents[0].text
            return (
                ("/bin/sh", "-c", _SCRIPT, "sh", script) if script.startswith("#!") else self._stages.in_shell(script)
            )
        return self._stages.in_shell("".join([instruction.text, *(f"\n{doc.text}{doc.name}" for doc in documents)]))

    def _command(self, instruction: Instruction) -> Step:
        words = json_form(instruction.text)
        found = words if words is not None else self._stages.in_shell(instruction.text)
        self._stages.change(**{"command" if instruction.keyword == "CMD" else "entrypoint": found})
        return self._stages.step(instruction)

    def _shell(self, instruction: Instruction) -> Step:
        words = json_form(instruction.text)
        if not words:
            raise ValueError('write it as ["program", "argument"]')
        self._stages.change_context(shell=words)
        return self._stages.step(instruction)

    def _user(self, instruction: Instruction) -> Step:
        user = self._stages.expanded(instruction, instruction.text)
        if not re.fullmatch(r"[\w.-]+(:[\w.-]+)?", user):
            raise ValueError(f"{user!r} is not an account")
        self._stages.change_context(user=user)
        return self._stages.step(instruction)

    def _workdir(self, instruction: Instruction) -> Step:
        path = posixpath.normpath(self._stages.absolute(self._stages.expanded(instruction, instruction.text)))
        self._stages.change_context(cwd=path)
        return self._stages.step(instruction, Folder(path))

    def _copy(self, instruction: Instruction) -> Step:
        words = json_form(instruction.text) or tuple(split_words(instruction.text, instruction.escape))
        if len(words) < 2:
            raise ValueError("a source and a target are needed")
        documents = self._documents(instruction)
        announced = {word for word in words[:-1] if "<<" in word} if documents else set()
        sources = [self._stages.expanded(instruction, word) for word in words[:-1] if word not in announced]
        target = self._stages.absolute(self._stages.expanded(instruction, words[-1]))
        if len(words) > 2 and not target.endswith("/"):
            raise ValueError("the target of several sources must be a folder: end it with /")
        return self._stages.step(instruction, self._copied(instruction, tuple(sources), target, documents))

    def _copied(
        self, instruction: Instruction, sources: tuple[str, ...], target: str, documents: Mapping[str, str]
    ) -> Copy:
        flags = {name: self._stages.expanded(instruction, instruction.flag(name)) for name in instruction.flags}
        mode = flags.get("chmod", "")
        if not re.fullmatch(r"[0-7]{0,4}", mode):
            raise ValueError(f"--chmod={mode} must be octal, such as 755")
        if any(_ADDRESS.match(source) for source in sources):
            raise ValueError("URLs are not fetched: use RUN with curl or git")
        return Copy(
            sources,
            target,
            stage=self._stages.find_numbered(source) if (source := flags.get("from")) else None,
            owner=flags.get("chown", ""),
            mode=int(mode, 8) if mode else None,
            unpack=instruction.keyword == "ADD",
            documents=documents,
            exclude=tuple(
                self._stages.expanded(instruction, rule) for rule in instruction.flags.get("exclude", ()) if rule
            ),
            parents=flags.get("parents", "false") in ("", "true"),
        )

    def _documents(self, instruction: Instruction) -> dict[str, str]:
        variables = self._stages.context.variables
        return {
            document.name: expand_document(document.text, variables) if document.expand else document.text
            for document in instruction.heredocs
        }

    def _on_build(self, instruction: Instruction) -> Step:
        self._stages.change(on_build=(*self._stages.current.on_build, trigger_text(instruction)))
        return self._stages.step(instruction)

    def _other(self, instruction: Instruction) -> Step:
        return self._stages.step(instruction)


def _new_stage(base: str | None, image: Image) -> Stage:
    stage_context = StageContext(env=image.env, cwd=image.cwd, user=image.user, shell=image.shell or _SHELL)
    return Stage(base, stage_context=stage_context, entrypoint=image.entrypoint, command=image.command)


def _check_flags(instruction: Instruction) -> None:
    unknown = instruction.flags.keys() - _FLAGS.get(instruction.keyword, frozenset())
    if unknown:
        raise ValueError(f"--{min(unknown)} is not served")


def _require_platform(platform: str) -> None:
    if platform not in ("", PLATFORM) and not platform.startswith(f"{PLATFORM}/"):
        raise ValueError(f"--platform={platform} cannot be built or run on this machine, which is {PLATFORM}")
