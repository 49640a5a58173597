"""Network policies."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from ...text.quoting import as_word, printable
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
    given,
    lines,
    repeated,
)
from ..kind import NAME, Entry, ResourceKind, number, part, text
from ..specs import Cell, Column, Fact
from .deletion import deletion

if TYPE_CHECKING:
    from runloop_sdk.models.network_policies import NetworkPolicyView


def _row(entry: Entry) -> list[Any]:
    egress = part(entry, "egress")
    names = [text(name) for name in egress.get("allowed_hostnames") or ()]
    ranges = [text(each.get("cidr")) for each in egress.get("allowed_cidrs") or () if isinstance(each, Mapping)]
    allows = "everything" if egress.get("allow_all") else ", ".join([*names, *ranges]) or "nothing"
    return [text(entry.get("name")), allows, number(entry.get("create_time_ms")), text(entry.get("description"))]


def _egress(entry: Entry) -> Iterator[Fact]:
    for key, value in part(entry, "egress").items():
        label = str(key).replace("_", " ").capitalize()
        if isinstance(value, bool):
            yield Fact(label, "yes" if value else "no", "text")
        elif value:
            yield Fact(label, ", ".join(str(v.get("cidr") if isinstance(v, Mapping) else v) for v in value), "text")


def _request(values: Values) -> dict[str, Any]:
    return given(
        {
            "name": values.get("name", "").strip(),
            "allow_all": values.get("allow_all") == "yes",
            "allowed_hostnames": lines(values.get("hosts", "")),
            "description": values.get("description", "").strip(),
        }
    )


def _magic(values: Values) -> str:
    start = f"%runloop policy create {as_word(values.get('name', '').strip() or 'NAME')}"
    options = [*repeated("--host", values.get("hosts", "")), ("--description", values.get("description", "").strip())]
    return cell_line(start, options) + (" --allow-all" if values.get("allow_all") == "yes" else "")


async def _save(submission: Submission) -> Outcome:
    session, observer = submission.session, submission.observer
    sdk = await session.client.sdk()
    view = await observer.confirmed(sdk.api.network_policies.create(**_request(submission.values)))
    session.names.add(POLICY.name, view.name)
    observer.changed(view)
    return Outcome(f"Saved network policy {printable(view.name)}.")


_HOSTS = "example.com or *.example.com, one a line"
FORM = Form(
    "policy",
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
    name="policy",
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
    more_facts=_egress,
    empty="No network policy yet. A policy says which hosts devboxes may reach: make one here, or by "
    "`%runloop policy create NAME --host github.com`.",
    actions=(deletion(),),
    cells=lambda entry, name, identity: [Cell("Delete", f"%runloop policy delete {name}")],
    create_label="New policy",
    creation=lambda choices, source: FORM,
    delete=lambda sdk, identity: sdk.api.network_policies.delete(identity),
    loses="Devboxes that are made from now on cannot be put under them.",
)
