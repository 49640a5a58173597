"""Run by `test_official_client.py` with the official client 1.29.0 or 1.32.0: asserts, and prints what it did."""

import asyncio
import sys
import tempfile
from pathlib import Path

from runloop_api_client import APIStatusError, NotFoundError, __version__
from runloop_api_client.sdk import AsyncRunloopSDK, Devbox, RunloopSDK

BASE_URL, KEY, VERSION = sys.argv[1:]


def did(what: str) -> None:
    print(what, flush=True)  # noqa: T201 -- the test shows it when something fails


def commands(devbox: Devbox) -> None:
    heard: list[str] = []
    result = devbox.cmd.exec("seq 200; echo err >&2; exit 3", stdout=heard.append)
    expected = "".join(f"{n}\n" for n in range(1, 201))
    assert (result.exit_code, result.stdout(), result.stderr()) == (3, expected, "err\n")
    assert "".join(heard) == expected
    did("exec with callbacks")
    execution = devbox.cmd.exec_async("sleep 1000")
    execution.kill()
    assert execution.result().exit_code == 137
    did("kill")


def shells(devbox: Devbox) -> None:
    shell = devbox.shell("main")
    shell.exec("mkdir -p sub; cd sub; export A=5")
    result = shell.exec("echo $A ${PWD##*/}")
    assert result.stdout() == "5 sub\n", result.stdout()
    assert devbox.shell().exec("echo $A ${PWD##*/}").stdout() == "user\n"
    assert shell.exec_async("echo later").result().stdout() == "later\n"
    assert any(log.cmd == "echo later" for log in devbox.logs(shell_name="main").logs)
    did("named shells")


def files(devbox: Devbox) -> None:
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "up"
        source.write_bytes(bytes(range(256)))
        devbox.file.upload(path="deep/up", file=source)
    assert devbox.file.download(path="deep/up") == bytes(range(256))
    devbox.file.write(file_path="t", contents="ü")
    assert devbox.file.read(file_path="t") == "ü"
    try:
        devbox.file.read(file_path="missing")
    except NotFoundError:
        did("files")
    else:
        raise AssertionError("reading a missing file raised nothing")


def beside_devboxes(sdk: RunloopSDK) -> None:
    made = sdk.storage_object.upload_from_text("grün", name="old object")
    assert made.download_as_text() == "grün"
    secret = sdk.secret.create(name="old-client", value="hidden")
    mounts = [{"type": "object_mount", "object_id": made.id, "object_path": "/home/user/mounted"}]
    with sdk.devbox.create(mounts=mounts, secrets={"TOKEN": "old-client"}) as devbox:
        assert devbox.cmd.exec("cat mounted; echo $TOKEN").stdout() == "grünhidden\n"
    secret.delete()
    assert made.delete().state == "DELETED"
    did("objects and secrets")
    axon = sdk.axon.create(name="old axon")
    assert axon.publish(event_type="e", origin="USER_EVENT", payload="{}", source="s").sequence == 1
    with axon.subscribe_sse() as stream:
        assert next(iter(stream)).sequence == 1
    assert axon.sql.query(sql="SELECT ? + 1", params=[41]).rows == [[42]]
    policy = sdk.network_policy.create(name="old policy", allow_all=True)
    assert policy.get_info().egress.allow_all
    assert policy.delete().id == policy.id
    did("axons and network policies")


def removed(sdk: RunloopSDK) -> None:
    """What the API no longer has is said at once: the client would go on for half a minute where it may retry."""
    for name, call in {
        "agents": sdk.api.agents.list,
        "scenarios": sdk.api.scenarios.list,
        "scenarios.scorers": sdk.api.scenarios.scorers.list,
        "benchmarks": sdk.api.benchmarks.list,
        "benchmark_runs": sdk.api.benchmark_runs.list,
        "benchmark_jobs": sdk.api.benchmark_jobs.list,
    }.items():
        answered: APIStatusError | None = None
        try:
            call()
        except APIStatusError as error:
            answered = error
        assert answered is not None, f"{name} is served"
        assert (answered.status_code, f" {name} " in str(answered)) == (501, True), answered
        assert answered.request.headers["x-stainless-retry-count"] == "0", f"{name} was asked for again"
    did("removed resources")


def life(sdk: RunloopSDK, devbox: Devbox) -> None:
    devbox.suspend()
    assert devbox.await_suspended().status == "suspended"
    assert devbox.resume().status == "running"
    devbox.keep_alive()
    assert devbox.id in [found.id for found in sdk.devbox.list(limit=100)]
    assert devbox.shutdown().status == "shutdown"
    did("suspend, resume, keep alive, list, shutdown")


async def asynchronously() -> None:
    async with AsyncRunloopSDK(bearer_token=KEY, base_url=BASE_URL) as sdk:
        async with await sdk.devbox.create(name="old async") as devbox:
            heard: list[str] = []
            result = await devbox.cmd.exec("echo a; sleep 0.05; echo b", output=heard.append)
            assert (await result.stdout(), "".join(heard)) == ("a\nb\n", "a\nb\n")
            execution = await devbox.cmd.exec_async("for n in 1 2 3; do echo $n; done")
            assert await (await execution.result()).stdout() == "1\n2\n3\n"
    did("the asynchronous client")


def main() -> None:
    did(__version__)
    assert __version__ == VERSION
    with RunloopSDK(bearer_token=KEY, base_url=BASE_URL) as sdk:
        devbox = sdk.devbox.create(name="old client")
        commands(devbox)
        shells(devbox)
        files(devbox)
        beside_devboxes(sdk)
        removed(sdk)
        life(sdk, devbox)
    asyncio.run(asynchronously())
    did("all done")


main()
