"""Grade the hold-out with an exported folder, in a fresh process that runs its ``grade.py`` alone, and with the app.

Both read in float32. Rows go to the other process through a pipe: nothing of them is written to disk.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from msgspec import Struct
from msgspec.structs import replace
from numpy.typing import NDArray

from opeddev_tui.checkpoints.catalog import Entry
from opeddev_tui.config import settings as st
from opeddev_tui.data.batches import load_holdout
from opeddev_tui.data.rows import Example
from opeddev_tui.errors import DataProblem, ModelProblem, Problems
from opeddev_tui.exporting.folder import Exported
from opeddev_tui.exporting.grader import SCRIPT
from opeddev_tui.grading.scale import Scale
from opeddev_tui.serving.answers import plain_grade
from opeddev_tui.serving.choice import Choice, choose
from opeddev_tui.serving.loaded import LoadedModels
from opeddev_tui.serving.training_rows import stem_of
from opeddev_tui.workspace.paths import Workspace


class Verified(Struct, frozen=True):
    """What the comparison found on ``rows`` hold-out rows.

    ``different`` names the rows with another grade; ``largest`` is the largest difference of a probability, None for a
    way without any. ``recorded`` says of how many rows the training itself recorded the same grade as the export, None
    where it recorded none.
    """

    rows: int
    different: tuple[str, ...]
    largest: float | None
    recorded: int | None

    @property
    def equal(self) -> int:
        """How many rows have the same grade."""
        return self.rows - len(self.different)


class _Graded(Struct, frozen=True):
    """Grades as labels ("" for none) and probabilities [n, grades], None for a way without."""

    labels: list[str]
    probabilities: NDArray[np.float64] | None


def verify(workspace: Workspace, entry: Entry, settings: st.Settings, exported: Exported) -> Verified:
    """Compare the grades of the hold-out by ``exported`` with those by ``entry`` in this process.

    Raises ``DataProblem`` where the hold-out has no grades, ``Problems`` where it is wrong, and ``ModelProblem`` where
    the exported folder cannot grade.
    """
    choice = choose(workspace, settings, str(entry.folder))
    if exported.way is None:
        raise _nothing_graded()
    way = exported.way
    # arithmetic of 16 bits differs from machine to machine
    settings = replace(choice.settings, model=replace(choice.settings.model, precision="fp32"))
    head = entry.folder if way.reads in ("head", "pieces") else None
    choice = replace(choice, way=way.name, settings=settings, head_folder=head)
    holdout = load_holdout(workspace.root, settings)
    if holdout.problems:
        raise Problems(holdout.problems)
    examples = [example for example in holdout.examples if example.grade is not None]
    if not examples:
        raise _nothing_graded()
    theirs = _by_export(exported, settings, examples, Scale.of(settings.grading))
    mine = _by_app(workspace, choice, examples)
    different = [
        example.id or example.where
        for example, one, other in zip(examples, mine.labels, theirs.labels, strict=True)
        if one != other
    ]
    same_rows = holdout.version == choice.state.scored_on[0]
    return Verified(
        len(examples),
        tuple(different),
        _largest(mine, theirs),
        _recorded(choice, theirs.labels) if same_rows else None,
    )


def _largest(one: _Graded, other: _Graded) -> float | None:
    if one.probabilities is None or other.probabilities is None:
        return None
    return float(np.abs(one.probabilities - other.probabilities).max())


def _recorded(choice: Choice, labels: Sequence[str]) -> int | None:
    """Return how many of ``labels`` are what the training recorded after the checkpoint's epoch; None for nothing."""
    read = choice.state.readings.get(choice.epoch)
    found = read.by(choice.way) if read is not None else None
    if found is None or len(found.grades) != len(labels):
        return None
    return sum(one == other for one, other in zip(found.grades, labels, strict=True))


def _nothing_graded() -> DataProblem:
    return DataProblem("no row of the hold-out has a grade, so there is nothing to compare.", where="export --verify")


# --- the exported folder


def _by_export(exported: Exported, settings: st.Settings, examples: Sequence[Example], scale: Scale) -> _Graded:
    rows = "".join(json.dumps(_row(example, settings)) + "\n" for example in examples)
    base = [f"--base={exported.base.source}"] if exported.base is not None and not exported.base.hub else []
    answers = [
        json.loads(line) for line in _fresh(exported.folder / SCRIPT, ["-", *base], rows) if line.startswith("{")
    ]
    if len(answers) != len(examples):
        raise ModelProblem("the exported folder graded other rows than it was given.", where=str(exported.folder))
    found = [
        [answer["probabilities"][label] for label in scale.labels] for answer in answers if "probabilities" in answer
    ]
    written = {plain_grade(label): label for label in scale.labels}
    return _Graded([written.get(answer["grade"], "") for answer in answers], np.array(found) if found else None)


def _fresh(script: Path, arguments: Sequence[str], rows: str) -> list[str]:
    """Return the lines that ``script`` prints for ``rows``, run alone in a process of its own."""
    # no path to this package: what runs is plain Transformers and the folder
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")}
    with tempfile.TemporaryDirectory(prefix="opeddev-verify-") as elsewhere:
        done = subprocess.run(
            [sys.executable, "-I", str(script), *arguments],
            input=rows,
            capture_output=True,
            text=True,
            encoding="utf-8",
            cwd=elsewhere,
            env=environment,
            check=False,
        )
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["it printed nothing"])[-1]
        raise ModelProblem(f"the exported folder cannot grade: {last[:300]}.", where=str(script))
    return done.stdout.splitlines()


def _row(example: Example, settings: st.Settings) -> dict[str, Any]:
    """Return ``example`` as a row of the script: with the fields of the prompt's template where they can be told."""
    named = {"id": example.id, "kind": example.kind, "submission": example.submission}
    fields = _fields(example, settings.grading)
    # an empty field would be filled in, and that is another prompt
    if fields is not None and all(fields.values()) and (example.kind or not settings.grade.kind):
        return named | fields
    return named | {"messages": [{"role": turn.role, "content": turn.content} for turn in example.prompt]}


def _fields(example: Example, grading: st.Grading) -> dict[str, str] | None:
    """Return the fields with which ``grading.prompt_template`` gives the prompt of ``example``; None for no such."""
    system = [grading.system_prompt] if grading.system_prompt else []
    if [message.content for message in example.prompt[:-1]] != system or not example.prompt:
        return None
    known = {"submission": example.submission, "kind": example.kind}
    pattern = re.sub(
        r"\\\{(\w+)\\\}",
        lambda match: re.escape(known[match[1]]) if match[1] in known else f"(?P<{match[1]}>.*?)",
        re.escape(grading.prompt_template),
    )
    try:
        found = re.fullmatch(pattern, example.prompt[-1].content, re.DOTALL)
    except re.error:
        return None  # a field that stands twice
    fields = found.groupdict() if found is not None else None
    try:
        same = fields is not None and grading.prompt_template.format(**known, **fields) == example.prompt[-1].content
    except (KeyError, ValueError, IndexError):
        return None
    return fields if same else None


# --- the checkpoint, in this process


def _by_app(workspace: Workspace, choice: Choice, examples: Sequence[Example]) -> _Graded:
    stem = stem_of(workspace, choice) if choice.head_folder is None else None
    models = LoadedModels(workspace, choice, stem)
    found = models.answers(examples, [models.row(example) for example in examples])
    labels = ["" if place < 0 else models.scale.labels[place] for place in found.places.tolist()]
    return _Graded(labels, None if found.grades is None else found.grades.probabilities)
