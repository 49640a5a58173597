"""What a notebook shows of programs that draw lines anew, however their output is cut into pieces."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runloop_jupyter.output.head import Clear, Head, Piece, Region
from runloop_jupyter.output.output_limits import DisplayLimits
from runloop_jupyter.output.output_targets import ScreenSize, is_one_magic
from runloop_jupyter.output.terminal_emulator import TerminalEmulator
from runloop_jupyter.output.terminal_text import EscapeFilter, without_colours

E = "\x1b["
SIZE = ScreenSize(60, 8)


@dataclass
class Page:
    """A cell's output as a notebook's page and its file have it."""

    before: str = ""
    outputs: list[tuple[str, str]] = field(default_factory=list)
    regions: dict[str, int] = field(default_factory=dict)
    is_to_clear: bool = False

    def take(self, pieces: Sequence[Piece]) -> None:
        for target, text in pieces:
            if isinstance(target, Clear):
                self.is_to_clear = True
                continue
            if self.is_to_clear:
                self.before, self.outputs, self.regions, self.is_to_clear = "", [], {}, False
            if isinstance(target, Region):
                self._draw(target)
            elif self.outputs and self.outputs[-1][0] == target:
                self.outputs[-1] = target, self.outputs[-1][1] + text
            elif text:
                self.outputs.append((target, text))

    def _draw(self, region: Region) -> None:
        if region.id not in self.regions:
            self.regions[region.id] = len(self.outputs)
            self.outputs.append(("region", ""))
        self.outputs[self.regions[region.id]] = "region", region.text

    @property
    def text(self) -> str:
        """All that a reader sees, without colours."""
        parts = [played(text).removesuffix("\n") for _, text in self.outputs]
        return without_colours("\n".join(part for part in [self.before, *parts] if part))


def played(text: str) -> str:
    """What a page shows of a text with carriage returns."""
    screen = TerminalEmulator(10_000, 10_000)
    screen.feed(text)
    return screen.text


def shown(texts: Sequence[str], *, alone: bool = True, stream: str = "stdout", **limits: int) -> Page:
    """The page after texts that came one after the other."""
    head = Head(DisplayLimits(**limits), SIZE, in_notebook=True, may_clear=lambda: alone)
    page = Page(before="" if alone else "printed before")
    for text in texts:
        while text and not head.is_full:
            part, text = head.split(text)
            page.take(head.compose("stderr" if stream == "stderr" else "stdout", part))
    page.take(head.end_region())
    return page


def frames(first: str, again: str, lines: Sequence[str], count: int = 5) -> list[str]:
    """So many frames of a few lines, with what comes before the first and the others."""
    return [
        (first if n == 1 else again) + "".join(f"{line}\n" for line in lines).replace("N", str(n))
        for n in range(1, count + 1)
    ]


COMPOSE = frames(
    f"{E}?25l{E}0G",
    f"{E}?25l{E}3A{E}0G",
    [f"[+] Pulling N/5{E}?25h", f" {E}32m⠿{E}0m db Pulling  N.0s", "   └ 4f4fb700ef54"],
)
BUILDX = frames(
    f"{E}?25l",
    f"{E}?25l{E}3A{E}0G",
    [f"{E}2K[+] Building N.0s (N/9)", f"{E}2K => [internal] load", f"{E}2K => => sha256:N{E}?25h"],
)
RICH = [
    f"{E}?25l",
    *[f"\r{E}2K{E}1A{E}2K" * (n > 1) + f"first  ━━ {n}0%\nsecond ━━ {n}5%" for n in range(1, 6)],
    f"\n{E}?25h",
]
NPM = [
    "npm warn deprecated left-pad\n",
    *[f"{E}1G{E}0K{spin}" for spin in "⠋⠙⠹⠸"],
    f"{E}1G{E}0K",
    "added 12 packages in 2s\n",
]
TQDM = [
    "\rall:   0%|      | 0/2",
    "\n\rone:   0%|      | 0/9" + f"{E}A",
    f"\n\rone: 100%|██████| 9/9{E}A",
    "\rall:  50%|███   | 1/2",
    f"\n\rtwo: 100%|██████| 9/9{E}A",
    "\rall: 100%|██████| 2/2\n",
]
PIP = [
    "Collecting numpy\n  Downloading numpy.whl (18 MB)\n",
    f"{E}?25l     ━━━━━ 1/18 MB",
    f"\r{E}2K     ━━━━━ 9/18 MB",
    f"\r{E}2K     ━━━━━ 18/18 MB\n{E}?25h",
    "Installing collected packages: numpy\n",
]
APT = [
    "Reading package lists...\n",
    f"\n\x1b7{E}0;7r\x1b8{E}1A",
    f"\x1b7{E}8;0f{E}42m{E}30mProgress: [ 20%]{E}49m{E}39m [##....] \x1b8",
    *[f"Unpacking {n} ...\n" for n in range(3)],
    f"\x1b7{E}8;0f{E}42m{E}30mProgress: [ 90%]{E}49m{E}39m [#####.] \x1b8",
    *[f"Setting up {n} ...\n" for n in range(3)],
    f"\n\x1b7{E}0;8r\x1b8{E}1A{E}J",
    "done\n",
]
PRINTF = frames("", f"{E}3A", [f"{E}2Kone N", f"{E}2Ktwo N", f"{E}2Kthree N"])
LOG = "".join(f"line {n}\n" for n in range(30))
DONE = ["one 5", "two 5", "three 5"]

TOOLS: dict[str, tuple[list[str], list[str]]] = {
    "docker compose": (COMPOSE, ["[+] Pulling 5/5", " ⠿ db Pulling  5.0s", "   └ 4f4fb700ef54"]),
    "buildx": (BUILDX, ["[+] Building 5.0s (5/9)", " => [internal] load", " => => sha256:5"]),
    "rich": (RICH, ["first  ━━ 50%", "second ━━ 55%"]),
    "npm": (NPM, ["npm warn deprecated left-pad", "added 12 packages in 2s"]),
    "nested bars of tqdm": (TQDM, ["all: 100%|██████| 2/2", "two: 100%|██████| 9/9"]),
    "pip": (
        PIP,
        [
            "Collecting numpy",
            "  Downloading numpy.whl (18 MB)",
            "     ━━━━━ 18/18 MB",
            "Installing collected packages: numpy",
        ],
    ),
    "apt": (
        APT,
        [
            "Reading package lists...",
            *[f"Unpacking {n} ..." for n in range(3)],
            *[f"Setting up {n} ..." for n in range(3)],
            "done",
        ],
    ),
    "frames by printf": (PRINTF, DONE),
    "windows line ends": ([text.replace("\n", "\r\n") for text in PRINTF], DONE),
    "a log, then frames": ([LOG, *PRINTF], [*LOG.splitlines(), *DONE]),
    "frames, then a log": ([*PRINTF, LOG], [*DONE, *LOG.splitlines()]),
    "frames, a log, frames": (["start\n", *PRINTF, LOG, *PRINTF], ["start", *DONE, *LOG.splitlines(), *DONE]),
    "a log while it draws": (
        [text for n in range(1, 6) for text in (f"{E}A" * (n > 1) + f"{E}2Klog {n}\n", f"bar {n}\n")],
        [f"log {n}" for n in range(1, 6)] + ["bar 5"],
    ),
    "a bar that is taken away": ([*PRINTF, f"{E}3A{E}J"], []),
    "a clock": ([f"{E}H{E}2J{n} o'clock\n" for n in range(5)], ["4 o'clock"]),
    "a program with a screen of its own": ([f"{E}?1049h{E}H", *PRINTF, f"{E}?1049l", "done\n"], ["done"]),
    "one that was killed there": (["start\n", f"{E}?1049h{E}H", *PRINTF], ["start"]),
    "a line that is filled from the side": (["[      ]", f"{E}7D#", "#", "#\n"], ["[###   ]"]),
}
EACH = pytest.mark.parametrize(("texts", "lines"), TOOLS.values(), ids=TOOLS)


@EACH
def test_it_is_drawn_in_its_place(texts: list[str], lines: list[str]) -> None:
    page = shown(texts)
    assert page.text.rstrip("\n").splitlines() == lines
    assert len(page.outputs) <= 4


@EACH
def test_it_does_not_matter_where_it_is_cut(texts: list[str], lines: list[str]) -> None:
    whole = "".join(texts)
    for cut in range(len(whole) + 1):
        assert shown([whole[:cut], whole[cut:]]).text.rstrip("\n").splitlines() == lines, cut
    assert shown(list(whole)).text.rstrip("\n").splitlines() == lines


@EACH
def test_beside_the_output_of_others_nothing_is_emptied(texts: list[str], lines: list[str]) -> None:
    page = shown(texts, alone=False)
    assert page.text.startswith("printed before")
    assert page.text.rstrip("\n").splitlines()[-1:] == lines[-1:] or not lines
    assert set(lines) <= set(page.text.splitlines())
    assert shown(["".join(texts)], alone=False).text.rstrip("\n").splitlines() == ["printed before", *lines]


@EACH
def test_the_other_stream_is_drawn_as_well(texts: list[str], lines: list[str]) -> None:
    assert shown(texts, stream="stderr").text.rstrip("\n").splitlines() == lines


PIECES = st.sampled_from(
    ["a", "bc\n", "\n", "d\r", f"{E}A", f"{E}2A", f"{E}2K", f"{E}J", f"{E}31m", "x" * 70 + "\n", f"{E}?25l"]
)


@given(st.lists(PIECES, max_size=40))
def test_a_cell_of_its_own_shows_what_a_terminal_does(texts: list[str]) -> None:
    through, terminal = EscapeFilter(moves=True), TerminalEmulator(SIZE.columns, SIZE.lines)
    expected = "".join(terminal.feed(through.feed(text)) for text in texts) + terminal.text
    assert_alike(shown(texts).text, expected)


def assert_alike(page: str, terminal: str) -> None:
    """But for blank lines, of which the end of one part of a cell and the beginning of the next leave none."""
    assert [line.rstrip() for line in page.splitlines() if line.strip()] == [
        line.rstrip() for line in without_colours(terminal).splitlines() if line.strip()
    ]


def test_plain_text_is_appended_and_nothing_is_drawn() -> None:
    page = shown([f"{E}32mline {n}{E}0m {n}%\r{n + 1}%\n" for n in range(100)])
    assert [stream for stream, _ in page.outputs] == ["stdout"]


def test_after_a_screenful_without_moves_text_is_appended_again() -> None:
    page = shown([*PRINTF, LOG, "the end\n"])
    assert [stream for stream, _ in page.outputs] == ["region", "stdout"]
    assert page.outputs[-1][1].endswith("the end\n")


def test_a_long_log_under_a_bar_does_not_make_each_drawing_longer() -> None:
    texts = [f"{E}A" * (n > 0) + f"{E}2K{'log ' * 12}{n}\nbar {n}\n" for n in range(1000)]
    page = shown(texts)
    assert page.text.splitlines() == [f"{'log ' * 12}{n}" for n in range(1000)] + ["bar 999"]
    assert max(len(text) for _, text in page.outputs) < 10_000
    assert len(page.outputs) < 12


def test_frames_take_no_room_and_lines_do() -> None:
    assert shown([*PRINTF, *PRINTF[1:] * 100], head_lines=50).text.splitlines() == DONE
    page = shown([f"{E}A" * (n > 0) + f"{E}2Klog {n}\nbar {n}\n" for n in range(100)], head_lines=20)
    assert page.text.splitlines()[-1].startswith("bar 2")


def test_of_a_flood_of_frames_the_last_are_drawn() -> None:
    page = shown(["".join(PRINTF), "".join(PRINTF[1:]) * 20_000])
    assert page.text.splitlines()[-3:] == DONE
    assert "MB came too fast to be drawn" in page.text
    assert len(page.text) < 200


def test_a_cell_is_emptied_a_few_times_only() -> None:
    head = Head(DisplayLimits(), SIZE, in_notebook=True, may_clear=lambda: True)
    pieces = [piece for _ in range(30) for text in (LOG, *PRINTF) for piece in head.compose("stdout", text)]
    assert 1 < sum(isinstance(target, Clear) for target, _ in pieces) < 10


def test_what_is_displayed_between_is_never_emptied() -> None:
    head = Head(DisplayLimits(), SIZE, in_notebook=True, may_clear=lambda: True)
    head.compose("stdout", "one\n")
    head.end_item()
    pieces = [piece for text in PRINTF for piece in head.compose("stdout", text)]
    assert not any(isinstance(target, Clear) for target, _ in pieces)


def test_a_terminal_gets_all_as_it_is() -> None:
    head = Head(DisplayLimits(head_lines=50), SIZE, in_notebook=False, may_clear=lambda: True)
    texts = PRINTF[1:] * 100
    pieces = [piece for text in texts for piece in head.compose("stdout", head.split(text)[0])]
    assert "".join(text for _, text in pieces) == "".join(texts)
    assert not head.is_full


CELLS: dict[str, tuple[str, bool]] = {
    "a cell magic": ("%%devbox exec\nls", True),
    "under the clock": ("%%time\n%%devbox exec\nls", True),
    "a line under the clock": ("%%time\n%devbox exec ls", True),
    "a line": ("\n%devbox exec ls\n", True),
    "a line below a comment": ("# pull\n%devbox exec ls  # all", True),
    "a line with a name": ("r = %devbox exec ls", True),
    "two lines": ("print(1)\n%devbox exec ls", False),
    "two magics": ("%devbox exec ls\n%devbox exec ls", False),
    "many times": ("%%timeit\n%devbox exec ls", False),
    "another magic": ("%%capture x\n%devbox exec ls", False),
    "in a loop": ("for x in y: get_ipython().run_line_magic('devbox', 'exec ls')", False),
    "another name": ("%devboxes exec ls", False),
    "nothing": ("", False),
}


@pytest.mark.parametrize(("cell", "alone"), CELLS.values(), ids=CELLS)
def test_a_cell_that_is_one_magic_is_known(cell: str, alone: bool) -> None:
    assert is_one_magic(cell) is alone
