"""What is decided about images without asking anyone: addresses, challenges, attempts, platforms, documents."""

from __future__ import annotations

import errno
import json
import socket
import ssl
from collections.abc import Mapping
from datetime import UTC, datetime
from itertools import pairwise

import httpx
import msgspec
import pytest

from runloop_local.images import Reference, RegistrySettings, manifest, retry
from runloop_local.images.authorization import Challenge, challenges
from runloop_local.images.endpoints import endpoints, is_loopback
from runloop_local.images.errors import NotThereError, SourceError
from runloop_local.images.manifest import Index, Platform
from runloop_local.images.registry import refusal

SHA = f"sha256:{'0' * 64}"


@pytest.mark.parametrize(
    ("text", "settings", "urls"),
    [
        ("python", RegistrySettings(), [("https://registry-1.docker.io",)]),
        ("ghcr.io/a/b", RegistrySettings(), [("https://ghcr.io",)]),
        ("localhost:5000/x", RegistrySettings(), [("https://localhost:5000", "http://localhost:5000")]),
        ("127.0.0.1:5000/x", RegistrySettings(), [("https://127.0.0.1:5000", "http://127.0.0.1:5000")]),
        ("127.example.com/x", RegistrySettings(), [("https://127.example.com",)]),
        ("r.io/x", RegistrySettings(insecure=frozenset({"r.io"})), [("https://r.io", "http://r.io")]),
        ("r.io:81/x", RegistrySettings(insecure=frozenset({"r.io"})), [("https://r.io:81", "http://r.io:81")]),
        ("r.io/x", RegistrySettings(insecure=frozenset({"r.io:81"})), [("https://r.io",)]),
        (
            "python",
            RegistrySettings(mirrors={"docker.io": ("m.io", "http://n.io:5000/hub/")}),
            [("https://m.io",), ("http://n.io:5000",), ("https://registry-1.docker.io",)],
        ),
    ],
)
def test_where_an_image_is_asked_for(text: str, settings: RegistrySettings, urls: list[tuple[str, ...]]) -> None:
    assert [endpoint.urls for endpoint in endpoints(Reference.parse(text), settings)] == urls


def test_a_mirror_may_have_a_path_and_only_an_insecure_one_is_not_verified() -> None:
    settings = RegistrySettings(mirrors={"docker.io": ("m.io/proxy/hub", "plain.io")}, insecure=frozenset({"plain.io"}))
    found = endpoints(Reference.parse("python"), settings)
    assert [endpoint.repository for endpoint in found] == ["proxy/hub/library/python", *["library/python"] * 2]
    assert [endpoint.is_verified for endpoint in found] == [True, False, True]
    assert [endpoint.host for endpoint in found] == ["m.io", "plain.io", "docker.io"]


@pytest.mark.parametrize("address", ["ftp://m.io", "", "https://", "a@m.io", "m.io/a b", "m.io/../x?y"])
def test_a_mirror_that_is_no_address_is_named(address: str) -> None:
    with pytest.raises(SourceError) as told:
        endpoints(Reference.parse("python"), RegistrySettings(mirrors={"docker.io": (address,)}))
    assert repr(address) in str(told.value)


@pytest.mark.parametrize(
    ("host", "expected"),
    [("localhost", True), ("localhost:1", True), ("127.9.9.9:1", True), ("[::1]:5000", True), ("10.0.0.1", False)],
)
def test_whether_a_registry_is_on_this_machine(host: str, *, expected: bool) -> None:
    assert is_loopback(host) is expected


CHALLENGES: Mapping[str, list[Challenge]] = {
    'Bearer realm="https://a/t",service="s",scope="repository:x:pull,push"': [
        Challenge("bearer", {"realm": "https://a/t", "service": "s", "scope": "repository:x:pull,push"})
    ],
    "BASIC Realm=here": [Challenge("basic", {"realm": "here"})],
    'Bearer realm="a" , service = "b", Basic realm="c"': [
        Challenge("bearer", {"realm": "a", "service": "b"}),
        Challenge("basic", {"realm": "c"}),
    ],
    "Negotiate": [Challenge("negotiate")],
    r'Basic realm="a \"quoted\" one"': [Challenge("basic", {"realm": 'a "quoted" one'})],
    "": [],
    '="': [],
    'Bearer realm="open': [Challenge("bearer")],
}


@pytest.mark.parametrize("header", CHALLENGES)
def test_a_challenge_is_read(header: str) -> None:
    assert challenges(header)[: len(CHALLENGES[header])] == CHALLENGES[header]


@pytest.mark.parametrize(
    ("attempt", "status", "after", "wait"),
    [
        (1, None, None, 0.5),
        (2, None, None, 1.0),
        (4, 503, None, 4.0),
        (5, 503, None, None),
        (1, 429, 7.0, 7.0),
        (1, 429, 120.0, 120.0),
        (1, 429, 121.0, None),
        (1, 404, None, None),
        (1, 401, 1.0, None),
        (1, 501, None, None),
    ],
)
def test_when_a_request_is_sent_again(
    attempt: int, status: int | None, after: float | None, wait: float | None
) -> None:
    assert retry.Backoff(0.5).wait(attempt, status, after) == wait


def raised(error: Exception, *causes: BaseException) -> Exception:
    """An error as it comes from below, each raised from the next."""
    for upper, lower in pairwise((error, *causes)):
        upper.__cause__ = lower
    return error


def refused() -> OSError:
    return OSError(errno.ECONNREFUSED, "Connect call failed ('127.0.0.1', 1)")


def unverified() -> ssl.SSLCertVerificationError:
    error = ssl.SSLCertVerificationError(1, "certificate verify failed")
    error.verify_message = "self-signed certificate"
    return error


FAILURES = {
    "an answer that ends too early": (None, 5, ""),
    "a cut": (httpx.ReadError("cut"), 5, "cut"),
    "no answer": (httpx.ReadTimeout(""), 5, "ReadTimeout"),
    "refused": (raised(httpx.ConnectError("all"), OSError("all"), refused()), 3, "Connection refused"),
    "refused at two addresses": (
        raised(httpx.ConnectError("all"), OSError("all"), ExceptionGroup("", [refused(), refused()])),
        3,
        "Connection refused",
    ),
    "nobody there": (httpx.ConnectTimeout(""), 3, "nobody answers"),
    "a proxy that cannot": (httpx.ProxyError("502 Bad Gateway"), 3, "502 Bad Gateway"),
    "an unknown name": (
        raised(httpx.ConnectError("x"), socket.gaierror(socket.EAI_NONAME, "Name or service not known")),
        1,
        "Name or service not known",
    ),
    "no resolver for a moment": (
        raised(httpx.ConnectError("x"), socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")),
        3,
        "Temporary failure in name resolution",
    ),
    "a certificate of nobody": (
        raised(httpx.ConnectError("x"), unverified()),
        1,
        "its certificate is not accepted (self-signed certificate)",
    ),
    "redirected in a circle": (httpx.TooManyRedirects("Exceeded maximum"), 1, "Exceeded maximum"),
}


@pytest.mark.parametrize(("error", "attempts", "reason"), FAILURES.values(), ids=FAILURES.keys())
def test_how_often_a_request_is_sent_that_fails(error: Exception | None, attempts: int, reason: str) -> None:
    assert retry.attempts_after(error) == attempts
    if error is not None:
        assert retry.reason(error) == reason


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (None, None),
        ("7", 7.0),
        ("Mon, 30 Nov 2026 12:00:30 GMT", 30.0),
        ("Mon, 30 Nov 2026 11:00:00 GMT", 0.0),
        ("soon", None),
        ("-1", None),
        ("9" * 400, 999_999_999.0),
    ],
)
def test_what_retry_after_says(header: str | None, expected: float | None) -> None:
    assert retry.seconds(header, datetime(2026, 11, 30, 12, tzinfo=UTC)) == expected


@pytest.mark.parametrize(
    ("machine", "has", "chosen"),
    [
        ("x86_64", ["linux/arm64", "linux/amd64"], "linux/amd64"),
        ("x86_64", ["windows/amd64", "linux/amd64"], "linux/amd64"),
        ("x86_64", ["linux/amd64/v3", "linux/amd64/v1"], "linux/amd64/v1"),
        ("x86_64", ["linux/amd64/v3"], None),
        ("aarch64", ["linux/amd64", "linux/arm64/v8"], "linux/arm64/v8"),
        ("aarch64", ["linux/arm64"], "linux/arm64"),
        ("armv7l", ["linux/arm/v5", "linux/arm/v6", "linux/arm/v7"], "linux/arm/v7"),
        ("armv7l", ["linux/arm/v5", "linux/arm/v6"], "linux/arm/v6"),
        ("armv6l", ["linux/arm/v7", "linux/arm/v5"], "linux/arm/v5"),
        ("riscv64", ["linux/amd64", "linux/riscv64"], "linux/riscv64"),
        ("x86_64", ["linux/arm64", "unknown/unknown"], None),
        ("armv6l", ["linux/arm/v7"], None),
    ],
)
def test_the_image_for_a_machine_is_chosen(machine: str, has: list[str], chosen: str | None) -> None:
    index = msgspec.convert({"manifests": [described(name) for name in has]}, Index)
    if chosen is None:
        with pytest.raises(NotThereError):
            manifest.choose(index, manifest.this_platform(machine))
    else:
        assert str(manifest.choose(index, manifest.this_platform(machine)).platform) == chosen


def described(platform: str) -> dict[str, object]:
    system, architecture, *variant = platform.split("/")
    on = {"os": system, "architecture": architecture, "variant": variant[0] if variant else None}
    return {"digest": SHA, "size": 1, "platform": on}


def test_a_platform_that_says_nothing_fits() -> None:
    wanted = Platform(os="linux", architecture="amd64")
    assert manifest.fits(Platform(), wanted)
    assert not manifest.fits(Platform(os="windows"), wanted)


def test_a_layer_is_named_by_all_below_it() -> None:
    one, two = f"sha256:{'1' * 64}", f"sha256:{'2' * 64}"
    assert manifest.chain_names([one, two])[0] == one
    assert manifest.chain_names([one, two])[1] == manifest.digest_of(f"{one} {two}".encode())
    assert len({*manifest.chain_names([one, two]), *manifest.chain_names([two, one])}) == 4


def test_variables_that_are_none_are_left_out() -> None:
    said = {"config": {"Env": ["A=1", "B", "=2", "C=", "D=x=y"]}, "rootfs": {"diff_ids": []}}
    found = manifest.read_configuration(json.dumps(said).encode(), 0)
    assert found.image.env == {"A": "1", "C": "", "D": "x=y"}


WRONG_MANIFESTS: Mapping[str, tuple[object, str]] = {
    "no document": ("x", "its manifest is wrong"),
    "a number": (1, "its manifest is wrong"),
    "no digest": ({"config": {"digest": "md5:1", "size": 1}, "layers": []}, "its manifest is wrong: config.digest"),
    "size below zero": ({"config": {"digest": SHA, "size": -1}, "layers": []}, "its manifest is wrong: config.size"),
    "no layers": ({"config": {"digest": SHA, "size": 1}}, "its manifest is wrong: layers"),
    "too many layers": (
        {"config": {"digest": SHA, "size": 1}, "layers": [{"digest": SHA, "size": 1}] * 201},
        "its manifest is wrong: layers",
    ),
    "something else": (
        {"config": {"digest": SHA, "size": 1, "mediaType": "text/\nplain"}, "layers": []},
        "but text/plain",
    ),
    "encrypted": (
        {
            "config": {"digest": SHA, "size": 1, "mediaType": manifest.CONFIGS[0]},
            "layers": [{"digest": SHA, "size": 1, "mediaType": f"{manifest.CONFIGS[0]}+encrypted"}],
        },
        "is encrypted",
    ),
    "first format": ({"schemaVersion": 1, "fsLayers": []}, "first format"),
}


@pytest.mark.parametrize(("document", "reason"), WRONG_MANIFESTS.values(), ids=WRONG_MANIFESTS)
def test_a_wrong_manifest_is_told(document: object, reason: str) -> None:
    with pytest.raises(SourceError) as told:
        manifest.read_manifest(json.dumps(document).encode())
    assert reason in str(told.value)
    assert "\n" not in str(told.value)


def test_a_document_that_is_nested_without_end_is_wrong() -> None:
    with pytest.raises(SourceError):
        manifest.read_manifest(b'{"manifests":' + b"[" * 100_000)


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        ({}, "its configuration is wrong: rootfs"),
        ({"rootfs": {"diff_ids": [SHA, SHA]}}, "its manifest has 1 layers, and its configuration 2"),
        ({"rootfs": {"diff_ids": ["x"]}}, "is no sha256 digest"),
        ({"rootfs": {"diff_ids": [SHA]}, "config": {"Env": "A=1"}}, "its configuration is wrong: config.Env"),
        ({"rootfs": {"diff_ids": [SHA]}, "config": {"Cmd": ["a", "b\0"]}}, "it has a text with a NUL character"),
        ({"rootfs": {"diff_ids": [SHA]}, "config": {"Env": ["A=\0"]}}, "it has a text with a NUL character"),
    ],
)
def test_a_wrong_configuration_is_told(document: object, reason: str) -> None:
    with pytest.raises(SourceError) as told:
        manifest.read_configuration(json.dumps(document).encode(), 1)
    assert reason in str(told.value)


@pytest.mark.parametrize(
    ("status", "after", "advice"),
    [
        (401, None, "docker login r.io"),
        (403, None, "docker login r.io"),
        (404, None, "check the name and the tag"),
        (429, None, "try again later"),
        (429, 60.0, "try again in 60 s"),
        (500, None, "r.io answered 500 (said)"),
    ],
)
def test_a_refusal_says_what_to_do(status: int, after: float | None, advice: str) -> None:
    assert advice in str(refusal("r.io", status, "said", after))
