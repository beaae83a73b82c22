"""The journal: what is written comes back, a cut line is survived, a reader follows."""

import math
import threading
from pathlib import Path

import pytest

from opeddev_tui.errors import StorageProblem
from opeddev_tui.runs import events as ev
from opeddev_tui.runs.bus import Bus, FanOut, Guarded
from opeddev_tui.runs.grade_records import FeedbackText, Figure, RacedWay, WayGrades
from opeddev_tui.runs.journal import JOURNAL_NAME, Journal, JournalReader, read
from opeddev_tui.runs.state import reduce

VERDICT = ev.Verdict(epoch=1, choice="stop", limit_reached=False, reasons=("why",))
EVENTS: list[ev.AnyEvent] = [
    ev.RunStarted(
        run="r",
        step=0,
        batch="base",
        rows=4,
        holdout_rows=2,
        holdout_fingerprint="f",
        planned_epochs=3,
        max_epochs=5,
        seed=1,
    ),
    ev.Progress(global_step=1, epoch=0.5, loss=None, grad_norm=1.5),
    ev.HoldoutEvaluated(epoch=1, loss=0.5, sums=(1.0, 2.0), tokens=(3, 3)),
    ev.DecisionAwaited(epoch=1, verdict=VERDICT, max_epochs=5),
    ev.Decided(epoch=1, choice="stop", by="person", verdict=VERDICT),
    ev.Annotated(epoch=1, note="line\nbreak ␛ \x1b[31m"),
    ev.HeadFitted(head="base", epoch=0, rows=4, read=3, model="m", out_of_fold={"kappa": Figure(0.4, None, None)}),
    ev.GradesRead(
        epoch=1,
        labels=("F", "A"),
        ids=("a", "b"),
        reference=("F", "A"),
        groups=("ada", ""),
        ways=(
            WayGrades("base head", "the head on the base model", ("F", "A"), ((0.75, 0.25), (0.4, 0.6)), (("F",), ())),
            WayGrades("step text", "the model's texts", ("F", ""), figures={"kappa": Figure(0.5, 0.1, 0.9)}),
        ),
    ),
    ev.RaceHeld(
        epoch=1,
        ways=(RacedWay("base head", "the head", to_cheap=Figure(0.1, -0.1, 0.3)),),
        chosen="base head",
        groups=("ada", ""),
    ),
    ev.FeedbackWritten(
        epoch=1,
        head="base head",
        texts=(FeedbackText("a", "html", "Grade: F", "F", ("Names",), "F", ("Names",), "Grade: F\nNames: bad.", "x"),),
        f1={"forced": 1.0},
    ),
]


def test_events_come_back_as_they_were(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    for event in EVENTS:
        journal.emit(event)
    journal.close()
    assert read(tmp_path) == EVENTS
    assert (tmp_path / JOURNAL_NAME).read_bytes().count(b"\n") == len(EVENTS)


def test_a_line_cut_by_a_crash_is_skipped_and_closed(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.emit(EVENTS[0])
    journal.close()
    path = tmp_path / JOURNAL_NAME
    path.write_bytes(path.read_bytes() + ev.encode(EVENTS[1])[:20])
    assert read(tmp_path) == EVENTS[:1]
    again = Journal(tmp_path)
    again.emit(EVENTS[2])
    again.close()
    reader = JournalReader(tmp_path)
    assert reader.read_new() == [EVENTS[0], EVENTS[2]]
    assert reader.skipped == 1


def test_unknown_events_of_a_later_version_are_skipped(tmp_path: Path) -> None:
    (tmp_path / JOURNAL_NAME).write_bytes(b'{"type":"FromTheFuture","at":1}\nnot json\n' + ev.encode(EVENTS[0]) + b"\n")
    reader = JournalReader(tmp_path)
    assert reader.read_new() == [EVENTS[0]]
    assert reader.skipped == 2


def test_a_reader_follows_and_waits_for_the_end_of_a_line(tmp_path: Path) -> None:
    reader = JournalReader(tmp_path)
    assert reader.read_new() == []
    journal = Journal(tmp_path)
    journal.emit(EVENTS[0])
    assert reader.read_new() == [EVENTS[0]]
    line = ev.encode(EVENTS[1]) + b"\n"
    path = tmp_path / JOURNAL_NAME
    with path.open("ab") as file:
        file.write(line[:10])
        file.flush()
        assert reader.read_new() == []
        file.write(line[10:])
    assert reader.read_new() == [EVENTS[1]]


def test_a_journal_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageProblem):
        Journal(tmp_path / "file" / "run")


def test_a_view_that_fails_does_not_stop_the_training(tmp_path: Path) -> None:
    class Broken:
        """A view with a bug."""

        def emit(self, event: ev.AnyEvent) -> None:
            raise RuntimeError(event)

    bus = Bus(Journal(tmp_path), [Guarded(Broken())])
    for event in EVENTS:
        bus.emit(event)
    assert read(tmp_path) == EVENTS


def test_every_sink_gets_the_events_of_all_threads_in_one_order() -> None:
    class Kept:
        def __init__(self) -> None:
            self.events: list[ev.AnyEvent] = []

        def emit(self, event: ev.AnyEvent) -> None:
            self.events.append(event)

    sinks = [Kept(), Kept()]
    together, begin = FanOut(sinks), threading.Barrier(4)

    def emit(first: int) -> None:
        begin.wait(30)
        for step in range(first, first + 200):
            together.emit(progress(step, 1.0))

    threads = [threading.Thread(target=emit, args=(first,), daemon=True) for first in (0, 1000, 2000, 3000)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(sinks[0].events) == 800
    assert sinks[0].events == sinks[1].events


def progress(step: int, loss: float) -> ev.Progress:
    return ev.Progress(global_step=step, epoch=step / 2, loss=loss)


def test_the_state_of_a_run_is_made_from_its_events() -> None:
    state = reduce(EVENTS[:4])
    assert state.status == "awaiting"
    assert state.question is not None
    state.apply(EVENTS[4])
    assert (state.status, state.question) == ("training", None)
    assert state.decided(1) == EVENTS[4]
    assert math.isnan(state.curves.loss[0])


def test_what_a_resume_trains_again_is_forgotten_first() -> None:
    row = ev.EpochFinished(epoch=1, train_loss=2, val_loss=2, samples_per_second=1, global_step=2)
    state = reduce([EVENTS[0], progress(1, 4), progress(2, 3), EVENTS[2], row, progress(3, 9)])
    state.apply(ev.Resumed(checkpoint="c", global_step=2, epoch=1.0))
    assert list(state.curves.global_step) == [1, 2]
    assert list(state.epochs) == [1]
    state.apply(progress(3, 2))
    assert list(state.curves.loss) == [4, 3, 2]
    state.apply(ev.Resumed(checkpoint="", global_step=0, epoch=0.0))
    assert (len(state.curves.loss), state.epochs, state.holdout) == (0, {}, {})


def test_grades_heads_and_races_are_kept_by_epoch_and_forgotten_with_it() -> None:
    read_after = [ev.GradesRead(epoch=epoch, labels=(), ids=(), reference=(), ways=()) for epoch in (0, 1, 2)]
    heads = [ev.HeadFitted(head="base", epoch=0), ev.HeadFitted(head="step", epoch=2, problem="too few rows")]
    state = reduce([EVENTS[0], *read_after, *heads, ev.RaceHeld(epoch=2)])
    assert (list(state.readings), list(state.heads), list(state.races)) == ([0, 1, 2], [("base", 0), ("step", 2)], [2])
    state.apply(ev.Resumed(checkpoint="c", global_step=2, epoch=1.0))
    assert (list(state.readings), list(state.heads), list(state.races)) == ([0, 1], [("base", 0)], [])


def test_grades_in_a_journal_of_version_0_1_were_read_from_texts() -> None:
    line = (
        b'{"type":"GradesMeasured","at":1.0,"epoch":1,"predicted":[3,null],"reference":[3,4],"parsed":0.5,"exact":0.5,'
        b'"within_one":0.5,"mean_absolute_error":0.0,"kappa":null}'
    )
    measured = ev.decode(line)
    assert isinstance(measured, ev.GradesMeasured)
    assert measured.way == "step text"


def test_the_mean_train_loss_is_that_of_its_epoch() -> None:
    state = reduce([progress(step, float(step)) for step in range(1, 7)])
    assert [state.curves.mean_loss(epoch) for epoch in (1, 2, 3, 4)] == [1.5, 3.5, 5.5, None]


def test_the_best_epoch_is_the_first_of_the_lowest_trained_ones() -> None:
    losses = {0: 0.1, 1: 0.5, 2: 0.4, 3: 0.4}
    rows = [
        ev.EpochFinished(epoch=epoch, train_loss=None, val_loss=loss, samples_per_second=None, global_step=epoch)
        for epoch, loss in losses.items()
    ]
    assert reduce(rows).best_epoch() == 2
    assert reduce(rows[:1]).best_epoch() is None


def test_a_finished_optimizer_step_ends_what_was_told_of_the_wait_for_it() -> None:
    waiting = ev.PhaseChanged(phase="training", detail="the first optimizer step")
    assert reduce([waiting]).phase_detail == "the first optimizer step"
    assert reduce([waiting, progress(1, 2.0)]).phase_detail == ""
