"""How a cost grows with a size: its exponent, and its picture."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

_WIDTH, _HEIGHT = 640, 360
_LEFT, _RIGHT, _TOP, _BOTTOM = 70, 210, 30, 45
_COLOURS = ("#1f77b4", "#d62728", "#2ca02c", "#9467bd", "#ff7f0e", "#17becf")


@dataclass(frozen=True, slots=True)
class Curve:
    """A cost, measured at several sizes, smallest first."""

    name: str
    unit: str
    points: Sequence[tuple[int, float]]

    @property
    def exponent(self) -> float:
        """The slope of its logarithms where it is largest, over a factor of 100 or so: 0 is constant, 1 is linear.

        Where sizes are small, all that the cost has besides would make it look flat.
        """
        last = self.points[-3:]
        xs = [math.log(size) for size, _ in last]
        ys = [math.log(max(cost, 1e-9)) for _, cost in last]
        return statistics.linear_regression(xs, ys).slope if len(last) > 1 else 0.0


def svg(title: str, sizes: str, curves: Sequence[Curve]) -> str:
    """A picture of curves that share their sizes, with a logarithmic scale on both sides."""
    found = [point for curve in curves for point in curve.points]
    across = _Scale.over([size for size, _ in found], _LEFT, _WIDTH - _RIGHT)
    upward = _Scale.over([max(cost, 1e-9) for _, cost in found], _HEIGHT - _BOTTOM, _TOP)
    shapes = [
        *(
            _line(at, _TOP, at, _HEIGHT - _BOTTOM, f"{10**power:,}", at, _HEIGHT - _BOTTOM + 16)
            for power, at in across.marks()
        ),
        *(
            _line(_LEFT, at, _WIDTH - _RIGHT, at, f"{10.0**power:g}", _LEFT - 28, at + 4)
            for power, at in upward.marks()
        ),
        *(_drawn(number, curve, across, upward) for number, curve in enumerate(curves)),
        _text(_LEFT, 18, title),
        _text((_LEFT + _WIDTH - _RIGHT) // 2 - 40, _HEIGHT - 8, sizes),
    ]
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" font-family="sans-serif" '
    return (
        f'{head}font-size="11">\n<rect width="100%" height="100%" fill="white"/>\n' + "\n".join(shapes) + "\n</svg>\n"
    )


@dataclass(frozen=True, slots=True)
class _Scale:
    """Places of numbers on a line, by their logarithm."""

    powers: range
    start: float
    end: float

    @classmethod
    def over(cls, numbers: Sequence[float], start: float, end: float) -> _Scale:
        """Whole powers of ten around these numbers."""
        low, high = math.floor(math.log10(min(numbers))), math.ceil(math.log10(max(numbers)))
        return cls(range(low, max(high, low + 1) + 1), start, end)

    def place(self, number: float) -> float:
        """The place of a number."""
        share = (math.log10(max(number, 1e-9)) - self.powers[0]) / (self.powers[-1] - self.powers[0])
        return round(self.start + share * (self.end - self.start), 1)

    def marks(self) -> list[tuple[int, float]]:
        """The powers of ten, and their places."""
        return [(power, self.place(10.0**power)) for power in self.powers]


def _drawn(number: int, curve: Curve, across: _Scale, upward: _Scale) -> str:
    colour = _COLOURS[number % len(_COLOURS)]
    places = [(across.place(size), upward.place(cost)) for size, cost in curve.points]
    path = " ".join(f"{x},{y}" for x, y in places)
    dots = "".join(f'<circle cx="{x}" cy="{y}" r="3" fill="{colour}"/>' for x, y in places)
    label = f"{curve.name} ({curve.unit}): n^{curve.exponent:.2f}"
    line = f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>'
    return f"{line}{dots}{_text(_WIDTH - _RIGHT + 8, _TOP + 14 + 18 * number, label, colour)}"


def _line(x: float, y: float, to_x: float, to_y: float, label: str, at_x: float, at_y: float) -> str:
    return f'<path d="M{x},{y}L{to_x},{to_y}" stroke="#ddd"/>{_text(at_x, at_y, label)}'


def _text(x: float, y: float, text: str, colour: str = "#333") -> str:
    return f'<text x="{x}" y="{y}" fill="{colour}">{escape(text)}</text>'
