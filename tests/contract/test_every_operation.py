"""Every operation of the API by three official clients, its answers against the description; the page that says so."""

import asyncio
import json
import sys
from pathlib import Path

import pytest

from tests.contract.conftest import OldClient
from tests.contract.differences import DIFFERENCES
from tests.contract.schema import check_answer, operation_at, operations
from tests.local.serving import Service

PAGE = Path(__file__).parents[2] / "docs" / "conformance.md"
WALK = Path(__file__).with_name("walk.py")
NOT_SERVED = 501
UNSEEN = {"1.29.0": {"devboxes.create_and_await_running"}, "1.32.0": set()}
"""What a release never calls: the method of this name of 1.29.0 creates, then waits."""
HEAD = """\
# What the embedded service serves

Made by `tests/contract/test_every_operation.py`, which calls each operation of Runloop's REST API with the official
clients 3.0.0, 1.32.0 and 1.29.0 and checks each answer against the API's description.

| operation | | served | how it differs from the cloud |
|---|---|---|---|
"""


async def walked(python: str | Path, *arguments: str) -> dict[str, int]:
    """The last status of each operation that a client called, on a service whose URL and key are `arguments`."""
    walk = await asyncio.create_subprocess_exec(
        python, WALK, *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    said, complained = await walk.communicate()
    assert walk.returncode == 0, complained.decode()[-3000:]
    statuses: dict[str, int] = {}
    for line in said.decode().splitlines():
        method, path, status, body = json.loads(line)
        if body is not None:
            check_answer(method, path, status, body)
        statuses[operation_at(method, path)] = status
    return statuses


def page(statuses: dict[str, int]) -> str:
    """The page, from what was seen."""
    rows = [
        f"| `{operation}` | {method} {path} | {'no: 501' if statuses[operation] == NOT_SERVED else 'yes'} "
        f"| {DIFFERENCES.get(operation, '')} |\n"
        for method, path, operation in operations()
    ]
    return HEAD + "".join(rows)


async def test_the_client_3_0_0_and_the_page(service: Service) -> None:
    statuses = await walked(sys.executable, service.base_url, service.api_key)
    assert set(statuses) == {operation for _, _, operation in operations()}
    made = page(statuses)
    if made != PAGE.read_text():
        PAGE.write_text(made)
        pytest.fail(f"{PAGE.name} was out of date and has been renewed: look at it and commit it.")


async def test_the_clients_of_the_1_series(service: Service, old_client: OldClient) -> None:
    statuses = await walked(old_client.python, service.base_url, service.api_key)
    unseen = {operation for _, _, operation in operations()} - set(statuses)
    assert unseen == UNSEEN[old_client.version]
    assert [name for name, status in statuses.items() if status >= 400 and status not in (404, NOT_SERVED)] == []


def test_differences_are_of_operations() -> None:
    assert set(DIFFERENCES) <= {operation for _, _, operation in operations()}
