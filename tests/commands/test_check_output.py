"""What ``check`` prints: every set, every note, every problem, and exit code 1 where there is one."""

import json
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from real_files import graded, graded_rows, jsonl

from opeddev_tui import cli
from opeddev_tui.config.loading import load
from opeddev_tui.runs import manifest


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A workspace of letter grades with six rows and two hold-out rows."""
    monkeypatch.setenv("COLUMNS", "300")
    (tmp_path / "config.toml").write_text(
        '[paths]\nbase = "base"\nincrements = "more"\nholdout = "held"\n[grading]\ngrades = ["F", "D", "C", "B", "A"]\n'
    )
    for name, letters, first in (("base/train.jsonl", "AABCFA", 0), ("held/validation.jsonl", "BC", 100)):
        path = tmp_path / name
        path.parent.mkdir()
        path.write_bytes(jsonl([graded(first + n, grade=letter) for n, letter in enumerate(letters)]))
    return tmp_path


def printed(capsys: pytest.CaptureFixture[str]) -> str:
    return capsys.readouterr().out


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        (2, "note: 2 hold-out rows are too few for a verdict: "),
        (9, "note: 9 hold-out rows are too few for a verdict: "),
        (10, "note: 10 hold-out rows are few: with fewer than 30 every verdict may be chance."),
        (29, "note: 29 hold-out rows are few: with fewer than 30 every verdict may be chance."),
        (30, ""),
    ],
)
def test_few_hold_out_rows_are_said(folder: Path, capsys: pytest.CaptureFixture[str], rows: int, told: str) -> None:
    held = [graded(100 + number, grade="B") for number in range(rows)]
    (folder / "held/validation.jsonl").write_bytes(jsonl(held))
    assert cli.main(["check", "-w", str(folder)]) == 0
    found = [line for line in printed(capsys).splitlines() if "hold-out row" in line]
    assert len(found) == bool(told)
    assert not told or found[0].startswith(told)


def test_letters_are_shown_as_letters(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["check", "-w", str(folder)]) == 0
    out = printed(capsys)
    assert "F:1 C:1 B:1 A:3" in out
    assert "note: grading.system_prompt still says from 1 to 5, a grade is one of F, D, C, B, A" in out


def test_a_wide_scale_is_shown_as_its_range(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "base/train.jsonl").write_bytes(jsonl([graded(n, grade=n * 5) for n in range(20)]))
    (folder / "held/validation.jsonl").write_bytes(jsonl(graded_rows(2, 100)))
    words = ["--set", "grading.grades=[]", "--set", "grading.minimum=0", "--set", "grading.maximum=100"]
    assert cli.main(["check", "-w", str(folder), *words]) == 0
    assert "0 to 95, median 45" in printed(capsys)


def test_all_problems_are_printed_and_what_is_passed_over_is_named(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with (folder / "base/train.jsonl").open("ab") as file:
        file.write(b"{\n" + jsonl([graded(40, grade="E"), graded(41, grade="A", submission=" ")]))
    (folder / "base/older.xlsx").write_bytes(b"PK")
    (folder / "base/train_test.jsonl").write_bytes(jsonl([graded(50, grade="A")]))
    assert cli.main(["check", "-w", str(folder)]) == 1
    out = printed(capsys)
    for place, words in ((7, "never closed"), (8, "the grade is 'E'. Write one of F, D, C, B, A."), (9, "is empty")):
        assert any(f"train.jsonl:{place}: " in line and words in line for line in out.splitlines()), out
    assert "older.xlsx: is not read" in out
    assert "its test split is not trained on (train_test.jsonl)" in out
    assert "3 problems." in out


def test_a_mapping_on_the_command_line(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [
        {"code" if name == "submission" else name: value for name, value in row.items()}
        for row in graded_rows(3, grade="A")
    ]
    (folder / "base/train.jsonl").write_bytes(jsonl(rows))
    assert cli.main(["check", "-w", str(folder)]) == 1
    assert 'columns = {submission = "code"}' in printed(capsys)
    assert cli.main(["check", "-w", str(folder), "--set", "data.columns.submission=code"]) == 0


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ('grades = ["A"]', "is not a scale"),
        ('grades = ["A", " a"]', "is not a scale"),
        ("grades = 5", "a list of texts"),
        ('[data.columns]\nsubmision = "x"', "Did you mean submission?"),
        ('[data.columns]\nsubmission = ""', "names no column"),
        ('[data.columns]\nsubmission = ["x"]', "is not allowed"),
    ],
)
def test_wrong_scales_and_mappings_are_settings_problems(
    folder: Path, capsys: pytest.CaptureFixture[str], line: str, told: str
) -> None:
    (folder / "config.toml").write_text(f"[grading]\n{line}\n")
    assert cli.main(["check", "-w", str(folder)]) == 2
    assert told in capsys.readouterr().err


def test_an_older_run_minds_new_settings_only_where_they_differ_from_their_defaults(folder: Path) -> None:
    (folder / "config.toml").write_text("")
    loaded = load(folder, environment={})
    facts = {
        "data": {"batches": [], "holdout": {"fingerprint": ""}},
        "model": {"source": "", "files": {}, "revision": ""},
    }
    now = manifest.build(loaded, **facts)
    written = json.loads(manifest.encode(now))
    del written["settings"]["grading"]["grades"]
    del written["settings"]["data"]["columns"]
    before = msgspec.convert(written, manifest.RunManifest)
    assert manifest.differences(before, now) == []
    other = manifest.build(load(folder, overrides=["data.columns.submission=code"], environment={}), **facts)
    assert manifest.differences(before, other) == ["data.columns was {} and is {'submission': 'code'}"]


def test_without_rows_the_model_is_not_asked_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["init", str(tmp_path)]) == 0
    printed(capsys)
    assert cli.main(["check", "-w", str(tmp_path), "--set", "model.name=missing/folder/of/a/model"]) == 1
    out = printed(capsys)
    assert "is an empty folder" in out
    assert "missing/folder" not in out
    assert "1 problem." in out


@pytest.mark.parametrize("width", [60, 80, 300])
def test_no_name_of_a_file_is_broken(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    name = "a_file_with_a_name_that_takes_half_of_a_line.jsonl"
    (folder / "base" / "train.jsonl").rename(folder / "base" / name)
    with (folder / "base" / name).open("ab") as file:
        file.write(jsonl([graded(40, grade="E")]))
    assert cli.main(["check", "-w", str(folder)]) == 1
    out = printed(capsys)
    assert f"problem: {folder}/base/{name}:7" in out
    assert "the grade is 'E'" in " ".join(out.split())
    monkeypatch.chdir(folder)
    assert cli.main(["check"]) == 1
    assert f"problem: base/{name}:7" in printed(capsys)


def test_json_has_every_figure_of_the_text_and_of_a_sealed_set_its_size_alone(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "sealed").mkdir()
    (folder / "sealed/test.jsonl").write_bytes(jsonl([graded(200, grade="A"), graded(201, grade="F")]))
    words = ["check", "-w", str(folder), "--set", "paths.test=sealed"]
    assert cli.main(words) == 0
    text = printed(capsys)
    assert cli.main([*words, "--json"]) == 0
    found = json.loads(printed(capsys))
    assert found["workspace"] == str(folder)
    base, holdout, test = found["sets"]
    assert (base["set"], base["rows"], base["rows_so_far"]) == ("training", 6, 6)
    assert base["grades"] == {"F": 1, "C": 1, "B": 1, "A": 3}
    assert (holdout["set"], holdout["rows"], holdout["rows_so_far"]) == ("holdout", 2, None)
    assert (test["set"], test["rows"], test["grades"], test["longest_characters"]) == ("test", 2, None, None)
    for one in found["sets"]:
        assert len(one["fingerprint"]) == 64
        assert f"│ {one['fingerprint'][:12]} │" in text
        assert one["longest_characters"] is None or f"│ {one['longest_characters']} " in text
    assert list(base) == list(holdout) == list(test)
    assert found["notes"]
    assert found["problems"] == []


def test_json_has_the_lengths_in_tokens(
    workspace_factory: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    root = workspace_factory(rows=8)
    assert cli.main(["check", "-w", str(root)]) == 0
    text = printed(capsys)
    assert cli.main(["check", "-w", str(root), "--json"]) == 0
    tokens = json.loads(printed(capsys))["tokens"]
    said = "tokens per row: median {median}, longest {longest}, at most {most}."
    assert said.format(**tokens) in " ".join(text.split())
