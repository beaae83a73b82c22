"""A person's answer to what a grader was asked becomes a row of the open batch of corrections. Loads no model."""

import getpass
import time
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

from msgspec.structs import replace

from opeddev_tui.analysis.trained_steps import begun_batches
from opeddev_tui.analysis.workspace_steps import matched, read_steps
from opeddev_tui.config.settings import Settings
from opeddev_tui.data import collected_answers
from opeddev_tui.data.collected_answers import Corrected
from opeddev_tui.data.corrected_answers import Kept, correct_answer, undo_answer
from opeddev_tui.data.raw_rows import FileRows
from opeddev_tui.data.rows import Example
from opeddev_tui.data.sets import LoadedBatch
from opeddev_tui.data.ungraded import usual_fields
from opeddev_tui.errors import DataProblem, did_you_mean
from opeddev_tui.grading.graded_rows import areas_of_rows, graded_rows
from opeddev_tui.grading.scale import Scale
from opeddev_tui.runs.history import RunRecord, list_runs
from opeddev_tui.serving.asked import Answer, Asked, asked, filling, identity_of
from opeddev_tui.serving.items import Item
from opeddev_tui.workspace.paths import Workspace


class NewAreas(DataProblem):
    """Areas that no row has yet, and that the person was not asked about: each may be a typing error."""

    def __init__(self, notes: Mapping[str, str]) -> None:
        super().__init__(" ".join(notes.values()))
        self.names = tuple(notes)


class _Runs:
    """All runs of a workspace, read once, when they are needed first: a training may begin while a lock is awaited."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace

    @cached_property
    def records(self) -> Sequence[RunRecord]:
        """The runs, oldest first."""
        return list_runs(self._workspace)

    def begun(self) -> frozenset[str]:
        """Return the names of the batches that trainings have begun with."""
        return begun_batches(record.state for record in self.records)


def keep_answer(
    workspace: Workspace,
    settings: Settings,
    fields: Mapping[str, Any],
    answer: Answer,
    *,
    file: str = "",
    base: FileRows | None = None,
) -> Kept:
    """Put the submission in ``fields`` (``Asked.fields``) with a person's answer into the open batch of corrections.

    ``file`` names it, ``base`` as in ``correct_answer``. Raises ``Problem``, also ``NewAreas`` where
    ``answer.new_areas`` says that a person can be asked; then nothing is written.
    """
    row = {
        **fields,
        "grade": answer.grade,
        "feedback": answer.feedback,
        "criteria": answer.criteria,
        "rater": answer.rater or rater_of(settings),
        "graded_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }
    runs = _Runs(workspace)

    def look(loaded: Sequence[LoadedBatch]) -> tuple[Sequence[str], int | None]:
        examples = [example for batch in loaded for example in batch.examples]
        steps = matched(loaded, runs.records).steps
        notes = _unknown_areas(settings, answer.criteria, examples)
        if answer.new_areas is not None and not notes.keys() <= set(answer.new_areas):
            raise NewAreas(notes)
        return list(notes.values()), steps.open_number(loaded[-1].batch.name)

    return correct_answer(workspace.root, settings, row, runs.begun, look, file=file, base=base)


def undo_last(workspace: Workspace, settings: Settings) -> Kept:
    """Undo the newest correction in the open batch; raises ``Problem``."""
    return _undo(workspace, settings, _Runs(workspace))


def undo_of(
    workspace: Workspace, settings: Settings, fields: Mapping[str, Any], given: Mapping[str, str], file: str
) -> Kept:
    """Undo the correction of the submission in ``fields``; parameters and problems as in ``the_one``."""
    runs = _Runs(workspace)
    chosen = collected_answers.the_one(workspace.root, settings, runs.begun, fields, given, file)
    return _undo(workspace, settings, runs, chosen.row)


def _undo(workspace: Workspace, settings: Settings, runs: _Runs, row: str = "") -> Kept:
    kept = undo_answer(workspace.root, settings, runs.begun, row)
    if kept.change.after is None:
        return kept
    return replace(kept, step=read_steps(workspace, settings, runs.records).steps.open_number(kept.change.batch))


def collected(workspace: Workspace, settings: Settings) -> tuple[str, tuple[Corrected, ...]]:
    """Return the name of the open batch of corrections, and what stands in it; raises ``Problem``."""
    return collected_answers.collected(workspace.root, settings, _Runs(workspace).begun)


def step_of(workspace: Workspace, settings: Settings, batch: str) -> int | None:
    """Return the number of the step that will train ``batch``, None for none; raises ``Problem``."""
    return read_steps(workspace, settings, list_runs(workspace)).steps.open_number(batch)


def ask_without_model(settings: Settings, item: Item, given: Mapping[str, str], base: FileRows) -> Asked:
    """Return ``item`` as a grader would be asked it, with the fields that it does not have.

    ``base`` are the rows of the base set's files (``training_rows.base_rows``).
    """
    if item.problem:
        return Asked(None, identity_of(item.fields), item.file, item.problem)
    fill = filling(settings, given, usual_fields(base.rows, settings, {}))
    return asked(item.fields, item.file, settings, fill, name=item.name, doubts=item.doubts)


def rater_of(settings: Settings) -> str:
    """Return the name that corrections are kept under: the setting, else the name of the login, else none."""
    if settings.grade.rater:
        return settings.grade.rater
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return ""


def _unknown_areas(settings: Settings, named: Mapping[str, Any], examples: Sequence[Example]) -> dict[str, str]:
    """Return a note for each of ``named`` that none of ``examples`` has as an area; a new area is kept all the same.

    None where the rows have no areas at all: the first areas of a data set are new by nature.
    """
    if not named:
        return {}
    scale = Scale.of(settings.grading)
    read = areas_of_rows(graded_rows(examples, scale), scale, settings.grading).names
    known = dict.fromkeys([*read, *(area for example in examples for area in example.criteria)])
    if not known:
        return {}
    otherwise = f"The areas are: {', '.join(known)}."
    return {
        area: f"{area!r} is a new area: no row has it yet. {did_you_mean(area, known, otherwise)}"
        for area in named
        if area not in known
    }
