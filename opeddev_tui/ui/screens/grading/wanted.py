"""Which agreement is wanted of grades that no person reads: that of the settings, until a key chooses another one.

The Grader asks a person by the same settings, so that Trust opens on what the Grader does.
"""

from __future__ import annotations

from opeddev_tui.config.grading_settings import LEAST_AGREEMENT, MOST_AGREEMENT
from opeddev_tui.config.settings import Grade
from opeddev_tui.runs.grade_words import counted_off


class Wanted:
    """The wanted agreement; ``grade`` are the settings as they are now, ``labels`` how many grades the scale has."""

    def __init__(self) -> None:
        # what a key chose
        self._agreement: int | None = None
        self._tolerance: int | None = None

    def agreement(self, grade: Grade) -> int:
        """Return the wanted agreement in percent."""
        return self._agreement if self._agreement is not None else grade.agreement

    def tolerance(self, grade: Grade, labels: int) -> int:
        """Return how many grades off count as agreement."""
        return self._tolerance if self._tolerance is not None else counted_off(grade.tolerance, labels)

    def move(self, grade: Grade, step: int) -> None:
        """Want ``step`` percent more."""
        self._agreement = max(LEAST_AGREEMENT, min(MOST_AGREEMENT, self.agreement(grade) + step))

    def change_tolerance(self, grade: Grade, labels: int) -> None:
        """Count no grade off as agreement, then one, then as many as the settings say, and so on."""
        now, every = self.tolerance(grade, labels), sorted({0, 1, counted_off(grade.tolerance, labels)})
        self._tolerance = next((each for each in every if each > now), 0)
