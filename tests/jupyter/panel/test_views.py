"""Views come and go, and the messages of each are taken in the order in which they were sent."""

import random

import pytest

from runloop_jupyter.widgets.views import SILENCE, InOrder, Views


@pytest.mark.parametrize("seed", range(50))
def test_whatever_comes_first_is_taken_in_its_turn(seed: int) -> None:
    chance, order, taken = random.Random(seed), InOrder[int](), []
    sent = list(range(40))
    chance.shuffle(sent)
    for number in sent:
        taken += order.take(number, number)
    assert taken == list(range(40))


@pytest.mark.parametrize("seed", range(50))
def test_what_never_comes_holds_nothing_back_for_ever(seed: int) -> None:
    chance, order, taken = random.Random(seed), InOrder[int](), []
    lost = set(chance.sample(range(40), 5))
    sent = [number for number in range(40) if number not in lost]
    chance.shuffle(sent)
    for number in sent:
        taken += order.take(number, number)
    for number in sent:
        taken += order.release(number)
    assert taken == [number for number in range(40) if number not in lost]
    assert not any(order.holds(number) for number in range(40))


def test_only_what_has_waited_is_released() -> None:
    order = InOrder[str]()
    assert order.take(1, "b") == []
    assert order.take(3, "d") == []
    assert order.release(1) == ["b"]
    assert order.holds(3)
    assert order.take(0, "late") == ["late"]
    assert order.take(2, "c") == ["c", "d"]


def test_views_that_fall_silent_are_gone_after_a_while() -> None:
    views = Views[str]()
    for name, visible in (("a", True), ("b", False)):
        view = views.heard(name, 0)
        view.is_open, view.visible = True, visible
    assert views.forget_silent(SILENCE) == []
    assert views.visible
    views.heard("b", SILENCE)
    assert views.forget_silent(SILENCE + 1) == ["a"]
    assert len(views) == 1
    assert not views.visible
    views.forget("b")
    assert len(views) == 0


def test_a_view_that_has_not_said_hello_is_not_open() -> None:
    views = Views[str]()
    views.heard("a", 0).visible = True
    assert len(views) == 0
    assert not views.visible
