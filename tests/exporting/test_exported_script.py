"""The exported ``grade.py`` with what people give it: files of any editor, rows with gaps, and what is no row."""

import io
import json
import runpy
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
from exporting_helpers import Trained, run_script
from msgspec.structs import replace

from opeddev_tui.config.grading_settings import Grade
from opeddev_tui.exporting.folder import Form, export
from opeddev_tui.serving.answers import as_json
from opeddev_tui.serving.choice import choose
from opeddev_tui.serving.grader import Grader
from opeddev_tui.serving.submissions import Submissions

TASK, RUBRIC = "Make a menu.", "It works."


@pytest.fixture(scope="module")
def script(full: Trained, tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("script") / "out"
    export(full.workspace, full.entry, full.settings, target, Form(dtype="fp32", way="step head"))
    return target / "grade.py"


def answers(script: Path, *words: str | Path, rows: str = "") -> list[dict[str, Any]]:
    return [json.loads(line) for line in run_script(script, [*map(str, words)], rows)]


def test_files_of_any_editor_get_the_apps_grades(full: Trained, script: Path, tmp_path: Path) -> None:
    text = "<p>\r\n\tcard menu é good clean good clean\r\n</p>\r\n"
    for name, content in {
        "plain.html": text.encode(),
        "marked.html": b"\xef\xbb\xbf" + text.encode(),
        "latin.css": text.encode("cp1252"),
        "wide.HTM": text.encode("utf-16"),
        "page.php": text.encode(),
        "noending": text.encode(),
    }.items():
        (tmp_path / name).write_bytes(content)
    places = sorted(map(str, tmp_path.iterdir()))
    choice = replace(choose(full.workspace, full.settings), way="step head", head_folder=full.entry.folder)
    grader = Grader.open(full.workspace, full.settings, given={"task": TASK, "rubric": RUBRIC}, choice=choice)
    mine = grader.grade([grader.ask_item(item) for item in Submissions(places, full.settings.data).items()])
    theirs = answers(script, *places, "--task", TASK, "--rubric", RUBRIC)
    assert [item["file"] for item in theirs] == [item.file for item in mine] == places
    for one, other in zip(mine, theirs, strict=True):
        known = as_json(one)
        assert (known["grade"], known["set"]) == (other["grade"], other["set"]), one.file
        assert other["probabilities"] == pytest.approx(one.probabilities, abs=1e-5)
    assert len({item.expected for item in mine}) > 1, "the kinds make no difference"


@pytest.mark.parametrize("way", ["base head", "step head", "step tokens", "step text"])
@pytest.mark.parametrize("grade", [Grade(), Grade(task=TASK, kind="css"), Grade(rubric="Nothing is cut.")])
def test_what_is_not_named_is_assumed_as_in_the_app(full: Trained, tmp_path: Path, way: str, grade: Grade) -> None:
    settings = replace(full.settings, grade=grade)
    exported = export(full.workspace, full.entry, settings, tmp_path / "out", Form(dtype="fp32", way=way))
    base = [f"--base={exported.base.source}"] if exported.base is not None else []
    for name, words in {"card.html": "good clean", "page.php": "menu " * 9, "noending": "good clean " * 4}.items():
        (tmp_path / name).write_text(words)
    rows = [{"id": kind, "submission": "<p>card</p>", "kind": kind, "rubric": ""} for kind in ("html", "css", "")]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    places = [str(path) for path in sorted(tmp_path.iterdir()) if path.is_file()]
    head = full.entry.folder if way.endswith("head") else None
    choice = replace(choose(full.workspace, settings), way=way, head_folder=head)
    for given in ({}, {"rubric": "It is good."}, {"kind": "html", "task": TASK}):
        grader = Grader.open(full.workspace, settings, given=given, choice=choice)
        mine = grader.grade([grader.ask_item(item) for item in Submissions(places, settings.data).items()])
        options = [*base, *(word for name, text in given.items() for word in (f"--{name}", text))]
        theirs = answers(tmp_path / "out" / "grade.py", *places, *options)
        assert len(mine) == len(theirs) == 6
        for one, other in zip(mine, theirs, strict=True):
            known = as_json(one)
            assert {name: other[name] for name in ("grade", "assumed", "measured")} == {
                name: known[name] for name in ("grade", "assumed", "measured")
            }
            assert known["measured"]["rows"] == 10
            assert known["measured"]["words"]
            assert "rubric" in other["assumed"]
            if way != "step text":
                assert other["probabilities"] == pytest.approx(one.probabilities, abs=1e-5)


def test_what_was_assumed_and_what_is_not_known_is_said_at_the_end(
    script: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "card.html").write_text("<b>card</b>")
    found = answers(script, tmp_path / "card.html")
    assert isinstance(found[0]["grade"], int)
    told = capsys.readouterr().err
    assert "Assumed for 1: rubric: It works. (the commonest of the training rows)" in told
    assert "No task is known for 1: name it with --task." in told
    assert "On 10 hold-out rows " in told


def test_a_folder_without_defaults_still_grades(script: Path, tmp_path: Path) -> None:
    old = shutil.copytree(script.parent, tmp_path / "old")
    described = json.loads((old / "grader.json").read_text())
    del described["defaults"], described["grades"], described["measured"]
    (old / "grader.json").write_text(json.dumps(described))
    (tmp_path / "card.html").write_text("<b>card</b>")
    (found,) = answers(old / "grade.py", tmp_path / "card.html", "--task", TASK)
    assert found["grade"] in described["labels"]
    assert found["assumed"] == {"kind": "html (the file's name)", "task": f"{TASK} (--task)"}


def test_what_cannot_be_graded_says_why_and_stops_no_other(script: Path, tmp_path: Path) -> None:
    good = {"submission": "<b>card</b>", "kind": "html", "task": TASK, "rubric": RUBRIC}
    lines = [
        json.dumps({"id": 0, **good}),
        json.dumps({"id": 1, **good, "task": None, "rubric": None, "kind": None}),
        json.dumps(good),
        "not json",
        "[1]",
        '"text"',
        "null",
        json.dumps({"id": 7, "submission": 7}),
        json.dumps({"id": 8, "submission": "\ud800 half"}),
        json.dumps({"id": 9, "messages": [{"role": "user", "content": [{"type": "text", "text": "x"}]}]}),
        json.dumps({"id": 10, "messages": "x", "submission": "x"}),
        json.dumps({"id": 11}),
        json.dumps({"id": 12, **good}),
    ]
    (tmp_path / "rows.jsonl").write_text("\ufeff" + "\n".join(lines) + "\n", encoding="utf-8")
    (tmp_path / "picture.png").write_bytes(b"\x89PNG\0")
    options = ["--task", TASK, "--rubric", RUBRIC, "--kind", "html"]
    found = answers(script, tmp_path / "rows.jsonl", tmp_path / "picture.png", *options)
    assert len(found) == len(lines) + 1
    named = {item.get("id", item.get("file", "").rpartition(":")[2]): item for item in found}
    assert named[0]["grade"] is not None
    same = [
        {key: value for key, value in named[name].items() if key not in ("id", "file", "assumed")}
        for name in (0, 1, "3", 12)
    ]
    assert same == [same[0]] * 4
    for place in ("4", "5", "6", "7", 7, 8, 9, 10):
        assert named[place]["grade"] is None
        assert named[place]["error"], place
    assert named[11] == {"id": 11, "grade": None}
    assert "binary" in found[-1]["error"]


def test_a_wrong_name_is_said_at_once_and_a_bad_row_in_the_exit_code(
    script: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def ended(*words: str) -> object:
        monkeypatch.setattr(sys, "argv", [str(script), *words])
        with pytest.raises(SystemExit) as stopped:
            runpy.run_path(str(script), run_name="__main__")
        return stopped.value.code

    assert ended(str(tmp_path / "nothing.html")) == 2
    assert "there is no file" in capsys.readouterr().err
    # streams of another machine, in its encoding
    rows = io.BytesIO('{"id": "\\ud800é", "submission": "é", "task": "", "rubric": ""}\n{\n'.encode())
    out = io.BytesIO()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(rows, "ascii"))
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(out, "ascii"))
    assert ended("-") == 1
    first, second = map(json.loads, out.getvalue().decode().splitlines())
    assert first["id"] == "\ud800é"
    assert second["error"].startswith("JSONDecodeError")
