"""Batches that change after they were trained, by the real training: new rows come next, nothing is overwritten."""

import csv
import itertools
import json
import shutil
from pathlib import Path

import engine_helpers as eh
import pytest

from opeddev_tui.cli import main
from opeddev_tui.commands.status import status
from opeddev_tui.errors import TrainingProblem
from opeddev_tui.reports.report import write_report
from opeddev_tui.runs.history import list_runs

ONE_EPOCH = {"training.num_train_epochs": 1}


def tables(root: Path) -> dict[str, str]:
    """Return the number of the step in each metrics table."""
    found = {}
    for path in sorted((root / "logs").glob("metrics_step_*.csv")):
        steps = {row["step"] for row in csv.DictReader(path.read_text().splitlines())}
        assert len(steps) == 1, f"{path.name} holds rows of several steps"
        found[path.name] = steps.pop()
    return found


def told(root: Path) -> dict[int, tuple[str, bool]]:
    return {step["step"]: (step["batch"], step["trained"]) for step in status_of(root)["steps"]}


def status_of(root: Path) -> dict[str, list[dict[str, object]]]:
    return status(eh.workspace_of(root), eh.settings_of(root))  # type: ignore[return-value]


def rows_of_last_run(root: Path) -> int:
    state = eh.states(root)[-1]
    assert state.started is not None
    assert sorted(state.rows_trained[1]) == list(range(state.started.rows))
    return state.started.rows


@pytest.fixture
def trained(workspace_factory: object) -> Path:
    root: Path = workspace_factory(rows=12, batches=(8,), **ONE_EPOCH)  # type: ignore[operator]
    eh.train(root, "all")
    return root


def test_removed_inserted_renamed_and_changed_batches(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    increments = eh.batch_file(trained, 1).parent.parent
    first = tables(trained)
    content = {name: (trained / "logs" / name).read_bytes() for name in first}
    # renamed: the step stays, and nothing is left to train
    (increments / "batch_100_01").rename(increments / "batch_200_07")
    assert told(trained) == {0: ("base", True), 1: ("batch_200_07", True)}
    assert eh.train(trained, "all") == []
    # inserted before it
    eh.write_rows(increments / "batch_100_00/rows.jsonl", eh.make_rows(6, "inserted"))
    assert told(trained)[2] == ("batch_100_00", False)
    eh.train(trained)
    assert rows_of_last_run(trained) == 26
    # changed: one more row
    eh.write_rows(eh.base_file(trained), eh.make_rows(13, "base"))
    assert main(["check", "-w", str(trained)]) == 0
    assert "Batch base has changed since step 0 trained it" in capsys.readouterr().out.replace("\n", " ")
    assert told(trained)[3] == ("base", False)
    eh.train(trained, "all")
    assert rows_of_last_run(trained) == 27
    # removed
    shutil.rmtree(increments / "batch_200_07")
    assert any("not there any more" in str(note) for note in status_of(trained)["notes"])
    eh.write_rows(increments / "batch_300/rows.jsonl", eh.make_rows(5, "last"))
    eh.train(trained, "all")
    assert rows_of_last_run(trained) == 13 + 6 + 5
    assert tables(trained) == {
        **first,
        "metrics_step_batch_100_00.csv": "2",
        "metrics_step_base_as_step_3.csv": "3",
        "metrics_step_batch_300.csv": "4",
    }
    assert {name: (trained / "logs" / name).read_bytes() for name in first} == content
    # every step on the one before
    states = eh.states(trained)
    for before, state in itertools.pairwise(states):
        assert state.started is not None
        assert before.finished is not None
        assert state.started.parent == before.finished.last_checkpoint


def test_an_increment_called_base_has_its_own_step_table_and_plots(trained: Path) -> None:
    eh.write_rows(eh.batch_file(trained, 1).parent.parent / "base/rows.jsonl", eh.make_rows(6, "second base"))
    before = (trained / "logs/metrics_step_base.csv").read_bytes()
    eh.train(trained, "all")
    assert rows_of_last_run(trained) == 26
    assert (trained / "logs/metrics_step_base.csv").read_bytes() == before
    assert tables(trained)["metrics_step_base_as_step_2.csv"] == "2"
    write_report(eh.workspace_of(trained), list_runs(eh.workspace_of(trained)))
    assert {path.name for path in (trained / ".specs/plots").glob("loss_step_*.png")} == {
        "loss_step_base.png", "loss_step_batch_100_01.png", "loss_step_base_as_step_2.png"
    }  # fmt: skip


def test_a_batch_that_is_renamed_while_its_run_is_interrupted_is_resumed(trained: Path) -> None:
    eh.write_rows(eh.batch_file(trained, 2), eh.make_rows(8, "batch2"))
    eh.train(trained)
    eh.take_back_end(trained)
    eh.batch_file(trained, 2).parent.rename(eh.batch_file(trained, 3).parent)
    runs = len(list_runs(eh.workspace_of(trained)))
    eh.train(trained)
    assert len(list_runs(eh.workspace_of(trained))) == runs
    assert eh.states(trained)[-1].status == "finished"


def test_a_batch_removed_while_its_run_is_interrupted_is_named(trained: Path) -> None:
    eh.write_rows(eh.batch_file(trained, 2), eh.make_rows(8, "batch2"))
    eh.train(trained)
    eh.take_back_end(trained)
    shutil.rmtree(eh.batch_file(trained, 1).parent)
    with pytest.raises(TrainingProblem, match="batch batch_100_01 is not there any more"):
        eh.train(trained)


def test_another_template_after_training_trains_nothing_again(trained: Path) -> None:
    config = trained / "config.toml"
    config.write_text(config.read_text().replace("{task} {submission}", "{task}: {submission}"))
    assert [step["trained"] for step in status_of(trained)["steps"]] == [True, True]
    assert status_of(trained)["notes"] == []


def test_status_as_json_says_what_has_changed(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.rmtree(eh.batch_file(trained, 1).parent)
    assert main(["status", "--json", "-w", str(trained)]) == 0
    report = json.loads(capsys.readouterr().out)
    assert [step["change"] for step in report["steps"]] == [None, "not there any more"]
    assert report["steps"][1]["trained"] is True
    assert report["next_step"] is None
