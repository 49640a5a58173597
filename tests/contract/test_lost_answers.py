"""The official client on a network that loses the first answer to everything that makes or changes something."""

import sys
from urllib.parse import urlsplit

from tests.contract.schema import operation_at, operations
from tests.contract.test_every_operation import walked
from tests.local.serving import Service
from tests.sdk.losing_proxy import LosingProxy


async def test_every_operation_is_answered_as_if_no_answer_had_been_lost(service: Service) -> None:
    undisturbed = await walked(sys.executable, service.base_url, service.api_key)
    proxy = LosingProxy(service.base_url)
    async with proxy.serve() as url:
        disturbed = await walked(sys.executable, url, service.api_key, "retrying")
    assert disturbed == undisturbed
    lost = {operation_at(*asked(line)) for line in proxy.lost}
    assert {operation for method, _, operation in operations() if method != "GET"} <= lost


def asked(line: bytes) -> tuple[str, str]:
    """The method and the path in a request's first line."""
    method, target, _ = line.decode().split(" ")
    return method, urlsplit(target).path
