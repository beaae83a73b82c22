"""Workspaces whose steps one, two or three ranks train."""

from pathlib import Path

import engine_helpers as eh

SETTINGS = {
    "grading.evaluate": True,
    # hands read changed copies of rows, too
    "grading.steady": True,
    "training.per_device_eval_batch_size": 4,
    "generation.num_probes": 6,
    "training.rank_timeout_minutes": 2.0,
}


def make_ranks(root: Path, model: Path, ranks: int, rows: int = 22, **settings: object) -> Path:
    """Make a workspace whose optimizer steps have about four rows, with ``ranks`` processes."""
    batch = {"training.num_processes": ranks, "training.per_device_train_batch_size": max(1, 4 // ranks)}
    return eh.make_workspace(root, model, rows=rows, holdout=24, settings={**SETTINGS, **batch, **settings})
