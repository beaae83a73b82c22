"""``grade``: what it prints, what it keeps, how it goes on, and what it says to wrong use."""

import csv
import io
import json
import os
import select
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from engine_helpers import Command, holdout_file, states, wait_until

from opeddev_tui import cli
from opeddev_tui.serving.grader import Grader
from opeddev_tui.serving.loaded import LoadedModels
from opeddev_tui.serving.results import ResultsFile
from opeddev_tui.serving.streams import Stream

Told = pytest.CaptureFixture[str]
RUBRIC = "Layout. Naming. Colours"


@pytest.fixture(autouse=True)
def _narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")


@pytest.fixture(scope="module", autouse=True)
def _loaded_once() -> Iterator[None]:
    """Keep models in memory from one call to the next: loading is tested once, in a process of its own."""
    kept: dict[str, LoadedModels] = {}
    real = LoadedModels.__init__

    def once(self: LoadedModels, *arguments: object, **options: object) -> None:
        key = f"{arguments[1]}{arguments[2]}{options}"
        if key not in kept:
            real(self, *arguments, **options)  # type: ignore[arg-type]
            kept[key] = self
        self.__dict__.update(kept[key].__dict__)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(LoadedModels, "__init__", once)
        yield


def grade(root: Path, *words: str | Path) -> int:
    return cli.main(["grade", "-w", str(root), *map(str, words)])


def lines(text: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in text.splitlines()]


@pytest.fixture
def files(tmp_path: Path) -> Path:
    folder = tmp_path / "work"
    folder.mkdir()
    for number, word in enumerate(("page", "button button", "menu menu menu", "table", "page menu")):
        (folder / f"{number}.html").write_text(f"<b>{word}</b>")
    (folder / "4.html").write_text("")
    return folder


def test_the_table_fits_80_columns_and_says_what_came_out(grader_root: Path, files: Path, capsys: Told) -> None:
    assert grade(grader_root, files) == 0
    told = capsys.readouterr()
    assert max(map(len, told.out.splitlines())) <= 80
    words = " ".join(told.out.split())
    for name in ("0.html", "4.html"):
        assert name in words
    assert "there is no submission to grade: it is empty." in words
    assert "5 submissions by " in words
    assert "Graded by a small model (head) on top of the" in words
    assert "sure: the probability that the grade is within one grade of a person's." in words
    assert "Without a grade: 1." in words
    assert f"Assumed for 4: rubric: {RUBRIC} (the commonest of the training rows)" in words
    assert "Agreement" not in words


def test_the_holdouts_grades_are_the_apps_figures(grader_root: Path, capsys: Told) -> None:
    assert grade(grader_root, "--json", holdout_file(grader_root)) == 0
    told = capsys.readouterr()
    found = lines(told.out)
    race = states(grader_root)[-1].races[1]
    chosen = next(way for way in race.ways if way.way == race.chosen)
    assert [item["id"] for item in found] == list(race.ids)
    assert [str(item["grade"]) for item in found] == list(chosen.grades)
    words = " ".join(told.err.split())
    assert f"Agreement with people on {len(found)}" in words
    kappa = chosen.figures["kappa"]
    assert kappa.value is not None
    assert f"quadratic weighted kappa {kappa.value:.2f} ({kappa.low:.2f} to {kappa.high:.2f})" in words


def test_json_has_every_field_that_is_documented(grader_root: Path, files: Path, capsys: Told) -> None:
    assert grade(grader_root, "--json", "--feedback", "--rubric", "Be kind.", files / "0.html", files / "4.html") == 0
    first, empty = lines(capsys.readouterr().out)
    documented = (Path(__file__).parents[2] / "docs/json.md").read_text().partition("## `grade --json`")[2]
    for name in first:
        assert f"`{name}`" in documented, name
    assert str(first["file"]).endswith("0.html")
    assert isinstance(first["grade"], int)
    assert sum(first["probabilities"].values()) == pytest.approx(1, abs=1e-4)  # type: ignore[attr-defined]
    assert first["feedback"]
    assert first["assumed"]["rubric"] == "Be kind. (--rubric)"  # type: ignore[index]
    assert (empty["grade"], empty["ask"], empty["feedback"]) == (None, True, None)
    base = str(first["way"]).startswith("base")
    assert str(first["graded_by"]).startswith("base model") if base else first["graded_by"] == first["checkpoint"]


def test_csv_has_a_line_per_submission_and_no_formula(grader_root: Path, tmp_path: Path, capsys: Told) -> None:
    (tmp_path / "a.jsonl").write_text(json.dumps({"id": "=cmd()", "submission": "<b>page</b>"}) + "\n")
    assert grade(grader_root, "--csv", tmp_path / "a.jsonl") == 0
    (row,) = csv.DictReader(io.StringIO(capsys.readouterr().out))
    assert row["id"] == "'=cmd()"
    assert row["grade"] in "12345"
    assert json.loads(row["probabilities"])


def test_the_exit_code_says_that_a_grade_is_below_the_limit(grader_root: Path, files: Path, capsys: Told) -> None:
    rows = holdout_file(grader_root)
    assert grade(grader_root, "--json", rows) == 0
    grades = [int(str(item["grade"])) for item in lines(capsys.readouterr().out)]
    assert grade(grader_root, "--fail-below", str(min(grades)), rows) == 0
    assert grade(grader_root, "--fail-below", "5", rows) == 8
    assert f"Below 5: {sum(item < 5 for item in grades)}." in capsys.readouterr().out
    # nothing shows that an empty file is good enough
    assert grade(grader_root, "--fail-below", "1", files / "4.html") == 8


# --- results that are kept


def graded_texts(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return a list that fills with the submissions that a model reads from now on."""
    seen: list[str] = []
    real = LoadedModels.answers

    def noted(self: LoadedModels, examples: list, rows: list) -> object:
        seen.extend(example.submission for example in examples)
        return real(self, examples, rows)

    monkeypatch.setattr(LoadedModels, "answers", noted)
    return seen


@pytest.mark.parametrize("ending", ["jsonl", "csv"])
def test_results_are_added_and_nothing_is_graded_twice(
    grader_root: Path, files: Path, capsys: Told, monkeypatch: pytest.MonkeyPatch, ending: str
) -> None:
    seen, out = graded_texts(monkeypatch), files.parent / f"out.{ending}"
    assert grade(grader_root, "--out", out, files) == 0
    whole = out.read_bytes()
    assert len(seen) == 4
    # killed while it wrote the last line
    out.write_bytes(whole[:-20])
    assert grade(grader_root, "--out", out, files) == 0
    assert len(seen) <= 5
    assert sorted(out.read_bytes().splitlines()) == sorted(whole.splitlines())
    (files / "5.html").write_text("<b>new</b>")
    assert grade(grader_root, "--out", out, files) == 0
    assert seen.count("<b>new</b>") == 1
    assert "5 of them were graded before." in capsys.readouterr().out
    count = len(seen)
    assert grade(grader_root, "--out", out, "--feedback", files / "0.html") == 0
    assert len(seen) == count + 1


def test_the_same_file_named_twice_is_graded_once_and_only_the_counts_are_shown(
    grader_root: Path, files: Path, capsys: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen, out = graded_texts(monkeypatch), files.parent / "out.jsonl"
    assert grade(grader_root, "--out", out, files / "0.html", files / "0.html", files) == 0
    assert len(seen) == 4
    assert len(lines(out.read_text())) == 5
    told = capsys.readouterr().out
    assert "2 of them were graded before." in told
    assert "0.html" not in told


def test_a_diff_without_source_code_is_below_no_limit(grader_root: Path, files: Path, capsys: Told) -> None:
    diff = files / "a.diff"
    diff.write_text("--- a/README.md\n+++ b/README.md\n@@ -1 +1 @@\n-a\n+b\n")
    assert grade(grader_root, "--fail-below", "5", diff) == 0
    assert "Left out: files that are no source code (1)." in capsys.readouterr().out
    # a folder without any is a mistake in its name
    (files.parent / "nothing").mkdir()
    assert grade(grader_root, "--fail-below", "5", diff, files.parent / "nothing") == 3


def test_grades_that_were_kept_count_for_the_limit_and_the_agreement(
    grader_root: Path, tmp_path: Path, capsys: Told
) -> None:
    out, rows = tmp_path / "out.jsonl", holdout_file(grader_root)
    first, second = (grade(grader_root, "--out", out, "--fail-below", "5", rows) for _ in range(2))
    assert first == second == 8
    told = capsys.readouterr().out
    tables = [part.split() for part in told.split("Agreement")[1:]]
    assert tables[0][: len(tables[1])] == tables[1]
    assert "12 of them were graded before." in told


def test_a_file_of_something_else_is_left_as_it_is(grader_root: Path, files: Path, capsys: Told) -> None:
    for name, content in (("a.jsonl", '{"my": "rows"}\n'), ("b.csv", "my,columns\n1,2\n"), ("c.jsonl", "text\n")):
        path = files.parent / name
        path.write_text(content)
        assert grade(grader_root, "--out", path, files) == 4
        assert path.read_text() == content
        assert "holds something else" in capsys.readouterr().err


def test_ctrl_c_keeps_what_is_done(
    grader_root: Path, files: Path, capsys: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, out = Grader.batches, files.parent / "out.jsonl"

    def interrupted(self: Grader, *arguments: object, **options: object) -> Iterator[list]:
        for number, batch in enumerate(real(self, *arguments, **options)):  # type: ignore[arg-type]
            yield batch
            if number == 1:
                os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(Grader, "batches", interrupted)
    words = ("--set", "grade.batch_size=1", "--out", out)
    assert grade(grader_root, *words, files) == 130
    assert "stopped: 2 are graded and kept in" in capsys.readouterr().err
    assert len(out.read_text().splitlines()) == 2
    monkeypatch.setattr(Grader, "batches", real)
    assert grade(grader_root, *words, files) == 0
    assert len(out.read_text().splitlines()) == 5


def test_a_pipe_gets_each_answer_before_it_writes_the_next_row(
    grader_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (rows, write_row), (answers, write_answer) = os.pipe(), os.pipe()
    seen: list[str] = []

    def ask() -> None:
        with open(write_row, "w") as asking, open(answers) as answered:
            for number in range(3):
                asking.write(json.dumps({"id": str(number), "submission": f"<b>{number}</b>"}) + "\n")
                asking.flush()
                # without an answer it gives up, and the command finds the end of its input
                if not select.select([answers], [], [], 60)[0]:
                    return
                seen.append(json.loads(answered.readline())["id"])

    asker = threading.Thread(target=ask, daemon=True)
    with open(rows) as standard_input, open(write_answer, "w") as standard_output:
        monkeypatch.setattr(sys, "stdin", standard_input)
        monkeypatch.setattr(sys, "stdout", standard_output)
        asker.start()
        assert grade(grader_root, "--json", "-") == 0
        asker.join()
    assert seen == ["0", "1", "2"]


def test_rows_of_a_file_are_answered_before_a_pipe_has_one(
    grader_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps({"id": name, "submission": f"<b>{name}</b>"}) + "\n" for name in "ab"))
    (rows, write_row), (answers, write_answer) = os.pipe(), os.pipe()
    heard = bytearray()

    def ask() -> None:
        with open(write_row, "w") as asking:
            for answered in (2, 3):
                while heard.count(b"\n") < answered:
                    # without an answer it gives up, and the command finds the end of its input
                    if not select.select([answers], [], [], 60)[0]:
                        return
                    heard.extend(os.read(answers, 1 << 16))
                if answered == 2:
                    asking.write(json.dumps({"id": "c", "submission": "<b>c</b>"}) + "\n")
                    asking.flush()

    asker = threading.Thread(target=ask, daemon=True)
    with open(rows) as standard_input, open(write_answer, "w") as standard_output:
        monkeypatch.setattr(sys, "stdin", standard_input)
        monkeypatch.setattr(sys, "stdout", standard_output)
        asker.start()
        assert grade(grader_root, "--json", path, "-") == 0
        asker.join()
    os.close(answers)
    assert [line["id"] for line in lines(heard.decode())] == ["a", "b", "c"]


def test_what_is_in_the_pipe_already_is_graded_together(grader_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = os.pipe()
    with open(writing, "w") as asking:
        asking.writelines(json.dumps({"id": str(at), "submission": f"<b>{at}</b>"}) + "\n" for at in range(100))
    together: list[int] = []
    real = Grader.batches

    def counted(self: Grader, submissions: Sequence[object], **options: object) -> Iterator[list]:
        together.append(len(submissions))
        return real(self, submissions, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(Grader, "batches", counted)
    with open(reading) as standard_input:
        monkeypatch.setattr(sys, "stdin", standard_input)
        assert grade(grader_root, "--json", "-") == 0
    assert together == [64, 36]


def test_ctrl_c_ends_the_waiting_for_a_row(grader_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = os.pipe()
    os.write(writing, b'{"id": "0", "submission": "<b>0</b>"}\n')
    out = tmp_path / "out.jsonl"

    def stop_once_it_waits(self: Stream) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        take(self)

    take = Stream._take
    with open(reading) as standard_input:
        monkeypatch.setattr(sys, "stdin", standard_input)
        answered = ResultsFile.add

        def add(self: ResultsFile, result: object) -> None:
            answered(self, result)  # type: ignore[arg-type]
            monkeypatch.setattr(Stream, "_take", stop_once_it_waits)

        monkeypatch.setattr(ResultsFile, "add", add)
        assert grade(grader_root, "--out", out, "-") == 130
    os.close(writing)
    assert len(out.read_text().splitlines()) == 1


# --- processes


def test_a_killed_process_is_gone_on_with_and_grades_no_file_twice(
    grader_root: Path, tmp_path: Path, capsys: Told
) -> None:
    folder, out = tmp_path / "many", tmp_path / "out.jsonl"
    folder.mkdir()
    for number in range(120):
        (folder / f"{number:03}.html").write_text(f"<b>page {number}</b>")
    words = ("--set", "grade.batch_size=1", "--out", str(out), str(folder))
    process = Command(["grade", "-w", str(grader_root), *words], tmp_path / "told")
    assert wait_until(lambda: out.exists() and out.read_bytes().count(b"\n") >= 10, process)
    assert process.kill_hard()
    kept = out.read_bytes().count(b"\n")
    assert grade(grader_root, *words) == 0
    assert f"{kept} of them were graded before." in capsys.readouterr().out
    names = [item["file"] for item in lines(out.read_text())]
    assert len(names) == len(set(names)) == 120


def test_a_reader_that_goes_ends_it_quietly(
    grader_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Told
) -> None:
    rows, seen = tmp_path / "rows.jsonl", graded_texts(monkeypatch)
    rows.write_text("".join(json.dumps({"id": f"{n}", "submission": f"<b>{n}</b>"}) + "\n" for n in range(200)))
    reading, writing = os.pipe()
    os.close(reading)
    with open(writing, "w") as gone:
        monkeypatch.setattr(sys, "stdout", gone)
        assert grade(grader_root, "--json", rows) == 0
    told = capsys.readouterr().err
    assert "Traceback" not in told
    assert "submissions by" not in told
    assert len(seen) < 200


# --- wrong use

Wrong = tuple[list[str], int, str]


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        ([], 2, "nothing is named to grade. Write: opeddev-tui grade -w"),
        (["--out", "-", "nothing.html"], 2, "--out -: results are kept in a file"),
        (["nothing.html"], 3, "does not exist"),
        (["0.html", "--fail-below", "9"], 2, "'9' is no grade here. Write a whole number from 1 to 5."),
        (["0.html", "--from", "step9"], 4, "no checkpoint is called step9"),
        (["0.html", "--rubric", "@nothing.md"], 2, "nothing.md cannot be read"),
        (["0.html", "--out", "."], 4, "is a folder. Name a file: --out"),
        (["logo"], 3, "there is nothing to grade. Left out:"),
        (["0.html", "--set", "grade.agreement=20"], 2, "at least 50"),
    ],
)
def test_wrong_use_is_one_sentence_with_place_and_cure(
    grader_root: Path,
    files: Path,
    capsys: Told,
    monkeypatch: pytest.MonkeyPatch,
    words: list[str],
    code: int,
    told: str,
) -> None:
    (files / "logo").mkdir()
    (files / "logo/a.png").touch()
    monkeypatch.chdir(files)
    assert grade(grader_root, *words) == code
    said = capsys.readouterr()
    assert told in " ".join(said.err.split())
    assert "Traceback" not in said.err
    assert said.out.count("\n") <= 1


def test_before_any_training_it_says_what_is_missing(
    workspace_factory: Callable[..., Path], files: Path, capsys: Told
) -> None:
    assert grade(workspace_factory(), files) == 5
    assert "no grade head on the base model is kept here" in capsys.readouterr().err


def test_a_checkpoint_of_version_0_1_grades_by_its_tokens(trained_workspace: Path, files: Path, capsys: Told) -> None:
    assert grade(trained_workspace, "--json", files / "0.html") == 0
    told = capsys.readouterr()
    (graded,) = lines(told.out)
    assert graded["way"] == "step tokens"
    assert graded["set"] == []
    assert "this checkpoint has no grade head" in told.err
    assert graded["ask"]
