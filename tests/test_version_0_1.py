"""A workspace that version 0.1 left behind is opened, shown and trained on: nothing recorded is lost or changed.

``fixtures/workspace_0_1`` was recorded by version 0.1 under ``/tmp/opeddev-0.1/workspace``: step 0 finished (LoRA),
step 1 killed while its first question was open. ``expected.json`` holds what version 0.1 told of it, and what its own
undisturbed step 1 gave, answered with continue and stop.
"""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import engine_helpers as eh
import pytest

from opeddev_tui.checkpoints import folders
from opeddev_tui.checkpoints.catalog import list_entries
from opeddev_tui.commands.checkpoints import as_json
from opeddev_tui.commands.status import status
from opeddev_tui.reports.report import write_report
from opeddev_tui.runs import events as ev
from opeddev_tui.runs.control import Control, Decide
from opeddev_tui.runs.history import list_runs
from opeddev_tui.runs.mailbox import MAILBOX_NAME
from opeddev_tui.ui.screens.monitor.epochs import EpochsPane
from opeddev_tui.ui.state.view import View

FIXTURE = Path(__file__).parent / "fixtures/workspace_0_1"
RECORDED_AT = "/tmp/opeddev-0.1/workspace"
EXPECTED: dict[str, Any] = json.loads((FIXTURE / "expected.json").read_text())


@pytest.fixture(params=["workspace", "renamed"])
def old(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """The recorded workspace, moved to another place, under its own name or another."""
    root = tmp_path / request.param
    shutil.copytree(FIXTURE / "workspace", root)
    # the link that version 0.1 made leads to where the workspace was
    (root / "models").mkdir()
    (root / "models/qwen3_webdev").symlink_to(f"{RECORDED_AT}/store")
    return root


def here(value: Any, root: Path) -> Any:
    """Return ``value`` as it was recorded, with the places of today."""
    return json.loads(json.dumps(value).replace(RECORDED_AT, str(root)))


def without(value: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: item for name, item in value.items() if name not in names}


def answering(control: Control, *choices: ev.Choice) -> Callable[[ev.AnyEvent], None]:
    """Answer the open questions with ``choices``, one per epoch."""
    left = list(choices)
    answered: set[int] = set()

    def react(event: ev.AnyEvent) -> None:
        if isinstance(event, ev.DecisionAwaited) and event.epoch not in answered:
            answered.add(event.epoch)
            control.request(Decide(epoch=event.epoch, choice=left.pop(0)))

    return react


def train(root: Path, *choices: ev.Choice) -> eh.Seen:
    control = Control()
    seen = eh.Seen(answering(control, *choices))
    eh.train(root, sink=seen, control=control)
    return seen


def recorded_here() -> dict[str, Any]:
    """Return what version 0.1 gave on such a processor; empty where it was not run: the last bits may differ."""
    import platform

    import torch
    import transformers

    now = {
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "cpu": torch.backends.cpu.get_cpu_capability(),
        "machine": platform.machine(),
    }
    if now != EXPECTED["environment"]:
        return {}
    found: dict[str, Any] = EXPECTED["processors"].get(processor(), {})
    return found


def processor() -> str:
    """Return maker, family and model of the processor: libraries choose their arithmetic by them. Empty if unknown."""
    described = Path("/proc/cpuinfo")
    lines = described.read_text().splitlines() if described.exists() else []
    values = dict(line.split(":", 1) for line in reversed(lines) if ":" in line)
    known = {name.strip(): value.strip() for name, value in values.items()}
    return " ".join(known.get(name, "") for name in ("vendor_id", "cpu family", "model")).strip()


def test_status_tells_the_same(old: Path) -> None:
    told, then = status(eh.workspace_of(old), eh.settings_of(old)), here(EXPECTED["status"], old)
    for step, recorded in zip(told["steps"], then["steps"], strict=True):
        assert step.items() >= recorded.items()
    assert told["next_step"] == then["next_step"]
    # how a run that died is called may change; what is known of it may not
    for run, recorded in zip(told["runs"], then["runs"], strict=True):
        assert run.items() >= without(recorded, "status").items()
    assert told["runs"][0]["status"] == "finished"
    assert told["problem"] is None


def test_checkpoints_are_the_same_and_whole(old: Path) -> None:
    entries = list_entries(eh.workspace_of(old))
    for entry, then in zip(entries, here(EXPECTED["checkpoints"], old), strict=True):
        assert json.loads(json.dumps(as_json(entry))).items() >= then.items()
        assert folders.problems_of(entry.folder, for_resume=True) == []


def test_the_report_tells_the_same(old: Path) -> None:
    workspace = eh.workspace_of(old)
    written = write_report(workspace, list_runs(workspace))
    # a figure that was not measured is a dash today and was an empty cell then
    text = next(path for path in written if path.suffix == ".md").read_text().replace("| – |", "|  |")
    text = text.replace("| – |", "|  |")
    # how grades were read is told today; then they were read from texts
    text = text.replace("| its texts |", "|")
    # a run whose process died is called interrupted today, and was called by its last status then
    text = text.replace("| interrupted |", "| awaiting |")
    for section, lines in EXPECTED["report"].items():
        for line in lines:
            assert line in text.splitlines(), section
    # the cheap way that was measured then keeps its name, and is not taken for that of today
    assert "text classifier: exact" in text
    assert "n-gram" not in text


def test_the_monitor_names_what_was_to_be_beaten_then(old: Path) -> None:
    state = eh.states(old)[0]
    shown = EpochsPane(id="epochs", number=3).render_view(View(state=state), 200).plain
    assert "the middle grade 83% within one, a text classifier 17% exact." in shown
    assert "n-gram" not in shown


def test_the_interrupted_run_goes_on_to_the_same_weights(old: Path) -> None:
    then = EXPECTED["undisturbed"]
    run = eh.workspace_of(old).run_ids()[-1]
    seen = train(old, "continue", "stop")
    state = eh.states(old)[-1]
    assert state.started is not None
    assert state.started.run == run
    assert seen.of(ev.Resumed)[-1].global_step == 10
    assert [[item.epoch, item.choice, item.by] for item in state.decisions] == then["decisions"]
    assert {str(epoch): rows for epoch, rows in state.rows_trained.items()} == then["rows_trained"]
    assert list(state.curves.loss) == pytest.approx(then["train_losses"], rel=1e-4)
    losses = {str(epoch): row.val_loss for epoch, row in state.epochs.items()}
    assert losses == pytest.approx(then["hold_out_losses"], rel=1e-4)
    rows = (old / "logs/metrics_step_batch_100_01.csv").read_text().splitlines()
    assert [row.split(",")[:4] for row in rows][:2] == then["csv"][:2]
    assert state.finished is not None
    assert eh.place_of(old, state.finished.last_checkpoint) == eh.checkpoint_folder(old) / then["last_checkpoint"]
    assert state.finished.best_epoch == then["best_epoch"]
    assert [row.split(",")[:4] for row in rows] == then["csv"]
    if known := recorded_here():
        assert eh.final_weights(old) == known["final_weights"]
        assert losses == known["hold_out_losses"]
        assert list(state.curves.loss) == known["train_losses"]


def test_stopping_at_the_open_question_trains_nothing_more(old: Path) -> None:
    before = eh.checkpoint_folder(old) / "checkpoint-10"
    weights = eh.sha256(before / "model.safetensors")
    seen = train(old, "stop")
    assert seen.of(ev.Progress)[-1].global_step == 10
    assert eh.final_weights(old) == weights
    assert [path.name for path in before.parent.glob("checkpoint-*")] == ["checkpoint-10"]


def test_a_finished_step_is_repeated_to_the_same_weights(old: Path) -> None:
    from opeddev_tui.config import loading
    from opeddev_tui.training.reproduce import plan_repeat, repeat

    workspace = eh.workspace_of(old)
    plan = plan_repeat(workspace, loading.load(old, environment={}), workspace.run_ids()[0])
    outcome = repeat(workspace, plan, sink=eh.Seen(), control=Control())
    assert outcome is not None
    if known := recorded_here():
        assert eh.final_weights(old) == known["repeated"]
    repeated = eh.states(old)[-1]
    assert [(item.epoch, item.choice) for item in repeated.decisions] == [(1, "continue"), (2, "stop")]


def test_a_mailbox_of_that_time_does_not_stop_a_training(old: Path) -> None:
    """Commands that nobody took are dropped as the run begins; those of another version are no commands."""
    box = eh.last_run(old) / MAILBOX_NAME
    box.mkdir()
    (box / "0.json").write_text('{"command":"Annotate","epoch":1,"note":"too late"}')
    (box / "1.json").write_text('{"command":"Rate","epoch":1}')
    train(old, "stop")
    assert eh.states(old)[-1].finished is not None
    assert list(box.iterdir()) == []


def test_nothing_of_the_place_it_was_recorded_at_is_looked_for(old: Path, tmp_path: Path) -> None:
    """A copy of the moved workspace, after both have been trained on, uses its own folder of checkpoints."""
    train(old, "continue", "stop")
    again = tmp_path / "again"
    old.rename(again)
    workspace = eh.workspace_of(again)
    entries = list_entries(workspace)
    assert len(entries) == 4
    assert all(entry.folder.is_relative_to(again) for entry in entries)
    assert {entry.base for entry in entries} == {"", str(again / "model")}
    assert {entry.parent for entry in entries} == {"", str(entries[1].folder)}
    assert "start of step 1" in entries[1].marks
