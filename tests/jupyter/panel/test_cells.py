"""The cells that the panel offers: each is taken by the subcommand that it calls, and is no more than that."""

from __future__ import annotations

from typing import Any

import pytest

from runloop_jupyter.commands import DEVBOX, resolve
from runloop_jupyter.resources.forms import Form
from runloop_jupyter.resources.kinds import KINDS
from runloop_jupyter.resources.kinds.blueprint import BUILD_FORM
from runloop_jupyter.resources.kinds.devbox import SNAPSHOT_FORM, TUNNEL_FORM, creation_form
from runloop_jupyter.resources.kinds.network_policy import FORM as POLICY_FORM
from runloop_jupyter.resources.kinds.secret import FORM as SECRET_FORM
from runloop_jupyter.text.quoting import reference
from runloop_jupyter.variables import Variables
from tests.starter import FROM

NAMES = {
    "plain": "web-1",
    "spaces": "my own box",
    "quotes": 'it\'s "mine" $HOME; rm',
    "markup": "<b>bold</b>",
}
ODD = {
    "a second line": "x\nimport os",
    "an expression": "{{open('/etc/passwd').read()}}",
    "an option": "--force",
    "a pattern": "web-*",
    "all": "all",
    "turned around": "x\u202eevil",
    "none": "",
}
STATES = [
    *(("devbox", {"status": status}) for status in ("running", "suspended", "shutdown")),
    *((kind, {}) for kind in ("blueprint", "snapshot", "object", "secret", "policy")),
]
DEVBOX_VALUES = {
    "name": "-x", "source": "blueprint:bpt_1", "size": "x-large", "keep_alive": "2h", "keep": "yes",
    "env": "A=1\nB=two words", "secrets": "TOKEN=my-token", "mounts": "obj_1 /data\nowner/repo@main",
    "tunnel": "authenticated", "metadata": "team=blue",
}  # fmt: skip
FORMS = {
    "devbox": (creation_form({"blueprint": [("bpt_1", "b")], "snapshot": []}), DEVBOX_VALUES),
    "empty devbox": (creation_form({"blueprint": [], "snapshot": []}), {}),
    "blueprint": (
        BUILD_FORM,
        {
            "name": "b",
            "dockerfile": f"{FROM}\nRUN y",
            "commands": "a\nb",
            "metadata": "k=v",
        },
    ),
    "blueprint without a Dockerfile": (BUILD_FORM, {"name": "b", "commands": "echo 'a b'"}),
    "secret": (SECRET_FORM, {"name": "TOKEN", "value": "hunter2"}),
    "policy": (POLICY_FORM, {"name": "p", "hosts": "a.org\n*.b.org", "description": "only these", "allow_all": "yes"}),
    "snapshot": (SNAPSHOT_FORM, {"name": "s", "message": "as it was", "about": "web-1"}),
    "tunnel": (TUNNEL_FORM, {"port": "8000", "auth": "authenticated", "about": "web-1"}),
}


def taken(cell: str) -> Any:
    """What the subcommand understands; raises for what it does not take."""
    line, *below = cell.split("\n", 1)
    magic, _, rest = line.lstrip("%").partition(" ")
    noun, verb, options = resolve(rest, DEVBOX if magic == "devbox" else None)
    parser = noun.load(verb).parser()

    def refuse(expression: str) -> object:
        raise AssertionError(f"{expression} would be evaluated")

    assert line.startswith("%%") == bool(below)
    return parser.parse(options, below[0] if below else None, refuse, Variables({}))


@pytest.mark.parametrize("name", [*NAMES.values(), *ODD.values()], ids=[*NAMES, *ODD])
def test_the_cells_of_each_kind_are_taken_whatever_the_name(name: str) -> None:
    for kind, fields in STATES:
        for label, cell in KINDS[kind].cells_for({"id": "xyz_1", "name": name, **fields}):
            taken(cell)
            assert cell.count("\n") == (label == "Run a command")
            if name in ODD.values():
                assert "xyz_1" in cell


def test_what_has_no_name_that_can_be_typed_is_left_to_the_user() -> None:
    assert reference("x\ny", "{{id}}") == "NAME"


@pytest.mark.parametrize(("form", "values"), FORMS.values(), ids=FORMS)
def test_the_line_below_a_form_is_taken(form: Form, values: dict[str, str]) -> None:
    assert form.check(values) == {}
    line = form.magic(values)
    assert "hunter2" not in line
    taken(line)


def test_the_line_below_a_form_says_all_that_the_form_asks_for() -> None:
    box = taken(FORMS["devbox"][0].magic(DEVBOX_VALUES))
    assert (box.name, box.size, box.keep_alive, box.keep) == ("-x", "x_large", 7200, True)
    assert "main" in repr(vars(box))
    tunnel = taken(FORMS["tunnel"][0].magic(FORMS["tunnel"][1]))
    assert (tunnel.on, tunnel.private) == ("web-1", True)
    policy = taken(FORMS["policy"][0].magic(FORMS["policy"][1]))
    assert policy.allow_all
    assert "only these" in repr(vars(policy))
