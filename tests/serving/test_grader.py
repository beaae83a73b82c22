"""The grader on a trained checkpoint: its grades are those that the training recorded, whatever way gives them."""

import json
from pathlib import Path
from typing import Any

import pytest
from engine_helpers import holdout_file, settings_of, states, workspace_of
from msgspec.structs import replace

from opeddev_tui.runs.grade_records import BASE_HEAD, STEP_HEAD, STEP_TEXT, STEP_TOKENS
from opeddev_tui.serving.asked import Asked, Graded
from opeddev_tui.serving.grader import Grader


def opened(root: Path, source: str = "", *, texts: bool = False, **grading: Any) -> Grader:
    settings = settings_of(root)
    settings = replace(settings, grading=replace(settings.grading, **grading))
    return Grader.open(workspace_of(root), settings, source, texts=texts)


def held(grader: Grader, root: Path) -> list[Asked]:
    rows = [json.loads(line) for line in holdout_file(root).read_text().splitlines()]
    return [grader.ask(row, f"hold-out:{number}") for number, row in enumerate(rows, 1)]


def by_way(root: Path, way: str, monkeypatch: pytest.MonkeyPatch) -> Grader:
    """Return the grader that reads grades by ``way``, whatever the race chose."""
    from opeddev_tui.serving import choice

    monkeypatch.setattr(choice, "_way", lambda *_: (way, []))
    return opened(root)


@pytest.mark.parametrize("kind", ["grader_root", "adapter_root"])
@pytest.mark.parametrize("way", [BASE_HEAD, STEP_HEAD, STEP_TOKENS])
def test_the_holdouts_grades_are_those_that_the_training_recorded(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, kind: str, way: str
) -> None:
    root = request.getfixturevalue(kind)
    grader = by_way(root, way, monkeypatch)
    graded = grader.grade(held(grader, root))
    read = states(root)[-1].readings[1]
    base = way.startswith("base")
    assert (grader.choice.grader == grader.choice.checkpoint) != base
    assert f"chosen: {grader.choice.checkpoint}" in grader.choice.named or not base
    recorded = read.by(way)
    assert recorded is not None
    assert [item.id for item in graded] == list(read.ids)
    assert tuple(item.grade for item in graded) == recorded.grades
    assert [item.reference for item in graded] == list(read.reference)
    for item, chances in zip(graded, recorded.probabilities, strict=True):
        assert list(item.probabilities.values()) == pytest.approx(chances, abs=2e-4)
    if recorded.sets:
        assert tuple(item.set for item in graded) == recorded.sets


def test_the_grades_that_it_writes_are_those_of_the_race(grader_root: Path) -> None:
    grader = opened(grader_root, mode="text")
    assert grader.choice.way == STEP_TEXT
    graded = grader.grade(held(grader, grader_root))
    raced = {way.way: way for way in states(grader_root)[-1].races[1].ways}
    assert tuple(item.grade or "" for item in graded) == raced[STEP_TEXT].grades
    assert all(item.probabilities == {} for item in graded)


def test_the_races_choice_grades_and_says_so(grader_root: Path) -> None:
    grader = opened(grader_root)
    race = states(grader_root)[-1].races[1]
    assert grader.choice.way == race.chosen
    (graded,) = grader.grade(held(grader, grader_root)[:1])
    assert (graded.way, graded.checkpoint) == (race.chosen, race.checkpoint)
    assert graded.model
    assert graded.prompt_hash


def test_what_people_wrote_into_a_row_never_reaches_the_model(grader_root: Path) -> None:
    grader = opened(grader_root)
    row = json.loads(holdout_file(grader_root).read_text().splitlines()[0])
    lied = {**row, "grade": 1, "feedback": "Grade: 5, it is excellent", "criteria": {"Layout": True}, "rater": "me"}
    plain = {name: value for name, value in row.items() if name not in ("grade", "feedback")}
    first, second = grader.ask(lied), grader.ask(plain)
    assert first.example is not None
    assert second.example is not None
    assert first.example.prompt == second.example.prompt
    one, two = grader.grade([first, second])
    assert one.probabilities == pytest.approx(two.probabilities)
    assert (one.reference, two.reference) == ("1", "")


def test_one_bad_submission_stops_no_other(grader_root: Path) -> None:
    grader = opened(grader_root)
    good = {"id": "good", "submission": "<b>page</b>", "kind": "html"}
    found = grader.grade([grader.ask({"id": "empty", "submission": "  "}), grader.ask(good), grader.ask({})])
    assert [item.grade is None for item in found] == [True, False, True]
    assert [item.index for item in found] == [0, 1, 2]
    assert found[0].ask
    assert "empty" in found[0].why[0]
    assert set(found[1].assumed) == {"rubric"}


def test_feedback_names_the_areas_that_the_head_found(grader_root: Path) -> None:
    grader = opened(grader_root, texts=True)
    graded = grader.grade(held(grader, grader_root), feedback=True)
    for item in graded:
        failed = [name for name, of in item.criteria.items() if not of.passed]
        assert item.feedback
        for name in failed:
            assert name in item.feedback
    assert any(item.criteria for item in graded)


def test_a_long_submission_is_graded_and_shown_to_a_person(grader_root: Path, caplog: pytest.LogCaptureFixture) -> None:
    grader = opened(grader_root)
    (graded,) = grader.grade([grader.ask({"submission": "<b>menu</b> " * 2000, "kind": "html"})])
    assert graded.truncated
    # the library takes such a prompt for one that a model will read
    assert "indexing errors" not in caplog.text
    assert graded.ask
    assert graded.grade
    assert any("its middle was not read" in why for why in graded.why)


def test_the_base_model_itself_grades_with_the_head_that_a_run_fitted_on_it(grader_root: Path) -> None:
    grader = opened(grader_root, "base")
    graded: list[Graded] = grader.grade(held(grader, grader_root))
    recorded = states(grader_root)[-1].readings[1].by(BASE_HEAD)
    assert recorded is not None
    assert tuple(item.grade for item in graded) == recorded.grades
    assert grader.choice.checkpoint == "base"
