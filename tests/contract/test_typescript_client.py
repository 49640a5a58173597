"""The official TypeScript client of npm as it is by default, which is with HTTP/2, against the embedded service."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.local.serving import Service
from tests.waiting import PATIENCE

ROOT = Path(__file__).parents[2]
SCRIPT = Path(__file__).with_name("client_npm.mjs")
VERSIONS = ("1.28.0", "1.32.0")
NODE, NPM = (Path(sys.executable).with_name(name) for name in ("node", "npm"))


@pytest.fixture(scope="session")
def clients() -> Path:
    """A folder in which Node finds each version as `client-VERSION`, made once."""
    folder = ROOT / ".npm-clients"
    wanted = [f"client-{version}@npm:@runloop/api-client@{version}" for version in VERSIONS]
    ready = folder / "ready"
    if not ready.exists() or ready.read_text() != "\n".join(wanted):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        options = ["--no-audit", "--no-fund", "--no-package-lock", "--ignore-scripts", "--silent"]
        subprocess.run([NPM, "install", "--prefix", folder, *options, *wanted], check=True, cwd=folder)
        ready.write_text("\n".join(wanted))
    shutil.copy(SCRIPT, folder)  # Node looks for modules beside the script
    return folder


@pytest.mark.parametrize("version", VERSIONS)
def test_the_typescript_client(service: Service, clients: Path, version: str) -> None:
    own = {"RUNLOOP_BASE_URL": service.base_url, "RUNLOOP_API_KEY": service.api_key}
    done = subprocess.run(
        [NODE, clients / SCRIPT.name, f"client-{version}", version],
        capture_output=True,
        text=True,
        timeout=4 * PATIENCE,
        check=False,
        env={**os.environ, **own},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.split("\n")[-2] == "all done"
