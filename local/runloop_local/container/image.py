"""The image of the service: this installation's own code on a Python image, built by the engine."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from .. import __version__
from ..service_error import ServiceError
from .engine_client import EngineError, error_for

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from .engine_client import EngineClient

BASE = "docker.io/library/python:3.13-slim"
"""The image that it is built on by default."""
BASE_VARIABLE = "RUNLOOP_LOCAL_ENGINE_IMAGE"
NAME = "localhost/runloop-local"
LABEL = "ai.runloop.local"
"""The label of all images and containers of the service."""
PACKAGES = frozenset(
    {
        *("cryptography", "h11", "h2", "httptools", "httpx", "isal", "msgspec", "platformdirs"),
        *("python-multipart", "starlette", "uvicorn", "websockets", "zstandard"),
    }
)
"""The dependencies of this distribution that the service imports, or uvicorn for it."""
_DISTRIBUTION = "runloop-jupyter"
# Their values reach the build from the environment, so that neither a list of processes nor the image shows them.
_PIP = ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_TRUSTED_HOST", "PIP_FIND_LINKS", "PIP_NO_INDEX")
_PROXIES = ("http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")
# Plain enough for builders without BuildKit. The folder is one that devboxes do not see.
_ARGUMENTS = "(arguments)"
_DOCKERFILE = f"""\
ARG BASE
FROM $BASE AS packages
{_ARGUMENTS}COPY requirements.txt /
RUN python3 -m pip install --no-cache-dir --disable-pip-version-check --target /runloop-local -r /requirements.txt
FROM $BASE
COPY --from=packages /runloop-local /runloop-local
COPY runloop_local /runloop-local/runloop_local
RUN python3 -m compileall -q /runloop-local
ENV PYTHONPATH=/runloop-local
LABEL {LABEL}=image
ENTRYPOINT ["python3", "-P", "-m", "runloop_local"]
"""
_NOT_PULLED = ("pull", "manifest", "toomanyrequests", "registry", "resolve", "short-name")


def reference(base: str) -> str:
    """The name of the image that this installation needs: its tag tells the version and the content."""
    content = hashlib.sha256()
    for text in (base, _DOCKERFILE, requirements()):
        content.update(f"{len(text)}:{text}".encode())
    for name, file in _code():
        content.update(f"{len(name)}:{name}".encode())
        content.update(hashlib.sha256(file.read_bytes()).digest())
    return f"{NAME}:{re.sub(r'[^A-Za-z0-9_.-]', '-', __version__)}-{content.hexdigest()[:12]}"


def ensure(engine: EngineClient, base: str) -> str:
    """The name of the image, which is built if it is not there. Raises `ServiceError`."""
    name = reference(base)
    if _is_there(engine, name):
        return name
    _build(engine, name, base)
    if not _is_there(engine, name):  # a builder in a container of its own keeps what it builds
        raise ServiceError(f"{engine.name} has built {name}, but elsewhere: choose its own builder, docker buildx use.")
    _remove_older(engine, name)
    return name


def _is_there(engine: EngineClient, name: str) -> bool:
    return bool(engine.call("image", "ls", "--quiet", name).strip())


def _remove_older(engine: EngineClient, name: str) -> None:
    """Remove the images of other versions but the last, which another environment may use; and but those in use."""
    listed = engine.call("image", "ls", "--filter", f"label={LABEL}=image", "--format", "{{.Repository}}:{{.Tag}}")
    others = [each for each in dict.fromkeys(listed.split()) if each.startswith(f"{NAME}:") and each != name]
    for other in others[1:]:  # the newest is the first
        with suppress(EngineError):
            engine.call("image", "rm", other)


def _build(engine: EngineClient, name: str, base: str) -> None:
    given = [each for each in (*_PIP, *_PROXIES) if os.environ.get(each)]
    with tempfile.TemporaryDirectory(prefix="runloop-local-") as folder:
        write_context(Path(folder), given)
        arguments = ["build", "--tag", name, "--build-arg", f"BASE={base}"]
        for each in given:
            arguments += ["--build-arg", each]
        print(f"Building {name} on {base}, once for this version.", file=sys.stderr, flush=True)  # noqa: T201 - its log
        said = _logged([engine.path, *arguments, folder])
    if said is not None:
        raise _build_error(engine, base, said)


def _logged(command: list[str]) -> str | None:
    """Run a command whose output goes to the log, too; None, or what it said if it failed."""
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
    ) as process:
        lines: list[str] = []
        try:
            for line in process.stdout or ():
                sys.stderr.write(line)
                sys.stderr.flush()
                lines = [*lines[-20:], line]
        except BaseException:  # told to stop
            process.terminate()
            raise
    return "".join(lines) if process.returncode else None


def _build_error(engine: EngineClient, base: str, said: str) -> ServiceError:
    error = error_for(engine.name, "build", 1, said)
    if type(error) is EngineError and "pip install" not in said and any(each in said.lower() for each in _NOT_PULLED):
        return ServiceError(f"{error} Is there an image {base}? {BASE_VARIABLE} names another one, with Python 3.11.")
    return error


def write_context(folder: Path, given: Sequence[str] = ()) -> None:
    """Write what the image is built from; `given` are the build's arguments, for pip."""
    arguments = "".join(f"ARG {each}\n" for each in given)
    dockerfile = _DOCKERFILE.replace(_ARGUMENTS, arguments)
    (folder / "Dockerfile").write_text(dockerfile, encoding="utf-8", newline="\n")
    (folder / "requirements.txt").write_text(requirements(), encoding="utf-8", newline="\n")
    for name, file in _code():
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, target)


def requirements() -> str:
    """What pip installs for the service, from this distribution's own list."""
    from importlib import metadata  # here, as every start imports this module for its constants

    found = (each for each in metadata.requires(_DISTRIBUTION) or () if _project(each) in PACKAGES)
    return "".join(f"{each}\n" for each in sorted(found))


def _project(requirement: str) -> str:
    return re.split(r"[^A-Za-z0-9._-]", requirement, maxsplit=1)[0].lower()


def _code() -> Iterator[tuple[str, Path]]:
    """The files of the service, by their names in the image."""
    package = Path(__file__).parents[1]
    for file in sorted(package.rglob("*")):
        if file.is_file() and "__pycache__" not in file.parts:
            yield f"{package.name}/{file.relative_to(package).as_posix()}", file
