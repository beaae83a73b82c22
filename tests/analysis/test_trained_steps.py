"""Steps are matched with batches by their rows: whatever a person does to the folders, no step is taken for another."""

from collections.abc import Sequence

import pytest
from journal_samples import run_events
from msgspec.structs import replace

from opeddev_tui.analysis.trained_steps import Steps, match_steps
from opeddev_tui.runs import events as ev
from opeddev_tui.runs.events import TrainedBatch
from opeddev_tui.runs.metrics_csv import new_table_name
from opeddev_tui.runs.state import RunState, reduce

BASE, ONE, TWO = (TrainedBatch(name, 20, f"rows of {name}") for name in ("base", "batch_01", "batch_02"))


def ran(step: int, *batches: TrainedBatch, finished: bool = True, run: str = "", repeats: str = "") -> RunState:
    events = run_events(step, (2.0, 1.5), finished=finished)
    started = events[0]
    assert isinstance(started, ev.RunStarted)
    name = run or started.run
    events[0] = replace(started, batches=batches, batch=batches[-1].name, run=name, repeats=repeats)
    return reduce(events)


TRAINED = [ran(0, BASE), ran(1, BASE, ONE)]


def lines(found: Steps) -> list[tuple[int, str, str, str]]:
    return [(step.number, step.name, step.word, step.change) for step in found.steps]


def follows(found: Steps) -> tuple[int, list[int | None]]:
    assert found.next is not None
    return found.next.number, [step.place for step in found.up_to(found.next.number)]


def test_nothing_is_trained_yet() -> None:
    found = match_steps([BASE, ONE], [])
    assert lines(found) == [(0, "base", "open", ""), (1, "batch_01", "open", "")]
    assert follows(found) == (0, [0])
    assert found.notes == ()


def test_a_batch_that_is_added_is_next() -> None:
    found = match_steps([BASE, ONE, TWO], TRAINED)
    assert [step.word for step in found.steps] == ["trained", "trained", "open"]
    assert follows(found) == (2, [0, 1, 2])


def test_a_batch_that_is_added_after_trained_corrections_is_next_without_a_warning() -> None:
    corrections = TrainedBatch("batch_corrections_01", 2, "corrected rows")
    found = match_steps([BASE, ONE, TWO, corrections], [*TRAINED, ran(2, BASE, ONE, corrections)])
    assert lines(found) == [
        (0, "base", "trained", ""), (1, "batch_01", "trained", ""), (2, "batch_corrections_01", "trained", ""),
        (3, "batch_02", "open", ""),
    ]  # fmt: skip
    assert follows(found) == (3, [0, 1, 3, 2])
    assert found.notes == ()


def test_a_batch_that_is_inserted_is_next_and_no_trained_one_changes_its_step() -> None:
    between = TrainedBatch("batch_005", 7, "new rows")
    found = match_steps([BASE, between, ONE], TRAINED)
    assert lines(found) == [
        (0, "base", "trained", ""), (1, "batch_01", "trained", ""),
        (2, "batch_005", "open", "put between trained batches"),
    ]  # fmt: skip
    assert follows(found) == (2, [0, 2, 1])
    assert found.notes == ("Batch batch_005 was put between trained batches: it is step 2, after all others.",)


def test_a_batch_that_is_removed_keeps_its_step_and_is_named() -> None:
    found = match_steps([BASE, TWO], TRAINED)
    assert lines(found)[1] == (1, "batch_01", "trained", "not there any more")
    assert follows(found) == (2, [0, 1])
    assert "Batch batch_01 (20 rows), which step 1 trained, is not there any more" in found.notes[0]
    assert found.numbered(1) is None


def test_a_batch_that_is_renamed_is_the_same_step() -> None:
    found = match_steps([BASE, replace(ONE, name="other"), TWO], TRAINED)
    assert lines(found)[1] == (1, "other", "trained", "the one that was called batch_01")
    assert follows(found) == (2, [0, 1, 2])


def test_a_batch_that_has_changed_is_trained_next_as_a_step_of_its_own() -> None:
    changed = TrainedBatch("batch_01", 22, "other rows")
    found = match_steps([BASE, changed], TRAINED)
    assert [(step.number, step.word, step.place) for step in found.steps] == [
        (0, "trained", 0), (1, "trained", None), (2, "open", 1)
    ]  # fmt: skip
    assert "has changed since step 1 trained it (20 rows then): its rows as they are now are step 2" in found.notes[0]
    later = [*TRAINED, ran(2, BASE, changed)]
    assert match_steps([BASE, changed], later).next is None
    # put back as it was, it is the step it was
    assert [step.place for step in match_steps([BASE, ONE], later).steps] == [0, 1, None]


def test_an_increment_called_base_is_a_batch_of_its_own() -> None:
    other = TrainedBatch("base", 5, "rows of the increment")
    found = match_steps([BASE, other], [ran(0, BASE)])
    assert follows(found) == (1, [0, 1])
    assert match_steps([BASE, other], [ran(0, BASE), ran(1, BASE, other)]).next is None


def test_two_batches_with_the_same_rows_are_two_steps() -> None:
    copy = replace(ONE, name="batch_01_copy")
    found = match_steps([BASE, ONE, copy], TRAINED)
    assert follows(found) == (2, [0, 1, 2])
    assert match_steps([BASE, ONE, copy], [*TRAINED, ran(2, BASE, ONE, copy)]).next is None


def test_two_batches_that_swapped_their_names_keep_their_steps() -> None:
    runs = [*TRAINED, ran(2, BASE, ONE, TWO)]
    found = match_steps([BASE, replace(TWO, name="batch_01"), replace(ONE, name="batch_02")], runs)
    assert [(step.number, step.place) for step in found.steps] == [(0, 0), (1, 2), (2, 1)]
    assert len(found.notes) == 2


def test_settings_that_change_the_fingerprint_change_no_step() -> None:
    written = [replace(BASE, identity="b"), replace(ONE, identity="1")]
    runs = [ran(0, written[0]), ran(1, *written)]
    now = [replace(batch, fingerprint=f"{batch.fingerprint} in another template") for batch in written]
    found = match_steps(now, runs)
    assert found.next is None
    assert found.notes == ()


def test_an_unfinished_run_keeps_its_step_and_a_changed_batch_does_not_hide_it() -> None:
    runs = [ran(0, BASE), ran(1, BASE, ONE, finished=False)]
    earlier = TrainedBatch("batch_00", 5, "earlier rows")
    found = match_steps([BASE, earlier, ONE], runs)
    assert follows(found) == (1, [0, 2])
    changed = replace(ONE, fingerprint="other")
    assert follows(match_steps([BASE, changed], runs)) == (1, [0, 1])
    # its batch is gone: nothing of it counts, and its number is not used again
    assert follows(match_steps([BASE, TWO], runs)) == (2, [0, 1])


def test_an_interrupted_branch_is_gone_on_with_before_anything_new() -> None:
    runs = [*TRAINED, ran(1, BASE, ONE, finished=False, run="branch")]
    found = match_steps([BASE, ONE, TWO], runs)
    assert found.next is not None
    assert (found.next.number, found.next.run) == (1, "run-1")


def test_batches_trained_within_a_later_step_are_not_trained_again() -> None:
    found = match_steps([BASE, ONE, TWO], [ran(2, BASE, ONE, TWO)])
    assert [(step.number, step.word) for step in found.steps] == [(0, "within"), (1, "within"), (2, "trained")]
    assert found.next is None


def test_repetitions_count_for_nothing() -> None:
    found = match_steps([BASE, ONE], [ran(0, BASE), ran(1, BASE, ONE, repeats="run-1")])
    assert follows(found) == (1, [0, 1])


def test_runs_of_an_older_version_without_a_manifest_are_known_by_name() -> None:
    old = [ran(0, TrainedBatch("base")), ran(1, TrainedBatch("base"), TrainedBatch("batch_01"))]
    found = match_steps([BASE, ONE, TWO], old)
    assert follows(found) == (2, [0, 1, 2])


@pytest.mark.parametrize(
    ("step", "tables", "name"),
    [
        (1, [], "metrics_step_base.csv"),
        (1, [(0, "base")], "metrics_step_base_as_step_1.csv"),
        (0, [(0, "base")], "metrics_step_base.csv"),
        (2, [(0, "base"), (1, "batch_01")], "metrics_step_base_as_step_2.csv"),
    ],
)
def test_a_table_belongs_to_one_step(step: int, tables: Sequence[tuple[int, str]], name: str) -> None:
    runs = [ran(number, TrainedBatch(batch)).begun for number, batch in tables]
    assert new_table_name("base", step, runs) == name


def test_a_long_name_still_makes_a_file_name() -> None:
    assert len(new_table_name("ä" * 120, 1, []).encode()) < 200
