"""The wheel: what an installation has."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.kernel  # JupyterLab's own command is started
ROOT = Path(__file__).parents[1]
EXTENSION = "share/jupyter/labextensions/runloop-jupyter"


def test_the_wheel_has_the_extension_of_jupyterlab_once(tmp_path: Path) -> None:
    uv = Path(sys.executable).with_name("uv")
    subprocess.run([uv, "build", "--quiet", "--wheel", "--out-dir", tmp_path, ROOT], check=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        (described,) = (name for name in names if name.endswith(f".data/data/{EXTENSION}/package.json"))
        script = json.loads(archive.read(described))["jupyterlab"]["_build"]["load"]
    folder = described.removesuffix("package.json")
    assert {f"{folder}{name}" for name in (script, "install.json", "schemas/runloop-jupyter/notebooks.json")} <= {
        *names
    }
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
