"""Timing of decisions: keys are not accepted right after the bar has changed, and a choice can be undone.

Text of a model can make a terminal type by itself, and a person's key may be meant for the bar of a moment
ago: neither may decide anything. Pure: the clock is handed in.
"""

from msgspec import Struct

from opeddev_tui.runs.control import AnyCommand


class Chosen(Struct, frozen=True):
    """A choice on its way: its command, its text for the bar, and when it takes effect (monotonic seconds)."""

    command: AnyCommand
    text: str
    due: float

    def left(self, now: float) -> float:
        """Return the seconds in which it can still be undone."""
        return max(0.0, self.due - now)


class Guard:
    """Accepts a choice only once the bar has been visible for ``guard_seconds``; holds it for ``undo_seconds``."""

    def __init__(self, guard_seconds: float, undo_seconds: float) -> None:
        self._guard = guard_seconds
        self._undo = undo_seconds
        self._bar: object = None
        self._changed = float("-inf")
        self.chosen: Chosen | None = None

    def set_times(self, guard_seconds: float, undo_seconds: float) -> None:
        """Use other times for the next choices."""
        self._guard, self._undo = guard_seconds, undo_seconds

    def see(self, bar: object, now: float) -> Chosen | None:
        """Note what the bar asks now; a choice for another question is dropped, and returned."""
        if bar == self._bar:
            return None
        dropped, self.chosen = self.chosen, None
        self._bar, self._changed = bar, now
        return dropped

    def accepts(self, now: float) -> bool:
        """Return whether a key is accepted: the bar has been visible long enough and nothing is chosen."""
        return self.chosen is None and now - self._changed >= self._guard

    def choose(self, command: AnyCommand, text: str, now: float) -> bool:
        """Hold ``command`` until it can no longer be undone; return False where the key is not accepted."""
        if not self.accepts(now):
            return False
        self.chosen = Chosen(command, text, now + self._undo)
        return True

    def undo(self, now: float) -> bool:
        """Drop the choice; return False where there is none. The bar counts as changed."""
        if self.chosen is None:
            return False
        self.chosen = None
        self._changed = now
        return True

    def take_due(self, now: float) -> AnyCommand | None:
        """Return the command that is due, once."""
        if self.chosen is None or now < self.chosen.due:
            return None
        command, self.chosen = self.chosen.command, None
        self._changed = now
        return command
