"""The grades screen: measures beside baselines, the confusion matrix, flips that can be read."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from evidence import finished, make, showing
from msgspec.structs import replace
from scenes import opening, until
from test_app import text_of

from opeddev_tui.data.batches import load_holdout
from opeddev_tui.runs import events as ev
from opeddev_tui.runs.grade_records import Figure
from opeddev_tui.ui.screens.generations.grade_tables import flips, matrix, measures, measures_text
from opeddev_tui.ui.screens.generations.grades import RowScreen

SMALL = (80, 24)


def measured(epoch: int, predicted: tuple[int | None, ...], *, ids: tuple[str, ...] = ()) -> ev.GradesMeasured:
    return ev.GradesMeasured(
        epoch=epoch, predicted=predicted, reference=(1, 2, 3, 4), parsed=1.0, exact=0.5, within_one=0.75,
        mean_absolute_error=0.5, kappa=0.4, kappa_interval=(0.1, 0.7), majority_exact=0.25, middle_within_one=0.75,
        classifier_exact=0.31, ids=ids,
    )  # fmt: skip


def test_every_row_is_fixed_broken_still_right_or_still_wrong() -> None:
    found = flips(measured(0, (1, 3, 3, None)), measured(1, (2, 2, 3, 5), ids=("a", "b", "c", "d")))
    assert [(flip.id, flip.group) for flip in found] == [
        ("a", "broken"),
        ("b", "fixed"),
        ("c", "still right"),
        ("d", "still wrong"),
    ]
    assert [flip.id for flip in flips(measured(0, (1,) * 4), measured(1, (1,) * 4))][:2] == ["row 1", "row 2"]


def test_the_matrix_counts_every_row_once_and_marks_the_diagonal() -> None:
    lines = matrix(measured(1, (1, 1, 3, None)), range(1, 6)).plain.splitlines()
    assert lines[0].split() == ["ref", "1", "2", "3", "4", "5", "?"]
    assert lines[1].split() == ["1", "[1]", "·", "·", "·", "·", "·"]
    assert lines[2].split() == ["2", "1", "[0]", "·", "·", "·", "·"]
    assert lines[4].split() == ["4", "·", "·", "·", "[0]", "·", "1"]


def test_every_measure_stands_beside_its_baseline() -> None:
    rows = {row.name: row for row in measures(measured(0, (1, 2, 3, 4)), measured(1, (1, 2, 3, 4)), 3)}
    assert rows["exact"].baseline == "classifier 31%"
    assert rows["within one"].baseline == "middle 75%"
    assert rows["mean error"].baseline == "middle 1.00"
    assert rows["kappa (QWK)"].baseline == "commonest 0.00"
    text = measures_text(None, measured(1, (1, 2, 3, 4)), 3, 44).plain
    assert "kappa from 0.10 to 0.70" in text
    assert "a text classifier: exact 31%" in text
    assert "n-gram" not in text


def test_the_n_gram_grader_is_to_beat_where_it_is_the_best_cheap_way() -> None:
    n_grams = {"exact": Figure(0.2), "within_one": Figure(0.8), "kappa": Figure(0.3), "mae": Figure(0.9)}
    now = replace(measured(1, (1, 2, 3, 4)), classifier_exact=None, n_grams=n_grams)
    rows = {row.name: row.baseline for row in measures(None, now, 3)}
    assert rows["exact"] == "commonest 25%"
    assert rows["within one"] == "n-grams 80%"
    assert rows["mean error"] == "n-grams 0.90"
    assert rows["kappa (QWK)"] == "n-grams 0.30"
    assert "the n-gram grader: exact 20%" in measures_text(None, now, 3, 44).plain


@pytest.mark.parametrize("size", [SMALL, (120, 40)])
async def test_the_screen_shows_figures_and_groups(tmp_path: Path, size: tuple[int, int]) -> None:
    app = make(tmp_path, finished)
    async with showing(app, size, ("2", "m")) as pilot:
        shown = text_of(app)
        for part in (
            "Grades by its texts after epoch 3",
            "n-grams 41%",
            "Confusion",
            "[fixed 10]",
            "broken 11",
            "still wrong 19",
        ):
            assert part in shown, part
        await pilot.press("f", "[")
        await pilot.pause()
        shown = text_of(app)
        assert "Grades by its texts after epoch 2" in shown
        assert "[broken" in shown
        await pilot.press("escape")
        await pilot.pause()
        assert "Prompt 1 of 5" in text_of(app)


def _begun(at: float) -> list[ev.AnyEvent]:
    """Return the beginning of a step: only the state before it was graded."""
    return [*opening(1, at)]


async def test_before_the_first_epoch_nothing_is_called_earlier(tmp_path: Path) -> None:
    app = make(tmp_path, _begun)
    async with showing(app, (120, 40), ("2", "m")) as pilot:
        shown = text_of(app)
        assert "nothing earlier" in shown
        assert re.search(r"row +reference +now\b", shown)
        assert "[right 50]" in shown
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, RowScreen))
        shown = text_of(app)
        assert "row 1 · right" in shown
        assert "Reference 3 · now 3" in shown


async def test_a_row_is_read_where_the_hold_out_is_the_same(tmp_path: Path) -> None:
    folder = tmp_path / "datasets/holdout_webdev_coding"
    folder.mkdir(parents=True)
    rows = [
        {"id": f"holdout-{number:03}", "kind": "html", "task": "t", "submission": f"<b>{number}</b>", "rubric": "r",
         "grade": 1 + number % 5, "feedback": f"feedback {number}"}
        for number in range(50)
    ]  # fmt: skip
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    app = make(tmp_path, finished)
    async with showing(app, SMALL, ("2", "m")) as pilot:
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, RowScreen) and "changed since this run" in text_of(app))
        await pilot.press("escape")
        started = app.session.state.started
        assert started is not None
        fingerprint = load_holdout(tmp_path, app.loaded.settings).fingerprint
        app.session.state.started = _with_holdout(started, fingerprint)
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, RowScreen) and "<b>17</b>" in text_of(app))
        shown = text_of(app)
        assert "holdout-017 · fixed" in shown
        assert "Reference 3 · before 4 · now 3" in shown
        assert "<b>17</b>" in shown
        await pilot.press("escape")


def _with_holdout(started: ev.RunStarted, fingerprint: str) -> ev.RunStarted:
    fields = {name: getattr(started, name) for name in started.__struct_fields__}
    return ev.RunStarted(**fields | {"holdout_fingerprint": fingerprint})


async def test_without_grades_it_says_why(tmp_path: Path) -> None:
    app = make(tmp_path, lambda at: [next(iter(opening(1, at)))])
    async with showing(app, SMALL, ("2", "m")):
        assert "No grades yet" in text_of(app)
