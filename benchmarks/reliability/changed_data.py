"""Change batches, hold-out and journals behind the app's back, train on, and say what it told and what it kept.

``python changed_data.py --rounds 5``. Nothing is learnt here: the engine plans, refuses and records as always, and only
the model is left out. The same faults with a model, and those that need one, are tests.
"""

import argparse
import csv
import json
import os
import random
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import common  # noqa: F401 - puts the tests' helpers on the path
import engine_helpers as eh
import file_faults as faults
from recorded_training import Killed, MadeUpLearning, without_learning

from opeddev_tui.commands.status import status
from opeddev_tui.errors import DataProblem, Problem, TrainingProblem
from opeddev_tui.runs.history import list_runs
from opeddev_tui.runs.journal import JOURNAL_NAME
from opeddev_tui.runs.metrics_csv import table_name


class Workspace:
    """A workspace with three trained steps, and what must stay as it is whatever happens."""

    def __init__(self, root: Path, draw: random.Random) -> None:
        self.root, self.draw = root, draw
        self.runs = [record.state.begun for record in list_runs(eh.workspace_of(root))]
        self.tables = {table_name(run): self.table(table_name(run)) for run in self.runs}

    def table(self, name: str) -> bytes:
        """Return the content of a metrics table."""
        return eh.workspace_of(self.root).metrics_csv(name).read_bytes()

    def batch(self, number: int) -> Path:
        """Return the folder of an increment."""
        return eh.batch_file(self.root, number).parent

    def add(self, name: str, rows: int = 2) -> Path:
        """Add a batch of new rows."""
        folder = self.batch(1).parent / name
        eh.write_rows(folder / "rows.jsonl", eh.make_rows(rows, f"{name} {self.draw.random()}"))
        return folder

    def status(self) -> dict[str, object]:
        """Return the status."""
        return status(eh.workspace_of(self.root), eh.settings_of(self.root))

    @property
    def notes(self) -> str:
        """What the status says besides its tables."""
        return " ".join(self.status()["notes"])  # type: ignore[arg-type]

    def train(self, which: str = "all", **more: object) -> list[str]:
        """Train without a model."""
        with without_learning():
            return eh.train(self.root, which, **more)  # type: ignore[arg-type]

    def kill(self, **more: object) -> None:
        """Begin to train, and die after the first epoch."""
        with without_learning():
            MadeUpLearning.die_after = 1
            try:
                eh.train(self.root, **more)  # type: ignore[arg-type]
            except Killed:
                journal, content = MadeUpLearning.left or (Path(), b"")
                journal.write_bytes(content)

    def journal(self, at: int) -> Path:
        """Return a journal; -1: the newest."""
        return list_runs(eh.workspace_of(self.root))[at].folder / JOURNAL_NAME

    def kept(self) -> None:
        """Check that no table of an earlier step was touched and that every table is of one step."""
        for name, content in self.tables.items():
            assert self.table(name) == content, f"{name} was overwritten"
        for path in (self.root / "logs").glob("metrics_step_*.csv"):
            steps = {row["step"] for row in csv.DictReader(path.read_text().splitlines())}
            assert len(steps) == 1, f"{path.name} has rows of steps {steps}"


def trained(work: Workspace, number: int) -> list[str]:
    """Check that exactly one more step was trained, called ``number``; return the names of its batches."""
    (run,) = work.train()
    started = list_runs(eh.workspace_of(work.root))[-1].state.begun
    assert started.step == number, f"step {started.step} was trained, not {number}"
    assert started.run == run
    assert work.train() == []
    work.kept()
    return [batch.name for batch in started.batches]


def _if_told(problem: Problem, words: str, seen: str) -> str:
    if words not in str(problem):
        raise AssertionError(f"{words!r} is not in: {problem}")
    return seen


# --- the faults: each returns what was seen, and raises where something is wrong


def removed(work: Workspace) -> str:
    shutil.rmtree(work.batch(1))
    assert "batch_100_01 (3 rows), which step 1 trained, is not there any more" in work.notes
    work.add("batch_100_09")
    assert trained(work, 3) == ["base", "batch_100_02", "batch_100_09"]
    return "named; the next batch is step 3"


def inserted(work: Workspace) -> str:
    work.add("batch_100_01b")
    assert "was put between trained batches: it is step 3" in work.notes
    assert trained(work, 3)[-1] == "batch_100_01b"
    return "named; trained next, as step 3, on all rows"


def renamed(work: Workspace) -> str:
    work.batch(1).rename(work.batch(1).with_name("batch_900"))
    assert "was called batch_100_01 when step 1 trained it" in work.notes
    assert work.train() == []
    return "named; nothing is trained again"


def swapped(work: Workspace) -> str:
    aside = work.batch(1).with_name(".aside")
    work.batch(1).rename(aside)
    work.batch(2).rename(work.batch(1))
    aside.rename(work.batch(2))
    assert work.notes.count("was called") == 2
    assert work.train() == []
    return "both named; nothing is trained again"


def changed(work: Workspace) -> str:
    eh.write_rows(eh.batch_file(work.root, 1), eh.make_rows(4, "other rows"))
    assert "has changed since step 1 trained it (3 rows then)" in work.notes
    assert trained(work, 3) == ["base", "batch_100_02", "batch_100_01"]
    return "named; its rows are step 3, with a table of its own"


def changed_base(work: Workspace) -> str:
    eh.write_rows(eh.base_file(work.root), eh.make_rows(5, "other base"))
    assert "Batch base has changed" in work.notes
    assert trained(work, 3)[-1] == "base"
    return "named; its rows are step 3, with a table of its own"


def put_back(work: Workspace) -> str:
    content = eh.batch_file(work.root, 1).read_bytes()
    changed(work)
    eh.batch_file(work.root, 1).write_bytes(content)
    steps = {step["step"]: step["change"] for step in work.status()["steps"]}  # type: ignore[attr-defined]
    assert steps[1] is None
    assert steps[3] == "not there any more"
    assert work.train() == []
    return "the step that it was"


def called_base(work: Workspace) -> str:
    work.add("base")
    assert trained(work, 3)[-1] == "base"
    return "trained; metrics_step_base.csv untouched"


def copied(work: Workspace) -> str:
    shutil.copytree(work.batch(1), work.batch(1).with_name("batch_100_03"))
    assert trained(work, 3)[-1] == "batch_100_03"
    return "a step of its own; the repeated rows are a note"


def other_order(work: Workspace) -> str:
    lines = eh.batch_file(work.root, 1).read_bytes().splitlines(keepends=True)
    eh.batch_file(work.root, 1).write_bytes(b"".join(reversed(lines)))
    assert "batch_100_01 has changed" in work.notes
    return "named as changed"


def other_line_ends(work: Workspace) -> str:
    path = eh.batch_file(work.root, 1)
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    assert work.notes == ""
    assert work.train() == []
    return "the same rows: nothing is trained again"


def other_template(work: Workspace) -> str:
    config = work.root / "config.toml"
    config.write_text(config.read_text().replace("{task} {submission}", "{task}: {submission}"))
    assert work.notes == ""
    assert work.train("next") == []
    return "the same rows: nothing is trained again"


def behind_a_link(work: Workspace) -> str:
    target = work.root.parent / "elsewhere"
    shutil.rmtree(target, ignore_errors=True)
    shutil.move(work.batch(1), target)
    work.batch(1).symlink_to(target)
    assert work.notes == ""
    return "the same rows: nothing is trained again"


def odd_names(work: Workspace) -> str:
    for number, name in enumerate(("ä" * 100, "a b", "a-b", "a:b"), 3):
        work.add(name)
        assert trained(work, number)[-1] == name
    names = [table_name(record.state.begun) for record in list_runs(eh.workspace_of(work.root))]
    assert len(set(names)) == len(names)
    return "each with a table of its own"


def interrupted_and_renamed(work: Workspace) -> str:
    work.add("batch_100_03")
    work.kill()
    work.batch(3).rename(work.batch(3).with_name("later"))
    runs = len(list_runs(eh.workspace_of(work.root)))
    work.train()
    assert len(list_runs(eh.workspace_of(work.root))) == runs
    work.kept()
    return "resumed"


def interrupted_and_removed(work: Workspace) -> str:
    work.add("batch_100_03")
    work.kill()
    shutil.rmtree(work.batch(1))
    try:
        work.train()
    except TrainingProblem as problem:
        return _if_told(problem, "batch batch_100_01 is not there any more", "refused, with the name")
    raise AssertionError("it was resumed on other rows")


def interrupted_branch(work: Workspace) -> str:
    work.kill(which="1", new=True)
    assert work.status()["next_step"] == {"step": 1, "batch": "batch_100_01"}
    (run,) = work.train()
    assert list_runs(eh.workspace_of(work.root))[-1].id == run
    assert all(record.state.finished for record in list_runs(eh.workspace_of(work.root)))
    return "resumed before anything new (in 0.1: never)"


def other_holdout(work: Workspace) -> str:
    eh.write_rows(eh.holdout_file(work.root), eh.make_rows(3, "another hold-out"))
    work.add("batch_100_03")
    try:
        work.train()
    except DataProblem as problem:
        _if_told(problem, "Restore it, or delete .specs/holdout.json", "refused")
    else:
        raise AssertionError("it was scored on another hold-out")
    eh.workspace_of(work.root).holdout_record.unlink()
    work.train()
    assert "Steps 0, 1, 2 were scored on another hold-out than step 3" in work.notes
    with without_learning():
        faults.command("report", "-w", str(work.root))
    report = (work.root / ".specs/plots/report.md").read_text()
    assert "One step on" in report
    assert "were scored on another hold-out" in report
    return "refused; after the cure no figure joins the two, and status, report and screen say where the other begins"


def damaged_record(work: Workspace) -> str:
    record = eh.workspace_of(work.root).holdout_record
    record.write_bytes(work.draw.choice((b"", b"[]", b"{}", b"\xff", b"[" * 90_000)))
    eh.write_rows(eh.holdout_file(work.root), eh.make_rows(2, "another hold-out"))
    work.add("batch_100_03")
    try:
        work.train()
    except DataProblem:
        return "still refused: the newest run says which hold-out it was"
    raise AssertionError("the guard was off")


def flipped_bit(work: Workspace) -> str:
    path = work.journal(work.draw.randrange(3))
    content = bytearray(path.read_bytes())
    content[work.draw.randrange(len(content))] ^= 0x80
    path.write_bytes(bytes(content))
    assert "line of its journal cannot be read" in work.notes
    work.add("batch_100_09")
    work.train()
    assert len(list_runs(eh.workspace_of(work.root))) >= 4
    return "that run is named, everything else works"


def joined_lines(work: Workspace) -> str:
    path = work.journal(1)
    content = bytearray(path.read_bytes())
    content[content.index(b"\n")] ^= 0x04
    path.write_bytes(bytes(content))
    assert "1 line of its journal cannot be read" in work.notes
    assert [step["trained"] for step in work.status()["steps"]] == [True] * 3  # type: ignore[attr-defined]
    return "named; what began the run is taken from its manifest"


def lost_beginning_of_an_unfinished_run(work: Workspace) -> str:
    work.add("batch_100_03")
    work.kill()
    path = work.journal(-1)
    path.write_bytes(b"\xff" + path.read_bytes()[1:])
    work.train()
    state = list_runs(eh.workspace_of(work.root))[-1].state
    assert state.status == "finished"
    assert "damaged" not in str(json.loads(json.dumps(work.status()["next_step"])))
    return "resumed; the journal has its beginning again"


def journal_that_is_no_file(work: Workspace) -> str:
    path = work.journal(2)
    path.unlink()
    os.mkfifo(path)
    assert "its journal cannot be read: it is a pipe, not a file" in work.notes
    return "named, never waited for"


def lost_journal(work: Workspace) -> str:
    work.journal(2).unlink()
    assert "its journal is missing or empty" in work.notes
    return "named"


def lost_manifests(work: Workspace) -> str:
    for path in eh.workspace_of(work.root).runs.glob("*/manifest.json"):
        path.unlink()
    assert work.train() == []
    return "the journal says the same"


FAULTS: dict[str, Callable[[Workspace], str]] = {
    "a batch removed": removed,
    "a batch inserted between trained ones": inserted,
    "a batch renamed": renamed,
    "two batches swap their names": swapped,
    "a batch changed": changed,
    "the base set changed": changed_base,
    "a changed batch put back": put_back,
    "an increment called base": called_base,
    "a batch copied under another name": copied,
    "the rows of a batch in another order": other_order,
    "a batch saved with other line ends and a byte order mark": other_line_ends,
    "another prompt template after training": other_template,
    "a batch moved behind a link": behind_a_link,
    "names that make equal or too long file names": odd_names,
    "a batch renamed while its run is interrupted": interrupted_and_renamed,
    "an earlier batch removed while a run is interrupted": interrupted_and_removed,
    "a branch of a trained step interrupted": interrupted_branch,
    "the hold-out replaced": other_holdout,
    "the hold-out replaced and its record damaged": damaged_record,
    "one bit of a journal flipped": flipped_bit,
    "the first line end of a journal flipped": joined_lines,
    "the beginning of an interrupted run lost": lost_beginning_of_an_unfinished_run,
    "a pipe in place of a journal": journal_that_is_no_file,
    "a journal deleted": lost_journal,
    "all manifests deleted": lost_manifests,
}


def main() -> int:
    """Try every fault in every round; print the table and return 1 if one was not met as it should be."""
    parser = argparse.ArgumentParser(allow_abbrev=False, description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="opeddev-changed-"))
    whole = faults.make_workspace(folder / "workspace")
    shutil.rmtree(eh.batch_file(whole, 3).parent)
    kept = folder / "kept"
    shutil.move(whole, kept)
    failed = 0
    print("| fault | tried | seen |\n| --- | --- | --- |")
    for name, fault in FAULTS.items():
        seen, good = "", 0
        for turn in range(options.rounds):
            shutil.rmtree(whole, ignore_errors=True)
            shutil.copytree(kept, whole, symlinks=True)
            try:
                seen, good = fault(Workspace(whole, random.Random(turn))), good + 1
            except (AssertionError, Problem, ValueError) as error:
                seen = f"FAILED: {type(error).__name__}: {error}"
                failed += 1
                break
        print(f"| {name} | {options.rounds} | {good} of {options.rounds}: {seen} |", flush=True)
    shutil.rmtree(folder, ignore_errors=True)
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
