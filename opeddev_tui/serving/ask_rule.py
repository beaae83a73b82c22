"""Say when a person should look: by how sure the same way was on the hold-out, where people's grades are known.

The app's screen of what can be trusted chooses its threshold in the same way. Reads no model.
"""

import numpy as np
from msgspec import Struct

from opeddev_tui.config.settings import Grade
from opeddev_tui.format import plural, share
from opeddev_tui.grading.calibration import Alone, bears_out, grading_alone
from opeddev_tui.grading.ordinal import Grades
from opeddev_tui.runs.grade_records import WayGrades
from opeddev_tui.runs.grade_words import counted_off, few_rows, too_few, within_words
from opeddev_tui.runs.measured_grades import Measured, Recorded, measured, recorded
from opeddev_tui.runs.state import RunState


class AskRule(Struct, frozen=True):
    """A grade of less confidence than ``threshold`` (None: every grade) is for a person; ``why`` says so.

    ``measured`` is what the hold-out showed of these grades, None where nothing was recorded.
    """

    threshold: float | None
    tolerance: int
    why: str
    measured: Measured | None = None

    def asks(self, confidence: float | None) -> bool:
        """Return whether a person should look at a grade of ``confidence``, None where a way tells none."""
        return self.threshold is None or (confidence if confidence is not None else 0.0) < self.threshold

    def words(self, confidence: float | None) -> str:
        """Return why a person should look at a grade of ``confidence``."""
        if self.threshold is None or confidence is None:
            return self.why
        return f"confidence {confidence:.2f} is below {self.threshold:.2f}, {self.why}"


def ask_rule(state: RunState, epoch: int, way: str, grade: Grade, labels: tuple[str, ...]) -> AskRule:
    """Return the rule for ``way`` by what the run of ``state`` recorded of it after ``epoch``."""
    tolerance = counted_off(grade.tolerance, len(labels))
    near = within_words(tolerance)
    found, told = recorded(state, epoch, way, labels), measured(state, epoch, way, labels, tolerance)
    if found is None:
        return AskRule(None, tolerance, "this way to a grade was not compared with people's grades.")
    right, answers = (np.array(places, dtype=np.int64) for places in (found.right, found.given))
    grades, groups = _probabilities(found), found.groups
    if too_few(len(right)):
        return AskRule(None, tolerance, f"how sure is sure enough is not known: {few_rows(len(right))}", told)
    threshold: float | None
    if grades is None:
        agrees = np.abs(answers - right) <= tolerance
        threshold = 0.0 if bears_out(agrees, grade.agreement, groups) else None
        said = f"on the hold-out {share(agrees.mean())} of its grades agreed{near}, which does not bear out the wanted "
        said += f"{grade.agreement}%."
    else:
        alone = grading_alone(grades, right, (grade.agreement,), tolerance=tolerance, groups=groups)[grade.agreement]
        threshold = alone.chosen.threshold if alone.chosen is not None else None
        said = _alone(alone, grade.agreement, near, len(right))
    return AskRule(threshold, tolerance, f"{said} {few_rows(len(right))}".rstrip(), told)


def _alone(alone: Alone, wanted: int, near: str, rows: int) -> str:
    """Return why a person looks at grades below the threshold, or at all; the figure is that of the check."""
    told = ""
    if alone.checked is not None:
        passed = f"of {rows} hold-out rows {alone.checked_rows}{_groups(alone)} passed one that was chosen without them"
        told = f": {passed}, and {share(alone.checked.value)} of those agreed"
    if alone.chosen is not None:
        return f"the threshold{told}{near} with people ({wanted}% wanted)."
    return f"no threshold is borne out at {wanted}% agreement{near} with people{told}."


def _groups(alone: Alone) -> str:
    return "" if alone.checked_groups is None else f" (of {plural(alone.checked_groups, 'group')})"


def _probabilities(found: Recorded) -> Grades | None:
    """Return the probabilities of the rows' grades; None for a way without."""
    if not isinstance(found.way, WayGrades) or len(found.way.probabilities) != len(found.reference):
        return None
    chances = np.asarray(found.way.probabilities, dtype=np.float64)
    # they are recorded with four digits
    return Grades(chances / chances.sum(1, keepdims=True))
