"""Submissions are handed on some at a time: none is lost, none comes twice, and equal ones wait for each other."""

from collections.abc import Iterator

import pytest

from opeddev_tui.config.settings import Settings
from opeddev_tui.serving import windows as module
from opeddev_tui.serving.asked import Asked, asked, filling
from opeddev_tui.serving.windows import windows


def _asked(text: str) -> Asked:
    settings = Settings()
    return asked({"submission": text, "task": "Make a card."}, "a.css", settings, filling(settings))


def _texts(window: list[Asked]) -> list[str]:
    return [item.example.submission if item.example is not None else item.problem for item in window]


def test_no_more_than_some_are_read_before_they_are_handed_on() -> None:
    """The next is read only when the window before it is done with, so that memory stays bounded."""
    read = 0

    def many() -> Iterator[Asked]:
        nonlocal read
        for number in range(150):
            read += 1
            yield _asked(f"p {{ order: {number} }}")

    sizes = []
    for window in windows(many()):
        sizes.append(len(window))
        assert read == sum(sizes)
    assert sizes == [64, 64, 22]


def test_long_texts_fill_a_window_earlier(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MOST_CHARS", 10)
    found = [_asked(text) for text in ("a" * 8, "b" * 8, "c" * 30, "d", "e")]
    assert [len(window) for window in windows(found)] == [2, 1, 2]
    assert [item for window in windows(found) for item in window] == found


def test_one_without_text_is_handed_on_with_the_others() -> None:
    found = [_asked("a"), Asked(None, problem="it is no text"), _asked("b")]
    assert [_texts(window) for window in windows(found)] == [["a", "it is no text", "b"]]


def test_an_equal_one_is_asked_about_after_the_first_was_graded() -> None:
    """It is known by then, so nothing is graded twice; without knowledge all are handed on."""
    texts = ["a", "b", "a", "c", "a", "b", "b"]
    graded: set[str] = set()
    handed: list[list[str]] = []
    for window in windows([_asked(text) for text in texts], lambda item: item.content in graded):
        handed.append(_texts(window))
        graded.update(item.content for item in window)
    assert handed == [["a", "b"], ["c"]]
    assert [_texts(window) for window in windows([_asked(text) for text in texts])] == [texts]


def test_what_came_before_a_pause_is_handed_on_at_once() -> None:
    a, b, c = (_asked(text) for text in "abc")
    every = [None, a, None, None, b, c, None]
    assert [_texts(window) for window in windows(every)] == [["a"], ["b", "c"]]
    # also where what came last is known already
    known = [_texts(window) for window in windows([a, b, None, c], lambda item: item in (b, c))]
    assert known == [["a"]]
