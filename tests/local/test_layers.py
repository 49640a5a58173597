"""Layers stay while anything needs them; what is in the way of removing one neither ends the sweep nor is swallowed."""

import asyncio
import itertools
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from runloop_local.engine.storage.layers import Layers
from runloop_local.sandbox import Isolation, SandboxError, open_isolation
from runloop_local.sandbox.namespaces import referenced_layers, save_layers


@pytest.fixture
async def isolation(tmp_path: Path) -> AsyncIterator[Isolation]:
    opened = await open_isolation(tmp_path / "sandboxes", "process")
    yield opened
    await opened.aclose()


async def made(isolation: Isolation, *layers: str) -> None:
    """Layers on disk."""
    for layer in layers:
        sandbox = await isolation.create(f"for-{layer}")
        await sandbox.snapshot(layer)
        await sandbox.destroy()


async def test_a_layer_goes_with_the_last_that_needs_it(isolation: Isolation) -> None:
    await made(isolation, "one", "two", "three")
    layers = Layers(isolation)
    layers.hold("snapshot/a", ["one", "two"])
    layers.hold("snapshot/b", ["two", "three"])
    layers.start()
    await layers.sweep()
    assert isolation.layers() == {"one", "two", "three"}
    layers.hold("snapshot/a", ["three"])
    await layers.sweep()
    assert isolation.layers() == {"two", "three"}
    with layers.held(["three"]):
        layers.release("snapshot/a")
        layers.release("snapshot/b")
        await layers.sweep()
        assert isolation.layers() == {"three"}
    await layers.sweep()
    assert isolation.layers() == frozenset()


async def test_nothing_goes_before_all_have_said_what_they_need(isolation: Isolation) -> None:
    await made(isolation, "one")
    layers = Layers(isolation)
    layers.hold("snapshot/a", ["one"])
    layers.release("snapshot/a")
    await layers.sweep()
    assert isolation.layers() == {"one"}


async def test_what_is_being_made_for_a_layer_stays_with_it(isolation: Isolation, tmp_path: Path) -> None:
    await made(isolation, "one", "two")
    for name in ("one", "two"):
        folder = tmp_path / "sandboxes" / "process" / "layers" / name
        folder.rename(folder.with_name(f"{name}.new"))
    layers = Layers(isolation)
    layers.hold("snapshot/a", ["one"])
    layers.start()
    await layers.sweep()
    assert isolation.layers() == {"one.new"}


async def test_one_that_cannot_be_removed_is_told_and_the_others_go(
    isolation: Isolation, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    await made(isolation, "one", "stuck", "two")
    remove = isolation.remove_layer

    async def refuse(layer: str) -> None:
        if layer == "stuck":
            raise SandboxError("rm failed: Read-only file system.")
        await remove(layer)

    monkeypatch.setattr(isolation, "remove_layer", refuse)
    layers = Layers(isolation)
    layers.start()
    for _ in range(2):
        await layers.sweep()
    assert isolation.layers() == {"stuck"}
    assert list(layers.problems.values()) == [
        "The unused layer stuck cannot be removed: rm failed: Read-only file system."
    ]
    assert caplog.text.count("Read-only") == 1
    monkeypatch.setattr(isolation, "remove_layer", remove)
    await layers.sweep()
    assert (isolation.layers(), layers.problems) == (frozenset(), {})


@pytest.mark.parametrize("failure", [OSError("no such disk"), RuntimeError("can't start new thread")])
async def test_a_sweep_that_fails_is_told_and_comes_again(
    isolation: Isolation, monkeypatch: pytest.MonkeyPatch, failure: Exception
) -> None:
    await made(isolation, "one")

    def fail() -> frozenset[str]:
        raise failure

    layers = Layers(isolation)
    layers.start()
    with monkeypatch.context() as patched:
        patched.setattr(isolation, "used_layers", fail)
        await layers.sweep()
        (problem,) = layers.problems.values()
        assert problem.startswith("Unused layers cannot be found: ")
    await layers.sweep()
    assert (isolation.layers(), layers.problems) == (frozenset(), {})


async def test_one_that_vanishes_does_not_end_the_sweep(isolation: Isolation, monkeypatch: pytest.MonkeyPatch) -> None:
    await made(isolation, "one", "two")
    seen = isolation.layers()
    monkeypatch.setattr(isolation, "layers", lambda: seen | {"gone"})
    layers = Layers(isolation)
    layers.start()
    await layers.sweep()
    monkeypatch.undo()
    assert isolation.layers() == frozenset()


def test_a_sandbox_that_vanishes_stands_on_nothing(tmp_path: Path) -> None:
    assert referenced_layers(tmp_path / "gone") == ()
    save_layers(tmp_path, ("a", "b"))
    assert referenced_layers(tmp_path) == ("a", "b")
    save_layers(tmp_path, ("c", "a", "b"), "freeze.json")
    assert set(referenced_layers(tmp_path)) == {"a", "b", "c"}
    (tmp_path / "layers.json").unlink()
    assert referenced_layers(tmp_path) == ("c", "a", "b")


async def test_sweeps_while_sandboxes_come_and_go(isolation: Isolation) -> None:
    layers = Layers(isolation)
    layers.start()
    numbers = itertools.count()

    async def come_and_go() -> None:
        for _ in range(5):
            name = f"l{next(numbers)}"
            with layers.held([name]):
                sandbox = await isolation.create(f"box-{name}")
                await sandbox.snapshot(name)
                assert not layers.missing([name])
                await sandbox.destroy()

    await asyncio.gather(*(come_and_go() for _ in range(4)))
    await layers.sweep()
    assert (isolation.layers(), isolation.sandboxes(), layers.problems) == (frozenset(), frozenset(), {})
