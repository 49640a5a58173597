"""Each instrument for a moment, with a seed that stays: what it looks for is not there. The long form: `make soak`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

import pytest

from soak import cuts, fuzz, kernels, kills, load, parsers
from soak.__main__ import main
from soak.cases import Limit
from soak.findings import Report
from tests.waiting import PATIENCE

SHORT: dict[str, tuple[Callable[[Limit, Report], Coroutine[Any, Any, None]], int]] = {
    "load": (partial(load.run, clients=3, largest=300_000), 45),
    "kills": (kills.run, 3),
    "cuts": (partial(cuts.run, at_once=8), 60),
    "kernels": (partial(kernels.run, load=0, at_once=2), 4),
    "fuzz": (fuzz.run, 1500),
    "parsers": (parsers.run, 3000),
}
SEED = 1


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """How long something may take is for the long form to say, on a machine that does nothing else."""
    monkeypatch.setattr(kernels, "ENDS_WITHIN_S", dict.fromkeys(kernels.ENDS_WITHIN_S, PATIENCE))
    monkeypatch.setattr(kills, "_GONE_WITHIN_S", PATIENCE)
    monkeypatch.setattr(fuzz, "_ANSWERS_WITHIN_S", PATIENCE)
    for instrument in (load, kills, cuts, kernels, fuzz, parsers):
        monkeypatch.setattr(instrument, "PATIENCE_S", 4 * PATIENCE)


@pytest.mark.timeout(1800)
@pytest.mark.usefixtures("patient")
@pytest.mark.parametrize("name", SHORT)
def test_nothing_is_found(name: str) -> None:
    run, count = SHORT[name]
    report = Report(SEED)
    asyncio.run(run(Limit(count=count), report))
    assert report.findings == [], "\n".join(map(str, report.findings))
    assert list(report.amounts) == [name]


def test_one_case_can_be_run_again(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cuts", "--seed", "1", "--only", "3"]) == 0
    assert "cuts: 1 schedules" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [(["cats"], "there is no instrument 'cats'"), (["--only", "3"], "--only takes one instrument")],
    ids=["unknown", "which"],
)
def test_what_makes_no_sense_is_refused(
    arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert sentence in capsys.readouterr().err
