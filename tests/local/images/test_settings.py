"""Settings of registries, as the command line and the environment give them."""

import pytest

from runloop_local.images import RegistrySettings, parse_registries

READ = {
    "nothing": ("", "", RegistrySettings()),
    "mirrors": (
        "docker.io=a docker.io=b ghcr.io=http://c:5/x",
        "",
        {"docker.io": ("a", "b"), "ghcr.io": ("http://c:5/x",)},
    ),
    "insecure": ("", " a:5000  b", frozenset({"a:5000", "b"})),
}


@pytest.mark.parametrize(("mirrors", "insecure", "found"), READ.values(), ids=READ.keys())
def test_settings_are_read(mirrors: str, insecure: str, found: object) -> None:
    read = parse_registries(mirrors, insecure)
    assert found in (read, dict(read.mirrors), read.insecure)


@pytest.mark.parametrize("text", ["docker.io", "=a", "docker.io="])
def test_what_is_no_mirror_is_named(text: str) -> None:
    with pytest.raises(ValueError, match=f"'{text}' is no mirror"):
        parse_registries(text, "")
