"""A grade scale: an ordered list of labels, the lowest first, and the numbers that stand for them in rows.

Letters, half grades and points are all positions on the scale here; distances count positions.
"""

from collections.abc import Sequence

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from opeddev_tui.errors import SettingsProblem

Positions = NDArray[np.int64]


class Scale(Struct, frozen=True):
    """``labels`` as they are written; the lowest is the number ``minimum`` in rows, the next one more."""

    labels: tuple[str, ...]
    minimum: int = 1

    @staticmethod
    def of(minimum: int, maximum: int, written: Sequence[str] = ()) -> "Scale":
        """Return the settings' scale: the ``written`` grades, else whole numbers. Raises ``SettingsProblem``."""
        labels = tuple(written) or tuple(str(number) for number in range(minimum, maximum + 1))
        if len(labels) < 2:
            raise SettingsProblem(
                "a grade scale needs at least two grades.",
                where="grading",
                cure="Set grading.minimum and grading.maximum, or grading.grades.",
            )
        if len(set(labels)) < len(labels):
            raise SettingsProblem("a grade stands twice on the scale.", where="grading.grades", cure="Name each once.")
        return Scale(labels, minimum)

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
