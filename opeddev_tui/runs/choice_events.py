"""The events of what a person chooses at the question besides going on or stopping: the next step, who decides."""

from typing import Literal

from opeddev_tui.runs.event_base import DurableEvent

StartFrom = Literal["", "latest", "best"]
Policy = Literal["", "ask", "rule"]


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
