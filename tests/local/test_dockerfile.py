"""Dockerfiles as tables: instructions, words, variables, ignore rules, selections, plans."""

import random
import subprocess
from dataclasses import replace

import pytest

from runloop_local.engine.build.dockerfile import json_form, parse
from runloop_local.engine.build.expansion import expand, expand_document, pairs, split_words
from runloop_local.engine.build.image import Image
from runloop_local.engine.build.patterns import Source, Tree, clean, ignore_rules, select
from runloop_local.engine.build.plan import (
    PLATFORM,
    Copy,
    Folder,
    Run,
    Stage,
    StageContext,
    UnknownNameError,
    needed,
    origin_name,
    outside_names,
    plan,
)
from runloop_local.engine.build.run_mounts import Bind, Cache, Mount, Secret, Tmpfs
from runloop_local.engine.errors import InvalidError
from runloop_local.sandbox.base import Ownership

PARSED: dict[str, tuple[str, list[tuple[str, str, int]]]] = {
    "nothing": ("", []),
    "comments and blank lines": ("# a\n\n  # b\nFROM x\n\n#c\n", [("FROM", "x", 4)]),
    "keywords in any case": ("from x\nRun y", [("FROM", "x", 1), ("RUN", "y", 2)]),
    "indented, tabs, CRLF": ("  FROM\tx\r\n\tRUN  y \r\n", [("FROM", "x", 1), ("RUN", "y", 2)]),
    "a byte order mark": ("\ufeffFROM x", [("FROM", "x", 1)]),
    "continued": ("RUN a \\\n  && b\nRUN c", [("RUN", "a   && b", 1), ("RUN", "c", 3)]),
    "continued with spaces behind": ("RUN a \\  \nb", [("RUN", "a b", 1)]),
    "comments and blanks within": ("RUN a \\\n# no\n\n  # no\n b \\\n#no\n c", [("RUN", "a  b  c", 1)]),
    "continued at the end": ("RUN a \\", [("RUN", "a", 1)]),
    "two backslashes go on too": ("RUN a \\\\\nb", [("RUN", "a \\b", 1)]),
    "another escape": ("# escape=`\nRUN a `\n b \\\nRUN c", [("RUN", "a  b \\", 2), ("RUN", "c", 4)]),
    "escape after syntax": ("# syntax=docker/dockerfile:1\n# Escape = `\nRUN a `\nb", [("RUN", "a b", 3)]),
    "escape too late is a comment": ("# hello\n# escape=`\nRUN a \\\nb", [("RUN", "a b", 3)]),
    "a hash in a command is no comment": ("RUN echo # x", [("RUN", "echo # x", 1)]),
}


@pytest.mark.parametrize(("text", "expected"), PARSED.values(), ids=PARSED.keys())
def test_instructions(text: str, expected: list[tuple[str, str, int]]) -> None:
    assert [(found.keyword, found.text, found.line) for found in parse(text)] == expected


@pytest.mark.parametrize(
    ("text", "flags", "rest"),
    [
        ("COPY --from=a --chown=1:2 x y", {"from": ("a",), "chown": ("1:2",)}, "x y"),
        ("COPY --link x y", {"link": ("",)}, "x y"),
        ("COPY --exclude=a --exclude=b,c x y", {"exclude": ("a", "b,c")}, "x y"),
        ("RUN --mount=type=cache,target=/x make", {"mount": ("type=cache,target=/x",)}, "make"),
        ("RUN --mount=target=/x --mount=target=/y make", {"mount": ("target=/x", "target=/y")}, "make"),
        ("RUN --mount=target='/a b' make", {"mount": ("target=/a b",)}, "make"),
        ('RUN --mount="target=/a b,\\"source=x,y\\"" make', {"mount": ('target=/a b,"source=x,y"',)}, "make"),
        ("RUN --mount=target=/a\\ b make", {"mount": ("target=/a b",)}, "make"),
        ("RUN ls --all", {}, "ls --all"),
        ("ENV --x=1", {}, "--x=1"),
    ],
)
def test_flags(text: str, flags: dict[str, tuple[str, ...]], rest: str) -> None:
    (found,) = parse(text)
    assert (found.flags, found.text) == (flags, rest)


MOUNTS: dict[str, tuple[str, Mount]] = {
    "a bind of the context": ("target=/x", Bind("/x")),
    "relative": ("type=bind,target=x/../y", Bind("/w/y")),
    "the folder of work": ("type=bind", Bind("/w")),
    "a part of the context": ("dst=/x,src=a/./b/", Bind("/x", "/a/b")),
    "no way out of the context": ("dst=/x,src=../../b", Bind("/x", "/b")),
    "of a stage": ("destination=/x,from=one,source=/s", Bind("/x", "/s", 0)),
    "of a stage by number": ("target=/x,from=0", Bind("/x", "/", 0)),
    "of a blueprint": ("target=/x,from=other", Bind("/x", "/", "other")),
    "of a stage in a variable": ("target=/x,from=$S", Bind("/x", "/", 0)),
    "writable": ("target=/x,rw", Bind("/x", read_only=False)),
    "writable, in words": ("target=/x,readwrite=true", Bind("/x", read_only=False)),
    "not read-only": ("target=/x,readonly=false", Bind("/x", read_only=False)),
    "the last one decides": ("target=/x,rw,ro=1", Bind("/x")),
    "in any case": ("TYPE=Bind,Target=/x", Bind("/x")),
    "a cache": ("type=cache,target=/x", Cache("/x", "/x")),
    "a cache by its path": ("type=cache,target=x//y/", Cache("/w/x/y", "x/y")),
    "a cache by its id": ("type=cache,target=/x,id=$S", Cache("/x", "one")),
    "a cache of one step": ("type=cache,target=/x,sharing=locked", Cache("/x", "/x", "locked")),
    "a cache of an account": (
        "type=cache,target=/x,uid=7,gid=8,mode=0700",
        Cache("/x", "/x", ownership=Ownership(7, 8, 0o700)),
    ),
    "a cache that is only read": ("type=cache,target=/x,ro", Cache("/x", "/x", read_only=True)),
    "a cache with a beginning": (
        "type=cache,target=/x,from=one,source=/s",
        Cache("/x", "/x", stage=0, source="/s"),
    ),
    "a secret": ("type=secret,id=s", Secret("s", "/run/secrets/s")),
    "a secret by its source": ("type=secret,src=a/s", Secret("a/s", "/run/secrets/s")),
    "a secret by its target": ("type=secret,target=/root/.npmrc", Secret(".npmrc", "/root/.npmrc")),
    "a secret beside the work": ("type=secret,id=s,target=t", Secret("s", "/w/t")),
    "a secret that is required": ("type=secret,id=s,required", Secret("s", "/run/secrets/s", required=True)),
    "one that is not": ("type=secret,id=s,required=false", Secret("s", "/run/secrets/s")),
    "a secret of an account": (
        "type=secret,id=s,uid=1000,mode=0440",
        Secret("s", "/run/secrets/s", ownership=Ownership(1000, 0, 0o440)),
    ),
    "a secret as a variable": ("type=secret,id=s,env=T", Secret("s", None, "T")),
    "a secret as both": ("type=secret,id=s,env=T,target=/t", Secret("s", "/t", "T")),
    "memory": ("type=tmpfs,target=/x", Tmpfs("/x")),
    "memory of a size": ("type=tmpfs,target=/x,size=64m", Tmpfs("/x", 64 << 20)),
    "memory of bytes": ("type=tmpfs,target=/x,size=4096", Tmpfs("/x", 4096)),
    "memory of a fraction": ("type=tmpfs,target=/x,size=1.5GiB", Tmpfs("/x", 3 << 29)),
}


@pytest.mark.parametrize(("text", "expected"), MOUNTS.values(), ids=MOUNTS.keys())
def test_mounts(text: str, expected: Mount) -> None:
    dockerfile = f"FROM x AS one\nFROM y\nARG S=one\nWORKDIR /w\nRUN --mount={text} make"
    action = planned(dockerfile)[-1].steps[-1].action
    assert isinstance(action, Run)
    assert action.mounts == (expected,)


def test_what_a_step_mounts_is_built_before_it_and_a_folder_is_mounted_before_those_in_it() -> None:
    text = "FROM x AS one\nFROM y\nFROM z\nRUN --mount=target=/a/b,from=one --mount=type=tmpfs,target=/a make"
    stages = planned(text)
    assert needed(stages) == {0, 2}
    action = stages[-1].steps[-1].action
    assert isinstance(action, Run)
    assert [mount.target for mount in action.mounts] == ["/a", "/a/b"]
    assert outside_names(planned("FROM x\nRUN --mount=target=/a,from=other make")) == ["x", "other"]


DOCUMENTS: dict[str, tuple[str, list[tuple[str, str, bool]]]] = {
    "one": ("RUN <<EOF\na\n # b\n\nEOF\nRUN x", [("EOF", "a\n # b\n\n", True)]),
    "quoted": ("RUN cat <<'E O'\nRUN <<\"E\"\n$a\nE", [("E", "$a\n", False)]),
    "tabs": ("RUN <<-EOF\n\ta\n\t\tb\n\tEOF", [("EOF", "a\nb\n", True)]),
    "two": ("COPY <<a <<b /x/\n1\na\n2\nb", [("a", "1\n", True), ("b", "2\n", True)]),
    "empty": ("RUN <<EOF\nEOF", [("EOF", "", True)]),
    "to a file": ("RUN cat <<EOF>x\n1\nEOF", [("EOF", "1\n", True)]),
    "in quotes it is none": ("RUN echo '<<EOF'", []),
    "a string of bash is none": ("RUN cat <<<x", []),
    "other instructions have none": ("ENV a=<<EOF", []),
}


@pytest.mark.parametrize(("text", "expected"), DOCUMENTS.values(), ids=DOCUMENTS.keys())
def test_documents(text: str, expected: list[tuple[str, str, bool]]) -> None:
    found = [document for instruction in parse(text) for document in instruction.heredocs]
    assert [(document.name, document.text, document.expand) for document in found] == expected


MALFORMED: dict[str, tuple[str, str]] = {
    "unknown": ("FROM x\n\nFETCH y", "line 3: unknown instruction 'FETCH'"),
    "no argument": ("FROM x\nRUN", "line 2: RUN needs an argument"),
    "only flags": ("FROM x\nRUN --network=none", "line 2: RUN needs an argument"),
    "document without end": ("FROM x\nRUN <<EOF\na\n", "line 2: the document EOF has no end"),
    "a trigger of a trigger": ("FROM x\nONBUILD ONBUILD RUN a", "line 2: ONBUILD: ONBUILD cannot follow it"),
    "a trigger that is FROM": ("FROM x\nONBUILD FROM a", "line 2: ONBUILD: FROM cannot follow it"),
    "a trigger that is unknown": ("FROM x\nONBUILD GO", "line 2: ONBUILD: unknown instruction 'GO'"),
    "a trigger that fails": ("FROM x AS s\nONBUILD USER $\n\nFROM s", "line 4: USER: '\\$' is not an account"),
    "escape": ("# escape=x\nFROM x", r"line 1: escape must be"),
    "before FROM": ("RUN x\nFROM y", "line 1: RUN comes before FROM"),
    "no FROM": ("ARG x", "no FROM"),
    "FROM with too much": ("FROM x y", "line 1: FROM: write FROM name"),
    "COPY with too little": ("FROM x\nCOPY y", "line 2: COPY: a source and a target"),
    "COPY of several to a file": ("FROM x\nCOPY a b c", "line 2: COPY: the target of several"),
    "RUN flag": ("FROM x\nRUN --network=none make", "line 2: RUN: --network is not served"),
    "FROM flag": ("FROM --arch=arm x", "line 1: FROM: --arch is not served"),
    "two stages of one name": ("FROM x AS a\nFROM y AS A", "line 2: FROM: an earlier stage is called a already"),
    "byte 0": ("FROM x\nRUN a\0b", "line 2: a Dockerfile must not contain a NUL"),
    "COPY flag": ("FROM x\nCOPY --unpack=x a b", "line 2: COPY: --unpack is not served"),
    "mode": ("FROM x\nCOPY --chmod=u+x a b", "line 2: COPY: --chmod=u.x must be octal"),
    "address": ("FROM x\nADD https://a/b c", "line 2: ADD: URLs are not fetched"),
    "a flag twice": ("FROM x\nCOPY --from=a --from=b c d", "line 2: COPY: --from is given twice"),
    "ssh": (
        "FROM x\nRUN --mount=type=ssh make",
        "line 2: RUN: --mount=type=ssh is not served, as builds have no ssh agent here",
    ),
    "mount of no kind": (
        "FROM x\nRUN --mount=type=npipe make",
        "line 2: RUN: --mount=type=npipe is none of bind, cache",
    ),
    "mount nowhere": (
        "FROM x\nRUN --mount=type=bind,source=a make",
        "line 2: RUN: a bind mount needs a target below /",
    ),
    "mount on all": ("FROM x\nRUN --mount=type=tmpfs,target=/.. make", "line 2: RUN: a tmpfs mount needs a target"),
    "cache nowhere": ("FROM x\nWORKDIR /w\nRUN --mount=type=cache make", "line 3: RUN: a cache mount needs a target"),
    "mount field": ("FROM x\nRUN --mount=target=/a,tgt=b make", "line 2: RUN: --mount has no 'tgt'"),
    "mount without value": ("FROM x\nRUN --mount=target make", "line 2: RUN: --mount needs a value for target"),
    "mount that is no csv": ('FROM x\nRUN --mount=\\"a make', 'line 2: RUN: --mount="a cannot be read'),
    "sharing": (
        "FROM x\nRUN --mount=type=cache,target=/a,sharing=no make",
        "line 2: RUN: sharing=no is none of shared",
    ),
    "sharing of a bind": (
        "FROM x\nRUN --mount=target=/a,sharing=locked make",
        "line 2: RUN: a bind mount has no sharing",
    ),
    "size of a cache": (
        "FROM x\nRUN --mount=type=cache,target=/a,size=1m make",
        "line 2: RUN: a cache mount has no size",
    ),
    "size": (
        "FROM x\nRUN --mount=type=tmpfs,target=/a,size=big make",
        "line 2: RUN: size=big is not a size such as 64m",
    ),
    "mode of a tmpfs": (
        "FROM x\nRUN --mount=type=tmpfs,target=/a,mode=7 make",
        "line 2: RUN: a tmpfs mount has no mode",
    ),
    "mode of a secret": ("FROM x\nRUN --mount=type=secret,id=a,mode=8 make", "line 2: RUN: mode=8 must be octal"),
    "uid": ("FROM x\nRUN --mount=type=secret,id=a,uid=app make", "line 2: RUN: uid=app must be a number"),
    "required or not": (
        "FROM x\nRUN --mount=type=secret,id=a,required=maybe make",
        "line 2: RUN: required=maybe must be true",
    ),
    "required cache": (
        "FROM x\nRUN --mount=type=cache,target=/a,required make",
        "line 2: RUN: a cache mount has no required",
    ),
    "secret without id": ("FROM x\nRUN --mount=type=secret make", "line 2: RUN: a secret mount needs an id"),
    "secret of two names": (
        "FROM x\nRUN --mount=type=secret,id=a,src=b make",
        "line 2: RUN: a secret has an id or a source",
    ),
    "secret of a stage": (
        "FROM x\nRUN --mount=type=secret,id=a,from=b make",
        "line 2: RUN: a secret mount has no from",
    ),
    "variable of a secret": (
        "FROM x\nRUN --mount=type=secret,id=a,env=1 make",
        "line 2: RUN: env=1 is not a valid name",
    ),
    "ENV without value": ("FROM x\nENV a", "line 2: ENV: 'a' has no value"),
    "ENV with a stray word": ("FROM x\nENV a=1 b", "line 2: ENV: 'b' must be name=value"),
    "quote": ("FROM x\nENV a='1", "line 2: ENV: a ' is not closed"),
    "brace": ("FROM x\nENV a=${b", "line 2: ENV: .* has no }"),
    "modifier": ("FROM x\nENV a=${b^^}", "line 2: ENV: .* modifier"),
    "required": ('FROM x\nENV a="${b:?must be}"', "line 2: ENV: b is not set: must be"),
    "SHELL": ("FROM x\nSHELL /bin/bash", "line 2: SHELL: write it as"),
    "USER": ("FROM x\nUSER a b", "line 2: USER: 'a b' is not an account"),
}


@pytest.mark.parametrize(("text", "message"), MALFORMED.values(), ids=MALFORMED.keys())
def test_mistakes_are_named_with_their_line(text: str, message: str) -> None:
    with pytest.raises(InvalidError, match=message):
        planned(text)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('["a", "b c"]', ("a", "b c")),
        ("[]", ()),
        ("['a']", None),
        ("[1]", None),
        ("[ -f x ]", None),
        ("a b", None),
        pytest.param("[" * 100_000, None, id="deeper than Python reads"),
        pytest.param("[" + "1" * 5000 + "]", None, id="more digits than Python reads"),
    ],
)
def test_json_form(text: str, words: tuple[str, ...] | None) -> None:
    assert json_form(text) == words


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a  b\tc", ["a", "b", "c"]),
        ("a='b c' d", ["a='b c'", "d"]),
        (r"a\ b c", [r"a\ b", "c"]),
        ('"a \\" b" c', ['"a \\" b"', "c"]),
        ("'a\\' b", ["'a\\'", "b"]),
        ("", []),
    ],
)
def test_split_words(text: str, words: list[str]) -> None:
    assert split_words(text) == words


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("a=1 b=2", [("a", "1"), ("b", "2")]),
        ("a='1 2' b=x=y c=", [("a", "'1 2'"), ("b", "x=y"), ("c", "")]),
        ("a 1 2", [("a", "1 2")]),
        ("a\tb c", [("a", "b c")]),
        ("a \t 1  2 ", [("a", "1  2")]),
        ("a = b", [("a", "= b")]),
        ("a=1\tb=2", [("a", "1"), ("b", "2")]),
    ],
)
def test_pairs(text: str, found: list[tuple[str, str]]) -> None:
    assert pairs(text) == found


VARIABLES = {
    "x": "1",
    "empty": "",
    "path": "/a b",
    "file": "a/b.tar.gz",
    "kind": "gz",
    "stars": "1*2*?",
    "braces": "{1}",
}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("$x${x}", "11"),
        ("$y${y}", ""),
        ("$xy", ""),
        ("${x}y", "1y"),
        ("$path/c", "/a b/c"),
        (r"\$x", "$x"),
        (r"a\ b", "a b"),
        ("'$x'", "$x"),
        ("\"$x '$x'\"", "1 '1'"),
        (r'"\$x \" \\ \n"', r'$x " \ \n'),
        ("a$", "a$"),
        ("$-", "$-"),
        ("${y:-d}${empty:-d}${x:-d}", "dd1"),
        ("${y-d}${empty-d}", "d"),
        ("${x:+s}${empty:+s}${y:+s}", "s"),
        ("${empty+s}${y+s}", "s"),
        ("${x:?no}${empty?no}", "1"),
        ("${y:-${x}2}", "12"),
        ("${y:-'a}b'}", "a}b"),
        ("${y:-}", ""),
        ("${file%.gz}", "a/b.tar"),
        ("${file%.*}", "a/b.tar"),
        ("${file%%.*}", "a/b"),
        ("${file#*/}", "b.tar.gz"),
        ("${file##*.}", "gz"),
        ("${file#x}${file%x}", "a/b.tar.gza/b.tar.gz"),
        ("${file#a/?}", ".tar.gz"),
        ("${file%$x}${file%.${kind}}", "a/b.tar.gza/b.tar"),
        ("${file/./-}", "a/b-tar.gz"),
        ("${file//./-}", "a/b-tar-gz"),
        (r"${file/\//-}", "a-b.tar.gz"),
        ("${file//[a]/x}", "a/b.tar.gz"),
        ("${file/tar/$path}", "a/b./a b.gz"),
        ("${file//t*z/}", "a/b."),
        (r"${stars//\*/+}", "1+2+?"),
        (r"${stars%\?}", "1*2*"),
        ("${braces%\\}}", "{1"),
        ("${y%x}${y/a/b}${empty#*}", ""),
        ("${file%'.gz'}", "a/b.tar"),
    ],
)
def test_expand(text: str, value: str) -> None:
    assert expand(text, VARIABLES) == value


def test_patterns_match_as_in_bash() -> None:
    chance, cases = random.Random(1), []
    for _ in range(3000):
        wild = chance.choice((["*"], [r"\*", r"\?"]))  # bash does not see what is escaped behind a star
        value = "".join(chance.choice("ab.*/") for _ in range(chance.randint(0, 8)))
        pattern = "".join(chance.choice(["a", "b", ".", "?", *wild]) for _ in range(chance.randint(1, 5)))
        operator = chance.choice(["#", "##", "%", "%%", "/", "//"])
        cases.append((value, f"${{v{operator}{pattern}{'/X' if operator[0] == '/' else ''}}}"))
    script = "".join(f"v='{value}'; echo \"[{text}]\"\n" for value, text in cases)
    expected = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True).stdout.splitlines()
    found = [f"[{expand(text, {'v': value})}]" for value, text in cases]
    assert [case for case, ours, theirs in zip(cases, found, expected, strict=True) if ours != theirs] == []


@pytest.mark.timeout(60)  # a regular expression would take for ever
def test_no_pattern_takes_for_ever() -> None:
    assert expand("${v//" + "*a" * 50 + "*b/x}", {"v": "a" * 100_000}) == "a" * 100_000


def test_expand_with_another_escape() -> None:
    assert expand(r"a\b`$x", VARIABLES, "`") == r"a\b$x"


def test_documents_keep_their_quotes() -> None:
    assert expand_document("'$x' \"${x}\" \\$x \\n\n", VARIABLES) == "'1' \"1\" $x \\n\n"


@pytest.mark.parametrize(
    ("path", "found"), [(".", ""), ("./a//b/", "a/b"), ("/a", "a"), ("", ""), ("a/../b", "b"), ("..a", "..a")]
)
def test_clean(path: str, found: str) -> None:
    assert clean(path) == found


@pytest.mark.parametrize("path", ["..", "../a", "a/../../b", "/.."])
def test_paths_out_of_the_context_are_refused(path: str) -> None:
    with pytest.raises(ValueError, match="leaves the build context"):
        clean(path)


IGNORED: dict[str, tuple[str, list[str], list[str]]] = {
    "a name at the top": ("node_modules", ["node_modules", "node_modules/a/b"], ["a/node_modules", "node_modules2"]),
    "slashes around": ("/build/", ["build", "build/x"], ["a/build"]),
    "one folder": ("*.log", ["a.log", ".log"], ["b/a.log", "a.logs"]),
    "any folder": ("**/*.log", ["a.log", "b/a.log", "c/b/a.log"], ["a.txt"]),
    "below": ("a/**", ["a/b", "a/b/c"], ["b"]),
    "in the middle": ("a/**/z", ["a/z", "a/b/z", "a/b/c/z/y"], ["z", "az"]),
    "one character": ("?.txt", ["a.txt"], ["ab.txt", "/.txt"]),
    "a class": ("[a-c].t", ["b.t"], ["d.t"]),
    "not of a class": ("[^a-c].t", ["d.t"], ["b.t"]),
    "an exception": ("*.md\n!README.md", ["a.md"], ["README.md"]),
    "the last one decides": ("!a\na", ["a"], []),
    "comments": ("# a\n\n  b  ", ["b"], ["a", "# a"]),
    "dots are dots": ("a.b", ["a.b"], ["axb"]),
    "what is outside": ("../x\n!../y\n..\n/..\na", ["a", "a/x"], ["x", "y"]),
    "a hash that is not at the beginning": (" #a\n#b", ["#a"], ["a", "b", "#b"]),
    "Windows lines": ("\ufeffa\r\n!a/b\r\n", ["a"], ["a/b"]),
    "odd ends of line": ("a\u2028b\x0cc", ["a\u2028b\x0cc"], ["a", "b", "c"]),
    "only an exclamation mark": ("a\n!\n! a", [], ["a", "!"]),
}


@pytest.mark.parametrize(("rules", "ignored", "kept"), IGNORED.values(), ids=IGNORED.keys())
def test_ignore_rules(rules: str, ignored: list[str], kept: list[str]) -> None:
    ignore = ignore_rules(rules)
    assert [path for path in [*ignored, *kept] if ignore(path)] == ignored


TREE = Tree(
    {"a.txt": False, "b.txt": False, "d": True, "d/x": False, "d/e": True, "d/e/y": False, "implied/z": False}
    | dict.fromkeys(("one", "two", "folder", "d/up", "abs", "out", "d/l", "dangling", "round"), False),
    {
        "one": "a.txt",
        "two": "one",
        "folder": "d",
        "d/up": "../a.txt",
        "abs": "/d/e",
        "out": "../../../a.txt",
        "d/l": "x",
        "dangling": "nowhere",
        "round": "round",
    },
)
D = {"x": "d/x", "e": "d/e", "e/y": "d/e/y", "up": "d/up", "l": "d/l"}
SELECTED: dict[str, tuple[list[str], dict[str, str], bool]] = {
    "a file": (["a.txt"], {"a.txt": "a.txt"}, True),
    "a file below": (["./d/e/y"], {"y": "d/e/y"}, True),
    "a folder's contents": (["d"], D, False),
    "everything": (["."], {name: name for name in TREE.names}, False),
    "a folder that only its files tell of": (["implied"], {"z": "implied/z"}, False),
    "a pattern": (["*.txt"], {"a.txt": "a.txt", "b.txt": "b.txt"}, False),
    "a pattern that fits one": (["a.*"], {"a.txt": "a.txt"}, True),
    "a pattern that fits a folder": (["[d]"], D, False),
    "several": (["a.txt", "d/x"], {"a.txt": "a.txt", "x": "d/x"}, False),
    "a link": (["one"], {"one": "a.txt"}, True),
    "a link to a link": (["two"], {"two": "a.txt"}, True),
    "a link to a folder": (["folder"], D, False),
    "through a link": (["folder/e/y"], {"y": "d/e/y"}, True),
    "through a link to a link": (["folder/l"], {"l": "d/x"}, True),
    "a link upwards": (["d/up"], {"up": "a.txt"}, True),
    "a link from the root": (["abs"], {"y": "d/e/y"}, False),
    "a link that would lead out": (["out"], {"out": "a.txt"}, True),
    "links that fit a pattern": (["[ot][nw][eo]"], {"one": "a.txt", "two": "a.txt"}, False),
    "a link and what it leads to": (["one", "a.txt"], {"one": "a.txt", "a.txt": "a.txt"}, False),
}


@pytest.mark.parametrize(("sources", "targets", "single"), SELECTED.values(), ids=SELECTED.keys())
def test_select(sources: list[str], targets: dict[str, str], single: bool) -> None:
    found = select(TREE, map(Source, sources))
    assert (found.targets, found.single_file) == (targets, single)


WITH_FOLDERS: dict[str, tuple[list[str], dict[str, str]]] = {
    "a file": (["a.txt"], {"a.txt": "a.txt"}),
    "a file below": (["d/e/y"], {"d": "d", "d/e": "d/e", "d/e/y": "d/e/y"}),
    "from a place on": (["d/./e/y"], {"e": "d/e", "e/y": "d/e/y"}),
    "from the root on": (["./d/x"], {"d": "d", "d/x": "d/x"}),
    "a folder": (["d/e"], {"d": "d", "d/e": "d/e", "d/e/y": "d/e/y"}),
    "patterns": (["**/y", "d/./*x"], {"d": "d", "d/e": "d/e", "d/e/y": "d/e/y", "x": "d/x"}),
    "a folder that only its files tell of": (["implied/z"], {"implied/z": "implied/z"}),
    "a link": (["d/l"], {"d": "d", "d/l": "d/x"}),
}


@pytest.mark.parametrize(("sources", "targets"), WITH_FOLDERS.values(), ids=WITH_FOLDERS.keys())
def test_select_with_folders(sources: list[str], targets: dict[str, str]) -> None:
    found = select(TREE, map(Source, sources), parents=True)
    assert (found.targets, found.single_file) == (targets, False)


@pytest.mark.parametrize("source", ["c.txt", "*.md", "d/z", "../a", "[z-a]", "dangling", "round", "one/x", "rou*"])
def test_sources_that_take_nothing_are_errors(source: str) -> None:
    sentence = r"nothing in the build context|leaves|malformed|'nowhere', which is not in|leads nowhere"
    with pytest.raises(ValueError, match=sentence):
        select(TREE, [Source(source)])


NAMED = {name: Image() for name in ("x", "y", "z", "other", "other:1")}
"""What the Dockerfiles of these tests stand on."""


def planned(text: str, **args: str) -> tuple[Stage, ...]:
    return plan(parse(text), args, {**NAMED, "base": Image({"B": "base"}, "/w", "app")})


def runs(stage: Stage) -> list[tuple[str, ...]]:
    return [step.action.argv for step in stage.steps if isinstance(step.action, Run)]


def test_settings_accumulate() -> None:
    (stage,) = planned(
        "FROM x\nENV a=1 b=$PATH:x\nENV a=2 c=$a\nWORKDIR /w\nWORKDIR d/../e\nUSER me:us\n"
        'SHELL ["/bin/bash", "-c"]\nRUN go\nCMD ["s", "t"]\nENTRYPOINT run it'
    )
    step = next(step for step in stage.steps if isinstance(step.action, Run))
    env = {"a": "2", "b": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:x", "c": "1"}
    assert step.stage_context == StageContext(env, {}, "/w/e", "me:us", ("/bin/bash", "-c"))
    assert (step.line, step.title) == (8, "RUN go")
    assert stage.image() == Image(
        env, "/w/e", "me:us", ("/bin/bash", "-c", "run it"), ("s", "t"), shell=("/bin/bash", "-c")
    )
    assert [step.action for step in stage.steps if isinstance(step.action, Folder)] == [Folder("/w"), Folder("/w/e")]


PROGRAMS: dict[str, tuple[str, tuple[str, ...]]] = {
    "shell": ("RUN a && b", ("/bin/sh", "-c", "a && b")),
    "program": ('RUN ["a", "$b"]', ("a", "$b")),
    "nearly JSON is shell": ("RUN [ -f x ]", ("/bin/sh", "-c", "[ -f x ]")),
    "document": ("RUN <<EOF\na\nb\nEOF", ("/bin/sh", "-c", "a\nb\n")),
    "document for a program": ("RUN python <<EOF\na\nEOF", ("/bin/sh", "-c", "python <<EOF\na\nEOF")),
    "variables are the shell's": ("RUN echo $a '$b'", ("/bin/sh", "-c", "echo $a '$b'")),
}


@pytest.mark.parametrize(("text", "argv"), PROGRAMS.values(), ids=PROGRAMS.keys())
def test_programs(text: str, argv: tuple[str, ...]) -> None:
    assert runs(planned(f"FROM x\n{text}")[0]) == [argv]


def test_a_document_with_an_interpreter_is_run_by_it() -> None:
    (argv,) = runs(planned("FROM x\nRUN <<EOF\n#!/usr/bin/env python3\nprint(1)\nEOF")[0])
    assert argv[-1] == "#!/usr/bin/env python3\nprint(1)\n"


ARGS: dict[str, tuple[str, dict[str, str], dict[str, str]]] = {
    "default": ("FROM x\nARG a=1\nRUN x", {}, {"a": "1"}),
    "given": ("FROM x\nARG a=1\nRUN x", {"a": "2"}, {"a": "2"}),
    "without default": ("FROM x\nARG a\nRUN x", {}, {}),
    "undeclared": ("FROM x\nRUN x", {"a": "2"}, {}),
    "global, declared again": ("ARG a=1\nFROM x\nARG a\nRUN x", {}, {"a": "1"}),
    "global, not declared again": ("ARG a=1\nFROM x\nRUN x", {}, {}),
    "from another": ("FROM x\nARG a=1 b=${a}2\nRUN x", {}, {"a": "1", "b": "12"}),
    "predefined": ("FROM x\nARG TARGETOS\nRUN x", {}, {"TARGETOS": "linux"}),
    "platform": ("FROM x\nARG TARGETPLATFORM\nRUN x", {}, {"TARGETPLATFORM": PLATFORM}),
    "of a stage that it stands on": ("FROM x AS s\nARG a=1\nFROM s\nRUN x", {}, {"a": "1"}),
    "of a stage below that": ("FROM x AS s\nARG a\nFROM s AS t\nFROM t\nRUN x", {"a": "2"}, {"a": "2"}),
    "of another stage": ("FROM x AS s\nARG a=1\nFROM x\nRUN x", {}, {}),
    "global, through a stage": ("ARG a=1\nFROM x AS s\nARG a\nFROM s\nRUN x", {}, {"a": "1"}),
    "said anew in the stage above": ("FROM x AS s\nARG a=1\nFROM s\nARG a=3\nRUN x", {}, {"a": "3"}),
    "declared again in the stage above": ("FROM x AS s\nARG a=1\nFROM s\nARG a\nRUN x", {}, {"a": "1"}),
}


@pytest.mark.parametrize(("text", "given", "args"), ARGS.values(), ids=ARGS.keys())
def test_args(text: str, given: dict[str, str], args: dict[str, str]) -> None:
    last = planned(text, **given)[-1]
    assert [step.stage_context.args for step in last.steps if isinstance(step.action, Run)] == [args]


def test_env_wins_over_arg() -> None:
    (stage,) = planned("FROM x\nARG a=arg\nENV a=env\nWORKDIR /$a", a="given")
    assert stage.stage_context.cwd == "/env"


def test_stages_and_bases() -> None:
    text = (
        "ARG v=se\nFROM ba$v AS One\nENV E=1\nFROM one\nRUN x\nFROM other:1\nCOPY --from=0 /a /b\nCOPY --from=far /c /d"
    )
    stages = planned(text)
    assert [(stage.base, stage.name) for stage in stages] == [("base", "one"), (0, None), ("other:1", None)]
    assert stages[1].stage_context == StageContext({"B": "base", "E": "1"}, {}, "/w", "app")
    assert stages[2].stage_context == StageContext()
    copies = [step.action.stage for step in stages[2].steps if isinstance(step.action, Copy)]
    assert copies == [0, "far"]
    assert outside_names(stages) == ["base", "other:1", "far"]


@pytest.mark.parametrize("platform", ["$BUILDPLATFORM", PLATFORM, f"{PLATFORM}/v8"])
def test_this_machine_s_platform_may_be_named(platform: str) -> None:
    assert len(planned(f"FROM --platform={platform} x")) == 1


def test_another_platform_is_refused() -> None:
    with pytest.raises(InvalidError, match=f"line 1: FROM: --platform=linux/s390x cannot .* which is {PLATFORM}"):
        planned("FROM --platform=linux/s390x x")


def test_a_name_that_the_plan_was_not_given_is_asked_for() -> None:
    with pytest.raises(UnknownNameError) as caught:
        plan(parse("ARG V=python:3\nFROM x AS a\nFROM $V"), {}, NAMED)
    assert caught.value.name == "python:3"


@pytest.mark.parametrize(
    ("text", "name"),
    [("FROM x\nFROM y AS a\nFROM a AS b\nFROM b", "y"), ("FROM x AS a\nFROM y", "y"), ("FROM x", "x")],
    ids=["through stages", "the last stage alone", "one stage"],
)
def test_the_name_that_the_last_stage_stands_on(text: str, name: str) -> None:
    assert origin_name(planned(text)) == name


def test_the_settings_of_an_image_go_into_the_build_and_out_of_it_again() -> None:
    image = Image({"A": "1"}, "/w", "app", ("e",), ("c",), shell=("bash", "-c"))
    (stage,) = plan(parse("FROM x\nENV B=$A\nRUN y"), {}, {"x": image})
    assert runs(stage) == [("bash", "-c", "y")]
    assert stage.image() == replace(image, env={"A": "1", "B": "1"})


ON_BUILD: dict[str, tuple[str, list[tuple[str, ...]]]] = {
    "runs in the stage above": (
        "FROM x AS s\nONBUILD RUN a\nFROM s\nRUN b",
        [("/bin/sh", "-c", "a"), ("/bin/sh", "-c", "b")],
    ),
    "does not run where it stands": ("FROM x\nONBUILD RUN a\nRUN b", [("/bin/sh", "-c", "b")]),
    "does not run again above that": (
        "FROM x AS s\nONBUILD RUN a\nFROM s AS t\nFROM t\nRUN b",
        [("/bin/sh", "-c", "b")],
    ),
    "several, in their order": (
        'FROM x AS s\nONBUILD ENV A=1\nONBUILD SHELL ["sh"]\nONBUILD RUN a\nFROM s',
        [("sh", "a")],
    ),
    "with a document": ("FROM x AS s\nONBUILD RUN <<E\na\nE\nFROM s", [("/bin/sh", "-c", "a\n")]),
    "with another escape": ("# escape=`\nFROM x AS s\nONBUILD RUN a `\n  b\nFROM s", [("/bin/sh", "-c", "a   b")]),
    "of a blueprint": ("FROM built\nRUN b", [("/bin/sh", "-c", "a"), ("/bin/sh", "-c", "b")]),
}


@pytest.mark.parametrize(("text", "argvs"), ON_BUILD.values(), ids=ON_BUILD.keys())
def test_on_build(text: str, argvs: list[tuple[str, ...]]) -> None:
    first = planned("FROM x\nONBUILD RUN a")[-1].image()
    assert runs(plan(parse(text), {}, {**NAMED, "built": first})[-1]) == argvs


def test_a_base_blueprint_has_its_say_first() -> None:
    base = planned("FROM x\nONBUILD ENV A=1\nONBUILD RUN a")[-1].image()
    (stage,) = plan(parse("RUN b"), {}, {}, base)
    assert (runs(stage), stage.stage_context.env) == ([("/bin/sh", "-c", "a"), ("/bin/sh", "-c", "b")], {"A": "1"})
    assert stage.image().on_build == ()


def test_stages_that_the_last_one_needs() -> None:
    text = "FROM x AS a\nFROM a AS b\nFROM x AS idle\nFROM x AS c\nCOPY --from=b /a /b\nFROM c"
    assert needed(planned(text)) == {0, 1, 3, 4}


def test_a_base_blueprint_stands_in_for_from() -> None:
    (stage,) = plan(parse("RUN x"), {}, {}, Image({"A": "1"}))
    assert (stage.base, stage.stage_context.env) == (None, {"A": "1"})
    with pytest.raises(InvalidError, match="line 1: FROM and a base blueprint"):
        plan(parse("FROM x"), {}, {}, Image())


COPIES: dict[str, tuple[str, Copy]] = {
    "relative": ("COPY a b", Copy(("a",), "/w/b")),
    "folder": ("COPY a b /c/", Copy(("a", "b"), "/c/")),
    "here": ("COPY . .", Copy((".",), "/w/.")),
    "quoted": ('COPY "a b" /c', Copy(("a b",), "/c")),
    "program form": ('COPY ["a b", "c d"]', Copy(("a b",), "/w/c d")),
    "variables": ("COPY $v/a /$v", Copy(("1/a",), "/1")),
    "flags": ("COPY --chown=$v:2 --chmod=0640 a /b", Copy(("a",), "/b", owner="1:2", mode=0o640)),
    "ADD unpacks": ("ADD a.tar /b", Copy(("a.tar",), "/b", unpack=True)),
    "document": ("COPY <<x /b\n$v\nx", Copy((), "/b", documents={"x": "1\n"})),
    "document beside a file": ("COPY a <<'x' /b/\n$v\nx", Copy(("a",), "/b/", documents={"x": "$v\n"})),
    "exclude": ("COPY --exclude=*.md . /b", Copy((".",), "/b", exclude=("*.md",))),
    "parents": ("COPY --parents --link a b/./c /b/", Copy(("a", "b/./c"), "/b/", parents=True)),
    "without parents": ("COPY --parents=false a /b", Copy(("a",), "/b")),
}


@pytest.mark.parametrize(("text", "copy"), COPIES.values(), ids=COPIES.keys())
def test_copies(text: str, copy: Copy) -> None:
    (stage,) = planned(f"FROM x\nARG v=1\nWORKDIR /w\n{text}")
    assert stage.steps[-1].action == copy
