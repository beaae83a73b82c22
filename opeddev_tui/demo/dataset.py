"""Build the demo's data set from a seed: its rows, their split into base, batches and hold-out, and its files.

The hold-out has tasks of its own, so none of its rows is a near copy of a training row.
"""

import hashlib
import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from opeddev_tui.config.settings import Paths
from opeddev_tui.demo.defects import RUBRICS, feedback_of, grade_of
from opeddev_tui.demo.template import Template, read_templates
from opeddev_tui.files import write_atomic

ROWS_PER_BATCH = 100
BATCHES = 3
HOLDOUT_ROWS = 50

# repeated from row to row; its length, 20, is coprime to the three kinds, so every kind gets every grade
_GRADES = (3, 4, 2, 5, 1, 3, 4, 2, 5, 3, 4, 2, 5, 1, 3, 4, 2, 5, 1, 3)
_KINDS = ("html", "css", "js")
# how often an area gets two defects, so that the number of defects alone does not tell the grade
_SECOND_DEFECT = 0.25


@dataclass(frozen=True)
class DemoRow:
    """One graded submission with the defects that were planted in it."""

    template: Template
    planted: tuple[str, ...]
    task: str
    submission: str

    def row(self) -> dict[str, str | int]:
        """Return the fields of the row as they are written to a data file."""
        kind = self.template.kind
        # made from the content: a row keeps its id in another batch or another order
        digest = hashlib.sha256(f"{self.task}\n{self.submission}".encode()).hexdigest()
        return {
            "id": f"demo-{digest[:10]}",
            "kind": kind,
            "task": self.task,
            "submission": self.submission,
            "rubric": RUBRICS[kind],
            "grade": grade_of(kind, self.planted),
            "feedback": feedback_of(kind, self.planted),
        }


@dataclass(frozen=True)
class DemoSet:
    """The rows of the training batches, base first, and of the hold-out."""

    training: tuple[tuple[DemoRow, ...], ...]
    holdout: tuple[DemoRow, ...]


def build_demo_set(seed: int = 42) -> DemoSet:
    """Return 300 training rows in three batches of 100, and 50 hold-out rows."""
    draw = random.Random(seed)
    training = _compose(read_templates("training"), BATCHES * ROWS_PER_BATCH, draw)
    batches = [training[start : start + ROWS_PER_BATCH] for start in range(0, len(training), ROWS_PER_BATCH)]
    holdout = _compose(read_templates("holdout"), HOLDOUT_ROWS, draw)
    shuffled = [tuple(draw.sample(rows, len(rows))) for rows in (*batches, holdout)]
    return DemoSet(training=tuple(shuffled[:-1]), holdout=shuffled[-1])


def write_dataset(workspace: Path, paths: Paths, seed: int = 42) -> None:
    """Write the demo's data set where ``paths`` says, relative to ``workspace``; raises ``StorageProblem``."""
    demo = build_demo_set(seed)
    base, *increments = demo.training
    _write(workspace / Path(paths.base).expanduser() / "train.jsonl", base)
    folder = workspace / Path(paths.increments).expanduser()
    for number, batch in enumerate(increments, start=1):
        _write(folder / f"batch_{len(batch)}_{number:02}" / "train.jsonl", batch)
    _write(workspace / Path(paths.holdout).expanduser() / "validation.jsonl", demo.holdout)


def _write(path: Path, rows: Sequence[DemoRow]) -> None:
    write_atomic(path, "".join(json.dumps(one.row(), ensure_ascii=False) + "\n" for one in rows).encode())


def _compose(templates: Mapping[str, Sequence[Template]], count: int, draw: random.Random) -> list[DemoRow]:
    """Return ``count`` different rows; kinds, tasks and grades take turns."""
    rows: list[DemoRow] = []
    seen: set[str] = set()
    while len(rows) < count:
        turn = len(rows)
        choice = templates[_KINDS[turn % len(_KINDS)]]
        template = choice[turn // len(_KINDS) % len(choice)]
        planted = _choose_defects(template, _GRADES[turn % len(_GRADES)], draw)
        task, submission = template.render(draw, planted)
        # every template has hundreds of renderings: one that was drawn before is drawn again
        if submission not in seen:
            seen.add(submission)
            rows.append(DemoRow(template, planted, task, submission))
    return rows


def _choose_defects(template: Template, grade: int, draw: random.Random) -> tuple[str, ...]:
    """Return defects in 5 - ``grade`` rubric areas, now and then two in one area."""
    codes = template.codes()
    planted: list[str] = []
    for area in draw.sample(list(codes), 5 - grade):
        count = 2 if draw.random() < _SECOND_DEFECT else 1
        planted += draw.sample(codes[area], min(count, len(codes[area])))
    return tuple(planted)
