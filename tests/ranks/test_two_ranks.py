"""Two ranks train what one does: the same rows, losses, texts, grades and decisions; interrupted, the same weights."""

import os
import signal
from collections.abc import Callable
from pathlib import Path

import engine_helpers as eh
import pytest
import torch
from engine_helpers import of
from hands import Hands

from opeddev_tui.errors import TrainingProblem
from opeddev_tui.runs import events as ev
from opeddev_tui.runs.control import Control, Decide, Pause, Resume, SampleNow, SaveNow, Stop
from opeddev_tui.runs.journal import read

Make = Callable[..., Path]


def test_the_journal_says_the_same(trained_by_one: Path, trained_by_two: Path) -> None:
    one, two = trained_by_one, trained_by_two
    assert [(e.epoch, e.rows) for e in of(two, ev.RowsTrained)] == [(e.epoch, e.rows) for e in of(one, ev.RowsTrained)]
    assert [e.choice for e in of(two, ev.Decided)] == [e.choice for e in of(one, ev.Decided)]
    assert [e.loss for e in of(two, ev.Progress)] == pytest.approx([e.loss for e in of(one, ev.Progress)], abs=1e-5)
    texts = [[[s.text for s in e.samples] for e in of(root, ev.SamplesGenerated)] for root in (one, two)]
    assert texts[0] == texts[1]
    grades = [[(way.way, way.grades) for e in of(root, ev.GradesRead) for way in e.ways] for root in (one, two)]
    assert grades[0] == grades[1]
    heads = [[(e.head, e.epoch, e.rows, e.steadied) for e in of(root, ev.HeadFitted)] for root in (one, two)]
    assert heads[0] == heads[1]
    assert ("step", 22) in [(head, steadied) for head, _, _, steadied in heads[0]]


def test_of_the_same_weights_the_hold_out_s_losses_and_grades_are_equal_to_the_bit(
    trained_by_one: Path, trained_by_two: Path
) -> None:
    first = [of(root, ev.HoldoutEvaluated)[0] for root in (trained_by_one, trained_by_two)]
    assert (first[0].sums, first[0].tokens) == (first[1].sums, first[1].tokens)
    read_first = [of(root, ev.GradesRead)[0] for root in (trained_by_one, trained_by_two)]
    assert read_first[0].ways == read_first[1].ways
    assert (
        of(trained_by_one, ev.SamplesGenerated)[0].fingerprint == of(trained_by_two, ev.SamplesGenerated)[0].fingerprint
    )


def test_it_says_who_trains_and_the_effective_batch(trained_by_two: Path) -> None:
    (started,) = of(trained_by_two, ev.RanksStarted)
    assert [place.rank for place in started.ranks] == [0, 1]
    assert len({place.pid for place in started.ranks}) == 2
    (data,) = of(trained_by_two, ev.DataPrepared)
    assert (data.processes, data.effective_batch, data.steps_per_epoch) == (2, 4, 6)


@pytest.mark.usefixtures("hands")
def test_commands_of_a_person_change_no_weight(trained_by_two: Path, ranks_factory: Make) -> None:
    root, control = ranks_factory(**{"early_stop.policy": "ask"}), Control()
    paused: list[float] = []

    def react(event: ev.AnyEvent) -> None:
        if isinstance(event, ev.Progress) and event.global_step == 2:
            control.request(Pause())
        elif isinstance(event, ev.Paused):
            paused.append(event.at)
            for command in (SampleNow(), SaveNow(), Resume()):
                control.request(command)
        elif isinstance(event, ev.DecisionAwaited):
            control.request(SampleNow())
            control.request(Decide(epoch=event.epoch, choice=event.verdict.choice))

    eh.train(root, sink=eh.Seen(react), control=control)
    assert paused
    assert len([e for e in of(root, ev.SamplesGenerated) if e.on_demand]) >= 3
    assert any(e.global_step == 3 for e in of(root, ev.CheckpointSaved))
    assert eh.final_weights(root) == eh.final_weights(trained_by_two)


def test_killed_within_an_epoch_it_resumes_to_the_same_weights(
    trained_by_two: Path, ranks_factory: Make, hands: Hands
) -> None:
    root, control = ranks_factory(), Control()

    def react(event: ev.AnyEvent) -> None:
        if isinstance(event, ev.Progress) and event.global_step == 8:
            control.request(SaveNow())
        if isinstance(event, ev.Progress) and event.global_step == 10:
            hands.signal(1, signal.SIGKILL)

    with pytest.raises(TrainingProblem, match=r"rank 1 of 2 on \S+ was killed by SIGKILL.*resumes"):
        eh.train(root, sink=eh.Seen(react), control=control)
    (lost,) = of(root, ev.RankLost)
    assert (lost.rank, of(root, ev.RunFailed)[0].resumable) == (1, True)
    with pytest.raises(TrainingProblem, match="num_processes was 2 and is 1"):
        eh.train(root, overrides=["training.num_processes=1"])
    eh.train(root)
    assert of(root, ev.Resumed)[-1].global_step == 9
    assert eh.final_weights(root) == eh.final_weights(trained_by_two)


@pytest.mark.usefixtures("hands")
def test_stopped_by_a_person_it_resumes_to_the_same_weights(trained_by_two: Path, ranks_factory: Make) -> None:
    root, control = ranks_factory(), Control()
    stop = eh.Seen(
        lambda event: (
            control.request(Stop(reason="SIGTERM"))
            if isinstance(event, ev.Progress) and event.global_step == 4
            else None
        )
    )
    eh.train(root, sink=stop, control=control)
    (stopped,) = of(root, ev.Interrupted)
    assert stopped.global_step == 5
    eh.train(root)
    assert eh.final_weights(root) == eh.final_weights(trained_by_two)


@pytest.mark.usefixtures("hands")
def test_adapters_with_recomputation_on_three_ranks_train_as_on_one(ranks_factory: Make) -> None:
    settings = {
        "lora.enabled": True,
        "lora.lora_dropout": 0.0,
        "training.activation_checkpointing": True,
        "training.num_train_epochs": 1,
        "training.per_device_train_batch_size": 1,
        "grading.evaluate": False,
    }
    # ten rows: the last step has one row, and two ranks have none
    three = ranks_factory(3, rows=10, **settings)
    one = ranks_factory(1, rows=10, **{**settings, "training.per_device_train_batch_size": 3})
    for root in (three, one):
        eh.train(root)
    assert [e.rows for e in of(three, ev.RowsTrained)] == [e.rows for e in of(one, ev.RowsTrained)]
    assert [e.loss for e in of(three, ev.Progress)] == pytest.approx([e.loss for e in of(one, ev.Progress)], abs=1e-5)


@pytest.mark.usefixtures("hands")
def test_a_loss_for_the_grade_and_weights_of_rows_count_over_all_ranks(ranks_factory: Make) -> None:
    settings = {
        "grading.loss": "squared",
        "training.num_train_epochs": 1,
        "training.gradient_accumulation_steps": 2,
        "training.per_device_train_batch_size": 1,
        "grading.evaluate": False,
    }
    # the last of 21 rows is alone in its step: one rank has no graded row
    two = ranks_factory(2, rows=21, **settings)
    one = ranks_factory(1, rows=21, **{**settings, "training.per_device_train_batch_size": 2})
    for root in (two, one):
        rows = [{**row, "weight": 0.5 + number % 2} for number, row in enumerate(eh.make_rows(21, "base"))]
        eh.write_rows(eh.base_file(root), rows)
        eh.train(root)
    for figure in ("loss", "grade_loss"):
        pairs = zip(of(two, ev.Progress), of(one, ev.Progress), strict=True)
        assert all(getattr(a, figure) == pytest.approx(getattr(b, figure), abs=1e-5) for a, b in pairs)


@pytest.mark.usefixtures("hands")
def test_after_two_ranks_one_process_trains_in_the_same_process_again(
    trained_by_one: Path, ranks_factory: Make
) -> None:
    short = {"training.num_train_epochs": 1, "grading.evaluate": False}
    before = dict(os.environ)
    first, again = ranks_factory(2, **short), ranks_factory(2, **short)
    eh.train(first)
    alone = ranks_factory(1)
    eh.train(alone)
    assert eh.final_weights(alone) == eh.final_weights(trained_by_one)
    assert [e for e in read(eh.last_run(alone)) if isinstance(e, ev.RanksStarted)] == []
    eh.train(again)
    assert eh.final_weights(again) == eh.final_weights(first)
    assert not torch.distributed.is_initialized()
    kept = {name: value for name, value in os.environ.items() if name != "PYTEST_CURRENT_TEST"}
    assert kept == {name: value for name, value in before.items() if name != "PYTEST_CURRENT_TEST"}
