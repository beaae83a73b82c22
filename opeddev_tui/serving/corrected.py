"""A person's answer to what a grader was asked becomes a row of the open batch of corrections. Loads no model."""

import getpass
import time
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from opeddev_tui.analysis.trained_steps import begun_batches
from opeddev_tui.config.settings import Settings
from opeddev_tui.data.corrected_answers import Kept, correct_answer, open_rows, undo_answer
from opeddev_tui.data.rows import Example
from opeddev_tui.errors import did_you_mean
from opeddev_tui.grading.graded_rows import areas_of_rows, graded_rows
from opeddev_tui.grading.scale import Scale
from opeddev_tui.runs.history import list_runs
from opeddev_tui.serving.asked import Answer, Asked, asked, filling, identity_of
from opeddev_tui.serving.items import Item
from opeddev_tui.serving.training_rows import usual_of
from opeddev_tui.workspace.paths import Workspace


def keep_answer(workspace: Workspace, settings: Settings, fields: Mapping[str, Any], answer: Answer) -> Kept:
    """Put the submission in ``fields`` (``Asked.fields``) with a person's answer into the open batch of corrections.

    Raises ``Problem``; then nothing is written.
    """
    row = {
        **fields,
        "grade": answer.grade,
        "feedback": answer.feedback,
        "criteria": answer.criteria,
        "rater": answer.rater or rater_of(settings),
        "graded_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }
    look = partial(_unknown_areas, settings, answer.criteria)
    return correct_answer(workspace.root, settings, row, lambda: _begun(workspace), look)


def undo_last(workspace: Workspace, settings: Settings, row: str = "") -> Kept:
    """Undo the newest correction, or the newest of ``row`` (``Change.row``); raises ``Problem``."""
    return undo_answer(workspace.root, settings, lambda: _begun(workspace), row)


def collected(workspace: Workspace, settings: Settings) -> tuple[str, list[dict[str, Any]]]:
    """Return the name of the open batch of corrections, and its rows; raises ``Problem``."""
    return open_rows(workspace.root, settings, lambda: _begun(workspace))


def ask_without_model(workspace: Workspace, settings: Settings, item: Item, given: Mapping[str, str]) -> Asked:
    """Return ``item`` as a grader would be asked it, with the fields that it does not have."""
    if item.problem:
        return Asked(None, identity_of(item.fields), item.file, item.problem)
    fill = filling(settings, given, usual_of(workspace, settings))
    return asked(item.fields, item.file, settings, fill, name=item.name, doubts=item.doubts)


def rater_of(settings: Settings) -> str:
    """Return the name that corrections are kept under: the setting, else the name of the login, else none."""
    if settings.grade.rater:
        return settings.grade.rater
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return ""


def _unknown_areas(settings: Settings, named: Mapping[str, Any], examples: Sequence[Example]) -> list[str]:
    """Return a note for each of ``named`` that none of ``examples`` has as an area; a new area is kept all the same.

    None where the rows have no areas at all: the first areas of a data set are new by nature.
    """
    if not named:
        return []
    scale = Scale.of(settings.grading)
    read = areas_of_rows(graded_rows(examples, scale), scale, settings.grading).names
    known = dict.fromkeys([*read, *(area for example in examples for area in example.criteria)])
    if not known:
        return []
    otherwise = f"The areas are: {', '.join(known)}."
    return [
        f"{area!r} is a new area: no row has it yet. {did_you_mean(area, known, otherwise)}"
        for area in named
        if area not in known
    ]


def _begun(workspace: Workspace) -> frozenset[str]:
    return begun_batches(record.state for record in list_runs(workspace))
