"""Makes workspaces with trained graders: rows whose submissions show their areas, one step of one epoch."""

import random
from pathlib import Path
from typing import Any

from engine_helpers import base_file, holdout_file, make_rows, make_workspace, train, write_rows

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
