"""``correct`` from the command line, and corrections as a batch of their own."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
import pytest
from engine_helpers import copy_workspace, journal_of, settings_of, states, train, workspace_of
from leftovers import ended

from opeddev_tui.cli import main
from opeddev_tui.config.settings import Settings
from opeddev_tui.data import corrected_answers, formats, sealed, sets
from opeddev_tui.data.batches import load_step
from opeddev_tui.data.raw_rows import FileRows
from opeddev_tui.runs import events as ev
from opeddev_tui.serving import worker
from opeddev_tui.serving.asked import Answer
from opeddev_tui.serving.corrected import ask_without_model, collected, keep_answer
from opeddev_tui.serving.submissions import Submissions
from opeddev_tui.serving.training_rows import base_rows
from opeddev_tui.serving.worker import work
from opeddev_tui.serving.worker_messages import Answered, Done, Failed, Request, Said, Stop


def test_two_corrections_are_the_next_step_and_close_their_batch(grader_root: Path, tmp_path: Path) -> None:
    root = copy_workspace(grader_root, tmp_path / "copy")
    page = tmp_path / "page.html"
    page.write_text("<b>a page with a menu of one's own</b>")
    assert main(["correct", str(page), "--grade", "2", "--feedback", "Naming: bad.", "-w", str(root)]) == 0
    fields = {"submission": "<b>button button table</b>", "kind": "html", "task": "Make it.", "rubric": "Layout"}
    keep_answer(workspace_of(root), settings_of(root), fields, Answer("5", rater="Ada"))
    assert collected(workspace_of(root), settings_of(root))[0] == "batch_corrections_01"
    train(root)
    state = states(root)[-1]
    assert state.started is not None
    assert (state.started.step, state.started.batch) == (1, "batch_corrections_01")
    assert state.started.batches[-1].rows == 2
    rows = {row for event in journal_of(root) if isinstance(event, ev.RowsTrained) for row in event.rows}
    # 40 rows of the base set, then the two
    assert {40, 41} <= rows
    name, left = collected(workspace_of(root), settings_of(root))
    assert (name, left) == ("batch_corrections_02", ())
    assert main(["correct", str(page), "--grade", "1", "-w", str(root)]) == 3


def test_what_the_row_of_a_correction_lacks_is_said(
    workspace_factory, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = workspace_factory(rows=4, holdout=2)
    page = tmp_path / "page.html"
    page.write_text("<b>a page</b>")
    told: dict[str, str] = {}
    for given in ("", "Make it."):
        assert main(["correct", str(page), "--grade", "3", f"--task={given}", "--rubric=R", "-w", str(root)]) == 0
        told[given] = " ".join(capsys.readouterr().out.split())
    assert "it has no task, so the model learns to grade it without." in told[""]
    assert "it has no" not in told["Make it."].replace("it has no feedback", "")


class Grading:
    """The process in which the app grades."""

    def __init__(self, root: Path, *options: str) -> None:
        command = [sys.executable, "-m", "opeddev_tui", "grade", "--worker", "alone", "-w", str(root), *options]
        self._child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=dict(os.environ))

    def __enter__(self) -> "Grading":
        return self

    def __exit__(self, *_: object) -> None:
        assert self._child.stdin is not None
        with ended(self._child):
            self._child.stdin.close()
            self._child.wait(timeout=60)

    def say(self, what: Request | Stop) -> None:
        assert self._child.stdin is not None
        self._child.stdin.write(msgspec.json.encode(what) + b"\n")
        self._child.stdin.flush()

    def until(self, *kinds: type) -> list[Said]:
        """Return what is said up to a message of ``kinds``."""
        assert self._child.stdout is not None
        heard: list[Said] = []
        for line in self._child.stdout:
            heard.append(msgspec.json.decode(line, type=Said))
            if isinstance(heard[-1], kinds):
                return heard
        raise AssertionError(f"the process ended after {heard}")

    @property
    def code(self) -> int:
        return self._child.returncode


@pytest.fixture(scope="module")
def grading(grader_root: Path) -> Iterator[Grading]:
    with Grading(grader_root) as child:
        yield child
    assert child.code == 0


def test_the_row_is_asked_as_the_grader_read_it(grading: Grading, grader_root: Path, tmp_path: Path) -> None:
    root = copy_workspace(grader_root, tmp_path / "copy")
    page = tmp_path / "page.html"
    page.write_text("<b>a page of its own</b>")
    grading.say(Request(id=1, path=str(page), given={"task": "Make a page."}))
    answer = next(said for said in grading.until(Done) if isinstance(said, Answered))
    keep_answer(workspace_of(root), settings_of(root), answer.fields, Answer("4", rater="Ada"))
    settings = settings_of(root)
    added = load_step(root, settings, None).examples[-1]
    (item,) = Submissions([str(page)], settings.data).items()
    asked = ask_without_model(settings, item, {"task": "Make a page."}, base_rows(workspace_of(root), settings))
    assert asked.example is not None
    assert added.prompt == asked.example.prompt
    assert added.prompt[-1].content.startswith("Make a page. ")
    assert (added.grade, added.rater, added.kind) == (4, "Ada", "html")
    assert answer.graded.grade


def test_the_apps_grader_answers_one_text_and_a_folder(grading: Grading, tmp_path: Path) -> None:
    for number in range(40):
        (tmp_path / f"page{number:02}.html").write_text(f"<b>page {number}</b>")
    (tmp_path / "empty.html").write_text("")
    grading.say(Request(id=1, text="<b>menu</b>", given={"kind": "html"}))
    heard = grading.until(Done, Failed)
    assert [said.graded.grade is not None for said in heard if isinstance(said, Answered)] == [True]
    grading.say(Request(id=2, path=str(tmp_path / "nothing.html")))
    assert isinstance(grading.until(Done, Failed)[-1], Failed)
    grading.say(Request(id=3, path=str(tmp_path)))
    heard = grading.until(Done)
    assert len({said.graded.file for said in heard if isinstance(said, Answered)}) == 41
    assert heard[-1] == Done(id=3, count=41)


def test_the_apps_grader_stops_and_answers_the_next_request(grading: Grading, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)

    def write() -> None:
        row = json.dumps({"submission": "<b>page</b>", "kind": "html"}).encode() + b"\n"
        with suppress(BrokenPipeError), pipe.open("wb", buffering=0) as file:
            while True:
                file.write(row)

    writer = threading.Thread(target=write, daemon=True)
    writer.start()
    grading.say(Request(id=4, path=str(pipe)))
    grading.until(Answered)
    grading.say(Stop())
    done = grading.until(Done)[-1]
    assert isinstance(done, Done)
    assert done.stopped
    assert done.count >= 1
    grading.say(Request(id=5, text="<b>menu</b>"))
    assert grading.until(Done)[-1] == Done(id=5, count=1)
    writer.join(timeout=30)


def test_the_apps_grader_answers_a_pipe_as_it_is_written_and_waits_for_none(grading: Grading, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    grading.say(Request(id=6, path=str(pipe)))
    with pipe.open("wb", buffering=0) as file:
        for number in range(3):
            file.write(json.dumps({"id": str(number), "submission": "<b>page</b>", "kind": "html"}).encode() + b"\n")
            said = grading.until(Answered, Done, Failed)[-1]
            assert isinstance(said, Answered)
            assert said.graded.id == str(number)
        # nothing more is written: a person stops
        grading.say(Stop())
        done = grading.until(Done, Failed)[-1]
    assert isinstance(done, Done)
    assert (done.stopped, done.count) == (True, 3)


def test_a_checkpoint_that_is_not_there_is_said(grader_root: Path) -> None:
    said: list[Said] = []
    reads, writes = os.pipe()
    os.close(writes)
    code = work(workspace_of(grader_root), settings_of(grader_root), "nonsense", reads, said.append, texts=False)
    failed = said[-1]
    assert isinstance(failed, Failed)
    assert "nonsense" in failed.words
    assert code == 4


def test_a_grader_without_room_beside_a_training_waits(grader_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[Said] = []
    reads, writes = os.pipe()
    os.close(writes)
    monkeypatch.setattr(worker, "_BESIDE_WEIGHTS", 1 << 60)
    place = workspace_of(grader_root)
    assert work(place, settings_of(grader_root), "", reads, said.append, texts=False, beside=True) == 1
    failed = said[-1]
    assert isinstance(failed, Failed)
    assert failed.waits
    assert "it waits until the training has ended" in failed.words


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["page.html"], 2, "no grade is named"),
        (["--grade", "3"], 2, "no file is named"),
        (["page.html", "--grade", "9"], 3, "'9' is not a grade here"),
        (["missing.html", "--grade", "3"], 3, "missing.html"),
        (["empty.html", "--grade", "3"], 3, "it is empty"),
        (["two.jsonl", "--grade", "3"], 3, "several submissions"),
        (["page.html", "--grade", "3", "--criterion", "layout"], 2, "names no area"),
        (["page.html", "--grade", "3", "--criterion", "layout=maybe"], 3, "Write pass or fail"),
        (["page.html", "--grade", "3", "--feedback", "@nothing"], 2, "cannot be read"),
        (["--undo"], 3, "no correction to undo"),
        (["page.html", "--undo"], 3, "page.html: there is no correction of it in batch_corrections_01"),
        (["page.html", "--undo", "--grade", "3"], 2, "--undo takes no grade"),
    ],
)
def test_wrong_use_is_one_sentence(
    workspace_factory,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    code: int,
    words: str,
) -> None:
    root = workspace_factory(rows=4, holdout=2)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "page.html").write_text("<b>a page</b>")
    (tmp_path / "empty.html").write_text("")
    row = json.dumps({"submission": "<b>a</b>"})
    (tmp_path / "two.jsonl").write_text(f"{row}\n{row}\n")
    assert main(["correct", *arguments, "-w", str(root)]) == code
    told = capsys.readouterr().err
    assert words in told
    assert len(told.strip().splitlines()) == 1


def test_corrections_are_listed_and_undone(
    workspace_factory,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    root = workspace_factory(rows=4, holdout=2)
    page = tmp_path / "page.html"
    page.write_text("<b>a page</b>")
    place = ["-w", str(root)]
    assert main(["correct", *place]) == 0
    assert "no corrections yet" in capsys.readouterr().out
    assert main(["correct", str(page), "--grade", "3", "--rater", "Ada", *place]) == 0
    told = capsys.readouterr().out
    assert "batch_corrections_01 (1 row)" in told
    assert "no feedback" in told
    assert main(["correct", *place]) == 0
    assert "Ada" in capsys.readouterr().out
    assert main(["status", *place]) == 0
    assert "batch_corrections_01" in capsys.readouterr().out
    assert main(["correct", "--undo", *place]) == 0
    assert "undone" in capsys.readouterr().out
    assert main(["status", *place]) == 0
    assert "batch_corrections_01" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("area", "words"),
    [
        ("Layout", ""),
        ("Layuot", "'Layuot' is a new area: no row has it yet. Did you mean Layout?"),
        ("layout", "'layout' is a new area: no row has it yet. Did you mean Layout?"),
        ("Xyz", "'Xyz' is a new area: no row has it yet. The areas are:"),
    ],
)
def test_an_area_that_no_row_has_is_kept_with_a_note(
    grader_root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], area: str, words: str
) -> None:
    root = copy_workspace(grader_root, tmp_path / "copy")
    page = tmp_path / "page.html"
    page.write_text("<b>a page with a menu of one's own</b>")
    assert main(["correct", str(page), "--grade", "2", "--criterion", f"{area}=fail", "-w", str(root)]) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert (words in told) if words else ("new area" not in told)
    assert collected(workspace_of(root), settings_of(root))[1][0].fields["criteria"] == {area: "fail"}


def test_each_batch_is_read_once_for_a_correction_however_much_it_names(
    grader_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = copy_workspace(grader_root, tmp_path / "copy")
    fields = {"submission": "<b>one</b>", "kind": "html", "task": "Make it.", "rubric": "Layout"}
    keep_answer(workspace_of(root), settings_of(root), fields, Answer("4"))
    read: list[str] = []
    load = sets.load_batch

    def counted(batch: sets.Batch, settings: Settings, files: FileRows | None = None) -> sets.LoadedBatch:
        read.append(batch.name)
        return load(batch, settings, files)

    for module in (corrected_answers, sets):
        monkeypatch.setattr(module, "load_batch", counted)
    given = Answer("3", criteria={"Naming": "fail", "A new one": "pass"})
    kept = keep_answer(workspace_of(root), settings_of(root), {**fields, "submission": "<b>two</b>"}, given)
    assert "'A new one' is a new area" in " ".join(kept.notes)
    batches = [name for name in read if name not in (sets.HOLDOUT, sealed.TEST)]
    assert sorted(batches) == ["base", "batch_corrections_01"]


def test_the_command_reads_the_files_of_each_set_once(
    workspace_factory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = workspace_factory(rows=4, holdout=2)
    page = tmp_path / "page.html"
    read: list[Path] = []
    split = formats.read_split

    def counted(path: Path, *given: Any, **named: Any) -> FileRows:
        read.append(path)
        return split(path, *given, **named)

    for number in range(2):
        page.write_text(f"<b>page {number} of its own</b>")
        monkeypatch.setattr(formats, "read_split", counted)
        assert main(["correct", str(page), "--grade", "3", "-w", str(root)]) == 0
    names = [path.name for path in read]
    assert names.count("processed_webdev_coding") == names.count("holdout_webdev_coding") == 2
    assert names.count("batch_corrections_01.jsonl") == 1


def test_the_correction_of_a_file_is_undone_by_the_task_that_is_named(
    workspace_factory, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = workspace_factory(rows=4, holdout=2)
    page = tmp_path / "page.html"
    place = [str(page), "-w", str(root)]
    page.write_text("<b>a page</b>")
    for grade, task in (("2", "Make it."), ("3", "Centre it."), ("4", "")):
        assert main(["correct", "--grade", grade, *(["--task", task] if task else []), *place]) == 0
    assert main(["correct", "--undo", *place]) == 3
    told = capsys.readouterr().err
    assert "it has 3 corrections: grade 2 (task: Make it.); grade 3 (task: Centre it.); grade 4 (task: none)" in told
    assert '--task TEXT ("" for none)' in told
    for named, grades in (("Centre it.", ["2", "4"]), ("", ["2"])):
        assert main(["correct", "--undo", "--task", named, *place]) == 0
        assert [item.grade for item in collected(workspace_of(root), settings_of(root))[1]] == grades
    # no other is there: it need not be named
    assert main(["correct", "--undo", *place]) == 0
    assert "grade 2 is undone" in " ".join(capsys.readouterr().out.split())
