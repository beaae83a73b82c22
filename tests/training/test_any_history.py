"""Any sequence of adding, removing, renaming and changing batches, training, kills, resumes, repetitions and branches.

After each of them, status, report and metrics tables agree with a model of what was trained, which knows nothing of
how the app finds out.
"""

import csv
import os
import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import engine_helpers as eh
import hypothesis
import pytest
from hypothesis import strategies
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from recorded_training import EPOCHS, Killed, MadeUpLearning, without_learning

from opeddev_tui.checkpoints.catalog import list_entries
from opeddev_tui.commands.status import status
from opeddev_tui.data.batch_names import natural
from opeddev_tui.errors import TrainingProblem
from opeddev_tui.reports.content import collect
from opeddev_tui.runs.history import list_runs
from opeddev_tui.runs.metrics_csv import table_name

NAMES = ("batch_100_1", "batch_100_2", "batch_100_10", "base", "other set", "äöü")
EXAMPLES = int(os.environ.get("OPEDDEV_HISTORIES", "12"))


@dataclass
class Trained:
    """What the model knows of one step: the batch it adds, what its runs trained on, how they ended."""

    name: str
    content: int
    data: list[int] = field(default_factory=list)
    finished: bool = False
    # of the newest run
    newest_data: list[int] = field(default_factory=list)
    newest_finished: bool = False
    newest_losses: list[float] = field(default_factory=list)
    table: str = ""


class Histories(RuleBasedStateMachine):
    """The model: ``present`` are batches by name, each with the number of its content; ``steps`` what was trained."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="histories-"))
        self.root = self.folder / "workspace"
        self.contents = 0
        self.base = 0
        self.present: dict[str, int] = {}
        self.steps: dict[int, Trained] = {}
        self.newest: int | None = None
        self.patched = without_learning()
        self.patched.__enter__()

    def teardown(self) -> None:
        self.patched.__exit__(None, None, None)
        shutil.rmtree(self.folder, ignore_errors=True)

    # --- the folders

    def rows(self, content: int) -> list[dict[str, object]]:
        return [{"prompt": f"{content} {row}", "completion": f"{content}/{row}"} for row in range(1 + content % 3)]

    def new_content(self) -> int:
        self.contents += 1
        return self.contents

    def place(self, name: str) -> Path:
        return self.root / "datasets/incremental" / name

    def write(self, name: str, content: int) -> None:
        self.present[name] = content
        eh.write_rows(self.place(name) / "rows.jsonl", self.rows(content))

    @initialize()
    def begin(self) -> None:
        eh.make_workspace(self.root, self.root / "model", rows=0, holdout=0)
        (self.root / "model").mkdir()
        eh.write_rows(eh.holdout_file(self.root), [{"prompt": "held out", "completion": "never trained"}])
        self.change_base()

    @rule()
    def change_base(self) -> None:
        self.base = self.new_content()
        eh.write_rows(eh.base_file(self.root), self.rows(self.base))

    @rule(name=strategies.sampled_from(NAMES))
    def add_or_change(self, name: str) -> None:
        self.write(name, self.new_content())

    @rule(name=strategies.sampled_from(NAMES))
    def remove(self, name: str) -> None:
        if self.present.pop(name, None) is not None:
            shutil.rmtree(self.place(name))

    @rule(one=strategies.sampled_from(NAMES), two=strategies.sampled_from(NAMES))
    def rename_or_swap(self, one: str, two: str) -> None:
        if one not in self.present or one == two:
            return
        content, other = self.present.pop(one), self.present.pop(two, None)
        self.write(two, content)
        if other is None:
            shutil.rmtree(self.place(one))
        else:
            self.write(one, other)

    @rule(number=strategies.integers(0, 9), name=strategies.sampled_from(NAMES))
    def put_back_what_a_step_trained(self, number: int, name: str) -> None:
        record = self.steps.get(number)
        if record is not None and record.content not in [self.base, *self.present.values()]:
            self.write(name, record.content)

    # --- the model

    def folders(self) -> list[tuple[str, int]]:
        ordered = sorted(self.present, key=lambda name: (natural(name), name))
        return [("base", self.base), *((name, self.present[name]) for name in ordered)]

    def numbered(self) -> dict[int, tuple[str, int]]:
        """Return (name, content) of what is there, by step; several steps may have had one content, one has it now."""
        left = self.folders()
        found: dict[int, tuple[str, int]] = {}
        for exact in (True, False):
            for number, record in sorted(self.steps.items()):
                fits = [item for item in left if item[1] == record.content and (item[0] == record.name or not exact)]
                if number not in found and fits:
                    found[number] = fits[0]
                    left.remove(fits[0])
        for number, record in sorted(self.steps.items()):
            fits = [item for item in left if item[0] == record.name]
            if number not in found and fits and not record.finished:
                found[number] = fits[0]
                left.remove(fits[0])
        first = max(self.steps, default=-1) + 1
        return {**found, **{first + at: item for at, item in enumerate(left)}}

    def next(self) -> int | None:
        there = self.numbered()
        newest = self.steps.get(self.newest) if self.newest is not None else None
        if newest is not None and newest.finished and not newest.newest_finished and self.newest in there:
            return self.newest
        return next((number for number in sorted(there) if not self.is_finished(number)), None)

    def is_finished(self, number: int) -> bool:
        return number in self.steps and self.steps[number].finished

    def data_of(self, number: int) -> list[int]:
        there = self.numbered()
        return [there[step][1] for step in sorted(there) if step <= number]

    # --- training

    def train(self, which: str, *, die_after: int | None = None, new: bool = False, start_from: str = "") -> list[str]:
        MadeUpLearning.die_after = die_after
        try:
            return eh.train(self.root, which, new=new, start_from=start_from)
        except Killed:
            assert MadeUpLearning.left is not None
            journal, content = MadeUpLearning.left
            journal.write_bytes(content)
            return []
        finally:
            MadeUpLearning.die_after = None

    def learnt(self, number: int, *, finished: bool) -> None:
        """Take into the model what a training of step ``number`` did."""
        name, content = self.numbered()[number]
        data, before = self.data_of(number), self.steps.get(number)
        record = before or Trained(name, content)
        resumed = before is not None and not before.newest_finished and before.newest_data == data
        losses = self.losses_of_newest()
        if resumed:
            assert losses[: len(record.newest_losses)] == record.newest_losses
        if finished or not record.finished:
            record.name, record.content, record.data = name, content, data
        record.finished = record.finished or finished
        record.newest_data, record.newest_finished, record.newest_losses = data, finished, losses
        started = list_runs(eh.workspace_of(self.root))[-1].state.begun
        record.table = table_name(started)
        self.steps[number], self.newest = record, number

    def losses_of_newest(self) -> list[float]:
        state = eh.states(self.root)[-1]
        return [row.val_loss for _, row in sorted(state.epochs.items())]

    @rule(die_after=strategies.sampled_from([None, None, 0, 1, EPOCHS]))
    def train_next(self, die_after: int | None) -> None:
        number = self.next()
        if number is None:
            assert self.train("next") == []
            return
        record = self.steps.get(number)
        goes_on = record is not None and not record.newest_finished
        if goes_on and record is not None and record.newest_data != self.data_of(number):
            with pytest.raises(TrainingProblem, match="cannot be resumed exactly"):
                self.train("next")
            return
        if goes_on and record is not None and die_after is not None and die_after < len(record.newest_losses):
            die_after = None
        self.train("next", die_after=die_after)
        self.learnt(number, finished=die_after is None)

    @rule(choice=strategies.integers(0, 9), die_after=strategies.sampled_from([None, 1]), best=strategies.booleans())
    def branch(self, choice: int, die_after: int | None, best: bool) -> None:
        """Train a step again as a new run, from a checkpoint of any step."""
        entries = [entry for entry in list_entries(eh.workspace_of(self.root)) if entry.published and not entry.repeats]
        there = [number for number in sorted(self.numbered()) if number in self.steps]
        if not entries or not there:
            return
        number, entry = there[choice % len(there)], entries[choice % len(entries)]
        self.train(
            str(number), new=True, start_from="best" if best and number == 0 else entry.name, die_after=die_after
        )
        # a new run begins with nothing
        self.steps[number].newest_data = []
        self.learnt(number, finished=die_after is None)

    @precondition(lambda self: any(record.finished for record in self.steps.values()))
    @rule(choice=strategies.integers(0, 9))
    def repeat(self, choice: int) -> None:
        from opeddev_tui.training.reproduce import plan_repeat, repeat

        runs = [
            item for item in list_runs(eh.workspace_of(self.root)) if item.state.finished and not item.state.repeats
        ]
        chosen = runs[choice % len(runs)]
        before = self.tables()
        loaded = eh.loading.load(self.root, environment={})
        wanted = [item.fingerprint for item in chosen.state.begun.batches]
        there = {fingerprint for fingerprint in self.fingerprints() if fingerprint in wanted}
        if there != set(wanted):
            with pytest.raises(TrainingProblem):
                plan_repeat(eh.workspace_of(self.root), loaded, chosen.id)
            return
        planned = plan_repeat(eh.workspace_of(self.root), loaded, chosen.id)
        repeat(eh.workspace_of(self.root), planned, sink=eh.Seen(), control=eh.Control())
        assert self.tables() == before

    def fingerprints(self) -> list[str]:
        from opeddev_tui.data.batches import check_data

        return [item.fingerprint for item in check_data(self.root, eh.settings_of(self.root)).batches]

    def tables(self) -> dict[str, str]:
        return {path.name: path.read_text() for path in (self.root / "logs").glob("metrics_step_*.csv")}

    # --- what must always hold

    @invariant()
    def status_agrees(self) -> None:
        report = status(eh.workspace_of(self.root), eh.settings_of(self.root))
        there = self.numbered()
        expected = {number: name for number, (name, _) in there.items()}
        expected |= {
            number: self.steps[number].name for number in self.steps if number not in there and self.is_finished(number)
        }
        assert {step["step"]: step["batch"] for step in report["steps"]} == expected
        assert {step["step"]: step["trained"] for step in report["steps"]} == {
            number: self.is_finished(number) for number in expected
        }
        following = self.next()
        assert (report["next_step"] or {"step": None})["step"] == following
        gone = {step["step"] for step in report["steps"] if step["change"] and "any more" in step["change"]}
        changed = {step["step"] for step in report["steps"] if step["change"] and "changed since" in step["change"]}
        assert gone | changed == {number for number in expected if number not in there}
        assert report["problem"] is None

    @invariant()
    def tables_agree(self) -> None:
        tables = self.tables()
        begun = {record.table: (number, record) for number, record in self.steps.items()}
        assert tables.keys() == begun.keys()
        assert len(begun) == len(self.steps)
        for name, (number, record) in begun.items():
            rows = list(csv.DictReader(tables[name].splitlines()))
            assert {row["step"] for row in rows} == {str(number)}
            assert [float(row["val_loss"]) for row in rows] == pytest.approx(record.newest_losses, abs=1e-6)

    @invariant()
    def report_agrees(self) -> None:
        records = list_runs(eh.workspace_of(self.root))
        if not any(len(record.newest_losses) > 1 for record in self.steps.values()):
            return
        found = collect(eh.workspace_of(self.root), records)
        told = {int(row[0]): (row[1], row[2], int(row[3])) for row in found.steps.rows}
        expected = {
            number: (record.name, "finished" if record.finished else "interrupted", self.size(record))
            for number, record in self.steps.items()
            if record.finished or len(record.newest_losses) > 1
        }
        assert told == expected

    def size(self, record: Trained) -> int:
        return sum(len(self.rows(content)) for content in record.data)

    @invariant()
    def every_row_that_is_there_is_trained_or_comes_next(self) -> None:
        if self.next() is not None:
            return
        trained = {content for record in self.steps.values() if record.finished for content in record.data}
        assert {content for _, content in self.folders()} <= trained


Histories.TestCase.settings = hypothesis.settings(
    max_examples=EXAMPLES,
    stateful_step_count=14,
    deadline=None,
    suppress_health_check=list(hypothesis.HealthCheck),
    derandomize=EXAMPLES <= 12,
)
TestHistories = Histories.TestCase
