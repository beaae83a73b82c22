"""Corrections of a grader's answers: one open batch, no row twice, never a row of the hold-out, nothing lost."""

import json
from pathlib import Path
from typing import Any

import pytest
from correction_files import PATHS, make_files, row
from engine_helpers import write_rows

from opeddev_tui.config.settings import Data, Grading, Paths, Settings
from opeddev_tui.data import collected_answers, corrected_answers
from opeddev_tui.data.answer_history import read_history
from opeddev_tui.data.batches import check_data, load_step
from opeddev_tui.data.collected_answers import by_text, collected, same_row, the_one
from opeddev_tui.data.corrected_answers import correct_answer, undo_answer
from opeddev_tui.data.proposed_batch import next_name
from opeddev_tui.data.sets import find_batches
from opeddev_tui.errors import DataProblem, Problem, Problems, StorageProblem

SETTINGS = Settings(paths=PATHS)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make_files(tmp_path)


def correct(root: Path, fields: dict[str, object], *begun: str, settings: Settings = SETTINGS) -> Any:
    return correct_answer(root, settings, fields, lambda: begun)


def rows_in(root: Path) -> list[tuple[object, str]]:
    """Return the id and the grade of each row in the open batch."""
    return [(item.fields["id"], item.grade) for item in collected(root, SETTINGS, tuple)[1]]


def first(root: Path) -> Path:
    return root / "more/batch_corrections_01.jsonl"


def test_a_correction_is_a_row_of_the_next_batch_with_its_rater(root: Path) -> None:
    kept = correct(root, row("new", "4", rater="Ada", criteria={"layout": "fail"}))
    assert (kept.path, kept.rows) == (first(root), 1)
    data = load_step(root, SETTINGS, None)
    added = data.examples[-1]
    assert (added.grade, added.rater, added.criteria, added.completion) == (
        *(4, "Ada", {"layout": False}),
        "Grade: 4\nFeedback: So it is.",
    )
    assert data.batches[-1].batch.name == "batch_corrections_01"


def test_the_last_correction_of_a_submission_stands_and_the_history_has_both(root: Path) -> None:
    correct(root, row("new", 4))
    correct(root, row("other", 1))
    kept = correct(root, row("new", 2))
    assert kept.words.startswith("new: grade 4 → 2, in batch_corrections_01 (2 rows): ")
    assert rows_in(root) == [("new", "2"), ("other", "1")]
    assert [change.grade for change in read_history(root)] == ["4", "1", "2"]


def test_undo_goes_back_one_correction_at_a_time_until_the_batch_is_gone(root: Path) -> None:
    key = correct(root, row("new", 4)).change.row
    correct(root, row("new", 2))
    again = undo_answer(root, SETTINGS, tuple, key)
    assert again.words.startswith("new: grade 2 → 4, the correction before it, in batch_corrections_01 (1 row): ")
    assert rows_in(root) == [("new", "4")]
    gone = undo_answer(root, SETTINGS, tuple)
    assert gone.words == "new: grade 4 is undone; batch_corrections_01 is gone with it."
    assert not first(root).exists()
    assert check_data(root, SETTINGS).problems == []
    with pytest.raises(DataProblem, match="no correction to undo"):
        undo_answer(root, SETTINGS, tuple)
    assert [change.undone for change in read_history(root)] == [False, False, True, True]


def test_a_batch_that_a_training_began_with_is_closed(root: Path) -> None:
    correct(root, row("new", 4))
    trained = first(root).read_bytes()
    kept = correct(root, row("other", 1), "base", "batch_corrections_01")
    assert kept.path.name == "batch_corrections_02.jsonl"
    assert first(root).read_bytes() == trained
    with pytest.raises(DataProblem, match="no correction of it"):
        undo_answer(root, SETTINGS, lambda: ["batch_corrections_01"], read_history(root)[0].row)


def test_a_number_is_not_used_again_where_the_trained_batch_is_gone(root: Path) -> None:
    assert correct(root, row("new", 4), "batch_corrections_03").path.name == "batch_corrections_04.jsonl"


@pytest.mark.parametrize("near", [False, True])
def test_a_row_of_the_holdout_or_one_like_it_is_refused(root: Path, near: bool) -> None:
    text = " ".join(f"word{number}" for number in range(60))
    write_rows(root / "held.jsonl", [row("seven", 2, submission=text), row("eight", 4)])
    with pytest.raises(DataProblem, match=r"the hold-out row .*held.jsonl:1.*measures nothing.*regrade"):
        correct(root, row("new", 4, submission=f"{text} more" if near else f" {text}\n", task="Another task."))
    assert not first(root).exists()
    assert read_history(root) == []


def test_a_row_like_one_of_the_sealed_test_set_is_refused_without_naming_it(root: Path) -> None:
    write_rows(root / "sealed.jsonl", [row("secret", 2)])
    paths = Paths(base="base.jsonl", increments="more", holdout="held.jsonl", test="sealed.jsonl")
    with pytest.raises(DataProblem, match="sealed test set") as refused:
        correct(root, row("new", 4, submission=row("secret", 2)["submission"]), settings=Settings(paths=paths))
    assert "secret" not in str(refused.value)
    assert "sealed.jsonl" not in str(refused.value)


@pytest.mark.parametrize("name", ["two", "five"])
def test_a_training_row_is_corrected_where_it_is(root: Path, name: str) -> None:
    with pytest.raises(DataProblem, match=r"training row .* already.*regrade"):
        correct(root, row(name, 1))


@pytest.mark.parametrize("grade", ["", "6", "good", None, 2.5])
def test_a_grade_off_the_scale_is_refused(root: Path, grade: object) -> None:
    with pytest.raises(DataProblem, match="not a grade here"):
        correct(root, row("new", grade))
    assert not first(root).exists()


def test_criteria_are_checked_before_anything_is_written(root: Path) -> None:
    with pytest.raises(Problem, match="Write pass or fail"):
        correct(root, row("new", 3, criteria={"layout": "maybe"}))
    assert not first(root).exists()


def test_scales_of_words_and_mapped_columns_are_kept(root: Path) -> None:
    settings = Settings(
        paths=SETTINGS.paths, grading=Grading(grades=("poor", "good")), data=Data(columns={"submission": "code"})
    )
    for path in (root / "base.jsonl", root / "held.jsonl"):
        rows = [json.loads(line) for line in path.read_text().splitlines()]
        write_rows(
            path,
            [
                {**{k: v for k, v in r.items() if k != "submission"}, "code": r["submission"], "grade": "good"}
                for r in rows
            ],
        )
    (root / "more/batch_3_01.jsonl").unlink()
    correct(root, row("new", "poor"), settings=settings)
    added = load_step(root, settings, None).examples[-1]
    assert (added.completion, added.submission) == ("Grade: poor\nFeedback: So it is.", row("new", 1)["submission"])


def test_a_base_set_of_messages_gets_a_row_of_messages_with_the_same_prompt(root: Path) -> None:
    messages(root)
    correct(root, row("new", 2, rater="Ada"))
    added = load_step(root, SETTINGS, None).examples[-1]
    assert (added.grade, added.rater) == (2, "Ada")
    assert "new of its own words" in added.prompt[-1].content


def test_what_a_person_wrote_into_the_batch_stays_and_a_broken_line_is_said(root: Path) -> None:
    correct(root, row("new", 4))
    write_rows(first(root), [row("new", 4), row("by hand", 1)])
    assert correct(root, row("other", 2)).rows == 3
    assert rows_in(root) == [("new", "4"), ("by hand", "1"), ("other", "2")]
    first(root).write_text("{broken\n")
    with pytest.raises(Problems, match=r"batch_corrections_01.jsonl:1"):
        correct(root, row("third", 2))
    assert first(root).read_text() == "{broken\n"


def test_a_correction_is_kept_though_the_history_was_cut(root: Path) -> None:
    correct(root, row("new", 4))
    history = root / ".specs/graded_by_people.jsonl"
    history.write_bytes(history.read_bytes()[:-20])
    assert correct(root, row("other", 2)).rows == 2
    assert [change.grade for change in read_history(root)] == ["2"]


def test_batches_that_are_added_later_come_before_and_get_their_own_names(root: Path) -> None:
    correct(root, row("new", 4))
    assert next_name(root, SETTINGS, 3) == "batch_3_02"
    write_rows(root / "more/zoo_1.jsonl", [row("zebra", 4)])
    names = [batch.name for batch in find_batches(root, SETTINGS.paths)]
    assert names == ["base", "batch_3_01", "zoo_1", "batch_corrections_01"]


def test_the_newest_correction_that_is_undone_is_one_that_is_still_there(root: Path) -> None:
    correct(root, row("new", 4))
    correct(root, row("other", 1))
    write_rows(first(root), [row("new", 4)])
    assert undo_answer(root, SETTINGS, tuple).change.was == "4"
    assert not first(root).exists()


@pytest.mark.parametrize("lost", [False, True])
@pytest.mark.parametrize("place", [0, 1, 2])
def test_the_correction_of_a_submission_is_undone_wherever_it_lies(root: Path, place: int, lost: bool) -> None:
    names = ["a", "b", "c"]
    for grade, name in enumerate(names, 1):
        correct(root, row(name, grade))
    if lost:
        (root / ".specs/graded_by_people.jsonl").unlink()
    meant = the_one(root, SETTINGS, tuple, row(names[place], None), {}, "page.html")
    assert undo_answer(root, SETTINGS, tuple, meant.row).change.was == str(place + 1)
    assert rows_in(root) == [(name, str(grade)) for grade, name in enumerate(names, 1) if name != names[place]]


def test_corrections_of_one_submission_are_told_apart_by_what_differs(root: Path) -> None:
    text = row("new", 1)["submission"]
    for task, grade in (("Make a page.", 4), ("Centre it.", 2)):
        correct(root, row("", grade, task=task, submission=text))
    fields = row("", None, submission=text)
    two = r"page.html: it has 2 corrections: grade 4 \(task: Make a page.\); grade 2 \(task: Centre it.\).*--task TEXT"
    with pytest.raises(DataProblem, match=two):
        the_one(root, SETTINGS, tuple, fields, {}, "page.html")
    assert the_one(root, SETTINGS, tuple, fields, {"task": " Centre it.\n"}, "page.html").grade == "2"
    with pytest.raises(DataProblem, match=r"no correction of it has this task: grade 4 .*grade 2"):
        the_one(root, SETTINGS, tuple, {**fields, "task": "Another."}, {"task": "Another."}, "page.html")


def test_a_correction_that_was_trained_is_said_with_its_cure(root: Path) -> None:
    key = correct(root, row("new", 4)).change.row
    correct(root, row("other", 1), "batch_corrections_01")
    cure = f"regrade {key[:10]} GRADE"
    with pytest.raises(DataProblem, match=f"correction to grade 4 stays in batch_corrections_01: a training .*{cure}"):
        the_one(root, SETTINGS, lambda: ["batch_corrections_01"], row("new", None), {}, "page.html")
    with pytest.raises(DataProblem, match=r"page\.html: there is no correction of it in batch_corrections_02"):
        the_one(root, SETTINGS, lambda: ["batch_corrections_01"], row("third", None), {}, "page.html")


def messages(root: Path) -> None:
    """Give the workspace a base set of messages."""
    turns = [{"role": "user", "content": "Grade it."}, {"role": "assistant", "content": "Grade: 3\nFeedback: Yes."}]
    write_rows(root / "base.jsonl", [{"messages": turns}])
    write_rows(root / "held.jsonl", [{"messages": [{"role": "user", "content": "Grade this."}, turns[1]]}])
    (root / "more/batch_3_01.jsonl").unlink()


@pytest.mark.parametrize("chats", [False, True])
def test_what_stands_is_known_of_each_submission(root: Path, chats: bool) -> None:
    if chats:
        messages(root)
    correct(root, row("new", 4))
    correct(root, row("new", 2))
    correct(root, row("other", 1))
    items = by_text(collected(root, SETTINGS, tuple)[1])
    asked = {name: row(name, None) for name in ("new", "other", "third")}
    found = {name: same_row(items, fields, SETTINGS) for name, fields in asked.items()}
    assert {name: item and item.grade for name, item in found.items()} == {"new": "2", "other": "1", "third": None}
    assert same_row(items, {**asked["new"], "task": "Another."}, SETTINGS) is None
    undo_answer(root, SETTINGS, tuple, the_one(root, SETTINGS, tuple, asked["new"], {}, "new").row)
    again = same_row(by_text(collected(root, SETTINGS, tuple)[1]), asked["new"], SETTINGS)
    assert again is not None
    assert again.grade == "4"


@pytest.mark.parametrize("rows", [0, 1])
def test_a_correction_that_the_history_does_not_take_is_not_kept(
    root: Path, monkeypatch: pytest.MonkeyPatch, rows: int
) -> None:
    for number in range(rows):
        correct(root, row(f"before {number}", 3))
    batch = first(root).read_bytes() if rows else None

    def full(*_: object) -> None:
        raise StorageProblem("cannot be written: no space left on device.")

    monkeypatch.setattr(corrected_answers, "add_to_history", full)
    with pytest.raises(StorageProblem, match="no space left"):
        correct(root, row("new", 4))
    assert (first(root).read_bytes() if first(root).exists() else None) == batch


def test_no_row_is_made_of_a_submission_that_nobody_corrected(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A list of thousands is looked through while it is drawn."""
    correct(root, row("new", 4))
    items = by_text(collected(root, SETTINGS, tuple)[1])
    made: list[str] = []
    monkeypatch.setattr(collected_answers, "_key", lambda fields, *_: made.append(fields["id"]) or "")
    for name in ("new", "third", "fourth"):
        same_row(items, row(name, None), SETTINGS)
    assert made == ["new"]
