"""What a request for a devbox or a blueprint may ask for: each field of the API is done, or refused by its name."""

from __future__ import annotations

import json
import platform
from pathlib import Path
from typing import Any

import pytest

from tests.local.api import Api

SCHEMAS = json.loads((Path(__file__).parents[1] / "contract/openapi.json").read_text())["components"]["schemas"]
HERE = {"x86_64": "x86_64", "aarch64": "arm64"}[platform.machine()]
ELSEWHERE = "arm64" if HERE == "x86_64" else "x86_64"
CUSTOM = {"resource_size_request": "CUSTOM_SIZE", "custom_cpu_cores": 1, "custom_gb_memory": 4, "custom_disk_size": 2}
DONE = "done"

LAUNCH: dict[str, list[tuple[dict[str, Any], str]]] = {
    "after_idle": [({"after_idle": {"idle_time_seconds": 60, "on_idle": "suspend"}}, DONE)],
    "architecture": [
        ({"architecture": HERE}, DONE),
        ({"architecture": ELSEWHERE}, f"architecture {ELSEWHERE} cannot be had here: this machine is {HERE}."),
    ],
    "available_ports": [({"available_ports": [8080]}, DONE)],
    "custom_cpu_cores": [
        (CUSTOM, DONE),
        ({"custom_cpu_cores": 2}, "custom_cpu_cores needs resource_size_request CUSTOM_SIZE, not the default size."),
    ],
    "custom_disk_size": [
        (CUSTOM, DONE),
        (
            {"resource_size_request": "LARGE", "custom_disk_size": 8},
            "custom_disk_size needs resource_size_request CUSTOM_SIZE, not LARGE.",
        ),
    ],
    "custom_gb_memory": [(CUSTOM, DONE), ({"custom_gb_memory": 8}, "custom_gb_memory needs")],
    "keep_alive_time_seconds": [({"keep_alive_time_seconds": 60}, DONE)],
    "launch_commands": [({"launch_commands": ["true"]}, DONE)],
    "lifecycle": [
        ({"lifecycle": {"resume_triggers": {"http": True, "axon_event": False}}}, DONE),
        ({"lifecycle": {"resume_triggers": {"axon_event": True}}}, "no axon_event among resume_triggers"),
    ],
    "network_policy_id": [({"network_policy_id": "npol_nope"}, "npol_nope")],
    "provisioning_tier": [({"provisioning_tier": "standard"}, DONE), ({"provisioning_tier": "flex"}, DONE)],
    "required_services": [
        ({"required_services": []}, DONE),
        ({"required_services": ["db", "cache"]}, "required_services names db, cache: "),
    ],
    "resource_size_request": [({"resource_size_request": "X_SMALL"}, DONE)],
    "user_parameters": [
        ({"user_parameters": {"username": "root", "uid": 0}}, DONE),
        ({"user_parameters": {"username": "alice", "uid": 1000}}, "user_parameters asks for alice with uid 1000: "),
        ({"user_parameters": {"username": "user", "uid": 0}}, "user_parameters asks for user with uid 0: "),
    ],
}
GATEWAY = {"GITHUB": {"gateway": "g", "secret": "s"}}
DEVBOX: dict[str, list[tuple[dict[str, Any], str]]] = {
    "blueprint_id": [({"blueprint_id": "bpt_nope"}, "bpt_nope")],
    "blueprint_name": [({"blueprint_name": "nope"}, "nope")],
    "code_mounts": [({"code_mounts": []}, DONE)],
    "entrypoint": [({"entrypoint": "sleep 1000"}, DONE)],
    "environment_variables": [({"environment_variables": {"A": "b"}}, DONE)],
    "file_mounts": [({"file_mounts": {"a": "b"}}, DONE)],
    "gateways": [({"gateways": {}}, DONE), ({"gateways": GATEWAY}, "cannot have gateways")],
    "launch_parameters": [({"launch_parameters": {}}, DONE)],
    "mcp": [({"mcp": {"TOOL": {"mcp_config": "m", "secret": "s"}}}, "cannot have mcp")],
    "metadata": [({"metadata": {"a": "b"}}, DONE)],
    "mounts": [
        ({"mounts": [{"type": "file_mount", "target": "a", "content": "b"}]}, DONE),
        ({"mounts": [{"type": "broker_mount", "axon_id": "axn_1"}]}, "no broker_mount"),
    ],
    "name": [({"name": "named"}, DONE)],
    "secrets": [({"secrets": {"A": "NOPE"}}, "NOPE")],
    "snapshot_id": [({"snapshot_id": "snp_nope"}, "snp_nope")],
    "tunnel": [({"tunnel": {"auth_mode": "open"}}, DONE)],
}
BLUEPRINT: dict[str, list[tuple[dict[str, Any], str]]] = {
    "base_blueprint_id": [({"base_blueprint_id": "bpt_nope"}, "bpt_nope")],
    "base_blueprint_name": [({"base_blueprint_name": "nope"}, "nope")],
    "build_args": [({"build_args": {"A": "b"}}, DONE)],
    "build_context": [({"build_context": {"type": "object", "object_id": "obj_nope"}}, "obj_nope")],
    "code_mounts": [({"code_mounts": []}, DONE)],
    "dockerfile": [({"dockerfile": "FROM scratch\nFROBNICATE"}, "FROBNICATE")],
    "file_mounts": [({"file_mounts": {"a": "b"}}, DONE)],
    "launch_parameters": [
        ({"launch_parameters": {}}, DONE),
        ({"launch_parameters": {"required_services": ["db"]}}, "required_services names db: "),
    ],
    "metadata": [({"metadata": {"a": "b"}}, DONE)],
    "name": [({"name": "named"}, DONE)],
    "network_policy_id": [({"network_policy_id": "npol_nope"}, "npol_nope")],
    "secrets": [({"secrets": {}}, DONE)],
    "services": [
        ({"services": []}, DONE),
        ({"services": [{"name": "db", "image": "postgres"}]}, "services names db: "),
    ],
    "system_setup_commands": [({"system_setup_commands": ["true"]}, DONE)],
}


def cases(table: dict[str, list[tuple[dict[str, Any], str]]]) -> list[Any]:
    return [
        pytest.param(body, said, id=f"{field}-{number}")
        for field, bodies in table.items()
        for number, (body, said) in enumerate(bodies)
    ]


@pytest.mark.parametrize(
    ("schema", "table"),
    [("LaunchParameters", LAUNCH), ("DevboxCreateParams", DEVBOX), ("BlueprintCreateParams", BLUEPRINT)],
    ids=["launch parameters", "devbox", "blueprint"],
)
def test_no_field_of_the_api_is_forgotten(schema: str, table: dict[str, Any]) -> None:
    assert set(table) == set(SCHEMAS[schema]["properties"])


async def _check(api: Api, path: str, body: dict[str, Any], said: str) -> dict[str, Any]:
    answer = await api.post(path, json=body)
    view: dict[str, Any] = answer.json()
    if said == DONE:
        assert answer.status_code == 200, view
    else:
        assert answer.status_code in (400, 404, 501), view
        assert said in view["message"]
    return view


@pytest.mark.parametrize(("body", "said"), [*cases(DEVBOX), *cases(LAUNCH)])
async def test_a_devbox_has_what_is_asked_for_or_is_refused(api: Api, body: dict[str, Any], said: str) -> None:
    asked = body if body.keys() <= DEVBOX.keys() else {"launch_parameters": body}
    view = await _check(api, "/v1/devboxes/create_and_await_running", asked, said)
    if said == DONE:
        assert view["status"] == "running"
        await api.json(f"/v1/devboxes/{view['id']}/shutdown", {})


@pytest.mark.parametrize(("body", "said"), cases(BLUEPRINT))
async def test_a_blueprint_has_what_is_asked_for_or_is_refused(api: Api, body: dict[str, Any], said: str) -> None:
    view = await _check(api, "/v1/blueprints", {"name": "made", **body}, said)
    if said == DONE:
        await api.json(f"/v1/blueprints/{view['id']}/delete", {})
