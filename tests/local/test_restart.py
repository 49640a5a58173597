"""What a service that was killed leaves to the next one."""

from pathlib import Path

from tests.local.api import connect
from tests.local.processes import alive, descendants
from tests.local.serving import serving
from tests.waiting import until


async def test_a_killed_service_leaves_devboxes_suspended_and_resumable(tmp_path: Path) -> None:
    with serving(tmp_path / "data") as first:
        async with connect(first) as api:
            devbox = await api.create(name="survivor", environment_variables={"A": "kept"})
            ended = await api.create()
            await api.json(f"/v1/devboxes/{ended}/shutdown", {})
            await api.execute(devbox, "echo on disk > file")
            done = await api.execute(devbox, "printf 'a€b'; echo err >&2")
            running = await api.start(devbox, "echo half; sleep 1000")
            async for _ in api.follow(running):
                break
        below = descendants(first.process.pid)
        first.kill()
        await until(lambda: not any(map(alive, below)), "the end of its processes")
    with serving(tmp_path / "data") as second:
        async with connect(second) as api:
            view = await api.json(f"/v1/devboxes/{devbox}")
            assert (view["status"], view["name"]) == ("suspended", "survivor")
            assert view["state_transitions"][-1]["failure_reason"] == "service restarted"
            assert (await api.json(f"/v1/devboxes/{ended}"))["status"] == "shutdown"
            broken = await api.finish(running)
            assert (broken["status"], broken["exit_status"], broken["stdout"]) == ("completed", 137, "half\n")
            old = f"/v1/devboxes/{devbox}/executions/{done['execution_id']}"
            assert (await api.json(old))["stderr"] == "err\n"
            assert [frame["output"] for frame in await api.frames(old)] == ["a€b"]
            await api.json(f"/v1/devboxes/{devbox}/resume", {})
            await api.wait(devbox, "running")
            assert (await api.execute(devbox, "cat file; echo $A"))["stdout"] == "on disk\nkept\n"
            assert [view["id"] for view in (await api.json("/v1/devboxes"))["devboxes"]] == [ended, devbox]
            await api.json(f"/v1/devboxes/{devbox}/shutdown", {})


async def test_a_devbox_that_is_shut_down_without_having_been_resumed_leaves_no_disk(tmp_path: Path) -> None:
    with serving(tmp_path / "data") as first:
        async with connect(first) as api:
            devbox = await api.create()
        first.kill()
    with serving(tmp_path / "data") as second:
        disks = f"sandboxes/*/sandboxes/{devbox}"
        assert [folder.name for folder in second.data_dir.glob(disks)] == [devbox]
        async with connect(second) as api:
            await api.json(f"/v1/devboxes/{devbox}/shutdown", {})
        assert list(second.data_dir.glob(disks)) == []


async def test_a_devbox_whose_creation_was_cut_off_has_failed(tmp_path: Path) -> None:
    with serving(tmp_path / "data") as first:
        async with connect(first) as api:
            slow = {"launch_parameters": {"launch_commands": ["sleep 1000"]}}
            devbox = (await api.json("/v1/devboxes", slow))["id"]
            await api.wait(devbox, "initializing")
        first.kill()
    with serving(tmp_path / "data") as second:
        async with connect(second) as api:
            view = await api.json(f"/v1/devboxes/{devbox}")
            assert view["status"] == "failure"
            assert "service restarted" in view["state_transitions"][-1]["failure_reason"]


async def test_a_stopped_service_ends_commands_before_connections(tmp_path: Path) -> None:
    with serving(tmp_path / "data") as service:
        async with connect(service) as api:
            devbox = await api.create()
            execution = await api.start(devbox, "echo up; sleep 1000")
            stream = api.follow(execution)
            assert (await anext(stream))["output"] == "up\n"
            service.process.terminate()
            assert [frame async for frame in stream] == []
    assert service.process.returncode == 0
    assert (tmp_path / "data.log").read_text() == ""


async def test_a_full_disk_ends_the_command_and_not_the_service(tmp_path: Path) -> None:
    limit = ("prlimit", "--fsize=3000000")
    with serving(tmp_path / "data", "--isolation", "process", before=limit) as service:
        async with connect(service) as api:
            devbox = await api.create()
            result = await api.execute(devbox, "yes")
            assert (result["status"], result["exit_status"]) == ("completed", 137)
            assert "output cannot be kept" in result["stderr"]
            assert result["stdout"].endswith("y\n")
            assert (await api.execute(devbox, "echo fine"))["stdout"] == "fine\n"


async def test_a_full_disk_of_records_is_a_507(tmp_path: Path) -> None:
    limit = ("prlimit", "--fsize=150000")
    with serving(tmp_path / "data", "--isolation", "process", before=limit) as service:
        async with connect(service) as api:
            devbox = await api.create()
            fat = {"metadata": {"fat": "x" * 100_000}}
            answers = [await api.post(f"/v1/devboxes/{devbox}", json=fat) for _ in range(3)]
            assert answers[-1].status_code == 507
            assert "disk" in answers[-1].json()["message"]
            assert (await api.json(f"/v1/devboxes/{devbox}"))["status"] == "running"
            assert (await api.execute(devbox, "echo fine"))["stdout"] == "fine\n"
            assert (await api.json(f"/v1/devboxes/{devbox}/shutdown", {}))["status"] == "shutdown"
