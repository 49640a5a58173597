"""Views beside the public schema, what they tolerate and what they keep to themselves."""

import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

import pytest
from pydantic import ValidationError

from runloop_sdk import models
from runloop_sdk.models import DevboxView, ExecutionUpdateChunk, View
from tests.sdk.schema import SCHEMAS, enum_of, full, literals_in, reachable_views

# By other names here: a blueprint's services have one shape; lists are pages.
RENAMED = {"ContainerizedService": "Service", "ContainerizedServiceCredentials": "ServiceCredentials"}
PAGES = {"AxonEventListView", "SecretListView"}
# From services that tell the order of stdout and stderr.
ADDED_FIELDS = {"ExecutionUpdateChunk": {"span"}}
NAMES = sorted(set(reachable_views()) - PAGES)
SECRETS = {
    "APIKeyCreatedView": {"key_secret"},
    "BlueprintBuildParameters": {"build_args", "file_mounts"},
    "CodeMountParameters": {"token"},
    "ContainerizedServiceCredentials": {"password"},
    "CustomHeader": {"value"},
    "DevboxCreateSSHKeyResponse": {"ssh_private_key"},
    "GatewayTokenView": {"token"},
    "McpTokenView": {"token"},
    "ObjectDownloadURLView": {"download_url"},
    "ObjectView": {"upload_url", "upload_headers"},
    "PtyConnectView": {"connect_url"},
    "PtyTunnelView": {"auth_token"},
    "RestrictedKeyCreatedView": {"key_secret"},
    "TunnelView": {"auth_token"},
}


def view_of(name: str) -> type[View]:
    view: type[View] = getattr(models, RENAMED.get(name, name))
    return view


@pytest.mark.parametrize("name", NAMES)
def test_view_has_the_fields_and_enums_of_the_schema(name: str) -> None:
    view, properties = view_of(name), SCHEMAS[name]["properties"]
    assert view.model_fields.keys() == properties.keys() | ADDED_FIELDS.get(name, set())
    hints = get_type_hints(view)
    for field, schema in properties.items():
        assert literals_in(hints[field]) == set(enum_of(schema)) or not enum_of(schema), field
        assert not literals_in(hints[field]) or str in flattened(hints[field]), f"{field} takes no unknown value"


def flattened(hint: Any) -> set[Any]:
    arguments = () if get_origin(hint) is Literal else get_args(hint)
    return {hint} if not arguments else {leaf for argument in arguments for leaf in flattened(argument)}


@pytest.mark.parametrize("name", sorted(SECRETS))
def test_secrets_are_not_shown(name: str) -> None:
    fields = {field: f"hidden-{field}" for field, schema in SCHEMAS[name]["properties"].items()}
    known = {field: full(schema) for field, schema in SCHEMAS[name]["properties"].items()}
    for field in SECRETS[name]:
        known[field] = {"name": fields[field]} if isinstance(known[field], dict) else fields[field]
    view = view_of(name).model_validate(known)
    assert "hidden" not in repr(view)
    assert "hidden" not in str(view)
    assert "hidden" in view.model_dump_json()


def test_every_view_can_be_imported_from_the_package() -> None:
    files = [file.stem for file in Path(models.__path__[0]).glob("*.py") if file.stem != "__init__"]
    defined = {
        name: value
        for stem in files
        for name, value in vars(import_module(f"runloop_sdk.models.{stem}")).items()
        if isinstance(value, type) and issubclass(value, View)
    }
    assert {name: getattr(models, name) for name in models.__all__} == defined
    assert dir(models) == models.__all__


def test_name_that_no_view_has_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="DevboxWiew"):
        models.DevboxWiew  # noqa: B018  # reading it is the test


def test_view_of_the_package_imports_only_its_file() -> None:
    code = (
        "import sys; before = set(sys.modules); from runloop_sdk.models import SecretView; "
        "print(*sorted(m for m in set(sys.modules) - before if m.startswith('runloop_sdk.models.')))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.split() == ["runloop_sdk.models._view", "runloop_sdk.models.secrets"]


def test_lists_that_were_left_out_are_empty() -> None:
    view = DevboxView.model_validate({"id": "dbx_1", "status": "running", "create_time_ms": 1})
    assert (view.capabilities, view.state_transitions, view.metadata) == ([], [], {})
    assert view.launch_parameters.keep_alive_time_seconds is None


def test_views_do_not_change() -> None:
    chunk = ExecutionUpdateChunk(output="a")
    with pytest.raises(ValidationError, match="frozen"):
        chunk.output = "b"


def test_span_is_a_range_of_bytes() -> None:
    assert ExecutionUpdateChunk.model_validate_json('{"output": "a", "span": [3, 4]}').span == (3, 4)
