"""Corrected grades: laid over the rows they were made for, never over others, and never lost."""

import json
import multiprocessing
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from correction_files import PATHS, make_files, row
from engine_helpers import write_rows
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from opeddev_tui.config.settings import Data, Grading, Paths, Settings
from opeddev_tui.data.batches import check_data, load_holdout, load_step
from opeddev_tui.data.regrading import Doctor
from opeddev_tui.errors import DataProblem, Problem, StorageProblem
from opeddev_tui.workspace.paths import corrections_file

SETTINGS = Settings(paths=PATHS)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make_files(tmp_path)


def grades(root: Path, settings: Settings = SETTINGS) -> dict[str, int | None]:
    data = load_step(root, settings, None)
    return {item.id: item.grade for item in (*data.examples, *data.holdout.examples)}


def notes(root: Path, settings: Settings = SETTINGS) -> str:
    return "\n".join(check_data(root, settings).warnings)


def test_a_corrected_grade_is_trained_on_and_the_files_stay_as_they_are(root: Path) -> None:
    files = {path: path.read_bytes() for path in root.rglob("*.jsonl")}
    plain = load_step(root, SETTINGS, None)
    made = Doctor(root, SETTINGS).regrade("two", "5", rater="Ada", note="the list is closed")
    assert made.row is not None
    assert (made.row.own.grade, made.row.example.grade, made.correction.was, made.correction.now) == (3, 5, "3", "5")
    data = load_step(root, SETTINGS, None)
    two = data.examples[1]
    assert (two.grade, two.completion, two.rater) == (5, "Grade: 5\nFeedback: So it is.", "Ada")
    assert data.fingerprint == plain.fingerprint
    assert data.batches[0].corrections
    assert data.batches[0].version != data.batches[0].fingerprint
    assert not data.batches[1].corrections
    assert "grades corrected by regrade: 1 (base 1)." in notes(root)
    assert data.routine == ["grades corrected by regrade: 1 (base 1)."]
    assert {path: path.read_bytes() for path in files} == files


def test_undoing_gives_back_the_same_data_and_keeps_the_history(root: Path) -> None:
    doctor = Doctor(root, SETTINGS)
    doctor.regrade("two", "5")
    doctor.regrade("two", "1")
    made = doctor.undo("two")
    assert made.before is not None
    assert made.before.now == "1"
    assert grades(root)["two"] == 3
    assert not any(batch.corrections for batch in load_step(root, SETTINGS, None).batches)
    assert len(corrections_file(root).read_text().splitlines()) == 3
    with pytest.raises(DataProblem, match="the row two has no correction"):
        doctor.undo("two")


def test_a_step_without_the_corrected_batch_does_not_know_of_it(root: Path) -> None:
    before = load_step(root, SETTINGS, 0)
    Doctor(root, SETTINGS).regrade("five", "1")
    after = load_step(root, SETTINGS, 0)
    assert [batch.version for batch in after.batches] == [batch.version for batch in before.batches]
    assert after.warnings == before.warnings


def test_a_corrected_hold_out_row_makes_another_version_of_the_hold_out(root: Path) -> None:
    before = load_holdout(root, SETTINGS)
    Doctor(root, SETTINGS).regrade("seven", "5")
    after = load_holdout(root, SETTINGS)
    assert after.fingerprint == before.fingerprint
    assert after.version != before.version
    assert after.version == load_step(root, SETTINGS, None).holdout.version
    assert after.examples[0].grade == 5


CHANGES: dict[str, tuple[Callable[[Path], None], str]] = {
    "another submission": (
        lambda root: write_rows(root / "base.jsonl", [row("two", 3, submission="<i>other words entirely</i>")]),
        "its prompt or its submission has changed",
    ),
    "another task": (
        lambda root: write_rows(root / "base.jsonl", [row("two", 3, task="Make a form.")]),
        "its prompt or its submission has changed",
    ),
    "removed": (lambda root: write_rows(root / "base.jsonl", [row("one", 2), row("three", 4)]), "it is gone from base"),
    "twice": (
        lambda root: write_rows(root / "base.jsonl", [row("two", 3), row("one", 2), row("two", 3)]),
        "there are 2 rows like it and were 1",
    ),
    "graded again in the file": (
        lambda root: write_rows(root / "base.jsonl", [row("two", 4)]),
        "its own grade was 3 and is 4",
    ),
    "another id": (lambda root: write_rows(root / "base.jsonl", [row("two", 3, id="2nd")]), "it is gone from base"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_row_that_changed_after_its_correction_keeps_its_own_grade_and_that_is_said(root: Path, change: str) -> None:
    Doctor(root, SETTINGS).regrade("two", "1")
    do, why = CHANGES[change]
    do(root)
    told = notes(root)
    assert f"base: the corrected grade 1 of row two is not applied: {why}" in told
    assert "grades corrected by regrade: 0; 1 no longer match" in told
    assert not any(batch.corrections for batch in load_step(root, SETTINGS, None).batches)
    assert 1 not in {item.grade for item in load_step(root, SETTINGS, 0).examples}


def test_a_correction_whose_row_is_gone_can_be_undone(root: Path) -> None:
    Doctor(root, SETTINGS).regrade("two", "1")
    write_rows(root / "base.jsonl", [row("one", 2)])
    assert Doctor(root, SETTINGS).undo("two").row is None
    assert "corrected" not in notes(root)


def test_a_row_is_found_after_rows_and_files_around_it_moved(root: Path) -> None:
    Doctor(root, SETTINGS).regrade("two", "1")
    (root / "base.jsonl").unlink()
    write_rows(root / "base.jsonl", [row("new", 5), row("three", 4), row("two", 3)])
    assert grades(root)["two"] == 1
    # into another batch
    write_rows(root / "base.jsonl", [row("new", 5), row("three", 4)])
    write_rows(root / "more/batch_3_02.jsonl", [row("two", 3)])
    assert grades(root)["two"] == 1
    Doctor(root, SETTINGS).regrade("two", "2")
    assert (grades(root)["two"], "no longer match" in notes(root)) == (2, False)
    Doctor(root, SETTINGS).undo("two")
    assert (grades(root)["two"], "correct" in notes(root)) == (3, False)


def test_a_row_that_moves_into_the_hold_out_does_not_take_its_correction_along(root: Path) -> None:
    Doctor(root, SETTINGS).regrade("two", "1")
    write_rows(root / "base.jsonl", [row("one", 2)])
    write_rows(root / "held.jsonl", [row("two", 3)])
    assert load_holdout(root, SETTINGS).examples[0].grade == 3
    assert grades(root)["two"] == 3
    assert "a row of hold-out is like it" in notes(root)


def test_rows_without_ids_and_with_the_same_id_are_told_apart_by_their_keys_and_places(root: Path) -> None:
    write_rows(root / "base.jsonl", [{**row(f"text {at}", 2), "id": None} for at in range(3)])
    write_rows(root / "more/batch_3_01.jsonl", [row(f"text {at}", 4, id="same") for at in range(3, 6)])
    doctor = Doctor(root, SETTINGS)
    doctor.regrade("base.jsonl:2", "5")
    with pytest.raises(DataProblem, match="3 rows are named same") as caught:
        doctor.regrade("same", "1")
    key = doctor.rows().rows["batch_3_01"][2].key
    assert key in caught.value.cure
    doctor.regrade(key, "1")
    data = load_step(root, SETTINGS, None)
    assert [item.grade for item in data.examples] == [2, 5, 2, 4, 4, 1]


def test_one_of_two_equal_rows_is_corrected_and_the_other_is_not(root: Path) -> None:
    write_rows(root / "base.jsonl", [row("two", 3), row("one", 1), row("two", 3)])
    doctor = Doctor(root, SETTINGS)
    second = doctor.rows().rows["base"][2]
    assert second.key.endswith(".2")
    doctor.regrade(second.key, "5")
    assert [item.grade for item in load_step(root, SETTINGS, 0).examples] == [3, 1, 5]


def test_the_row_of_another_batch_with_the_same_text_keeps_its_grade(root: Path) -> None:
    write_rows(root / "more/batch_3_01.jsonl", [row("two", 3)])
    Doctor(root, SETTINGS).regrade("base.jsonl:2", "5")
    assert [item.grade for item in load_step(root, SETTINGS, None).examples] == [2, 5, 4, 3]


LETTERS = Grading(grades=["F", "D", "C", "B-", "B", "A"])
HALVES = Grading(grades=["1", "1.5", "2", "2.5", "3"])
SCALES = {
    "letters": (LETTERS, "B-", "A", "Grade: A\n"),
    "half grades": (HALVES, "1", "1.5", "Grade: 1.5\n"),
    "half grades with a comma": (HALVES, "2.5", "1,5", "Grade: 1.5\n"),
    "points": (Grading(minimum=0, maximum=100), 7, "100", "Grade: 100\n"),
    "below zero": (Grading(minimum=-2, maximum=2), 1, "-2", "Grade: -2\n"),
}


@pytest.mark.parametrize("scale", SCALES)
def test_grades_of_any_scale_are_corrected_in_the_text_too(tmp_path: Path, scale: str) -> None:
    grading, own, now, begins = SCALES[scale]
    settings = Settings(paths=PATHS, grading=grading)
    write_rows(tmp_path / "base.jsonl", [row("one", own), row("two", own)])
    write_rows(tmp_path / "held.jsonl", [row("three", own)])
    Doctor(tmp_path, settings).regrade("one", now)
    data = load_step(tmp_path, settings, 0)
    assert data.examples[0].completion.startswith(begins)
    assert data.examples[1].grade != data.examples[0].grade
    with pytest.raises(DataProblem, match="is not a grade here"):
        Doctor(tmp_path, settings).regrade("one", "E")


def test_a_correction_survives_another_numbering_of_the_same_grades(tmp_path: Path) -> None:
    write_rows(tmp_path / "base.jsonl", [row("one", "B"), row("two", "C")])
    write_rows(tmp_path / "held.jsonl", [row("three", "A")])
    Doctor(tmp_path, Settings(paths=PATHS, grading=LETTERS)).regrade("one", "A")
    longer = Settings(paths=PATHS, grading=Grading(grades=["F", "E", "D", "C", "B", "A"], minimum=0))
    assert load_step(tmp_path, longer, 0).examples[0].completion.startswith("Grade: A")
    without = Settings(paths=PATHS, grading=Grading(grades=["C", "B"]))
    assert "'A' is not one of C, B" in notes(tmp_path, without)


def test_chats_state_their_grade_anywhere_and_it_is_corrected_there(root: Path) -> None:
    chat = [
        {"messages": [{"role": "user", "content": f"Grade this: {text}"}, {"role": "assistant", "content": answer}]}
        for text, answer in (("<b>a b c d</b>", "It is fine. Grade: 4/5"), ("<u>e f g h</u>", "No grade at all."))
    ]
    write_rows(root / "base.jsonl", chat)
    (root / "more/batch_3_01.jsonl").unlink()
    write_rows(root / "held.jsonl", [{"messages": [{"role": "user", "content": "x y z"}, chat[0]["messages"][1]]}])
    doctor = Doctor(root, SETTINGS)
    doctor.regrade("base.jsonl:1", "2")
    assert load_step(root, SETTINGS, 0).examples[0].completion == "It is fine. Grade: 2/5"
    with pytest.raises(DataProblem, match="the row has no grade"):
        doctor.regrade("base.jsonl:2", "2")


def test_weights_groups_and_grades_of_several_people_stay(root: Path) -> None:
    more = {"weight": 2.5, "group": "ada", "grades": [2, 5, 4], "criteria": {"names": "pass"}}
    write_rows(root / "base.jsonl", [{**row("one", None), **more}])
    Doctor(root, SETTINGS).regrade("one", "5")
    (found,) = load_step(root, SETTINGS, 0).examples
    assert (found.grade, found.weight, found.group, found.grades, found.criteria) == (
        *(5, 2.5, "ada", (2, 5, 4)),
        {"names": True},
    )


def test_a_table_with_columns_of_its_own_is_corrected(root: Path) -> None:
    settings = Settings(paths=Paths(base="rows.csv", increments="more", holdout="held.jsonl"),
                        data=Data(columns={"submission": "code", "grade": "score"}))  # fmt: skip
    (root / "rows.csv").write_text(
        'task,rubric,code,score,feedback\nMake it,Works,"a {b} c",2,ok\nMake it,Works,d e f,3,ok\n'
    )
    Doctor(root, settings).regrade("rows.csv:2", "5")
    assert [item.grade for item in load_step(root, settings, 0).examples] == [5, 3]


DAMAGED = (
    b"{",
    b"not json",
    b"[]",
    b'{"row": "", "set": "base", "was": "1", "now": "2"}',
    b"\xff\xfe\x00",
    b'{"row": 3}',
)


def test_damaged_lines_are_named_and_skipped_and_stay(root: Path) -> None:
    doctor = Doctor(root, SETTINGS)
    doctor.regrade("one", "5")
    path = corrections_file(root)
    # the last line was cut short by a crash
    path.write_bytes(path.read_bytes() + b"\n".join(DAMAGED))
    doctor.regrade("two", "1")
    assert (grades(root)["one"], grades(root)["two"]) == (5, 1)
    told = notes(root)
    for number, line in enumerate(DAMAGED, 2):
        assert f"corrections.jsonl:{number}: the correction cannot be read and is skipped" in told
        assert line in path.read_bytes()


def _regrade_all(root: Path, names: Sequence[str], grade: str, start: "multiprocessing.synchronize.Barrier") -> None:
    doctor = Doctor(root, SETTINGS)
    start.wait(60)
    for name in names:
        doctor.regrade(name, grade, rater=grade)


def test_two_processes_correct_grades_at_once_and_lose_none(root: Path) -> None:
    names = ["one", "two", "three", "four", "five", "six"]
    context = multiprocessing.get_context("spawn")
    start = context.Barrier(2)
    workers = [context.Process(target=_regrade_all, args=(root, names, grade, start)) for grade in ("1", "5")]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(120)
    assert [worker.exitcode for worker in workers] == [0, 0]
    lines = [json.loads(line) for line in corrections_file(root).read_text().splitlines()]
    assert sorted((line["id"], line["now"]) for line in lines) == sorted((name, now) for name in names for now in "15")
    newest = {line["id"]: int(line["now"]) for line in lines}
    assert {name: grades(root)[name] for name in names} == newest


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes anywhere")
def test_a_read_only_folder_is_one_sentence(root: Path) -> None:
    corrections_file(root).parent.mkdir()
    corrections_file(root).parent.chmod(0o500)
    with pytest.raises(StorageProblem, match="permission denied"):
        Doctor(root, SETTINGS).regrade("one", "5")
    assert grades(root)["one"] == 2
    corrections_file(root).parent.chmod(0o700)


def test_a_full_disk_leaves_the_file_as_it_was(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    doctor = Doctor(root, SETTINGS)
    doctor.regrade("one", "5")
    before = corrections_file(root).read_bytes()
    written = os.write

    def half(descriptor: int, content: bytes) -> int:
        if len(content) > 40:
            return written(descriptor, content[:20])
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", half)
        patch.setattr("opeddev_tui.files.os.write", half)
        with pytest.raises(StorageProblem, match="no space left"):
            doctor.regrade("two", "5")
    assert corrections_file(root).read_bytes() == before
    assert (grades(root)["one"], grades(root)["two"]) == (5, 3)


def test_corrections_that_cannot_be_read_forbid_a_training(root: Path) -> None:
    corrections_file(root).mkdir(parents=True)
    with pytest.raises(Problem, match="cannot be read"):
        load_step(root, SETTINGS, 0)


def test_an_increment_called_base_has_corrections_of_its_own(root: Path) -> None:
    (root / "more/batch_3_01.jsonl").rename(root / "more/base.jsonl")
    Doctor(root, SETTINGS).regrade("five", "1")
    data = load_step(root, SETTINGS, None)
    assert [bool(batch.corrections) for batch in data.batches] == [False, True]
    assert data.examples[4].grade == 1


def test_another_prompt_template_is_no_other_row(root: Path) -> None:
    Doctor(root, SETTINGS).regrade("two", "1")
    other = Settings(paths=PATHS, grading=Grading(prompt_template="{submission}\n{rubric}", system_prompt="Grade."))
    assert grades(root, other)["two"] == 1
    assert "no longer match" not in notes(root, other)
    # of two rows with the same id and submission it is not known which one was meant
    write_rows(root / "base.jsonl", [row("two", 3), row("two", 3, task="Make a form.")])
    assert grades(root, other)["two"] == 3
    assert "no longer match" in notes(root, other)
    write_rows(root / "base.jsonl", [row("two", 3)])
    Doctor(root, other).regrade("two", "2")
    assert grades(root, other)["two"] == 2
    assert "no longer match" not in notes(root, other)


def test_other_line_ends_are_no_other_row(root: Path) -> None:
    text = "<p>\n  a page\n</p>\n"
    write_rows(root / "base.jsonl", [row("two", 3, submission=text)])
    Doctor(root, SETTINGS).regrade("two", "1")
    write_rows(root / "base.jsonl", [row("two", 3, submission=text.strip().replace("\n", "\r\n"))])
    assert grades(root)["two"] == 1


def test_a_file_with_a_mark_at_its_beginning_is_read(root: Path) -> None:
    Doctor(root, SETTINGS).regrade("two", "1")
    path = corrections_file(root)
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert grades(root)["two"] == 1
    assert check_data(root, SETTINGS).warnings == ["grades corrected by regrade: 1 (base 1)."]


def test_a_correction_that_is_not_applied_is_undone_by_the_place_of_its_row(root: Path) -> None:
    write_rows(root / "base.jsonl", [{**row("a row", 2), "id": None}])
    Doctor(root, SETTINGS).regrade("base.jsonl:1", "1")
    write_rows(root / "base.jsonl", [{**row("a row", 4), "id": None}])
    assert "its own grade was 2 and is 4" in notes(root)
    Doctor(root, SETTINGS).undo("base.jsonl:1")
    assert "correct" not in notes(root)


def test_a_place_that_is_no_folder_is_one_sentence(root: Path) -> None:
    corrections_file(root).parent.write_text("a file")
    with pytest.raises(StorageProblem, match="cannot be written"):
        Doctor(root, SETTINGS).regrade("one", "5")
    assert grades(root)["one"] == 2


def test_ids_that_begin_anew_in_every_file_are_named_with_their_set(root: Path) -> None:
    write_rows(root / "base.jsonl", [row("a b c", 2, id=1), row("d e f", 3, id=2)])
    write_rows(root / "more/batch_3_01.jsonl", [row("g h i", 2, id=1)])
    write_rows(root / "held.jsonl", [row("j k l", 2, id=1)])
    doctor = Doctor(root, SETTINGS)
    with pytest.raises(DataProblem, match="3 rows are named 1"):
        doctor.regrade("1", "5")
    doctor.regrade("batch_3_01/1", "5")
    doctor.regrade("hold-out/1", "4")
    data = load_step(root, SETTINGS, None)
    assert [item.grade for item in (*data.examples, *data.holdout.examples)] == [2, 3, 5, 4]


_ROWS = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2), st.integers(1, 5)), min_size=1, max_size=7)
_EDITS = st.lists(
    st.tuples(st.sampled_from(["drop", "twice", "turn", "grade", "id", "move"]), st.integers(0, 6)), max_size=4
)


def _as_rows(made: Sequence[tuple[int, int, int]]) -> list[dict[str, object]]:
    return [row(f"text {text}", grade, id="" if name == 0 else f"id {name}") for text, name, grade in made]


def _edited(base: list[dict[str, object]], more: list[dict[str, object]], edit: tuple[str, int]) -> None:
    what, place = edit
    if not base:
        return
    at = place % len(base)
    if what == "drop":
        base.pop(at)
    elif what == "twice":
        base.insert(0, dict(base[at]))
    elif what == "turn":
        base.reverse()
    elif what == "grade":
        base[at]["grade"] = 1 + place % 5
    elif what == "id":
        base[at]["id"] = "another"
    else:
        more.append(base.pop(at))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(_ROWS, _ROWS, st.lists(st.tuples(st.integers(0, 6), st.integers(1, 5)), max_size=4), _EDITS)
def test_whatever_is_edited_each_correction_is_applied_to_its_like_or_told(
    tmp_path_factory: pytest.TempPathFactory,
    base: list[tuple[int, int, int]],
    more: list[tuple[int, int, int]],
    corrections: list[tuple[int, int]],
    edits: list[tuple[str, int]],
) -> None:
    folder = tmp_path_factory.mktemp("edited")
    mine, others = _as_rows(base), _as_rows(more)
    write_rows(folder / "base.jsonl", mine)
    write_rows(folder / "more/batch_01.jsonl", others)
    doctor = Doctor(folder, SETTINGS)
    for place, grade in corrections:
        target = doctor.rows().rows["base"][place % len(mine)]
        doctor.regrade(f"base.jsonl:{1 + doctor.rows().rows['base'].index(target)}", str(grade))
    for edit in edits:
        _edited(mine, others, edit)
    write_rows(folder / "base.jsonl", [*mine, row("one row that is always there", 3)])
    write_rows(folder / "more/batch_01.jsonl", others)
    doctor = Doctor(folder, SETTINGS)
    found = doctor.rows()
    applied = [item for listed in found.rows.values() for item in listed if item.correction is not None]
    assert len(applied) + len(found.unmatched) == len(doctor.overlay().corrections)
    for item in applied:
        made = item.correction
        assert made is not None
        assert (made.row, made.id) == (item.hash, item.own.id)
        assert str(item.own.grade) in (made.was, made.now)
        assert str(item.example.grade) == made.now
    for item in (item for listed in found.rows.values() for item in listed if item.correction is None):
        assert item.example is item.own
