"""Steps that grow: every row seen, every step on the one before, everything recorded where the layout says."""

import csv
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from engine_helpers import (
    Seen,
    final_weights,
    journal_of,
    last_run,
    place_of,
    sha256,
    start_training,
    states,
    train,
    workspace_of,
)

from opeddev_tui.checkpoints import folders
from opeddev_tui.runs import control as ctl
from opeddev_tui.runs import events as ev
from opeddev_tui.runs.control import Control, Stop
from opeddev_tui.training.deciders import OnCommand, Pending

Make = Callable[..., Path]
COLUMNS = "step,epoch,train_loss,val_loss,samples_per_second,timestamp"
CANARY = "hf_canary0123456789abcdef"


def table(path: Path) -> list[dict[str, str]]:
    text = path.read_text()
    assert text.splitlines()[0] == COLUMNS
    return list(csv.DictReader(text.splitlines()))


class Says:
    """A decider that gives its answers by epoch; the verdict is recorded beside them."""

    def __init__(self, **answers: ev.Choice) -> None:
        self._answers = {int(name.removeprefix("epoch")): choice for name, choice in answers.items()}

    def decide(self, pending: Pending, on_command: OnCommand) -> ev.Decided:  # noqa: ARG002 - a decider
        question = pending()
        choice = self._answers.get(question.epoch, "continue")
        return ev.Decided(epoch=question.epoch, choice=choice, by="person", verdict=question.verdict)


@pytest.fixture(scope="module")
def grown(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """100 rows, then 100 more four times over: five steps of one epoch."""
    import engine_helpers

    root = engine_helpers.make_workspace(
        tmp_path_factory.mktemp("grown") / "workspace",
        tiny_model,
        rows=100,
        batches=(100,) * 4,
        settings={
            "training.num_train_epochs": 1,
            "training.per_device_train_batch_size": 25,
            "generation.num_probes": 0,
        },
    )
    train(root, "all")
    return root


def test_every_row_is_seen_once_in_every_epoch_of_its_step(grown: Path) -> None:
    done = states(grown)
    assert [state.started.rows for state in done if state.started] == list(range(100, 501, 100))
    for state in done:
        assert state.status == "finished"
        assert state.started is not None
        assert {epoch: sorted(rows) for epoch, rows in state.rows_trained.items()} == {
            1: list(range(state.started.rows))
        }


def test_the_learning_rate_is_above_zero_after_the_warm_up(grown: Path) -> None:
    for number, state in enumerate(states(grown)):
        rates = list(state.curves.learning_rate)
        assert len(rates) == 4 * (number + 1)
        assert all(rate > 0 for rate in rates[1:])
        assert rates[-1] == pytest.approx(2e-3 if number == 0 else 1e-3)


def test_each_step_starts_from_the_last_checkpoint_of_the_one_before(grown: Path) -> None:
    done = states(grown)
    parents = [state.started.parent for state in done if state.started]
    latest = [state.finished.last_checkpoint for state in done if state.finished]
    assert parents == ["", *latest[:-1]]
    for state, before in zip(done[1:], done, strict=False):
        # the very weights: before its first step each scores as the one before did at its end
        assert state.holdout[0].loss == pytest.approx(before.epochs[1].val_loss, abs=1e-6)
        manifest = folders.read_manifest(place_of(grown, state.epochs[1].checkpoint))
        assert manifest is not None
        assert manifest.parent == state.started.parent if state.started else None
    assert done[-1].epochs[1].val_loss < done[0].epochs[0].val_loss / 2


def test_the_metrics_tables_hold_what_the_journals_hold(grown: Path) -> None:
    for number, state in enumerate(states(grown)):
        name = "base" if number == 0 else f"batch_100_{number:02}"
        rows = table(grown / "logs" / f"metrics_step_{name}.csv")
        assert [(row["step"], row["epoch"]) for row in rows] == [(str(number), "0"), (str(number), "1")]
        assert rows[0]["train_loss"] == rows[0]["samples_per_second"] == ""
        for row, epoch in zip(rows, state.epochs.values(), strict=True):
            assert row["val_loss"] == f"{epoch.val_loss:.6f}"
            assert row["timestamp"].endswith("+00:00")
        assert rows[1]["train_loss"] == f"{state.epochs[1].train_loss:.6f}"
        assert float(rows[1]["samples_per_second"]) > 0


@pytest.fixture(scope="module")
def commanded(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace trained through the command line, with secrets in sight."""
    import engine_helpers

    root = engine_helpers.make_workspace(
        tmp_path_factory.mktemp("commanded") / "workspace",
        tiny_model,
        rows=12,
        settings={"training.num_train_epochs": 1, "training.arguments": {"adam_beta2": 0.99}},
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HF_TOKEN", CANARY)
        process = start_training(root)
        assert process.code() == 0, process.text()
    return root


def test_files_are_where_the_layout_says(commanded: Path) -> None:
    run = last_run(commanded)
    assert (commanded / "models/qwen3_webdev").readlink() == commanded / "store"
    assert (commanded / "logs/train.log").is_file()
    assert (commanded / "logs/metrics_step_base.csv").is_file()
    assert (commanded / ".specs/training/last_run_args.json").is_file()
    assert run.parent == commanded / "logs/runs"
    assert {path.name for path in run.iterdir()} >= {"events.jsonl", "manifest.json"}
    assert (run / "manifest.json").read_bytes() == (commanded / ".specs/training/last_run_args.json").read_bytes()
    assert place_of(commanded, states(commanded)[0].epochs[1].checkpoint).is_relative_to(commanded / "store")


def test_last_run_args_repeat_the_run(commanded: Path, tiny_model: Path) -> None:
    record = json.loads((commanded / ".specs/training/last_run_args.json").read_text())
    state = states(commanded)[0]
    assert state.started is not None
    assert record["run"] == last_run(commanded).name
    assert (record["step"], record["seed"], record["parent"]) == (0, 42, None)
    assert record["model"]["name"] == str(tiny_model)
    assert record["model"]["files"]["model.safetensors"] == sha256(tiny_model / "model.safetensors")
    assert record["data"]["fingerprint"] == state.started.data_fingerprint
    assert record["data"]["holdout"]["fingerprint"] == state.started.holdout_fingerprint
    assert [(batch["name"], batch["rows"]) for batch in record["data"]["batches"]] == [("base", 12)]
    assert record["settings"]["training"]["num_train_epochs"] == 1
    assert record["settings"]["training"]["arguments"] == {"adam_beta2": 0.99}
    assert record["origins"]["training.num_train_epochs"] == str(commanded / "config.toml")
    assert record["versions"]["torch"].startswith("2.")
    assert record["hardware"]["torch_threads"] == 1
    assert set(record["git"]) in (set(), {"commit", "dirty"})


def test_no_secret_is_written(commanded: Path) -> None:
    written = [path for path in commanded.rglob("*") if path.is_file() and path.name != "config.toml"]
    assert len(written) > 15
    assert [path for path in written if CANARY.encode() in path.read_bytes()] == []
    assert CANARY not in (commanded.parent / "workspace.out").read_text()


# --- extending and stopping


def test_an_extended_run_equals_one_planned_as_long(workspace_factory: Make) -> None:
    extended = workspace_factory(**{"early_stop.max_extra_epochs": 2})
    train(extended, decider=Says(epoch5="stop"))
    native = workspace_factory(**{"training.num_train_epochs": 5})
    train(native, decider=Says(epoch5="stop"))
    assert [(item.epoch, item.choice, item.by) for item in states(extended)[0].decisions] == [
        (1, "continue", "person"),
        (2, "continue", "person"),
        (3, "continue", "person"),
        (4, "continue", "person"),
        (5, "stop", "limit"),
    ]
    assert len(states(native)[0].curves.loss) == 25
    assert list(states(extended)[0].curves.loss) == list(states(native)[0].curves.loss)
    assert final_weights(extended) == final_weights(native)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"training.gradient_accumulation_steps": 2, "training.per_device_train_batch_size": 3},
        {"lora.enabled": True, "lora.lora_dropout": 0.2},
        {"training.arguments": {"optim": "sgd"}, "training.lr_scheduler_type": "cosine"},
    ],
    ids=["plain", "accumulation", "lora", "cosine"],
)
def test_stopped_in_the_middle_of_an_epoch_and_resumed_is_as_undisturbed(
    workspace_factory: Make, settings: dict[str, object]
) -> None:
    undisturbed, stopped = workspace_factory(**settings), workspace_factory(**settings)
    train(undisturbed)
    per_epoch = states(undisturbed)[0].data.steps_per_epoch  # type: ignore[union-attr]
    for at_step in (2, 2 * per_epoch):
        control = Control()
        train(stopped, sink=Seen(stop_at(at_step, control)), control=control)
        interrupted = states(stopped)[0].interrupted
        assert interrupted is not None
        assert interrupted.global_step == at_step
    seen = Seen()
    train(stopped, sink=seen)
    assert states(stopped)[0].status == "finished"
    assert final_weights(stopped) == final_weights(undisturbed)
    assert states(stopped)[0].rows_trained == states(undisturbed)[0].rows_trained
    assert states(stopped)[0].started == seen.of(ev.RunStarted)[0]
    ours, theirs = (table(root / "logs/metrics_step_base.csv") for root in (stopped, undisturbed))
    for column in ("epoch", "train_loss", "val_loss"):
        assert [row[column] for row in ours] == [row[column] for row in theirs]


def stop_at(step: int, control: Control) -> Callable[[ev.AnyEvent], None]:
    """Ask for a stop when optimizer step ``step - 1`` is logged or about to be: it takes effect after ``step``."""

    def react(event: ev.AnyEvent) -> None:
        reached = isinstance(event, ev.Progress) and event.global_step == step - 1
        if reached or (isinstance(event, ev.PhaseChanged) and event.detail == "the first optimizer step" and step == 1):
            control.request(Stop(reason="test"))

    return react


def test_a_checkpoint_on_request_changes_nothing(workspace_factory: Make) -> None:
    undisturbed, saved = workspace_factory(), workspace_factory()
    train(undisturbed)
    control = Control()

    def save(event: ev.AnyEvent) -> None:
        if isinstance(event, ev.Progress) and event.global_step in (1, 6):
            control.request(ctl.SaveNow())
            control.request(ctl.SampleNow())

    train(saved, sink=Seen(save), control=control)
    assert final_weights(saved) == final_weights(undisturbed)
    saved_at = [event.global_step for event in journal_of(saved) if isinstance(event, ev.CheckpointSaved)]
    assert saved_at == [2, 5, 7, 10, 15]
    assert [item.on_demand for item in states(saved)[0].samples].count(True) == 2
    assert states(saved)[0].rows_trained == states(undisturbed)[0].rows_trained


def test_rows_trained_twice_after_a_crash_are_recorded_once(workspace_factory: Make) -> None:
    """A checkpoint on request was damaged, so the run goes on from the one before it."""
    root = workspace_factory()
    control = Control()

    def react(event: ev.AnyEvent) -> None:
        if isinstance(event, ev.Progress) and event.global_step in (1, 2):
            control.request(ctl.SaveNow())
        if isinstance(event, ev.Progress) and event.global_step == 3:
            control.request(Stop(reason="test"))

    train(root, sink=Seen(react), control=control)
    saved = [place_of(root, event.path) for event in journal_of(root) if isinstance(event, ev.CheckpointSaved)]
    assert [path.name for path in saved] == ["checkpoint-2", "checkpoint-3", "checkpoint-4"]
    for folder in saved[1:]:
        (folder / "optimizer.pt").unlink()
    train(root)
    undisturbed = workspace_factory()
    train(undisturbed)
    assert states(root)[0].rows_trained == states(undisturbed)[0].rows_trained
    assert final_weights(root) == final_weights(undisturbed)


def test_the_train_loss_has_every_step_of_the_epoch(workspace_factory: Make) -> None:
    """With few logged points the last one still comes at the epoch's end."""
    root = workspace_factory(**{"training.logging_steps": 7})
    train(root)
    assert list(states(root)[0].curves.global_step) == [5, 7, 10, 14, 15]
    assert all(row.train_loss is not None for epoch, row in states(root)[0].epochs.items() if epoch)


def test_branches_and_certain_steps(trained_workspace: Path, tmp_path: Path) -> None:
    from engine_helpers import copy_workspace

    root = copy_workspace(trained_workspace, tmp_path / "copy")
    before = states(root)
    assert train(root) == []
    first = before[0].epochs[1].checkpoint
    train(root, "1", new=True, start_from=first)
    branch = states(root)[-1]
    assert branch.started is not None
    assert (branch.started.step, branch.started.parent) == (1, first)
    assert branch.holdout[0].loss == pytest.approx(before[0].epochs[1].val_loss, abs=1e-6)
    assert workspace_of(root).checkpoints(branch.started.run).is_dir()
