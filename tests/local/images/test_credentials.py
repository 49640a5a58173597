"""Accounts at registries, from the files of Docker and Podman."""

from __future__ import annotations

import base64
import json
import traceback
from pathlib import Path

import pytest

from runloop_local.images.credentials import CredentialFiles, Credentials
from runloop_local.images.errors import SourceError

SECRET = "s3cret"


def auth(text: str) -> dict[str, str]:
    return {"auth": base64.b64encode(text.encode()).decode()}


async def find(home: Path, registry: str = "r.io", repository: str = "a/b", **environment: str) -> Credentials | None:
    return await CredentialFiles({"PATH": str(home), **environment}, home).find(registry, repository)


def write(file: Path, content: object) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(content))


def write_helper(home: Path, name: str, script: str) -> None:
    file = home / f"docker-credential-{name}"
    file.write_text(f"#!/bin/sh\nPATH=/usr/bin:/bin\nread server\n{script}\n")
    file.chmod(0o755)


async def test_there_are_none_without_files(tmp_path: Path) -> None:
    assert await find(tmp_path) is None


@pytest.mark.parametrize(
    ("key", "registry", "repository", "found"),
    [
        ("r.io", "r.io", "a/b", True),
        ("https://r.io", "r.io", "a/b", True),
        ("https://r.io/v2/", "r.io", "a/b", True),
        ("r.io/", "r.io", "a/b", True),
        ("r.io/a", "r.io", "a/b", True),
        ("r.io/a/b", "r.io", "a/b", True),
        ("r.io/other", "r.io", "a/b", False),
        ("r.io:5000", "r.io", "a/b", False),
        ("r.io:5000", "r.io:5000", "a/b", True),
        ("https://index.docker.io/v1/", "docker.io", "library/python", True),
        ("docker.io", "docker.io", "library/python", True),
    ],
)
async def test_the_key_of_a_registry(tmp_path: Path, key: str, registry: str, repository: str, *, found: bool) -> None:
    write(tmp_path / ".docker/config.json", {"auths": {key: auth(f"me:{SECRET}:x")}})
    assert await find(tmp_path, registry, repository) == (Credentials("me", f"{SECRET}:x") if found else None)


async def test_the_most_exact_key_counts(tmp_path: Path) -> None:
    auths = {"r.io": auth("all:1"), "r.io/a/b": auth("exact:2"), "r.io/a": auth("some:3")}
    write(tmp_path / ".config/containers/auth.json", {"auths": auths})
    assert await find(tmp_path, "r.io", "a/b") == Credentials("exact", "2")
    assert await find(tmp_path, "r.io", "a/c") == Credentials("some", "3")
    assert await find(tmp_path, "r.io", "c") == Credentials("all", "1")


async def test_files_are_looked_at_in_podman_s_order(tmp_path: Path) -> None:
    places = {
        "docker": (tmp_path / "d/config.json", {"DOCKER_CONFIG": str(tmp_path / "d")}),
        "config": (tmp_path / "c/containers/auth.json", {"XDG_CONFIG_HOME": str(tmp_path / "c")}),
        "runtime": (tmp_path / "r/containers/auth.json", {"XDG_RUNTIME_DIR": str(tmp_path / "r")}),
        "named": (tmp_path / "n.json", {"REGISTRY_AUTH_FILE": str(tmp_path / "n.json")}),
    }
    environment: dict[str, str] = {}
    for name, (file, variable) in places.items():
        write(file, {"auths": {"r.io": auth(f"{name}:x")}})
        environment.update(variable)
        found = await find(tmp_path, **environment)
        assert found is not None
        assert found.username == name


async def test_a_helper_is_asked_for_its_registry(tmp_path: Path) -> None:
    write(tmp_path / ".docker/config.json", {"credHelpers": {"r.io": "one"}, "credsStore": "all"})
    write_helper(tmp_path, "one", f"""echo '{{"Username":"one","Secret":"{SECRET}"}}'""")
    write_helper(tmp_path, "all", """echo "{\\"Username\\":\\"<token>\\",\\"Secret\\":\\"$server\\"}" """)
    assert await find(tmp_path) == Credentials("one", SECRET)
    assert await find(tmp_path, "s.io") == Credentials(identity_token="s.io")
    assert await find(tmp_path, "docker.io") == Credentials(identity_token="https://index.docker.io/v1/")


async def test_a_helper_that_has_none_is_no_error(tmp_path: Path) -> None:
    write(tmp_path / ".docker/config.json", {"credsStore": "none"})
    write_helper(tmp_path, "none", "echo credentials not found in native keychain; exit 1")
    assert await find(tmp_path) is None


@pytest.mark.parametrize(
    ("content", "script", "reason"),
    [
        ({"credsStore": "lost"}, None, "docker-credential-lost of Docker's configuration cannot be run"),
        ({"credsStore": "../x"}, None, "has a name that none can have"),
        ({"credsStore": "x"}, "exit 3", "docker-credential-x failed with status 3"),
        ({"credsStore": "x"}, f"echo {SECRET}", "gave an answer that cannot be read"),
        ({"auths": {"r.io": auth(SECRET)}}, None, "the credentials for r.io are not readable"),
        ({"auths": {"r.io": {"auth": f"{SECRET}%"}}}, None, "the credentials for r.io are not readable"),
        ({"auths": [SECRET]}, None, "is no file of credentials"),
    ],
)
async def test_what_cannot_be_used_is_said_without_the_secret(
    tmp_path: Path, content: object, script: str | None, reason: str
) -> None:
    write(tmp_path / ".docker/config.json", content)
    if script is not None:
        write_helper(tmp_path, "x", script)
    with pytest.raises(SourceError) as told:
        await find(tmp_path)
    assert reason in str(told.value)
    assert SECRET not in "".join(traceback.format_exception(told.value))


def test_credentials_do_not_show_their_secrets() -> None:
    assert SECRET not in repr(Credentials("me", SECRET, SECRET))
