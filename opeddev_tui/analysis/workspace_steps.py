"""Read the batches of a workspace and match them with what its runs trained (``trained_steps``)."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct
from msgspec.structs import replace

from opeddev_tui.analysis.trained_steps import Step, Steps, match_steps, same_rows
from opeddev_tui.config.settings import Settings
from opeddev_tui.data.batches import Batch, LoadedBatch, find_batches, load_batch
from opeddev_tui.runs.events import TrainedBatch
from opeddev_tui.runs.history import RunRecord
from opeddev_tui.workspace.paths import Workspace


class WorkspaceSteps(Struct, frozen=True):
    """The steps of a workspace, and the batches that ``Step.place`` counts."""

    steps: Steps
    batches: list[Batch]
    present: list[TrainedBatch]

    def again(self, trained: Sequence[TrainedBatch]) -> list[Batch]:
        """Return the batches of a run that trained on ``trained``: those with the same rows, else of the same name."""
        found = []
        for number, was in enumerate(trained):
            same = [place for place, batch in enumerate(self.present) if same_rows(was, batch)]
            named = [place for place, batch in enumerate(self.present) if was.name == batch.name]
            by_name = [place for place in same if place in named]
            found += [replace(self.batches[place], number=number) for place in (by_name or same or named)[:1]]
        return found

    def batch_of(self, step: Step) -> Batch:
        """Return the batch that ``step`` adds, with the step's number; its batch must be there."""
        assert step.place is not None
        return replace(self.batches[step.place], number=step.number)

    def data_of(self, number: int) -> list[Batch]:
        """Return the batches that step ``number`` trains on, with their steps' numbers, its own last."""
        return [self.batch_of(step) for step in self.steps.up_to(number)]

    @property
    def trained(self) -> list[Batch]:
        """The batches that some step has trained on, with their steps' numbers."""
        return [self.batch_of(step) for step in self.steps.steps if step.place is not None and step.word != "open"]


def known(loaded: LoadedBatch) -> TrainedBatch:
    """Return what tells a batch from others."""
    # without a row there is nothing that two batches could have in common
    fingerprint = loaded.fingerprint if loaded.examples else ""
    return TrainedBatch(loaded.batch.name, len(loaded.examples), fingerprint, loaded.identity)


def matched(loaded: Sequence[LoadedBatch], records: Sequence[RunRecord]) -> WorkspaceSteps:
    """Return the steps of batches that were read; ``records`` are all runs, oldest first."""
    present = [known(item) for item in loaded]
    steps = match_steps(present, (record.state for record in records))
    return WorkspaceSteps(steps, [item.batch for item in loaded], present)


def read_steps(
    workspace: Workspace, settings: Settings, records: Sequence[RunRecord], *, fetch: bool = True
) -> WorkspaceSteps:
    """Read every batch and return the steps; raises ``DataProblem`` where the batches cannot be listed.

    What is wrong inside a batch is not raised: it is a problem of the step that trains on it.
    """
    batches = find_batches(workspace.root, settings.paths, fetch=fetch)
    return matched([load_batch(batch, settings) for batch in batches], records)
