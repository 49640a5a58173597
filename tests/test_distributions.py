"""What is installed from the two distributions of this repository: all of it, or the SDK alone."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import pytest

from tests.jupyter.embedded import embedded_home

pytestmark = pytest.mark.kernel  # IPython and JupyterLab's own command are started
ROOT = Path(__file__).parents[1]
BIN = Path(sys.executable).parent
NAMES = ("runloop-jupyter", "runloop-jupyter-sdk")
FOLDERS = {"runloop-jupyter": ROOT, "runloop-jupyter-sdk": ROOT / "sdk"}
EXTENSION = "share/jupyter/labextensions/runloop-jupyter"
VERSIONS = ("3.11", "3.12", "3.13", "3.14")


def pythons() -> dict[str, str]:
    """The Pythons of this machine that are supported, by version."""
    installed = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"), "versions")
    found = {each: shutil.which(f"python{each}", path=os.defpath) for each in VERSIONS}
    found |= {each: str(path) for each in VERSIONS for path in installed.glob(f"{each}.*/bin/python{each}")}
    own = f"{sys.version_info.major}.{sys.version_info.minor}"
    return {each: path for each, path in {**found, own: sys.executable}.items() if path}


def project(name: str) -> dict[str, Any]:
    described: dict[str, Any] = tomllib.loads((FOLDERS[name] / "pyproject.toml").read_text())["project"]
    return described


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Path]]:
    """The wheel and the source distribution of each, by name and ending."""
    made = {}
    for name, folder in FOLDERS.items():
        out = tmp_path_factory.mktemp(name)
        command: list[str | Path] = [sys.executable, "-m", "build", "--installer", "uv", "--outdir", out, folder]
        path = f"{BIN}:{os.environ['PATH']}"
        subprocess.run(command, check=True, capture_output=True, env={**os.environ, "PATH": path})
        made[name] = {"whl": next(out.glob("*.whl")), "gz": next(out.glob("*.tar.gz"))}
    return made


def installed(folder: Path, python: str, *wanted: Path) -> Path:
    """The Python of a new environment that has these distributions and what they need."""
    uv = BIN / "uv"
    subprocess.run([uv, "venv", "--quiet", "--python", python, folder], check=True)
    subprocess.run([uv, "pip", "install", "--quiet", "--python", folder / "bin" / "python", *wanted], check=True)
    return folder / "bin" / "python"


def test_the_package_index_would_show_the_descriptions(built: dict[str, dict[str, Path]]) -> None:
    files = [file for each in built.values() for file in each.values()]
    checked = subprocess.run(
        [sys.executable, "-m", "twine", "check", "--strict", *files], capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stdout
    assert checked.stdout.count("PASSED") == 4


def test_the_descriptions_lead_nowhere_outside_of_the_index(built: dict[str, dict[str, Path]]) -> None:
    for name in NAMES:
        with zipfile.ZipFile(built[name]["whl"]) as wheel:
            (metadata,) = (each for each in wheel.namelist() if each.endswith(".dist-info/METADATA"))
            _, _, shown = wheel.read(metadata).decode().partition("\n\n")
        assert shown.startswith(f"# {name}\n")
        targets = re.findall(r"\]\(([^)]*)\)|(?:src|srcset|href)=\"([^\"]*)\"", shown)
        assert [each for each in targets if not "".join(each).startswith("https://")] == []


@pytest.mark.parametrize("version", pythons())
def test_everything_runs_in_an_environment_of_its_own(
    version: str, built: dict[str, dict[str, Path]], tmp_path: Path
) -> None:
    python = installed(tmp_path / "env", pythons()[version], built["runloop-jupyter"]["whl"])
    program = (
        "from IPython.core.interactiveshell import InteractiveShell as Shell\n"
        "shell = Shell.instance()\n"
        "shell.run_line_magic('load_ext', 'runloop_jupyter')\n"
        "print(shell.run_line_magic('devbox', 'exec echo from $((40 + 2))').stdout)\n"
    )
    with embedded_home(tmp_path / "home") as home:
        env = {**os.environ, **home.env}
        command: list[str | Path] = [python, "-W", "error", "-c", program]
        ended = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=env, check=False)
        stop: list[str | Path] = [python.with_name("runloop-local"), "stop"]
        stopped = subprocess.run(stop, capture_output=True, text=True, env=env, check=False)
    assert ended.returncode == 0, ended.stderr
    assert "from 42" in ended.stdout
    assert stopped.stdout == "stopped\n"


def test_the_source_installs_as_the_wheel_does(built: dict[str, dict[str, Path]], tmp_path: Path) -> None:
    python = installed(tmp_path / "env", sys.executable, built["runloop-jupyter"]["gz"])
    with zipfile.ZipFile(built["runloop-jupyter"]["whl"]) as wheel:
        names = [each for each in wheel.namelist() if each.startswith("runloop_") and ".d" not in each]
    (packages,) = (tmp_path / "env" / "lib").glob("python*/site-packages")
    assert [each for each in names if not (packages / each).exists()] == []
    assert (tmp_path / "env" / EXTENSION / "package.json").exists()
    subprocess.run([python, "-W", "error", "-c", "import runloop_jupyter.magics"], check=True, cwd=tmp_path)


@pytest.mark.parametrize("version", pythons())
def test_the_sdk_alone_needs_little(version: str, built: dict[str, dict[str, Path]], tmp_path: Path) -> None:
    python = installed(tmp_path / "env", pythons()[version], built["runloop-jupyter-sdk"]["gz"])
    listed = subprocess.run(
        [BIN / "uv", "pip", "list", "--python", python, "--format", "json"], check=True, capture_output=True, text=True
    )
    names = {each["name"] for each in json.loads(listed.stdout)}
    assert {"httpx", "pydantic", "runloop-jupyter-sdk"} <= names
    assert not names & {"ipython", "ipywidgets", "starlette", "uvicorn", "cryptography", "runloop-jupyter"}
    assert len(names) <= 20, names
    program = "import asyncio, runloop_sdk, runloop_sdk.folders, runloop_sdk.gitignore\n"
    program += "for name in runloop_sdk.__all__: getattr(runloop_sdk, name)"
    subprocess.run([python, "-W", "error", "-c", program], check=True, cwd=tmp_path)


def test_the_source_has_what_the_wheel_is_made_of(built: dict[str, dict[str, Path]]) -> None:
    for name in NAMES:
        with zipfile.ZipFile(built[name]["whl"]) as wheel, tarfile.open(built[name]["gz"]) as source:
            packaged = {each for each in wheel.namelist() if each.startswith("runloop_") and ".dist-info/" not in each}
            packaged = {each for each in packaged if ".data/" not in each}
            names = source.getnames()
        assert packaged
        assert [each for each in packaged if not any(there.endswith(f"/{each}") for there in names)] == []


def test_the_wheel_has_the_extension_of_jupyterlab_once(built: dict[str, dict[str, Path]]) -> None:
    with zipfile.ZipFile(built["runloop-jupyter"]["whl"]) as archive:
        names = archive.namelist()
        (described,) = (name for name in names if name.endswith(f".data/data/{EXTENSION}/package.json"))
        script = json.loads(archive.read(described))["jupyterlab"]["_build"]["load"]
    folder = described.removesuffix("package.json")
    wanted = {f"{folder}{name}" for name in (script, "install.json", "schemas/runloop-jupyter/notebooks.json")}
    assert wanted <= {*names}
    assert [name for name in names if "labextension" in name and not name.startswith(folder)] == []


def test_jupyterlab_finds_the_extension_of_an_editable_install() -> None:
    listed = subprocess.run(
        [sys.executable, "-m", "jupyter", "labextension", "list"], check=True, capture_output=True, text=True
    )
    (line,) = (line for line in f"{listed.stdout}{listed.stderr}".splitlines() if "runloop-jupyter" in line)
    assert "enabled" in line
    assert "OK" in line
    installed = Path(sys.prefix, EXTENSION, "package.json")
    assert installed.read_bytes() == (ROOT / "ui" / "labextension" / "package.json").read_bytes(), "run make"


def test_what_is_vendored_comes_with_its_licence(built: dict[str, dict[str, Path]]) -> None:
    with zipfile.ZipFile(built["runloop-jupyter"]["whl"]) as wheel:
        licences = [each for each in wheel.namelist() if "/licenses/" in each]
        assert {Path(each).name for each in licences} == {"LICENSE", "xterm.txt", "xterm-addon-fit.txt"}
    for package in ("xterm", "addon-fit"):
        theirs = ROOT / "ui" / "node_modules" / "@xterm" / package / "LICENSE"
        ours = ROOT / "licenses" / f"xterm{'' if package == 'xterm' else '-addon-fit'}.txt"
        assert ours.read_bytes() == theirs.read_bytes()


def test_both_are_of_one_version_and_ask_for_the_same() -> None:
    everything, sdk = project("runloop-jupyter"), project("runloop-jupyter-sdk")
    assert everything["version"] == sdk["version"]
    assert set(sdk["dependencies"]) <= set(everything["dependencies"])
    assert f"version: {sdk['version']}\n" in (ROOT / "CITATION.cff").read_text()
    assert (ROOT / "sdk" / "LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()
