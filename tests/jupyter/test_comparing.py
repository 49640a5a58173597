"""What push and pull decide from two listings."""

from __future__ import annotations

from dataclasses import replace

import pytest

from runloop_jupyter.errors import UsageError
from runloop_jupyter.operations.comparing import Comparison, Sides, check_content, check_way, compare, doomed, settled
from runloop_sdk.folders import Entry, Listing

FILE = Entry("file", 3, 1_700_000_000_123_456_789, 0o644)
FOLDER = Entry("folder", mode=0o755)
LINK = Entry("link", target="a")
SECOND = 1_000_000_000

FILES = {
    "new": (FILE, None, "send"),
    "the same": (FILE, FILE, "unchanged"),
    "another size": (FILE, replace(FILE, size=4), "send"),
    "a nanosecond later": (FILE, replace(FILE, modified=FILE.modified + 1), "unsure"),
    "a time without its fraction": (FILE, replace(FILE, modified=1_700_000_000 * SECOND), "unsure"),
    "three seconds earlier": (FILE, replace(FILE, modified=FILE.modified - 3 * SECOND), "send"),
    "other permissions": (FILE, replace(FILE, mode=0o600), "send"),
    "not readable": (replace(FILE, readable=False), None, "nothing"),
    "a device": (Entry("other"), None, "nothing"),
    "a link for a file": (LINK, FILE, "send"),
    "a file for a link": (FILE, LINK, "send"),
    "the same link": (LINK, replace(LINK, modified=5, mode=0o777), "unchanged"),
    "a link elsewhere": (LINK, replace(LINK, target="b"), "send"),
    "a new folder": (FOLDER, None, "folders"),
    "a folder": (FOLDER, replace(FOLDER, modified=5), "nothing"),
    "a folder of other permissions": (FOLDER, replace(FOLDER, mode=0o700), "folders"),
    "a folder that its owner cannot enter": (replace(FOLDER, mode=0o055), FOLDER, "nothing"),
    "a folder for a link": (FOLDER, LINK, "folders in_the_way"),
    "a link for a folder": (LINK, FOLDER, "send in_the_way"),
}


@pytest.mark.parametrize(("source", "target", "verdict"), FILES.values(), ids=FILES)
def test_each_thing_travels_where_it_differs(source: Entry, target: Entry | None, verdict: str) -> None:
    found = compare(Listing({"x": source}), Listing({} if target is None else {"x": target}))
    named = {name for name in ("send", "unsure", "folders", "in_the_way") if getattr(found, name)}
    named |= {"unchanged"} if found.unchanged else set()
    assert " ".join(sorted(named, key="send unsure folders in_the_way unchanged".find)) == verdict.replace(
        "nothing", ""
    )


@pytest.mark.parametrize(
    ("here", "there", "sent"),
    [
        ({"x": "1"}, {"x": "1"}, ()),
        ({"x": "1"}, {"x": "2"}, ("x",)),
        ({"x": "1"}, {}, ("x",)),
        ({}, {"x": "1"}, ("x",)),
    ],
)
def test_content_decides_where_times_cannot(here: dict[str, str], there: dict[str, str], sent: tuple[str, ...]) -> None:
    found = settled(Comparison(unsure=("x",)), here, there)
    assert (found.send, found.unsure, found.unchanged) == (sent, (), 1 - len(sent))


def test_only_what_the_source_is_known_to_lack_is_deleted() -> None:
    closed = replace(FOLDER, readable=False)
    source = Listing({"s": closed, "d": FOLDER})
    target = Listing(
        {"s": FOLDER, "s/x": FILE, "d": FOLDER, "d/x": FILE, "e": FOLDER, "e/x": FILE, "p": Entry("other")}
    )
    extra = compare(source, target).extra
    assert doomed(extra, target, lambda path, is_folder: False) == (["d/x", "e/x"], ["e"])
    assert doomed(extra, target, lambda path, is_folder: path == "e/x") == (["d/x"], [])
    assert compare(Listing(complete=False), target).extra == ()
    for entry in (Entry("other"), replace(FILE, readable=False)):  # what is not taken takes nothing away
        assert compare(Listing({"e": entry}), Listing({"e": FOLDER, "e/x": FILE})).extra == ()


def test_a_folder_of_which_nobody_knows_what_it_has_is_not_deleted() -> None:
    target = Listing({"e": FOLDER, "e/f": replace(FOLDER, readable=False), "e/x": FILE})
    assert doomed(tuple(target.entries), target, lambda path, is_folder: False) == (["e/x"], [])


def test_what_is_in_the_way_is_one_sentence_unless_it_may_be_replaced() -> None:
    source, target = Listing({"x": FILE, "y": FILE}), Listing({"x": FOLDER, "y": FOLDER, "y/z": FILE})
    found = compare(source, target)
    assert (found.in_the_way, found.extra) == (("x", "y"), ())
    with pytest.raises(UsageError, match=r"'x' is a file here and a folder on the devbox; 1 more .* --delete"):
        check_way(found, source, target, Sides("here", "on the devbox"), delete=False)
    check_way(found, source, target, Sides("here", "on the devbox"), delete=True)


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (Listing({"z": FILE}), "'z'"),
        (Listing(complete=False), "cannot be listed"),
        (Listing({"f": replace(FOLDER, readable=False)}), "cannot be listed"),
    ],
)
def test_a_folder_with_what_is_to_be_left_alone_is_not_replaced(content: Listing, word: str) -> None:
    with pytest.raises(UsageError, match=word):
        check_content("y", content, lambda path, is_folder: path == "y/z", "here")
    check_content("y", Listing({"other": FILE}), lambda path, is_folder: path == "y/z", "here")
