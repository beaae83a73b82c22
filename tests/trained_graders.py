"""Makes workspaces with trained graders: rows whose submissions show their areas, one step of one epoch.

Reads their heads again, too, as who has nothing but the checkpoint reads them.
"""

import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from engine_helpers import (
    base_file,
    holdout_file,
    make_rows,
    make_workspace,
    place_of,
    settings_of,
    states,
    train,
    write_rows,
)

from opeddev_tui.data.rows import Example
from opeddev_tui.grading import store
from opeddev_tui.grading.reader import FeatureReader
from opeddev_tui.runs.grade_records import WayGrades

AREAS = {"Layout": "button", "Naming": "menu", "Colours": "table"}
GRADED: dict[str, object] = {
    "grading.evaluate": True,
    # room for every completion: a prompt that is cut for a longer one is another prompt without it
    "data.max_length": 256,
    "training.num_train_epochs": 1,
    "generation.num_probes": 0,
    "generation.max_new_tokens": 24,
    "grading.prompt_template": "{task} {rubric} {submission}",
}


def rows_with_areas(count: int, name: str) -> list[dict[str, Any]]:
    """Return rows whose submission shows which areas failed; the feedback names each before a sentence."""
    draw = random.Random(name)
    rows: list[dict[str, Any]] = []
    for row in make_rows(count, name):
        failed = [area for area in AREAS if draw.random() < 0.4]
        words = " ".join([*(AREAS[area] for area in failed for _ in range(3)), "page"])
        feedback = " ".join(f"{area}: the {AREAS[area]} is bad." for area in failed) or "No problems found."
        rows.append(
            {
                **row,
                "submission": f"<b>{row['id']} {words}</b>",
                "feedback": feedback,
                "rubric": ". ".join(AREAS),
                "grade": 5 - len(failed),
            }
        )
    return rows


def make_grader(root: Path, model: Path, **settings: object) -> Path:
    """Train a step on graded rows with areas at ``root``."""
    make_workspace(root, model, settings={**GRADED, **settings})
    write_rows(base_file(root), rows_with_areas(40, "base"))
    write_rows(holdout_file(root), rows_with_areas(12, "holdout"))
    train(root)
    return root


def read_again(root: Path, epoch: int, examples: Sequence[Example]) -> Iterator[tuple[WayGrades, tuple[str, ...]]]:
    """Yield (what the last run recorded of ``epoch``, grades now) of both heads on disk for graded hold-out rows.

    The models are loaded anew and every row is read again; raises ``AssertionError`` where probabilities differ.
    """
    settings, state = settings_of(root), states(root)[-1]
    assert state.finished is not None
    folder = place_of(root, state.finished.last_checkpoint)
    for model, source in ((store.BASE, settings.model.name), (store.STEP, str(folder))):
        reader = FeatureReader(source, settings, root / ".specs/elsewhere")
        origin = store.origin_of(folder, model)
        head = store.load_head(folder, base=origin.base, prompt=origin.prompt, model=model).head
        found = head.grades(reader.features(examples).features, [example.kind for example in examples])
        recorded = state.readings[epoch].by(f"{model} head")
        assert recorded is not None
        np.testing.assert_allclose(found.probabilities, recorded.probabilities, atol=2e-4)
        yield recorded, tuple(head.scale.labels[place] for place in found.median)
