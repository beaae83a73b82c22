"""What is told of grades in the same words everywhere: what grades and what that means, what holds a head steady, and
what few hold-out rows mean for a verdict.

The screen, the commands, the report and the model card take their sentences from here; they add no words of their own
for the same fact.
"""

from collections.abc import Mapping

from opeddev_tui.format import plural
from opeddev_tui.runs.grade_records import (
    BASE_HEAD,
    BASE_TOKENS,
    N_GRAMS,
    SHORT_WORDS,
    STEP_HEAD,
    STEP_TEXT,
    STEP_TOKENS,
    WORDS,
)
from opeddev_tui.text import clean_line

# with fewer hold-out rows a verdict has a caution, and below the second number there is none
ENOUGH_ROWS, FEWEST_ROWS = 30, 10
# how a race warns of grades, and of a head that promises more than the hold-out shows
DO_NOT_RELY = "do not rely on these grades"
CLAIMS_TOO_MUCH = "The head claims too much"
_HEAD = "a small model (head) on top of"
_TOKENS = "by how probable it finds each grade"
_TRAINED = "fine-tuning changes these grades"
_MEANINGS: Mapping[str, str] = {
    BASE_HEAD: f"{_HEAD} the base model: fine-tuning does not change these grades, more or corrected rows do",
    STEP_HEAD: f"{_HEAD} the fine-tuned model: fine-tuning and more rows change these grades",
    STEP_TOKENS: f"the fine-tuned model itself, {_TOKENS}: {_TRAINED}",
    STEP_TEXT: f"the fine-tuned model itself, in the text that it writes: {_TRAINED}",
    N_GRAMS: "short pieces of text, without a language model: rows change these grades, and so can padding",
    BASE_TOKENS: f"the base model itself, {_TOKENS}: neither fine-tuning nor your rows change these grades",
}


def graded_by(way: str) -> str:
    """Return which way grades and what that means for a person, as a sentence; empty for none, or one not known."""
    return f"Graded by {_MEANINGS[way]}." if way in _MEANINGS else ""


def grader_name(way: str, checkpoint: str, step: int | None) -> str:
    """Return what grades, for titles: ``checkpoint``, or what of ``step`` grades in its stead."""
    if way == BASE_HEAD:
        return "base model, its head" if step is None else f"base model, head of step {step}"
    if way == N_GRAMS:
        return "n-grams" if step is None else f"n-grams of step {step}"
    return "base model" if way == BASE_TOKENS else checkpoint


def read_by(way: str) -> str:
    """Return by what grades were read, in a word or two, to follow "grades by"."""
    return SHORT_WORDS.get(way, clean_line(way))


def way_words(way: str) -> str:
    """Return by what grades were read, with the model it reads, to follow "by"."""
    return WORDS.get(way, clean_line(way))


def counted_off(tolerance: int, labels: int) -> int:
    """Return how many grades off count as agreement on a scale of ``labels`` grades where ``tolerance`` is wanted.

    On a scale of few grades nearly every grade would agree.
    """
    return max(0, min(tolerance, (labels - 2) // 2))


def within_words(tolerance: int) -> str:
    """Return what counts as agreement, to follow that word: empty where only the same grade does."""
    return {0: "", 1: " within one grade"}.get(tolerance, f" within {tolerance} grades")


def near_words(tolerance: int) -> str:
    """Return what a confidence is of, to follow "that it is"; ``tolerance`` in grades."""
    near = {0: "", 1: "within one grade of "}.get(tolerance, f"within {tolerance} grades of ")
    return f"{near}a person's"


def base_needed(name: str) -> str:
    """Return what a way needs that reads the base model ``name``; empty where ``name`` is."""
    return f"The base model {name} is needed too: instead of the checkpoint, for texts beside it." if name else ""


def steadied(rows: int) -> str:
    """Return what holds a head steady with ``rows`` changed rows, to follow "is" or "are"."""
    return f"held steady against comments that are no reason for a grade, with {plural(rows, 'changed training row')}"


def steadied_heads(rows: int) -> str:
    """Return that the heads of a run are held steady, as a sentence; empty for plain heads (no ``rows``)."""
    return f"The heads are {steadied(rows)} (grading.steady)." if rows else ""


def worth_reading(rows: int) -> int:
    """Return how many of the most disputed of ``rows`` graded training rows are worth a person's time.

    A tenth of them, and at least ten: there a wrong grade is likeliest, and an unsure head disputes most rows.
    """
    return max(10, -(-rows // 10))


# --- few hold-out rows


def too_few(rows: int) -> bool:
    """Return whether ``rows`` hold-out rows are too few to say that one way or state is better than another."""
    return rows < FEWEST_ROWS


def maybe_chance(rows: int, what: str = "this") -> str:
    """Return that ``what`` is of ``rows`` hold-out rows may be chance, as a clause; empty where there are enough."""
    few = f"{plural(rows, 'hold-out row')} {'is' if rows == 1 else 'are'} few"
    return f"{few}: with fewer than {ENOUGH_ROWS} {what} may be chance" if 0 < rows < ENOUGH_ROWS else ""


def on_rows(rows: int) -> str:
    """Return what a figure of ``rows`` hold-out rows is on, to follow "on": few of them are counted."""
    return f"only {plural(rows, 'hold-out row')}" if 0 < rows < ENOUGH_ROWS else "the hold-out"


def few_rows(rows: int, what: str = "this") -> str:
    """Return what ``rows`` hold-out rows mean for a verdict, as a sentence; empty where there are enough of them."""
    if 0 < rows < FEWEST_ROWS:
        few = f"{plural(rows, 'hold-out row')} {'is' if rows == 1 else 'are'} too few for a verdict"
        return f"{few}: read the figures alone, and add rows ({ENOUGH_ROWS} are a beginning)."
    return f"{maybe_chance(rows, what)}." if 0 < rows < ENOUGH_ROWS else ""
