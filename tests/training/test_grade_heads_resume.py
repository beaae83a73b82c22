"""Killed anywhere, a run with grade heads ends with the heads, grades and events of an undisturbed one, bit for bit."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from engine_helpers import (
    Follower,
    last_run,
    make_workspace,
    place_of,
    saving,
    sha256,
    start_training,
    states,
    train,
    wait_until,
)
from msgspec.structs import replace

from opeddev_tui.checkpoints import folders
from opeddev_tui.runs import events as ev

Make = Callable[..., Path]
LOSS: dict[str, object] = {"grading.evaluate": True, "training.num_train_epochs": 2}
GRADE: dict[str, object] = {**LOSS, "early_stop.metric": "grade"}
SIZES: dict[str, Any] = {"rows": 20, "holdout": 8}


def by_loss(event: ev.AnyEvent) -> str:
    """A name of the moments at which a run is killed."""
    match event:
        case ev.PhaseChanged(phase="reading", detail=detail) if "base" in detail:
            return "while the base model is read"
        case ev.HeadFitted(head="base"):
            return "after the base head"
        case ev.GradesRead(epoch=1):
            return "after the grades of an epoch"
        case ev.EpochFinished(epoch=2):
            return "before the step's head"
        case ev.HeadFitted(head="step", epoch=2):
            return "after the step's head"
        case _:
            return ""


@pytest.fixture(scope="module")
def undisturbed(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """What runs by loss and by grade end with."""
    found = {}
    for name, settings in (("loss", LOSS), ("grade", GRADE)):
        root = tmp_path_factory.mktemp(name) / "workspace"
        make_workspace(root, tiny_model, settings=settings, **SIZES)
        train(root)
        found[name] = outcome(root)
    return found


def outcome(root: Path) -> dict[str, Any]:
    """Return heads by digest, and what was recorded of grades without times and places."""
    state = states(root)[-1]
    assert state.status == "finished"
    assert state.finished is not None
    heads: dict[str, str] = {}
    for name, place in (("last", state.finished.last_checkpoint), ("best", state.finished.best_checkpoint)):
        folder = place_of(root, place)
        assert folders.problems_of(folder, for_resume=True) == []
        heads |= {f"{name} {path.name}": sha256(path) for path in sorted(folder.glob("*grade_head*"))}
    heads |= {path.name: sha256(path) for path in sorted((last_run(root) / "grading").iterdir())}
    return {
        "heads": heads,
        "readings": {
            epoch: replace(read, at=0, seconds=0, ways=tuple(replace(way, seconds=0) for way in read.ways))
            for epoch, read in state.readings.items()
        },
        "measured": {epoch: replace(item, at=0, seconds=0) for epoch, item in state.grades.items()},
        "fitted": {
            key: replace(item, at=0, read=0, read_seconds=0, fit_seconds=0) for key, item in state.heads.items()
        },
        "verdicts": [item.verdict for item in state.decisions],
        "best": state.finished.best_epoch,
    }


def finish(root: Path) -> None:
    process = start_training(root)
    assert process.code() == 0, process.text()


@pytest.mark.parametrize(
    ("metric", "moment"),
    [
        ("loss", "while the base model is read"),
        ("loss", "after the base head"),
        ("grade", "after the grades of an epoch"),
        ("loss", "before the step's head"),
        ("loss", "after the step's head"),
        ("grade", "before the step's head"),
    ],
)
def test_killed_at_any_part_of_grading_a_run_ends_as_if_undisturbed(
    workspace_factory: Make, undisturbed: dict[str, dict[str, Any]], metric: str, moment: str
) -> None:
    root = workspace_factory(**SIZES, **(GRADE if metric == "grade" else LOSS))
    process = start_training(root)
    Follower(root).wait(lambda event: by_loss(event) == moment, process)
    process.kill_hard()
    finish(root)
    assert outcome(root) == undisturbed[metric]
    assert len(states(root)) == 1


@pytest.mark.parametrize("metric", ["loss", "grade"])
def test_killed_while_a_checkpoint_is_saved_its_heads_are_the_same(
    workspace_factory: Make, undisturbed: dict[str, dict[str, Any]], metric: str
) -> None:
    root = workspace_factory(**SIZES, **(GRADE if metric == "grade" else LOSS))
    process = start_training(root)
    assert wait_until(lambda: saving(root), process)
    process.kill_hard()
    finish(root)
    assert outcome(root) == undisturbed[metric]


def test_a_kept_base_head_that_is_damaged_is_fitted_again(
    workspace_factory: Make, undisturbed: dict[str, dict[str, Any]]
) -> None:
    root = workspace_factory(**SIZES, **LOSS)
    process = start_training(root)
    Follower(root).wait(lambda event: isinstance(event, ev.EpochFinished) and event.epoch == 1, process)
    process.kill_hard()
    (last_run(root) / "grading/grade_head.safetensors").write_bytes(b"cut")
    finish(root)
    assert outcome(root) == undisturbed["loss"]
