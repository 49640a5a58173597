"""Terminals, network policies and snapshots of a service in a container, by the tests of one on this machine."""

from tests.local.conftest import api, devbox  # noqa: F401
from tests.local.test_network_policies import (  # noqa: F401
    policy,
    test_a_build_is_under_the_policy_that_it_names,
    test_a_policy_holds_for_each_start,
    test_devboxes_reach_what_their_policy_allows,
)
from tests.local.test_pty import *  # noqa: F403
from tests.local.test_snapshots import (  # noqa: F401
    test_a_devbox_from_a_snapshot_has_the_disk_as_it_was,
    test_a_program_goes_on_after_a_snapshot_and_its_shell_keeps_its_state,
    test_installed_files_outside_the_home_are_part_of_a_snapshot,
)

del test_a_session_ends_when_no_client_comes_for_long  # noqa: F821 - starts a service on this machine itself
