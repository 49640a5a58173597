"""Messages of a view are taken in the order in which they were sent, whichever way each of them came."""

import random

import pytest
from runloop_jupyter.resource_panel.in_order import InOrder


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
