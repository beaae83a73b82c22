"""Trackers follow a run's journal in processes of their own: what they get, and what they can do to a training."""

import json
import shutil
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import journal_samples as js
import pytest
from engine_helpers import Seen, copy_workspace, journal_of, make_workspace, states, train, workspace_of
from fake_trackers import write_modules

from opeddev_tui.cli import main
from opeddev_tui.config.loading import load
from opeddev_tui.launch import attended
from opeddev_tui.reports.scalars import Scalar, scalars
from opeddev_tui.runs import events as ev
from opeddev_tui.runs.control import Control
from opeddev_tui.runs.journal import Journal
from opeddev_tui.trackers.sink import with_trackers
from opeddev_tui.trackers.writers import TensorBoard, Wandb
from opeddev_tui.workspace.paths import Workspace

SECRET = "canary7f3asecret"
ALL = ("tensorboard", "wandb", "trackio", "mlflow")


class Calls:
    """What the stand-ins were called with."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def of(self, module: str, name: str) -> list[dict[str, Any]]:
        lines = self.path.read_text().splitlines() if self.path.exists() else []
        found = [json.loads(line) for line in lines]
        return [item for item in found if (item["module"], item["call"]) == (module, name)]


@pytest.fixture
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Calls:
    """Stand-ins for the three libraries, in this process's path and in that of the trackers' processes."""
    modules = write_modules(tmp_path / "modules")
    package = str(Path(__file__).parents[2])
    monkeypatch.setenv("PYTHONPATH", f"{modules}:{package}")
    monkeypatch.syspath_prepend(str(modules))
    monkeypatch.setenv("FAKE_TRACKER_LOG", str(tmp_path / "calls.jsonl"))
    monkeypatch.setenv("FAKE_API_KEY", SECRET)
    return Calls(tmp_path / "calls.jsonl")


def follow(workspace: Workspace, *names: str, seconds: float = 60.0) -> list[str]:
    """Let trackers follow the workspace's runs as a training does; return the warnings."""
    seen = Seen()
    words = [f"tracking={json.dumps(names)}", f"tracking.flush_seconds={seconds}"]
    settings = load(workspace.root, environment={}, overrides=words).settings
    workspace.log.parent.mkdir(parents=True, exist_ok=True)
    with with_trackers(seen, workspace, settings) as sink:
        assert sink is not None
        for run in workspace.run_ids():
            for event in journal_of(workspace.root) if len(workspace.run_ids()) == 1 else _first(workspace, run):
                sink.emit(event)
    return [event.message for event in seen.of(ev.Warned)]


def _first(workspace: Workspace, run: str) -> list[ev.AnyEvent]:
    from opeddev_tui.runs.journal import read

    return read(workspace.run_folder(run))


def sample(tmp_path: Path, events: list[ev.AnyEvent] | None = None) -> Workspace:
    return js.make_workspace(tmp_path / "workspace", [events or js.run_events(0, [2.0, 1.5, 1.25])])


def by_step(events: list[ev.AnyEvent]) -> dict[tuple[str, int], float]:
    """Return the first value of each figure at each optimizer step, from the journal."""
    found: dict[tuple[str, int], float] = {}
    for item in scalars(events):
        found.setdefault((item.name, item.global_step), item.value)
    return found


def logged(calls: Calls, module: str) -> list[tuple[str, int, float]]:
    """Return (name, step, value) of every figure that a stand-in has been given, in order."""
    if module == "mlflow":
        return [(n, s, v) for call in calls.of("mlflow", "log_batch") for n, v, _, s in call["metrics"]]
    found = []
    for call in calls.of(module, "log"):
        values: Mapping[str, Any] = call["values"]
        step = values["global_step"] if module == "wandb" else call["step"]
        found += [(n, step, v) for n, v in values.items() if n != "global_step" and not isinstance(v, str)]
    return found


def test_every_tracker_gets_the_figures_of_real_runs_and_no_text(
    trained_workspace: Path, tmp_path: Path, calls: Calls
) -> None:
    """Two trained steps: each figure of the journal once at its step, settings, decisions; no row, prompt or path."""
    root = copy_workspace(trained_workspace, tmp_path / "workspace")
    workspace = workspace_of(root)
    assert follow(workspace, *ALL) == []
    runs = workspace.run_ids()
    assert len(runs) == 2
    journals = [_first(workspace, run) for run in runs]
    expected = sorted((name, step, value) for events in journals for (name, step), value in by_step(events).items())
    assert {"train/loss", "train/learning_rate", "epoch/val_loss", "train/grad_norm"} <= {
        name for name, _, _ in expected
    }
    for module in ("wandb", "trackio", "mlflow"):
        assert sorted(logged(calls, module)) == expected, module
    assert sorted(call["values"]["id"] for call in calls.of("wandb", "init")) == sorted(runs)
    assert [call["code"] for call in calls.of("wandb", "finish")] == [0, 0]
    assert [call["status"] for call in calls.of("mlflow", "set_terminated")] == ["FINISHED", "FINISHED"]
    params = {name: value for call in calls.of("mlflow", "log_batch") for name, value in call["params"].items()}
    assert params["training.learning_rate"] == str(load(root, environment={}).settings.training.learning_rate)
    assert params["run"] in runs
    said = [name for call in calls.of("mlflow", "set_tag") for name in call["values"]]
    assert said.count("decision after epoch 1") == 2
    sent = calls.path.read_text() + _event_files(workspace)
    for text in _texts(root, journals):
        assert text not in sent
        assert json.dumps(text)[1:-1] not in sent
    local = {call["place"] for call in calls.of("mlflow", "client")}
    assert local == {f"sqlite:///{workspace.root}/logs/trackers/mlflow/mlflow.db"}
    told = [call for module in ("wandb", "trackio") for call in calls.of(module, "init")]
    assert all(str(workspace.root) not in call["values"]["config"] + json.dumps(params) for call in told)


def _event_files(workspace: Workspace) -> str:
    paths = list((workspace.root / "logs/trackers/tensorboard").rglob("events.*"))
    assert len(paths) == 2
    return "".join(path.read_bytes().decode(errors="replace") for path in paths)


def _texts(root: Path, journals: list[list[ev.AnyEvent]]) -> set[str]:
    """Return the rows' texts, the prompts and what the models wrote, and the system prompt."""
    settings = load(root, environment={}).settings
    found = {text for text in (settings.grading.system_prompt, settings.grading.prompt_template) if text}
    for path in root.glob("datasets/**/*.jsonl"):
        for line in path.read_text().splitlines():
            found |= {value for value in json.loads(line).values() if isinstance(value, str) and len(value) > 12}
    for event in (event for events in journals for event in events):
        if isinstance(event, ev.SamplesGenerated):
            found |= {text for item in event.samples for text in (item.prompt, item.text) if len(text) > 12}
    assert len(found) > 20
    return found


def test_tensorboards_own_reader_finds_figures_settings_and_decisions(tmp_path: Path, calls: Calls) -> None:
    """The event file of a followed run, read back by TensorBoard."""
    accumulator: Any = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    events = js.run_events(0, [2.0, 1.5])
    workspace = sample(tmp_path, events)
    assert follow(workspace, "tensorboard") == []
    reader = accumulator.EventAccumulator(str(workspace.root / "logs/trackers/tensorboard/run-0"))
    reader.Reload()
    read = {(tag, item.step): item.value for tag in reader.Tags()["scalars"] for item in reader.Scalars(tag)}
    assert read == pytest.approx(by_step(events), rel=1e-6)
    (told,) = reader.Tensors("decision_after_epoch_1")
    assert told.tensor_proto.string_val == [b"stop (by person)"]
    assert b"training.learning_rate = 0.003" in reader.Tensors("run")[0].tensor_proto.string_val[0]
    assert calls.of("wandb", "import") == []


def test_a_resumed_run_goes_on_in_the_same_tracker_run_and_writes_nothing_twice(tmp_path: Path, calls: Calls) -> None:
    """Stopped in the second epoch, resumed from the first one's checkpoint: steps trained again are not new."""
    events = js.run_events(0, [2.0, 1.5, 1.25])
    cut = max(at for at, event in enumerate(events) if isinstance(event, ev.Progress)) - 4
    first = [*events[:cut], ev.Interrupted(reason="SIGTERM", checkpoint="c", global_step=10)]
    workspace = sample(tmp_path, first)
    assert follow(workspace, *ALL) == []
    assert [call["status"] for call in calls.of("mlflow", "set_terminated")] == ["KILLED"]
    assert [call["code"] for call in calls.of("wandb", "finish")] == [1]
    again = next(at for at, event in enumerate(events) if getattr(event, "global_step", 0) == 11)
    journal = Journal(workspace.run_folder("run-0"))
    for event in [ev.Resumed(checkpoint="c", global_step=10, epoch=1.0), *events[again:]]:
        journal.emit(event)
    journal.close()
    assert follow(workspace, *ALL) == []
    assert follow(workspace, *ALL) == []
    for module in ("wandb", "trackio", "mlflow"):
        found = logged(calls, module)
        assert len({(name, step) for name, step, _ in found}) == len(found)
        assert {(name, step): value for name, step, value in found} == by_step(events)
    assert len(calls.of("mlflow", "create_run")) == 1
    assert {call["run"] for call in calls.of("mlflow", "update_run")} == {"made-run-0"}
    assert {call["values"]["id"] for call in calls.of("wandb", "init")} == {"run-0"}
    assert len(calls.of("wandb", "summary")) == len({str(call["values"]) for call in calls.of("wandb", "summary")}) + 1


@pytest.mark.parametrize(
    ("mood", "words"),
    [
        ("wandb import raise", "RuntimeError: no route to ***"),
        ("wandb init raise", "RuntimeError: no route to ***"),
        ("wandb log raise", "RuntimeError: no route to ***"),
        ("wandb init leave", "SystemExit: the library ends the process"),
        ("wandb init exit", "its process ended with exit code 3"),
        ("wandb log kill", "its process ended with exit code -9"),
        ("wandb log hang", "it had not taken everything after 4 seconds and was ended"),
        ("wandb finish hang", "it had not taken everything after 4 seconds and was ended"),
    ],
)
def test_a_tracker_that_fails_is_one_warning_and_the_others_get_everything(
    tmp_path: Path, calls: Calls, monkeypatch: pytest.MonkeyPatch, mood: str, words: str
) -> None:
    """Whatever a library does, the training hears one sentence, without a secret."""
    monkeypatch.setenv("FAKE_TRACKER_MOOD", mood)
    workspace = sample(tmp_path)
    (warning,) = follow(workspace, "wandb", "trackio", seconds=4.0)
    assert warning.startswith("Weights & Biases did not take all of this run (")
    assert words in warning
    assert SECRET not in warning + workspace.log.read_text()
    assert len(logged(calls, "trackio")) == len(by_step(_first(workspace, "run-0")))
    assert len(calls.of("trackio", "finish")) == 1


@pytest.mark.parametrize(
    "mood",
    [
        "wandb init raise-once",
        "wandb log raise-once",
        "trackio init raise-once",
        "trackio log raise-once",
        "mlflow create_run raise-once",
        "mlflow log_batch raise-once",
    ],
)
def test_a_tracker_that_failed_once_is_begun_again_and_gets_everything(
    tmp_path: Path, calls: Calls, monkeypatch: pytest.MonkeyPatch, mood: str
) -> None:
    """As one run, whatever it had begun before it failed."""
    monkeypatch.setenv("FAKE_TRACKER_MOOD", mood)
    workspace, name = sample(tmp_path), mood.split()[0]
    assert len(follow(workspace, name)) == 1
    found = {(name, step): value for name, step, value in logged(calls, name)}
    assert found == by_step(_first(workspace, "run-0"))
    if name == "mlflow":
        assert len(calls.of("mlflow", "create_run")) == 1
    if name == "wandb":
        # a second run of the same name has no place beside one that failed
        assert len(calls.of("wandb", "teardown")) == 1


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_tensorboard_goes_on_in_a_new_file_where_the_first_one_could_not_be_written(tmp_path: Path) -> None:
    """Its library's thread ends with the first error, and the file with half a record."""
    accumulator: Any = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")

    def loss(step: int, value: float) -> Scalar:
        return Scalar(run="run-0", step=0, name="train/loss", value=value, global_step=step, epoch=None, at=0.0)

    tracker, folder = TensorBoard(tmp_path, "project"), tmp_path / "tensorboard/run-0"
    tracker.start("run-0", "", {"seed": 7})
    tracker.write([loss(1, 2.0)], [])
    shutil.rmtree(folder)
    folder.touch()

    def write_on() -> None:
        # the library's thread may tell of an error one call later
        for _ in range(1000):
            tracker.write([loss(2, 1.5)], [])

    with pytest.raises(OSError, match="run-0"):
        write_on()
    folder.unlink()
    tracker.start("run-0", "tensorboard/run-0", {"seed": 7})
    tracker.write([loss(2, 1.5)], [])
    tracker.end("finished")
    reader = accumulator.EventAccumulator(str(folder))
    reader.Reload()
    assert [(item.step, item.value) for item in reader.Scalars("train/loss")] == [(2, 1.5)]


def test_wandb_offline_gives_nothing_to_a_full_disk_and_says_so(
    tmp_path: Path, calls: Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its library would lose the figures without a word."""
    monkeypatch.setenv("WANDB_MODE", "offline")

    def full(**_: object) -> None:
        raise OSError(28, "No space left on device")

    loss = Scalar(run="run-0", step=0, name="train/loss", value=2.0, global_step=1, epoch=None, at=0.0)
    tracker = Wandb(tmp_path, "project")
    try:
        tracker.start("run-0", "", {"seed": 7})
        with monkeypatch.context() as disk:
            disk.setattr("tempfile.TemporaryFile", full)
            with pytest.raises(OSError, match="No space left"):
                tracker.write([loss], [])
            assert logged(calls, "wandb") == []
            with pytest.raises(OSError, match="No space left"):
                tracker.end("finished")
        tracker.write([loss], [])
        assert logged(calls, "wandb") == [("train/loss", 1, 2.0)]
    finally:
        sys.modules.pop("wandb", None)


def test_what_trackio_could_not_keep_is_told_though_it_raises_nothing(
    tmp_path: Path, calls: Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It writes in a thread of its own and only warns."""
    monkeypatch.setenv("FAKE_TRACKER_MOOD", "trackio log warn")
    (warning,) = follow(sample(tmp_path), "trackio")
    assert warning.startswith("Trackio did not take all of this run (RuntimeError: the library failed to write: disk")
    assert len(calls.of("trackio", "finish")) >= 1


def test_what_a_library_prints_goes_to_the_log(tmp_path: Path, calls: Calls, monkeypatch: pytest.MonkeyPatch) -> None:
    """A library that floods its output neither stops nor is taken at its word."""
    monkeypatch.setenv("FAKE_TRACKER_MOOD", "wandb log chatter")
    workspace = sample(tmp_path)
    assert follow(workspace, "wandb") == []
    assert "chatterchatter" in workspace.log.read_text()
    assert len(calls.of("wandb", "finish")) == 1


def test_a_tracker_that_was_killed_while_writing_leaves_a_gap_and_repeats_nothing(
    tmp_path: Path, calls: Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it held when it was killed may be lost; what it had is not sent again."""
    events = js.run_events(0, [2.0, 1.5, 1.25])
    workspace = sample(tmp_path, events[:10])
    assert follow(workspace, "wandb") == []
    had = logged(calls, "wandb")
    journal = Journal(workspace.run_folder("run-0"))
    for event in events[10:]:
        journal.emit(event)
    journal.close()
    monkeypatch.setenv("FAKE_TRACKER_MOOD", "wandb summary kill")
    assert len(follow(workspace, "wandb")) == 1
    monkeypatch.delenv("FAKE_TRACKER_MOOD")
    assert follow(workspace, "wandb") == []
    found = logged(calls, "wandb")
    assert found[: len(had)] == had
    assert len({(name, step) for name, step, _ in found}) == len(found)


def test_a_tracker_that_is_not_installed_is_named_with_the_command(
    tmp_path: Path, calls: Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One sentence with the pip line; nothing is started for it."""
    (tmp_path / "modules" / "alembic.py").unlink()
    monkeypatch.syspath_prepend(str(tmp_path / "modules"))
    workspace = sample(tmp_path)
    assert follow(workspace, "mlflow", "trackio") == [
        "MLflow gets nothing: alembic is not installed (pip install mlflow-skinny sqlalchemy alembic). "
        "The training goes on without it."
    ]
    assert calls.of("mlflow", "client") == []
    assert len(calls.of("trackio", "finish")) == 1


def test_a_training_ends_as_ever_while_one_tracker_hangs_and_another_follows_it(
    tmp_path: Path, tiny_model: Path, calls: Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A real training: one library never returns from its first call, the other has every figure at the end."""
    monkeypatch.setenv("FAKE_TRACKER_MOOD", "wandb init hang")
    root = make_workspace(tmp_path / "workspace", tiny_model, settings={"training.num_train_epochs": 1})
    settings = load(
        root, environment={}, overrides=['tracking=["wandb", "trackio"]', "tracking.flush_seconds=3"]
    ).settings
    seen = Seen()
    with attended(root, settings, seen) as sink:
        train(root, sink=sink)
    assert [(state.status, max(state.epochs)) for state in states(root)] == [("finished", 1)]
    assert [event.message for event in seen.of(ev.Warned)] == [
        "Weights & Biases did not take all of this run (it had not taken everything after 3 seconds and was ended; "
        "opeddev-tui export-logs --tracker wandb gives it the rest). The training is not touched by that; further "
        "failures are only in train.log."
    ]
    expected = sorted((name, step, value) for (name, step), value in by_step(journal_of(root)).items())
    assert sorted(logged(calls, "trackio")) == expected


def test_what_a_tracker_could_not_take_is_in_the_journal_while_the_run_goes_on_and_after_it(
    tmp_path: Path, tiny_model: Path, calls: Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A library that is not there is known before the run, one that hangs after its end: both are shown once."""
    (tmp_path / "modules" / "alembic.py").unlink()
    monkeypatch.setenv("FAKE_TRACKER_MOOD", "wandb finish hang")
    root = make_workspace(tmp_path / "workspace", tiny_model, settings={"training.num_train_epochs": 1})
    words = ['tracking=["mlflow", "wandb"]', "tracking.flush_seconds=3"]
    settings, seen, control = load(root, environment={}, overrides=words).settings, Seen(), Control()
    with attended(root, settings, seen, control=control) as sink:
        train(root, sink=sink, control=control)
        during = [event.message for event in journal_of(root) if isinstance(event, ev.Warned)]
    assert [message.partition(" (")[0].partition(":")[0] for message in during] == ["MLflow gets nothing"]
    after = [event.message for event in journal_of(root) if isinstance(event, ev.Warned)]
    assert [event.message for event in seen.of(ev.Warned)] == after
    assert after[0] == during[0]
    assert after[1].startswith("Weights & Biases did not take all of this run (it had not taken everything")
    assert len(after) == 2
    # a view of later has them, and the run is as it was
    (state,) = states(root)
    assert (state.status, state.warnings) == ("finished", after)
    assert len(calls.of("wandb", "init")) == 1


def test_export_logs_gives_a_tracker_what_it_lacks(
    tmp_path: Path, calls: Calls, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """All runs, once; a second call sends nothing; a failure is said and is exit code 1."""
    workspace = js.make_workspace(tmp_path / "workspace", [js.run_events(step, [2.0, 1.5]) for step in (0, 1)])
    call = ["export-logs", "-w", str(workspace.root), "--tracker", "wandb"]
    assert main(call) == 0
    assert "Weights & Biases has all of 2 of 2 runs." in capsys.readouterr().out
    had = logged(calls, "wandb")
    assert len(had) == sum(len(by_step(_first(workspace, run))) for run in ("run-0", "run-1"))
    monkeypatch.setenv("FAKE_TRACKER_MOOD", "wandb init raise")
    assert main(call) == 1
    out, err = capsys.readouterr()
    assert "has all of 0 of 2 runs; not all of run-0, run-1" in " ".join(out.split())
    assert "no route to ***" in err
    assert logged(calls, "wandb") == had


@pytest.mark.parametrize("write", [lambda path: path.write_text('tracking = ["wandb"]\n[ui]\nguard_ms = 1\n'), None])
def test_trackers_may_be_written_in_short(tmp_path: Path, write: Callable[[Path], object] | None) -> None:
    """In config.toml and after --set; a name that is none is refused with those there are."""
    if write is not None:
        write(tmp_path / "config.toml")
    loaded = load(tmp_path, environment={}, overrides=[] if write is not None else ['tracking=["wandb"]'])
    assert loaded.settings.tracking.trackers == ["wandb"]
    with pytest.raises(Exception, match=r"It takes a list of tensorboard, wandb, trackio, mlflow\."):
        load(tmp_path, environment={}, overrides=['tracking=["comet"]'])
