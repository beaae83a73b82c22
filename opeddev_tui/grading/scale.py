"""A grade scale: an ordered list of labels, the lowest first, and the numbers that stand for them in rows.

Letters, half grades and points are all positions on the scale here; distances count positions. How a grade is written
is known to ``data.grade_scale`` alone.
"""

from collections.abc import Sequence

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from opeddev_tui.config.settings import Grading
from opeddev_tui.data import grade_scale
from opeddev_tui.errors import SettingsProblem

Positions = NDArray[np.int64]


class Scale(Struct, frozen=True):
    """``labels`` as they are written; the lowest is the number ``minimum`` in rows, the next one more."""

    labels: tuple[str, ...]
    minimum: int = 1

    @staticmethod
    def of(grading: Grading) -> "Scale":
        """Return the settings' scale; raises ``SettingsProblem`` for one with fewer than two grades."""
        numbers = range(grading.minimum, grading.maximum + 1)
        labels = tuple(grade_scale.written(number, grading) for number in numbers)
        if len(labels) < 2:
            raise SettingsProblem(
                "a grade scale needs at least two grades.",
                where="grading",
                cure="Set grading.minimum and grading.maximum, or grading.grades.",
            )
        return Scale(labels, grading.minimum)

    @property
    def size(self) -> int:
        """Number of grades."""
        return len(self.labels)

    @property
    def middle(self) -> int:
        """Position of the middle grade, the upper one of two."""
        return self.size // 2

    def positions(self, grades: Sequence[int]) -> Positions:
        """Return the positions [n] of ``grades``, which are numbers as in ``Example.grade``."""
        found = np.asarray(grades, dtype=np.int64) - self.minimum
        if found.size and (found.min() < 0 or found.max() >= self.size):
            raise ValueError("a grade is not on the scale")
        return found
