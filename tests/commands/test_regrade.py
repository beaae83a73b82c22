"""``regrade`` as a person types it: disputed rows, one row, a grade, its undoing, its effect."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from engine_helpers import base_file, copy_workspace, make_rows, write_rows

from opeddev_tui import cli
from opeddev_tui.workspace.paths import corrections_file

Make = Callable[..., Path]


@pytest.fixture(autouse=True)
def _narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")


def regrade(root: Path, *words: str) -> int:
    return cli.main(["regrade", "-w", str(root), *words])


def told(capsys: pytest.CaptureFixture[str]) -> str:
    return " ".join(capsys.readouterr().out.split())


def test_a_grade_is_corrected_shown_confirmed_and_undone(
    workspace_factory: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    root = workspace_factory()
    before = {path: path.read_bytes() for path in (root / "datasets").rglob("*.jsonl")}
    assert regrade(root) == 0
    assert "No grade was corrected yet." in told(capsys)
    own = make_rows(20, "base")[4]["grade"]
    now = 1 if own == 5 else 5
    assert regrade(root, "base-4", str(now), "--rater", "Ada", "--note", "a list is open") == 0
    words = told(capsys)
    assert f"base-4: the grade is {now} now (in your file: {own})." in words
    assert "look whether it fits the new grade" in words
    assert regrade(root, "--show", "base-4") == 0
    words = told(capsys)
    assert f"grade in your file: {own}" in words
    assert f"corrected to {now} by Ada" in words
    assert f"Grade: {now} Feedback" in words
    assert regrade(root) == 0
    out = capsys.readouterr().out
    assert f"{own} → {now}" in out
    assert max(map(len, out.splitlines())) <= 80
    assert cli.main(["check", "-w", str(root)]) == 0
    assert "grades corrected by regrade: 1 (base 1)." in told(capsys)
    assert regrade(root, "base-4", str(own)) == 0
    words = told(capsys)
    assert f"the grade {own} is confirmed." in words
    assert f"It was corrected to {now} before by Ada" in words
    assert regrade(root, "base-4", "--undo") == 0
    assert f"base-4: the grade is {own} again." in told(capsys)
    assert {path: path.read_bytes() for path in before} == before
    assert len(corrections_file(root).read_text().splitlines()) == 3


def test_disputed_rows_are_listed_without_those_that_are_settled(
    workspace_factory: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    root = workspace_factory(rows=30, batches=(20,))
    assert regrade(root, "--list", "--json", "--count", "5") == 0
    found = json.loads(capsys.readouterr().out)["disputed"]
    assert len(found) == 5
    assert [item["surprise"] for item in found] == sorted((item["surprise"] for item in found), reverse=True)
    assert all(item["given"] != item["graded"] and "holdout" not in item["id"] for item in found)
    assert regrade(root, found[0]["key"], found[0]["given"]) == 0
    assert regrade(root, found[1]["id"], found[1]["graded"]) == 0
    capsys.readouterr()
    assert regrade(root, "--list", "--json") == 0
    again = json.loads(capsys.readouterr().out)
    assert not {found[0]["id"], found[1]["id"]} & {item["id"] for item in again["disputed"]}
    assert {item["id"]: item["now"] for item in again["corrections"]} == {
        found[0]["id"]: found[0]["given"],
        found[1]["id"]: found[1]["graded"],
    }
    assert regrade(root, "--list") == 0
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= 80
    assert "A dispute is a question, not an error." in " ".join(out.split())


def test_the_list_is_short_and_says_how_many_more_there_are(
    workspace_factory: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    root = workspace_factory(rows=60)
    listed = {}
    for count in ((), ("--count", "2"), ("--count", "0"), ("--count", "999"), ("--count", "all")):
        assert regrade(root, "--list", "--json", *count) == 0
        listed[count] = json.loads(capsys.readouterr().out)
    every = listed["--count", "999"]["disputed"]
    assert {found["disputes"] for found in listed.values()} == {len(every)}
    assert len(every) > 10
    assert listed[()]["disputed"] == every[:10]
    assert listed["--count", "all"]["disputed"] == every
    assert listed["--count", "2"]["disputed"] == every[:2]
    assert listed["--count", "0"]["disputed"] == []
    for count, more in (((), True), (("--count", "999"), False)):
        assert regrade(root, "--list", *count) == 0
        words = told(capsys)
        assert (f"disputes {len(every)}; the first 10, most disputed first" in words) == more
        assert ("--count all lists them too" in words) == more
        assert ("all of them, most disputed first" in words) != more


def test_the_effect_is_shown_on_equal_terms(workspace_factory: Make, capsys: pytest.CaptureFixture[str]) -> None:
    root = workspace_factory(rows=30, holdout=12)
    assert regrade(root, "--effect", "--json") == 0
    plain = json.loads(capsys.readouterr().out)
    assert (plain["corrected_rows"], plain["corrected_holdout"], plain["as_written"]) == (0, 0, None)
    assert plain["holdout"]["difference"] == {"value": 0.0, "low": 0.0, "high": 0.0}
    assert plain["holdout"]["without"] == plain["holdout"]["corrected"]
    for at in range(6):
        grade = make_rows(30, "base")[at]["grade"]
        assert regrade(root, f"base-{at}", "1" if grade == 5 else "5") == 0
    assert regrade(root, "holdout-1", "1" if make_rows(12, "holdout")[1]["grade"] == 5 else "5") == 0
    assert "the hold-out has another version now" in told(capsys)
    assert regrade(root, "--effect", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["corrected_rows"], found["corrected_holdout"]) == (6, 1)
    assert found["out_of_fold"]["rows"] == 30
    part = found["holdout"]
    assert part["difference"]["value"] == pytest.approx(part["corrected"]["value"] - part["without"]["value"])
    assert found["as_written"]["without"] == plain["holdout"]["without"]
    assert regrade(root, "--effect") == 0
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= 80
    assert "hold-out, file" in " ".join(out.split())


WRONG = {
    "no such row": (("base-99", "3"), 3, "there is no training or hold-out row base-99"),
    "no such grade": (("base-1", "6"), 3, "'6' is not a grade here. A grade is a whole number from 1 to 5."),
    "nothing to undo": (("base-1", "--undo"), 3, "the row base-1 has no correction"),
    "nothing named": (("--undo",), 2, "no row is named"),
    "two wishes": (("base-1", "3", "--effect"), 2, "cannot be combined"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_cannot_be_done_is_one_sentence_and_writes_nothing(
    workspace_factory: Make, capsys: pytest.CaptureFixture[str], case: str
) -> None:
    root = workspace_factory()
    words, code, sentence = WRONG[case]
    assert regrade(root, *words) == code
    assert sentence in capsys.readouterr().err
    assert not corrections_file(root).exists()


def test_an_unfinished_run_is_told_of(
    trained_workspace: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = copy_workspace(trained_workspace, tmp_path / "copy")
    journal = sorted((root / "logs/runs").iterdir())[-1] / "events.jsonl"
    lines = journal.read_text().splitlines(keepends=True)
    journal.write_text("".join(line for line in lines if "RunFinished" not in line and '"run_finished"' not in line))
    own = make_rows(20, "base")[0]["grade"]
    assert regrade(root, "base-0", "1" if own == 5 else "5") == 0
    assert "began with other grades: it is resumed only with those" in told(capsys)


def test_without_data_the_problem_is_that_of_check(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "config.toml").touch()
    assert regrade(tmp_path) == 3
    assert "the base set does not exist" in capsys.readouterr().err


def test_texts_from_outside_cannot_steer_the_terminal(
    workspace_factory: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    root = workspace_factory()
    rows = make_rows(20, "base")
    rows[0]["id"] = "\x1b[31mred"
    rows[0]["submission"] = "<b>\x1b]0;title\x07</b>"
    write_rows(base_file(root), rows)
    grade = str(rows[0]["grade"])
    assert regrade(root, "\x1b[31mred", grade, "--rater", "\x1b[2J", "--note", "\x1b[1mbold") == 0
    assert regrade(root) == 0
    assert regrade(root, "\x1b[31mred") == 0
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert "\x07" not in out
