"""The timing of decisions, with a clock of the test."""

from opeddev_tui.runs.control import Decide
from opeddev_tui.ui.state.guard import Guard

CONTINUE = Decide(epoch=1, choice="continue")
STOP = Decide(epoch=1, choice="stop")


def guard() -> Guard:
    made = Guard(0.3, 3.0)
    made.see("question 1", 10.0)
    return made


def test_a_key_right_after_the_bar_changed_does_not_count() -> None:
    made = guard()
    assert not made.choose(CONTINUE, "continue", 10.29)
    assert made.chosen is None
    assert made.choose(CONTINUE, "continue", 10.31)


def test_a_choice_takes_effect_after_the_time_for_undoing_and_once() -> None:
    made = guard()
    made.choose(CONTINUE, "continue", 11.0)
    assert made.take_due(13.99) is None
    assert made.take_due(14.0) == CONTINUE
    assert made.take_due(20.0) is None


def test_undo_drops_the_choice_and_keys_wait_again() -> None:
    made = guard()
    made.choose(CONTINUE, "continue", 11.0)
    assert made.undo(12.0)
    assert made.take_due(20.0) is None
    assert not made.undo(12.1)
    assert not made.choose(STOP, "stop", 12.2)
    assert made.choose(STOP, "stop", 12.4)


def test_a_second_choice_does_not_replace_the_first() -> None:
    made = guard()
    made.choose(CONTINUE, "continue", 11.0)
    assert not made.choose(STOP, "stop", 11.5)
    assert made.take_due(14.0) == CONTINUE


def test_a_choice_for_another_question_is_dropped() -> None:
    made = guard()
    made.choose(CONTINUE, "continue", 11.0)
    dropped = made.see("question 2", 11.5)
    assert dropped is not None
    assert dropped.text == "continue"
    assert made.take_due(20.0) is None
    assert made.see("question 3", 21.0) is None


def test_the_same_bar_seen_again_changes_nothing() -> None:
    made = guard()
    made.see("question 1", 10.29)
    assert made.accepts(10.31)


def test_without_guard_and_undo_a_key_acts_at_once() -> None:
    made = Guard(0.0, 0.0)
    made.see("question", 1.0)
    assert made.choose(STOP, "stop", 1.0)
    assert made.take_due(1.0) == STOP
