"""Build the demo's data set: its rows, how they are split into base, batches and hold-out, and its files.

Everything follows from a seed. The hold-out has tasks of its own, so no row of it nears a training row.
"""

import hashlib
import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from opeddev_tui.demo.defects import RUBRICS, feedback_of, grade_of
from opeddev_tui.demo.template import Template, read_templates
from opeddev_tui.settings import Paths
from opeddev_tui.storage import write_atomic

ROWS_PER_BATCH = 100
BATCHES = 3
HOLDOUT_ROWS = 50

# one turn of grades: 20 is coprime to the three kinds, so every kind meets every grade
_GRADES = (3, 4, 2, 5, 1, 3, 4, 2, 5, 3, 4, 2, 5, 1, 3, 4, 2, 5, 1, 3)
_KINDS = ("html", "css", "js")
# how often one area has two defects, so that counting defects is not counting areas
_SECOND_DEFECT = 0.25


@dataclass(frozen=True)
class Example:
    """One graded submission with the defects that were planted in it."""

    template: Template
    planted: tuple[str, ...]
    task: str
    submission: str

    def row(self) -> dict[str, str | int]:
        """Return the example as a row of a data file."""
        kind = self.template.kind
        # from the content, so a row keeps its id wherever it stands
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
class DemoExamples:
    """The examples of the training batches, base first, and of the hold-out."""

    training: tuple[tuple[Example, ...], ...]
    holdout: tuple[Example, ...]


@dataclass(frozen=True)
class DemoRows:
    """The rows of the base set, of the increments after it and of the hold-out."""

    base: list[dict[str, str | int]]
    batches: list[list[dict[str, str | int]]]
    holdout: list[dict[str, str | int]]


def build_examples(seed: int = 42) -> DemoExamples:
    """Return every example of the starter data set."""
    draw = random.Random(seed)
    training = _compose(read_templates("training"), BATCHES * ROWS_PER_BATCH, draw)
    batches = [training[start : start + ROWS_PER_BATCH] for start in range(0, len(training), ROWS_PER_BATCH)]
    holdout = _compose(read_templates("holdout"), HOLDOUT_ROWS, draw)
    return DemoExamples(training=tuple(_shuffled(batch, draw) for batch in batches), holdout=_shuffled(holdout, draw))


def build_rows(seed: int = 42) -> DemoRows:
    """Return 300 training rows in three batches of 100, and 50 hold-out rows."""
    examples = build_examples(seed)
    base, *batches = [[example.row() for example in batch] for batch in examples.training]
    return DemoRows(base=base, batches=batches, holdout=[example.row() for example in examples.holdout])


def write_dataset(workspace: Path, paths: Paths, seed: int = 42) -> None:
    """Write the starter data set where ``paths`` says, below ``workspace``."""
    rows = build_rows(seed)
    _write(workspace / Path(paths.base).expanduser() / "train.jsonl", rows.base)
    increments = workspace / Path(paths.increments).expanduser()
    for number, batch in enumerate(rows.batches, start=1):
        _write(increments / f"batch_{len(batch)}_{number:02}" / "train.jsonl", batch)
    _write(workspace / Path(paths.holdout).expanduser() / "validation.jsonl", rows.holdout)


def _write(path: Path, rows: Sequence[dict[str, str | int]]) -> None:
    write_atomic(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode())


def _shuffled(examples: Sequence[Example], draw: random.Random) -> tuple[Example, ...]:
    return tuple(draw.sample(examples, len(examples)))


def _compose(templates: Mapping[str, Sequence[Template]], count: int, draw: random.Random) -> list[Example]:
    """Return ``count`` different examples, kinds, tasks and grades taking turns."""
    examples: list[Example] = []
    seen: set[str] = set()
    while len(examples) < count:
        turn = len(examples)
        choice = templates[_KINDS[turn % len(_KINDS)]]
        template = choice[turn // len(_KINDS) % len(choice)]
        planted = _choose_defects(template, _GRADES[turn % len(_GRADES)], draw)
        task, submission = template.render(draw, planted)
        # templates have hundreds of renderings, so another draw soon differs
        if submission not in seen:
            seen.add(submission)
            examples.append(Example(template, planted, task, submission))
    return examples


def _choose_defects(template: Template, grade: int, draw: random.Random) -> tuple[str, ...]:
    """Return defects in as many rubric areas as ``grade`` asks, now and then two in one area."""
    codes = template.codes()
    planted: list[str] = []
    for area in draw.sample(list(codes), 5 - grade):
        wanted = 2 if draw.random() < _SECOND_DEFECT else 1
        planted += draw.sample(codes[area], min(wanted, len(codes[area])))
    return tuple(planted)
