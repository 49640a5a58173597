"""Imports, those inside functions and those for types only included: no circles, and one direction between rooms."""

import subprocess
import sys
from graphlib import TopologicalSorter

import grimp
import pytest

PAGE = ("lab", "resource_panel", "widgets")
FORBIDDEN = {
    "text": ("client", "commands", "executions", "kernel", "operations", "output", "rendering", "resources", "session"),
    "operations": ("commands", "completion", "executions", "magics", "output", "rendering", *PAGE),
    "resources": ("commands", "completion", "executions", "magics", "output", "rendering", *PAGE),
    "client": ("commands", "completion", "executions", "magics", "operations", *PAGE, "session"),
    "output": ("client", "commands", "completion", "magics", "operations", *PAGE, "resources", "session"),
    "kernel": ("completion", "executions", "magics", "operations", "output", "rendering", *PAGE, "session"),
    "session": ("commands", "completion", "magics", "operations", *PAGE),
    "executions": ("commands", "completion", "magics", "operations", *PAGE),
    "rendering": ("commands", "completion", "executions", "magics", "operations", *PAGE, "session"),
    "resource_panel": ("commands", "completion", "lab", "magics"),
    "widgets": ("commands", "completion", "lab", "magics", "resource_panel"),
    "lab": ("commands", "completion", "executions", "magics", "operations", "output", "rendering"),
    "commands": ("completion", "magics"),
    "completion": ("magics",),
}
"""By room of the extension, the rooms that it must not import."""


@pytest.mark.parametrize("package", ["runloop_jupyter", "runloop_sdk", "runloop_local"])
def test_no_modules_import_each_other_in_a_circle(package: str) -> None:
    graph = grimp.build_graph(package, cache_dir=None)
    imported = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}
    assert len(imported) > 50
    TopologicalSorter(imported).prepare()  # its CycleError names the circle


@pytest.mark.parametrize("room", FORBIDDEN)
def test_a_room_imports_downwards_only(room: str) -> None:
    graph = grimp.build_graph("runloop_jupyter", cache_dir=None)
    modules = [module for module in graph.modules if room_of(module) == room]
    assert modules
    found = {
        f"{module} imports {each}"
        for module in modules
        for each in graph.find_modules_directly_imported_by(module)
        if room_of(each) in FORBIDDEN[room]
    }
    assert found == set()


@pytest.mark.parametrize("above", ["engine", "routes"])
def test_images_know_nothing_of_what_uses_them(above: str) -> None:
    graph = grimp.build_graph("runloop_local", cache_dir=None)
    images = graph.find_descendants("runloop_local.images")
    assert images
    assert not {each for module in images for each in graph.find_upstream_modules(module) if room_of(each) == above}


def room_of(module: str) -> str:
    """The part of the package that a module is in."""
    return [*module.split("."), ""][1]


NOT_FOR_THE_START = {
    *("pydantic", "httpx", "cryptography", "h2", "websockets", "zstandard"),
    *("runloop_local.images.puller", "runloop_local.http2.connection"),
}


def test_the_service_starts_without_what_only_requests_need() -> None:
    code = "import sys, runloop_local.serve_here, runloop_local.server; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True)
    loaded = set(run.stdout.split())
    assert "runloop_local.engine.engine" in loaded
    assert NOT_FOR_THE_START & loaded == set()
