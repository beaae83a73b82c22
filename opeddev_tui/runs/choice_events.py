"""The events of choices: the question after an epoch, its verdict and answer, the next step, the seed that counts."""

from typing import Literal

from msgspec import Struct

from opeddev_tui.runs.event_base import DurableEvent

Choice = Literal["continue", "stop"]
StartFrom = Literal["", "latest", "best"]
Policy = Literal["", "ask", "rule"]


class Verdict(Struct, frozen=True):
    """What the early-stop rule recommends after ``epoch``, with its reasons in words."""

    epoch: int
    choice: Choice
    limit_reached: bool
    reasons: tuple[str, ...]
    loss_improved: bool = False
    human_improved: bool = False
    difference: float | None = None
    interval: tuple[float, float] | None = None
    better: int = 0
    worse: int = 0
    worst: tuple[int, ...] = ()
    compared_with: int | None = None
    # "loss" or "grade": what decides; the evidence of the other is there too where it was measured
    metric: str = "loss"
    # fall of the mean expected distance from the right grade, in grades, of the step's model read in ``grade_way``
    grade_difference: float | None = None
    grade_interval: tuple[float, float] | None = None
    grade_improved: bool = False
    grade_compared_with: int | None = None
    grade_way: str = ""


class DecisionAwaited(DurableEvent, frozen=True):
    """Training waits for a decision; after ``deadline`` (Unix seconds) the rule decides."""

    epoch: int
    verdict: Verdict
    max_epochs: int
    deadline: float | None = None


class Decided(DurableEvent, frozen=True):
    """The decision after an epoch, who took it (person, rule, timeout or limit), and the verdict at that time."""

    epoch: int
    choice: Choice
    by: str
    verdict: Verdict
    note: str = ""


class NextStepChosen(DurableEvent, frozen=True):
    """What the next step does other than the settings say; a field at its default leaves what was chosen before.

    ``learning_rate`` is of that step alone; it trains everything up to ``batch``; ``start_from`` names the epoch that
    is this step's result.
    """

    epoch: int
    learning_rate: float | None = None
    batch: str = ""
    start_from: StartFrom = ""


class PolicyChanged(DurableEvent, frozen=True):
    """From now on a person (ask) or the early-stop rule (rule) decides after an epoch of this run."""

    epoch: int
    policy: Policy


class SeedChosen(DurableEvent, frozen=True):
    """This run, trained with one of several seeds, is the step's from now on, or (``chosen`` False) is no longer.

    ``group`` names the runs it was chosen from, ``by`` says by what: best, median, a seed, or a person.
    """

    chosen: bool = True
    by: str = ""
    group: str = ""
