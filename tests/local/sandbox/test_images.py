"""Sandboxes on the disk of an image instead of this machine's userland."""

import asyncio
import os
import secrets
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from runloop_local.images import manifest
from runloop_local.sandbox import Command, Isolation, Sandbox, shells
from runloop_local.sandbox.base import DiskMount
from runloop_local.sandbox.drivers import FIRST_UID_ON_DISK
from tests.local.sandbox.conftest import DATA_DIR, MakeSandbox, Result, namespaces_only, output, run
from tests.local.small_images import COREUTILS, PROGRAMS, SHELL, hello, make_root, place
from tests.waiting import PATIENCE

pytestmark = [pytest.mark.asyncio(loop_scope="session"), namespaces_only]

MakeImage = Callable[..., tuple[str, ...]]
PATH = "/usr/local/bin:/usr/bin:/bin"


@pytest.fixture
def image(way: str, isolation: Isolation, tmp_path: Path) -> MakeImage:
    """Makes an image of a root, or of programs of this machine; returns its layers, top first."""
    layers, shift = DATA_DIR / way / way / "layers", FIRST_UID_ON_DISK if way == "idmapped" else 0

    def make_image(root: Path | None = None, programs: tuple[str, ...] = PROGRAMS) -> tuple[str, ...]:
        # Layers never change, so the tests share those of the same programs.
        name = f"img-{secrets.token_hex(4)}" if root is not None else f"img-{len(programs)}"
        if not (layers / name).exists():
            place(make_root(tmp_path / name, programs) if root is None else root, layers, name, shift)
        return (name,)

    return make_image


async def tool(sandbox: Sandbox, *argv: str, stdin: bytes = b"") -> Result:
    with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        given.write(stdin)
        given.seek(0)
        command = Command(argv, "root", is_tool=True)
        process = await sandbox.spawn(command, stdin=given.fileno(), stdout=out.fileno(), stderr=err.fileno())
        status = await asyncio.wait_for(process.wait(), PATIENCE)
        out.seek(0)
        err.seek(0)
        return Result(status, out.read().decode(), err.read().decode())


async def furnished(make: MakeSandbox, layers: tuple[str, ...]) -> Sandbox:
    sandbox = await make(layers=layers)
    said = await tool(sandbox, "furnish", PATH, "/")
    assert said.status == 0, said
    return sandbox


async def test_the_root_is_the_image_alone(make: MakeSandbox, image: MakeImage) -> None:
    sandbox = await furnished(make, image())
    assert await output(sandbox, "cat /etc/os-release") == 'PRETTY_NAME="Small"'
    assert not (await run(sandbox, "ls /usr/bin/python3 /var /opt")).out
    assert await output(sandbox, "hostname; ls /run /dev/shm") == f"{sandbox.id}\n/dev/shm:\n\n/run:"


async def test_a_disk_is_furnished_with_the_account_its_home_and_sudo(make: MakeSandbox, image: MakeImage) -> None:
    sandbox = await make(layers=image())
    said = await tool(sandbox, "furnish", PATH, "/")
    assert said.out.split("\n") == [
        "the account user (uid 1000)",
        "its home /home/user",
        "sudo, without a password",
    ]
    assert (await tool(sandbox, "furnish", PATH, "/")).out == ""
    assert await output(sandbox, "id -un; id -u; pwd; cd /tmp && touch x && echo ok") == "user\n1000\n/home/user\nok"
    assert await output(sandbox, "sudo id -u") == "0"
    login = (shells.LOGIN, "-lc", "echo $PATH $SHELL")
    assert await output(sandbox, login) == f"/home/user/.local/bin:{PATH}:/usr/local/sbin:/usr/sbin:/sbin /bin/bash"


async def test_accounts_of_the_image_are_looked_up_on_its_disk(make: MakeSandbox, image: MakeImage, way: str) -> None:
    sandbox = await furnished(make, image())
    whole = "echo $HOME; id -u; id -g; id -G"
    if way == "unprivileged":
        assert (await output(sandbox, whole, user="app")).startswith("/srv/app\n")  # all accounts are one there
        return
    assert await output(sandbox, whole, user="app") == "/srv/app\n1500\n1600\n1600 1700"
    assert await output(sandbox, whole, user="1500:more") == "/srv/app\n1500\n1700\n1700"
    assert await output(sandbox, whole, user="77") == "/\n77\n0\n0"
    unknown = await run(sandbox, "true", user="nobody-here")
    assert (unknown.status, unknown.err) == (126, "there is no account nobody-here\n")


async def test_snapshots_of_an_image_stand_on_it(make: MakeSandbox, image: MakeImage) -> None:
    below = image()
    sandbox = await furnished(make, below)
    await output(sandbox, "echo 1 > ~/one; rm /etc/os-release", user="root")
    layers = await sandbox.snapshot(f"l{secrets.token_hex(4)}")
    assert layers[1:] == below
    other = await make(layers=layers)
    assert await output(other, "cat /root/one; id -un; [ ! -e /etc/os-release ] && echo gone", user="root") == (
        "1\nroot\ngone"
    )
    await sandbox.stop()
    await sandbox.start()
    assert await output(sandbox, "cat /root/one", user="root") == "1"


async def test_layers_of_an_image_are_not_merged_with_those_above(
    make: MakeSandbox, image: MakeImage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runloop_local.sandbox.namespaces._LAYERS_PER_MERGE", 3)
    below = image()
    sandbox = await furnished(make, below)
    layers = below
    for number in range(3):
        await output(sandbox, f"echo {number} > /f{number}; rm -rf /etc/group; mkdir -p /etc/d{number}", user="root")
        await sandbox.stop()
        layers = await sandbox.snapshot(f"l{secrets.token_hex(4)}")
        await sandbox.start()
    assert [layers[0], f"{layers[0]}.0", *below] == list(layers)
    other = await make(layers=layers)
    assert await output(
        other, "cat /f0 /f1 /f2; ls -d /etc/d? /etc/group /bin/bash 2>/dev/null; true", user="root"
    ) == ("0\n1\n2\n/bin/bash\n/etc/d0\n/etc/d1\n/etc/d2")


async def test_without_bash_commands_run_in_sh_and_named_shells_say_what_they_need(
    make: MakeSandbox, image: MakeImage
) -> None:
    sandbox = await furnished(make, image(programs=(*SHELL, *COREUTILS)))
    assert await output(sandbox, (shells.LOGIN, "-lc", "echo $0 $SHELL")) == "/bin/sh /bin/sh"
    said = await run(sandbox, (shells.BASH, "-l"))
    assert (said.status, said.err) == (127, f"{shells.missing(shells.BASH)}\n")


async def test_without_any_shell_a_static_program_runs_and_a_command_says_what_is_missing(
    make: MakeSandbox, image: MakeImage, tmp_path: Path
) -> None:
    root = tmp_path / "scratch"
    root.mkdir()
    (root / "hello").write_bytes(hello("hi\n"))
    (root / "hello").chmod(0o755)
    sandbox = await furnished(make, image(root=root))
    assert await output(sandbox, ("/hello",)) == "hi"
    said = await run(sandbox, (shells.LOGIN, "-lc", "true"))
    assert (said.status, said.err) == (127, f"{shells.missing(shells.LOGIN)}\n")


async def test_an_empty_disk_stands_on_nothing(make: MakeSandbox) -> None:
    sandbox = await make(layers=("scratch",))
    assert (await tool(sandbox, "resolve", "/proc/../dev")).out == "/dev"
    assert (await tool(sandbox, "resolve", "/bin")).out == "/bin: No such file or directory"


@pytest.mark.parametrize("of", ["image", "snapshots"])
async def test_a_disk_may_have_as_many_layers_as_a_manifest(
    make: MakeSandbox, image: MakeImage, way: str, isolation: Isolation, of: str
) -> None:
    names = [f"{'img-' if of == 'image' else 'l'}{number:032}" for number in range(manifest.MAX_LAYERS)]
    for name in names:
        folder = DATA_DIR / way / way / "layers" / name / "@"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    layers = (*names, *image()) if of == "image" else tuple(names)
    sandbox = await furnished(make, layers) if of == "image" else await make(layers=layers)
    seen = "ls / | grep -c 0000; ls /bin/bash"
    assert await output(sandbox, seen) == f"{len(names)}\n/bin/bash"
    await output(sandbox, f"rm /{names[0]} /{names[-1]}", user="root")
    await sandbox.stop()
    snapshot = await sandbox.snapshot(f"l{secrets.token_hex(4)}")
    await sandbox.start()
    for each in (sandbox, await make(layers=snapshot)):
        assert await output(each, seen) == f"{len(names) - 2}\n/bin/bash"
    await sandbox.stop()
    sandbox.mount([DiskMount("/other", layers, "/bin")])
    await sandbox.start()
    assert await output(sandbox, "ls /other/bash") == "/other/bash"


def merge_bin(root: Path) -> None:
    (root / "usr/bin").rmdir()
    (root / "bin").rename(root / "usr/bin")
    (root / "bin").symlink_to("usr/bin")


def move_accounts(root: Path) -> None:
    (root / "etc/passwd").rename(root / "etc/passwd.real")
    (root / "etc/passwd").symlink_to("passwd.real")


ODD_ROOTS: dict[str, tuple[Callable[[Path], None], str]] = {
    "no accounts": (lambda root: shutil.rmtree(root / "etc"), "/home/user"),
    "no /tmp": (lambda root: (root / "tmp").rmdir(), "/home/user"),
    "/home elsewhere": (lambda root: (root / "home").symlink_to("var/home"), "/var/home/user"),
    "/usr/local elsewhere": (lambda root: (root / "usr/local").symlink_to("../var/local"), "/home/user"),
    "/bin in /usr": (merge_bin, "/home/user"),
    "accounts by a link": (move_accounts, "/home/user"),
}


@pytest.mark.parametrize(("change", "home"), ODD_ROOTS.values(), ids=ODD_ROOTS.keys())
async def test_an_odd_root_is_furnished_as_any_other(
    make: MakeSandbox, image: MakeImage, tmp_path: Path, change: Callable[[Path], None], home: str
) -> None:
    change(make_root(tmp_path / "root"))
    sandbox = await furnished(make, image(root=tmp_path / "root"))
    said = await output(sandbox, "id -un; pwd; touch ~/x /tmp/y && stat -c %U ~/x; sudo id -u; sudo id -un")
    assert said == f"user\n{home}\nuser\n0\nroot"


HOSTILE = {
    "a link to the outside": lambda path: path.symlink_to("/etc"),
    "a link upwards": lambda path: path.symlink_to("../../../../../../etc"),
    "a file": lambda path: path.write_text("x"),
}


@pytest.mark.parametrize("name", ["proc", "dev", "run", "sys"])
@pytest.mark.parametrize("make_entry", HOSTILE.values(), ids=HOSTILE.keys())
async def test_what_an_image_has_at_a_mount_point_leads_no_mount_elsewhere(
    make: MakeSandbox, image: MakeImage, tmp_path: Path, name: str, make_entry: Callable[[Path], None]
) -> None:
    root = make_root(tmp_path / "root", (*SHELL, "stat", "ls", "cat"))
    make_entry(root / name)
    sandbox = await furnished(make, image(root=root))
    assert await output(sandbox, f"stat -c %F /{name}; cat /etc/os-release") == 'directory\nPRETTY_NAME="Small"'
    assert await output(sandbox, "cat /proc/1/comm >/dev/null && echo seen", user="root") == "seen"


async def test_parts_of_an_image_are_mounted_into_a_sandbox_of_this_machine_and_the_other_way_round(
    make: MakeSandbox, image: MakeImage
) -> None:
    below = image()
    sandbox = await make()
    await sandbox.stop()
    sandbox.mount([DiskMount("/of-image", below, "/etc")])
    await sandbox.start()
    assert await output(sandbox, "cat /of-image/os-release; ls /usr/bin/env") == 'PRETTY_NAME="Small"\n/usr/bin/env'
    other = await furnished(make, below)
    await other.stop()
    other.mount([DiskMount("/of-machine", (), "/usr")])
    await other.start()
    assert await output(other, "ls -d /of-machine/bin/env; cat /etc/os-release") == (
        '/of-machine/bin/env\nPRETTY_NAME="Small"'
    )


async def test_the_accounts_of_an_image_own_its_files(make: MakeSandbox, image: MakeImage, way: str) -> None:
    sandbox = await furnished(make, image())
    assert await output(sandbox, "stat -c %u:%g /bin /etc/passwd", user="root") == "0:0\n0:0"
    if way != "unprivileged":
        assert (await run(sandbox, "echo x >> /etc/passwd")).status
        assert await output(sandbox, "touch /f && chown app:more /f && stat -c %U:%G /f", user="root") == "app:more"
    assert os.environ.get("HOME") not in (await output(sandbox, "env"), "")
