"""Secrets."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...text.quoting import as_word, printable
from .. import kind_names
from ..forms import Field, Form, Outcome, Submission, check_variable
from ..kind import NAME, Entry, ResourceKind, Row, number, text
from ..specs import Cell, Column
from .deletion import deletion

if TYPE_CHECKING:
    from runloop_sdk.models.secrets import SecretView


def _row(entry: Entry) -> Row:
    return [text(entry.get("name")), number(entry.get("create_time_ms")), number(entry.get("update_time_ms"))]


async def _save(submission: Submission) -> Outcome:
    from ...operations.secrets import set_secret

    name, value = submission.value("name"), submission.values.get("value", "")
    view, is_new = await set_secret(submission.session, name, value, submission.observer)
    return Outcome(f"{'Saved' if is_new else 'Changed'} secret {printable(view.name)}.")


FORM = Form(
    kind_names.SECRET,
    "New secret",
    "Save secret",
    (
        Field("name", "Name", hint="letters, digits and _; one that exists gets this value", check=check_variable),
        Field("value", "Value", "hidden", "it is sent to the service and kept nowhere else",
              check=lambda value: "" if value else "A value is needed."),
    ),
    lambda values: f"%runloop secret set {as_word(values.get('name', '').strip() or 'NAME')}",
    _save,
)  # fmt: skip

SECRET: ResourceKind[SecretView] = ResourceKind(
    name=kind_names.SECRET,
    singular="secret",
    title="Secrets",
    model="SecretView",
    path="/v1/secrets",
    items="secrets",
    detail_path="/v1/secrets/id/{}",
    ask=lambda sdk, page: aiter(sdk.api.secrets.list(**page)),
    searchable=False,
    optional=True,
    columns=(
        NAME,
        Column("created", "Created", "time", 130, 1),
        Column("updated", "Changed", "time", 130, 2),
        Column("id", "ID", "id", 230, 3),
    ),
    row_values=_row,
    listed=("name", "id", "created", "updated"),
    empty="No secret yet. Set one here, or by `%runloop secret set NAME`, which asks for the value. Devboxes get "
    "secrets as environment variables; nobody can read them back here.",
    actions=(deletion(),),
    cells=lambda entry, name, identity: [Cell("Delete", f"%runloop secret delete {name}")],
    create_label="New secret",
    creation=lambda choices, source: FORM,
    delete=lambda sdk, identity: sdk.api.secrets.delete_by_id(identity),
    loses="New devboxes will not have it any more.",
)
