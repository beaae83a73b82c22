"""What is told of grades comes from one place: every way that may grade has its meaning, and nobody writes it anew."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import opeddev_tui
from opeddev_tui.exporting.ways import WAYS
from opeddev_tui.runs import grade_records
from opeddev_tui.runs.grade_words import (
    base_needed,
    few_rows,
    graded_by,
    grader_name,
    maybe_chance,
    steadied,
    steadied_heads,
)

SOURCE = Path(opeddev_tui.__file__).parent


@pytest.mark.parametrize("way", WAYS)
def test_every_way_says_what_it_means_for_a_person(way: str) -> None:
    told = graded_by(way)
    assert told.startswith("Graded by ")
    assert "these grades" in told
    assert ("fine-tuning does not change" in told or "neither fine-tuning" in told) == way.startswith("base")


@pytest.mark.parametrize("way", WAYS)
def test_a_title_names_the_checkpoint_only_where_its_own_weights_grade(way: str) -> None:
    name = grader_name(way, "run/checkpoint-1", 1)
    base, fitted = way.startswith("base"), way in ("base head", "n-grams")
    assert ("checkpoint" in name, "base model" in name) == (not base and not fitted, base)
    assert ("step 1" in name) == fitted


def test_what_does_not_grade_says_nothing() -> None:
    assert graded_by("") == graded_by("words counted") == base_needed("") == steadied_heads(0) == ""


def test_one_row_is_one_row() -> None:
    assert steadied(1).endswith("with 1 changed training row")
    assert steadied_heads(2).endswith("with 2 changed training rows (grading.steady).")


@pytest.mark.parametrize(
    ("rows", "few", "chance"),
    [(0, False, False), (1, True, True), (9, True, True), (10, False, True), (30, False, False)],
)
def test_few_hold_out_rows_are_said_in_one_clause(rows: int, few: bool, chance: bool) -> None:
    told = few_rows(rows)
    assert ("too few for a verdict" in told) == few
    assert (maybe_chance(rows) in told) == ((chance and not few) or not chance)
    assert bool(maybe_chance(rows)) == chance
    assert bool(told) == chance
    assert told.startswith("1 hold-out row is ") == (rows == 1)
    assert few_rows(rows, "every verdict") == told.replace(" this may ", " every verdict may ")


def test_nobody_else_writes_these_sentences() -> None:
    """A text that names what grades, what it needs or what steadies it, outside of the one module."""
    told = re.compile(
        r"held steady against|graded by (a (small|head)|the (base|fine-tuned) model)|for texts beside it|"
        r"to grade so|are few:",
        re.IGNORECASE,
    )
    found = {
        str(file.relative_to(SOURCE))
        for ending in ("*.py", "*.jinja")
        for file in SOURCE.rglob(ending)
        for line in file.read_text(encoding="utf-8").splitlines()
        if told.search(line) and not line.lstrip().startswith(('"""', "#", "``"))
    }
    assert found == {"runs/grade_words.py"}


def test_ways_are_known_by_one_name() -> None:
    assert set(WAYS) == {
        grade_records.BASE_HEAD,
        grade_records.STEP_HEAD,
        grade_records.STEP_TOKENS,
        grade_records.STEP_TEXT,
        grade_records.BASE_TOKENS,
        grade_records.N_GRAMS,
    }
