"""Takes keys and pasted texts one after the other, so that those of one burst act in the order in which they came.

Textual hands a letter on to the focused widget, but does at once what a key of the whole dialog is bound to, and sends
every key to what has the focus as the key is read. In a burst Ctrl+S would overtake the letters before it, and what is
typed behind a key that opens a dialog would go to the screen below: there letters are commands.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

from textual.app import App, ScreenStackError
from textual.events import Event, Key, Paste


class Node(Protocol):
    """The app, a screen or a widget, each with a queue of messages of its own."""

    @property
    def parent(self) -> Any: ...
    @property
    def is_running(self) -> bool: ...
    def call_later(self, callback: Callable[..., Any], *args: Any) -> bool: ...


class KeysInOrder(App[str]):
    """An app that takes a key once the one before it is done.

    A mark follows each key through the queues: from the focused widget up to the app, as the key itself does. Once the
    mark is back, the key has been seen by all; it goes round again for what these have sent, and for as long as each
    round finds another screen or widget in the focus. A letter of a text ends in that text, and so does its mark.
    Nothing is waited for but the queues.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._keys: deque[Key | Paste] = deque()
        # in whose queue the mark is, None while no key is under way
        self._mark_at: Node | None = None
        self._focus_before: object = None

    async def on_event(self, event: Event) -> None:
        """Take a key, or keep it until the one before it is done."""
        if not isinstance(event, Key | Paste):
            await super().on_event(event)
            return
        if self._in_focus() is None:
            # the app is closing: no screen is left that a key could be for
            self._keys.clear()
            return
        if event.is_forwarded:
            await super().on_event(event)
            return
        self._keys.append(event)
        # with a widget that was removed goes the mark in its queue
        if self._mark_at is None or not self._mark_at.is_running:
            await self._take_next()

    async def _take_next(self) -> None:
        self._mark_at = None
        if self._keys and self._in_focus() is not None:
            self._mark_at = self
            key = self._keys.popleft()
            text = self._text_that_takes(key)
            self._focus_before = None
            await super().on_event(key)
            if text is not None and text.call_later(self.call_later, self._take_next):
                self._mark_at = text
            else:
                self._go_round()

    def _text_that_takes(self, key: Key | Paste) -> Node | None:
        """Return the text that ``key`` is a letter of, None where it may do anything else."""
        focused = self.focused if isinstance(key, Key) and self._in_focus() is not None else None
        if focused is None or not focused.check_consume_key(key.key, key.character):  # type: ignore[union-attr]
            return None
        return focused

    def _go_round(self) -> None:
        """Send the mark from what has the focus up to the app."""
        self._put_mark(self._in_focus())

    def _in_focus(self) -> Node | None:
        try:
            return self.focused or self.screen
        except ScreenStackError:
            return None

    def _put_mark(self, node: Node | None) -> None:
        """Put the mark into the queue of ``node``, or of the nearest above it that still takes messages."""
        while node is not None and node is not self:
            self._mark_at = node
            if node.call_later(self._pass_on, node):
                return
            node = node.parent
        self._mark_at = self
        if not self.call_later(self._came_back):
            self._mark_at = None

    def _pass_on(self, node: Node) -> None:
        self._put_mark(node.parent)

    async def _came_back(self) -> None:
        focus = self._in_focus()
        if focus is not self._focus_before:
            self._focus_before = focus
            self._go_round()
        else:
            await self._take_next()
