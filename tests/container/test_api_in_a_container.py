"""What the official client does with a service on this machine, it does with one in a container."""

from tests.contract.test_official_client import *  # noqa: F403 - the same tests, with another service
from tests.contract.test_tunnels import *  # noqa: F403

del test_the_clients_of_the_1_series  # noqa: F821
