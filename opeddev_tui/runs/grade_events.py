"""The events of grades: heads fitted, grades read and measured, the race, feedback written."""

from collections.abc import Iterable
from typing import Literal

from msgspec import field

from opeddev_tui.runs.event_base import DurableEvent, Event
from opeddev_tui.runs.grade_records import STEP_TEXT, FeedbackText, Figure, RacedWay, WayGrades


class GradesMeasured(Event, frozen=True):
    """Grades of the step's model on the whole hold-out; ``predicted[i]`` is None where a text had no grade.

    ``ids[i]`` names the row (empty in journals of older versions). ``way`` is how they were read: "step text" from
    generated texts (all journals of version 0.1), "step tokens" from the probabilities of the grades' tokens, "step
    head" by the head on the step's model.

    The cheap ways stand beside them, scored on the same rows: always the commonest grade (of the training rows; in
    older journals of the hold-out), always the middle one, and ``n_grams``, the figures of the n-gram grader fitted on
    the step's training rows, empty where it cannot be fitted. Older journals have a weaker text classifier instead.
    """

    epoch: int
    predicted: tuple[int | None, ...]
    reference: tuple[int, ...]
    parsed: float
    exact: float
    within_one: float
    mean_absolute_error: float | None
    kappa: float | None
    kappa_interval: tuple[float, float] | None = None
    majority_exact: float = 0.0
    middle_within_one: float = 0.0
    n_grams: dict[str, Figure] = field(default_factory=dict)
    # only in older journals
    classifier_exact: float | None = None
    seconds: float = 0.0
    ids: tuple[str, ...] = ()
    # how rows without a grade count in mean error and kappa; version 0.1 left them out
    unread: Literal["left out", "farthest"] = "left out"
    way: str = STEP_TEXT

    @property
    def leaves_out(self) -> bool:
        """True if mean error and kappa are not over all rows, so that they cannot be compared with other runs."""
        return self.unread == "left out" and self.parsed < 1

    @property
    def texts_read(self) -> float | None:
        """The share of the written texts that a grade was read from; None where the way that grades reads no text.

        Every view shows this in the place of ``parsed``, which is 1 for ways that cannot fail and would seem to speak
        of the texts that stand beside it.
        """
        return self.parsed if self.way == STEP_TEXT else None


class HeadFitted(DurableEvent, frozen=True):
    """A grade head was fitted on the step's graded rows: ``head`` is "base" or "step", after ``epoch`` (base: 0).

    Features of ``rows`` training rows were needed, ``read`` rows were read in ``read_seconds``, the others were known;
    the fit took ``fit_seconds``. ``model`` names the weights. ``out_of_fold`` are figures of the rows by fits without
    them, ``claim`` says whether the hold-out bears them out. Without a head ``problem`` says why.

    ``steadied`` is the number of changed copies of training rows that held the head steady (``grading.steady``; 0: a
    plain head); ``steady_read`` of them were read in ``steady_seconds``, the others were known.
    """

    head: str
    epoch: int
    rows: int = 0
    read: int = 0
    read_seconds: float = 0.0
    fit_seconds: float = 0.0
    model: str = ""
    out_of_fold: dict[str, Figure] = field(default_factory=dict)
    claim: str = ""
    problem: str = ""
    steadied: int = 0
    steady_read: int = 0
    steady_seconds: float = 0.0

    @property
    def seconds(self) -> float:
        """What the head took: reading, reading the changed copies, fitting."""
        return self.read_seconds + self.steady_seconds + self.fit_seconds


def steadied_rows(heads: Iterable[HeadFitted]) -> int:
    """Return how many changed copies of training rows hold ``heads`` steady; 0 for plain heads."""
    return max((head.steadied for head in heads), default=0)


class GradesRead(DurableEvent, frozen=True):
    """Grades of the hold-out after ``epoch``, by every way that was read: see ``WayGrades``.

    ``ids`` and ``reference`` have an entry per graded hold-out row, and so has ``groups`` (author, repository), but
    where no row has one it is empty; ``labels`` are the scale, the lowest first.
    ``ungraded`` counts hold-out rows without a grade. ``seconds`` is what all of it took beside the hold-out loss.
    """

    epoch: int
    labels: tuple[str, ...]
    ids: tuple[str, ...]
    reference: tuple[str, ...]
    ways: tuple[WayGrades, ...]
    ungraded: int = 0
    seconds: float = 0.0
    groups: tuple[str, ...] = ()

    def by(self, way: str) -> WayGrades | None:
        """Return the grades by ``way``, None where it was not read."""
        return next((item for item in self.ways if item.way == way), None)


class RaceHeld(DurableEvent, frozen=True):
    """The race of all ways to a grade at a step's end, after ``epoch``: ``ways`` from best kappa to worst.

    ``rows`` graded training rows were fitted on, ``holdout_rows`` compared on. ``chosen`` is the way that grades from
    now on, ``verdict`` and ``tuning`` say in a sentence each what came out and whether fine-tuning was worth it for the
    grade. ``seconds`` is the whole race. ``checkpoint`` names the step's model, ``needs`` the base model where it
    grades instead of that one. ``groups`` as in ``GradesRead``. Without a race ``problem`` says why.
    """

    epoch: int
    rows: int = 0
    holdout_rows: int = 0
    ways: tuple[RacedWay, ...] = ()
    chosen: str = ""
    verdict: str = ""
    tuning: str = ""
    labels: tuple[str, ...] = ()
    ids: tuple[str, ...] = ()
    reference: tuple[str, ...] = ()
    checkpoint: str = ""
    needs: str = ""
    seconds: float = 0.0
    problem: str = ""
    groups: tuple[str, ...] = ()


class FeedbackWritten(DurableEvent, frozen=True):
    """Feedback of graded probe prompts by the model of ``epoch``, with the structure that heads decided.

    ``head`` gave grades and areas. ``f1`` is that of the areas named against those that failed, over the probes that
    tell: "forced", "heads", "free" (the texts without force) and "all" (naming all). Without texts ``problem`` says
    why.
    """

    epoch: int
    head: str = ""
    texts: tuple[FeedbackText, ...] = ()
    f1: dict[str, float] = field(default_factory=dict)
    seconds: float = 0.0
    problem: str = ""
