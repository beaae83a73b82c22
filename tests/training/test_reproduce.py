"""Repeating a run: bit-equal weights, recorded decisions, and a clear no where something is not the same."""

import json
from collections.abc import Callable
from pathlib import Path

import engine_helpers as eh
import pytest

from opeddev_tui.analysis import learning_curve
from opeddev_tui.checkpoints import catalog
from opeddev_tui.cli import main
from opeddev_tui.config.loading import load
from opeddev_tui.errors import Problem, TrainingProblem
from opeddev_tui.runs import events as ev
from opeddev_tui.runs import manifest
from opeddev_tui.runs.control import Control
from opeddev_tui.runs.history import finished_steps, list_runs
from opeddev_tui.training.deciders import OnCommand, Pending

Factory = Callable[..., Path]


class Stubborn:
    """Decides against the rule."""

    def decide(self, pending: Pending, on_command: OnCommand) -> ev.Decided:  # noqa: ARG002 - a decider
        """Stop after the second epoch, whatever the verdict is."""
        question = pending()
        choice: ev.Choice = "stop" if question.epoch == 2 else "continue"
        return ev.Decided(epoch=question.epoch, choice=choice, by="person", verdict=question.verdict, note="enough")


def edit_manifest(root: Path, run: str, change: Callable[[dict[str, object]], object]) -> None:
    """Change the manifest of ``run``."""
    path = eh.workspace_of(root).run_manifest(run)
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def plan(root: Path, run: str) -> object:
    """Plan the repetition of ``run``."""
    from opeddev_tui.training.reproduce import plan_repeat

    return plan_repeat(eh.workspace_of(root), load(root, environment={}), run)


def test_weights_are_bit_equal(workspace_factory: Factory, capsys: pytest.CaptureFixture[str]) -> None:
    """A person's early stop is repeated too; settings of today do not matter, harmless ones of the record do."""
    root = workspace_factory(rows=12)
    (run,) = eh.train(root, decider=Stubborn(), overrides=["training.learning_rate=1e-3"])
    before, table = eh.final_weights(root), eh.workspace_of(root).metrics_csv("metrics_step_base.csv").read_bytes()
    assert main(["repeat", run, "-w", str(root)]) == 0
    assert eh.workspace_of(root).metrics_csv("metrics_step_base.csv").read_bytes() == table
    output = capsys.readouterr().out
    assert "nothing differs in the environment" in output
    assert "Bit-equal weights at every one of 2 checkpoints" in output
    assert len(list_runs(eh.workspace_of(root))) == 2
    assert eh.final_weights(root) == before
    state = eh.states(root)[-1]
    assert state.repeats == run
    assert [(item.epoch, item.choice, item.by) for item in state.decisions] == [
        (1, "continue", "person"),
        (2, "stop", "person"),
    ]
    edit_manifest(root, run, lambda content: content["versions"].update(torch="1.0"))  # type: ignore[attr-defined]
    assert main(["repeat", run, "-w", str(root), "--check"]) == 0
    assert "torch was 1.0 and is" in capsys.readouterr().out


def test_second_step_from_its_parent(trained_workspace: Path, tmp_path: Path) -> None:
    """A later step starts from the recorded checkpoint and gives the same weights."""
    from opeddev_tui.training.reproduce import plan_repeat, repeat

    root = eh.copy_workspace(trained_workspace, tmp_path / "copy")
    workspace = eh.workspace_of(root)
    run = workspace.run_ids()[-1]
    moved = str(eh.workspace_of(trained_workspace).store), str(workspace.store)
    path = workspace.run_manifest(run)
    path.write_text(path.read_text().replace(*moved))
    found = plan_repeat(workspace, load(root, environment={}), run)
    assert "checkpoint-" in found.request.start_from
    outcome = repeat(workspace, found, sink=eh.Seen(), control=Control())
    assert outcome is not None
    assert outcome.same
    assert len(outcome.equal) == 3
    only_compared(root, run, outcome.run)


def only_compared(root: Path, run: str, repetition: str) -> None:
    """Check that ``run`` stays the run of its step, for everything that goes by steps."""
    workspace = eh.workspace_of(root)
    records = list_runs(workspace)
    assert [record.id for record in records if record.state.repeats] == [repetition]
    assert finished_steps(records)[1].id == run
    assert [record.id for record in learning_curve.steps_of(records)][-1] == run
    entries = catalog.list_entries(workspace)
    for name in ("latest", "best", "step1", "step1:1"):
        assert catalog.find_entry(entries, name).run == run, name
    named = next(entry for entry in entries if entry.run == repetition)
    assert catalog.find_entry(entries, named.name) is named


def test_refused_where_something_differs(trained_workspace: Path, tmp_path: Path) -> None:
    """Data, hold-out, model, parent: each refusal names its reason; nothing is written."""
    root = eh.copy_workspace(trained_workspace, tmp_path / "copy")
    first, second = eh.workspace_of(root).run_ids()
    edit_manifest(root, second, lambda content: content.update(parent=str(tmp_path / "gone")))
    with pytest.raises(TrainingProblem, match="started from cannot be used"):
        plan(root, second)
    eh.write_rows(eh.base_file(root), eh.make_rows(20, "other"))
    with pytest.raises(TrainingProblem, match="batch base has changed"):
        plan(root, first)
    eh.write_rows(eh.base_file(root), eh.make_rows(20, "base"))
    edit_manifest(root, first, lambda content: content["model"]["files"].update({"config.json": "0"}))  # type: ignore[index]
    with pytest.raises(TrainingProblem, match=r"the model .* has changed"):
        plan(root, first)
    eh.write_rows(eh.holdout_file(root), eh.make_rows(5, "holdout"))
    with pytest.raises(Problem, match="hold-out"):
        plan(root, first)
    assert eh.workspace_of(root).run_ids() == [first, second]


def test_clear_words_for_bad_records(trained_workspace: Path, tmp_path: Path) -> None:
    """An unknown run, a broken manifest, a hidden secret, a setting that is gone."""
    root = eh.copy_workspace(trained_workspace, tmp_path / "copy")
    run = eh.workspace_of(root).run_ids()[0]
    with pytest.raises(TrainingProblem, match=f"Did you mean {run}"):
        plan(root, run[:-1])
    with pytest.raises(TrainingProblem, match="there is no run"):
        plan(root, "../..")
    edit_manifest(root, run, lambda content: content["settings"]["training"].update(gradient_checkpointing=False))  # type: ignore[index]
    with pytest.raises(Problem, match=r"unknown setting training\.gradient_checkpointing"):
        plan(root, run)
    eh.workspace_of(root).run_manifest(run).write_text("{")
    with pytest.raises(TrainingProblem, match="cannot be read"):
        plan(root, run)


def test_other_ends_are_not_the_same() -> None:
    """Weights that differ, or a run that ended at another step, are told."""
    from opeddev_tui.training.reproduce import compare

    def saved(*digests: str) -> list[ev.AnyEvent]:
        return [
            ev.CheckpointSaved(path="", global_step=step, epoch=step, size=1, digest=digest)
            for step, digest in enumerate(digests, 1)
        ]

    assert compare("r", saved("a", "b"), saved("a", "b")).same
    assert compare("r", saved("a", "b"), saved("a", "c")).unequal == [2]
    assert not compare("r", saved("a", "b"), saved("a")).same
    assert not compare("r", saved("a"), []).same


def test_manifests_of_other_versions_are_read(tmp_path: Path) -> None:
    """Missing fields have their default, new ones are left alone, and what is no manifest is none."""
    path = tmp_path / "manifest.json"
    path.write_text('{"format": 9, "step": 2, "new": [1], "data": {"batches": [{"name": "base", "size": 3}]}}')
    found = manifest.read(path)
    assert found is not None
    assert (found.step, found.run, found.model.files, found.data.holdout) == (2, "", {}, None)
    assert found.data.batches == [manifest.DataSet(name="base")]
    for broken in (b"", b"[]", b"\xff", b'{"step": "two"}', b'{"settings": []}', b'{"model": null}'):
        path.write_bytes(broken)
        assert manifest.read(path) is None, broken
        assert manifest.settings_of(path) == {}
    assert manifest.read(tmp_path) is None
