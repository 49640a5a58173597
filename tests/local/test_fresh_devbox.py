"""What works in a devbox that nobody has prepared."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from runloop_local.sandbox import base_layer
from tests.local.api import Api
from tests.local.serving import Service
from tests.starter import FROM
from tests.waiting import until
from tests.wheels import wheel

SYSTEM = "/usr/local/bin:/usr/bin:/bin"


def install(name: str, by: str = "pip") -> str:
    file = f"/tmp/{name}-1.0-py3-none-any.whl"
    return f"echo {wheel(name)} | base64 -d > {file} && {by} install --no-index -q {file} 2>&1 && rm {file}"


@pytest.fixture
async def namespaces(api: Api, service: Service) -> Api:
    if service.isolation != "namespaces" or shutil.which("pip", path=SYSTEM) is None:
        pytest.skip("a devbox has the root and the pip of this machine, where there are some")
    return api


@pytest.mark.parametrize("by", ["pip", "pip3", "python -m pip", "sudo pip", "sudo python3 -m pip"])
async def test_what_pip_installs_runs(namespaces: Api, by: str) -> None:
    devbox = await namespaces.create()
    name = f"installed{abs(hash(by))}"
    assert (await namespaces.execute(devbox, f"{install(name, by)} && {name}"))["stdout"] == f"{name} runs\n"
    for command in (name, f"python -c 'import {name} as m; m.main()'", f"sudo -u user -i {name}"):
        result = await namespaces.execute(devbox, command)
        assert (result["stdout"], result["exit_status"]) == (f"{name} runs\n", 0), result["stderr"]


async def test_what_pip_installs_in_a_build_runs(namespaces: Api) -> None:
    dockerfile = f"{FROM}\nRUN {install('built')} && built"
    blueprint = await namespaces.json("/v1/blueprints", {"name": "built", "dockerfile": dockerfile})

    async def ended() -> dict[str, Any] | None:
        view: dict[str, Any] = await namespaces.json(f"/v1/blueprints/{blueprint['id']}")
        return view if view["status"] in ("build_complete", "failed") else None

    built = await until(ended, "the end of the build")
    assert built["status"] == "build_complete", await namespaces.json(f"/v1/blueprints/{blueprint['id']}/logs")
    devbox = await namespaces.create(blueprint_id=blueprint["id"])
    assert (await namespaces.execute(devbox, "built"))["stdout"] == "built runs\n"


@pytest.mark.parametrize("program", ["python", "python3", "sudo", "ldconfig", "useradd"])
async def test_programs_are_found(namespaces: Api, program: str) -> None:
    devbox = await namespaces.create()
    assert (await namespaces.execute(devbox, f"command -v {program}"))["exit_status"] == 0


async def test_programs_of_the_account_are_found(namespaces: Api) -> None:
    devbox = await namespaces.create()
    await namespaces.execute(devbox, "mkdir -p ~/.local/bin; echo 'echo mine runs' > ~/.local/bin/mine")
    result = await namespaces.execute(devbox, "chmod +x ~/.local/bin/mine; mine")
    assert result["stdout"] == "mine runs\n"


@pytest.mark.parametrize(
    ("kind", "is_taken"),
    [("open", True), ("private", False), ("a link to a private one", False), ("malformed", False), ("none", False)],
)
def test_settings_of_pip_are_taken_where_every_account_may_read_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, is_taken: bool
) -> None:
    own, layer = tmp_path / "pip.conf", tmp_path / "layer"
    (layer / "etc").mkdir(parents=True)
    secret = tmp_path / "secret.conf"
    secret.write_text("[global]\nindex-url = https://user:password@example.invalid\n")
    secret.chmod(0o600 if "private" in kind else 0o644)
    if kind == "a link to a private one":
        own.symlink_to(secret)
    elif kind == "malformed":
        own.write_text("index-url = password")
    elif kind != "none":
        secret.rename(own)
    monkeypatch.setattr(base_layer, "_PIP", own)
    base_layer._make_python(layer)
    made = (layer / "etc/pip.conf").read_text()
    assert ("password" in made, "break-system-packages = true" in made) == (is_taken, True)
