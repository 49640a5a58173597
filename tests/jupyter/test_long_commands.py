"""Long commands in real kernels, with time sped up; `python -m tests.long_commands` is the same in real time."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.jupyter.long_ways import NAMES, WAYS, Outcome
from tests.long_commands import Trial, begun

# A stream counts as quiet after 0.6 s: thirteen times as long is what a command of 13 minutes is in real time.
TRIAL = Trial(seconds=8.0, interval=0.4, stream_timeout=0.6, alone=("stdout",))
SERVICES = {"heartbeats": 0.15, "no heartbeats": 0.0}

Outcomes = dict[tuple[str, str], Outcome]


@pytest.fixture(scope="module", params=SERVICES.values(), ids=list(SERVICES))
def outcomes(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Outcomes:
    with begun(replace(TRIAL, heartbeat=request.param), tmp_path_factory.mktemp("long")) as wait:
        return {(each.way, each.pattern): each for each in wait()}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("pattern", NAMES)
def test_a_long_command_runs_to_its_end_and_all_it_prints_comes(outcomes: Outcomes, way: str, pattern: str) -> None:
    assert outcomes[way, pattern].problem == ""


def test_so_it_does_in_a_cell_of_its_own(outcomes: Outcomes) -> None:
    assert outcomes["a cell", "stdout"].problem == ""
