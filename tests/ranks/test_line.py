"""The line between ranks carries words in order, answers of any size, beats and the load of GPUs."""

import threading
import time

import pytest

from opeddev_tui.ranks.life import Life
from opeddev_tui.ranks.line import Line, open_store
from opeddev_tui.ranks.words import Answer, Closed, Found, Load, Stepped
from opeddev_tui.runs.events import GpuReading


@pytest.fixture
def lines() -> tuple[Line, Line]:
    """Rank 0's end and rank 1's."""
    store = open_store("127.0.0.1", 0, leads=True)
    other = open_store("127.0.0.1", store.port, leads=False)
    return Line(store, 0, "run"), Line(other, 1, "run")


def never_lost() -> None:
    """Nobody is lost here."""


def test_words_come_in_order_and_large_answers_whole(lines: tuple[Line, Line]) -> None:
    leads, hand = lines
    assert [leads.say(word) for word in (Stepped(save=True), Closed(more=False))] == [0, 1]
    assert [hand.next(never_lost) for _ in range(2)] == [(0, Stepped(save=True)), (1, Closed(more=False))]
    answer = Answer(Found(sums=[float(number) for number in range(100_000)]))
    hand.post("answer/1/1", answer)
    assert leads.wait("answer/1/1", Answer, never_lost) == answer
    assert not leads.posted("answer/1/1")


def test_the_newest_load_of_a_hand_s_gpu_comes_with_its_beats(lines: tuple[Line, Line]) -> None:
    leads, hand = lines
    assert leads.load_of(1) == Load(())
    told = threading.Event()
    leads.beat(1)
    life = Life(hand, limit=60)

    def load() -> Load:
        told.set()
        return Load((GpuReading(uuid="GPU-aaa", percent=71.0, host="node1"),))

    life.tell_load(load)
    life.begin()
    assert told.wait(10)
    end = time.monotonic() + 10
    while not (found := leads.load_of(1).gpus):
        assert time.monotonic() < end
        time.sleep(0.005)
    life.close()
    assert (found[0].uuid, found[0].percent, found[0].host) == ("GPU-aaa", 71.0, "node1")
    assert leads.beat_of(1)
