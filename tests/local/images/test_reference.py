"""Names of images, read as Docker reads them."""

import pytest

from runloop_local.images import ImageError, Reference

SHA = f"sha256:{'0123456789abcdef' * 4}"


@pytest.mark.parametrize(
    ("text", "registry", "repository", "tag", "short"),
    [
        ("python", "docker.io", "library/python", "latest", "python:latest"),
        ("python:3.12-slim", "docker.io", "library/python", "3.12-slim", "python:3.12-slim"),
        ("user/x", "docker.io", "user/x", "latest", "user/x:latest"),
        ("docker.io/python", "docker.io", "library/python", "latest", "python:latest"),
        ("index.docker.io/library/python", "docker.io", "library/python", "latest", "python:latest"),
        ("docker://python:3", "docker.io", "library/python", "3", "python:3"),
        ("ghcr.io/org/x", "ghcr.io", "org/x", "latest", "ghcr.io/org/x:latest"),
        ("ghcr.io/a/b/c:v1", "ghcr.io", "a/b/c", "v1", "ghcr.io/a/b/c:v1"),
        ("localhost/y", "localhost", "y", "latest", "localhost/y:latest"),
        ("localhost:5000/y", "localhost:5000", "y", "latest", "localhost:5000/y:latest"),
        ("[::1]:5000/y", "[::1]:5000", "y", "latest", "[::1]:5000/y:latest"),
        ("Registry/y", "Registry", "y", "latest", "Registry/y:latest"),
        ("docker.io/library/a.b/c", "docker.io", "library/a.b/c", "latest", "docker.io/library/a.b/c:latest"),
        ("x__y/z--w", "docker.io", "x__y/z--w", "latest", "x__y/z--w:latest"),
        ("podman:x", "docker.io", "library/x", "latest", "podman:x:latest"),
        ("docker-daemon:ghcr.io/org/x:1", "ghcr.io", "org/x", "1", "docker-daemon:ghcr.io/org/x:1"),
    ],
)
def test_a_name_is_read_as_docker_reads_it(text: str, registry: str, repository: str, tag: str, short: str) -> None:
    found = Reference.parse(text)
    assert (found.registry, found.repository, found.tag) == (registry, repository, tag)
    assert str(found) == short
    assert Reference.parse(short) == found


@pytest.mark.parametrize("text", [f"python@{SHA}", f"python:3@{SHA}"])
def test_a_digest_says_more_than_a_tag(text: str) -> None:
    found = Reference.parse(text)
    assert (found.name, found.tag, found.digest) == ("docker.io/library/python", None, SHA)
    assert str(found) == f"python@{SHA}"


@pytest.mark.parametrize(
    ("text", "path", "tag"),
    [("oci:dir", "dir", None), ("oci:/a/b:v1", "/a/b", "v1"), ("oci-archive:x.tar", "x.tar", None)],
)
def test_a_folder_or_an_archive_is_named_by_its_path(text: str, path: str, tag: str | None) -> None:
    found = Reference.parse(text)
    assert (found.name, found.tag, str(found)) == (path, tag, text)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "is no image"),
        ("python:", "'' is no tag"),
        ("python:a b", "'a b' is no tag"),
        (f"python:{'a' * 129}", "is no tag"),
        ("user/Python", "lower case, 'user/python'"),
        ("python@sha256:12", "does not end with a digest"),
        ("python@", "does not end with a digest"),
        ("../x", "is no image"),
        ("host.io//x", "is no image"),
        ("host.io:port/x", "is no image"),
        ("x___y", "is no image"),
        ("https://ghcr.io/x", "is no image"),
        ("a" * 300, "is no image"),
        ("-x", "is no image"),
        ("python\n", "is no image"),
        ("oci:", "names no file"),
        ("oci-archive::v1", "names no file"),
    ],
)
def test_what_is_no_reference_is_told_by_its_text(text: str, reason: str) -> None:
    with pytest.raises(ImageError) as told:
        Reference.parse(text)
    assert reason in str(told.value)
    assert repr(text) in str(told.value)
