"""The queue between training and screen: bounded, never waiting, honest about what it dropped."""

import threading

from scenes import hardware, progress

from opeddev_tui.ui.state.queue import EventQueue


def test_events_come_out_in_order_and_once() -> None:
    queue = EventQueue()
    for number in range(10):
        queue.emit(progress(number + 1, 0.0))
    assert [getattr(event, "global_step", 0) for event in queue.drain()] == list(range(1, 11))
    assert queue.drain() == []


def test_readings_of_the_machine_replace_each_other() -> None:
    queue = EventQueue()
    for at in range(100):
        queue.emit(hardware(float(at)))
    assert [event.at for event in queue.drain()] == [99.0]


def test_a_dead_screen_costs_bounded_memory_and_is_told() -> None:
    queue = EventQueue(limit=50)
    for number in range(10_000):
        queue.emit(progress(number + 1, 0.0))
    assert len(queue) <= 50
    assert queue.overflowed


def test_two_threads_lose_nothing() -> None:
    queue = EventQueue(limit=100_000)
    writers = [
        threading.Thread(target=lambda: [queue.emit(progress(number, 0.0)) for number in range(2000)], daemon=True)
        for _ in range(2)
    ]
    for writer in writers:
        writer.start()
    seen = 0
    while any(writer.is_alive() for writer in writers):
        seen += len(queue.drain())
    assert seen + len(queue.drain()) == 4000
