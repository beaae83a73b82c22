"""Owns the timing of decisions: keys wait a moment after the bar changes, and a choice can be undone.

Text of a model can make a terminal type by itself, and a person's key may be meant for the bar of a moment
ago: neither may decide anything. Pure: the clock is handed in.
"""

from msgspec import Struct

from opeddev_tui.control import AnyCommand


class Chosen(Struct, frozen=True):
    """A choice on its way: what it is, in words, and when it takes effect (monotonic seconds)."""

    command: AnyCommand
    words: str
    due: float

    def left(self, now: float) -> float:
        """Return the seconds in which it can still be undone."""
        return max(0.0, self.due - now)


class Guard:
    """Accepts a choice only for the bar that has been visible for a while, and holds it until it is due."""

    def __init__(self, guard_seconds: float, undo_seconds: float) -> None:
        self._guard = guard_seconds
        self._undo = undo_seconds
        self._bar: object = None
        self._changed = float("-inf")
        self.chosen: Chosen | None = None

    def see(self, bar: object, now: float) -> None:
        """Take note of what the bar asks; a choice for another question is dropped."""
        if bar != self._bar:
            self._bar, self._changed = bar, now
            self.chosen = None

    def accepts(self, now: float) -> bool:
        """True where a key may count: the bar is old enough and nothing is chosen."""
        return self.chosen is None and now - self._changed >= self._guard

    def choose(self, command: AnyCommand, words: str, now: float) -> bool:
        """Hold ``command`` until the time for undoing is over; False where the key does not count."""
        if not self.accepts(now):
            return False
        self.chosen = Chosen(command, words, now + self._undo)
        return True

    def undo(self, now: float) -> bool:
        """Drop the choice; False where there is none. The bar counts as changed."""
        if self.chosen is None:
            return False
        self.chosen = None
        self._changed = now
        return True

    def take_due(self, now: float) -> AnyCommand | None:
        """Return the command whose time has come, once."""
        if self.chosen is None or now < self.chosen.due:
            return None
        command, self.chosen = self.chosen.command, None
        self._changed = now
        return command
