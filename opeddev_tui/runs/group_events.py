"""The event of a step that was trained with several seeds: which of them counts as the step's run."""

from opeddev_tui.runs.event_base import DurableEvent


class SeedChosen(DurableEvent, frozen=True):
    """This run, trained with one of several seeds, is the step's from now on, or (``chosen`` False) is no longer.

    ``group`` names the runs it was chosen from, ``by`` says by what: best, median, a seed, or a person.
    """

    chosen: bool = True
    by: str = ""
    group: str = ""
