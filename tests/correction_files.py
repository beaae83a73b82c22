"""What tests of corrected grades share: a small workspace of graded rows, as files."""

from pathlib import Path

from engine_helpers import write_rows

from opeddev_tui.config.settings import Paths

PATHS = Paths(base="base.jsonl", increments="more", holdout="held.jsonl")


def row(name: str, grade: object, **more: object) -> dict[str, object]:
    """Return a graded row whose words are like those of no other name."""
    fields = {"id": name, "kind": "html", "task": "Make a page.", "submission": f"<p>{name} of its own words</p>"}
    return {**fields, "rubric": "It works.", "grade": grade, "feedback": "So it is.", **more}


def make_files(root: Path) -> Path:
    """Write a base set, a batch and a hold-out into ``root``, and return it."""
    write_rows(root / "base.jsonl", [row("one", 2), row("two", 3), row("three", 4)])
    write_rows(root / "more/batch_3_01.jsonl", [row("four", 1), row("five", 5), row("six", 3)])
    write_rows(root / "held.jsonl", [row("seven", 2), row("eight", 4)])
    return root
