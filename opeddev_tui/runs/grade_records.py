"""What events record of grades: figures with intervals, a way's grades per hold-out row, the ways of a race.

Grades are written as the scale writes them. Nothing is computed here.
"""

from msgspec import Struct, field

BASE_HEAD, STEP_HEAD, STEP_TOKENS, STEP_TEXT = "base head", "step head", "step tokens", "step text"
BASE_TOKENS = "base tokens"
# needs no language model
N_GRAMS = "n-grams"
# what each way is called for people
WORDS = {
    BASE_HEAD: "the head on the base model",
    STEP_HEAD: "the head on the step's model",
    STEP_TOKENS: "the grade tokens of the step's model",
    STEP_TEXT: "the texts that the step's model writes",
    N_GRAMS: "the n-gram grader",
}
# the ways to read a grade of the step's own model, and that of the base model, in a word
SHORT_WORDS = {
    "step text": "its texts",
    "step tokens": "its grade tokens",
    "step head": "its head",
    "base head": "base",
    "n-grams": "n-grams",
}


def by_metric(metric: str) -> str:
    """Return what a best epoch is best by; empty for the hold-out loss, which needs no name."""
    return " by grade" if metric == "grade" else ""


class Figure(Struct, frozen=True):
    """A figure with its 95% interval; None where it is not defined for the rows."""

    value: float | None
    low: float | None = None
    high: float | None = None


class WayGrades(Struct, frozen=True):
    """Grades of all graded hold-out rows by one way, in the order of the event's ``ids``.

    ``way`` is "base head", "step head", "step tokens", "step text" or "n-grams"; ``words`` name it for people.
    ``probabilities`` [rows][grades] are rounded to 4 digits, empty for a way without. ``grades`` are the medians, ""
    where a text had no grade. ``sets`` are the grades of each row's 90% set, empty for a way that promises none.
    ``figures`` are by name, as ``grading.scores`` names them. ``seconds`` is what this way took by itself; what came
    with the loss costs 0.
    """

    way: str
    words: str
    grades: tuple[str, ...]
    probabilities: tuple[tuple[float, ...], ...] = ()
    sets: tuple[tuple[str, ...], ...] = ()
    figures: dict[str, Figure] = field(default_factory=dict)
    seconds: float = 0.0


class RacedWay(Struct, frozen=True):
    """One way of a race, with figures on the hold-out and its kappa less that of the best cheap way.

    ``mode`` is the way of grading it stands for (head, tokens, text, n-grams), empty for a mere comparison. ``cheap``:
    needs no language model; ``tuned``: needs the fine-tuned one. ``answered`` is the share of rows with a grade,
    ``grades`` the grade of each row ("" for none). ``claim`` says whether what a head claims of itself holds.
    """

    way: str
    words: str
    figures: dict[str, Figure] = field(default_factory=dict)
    answered: float = 1.0
    seconds: float = 0.0
    to_cheap: Figure | None = None
    mode: str = ""
    cheap: bool = False
    tuned: bool = False
    grades: tuple[str, ...] = ()
    claim: str = ""


class FeedbackText(Struct, frozen=True):
    """A probe prompt's feedback twice: ``free`` as the model wrote it, ``forced`` with the heads' grade and areas.

    ``grade`` and ``named`` are the heads', ``reference_grade`` and ``failed`` the row's own (``failed`` is None where
    the row does not tell); ``free_named`` are the areas that the free text names.
    """

    id: str
    kind: str
    reference: str
    reference_grade: str
    failed: tuple[str, ...] | None
    grade: str
    named: tuple[str, ...]
    forced: str
    free: str = ""
    free_named: tuple[str, ...] = ()
