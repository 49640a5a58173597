"""Devboxes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping
from typing import TYPE_CHECKING

from ...errors import UsageError
from ...kernel.owned import DEFAULT_KEEP_ALIVE
from ...text.durations import parse_duration
from ...text.json_values import RequestParams
from ...text.quoting import as_word
from .. import kind_names
from ..api_limits import SIZES
from ..devboxes import DevboxInfo, describe
from ..forms import (
    METADATA,
    Field,
    Form,
    Link,
    Outcome,
    Submission,
    Values,
    cell_line,
    check_assignment,
    check_each,
    check_keep_alive,
    check_length,
    check_mount,
    check_port,
    given,
    lines,
    mount_of,
    on_option,
    pairs,
    repeated,
)
from ..kind import NAME, Action, ActionRequest, Choices, Entry, ResourceKind, Row, number, part, text
from ..specs import Cell, Column

if TYPE_CHECKING:
    from runloop_sdk import AsyncRunloopSDK
    from runloop_sdk.models.devboxes import DevboxView

_ENDED = frozenset({"shutdown", "failure"})
_CHANGING = ("scheduled", "queued", "provisioning", "initializing", "suspending", "resuming")
_RUNNING = ("running",)
_LIVE = ("running", "suspended", *_CHANGING)


# Rows


def _row(entry: Entry) -> Row:
    launch = part(entry, "launch_parameters")
    status = text(entry.get("status")) or "unknown"
    return [
        text(entry.get("name")),
        status,
        number(entry.get("create_time_ms")),
        number(entry.get("end_time_ms")),
        text(entry.get("owner")),
        text(entry.get("blueprint_id")) or text(entry.get("snapshot_id")),
        text(launch.get("resource_size_request")).lower().replace("_", "-"),
        text(part(entry, "tunnel").get("auth_mode")),
        _reason(entry) if status in _ENDED else "",
        _runs_until(entry, launch),
        text(entry.get("with_kernel")),
    ]


def _reason(entry: Entry) -> str:
    from runloop_sdk.models.devboxes import reason_of

    return reason_of(entry)


def _runs_until(entry: Entry, launch: Entry) -> int | None:
    """Return when its keep-alive time is over, if nobody but this kernel renewed it since it began to run.

    None where there is none, or where its end hangs on a kernel's.
    """
    if entry.get("status") != "running" or entry.get("with_kernel"):
        return None
    if launch.get("after_idle") or part(launch, "lifecycle").get("after_idle"):
        return None
    seconds = number(launch.get("keep_alive_time_seconds")) or round(DEFAULT_KEEP_ALIVE)
    start = _running_since(entry) or number(entry.get("create_time_ms")) or 0
    last = max(start, number(entry.get("renewed_time_ms")) or 0)
    return last + seconds * 1000 if last else None


def _running_since(entry: Entry) -> int | None:
    steps = entry.get("state_transitions")
    for step in reversed(steps) if isinstance(steps, list) else ():
        if isinstance(step, dict) and step.get("status") == "running":
            return number(step.get("transition_time_ms"))
    return None


def devbox_of(row: Row) -> DevboxInfo:
    """Return the devbox of a row, as far as the row tells."""
    return DevboxInfo(
        id=row[0],
        name=row[1],
        status=DEVBOX.status(row),
        created_ms=DEVBOX.value(row, "created") or 0,
        ended_ms=DEVBOX.value(row, "ended"),
        reason=DEVBOX.value(row, "reason"),
        source=DEVBOX.value(row, "source"),
        size=DEVBOX.value(row, "size"),
        owner=DEVBOX.value(row, "owner"),
    )


def _fact(entry: Entry, key: str) -> object:
    return _reason(entry) if key in ("failure_reason", "shutdown_reason") and entry.get(key) else entry.get(key)


def _cells(entry: Entry, name: str, identity: str) -> list[Cell]:
    use = Cell("Use it", f"%devbox use {name}")
    if entry.get("status") == "running":
        run = Cell("Run a command", f"%%devbox exec --on {name}\necho hello")
        return [run, use, Cell("Suspend", f"%devbox suspend {name}"), Cell("Shut down", f"%devbox shutdown {name}")]
    if entry.get("status") == "suspended":
        return [Cell("Resume", f"%devbox resume {name}"), use, Cell("Shut down", f"%devbox shutdown {name}")]
    return [Cell("Show it", f"%devbox info {name}")]


async def _listed(sdk: AsyncRunloopSDK, page: RequestParams) -> AsyncIterator[DevboxView]:
    async for view in sdk.api.devboxes.list(**page):
        yield view


# Actions


async def _use(request: ActionRequest) -> str:
    sdk = await request.session.client.sdk()
    devbox = describe(await request.observer.confirmed(sdk.devbox.from_id(request.id).get_info()))
    request.session.choose(devbox)
    return f"{devbox.short} is the current devbox: the next %%devbox cells run on it."


async def _keep_alive(request: ActionRequest) -> str:
    from ...operations.lifecycle import keep_alive

    await keep_alive(request.session, devbox_of(request.row), request.observer)
    return f"The keep-alive time of {request.name} starts again."


async def _snapshot(request: ActionRequest) -> str:
    from ...operations.snapshots import take_snapshot

    view = await take_snapshot(request.session, devbox_of(request.row), observer=request.observer)
    return f"Took snapshot {view.id} of {request.name}."


async def _suspend(request: ActionRequest) -> str:
    from ...operations.lifecycle import suspend

    await suspend(request.session, devbox_of(request.row), request.observer)
    return f"Suspended {request.name}."


async def _resume(request: ActionRequest) -> str:
    from ...operations.lifecycle import resume

    await resume(request.session, devbox_of(request.row), request.observer, use=request.alone)
    return f"{request.name} runs again" + (" and is the current devbox." if request.alone else ".")


async def _shut_down(request: ActionRequest) -> str:
    from ...operations.lifecycle import shut_down

    await shut_down(request.session, devbox_of(request.row), request.observer)
    return f"Shut down {request.name}."


# Forms


def _source(values: Values) -> tuple[str, str]:
    """Return the kind and the id of what it starts from; nothing for the standard image."""
    kind, _, identity = values.get("source", "").partition(":")
    return kind, identity


def _request(values: Values) -> dict[str, object]:
    kind, identity = _source(values)
    return given(
        {
            "name": values.get("name", "").strip(),
            f"{kind}_id": identity,
            "environment_variables": pairs(values.get("env", "")),
            "secrets": pairs(values.get("secrets", "")),
            "metadata": pairs(values.get("metadata", "")),
            "mounts": [mount_of(line) for line in lines(values.get("mounts", ""))],
            "tunnel": given({"auth_mode": values.get("tunnel", "")}),
            "launch_parameters": given({"resource_size_request": values.get("size", "").upper().replace("-", "_")}),
        }
    )


def _repository(mount: Mapping[str, str]) -> str:
    ref = f"@{mount['git_ref']}" if "git_ref" in mount else ""
    return f"{mount['repo_owner']}/{mount['repo_name']}{ref}"


def _magic(values: Values) -> str:
    kind, identity = _source(values)
    mounts = [mount_of(line) for line in lines(values.get("mounts", "")) if not check_mount(line)]
    options = [
        ("--name", values.get("name", "").strip()),
        (f"--{kind}", identity),
        ("--size", values.get("size", "").replace("-", "_")),
        *repeated("--env", values.get("env", "")),
        *repeated("--secret", values.get("secrets", "")),
        *(("--mount", f"{m['object_id']}:{m['object_path']}") for m in mounts if "object_id" in m),
        *(("--repo", _repository(m)) for m in mounts if "repo_name" in m),
        ("--tunnel", values.get("tunnel", "")),
        *repeated("--metadata", values.get("metadata", "")),
        ("--keep-alive", values.get("keep_alive", "").strip()),
    ]
    return cell_line("%devbox create", options) + (" --keep" if values.get("keep") == "yes" else "")


async def _create(submission: Submission) -> Outcome:
    from ...operations.devbox_names import check_free
    from ...operations.lifecycle import create

    values = submission.values
    await check_free(submission.session, submission.value("name"))
    seconds = parse_duration(submission.value("keep_alive")) if submission.value("keep_alive") else None
    use, keep = values.get("use") == "yes", values.get("keep") == "yes"
    devbox = await create(
        submission.session, _request(values), keep_alive=seconds, keep=keep, use=use, observer=submission.observer
    )
    return Outcome(f"Created {devbox.short}." + (" It is the current devbox." if use else ""))


def _sources(choices: Choices) -> Iterable[tuple[str, str]]:
    yield "", "The standard image"
    for kind, found in choices.items():
        yield from ((f"{kind}:{identity}", f"{kind.capitalize()} {name}") for identity, name in found)


def creation_form(choices: Choices, source: str = "") -> Form:
    """Return the form for a new devbox, from one of `choices`, `source` chosen at first ("blueprint:ID")."""
    sources = tuple(_sources(choices))
    known = {value for value, _ in sources}
    sizes = (("", "Default"), *((size, size) for size in (each.replace("_", "-") for each in SIZES)))
    tunnels = (("", "None"), ("open", "Open: whoever has the link"), ("authenticated", "Authenticated: with a token"))
    fields = (
        Field("name", "Name", hint="what to call it; optional", check=check_length),
        Field("source", "Start from", "choice", options=sources, value=source if source in known else ""),
        Field("size", "Size", "choice", options=sizes),
        Field("keep_alive", "Keep alive for", hint="the default, or 90s, 30m, 2h; at most 48h", check=check_keep_alive),
        Field("use", "Use it in this notebook", "switch", value="yes"),
        Field("keep", "Leave it running when this kernel ends", "switch"),
        Field("env", "Environment", "lines", "NAME=value, one a line", more=True, check=check_each(check_assignment)),
        Field("secrets", "Secrets", "lines", "VARIABLE=name-of-secret", more=True, check=check_each(check_assignment)),
        Field("mounts", "Mounts", "lines", "OBJECT-ID /path, or OWNER/REPOSITORY", more=True,
              check=check_each(check_mount)),
        Field("tunnel", "Tunnel", "choice", options=tunnels, more=True),
        METADATA,
    )  # fmt: skip
    return Form("devbox", "New devbox", "Create devbox", fields, _magic, _create)


def _devbox_of(submission: Submission) -> DevboxInfo:
    if submission.row is None:
        raise UsageError("This devbox is gone.")
    return devbox_of(submission.row)


def _snapshot_request(values: Values) -> RequestParams:
    return given({"name": values.get("name", "").strip(), "message": values.get("message", "").strip()})


def _snapshot_magic(values: Values) -> str:
    options = [(f"--{name}", value) for name, value in _snapshot_request(values).items()]
    return cell_line("%devbox snapshot", options) + on_option(values)


async def _take_snapshot(submission: Submission) -> Outcome:
    from ...operations.snapshots import take_snapshot

    devbox, wanted = _devbox_of(submission), _snapshot_request(submission.values)
    view = await take_snapshot(submission.session, devbox, **wanted, observer=submission.observer)
    return Outcome(f"Took snapshot {view.id}.")


SNAPSHOT_FORM = Form(
    kind_names.SNAPSHOT,
    "Take a snapshot",
    "Take snapshot",
    (
        Field("name", "Name", hint="optional", check=check_length),
        Field("message", "Message", hint="what is in it; optional"),
    ),
    _snapshot_magic,
    _take_snapshot,
    doing="taking a snapshot",
)


def _tunnel_magic(values: Values) -> str:
    private = " --private" if values.get("auth") == "authenticated" else ""
    return f"%devbox tunnel {as_word(values.get('port', '').strip() or 'PORT')}{private}{on_option(values)}"


async def _open_tunnel(submission: Submission) -> Outcome:
    from ...operations.tunnels import open_tunnel

    devbox = _devbox_of(submission)
    port, private = int(submission.value("port")), submission.values.get("auth") == "authenticated"
    tunnel = await open_tunnel(submission.session, devbox, port, private=private, observer=submission.observer)
    return Outcome(link=Link(f"Port {port}", tunnel.url, tunnel.token or ""))


_OPENNESS = (("open", "Whoever has the link"), ("authenticated", "Whoever has the link and its token"))
TUNNEL_FORM = Form(
    "tunnel",
    "Tunnel link",
    "Open link",
    (
        Field("port", "Port in the devbox", hint="such as 8000", check=check_port),
        Field("auth", "Who gets in", "choice", options=_OPENNESS, value="open"),
    ),
    _tunnel_magic,
    _open_tunnel,
)

DEVBOX: ResourceKind[DevboxView] = ResourceKind(
    name=kind_names.DEVBOX,
    singular="devbox",
    title="Devboxes",
    model="DevboxView",
    path="/v1/devboxes",
    items="devboxes",
    detail_path="/v1/devboxes/{}",
    ask=_listed,
    columns=(
        NAME,
        Column("status", "Status", "status", 130),
        Column("created", "Created", "time", 110, 2),
        Column("ended", "Ends", "ending", 160, 1),
        Column("owner", "Owner", width=125, rank=3),
        Column("source", "Source", "source", 150, 4),
        Column("size", "Size", width=80, rank=5),
        Column("tunnel", "Tunnel", width=110, rank=6),
        Column("reason"),
        Column("until", form="until"),
        Column("with_kernel", form="until"),
        Column("id", "ID", "id", 230, 7),
    ),
    row_values=_row,
    shows_names_of=(kind_names.BLUEPRINT,),
    belongs_to_kernels=True,
    fact=_fact,
    empty="No devbox yet. Create one here, or by `%devbox create` in a cell; cells of `%%devbox exec` run in it.",
    settled=frozenset({"running", "suspended"}) | _ENDED,
    ended=_ENDED,
    actions=(
        Action("use", "Use in this notebook", _LIVE, _use, many=False),
        Action("console", "Run a command", _RUNNING, many=False),
        Action("terminal", "Open terminal", _RUNNING, many=False),
        Action("files", "Files", _RUNNING, many=False),
        Action("logs", "Logs", many=False),
        Action("tunnel", "Tunnel link…", _RUNNING, many=False),
        Action("keep_alive", "Keep alive", _RUNNING, _keep_alive, "renewing"),
        Action(kind_names.SNAPSHOT, "Snapshot", _RUNNING, _snapshot, "taking a snapshot"),
        Action("suspend", "Suspend", _RUNNING, _suspend, "suspending"),
        Action("resume", "Resume", ("suspended",), _resume, "resuming"),
        Action("shutdown", "Shut down…", _LIVE, _shut_down, "shutting down", destructive=True),
    ),
    cells=_cells,
    create_label="New devbox",
    creation=creation_form,
    sources=(kind_names.BLUEPRINT, kind_names.SNAPSHOT),
    forms=(SNAPSHOT_FORM, TUNNEL_FORM),
    loses="All processes end and the disk is lost. Snapshots stay.",
)
