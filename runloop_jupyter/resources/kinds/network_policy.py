"""Network policies."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from ...text.quoting import as_word, printable
from .. import kind_names
from ..forms import (
    Field,
    Form,
    Outcome,
    Submission,
    Values,
    cell_line,
    check_each,
    check_host,
    check_name,
    lines,
    repeated,
)
from ..kind import NAME, Entry, ResourceKind, Row, number, part, text
from ..specs import Cell, Column, Fact
from .deletion import deletion

if TYPE_CHECKING:
    from runloop_sdk.models.network_policies import NetworkPolicyView
    from runloop_sdk.params.network_policies import NetworkPolicyCreateParams


_SWITCHES = {
    "allow_devbox_to_devbox": "other devboxes",
    "allow_runloop_mirrors": "Runloop's package mirrors",
    "allow_agent_gateway": "the agent gateway",
    "allow_mcp_gateway": "the MCP gateway",
}


def allowed(egress: Entry) -> str:
    """Return the destinations that devboxes may connect to, on one line."""
    if egress.get("allow_all"):
        return "everything"
    names = [text(name) for name in egress.get("allowed_hostnames") or ()]
    ranges = [_range(each) for each in egress.get("allowed_cidrs") or () if isinstance(each, Mapping)]
    switches = [words for name, words in _SWITCHES.items() if egress.get(name)]
    return ", ".join([*names, *ranges, *switches]) or "nothing"


def _range(allowed: Entry) -> str:
    rules = [rule for rule in allowed.get("ports") or () if isinstance(rule, Mapping)]
    ports = "/".join(
        f"{rule.get('port')}-{rule['end_port']}" if rule.get("end_port") else f"{rule.get('port')}" for rule in rules
    )
    return f"{text(allowed.get('cidr'))} port {ports}" if ports else text(allowed.get("cidr"))


def _row(entry: Entry) -> Row:
    return [
        text(entry.get("name")),
        allowed(part(entry, "egress")),
        number(entry.get("create_time_ms")),
        text(entry.get("description")),
    ]


def _egress(entry: Entry) -> Iterator[Fact]:
    for key, value in part(entry, "egress").items():
        label = str(key).replace("_", " ").capitalize()
        if isinstance(value, bool):
            yield Fact(label, "yes" if value else "no", "text")
        elif value:
            yield Fact(label, ", ".join(str(v.get("cidr") if isinstance(v, Mapping) else v) for v in value), "text")


def _request(values: Values) -> NetworkPolicyCreateParams:
    request: NetworkPolicyCreateParams = {"name": values.get("name", "").strip()}
    if values.get("allow_all") == "yes":
        request["allow_all"] = True
    if hosts := lines(values.get("hosts", "")):
        request["allowed_hostnames"] = hosts
    if description := values.get("description", "").strip():
        request["description"] = description
    return request


def _magic(values: Values) -> str:
    start = f"%runloop policy create {as_word(values.get('name', '').strip() or 'NAME')}"
    options = [*repeated("--host", values.get("hosts", "")), ("--description", values.get("description", "").strip())]
    return cell_line(start, options) + (" --allow-all" if values.get("allow_all") == "yes" else "")


async def _save(submission: Submission) -> Outcome:
    from ...operations.policies import create_policy

    view = await create_policy(submission.session, submission.observer, **_request(submission.values))
    return Outcome(f"Saved network policy {printable(view.name)}.")


_HOSTS = "example.com or *.example.com, one a line"
FORM = Form(
    kind_names.POLICY,
    "New network policy",
    "Save policy",
    (
        Field("name", "Name", check=check_name),
        Field("hosts", "Allowed hosts", "lines", _HOSTS, check=check_each(check_host)),
        Field("allow_all", "Allow everything", "switch"),
        Field("description", "Description", more=True),
    ),
    _magic,
    _save,
)

POLICY: ResourceKind[NetworkPolicyView] = ResourceKind(
    name=kind_names.POLICY,
    singular="network policy",
    title="Network policies",
    model="NetworkPolicyView",
    path="/v1/network-policies",
    items="network_policies",
    detail_path="/v1/network-policies/{}",
    ask=lambda sdk, page: aiter(sdk.api.network_policies.list(**page)),
    optional=True,
    columns=(
        NAME,
        Column("allows", "Allows", width=260, rank=1),
        Column("created", "Created", "time", 120, 2),
        Column("description", "Description", width=200, rank=3),
        Column("id", "ID", "id", 230, 4),
    ),
    row_values=_row,
    listed=("name", "id", "allows", "created"),
    more_facts=_egress,
    empty="No network policy yet. A policy says which hosts devboxes may reach: make one here, or by "
    "`%runloop policy create NAME --host github.com`.",
    actions=(deletion(),),
    cells=lambda entry, name, identity: [Cell("Delete", f"%runloop policy delete {name}")],
    create_label="New policy",
    creation=lambda choices, source: FORM,
    delete=lambda sdk, identity: sdk.api.network_policies.delete(identity),
    loses="New devboxes cannot be put under it any more.",
)
