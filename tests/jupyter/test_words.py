"""Small pure parts: durations, templates, the prepared command, how names are resolved."""

from __future__ import annotations

import subprocess

import pytest

from runloop_jupyter.connection import Connection, from_environment
from runloop_jupyter.errors import UsageError
from runloop_jupyter.executions.command_spec import CommandSpec
from runloop_jupyter.output.transcript import Transcript
from runloop_jupyter.resources.devboxes import DevboxInfo, choose, unavailable
from runloop_jupyter.results import DevboxResult
from runloop_jupyter.text.durations import parse_duration, spell_duration, spell_limit


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90", 90),
        ("90s", 90),
        ("1.5m", 90),
        ("2h", 7200),
        ("1h30m", 5400),
        ("1h 30m", 5400),
        ("250ms", 0.25),
        ("2d", 172800),
    ],
)
def test_durations_are_read(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "x", "-5", "5 parsecs", "h", "0", "1h-30m"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a duration: write it like"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.004, "0.00 s"),
        (0.31, "0.31 s"),
        (0.996, "1.0 s"),
        (9.96, "10 s"),
        (59.6, "1 min"),
        (125, "2 min 5 s"),
        (11520, "3 h 12 min"),
        (86400 * 4, "4 d"),
        (-3, "0.00 s"),
    ],
)
def test_durations_are_spelled_short(seconds: float, text: str) -> None:
    assert spell_duration(seconds) == text


@pytest.mark.parametrize(("seconds", "text"), [(1.0, "1 s"), (0.5, "0.5 s"), (9.0, "9 s"), (90, "1 min 30 s")])
def test_limits_are_spelled_as_they_were_chosen(seconds: float, text: str) -> None:
    assert spell_limit(seconds) == text


@pytest.mark.parametrize(
    ("command", "output"),
    [
        pytest.param("echo $A; pwd", "x y'z\n/tmp\n", id="plain"),
        pytest.param("# a comment\npwd", "/tmp\n", id="a comment first"),
        pytest.param("cat <<E\nhello\nE", "hello\n", id="a here-document"),
        pytest.param("echo $LINENO", "1\n", id="line numbers stay"),
    ],
)
def test_directory_and_variables_go_before_the_command(command: str, output: str) -> None:
    text = CommandSpec(command, cwd="/tmp", env=(("A", "x y'z"),)).prepared
    assert subprocess.run(["bash", "-c", text], capture_output=True, text=True, check=True).stdout == output


def test_a_directory_may_start_at_home_and_is_quoted() -> None:
    shown = subprocess.run(
        ["bash", "-c", CommandSpec("pwd", cwd="~/a b'c").prepared], env={"HOME": "/nowhere"}, check=False
    )
    assert shown.returncode == 213
    assert CommandSpec("pwd", cwd="~/a b").prepared.startswith("cd -- ~/'a b'")


def box(name: str, devbox_id: str, status: str = "running") -> DevboxInfo:
    return DevboxInfo(id=devbox_id, name=name, status=status, created_ms=0)


BOXES = [
    box("web", "dbx_1"),
    box("web", "dbx_2", "shutdown"),
    box("web-old", "dbx_3"),
    box("twin", "dbx_4"),
    box("twin", "dbx_5"),
    box("gone", "dbx_6", "failure"),
]


@pytest.mark.parametrize(
    ("reference", "found"),
    [
        pytest.param("web", "dbx_1", id="a whole name before a beginning, a live one before an ended one"),
        pytest.param("web-", "dbx_3", id="a beginning"),
        pytest.param("dbx_5", "dbx_5", id="an id"),
        pytest.param("gone", "dbx_6", id="an ended one when no other"),
    ],
)
def test_a_name_means_one_devbox(reference: str, found: str) -> None:
    assert choose(reference, BOXES).id == found


def test_an_ambiguous_name_lists_the_ids() -> None:
    with pytest.raises(UsageError, match=r"'twin' means 2 devboxes: twin \(dbx_4\), twin \(dbx_5\)"):
        choose("twin", BOXES)


def test_an_unknown_name_suggests_the_nearest() -> None:
    with pytest.raises(UsageError, match=r"No devbox 'wep'\. Did you mean 'web'"):
        choose("wep", BOXES)


@pytest.mark.parametrize(
    ("status", "words"),
    [
        ("suspended", "%devbox resume web"),
        ("shutdown", "has been shut down"),
        ("failure", "has failed"),
        ("provisioning", "in a moment"),
    ],
)
def test_a_devbox_that_cannot_run_commands_says_what_to_do(status: str, words: str) -> None:
    assert words in str(unavailable(box("web", "dbx_1", status)))


def test_a_running_devbox_is_available() -> None:
    assert unavailable(box("web", "dbx_1")) is None


def test_the_environment_names_the_service() -> None:
    assert from_environment({}) is None
    cloud = from_environment({"RUNLOOP_API_KEY": " key "})
    assert cloud == Connection("https://api.runloop.ai", "key")
    assert cloud.label == "Runloop at https://api.runloop.ai"
    local = from_environment({"RUNLOOP_API_KEY": "key", "RUNLOOP_BASE_URL": "http://127.0.0.1:99/"})
    assert local is not None
    assert local.label == "the service at http://127.0.0.1:99"
    assert "key" not in repr(local)


@pytest.mark.parametrize(
    ("environ", "words"),
    [
        ({"RUNLOOP_BASE_URL": "https://x.example"}, "RUNLOOP_API_KEY is not set"),
        ({"RUNLOOP_API_KEY": "k", "RUNLOOP_BASE_URL": "x.example"}, "'x.example', which is not a URL"),
        ({"RUNLOOP_API_KEY": "k", "RUNLOOP_BASE_URL": "https://me:hidden@x.example:port"}, "_URL has a user name"),
        ({"RUNLOOP_API_KEY": "k", "RUNLOOP_BASE_URL": "ftp://me:hidden@x.example"}, "_URL has a user name"),
        ({"RUNLOOP_BASE_URL": "https://hidden@x.example"}, "RUNLOOP_BASE_URL has a user name"),
    ],
)
def test_a_half_set_environment_says_what_is_missing(environ: dict[str, str], words: str) -> None:
    with pytest.raises(UsageError, match=words) as raised:
        from_environment(environ)
    assert "hidden" not in str(raised.value)


@pytest.mark.parametrize(
    ("isolation", "notes", "lines"),
    [("namespaces", (), 1), ("landlock", (), 2), ("none", ("Commands run as you, with your files.",), 2)],
)
def test_weak_isolation_is_said_openly(isolation: str, notes: tuple[str, ...], lines: int) -> None:
    greeting = Connection("http://127.0.0.1:1", "k", True, isolation, notes).greeting
    assert f"(isolation: {isolation})" in greeting[0]
    assert "Its devboxes have this machine's own userland." in greeting[0]
    assert len(greeting) == lines


def test_the_greeting_names_the_engine() -> None:
    greeting = Connection("http://127.0.0.1:1", "k", True, "namespaces", engine="podman").greeting
    assert "on this machine, in a container of podman (isolation: namespaces)." in greeting[0]
    assert "Its devboxes have the container's userland." in greeting[0]


def test_the_greeting_names_the_image_of_devboxes() -> None:
    greeting = Connection("http://127.0.0.1:1", "k", True, "namespaces", image="python:3.12").greeting
    assert "Its devboxes have the image python:3.12." in greeting[0]


@pytest.mark.parametrize(
    ("exit_code", "words"),
    [(1, "exit code 1 after"), (129, "129 (as after SIGHUP) after"), (137, "(as after SIGKILL)"), (255, "255 after")],
)
def test_an_exit_code_above_128_is_what_a_signal_leaves_but_no_proof_of_one(exit_code: int, words: str) -> None:
    result = DevboxResult(exit_code, Transcript(), duration=1.0, execution_id="", devbox_id="")
    assert words in result.failure
