"""Blueprints over a socket: builds, their logs, devboxes from them, lists, deletion, restarts."""

from pathlib import Path
from typing import Any

import pytest

from tests.local.api import Api, connect
from tests.local.serving import Service, serving
from tests.local.test_snapshots import layers_on_disk, shut_down, snapshot, until_layers
from tests.starter import FROM
from tests.waiting import until


async def ended(api: Api, blueprint_id: str) -> dict[str, Any]:
    """The blueprint, built or failed."""

    async def ask() -> dict[str, Any] | None:
        found: dict[str, Any] = await api.json(f"/v1/blueprints/{blueprint_id}")
        return found if found["status"] in ("failed", "build_complete") else None

    view: dict[str, Any] = await until(ask, "the end of the build")
    return view


async def log(api: Api, blueprint_id: str) -> str:
    entries = (await api.json(f"/v1/blueprints/{blueprint_id}/logs"))["logs"]
    return "\n".join(entry["message"] for entry in entries)


async def build(api: Api, name: str, *, fails: bool = False, **options: Any) -> str:
    """The id of a blueprint that has been built, or whose build has failed."""
    made = await api.json("/v1/blueprints", {"name": name, **options})
    assert made["status"] == "queued"
    view = await ended(api, made["id"])
    assert (view["status"] == "failed") == fails, await log(api, made["id"])
    blueprint_id: str = made["id"]
    return blueprint_id


async def prints(api: Api, command: str, **origin: str) -> str:
    """What a command prints in a new devbox."""
    devbox = await api.create(**origin)
    result = await api.execute(devbox, command)
    await shut_down(api, devbox)
    text: str = result["stdout"]
    return text


async def ids(api: Api, query: str) -> list[str]:
    return [view["id"] for view in (await api.json(f"/v1/blueprints?{query}"))["blueprints"]]


@pytest.fixture(autouse=True)
def _namespaces(service: Service) -> None:
    """What plain processes can build is tested at the end, on a service of their own."""
    assert service.isolation == "namespaces", "start the tests where namespaces work"


FULL = f"""{FROM}
ARG WHO=nobody
ENV GREETING="hello there" PATH=/opt/tool/bin:$PATH
RUN mkdir -p /opt/tool/bin && cd /opt/tool/bin && \\
    printf '#!/bin/sh\\necho tool for %s\\n' "$WHO" > tool && \\
    # so that it can be run
    chmod 755 tool
WORKDIR /srv/app
CMD ["tool"]
"""


async def test_a_devbox_from_a_blueprint_has_its_disk_and_settings(api: Api) -> None:
    blueprint = await build(
        api,
        "full",
        dockerfile=FULL,
        build_args={"WHO": "you"},
        system_setup_commands=["sudo sh -c 'id -un > /etc/setup'", "id -un >> /tmp/setup; pwd >> /tmp/setup"],
        file_mounts={"~/notes": "mine", "/etc/conf": "conf"},
        launch_parameters={"launch_commands": ["touch /tmp/launched"], "keep_alive_time_seconds": 77},
        metadata={"k": "v"},
    )
    devbox = await api.create(blueprint_id=blueprint, launch_parameters={"resource_size_request": "SMALL"})
    view = await api.json(f"/v1/devboxes/{devbox}")
    assert view["blueprint_id"] == blueprint
    parameters = view["launch_parameters"]
    assert (parameters["keep_alive_time_seconds"], parameters["resource_size_request"]) == (77, "SMALL")
    result = await api.execute(
        devbox,
        "pwd; echo $GREETING; tool; cat /etc/setup /tmp/setup; cat ~/notes /etc/conf; stat -c %U ~/notes; ls /tmp",
    )
    assert result["stdout"].split("\n") == [
        *(
            "/srv/app",
            "hello there",
            "tool for you",
            "root",
            "user",
            "/home/user",
            "mineconfuser",
            "launched",
            "setup",
            "",
        )
    ]
    in_shell = await api.execute(devbox, "tool; pwd", shell_name="s")
    assert in_shell["stdout"] == "tool for you\n/srv/app\n"
    taken = await snapshot(api, devbox)
    assert await prints(api, "pwd; echo $GREETING; tool", snapshot_id=taken) == "/srv/app\nhello there\ntool for you\n"
    await shut_down(api, devbox)
    page = await api.json(f"/v1/devboxes/disk_snapshots?source_blueprint_id={blueprint}")
    assert [view["id"] for view in page["snapshots"]] == [taken]
    refused = await api.json(f"/v1/blueprints/{blueprint}/delete", {}, status=400)
    assert "snapshots depend" in refused["message"]
    await api.json(f"/v1/devboxes/disk_snapshots/{taken}/delete", {})
    await api.json(f"/v1/blueprints/{blueprint}/delete", {})


async def test_views_hold_what_was_asked_for_and_no_tokens(api: Api) -> None:
    asked = {
        "dockerfile": f"{FROM}\nRUN true",
        "metadata": {"k": "v"},
        "code_mounts": [{"repo_owner": "o", "repo_name": "r", "token": "hunter2"}],
    }
    made = await api.json("/v1/blueprints", {"name": "shown", **asked})
    await ended(api, made["id"])
    view = await api.json(f"/v1/blueprints/{made['id']}")
    assert (view["name"], view["state"], view["metadata"]) == ("shown", "created", {"k": "v"})
    assert view["parameters"]["dockerfile"] == asked["dockerfile"]
    assert "hunter2" not in str(view) + await log(api, made["id"])


async def test_logs_grow_while_it_builds(api: Api) -> None:
    made = await api.json(
        "/v1/blueprints",
        {"name": "live", "dockerfile": f"{FROM}\nRUN echo early; sleep 1000"},
    )

    async def early() -> str:
        text = await log(api, made["id"])
        return text if "early" in text.split("\n") else ""

    text = await until(early, "its first line")
    assert "this machine's own userland" in text
    assert (await api.json(f"/v1/blueprints/{made['id']}"))["status"] == "building"
    assert await ids(api, "status=building") == [made["id"]]
    await api.json("/v1/devboxes", {"blueprint_id": made["id"]}, status=400)
    await api.json(f"/v1/blueprints/{made['id']}/delete", {})
    view = await api.json(f"/v1/blueprints/{made['id']}")
    assert (view["state"], view["status"]) == ("deleted", "failed")


async def test_a_failed_build_says_where(api: Api) -> None:
    failed = await build(
        api,
        "broken",
        fails=True,
        dockerfile=f"{FROM}\n\nRUN echo partly; exit 3\nRUN echo never",
    )
    view = await api.json(f"/v1/blueprints/{failed}")
    assert view["failure_reason"] == "build_failed"
    assert view["build_finish_time_ms"] >= view["create_time_ms"]
    entries = (await api.json(f"/v1/blueprints/{failed}/logs"))["logs"]
    assert entries[-1]["level"] == "error"
    assert entries[-1]["message"] == "Dockerfile line 3: RUN echo partly; exit 3: exit status 3."
    assert "never" not in entries[-2]["message"]
    assert "failed" in (await api.json("/v1/devboxes", {"blueprint_id": failed}, status=400))["message"]
    setup = await build(api, "broken", fails=True, system_setup_commands=["sudo false"])
    assert (await log(api, setup)).endswith("system_setup_commands: sudo false: exit status 1.")


async def test_a_name_means_the_latest_that_built(api: Api) -> None:
    first = await build(api, "named", dockerfile=f"{FROM}\nRUN echo 1 > /which")
    assert await prints(api, "cat /which", blueprint_name="named") == "1\n"
    second = await build(api, "named", dockerfile=f"{FROM}\nRUN echo 2 > /which")
    await build(api, "named", fails=True, dockerfile=f"{FROM}\nRUN false")
    assert await prints(api, "cat /which", blueprint_name="named") == "2\n"
    assert await prints(api, "cat /which", blueprint_id=first) == "1\n"
    await api.json(f"/v1/blueprints/{second}/delete", {})
    assert await prints(api, "cat /which", blueprint_name="named") == "1\n"
    assert "deleted" in (await api.json("/v1/devboxes", {"blueprint_id": second}, status=404))["message"]
    await api.json("/v1/devboxes", {"blueprint_name": "never-built"}, status=404)


async def test_blueprints_on_blueprints(api: Api) -> None:
    below = await build(api, "below", dockerfile=f"{FROM}\nENV A=1\nWORKDIR /below\nRUN echo below > file")
    by_from = await build(api, "by-from", dockerfile="FROM below:latest\nRUN cat file; echo $A > second")
    assert "below:latest is the blueprint" in await log(api, by_from)
    assert await prints(api, "cat file second", blueprint_id=by_from) == "below\n1\n"
    by_id = await build(api, "by-id", base_blueprint_id=below, system_setup_commands=["echo third > ~/third"])
    assert (await api.json(f"/v1/blueprints/{by_id}"))["base_blueprint_id"] == below
    by_name = await build(api, "by-name", base_blueprint_name="by-id", dockerfile="RUN cat file /home/user/third")
    assert "third" in (await log(api, by_name)).split("\n")
    copied = await build(api, "copied", dockerfile=f"{FROM}\nCOPY --from=below /below/file /copy")
    assert await prints(api, "cat /copy", blueprint_id=copied) == "below\n"
    for blueprint in (below, by_id):
        await api.json(f"/v1/blueprints/{blueprint}/delete", {})
    assert await prints(api, "cat file ~/third", blueprint_id=by_name) == "below\nthird\n"


async def test_user_of_a_blueprint(api: Api) -> None:
    await build(api, "rooted", dockerfile=f"{FROM}\nUSER root")
    await build(api, "plain", dockerfile=f"{FROM}\nRUN id -un")
    assert await prints(api, "id -un", blueprint_name="rooted") == "root\n"
    assert await prints(api, "id -un", blueprint_name="plain") == "user\n"
    devbox = await api.create(
        blueprint_name="rooted", launch_parameters={"user_parameters": {"username": "user", "uid": 1000}}
    )
    assert (await api.execute(devbox, "id -un"))["stdout"] == "user\n"
    await shut_down(api, devbox)


async def test_repositories_are_cloned_with_their_install_command(api: Api) -> None:
    mirror = (
        f"{FROM}\n"
        "RUN git init -q --bare /srv/o/r.git && git init -q /tmp/w && cd /tmp/w && git checkout -q -b main && "
        "echo code > file && git add . && git -c user.name=n -c user.email=e commit -q -m m && git tag v1 && "
        "git push -q /srv/o/r.git main v1 && git --git-dir /srv/o/r.git symbolic-ref HEAD refs/heads/main && "
        "git config --system url.file:///srv/.insteadOf https://github.com/ && "
        "git config --system --add safe.directory '*'\n"
    )
    mount = {"repo_owner": "o", "repo_name": "r", "git_ref": "v1", "token": "secret-token"}
    mounts = [{**mount, "install_command": "cp file installed; env | grep -c GIT_CONFIG_VALUE"}]
    blueprint = await build(api, "code", dockerfile=mirror, code_mounts=mounts)
    assert (
        await prints(api, "cd r; cat file installed; stat -c %U file", blueprint_id=blueprint) == "code\ncode\nuser\n"
    )
    assert await prints(api, "sudo grep -rl secret-token ~ /etc /tmp; true", blueprint_id=blueprint) == ""
    mounts = [{**mount, "repo_name": "missing"}]
    failed = await build(api, "code", fails=True, dockerfile=mirror, code_mounts=mounts)
    assert "code_mounts: o/missing: exit status 128" in await log(api, failed)


async def test_lists(api: Api) -> None:
    first = await build(api, "list-a", dockerfile=FROM)
    second = await build(api, "list-a", fails=True, dockerfile=f"{FROM}\nRUN false")
    third = await build(api, "list-b", dockerfile=FROM)
    assert await ids(api, "name=list-a") == [second, first]
    assert await ids(api, "name=list-a&status=build_complete") == [first]
    assert await ids(api, "search=LIST-") == [third, second, first]
    assert await ids(api, "search=list-&limit=1") == [third]
    assert await ids(api, f"search=list-&limit=1&starting_after={third}") == [second]
    await api.json(f"/v1/blueprints/{second}/delete", {})
    assert await api.json(f"/v1/blueprints/{second}/delete", {}) == {}
    assert await ids(api, "name=list-a") == [first]
    assert await api.json("/v1/blueprints/list_public") == {"blueprints": [], "has_more": False, "total_count": 0}


async def test_the_same_request_builds_once(api: Api) -> None:
    headers = {"x-request-id": "build-once"}
    made = [
        (await api.json("/v1/blueprints", {"name": "once", "dockerfile": FROM}, headers=headers))["id"] for _ in "ab"
    ]
    assert made[0] == made[1]
    assert await ids(api, "name=once") == made[:1]


PREVIEWS: dict[str, tuple[dict[str, Any], str]] = {
    "a Dockerfile": (
        {"dockerfile": f"{FROM}\nRUN y"},
        f"{FROM}\nRUN y\n",
    ),
    "commands": (
        {"dockerfile": FROM, "system_setup_commands": ["a", "b\nc"]},
        f"{FROM}\nUSER user\nWORKDIR /home/user\nRUN a\nRUN <<'EOF'\nb\nc\nEOF\n",
    ),
    "files": (
        {"base_blueprint_name": "n", "file_mounts": {"/f": "EOF\n"}},
        "FROM n\nUSER user\nWORKDIR /home/user\nCOPY --chown=user <<'EOF_' /f\nEOF\nEOF_\n",
    ),
    "nothing": ({}, f"{FROM}\n"),
}


@pytest.mark.parametrize(("options", "dockerfile"), PREVIEWS.values(), ids=PREVIEWS.keys())
async def test_preview(api: Api, options: dict[str, Any], dockerfile: str) -> None:
    assert await api.json("/v1/blueprints/preview", {"name": "p", **options}) == {"dockerfile": dockerfile}


BAD: dict[str, tuple[dict[str, Any], int, str]] = {
    "no name": ({}, 400, "name"),
    "empty name": ({"name": ""}, 400, "name"),
    "name too long": ({"name": "x" * 256}, 400, "name"),
    "malformed Dockerfile": (
        {"name": "b", "dockerfile": f"{FROM}\nFETCH y"},
        400,
        "line 2",
    ),
    "Dockerfile without FROM": ({"name": "b", "dockerfile": "RUN x"}, 400, "line 1"),
    "Dockerfile of comments": ({"name": "b", "dockerfile": "# x"}, 200, ""),
    "FROM and base": (
        {"name": "b", "dockerfile": FROM, "base_blueprint_name": "bad-base"},
        400,
        "line 1",
    ),
    "two bases": ({"name": "b", "base_blueprint_name": "a", "base_blueprint_id": "b"}, 400, "one of"),
    "unknown base": ({"name": "b", "base_blueprint_name": "nowhere"}, 404, "nowhere"),
    "unknown base id": ({"name": "b", "base_blueprint_id": "bpt_none"}, 404, "bpt_none"),
    "unknown context": ({"name": "b", "build_context": {"type": "object", "object_id": "obj_none"}}, 404, "obj_none"),
    "context of another type": ({"name": "b", "build_context": {"type": "x", "object_id": "o"}}, 400, "build_context"),
    "unknown secret": ({"name": "b", "secrets": {"A": "NO_SUCH_SECRET"}}, 404, "NO_SUCH_SECRET"),
    "big file": ({"name": "b", "file_mounts": {"f": "x" * 98_251}}, 400, "98,250"),
    "repository": ({"name": "b", "code_mounts": [{"repo_owner": "a b", "repo_name": "r"}]}, 400, "repo_owner"),
    "launch parameters": ({"name": "b", "launch_parameters": {"keep_alive_time_seconds": -1}}, 400, "keep_alive"),
}


@pytest.mark.parametrize(("body", "status", "message"), BAD.values(), ids=BAD.keys())
async def test_bad_input(api: Api, body: dict[str, Any], status: int, message: str) -> None:
    if body.get("base_blueprint_name") == "bad-base":
        await build(api, "bad-base", dockerfile=FROM)
    answer = await api.json("/v1/blueprints", body, status=status)
    assert message in answer.get("message", "")


@pytest.mark.parametrize("path", ["", "/logs", "/delete"])
async def test_unknown_blueprints_are_404(api: Api, path: str) -> None:
    await api.json(f"/v1/blueprints/bpt_none{path}", {} if path == "/delete" else None, status=404)


async def test_a_kill_loses_no_blueprint_and_leaves_no_half_built_one(tmp_path: Path) -> None:
    with serving(tmp_path / "data") as first:
        async with connect(first) as api:
            done = await build(api, "done", dockerfile=f"{FROM}\nENV A=kept\nRUN echo one > /file")
            kept = layers_on_disk(first)
            half = (
                await api.json(
                    "/v1/blueprints",
                    {"name": "half", "dockerfile": f"{FROM}\nRUN sleep 1000"},
                )
            )["id"]
            await until(lambda: list(first.data_dir.glob("sandboxes/*/sandboxes/build-*")), "the beginning on disk")
        first.kill()
    with serving(tmp_path / "data") as second:
        async with connect(second) as api:
            view = await ended(api, half)
            assert (view["status"], view["failure_reason"]) == ("failed", "build_failed")
            assert "restarted" in await log(api, half)
            await until(lambda: not list(second.data_dir.glob("sandboxes/*/sandboxes/build-*")), "its disk to go")
            assert await prints(api, "cat /file; echo $A", blueprint_name="done") == "one\nkept\n"
            await until_layers(second, kept)
            again = await build(api, "done", dockerfile=f"{FROM}\nENV A=kept\nRUN echo one > /file")
            assert "cached" in await log(api, again)
            assert done != again


async def test_plain_processes_build_what_a_home_folder_can_hold(tmp_path: Path) -> None:
    with serving(tmp_path / "data", "--isolation", "process") as service:
        async with connect(service) as api:
            text = f"{FROM}\nENV A=1\nWORKDIR /home/user/app\nRUN echo $A > file; pwd\nCOPY <<EOF copied\n$A\nEOF\n"
            blueprint = await build(api, "home", dockerfile=text, file_mounts={"notes": "n"})
            assert "has no root" in await log(api, blueprint)
            assert await prints(api, "cat file copied ../notes", blueprint_id=blueprint) == "1\n1\nn"
            failed = await build(api, "away", fails=True, dockerfile=f"{FROM}\nWORKDIR /srv/app")
            assert "Dockerfile line 2: WORKDIR /srv/app: devboxes are plain processes" in await log(api, failed)
