"""Objects, archives and repositories that are put into a devbox before it runs."""

import gzip
import io
import os
import subprocess
import tarfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

import pytest

from tests.local.api import Api, connect
from tests.local.serving import Service, serving


def packed(mode: Literal["w", "w:gz"], *members: tarfile.TarInfo | tuple[str, bytes]) -> bytes:
    found = io.BytesIO()
    with tarfile.open(None, mode, found) as tar:
        for member in members:
            if isinstance(member, tarfile.TarInfo):
                tar.addfile(member)
            else:
                info = tarfile.TarInfo(member[0])
                info.size = len(member[1])
                tar.addfile(info, io.BytesIO(member[1]))
    return found.getvalue()


def link(name: str, target: str) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = tarfile.SYMTYPE, target
    return info


TREE = (("top/a.txt", b"one"), ("top/deep/b.txt", b"two"), link("top/link", "a.txt"))


async def stored(api: Api, data: bytes, content_type: str) -> str:
    view = await api.json("/v1/objects", {"name": "mounted", "content_type": content_type})
    assert (await api.put(view["upload_url"], content=data)).status_code == 200
    await api.json(f"/v1/objects/{view['id']}/complete", {})
    object_id: str = view["id"]
    return object_id


def mount(object_id: str, path: str) -> dict[str, str]:
    return {"type": "object_mount", "object_id": object_id, "object_path": path}


async def failure(api: Api, **options: Any) -> str:
    view = await api.json("/v1/devboxes/create_and_await_running", options)
    assert view["status"] == "failure", view
    reason: str = view["state_transitions"][-1]["failure_reason"]
    return reason


async def test_objects_of_every_kind(api: Api) -> None:
    large = bytes(range(256)) * 20_000
    kinds = {
        "/home/user/plain.bin": (large, "binary"),
        "notes/text.txt": ("grün\n".encode(), "text"),
        "~/kept.tgz": (packed("w:gz", *TREE), "unspecified"),
        "/home/user/empty": (b"", "text"),
        "tar": (packed("w", *TREE), "tar"),
        "tgz": (packed("w:gz", *TREE), "tgz"),
        "/home/user/gz-tar": (packed("w:gz", *TREE), "gzip"),
        "gz-file": (gzip.compress(large), "gzip"),
    }
    mounts = [mount(await stored(api, *kind), path) for path, kind in kinds.items()]
    launched = {"launch_commands": ["cat tgz/top/link > seen"]}
    devbox = await api.create(mounts=mounts, launch_parameters=launched)
    command = """cmp plain.bin gz-file && wc -c < plain.bin; cat notes/text.txt seen; echo; wc -c < empty
tar -tzf kept.tgz | head -1; for d in tar tgz gz-tar; do cat $d/top/link $d/top/deep/b.txt; echo; done
find . -not -user $(id -u) | head"""
    result = await api.execute(devbox, command)
    said = result["stdout"].split("\n")
    assert said == [str(len(large)), "grün", "one", "0", "top/a.txt", "onetwo", "onetwo", "onetwo", ""], result
    await api.json(f"/v1/devboxes/{devbox}/shutdown", {})


async def test_places_outside_the_home_folder_are_made_for_the_user(api: Api, service: Service) -> None:
    mounts = [mount(await stored(api, packed("w", *TREE), "tar"), "/work/tree")]
    mounts.append(mount(await stored(api, b"x", "text"), "/data/file"))
    if service.isolation != "namespaces":
        await api.json("/v1/devboxes", {"mounts": mounts}, status=400)
        return
    devbox = await api.create(mounts=mounts)
    result = await api.execute(devbox, "cat /work/tree/top/a.txt /data/file && touch /work/tree/mine /data/mine")
    assert (result["stdout"], result["exit_status"]) == ("onex", 0)
    await api.json(f"/v1/devboxes/{devbox}/shutdown", {})


EVIL = [
    pytest.param([("../out", b"evil")], "..", id="dots"),
    pytest.param([("a/../../out", b"evil")], "..", id="dots within"),
    pytest.param([link("door", "{out}"), ("door/out", b"evil")], "Not a directory", id="symbolic link"),
    pytest.param([link("door", ".."), ("door/out", b"evil")], "Not a directory", id="symbolic link upwards"),
]


@pytest.mark.parametrize(("members", "said"), EVIL)
@pytest.mark.parametrize("isolation", ["auto", "process"])
async def test_members_of_an_archive_stay_below_its_folder(
    service: Service, tmp_path: Path, members: list[Any], said: str, isolation: str, plain_service: Service
) -> None:
    chosen = service if isolation == "auto" else plain_service
    for member in members:
        if isinstance(member, tarfile.TarInfo):
            member.linkname = member.linkname.format(out=tmp_path)
    async with connect(chosen) as api:
        reason = await failure(api, mounts=[mount(await stored(api, packed("w", *members), "tar"), "in/side")])
    assert said in reason
    assert os.listdir(tmp_path) == []


@pytest.fixture(scope="module")
def plain_service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with serving(tmp_path_factory.mktemp("plain") / "data", "--isolation", "process") as running:
        yield running


async def test_an_absolute_member_lands_below_the_folder(api: Api) -> None:
    devbox = await api.create(mounts=[mount(await stored(api, packed("w", ("/etc/evil", b"x")), "tar"), "in")])
    assert (await api.execute(devbox, "cat in/etc/evil; ls /etc/evil"))["stdout"] == "x"
    await api.json(f"/v1/devboxes/{devbox}/shutdown", {})


@pytest.mark.parametrize(
    ("data", "kind"),
    [(b"no archive at all", "tgz"), (packed("w:gz", *TREE)[:60], "tgz"), (b"\x1f\x8bno", "gzip")],
    ids=["text", "cut", "no gzip"],
)
async def test_a_broken_archive_is_a_failure_that_names_the_object(api: Api, data: bytes, kind: str) -> None:
    object_id = await stored(api, data, kind)
    assert object_id in await failure(api, mounts=[mount(object_id, "in")])


async def test_a_place_that_cannot_be_written_is_a_failure_that_names_it(api: Api) -> None:
    object_id = await stored(api, b"x", "text")
    reason = await failure(api, mounts=[mount(object_id, "file/below")], file_mounts={"file": "no folder"})
    assert "file/below" in reason


@pytest.mark.parametrize(
    ("mounts", "status", "said"),
    [
        ([mount("obj_nope", "x")], 404, "obj_nope"),
        ([mount("{uploading}", "x")], 400, "UPLOADING"),
        ([mount("{deleted}", "x")], 404, "deleted"),
        ([mount("{deleted}", "")], 400, "empty"),
        ([{"type": "object_mount", "object_id": "x"}], 400, "object_path"),
        ([{"type": "broker_mount", "axon_id": "x"}], 501, "broker_mount"),
        ([{"type": "agent_mount", "agent_id": "agt_1"}], 501, "agent_mount"),
        ([{"type": "carousel"}], 400, "carousel"),
        ([{"type": "code_mount", "repo_owner": "a", "repo_name": "../b"}], 400, "repo_name"),
        ([{"type": "code_mount", "repo_owner": "-a", "repo_name": "b"}], 400, "repo_owner"),
        ([{"type": "file_mount", "target": "x", "content": "a" * 98_251}], 400, "98,250"),
        ([{"type": "file_mount", "target": "x", "content": "ü" * 49_126}], 400, "98,250"),
    ],
    ids=lambda value: str(value)[:60],
)
async def test_impossible_mounts_are_refused_at_once(api: Api, mounts: list[Any], status: int, said: str) -> None:
    uploading = (await api.json("/v1/objects", {"name": "n", "content_type": "text"}))["id"]
    deleted = await stored(api, b"x", "text")
    await api.json(f"/v1/objects/{deleted}/delete", {})
    for wanted in mounts:
        if "object_id" in wanted:
            wanted["object_id"] = wanted["object_id"].format(uploading=uploading, deleted=deleted)
    error = await api.json("/v1/devboxes", {"mounts": mounts}, status=status)
    assert said in error["message"]


async def test_a_file_mount_of_the_greatest_size(api: Api) -> None:
    devbox = await api.create(file_mounts={"f": "a" * 98_250})
    assert (await api.execute(devbox, "wc -c < f"))["stdout"] == "98250\n"
    await api.json(f"/v1/devboxes/{devbox}/shutdown", {})


@pytest.mark.parametrize("option", ["gateways", "mcp"])
async def test_what_needs_the_cloud_is_a_501_that_says_why(api: Api, option: str) -> None:
    error = await api.json(
        "/v1/devboxes", {option: {"A": {"gateway": "g", "mcp_config": "m", "secret": "s"}}}, status=501
    )
    assert option in error["message"]
    assert "cloud" in error["message"]


@pytest.fixture
def repository(tmp_path: Path) -> bytes:
    """A bare repository acme/tool.git with the branches main and dev, in a tgz."""
    work, bare = tmp_path / "work", tmp_path / "acme" / "tool.git"
    script = """git init -q -b main . && git config user.email a@b && git config user.name n
echo main > branch && git add . && git commit -qm 1 && git checkout -qb dev && echo dev > branch && git commit -qam 2
git checkout -q main && git clone -q --bare . "$0" """
    work.mkdir()
    subprocess.run(["sh", "-ec", script, bare], cwd=work, check=True, env={"PATH": "/usr/bin:/bin"})
    found = io.BytesIO()
    with tarfile.open(fileobj=found, mode="w:gz") as tar:
        tar.add(tmp_path / "acme", "acme")
    return found.getvalue()


async def with_repository(api: Api, repository: bytes) -> dict[str, Any]:
    """Options of a devbox in which github.com is a folder of its own."""
    elsewhere = {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "url.../mirror/.insteadOf", "GIT_CONFIG_VALUE_0": ""}
    elsewhere |= {"GIT_CONFIG_KEY_0": "url.mirror/.insteadOf", "GIT_CONFIG_VALUE_0": "https://github.com/"}
    return {
        "environment_variables": elsewhere,
        "mounts": [mount(await stored(api, repository, "tgz"), "mirror")],
    }


async def test_repositories_are_cloned_and_installed(api: Api, repository: bytes) -> None:
    options = await with_repository(api, repository)
    install = "cp branch ~/installed; echo $GIT_TERMINAL_PROMPT > ~/prompt"
    code = {"repo_owner": "acme", "repo_name": "tool", "git_ref": "dev", "install_command": install}
    devbox = await api.create(**options, code_mounts=[code])
    assert (await api.execute(devbox, "cat tool/branch installed prompt"))["stdout"] == "dev\ndev\n\n"
    logs = (await api.json(f"/v1/devboxes/{devbox}/logs"))["logs"]
    assert any("git clone" in log.get("cmd", "") for log in logs if log["source"] == "setup_commands")
    await api.json(f"/v1/devboxes/{devbox}/shutdown", {})


def holding(folder: Path, text: str) -> list[Path]:
    """The files below a folder that hold `text`."""
    found = []
    for parent, _, names in os.walk(folder):  # what ends meanwhile is passed over
        for file in (Path(parent, name) for name in names):
            with suppress(FileNotFoundError):
                if file.is_file() and text.encode() in file.read_bytes():
                    found.append(file)
    return found


async def test_the_token_of_a_repository_is_kept_nowhere(api: Api, service: Service) -> None:
    token = "ghp_0123456789tokenvalue"
    code = {"type": "code_mount", "repo_owner": "acme", "repo_name": "tool", "token": token}
    slow = {"HTTPS_PROXY": "http://127.0.0.1:9", "https_proxy": "http://127.0.0.1:9"}
    reason = await failure(api, mounts=[code], environment_variables=slow)
    assert "acme/tool" in reason
    assert token not in reason
    assert holding(service.data_dir, token) == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"git_ref": "no-such"}, "no-such"),
        ({"repo_name": "other"}, "other"),
        ({"install_command": "exit 7"}, "status 7"),
    ],
    ids=["ref", "repository", "install"],
)
async def test_a_repository_that_cannot_be_mounted_says_why(
    api: Api, repository: bytes, change: dict[str, str], said: str
) -> None:
    options = await with_repository(api, repository)
    reason = await failure(api, **options, code_mounts=[{"repo_owner": "acme", "repo_name": "tool", **change}])
    assert "acme/" in reason
    assert said in reason


async def test_without_git_a_repository_says_so(api: Api) -> None:
    code = [{"repo_owner": "acme", "repo_name": "tool"}]
    hide = {"file_mounts": {".bash_profile": "PATH=/nowhere"}, "code_mounts": code}
    assert "git: command not found" in await failure(api, **hide)
