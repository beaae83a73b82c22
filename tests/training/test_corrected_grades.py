"""Corrected grades and trainings: a run keeps the grades that it began with, and the hold-out has versions."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from engine_helpers import batch_file, final_weights, make_rows, states, train, tree, workspace_of, write_rows
from test_resume import interrupted_run

from opeddev_tui.analysis.learning_curve import points
from opeddev_tui.config.loading import load
from opeddev_tui.data.regrading import Doctor
from opeddev_tui.errors import TrainingProblem
from opeddev_tui.runs import events as ev
from opeddev_tui.runs import manifest
from opeddev_tui.runs.journal import read

Make = Callable[..., Path]


def doctor(root: Path) -> Doctor:
    return Doctor(root, load(root, environment={}).settings)


def other_grade(root: Path, name: str) -> str:
    return "5" if doctor(root).find(name).own.grade != 5 else "1"


@pytest.mark.parametrize("name", ["base-3", "holdout-1"])
def test_a_run_is_not_resumed_with_other_corrections_and_is_after_they_are_undone(
    workspace_factory: Make, name: str
) -> None:
    undisturbed = workspace_factory()
    train(undisturbed)
    root = interrupted_run(workspace_factory)
    doctor(root).regrade(name, other_grade(root, name))
    before = tree(root)
    with pytest.raises(TrainingProblem) as caught:
        train(root)
    told = str(caught.value)
    assert f"other grades of {'base' if name[0] == 'b' else 'hold-out'} are corrected (0 then, 1 now" in told
    assert "Undo the change to resume it, or start a new run: opeddev-tui train --new." in told
    assert tree(root) == before
    doctor(root).undo(name)
    train(root)
    assert final_weights(root) == final_weights(undisturbed)


def test_a_correction_of_a_later_batch_does_not_disturb_a_run(workspace_factory: Make) -> None:
    root = interrupted_run(workspace_factory)
    write_rows(batch_file(root, 1), make_rows(8, "batch1"))
    doctor(root).regrade("batch1-2", other_grade(root, "batch1-2"))
    train(root)
    assert states(root)[0].status == "finished"


def test_a_run_records_its_corrections_beside_the_fingerprints_and_trains_on_them(workspace_factory: Make) -> None:
    plain, root = workspace_factory(), workspace_factory()
    doctor(root).regrade("base-3", other_grade(root, "base-3"))
    train(plain)
    train(root)
    records = [
        manifest.read(workspace_of(path).run_manifest(workspace_of(path).run_ids()[0])) for path in (plain, root)
    ]
    assert records[0] is not None
    assert records[1] is not None
    assert records[0].data.fingerprint == records[1].data.fingerprint
    assert (records[0].data.batches[0].corrections, records[0].data.batches[0].corrected) == ("", 0)
    assert records[1].data.batches[0].corrections
    assert records[1].data.batches[0].corrected == 1
    assert final_weights(plain) != final_weights(root)


def test_another_version_of_the_hold_out_is_said_and_not_compared_with(workspace_factory: Make) -> None:
    root = workspace_factory(rows=8, batches=(8, 8), **{"training.num_train_epochs": 1})
    train(root)
    doctor(root).regrade("holdout-0", other_grade(root, "holdout-0"))
    train(root)
    first, second = states(root)
    assert first.started is not None
    assert second.started is not None
    assert first.started.holdout_fingerprint != second.started.holdout_fingerprint
    assert [point.step for point in points([first, second])] == [1]
    assert "the hold-out is version 2 of 2: corrected grades in it: 1." in warnings_of(root, 1)
    assert len(json.loads(workspace_of(root).holdout_record.read_text())["versions"]) == 2
    # back to the first version
    doctor(root).undo("holdout-0")
    train(root)
    assert "the hold-out is version 1 of 2: corrected grades in it: 0." in warnings_of(root, 2)
    assert [point.step for point in points(states(root))] == [0, 2]


def warnings_of(root: Path, run: int) -> str:
    workspace = workspace_of(root)
    events = read(workspace.run_folder(workspace.run_ids()[run]))
    return "\n".join(item.message for item in events if isinstance(item, ev.Warned))
