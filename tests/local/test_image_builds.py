"""Builds on real images, which a registry on loopback serves."""

import os
import re
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from runloop_local.engine.build.image import Image
from runloop_local.engine.build.origins import settings_of
from runloop_local.engine.build.setup_script import Setup
from runloop_local.engine.errors import InvalidError
from runloop_local.images import ImageConfig
from runloop_local.sandbox.base import IMAGE_LAYER
from tests.local.building import Yard, yard
from tests.local.images.registry import Registry, make_image, serving
from tests.local.sandbox.archives import archive, member
from tests.local.sandbox.conftest import NAMESPACES
from tests.local.small_images import COREUTILS, SHELL, hello, make_root, packed

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.skipif(not NAMESPACES, reason="images need namespaces, which this machine does not offer"),
]
CONFIG = {
    "Env": ["PATH=/opt/bin:/usr/bin:/bin", "LEVEL=3"],
    "User": "app",
    "WorkingDir": "/srv/app",
    "Shell": ["/bin/bash", "-c"],
    "Entrypoint": ["/bin/entry"],
    "Cmd": ["serve"],
    "OnBuild": ["RUN echo triggered > /tmp/trigger"],
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def registry(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Registry]:
    """Serves `small`, which has bash and tools; `full`, that with all settings; `plain` without bash; `static`."""
    folder = tmp_path_factory.mktemp("roots")
    small, plain = packed(make_root(folder / "small")), packed(make_root(folder / "plain", (*SHELL, *COREUTILS)))
    async with serving(Registry()) as served:
        served.add("small:1", make_image([small]))
        served.add(
            "full:1",
            make_image([small, archive(member("opt/bin/tool", b"#!/bin/sh\necho tool\n", mode=0o755))], CONFIG),
        )
        served.add("plain:1", make_image([plain]))
        served.add("static:1", make_image([archive(member("hello", hello("hi\n"), mode=0o755))]))
        yield served


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def works(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Yard]:
    async with yard(tmp_path_factory.mktemp("works")) as found:
        yield found


async def test_from_pulls_the_image_that_it_names_and_says_so(works: Yard, registry: Registry) -> None:
    record = await works.build(f"FROM {registry.host}/small:1\nRUN . /etc/os-release; echo $PRETTY_NAME; id -u; pwd")
    log = await works.log(record)
    assert record.status == "build_complete", log
    assert f"{registry.host}/small:1 is the image {registry.host}/small:1 (sha256:" in log
    assert "\nSmall\n0\n/\n" in log
    assert "Added: the account user (uid 1000).\nAdded: its home /home/user.\nAdded: sudo, without a password." in log
    assert record.layers[-1].startswith(IMAGE_LAYER)
    again = await works.build(f"FROM {registry.host}/small:1\nRUN . /etc/os-release; echo $PRETTY_NAME; id -u; pwd")
    assert (await works.log(again)).count("cached") == 2
    assert again.layers == record.layers


async def test_what_an_image_says_of_its_programs_holds_in_the_build(works: Yard, registry: Registry) -> None:
    record = await works.build(
        f"FROM {registry.host}/full:1\nRUN [[ -d / ]] && echo bash; tool; echo $LEVEL; pwd; id -un; cat /tmp/trigger\n"
        "USER ${MISSING:-root}\nENV LEVEL=$LEVEL$LEVEL\nRUN echo $LEVEL $HOME"
    )
    log = await works.log(record)
    assert "\nbash\ntool\n3\n/srv/app\napp\ntriggered\n" in log
    assert "\n33 /root\n" in log
    assert record.image.env == {"PATH": "/opt/bin:/usr/bin:/bin", "LEVEL": "33"}
    assert (record.image.entrypoint, record.image.command) == (("/bin/entry",), ("serve",))
    assert (record.image.cwd, record.image.user, record.image.on_build) == ("/srv/app", "root", ())


async def test_variables_of_an_image_count_in_all_instructions(works: Yard, registry: Registry) -> None:
    # Without the image, a plan would call these mistakes.
    steps = "USER 150${LEVEL}\nWORKDIR /w${LEVEL:?}\nRUN pwd; id -u"
    record = await works.build(f"FROM {registry.host}/full:1\n{steps}")
    assert "\n/w3\n1503\n" in await works.log(record)


async def test_files_go_in_and_out_of_images_without_any_program_of_theirs(works: Yard, registry: Registry) -> None:
    record = await works.build(
        f"FROM {registry.host}/small:1 AS made\nRUN echo made > /made\n"
        f"FROM {registry.host}/static:1\nWORKDIR /deep/folder\nCOPY --from=made /made ./here\n"
        f"COPY --from={registry.host}/plain:1 /etc/os-release /etc/\nCOPY --chown=7:8 <<EOF /written\nwritten\nEOF\n"
        'RUN ["/hello"]\n'
    )
    log = await works.log(record)
    assert record.status == "build_complete", log
    assert "\nhi\n" in log
    sandbox = await works.isolation.create("look-static", layers=record.layers)
    await sandbox.destroy()
    shown = await works.build(
        f"FROM x AS s\nFROM {registry.host}/static:1 AS t\nFROM s\n"
        f"COPY --from={registry.host}/static:1 /hello /usr/bin/hello\nRUN hello"
    )
    assert "\nhi\n" in await works.log(shown)


async def test_steps_look_names_up_as_with_container_engines(works: Yard, registry: Registry) -> None:
    record = await works.build(f"FROM {registry.host}/small:1\nRUN getent hosts localhost; cat /etc/resolv.conf")
    assert re.search(r"localhost\n.*nameserver \d", await works.log(record))


NOT_STARTED = {
    "no shell": ("RUN true", "This disk has no shell to run commands with, neither bash nor /bin/sh; use an image"),
    "no program": ('RUN ["/none"]', "/none: No such file or directory"),
    "no interpreter": (
        'COPY --chmod=755 <<EOF /script\n#!/bin/none\nEOF\nRUN ["/script"]',
        "/script: the loader or interpreter that it names is not on this disk",
    ),
}


@pytest.mark.parametrize(("steps", "said"), NOT_STARTED.values(), ids=NOT_STARTED.keys())
async def test_a_program_that_cannot_be_started_is_told(works: Yard, registry: Registry, steps: str, said: str) -> None:
    record = await works.build(f"FROM {registry.host}/static:1\n{steps}")
    assert record.status == "failed"
    assert f"\n{said}" in await works.log(record)


async def test_scratch_is_empty_and_becomes_what_is_copied_into_it(
    works: Yard, registry: Registry, tmp_path_factory: pytest.TempPathFactory
) -> None:
    record = await works.build(
        f"FROM {registry.host}/plain:1 AS root\n"
        "FROM scratch\nCOPY --from=root /bin /bin\nCOPY --from=root /lib /lib\nCOPY --from=root /lib64 /lib64\n"
        "COPY --from=root /usr /usr\nCOPY <<EOF /etc/passwd\napp:x:1000:1000::/srv:/bin/sh\nEOF\nRUN ls /"
    )
    found = await works.disk(record, "/etc/passwd", "/etc/group")
    accounts = [
        "user:x:1000:1000::/home/user:/bin/sh",
        "app:x:1000:1000::/srv:/bin/sh",
        "root:x:0:0:root:/root:/bin/sh",
    ]
    assert found["/etc/passwd"].splitlines() == accounts
    assert found["/etc/group"].splitlines() == ["user:x:1000:", "root:x:0:"]


async def test_a_blueprint_of_an_image_is_built_on_by_its_name(works: Yard, registry: Registry) -> None:
    below = await works.build(f"FROM {registry.host}/full:1\nRUN echo 1 > /tmp/below")
    above = await works.build("FROM test:latest\nRUN cat /tmp/below; tool; id -un")
    log = await works.log(above)
    assert f"test:latest is the blueprint {below.id}." in log
    assert "\n1\ntool\napp\n" in log
    assert "Added" not in log


async def test_setup_commands_run_as_user_in_the_shell_that_there_is(works: Yard, registry: Registry) -> None:
    for name, shell in (("small", "/bin/bash"), ("plain", "/bin/sh")):
        record = await works.build(
            f"FROM {registry.host}/{name}:1", setup=Setup(("echo $0; id -un; pwd; echo $PATH",), {"~/note": "n"})
        )
        log = await works.log(record)
        assert f"\n{shell}\nuser\n/home/user\n/home/user/.local/bin:/usr/local/sbin:" in log
        assert await works.disk(record, "/home/user/note") == {"/home/user/note": "n"}


REFUSED = {
    "no such tag": ("{host}/small:none", "MANIFEST_UNKNOWN|manifest unknown|not|no"),
    "no registry": ("127.0.0.1:1/x", "127.0.0.1:1"),
}


@pytest.mark.parametrize(("reference", "why"), REFUSED.values(), ids=REFUSED.keys())
async def test_a_build_never_goes_on_without_its_image(
    works: Yard, registry: Registry, reference: str, why: str
) -> None:
    name = reference.format(host=registry.host)
    record = await works.build(f"FROM {name}\nRUN echo went on\nUSER ${{OF_THE_IMAGE}}")
    log = await works.log(record)
    assert (record.status, record.failure_reason, record.layers) == ("failed", "build_failed", ())
    assert "went on" not in log.replace("RUN echo went on", "")
    assert log.split("\n")[-1].startswith(f"{name}: {name}")


async def test_a_stage_that_nothing_needs_may_name_what_is_not_there(works: Yard, registry: Registry) -> None:
    record = await works.build(f"FROM 127.0.0.1:1/x AS idle\nRUN true\nFROM {registry.host}/small:1\nRUN echo fine")
    assert record.status == "build_complete", await works.log(record)


async def test_what_is_not_a_name_is_refused_at_once(works: Yard) -> None:
    with pytest.raises(InvalidError, match="Upper"):
        await works.build("FROM Upper/Case")
    with pytest.raises(InvalidError, match="only Runloop's cloud has"):
        await works.build("FROM runloop:runloop/universal-ubuntu-24.04-x86_64")


OWN_USER = """RUN echo user:x:2000:2000::/opt/own:/bin/sh >> /etc/passwd && echo user:x:2000: >> /etc/group
RUN echo other:x:1000:1001::/opt/other:/bin/sh >> /etc/passwd
USER user
RUN id -u; id -g; echo $HOME
USER 1000
RUN id -u; id -g; echo $HOME"""


async def test_steps_run_by_the_image_s_own_accounts_until_it_has_those_of_devboxes(
    works: Yard, registry: Registry
) -> None:
    record = await works.build(f"FROM {registry.host}/small:1\n{OWN_USER}")
    log = await works.log(record)
    if os.getuid() == 0:
        assert "\n2000\n2000\n/opt/own\n" in log
        assert "\n1000\n1001\n/opt/other\n" in log
    assert "Added: the account user (uid 1000), instead of the image's with uid 2000." in log
    above = await works.build("FROM test\nUSER user\nRUN id -u; echo $HOME")
    assert "\n1000\n/home/user\n" in await works.log(above)
    missing = await works.build(f"FROM {registry.host}/plain:1\nUSER user\nRUN true")
    assert "\nDockerfile line 3: RUN true: there is no account user" in await works.log(missing)


SETTINGS = {
    "none": (ImageConfig(), Image()),
    "the root as folder": (ImageConfig(working_dir="/"), Image()),
    "all": (
        ImageConfig({"A": "1"}, "app:team", "/w", ("bash", "-c"), ("e",), ("c",), onbuild=("RUN x",)),
        Image({"A": "1"}, "/w", "app:team", ("e",), ("c",), ("RUN x",), shell=("bash", "-c")),
    ),
}


@pytest.mark.parametrize(("config", "settings"), SETTINGS.values(), ids=SETTINGS.keys())
async def test_the_settings_of_an_image(config: ImageConfig, settings: Image) -> None:
    assert settings_of(config) == settings
