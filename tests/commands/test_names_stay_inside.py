"""No option that names a run, a checkpoint or an epoch leads out of the workspace, and links are not followed."""

import argparse
import os
import threading
from pathlib import Path

import engine_helpers as eh
import pytest
from test_every_command_is_filtered import COMMANDS, call

from opeddev_tui.checkpoints import folders
from opeddev_tui.cli import main
from opeddev_tui.errors import Problem, StorageProblem
from opeddev_tui.workspace.paths import is_plain_name

# names of options that take no place of a person's choice
NAMING = {"run", "epoch", "checkpoint", "checkpoints", "one", "two", "against", "source", "step"}
FREE = {
    "workspace",
    "place",
    "overrides",
    "folder",
    "target",
    "jsonl",
    "tensorboard",
    "text",
    "note",
    "prompt",
    "what",
    "choice",
}
FREE |= {"seeds", "choose", "at_once", "settings", "folds", "hours"}
NAMING |= {"seed_run", "member"}
FREE |= {"policy", "row", "grade", "rater", "count", "out", "seed", "task", "rubric", "take"}
FREE |= {"repository"}
FREE |= {"next_learning_rate", "next_batch", "result"}
FREE |= {"submissions", "submission", "kind", "fail_below", "feedback", "criterion", "host", "port"}


@pytest.fixture
def two(trained_workspace: Path, tmp_path: Path) -> tuple[Path, Path]:
    """A workspace, and another one beside it that must not be touched."""
    return tuple(eh.copy_workspace(trained_workspace, tmp_path / name) for name in ("mine", "theirs"))  # type: ignore[return-value]


def naming() -> list[tuple[tuple[str, ...], argparse.Action]]:
    """Return every option of every command that names a run, a checkpoint or an epoch."""
    found = []
    for words, actions in COMMANDS.items():
        for action in actions:
            if action.nargs == 0 or action.choices:
                continue
            assert action.dest in NAMING | FREE, f"{words} {action.dest}: say whether it names something inside"
            # the rows that are proposed may lie anywhere
            if action.dest in NAMING and words[0] not in ("open", "attach", "propose"):
                found.append((words, action))
    return found


@pytest.mark.parametrize(
    ("words", "action"), naming(), ids=lambda item: " ".join(item) if isinstance(item, tuple) else item.dest
)
def test_a_name_that_leads_outside_is_refused(
    two: tuple[Path, Path], words: tuple[str, ...], action: argparse.Action, capsys: pytest.CaptureFixture[str]
) -> None:
    mine, theirs = two
    run = eh.last_run(theirs)
    outside = eh.checkpoint_folder(theirs)
    # another run than any here: a name that both have means the own one
    outside = outside.rename(outside.with_name("20200101-000000-step0-theirs-0000"))
    checkpoint = folders.list_folders(outside)[0]
    before = {root: eh.tree(root) for root in two}
    for value in (
        f"../../../{theirs.name}/logs/runs/{run.name}",
        str(run),
        str(checkpoint),
        os.path.relpath(checkpoint, mine),
        f"../{outside.name}/{checkpoint.name}",
        "..",
        ".",
        "-1",
        "99",
    ):
        if value in ("-1", "99") and action.dest not in ("epoch", "step"):
            continue
        arguments = call(words, mine, evil=False, flags=False)
        if action.option_strings:
            name = action.option_strings[-1]
            arguments = [word for word in arguments if not word.startswith(f"{name}=")] + [f"{name}={value}"]
        else:
            position = [item.dest for item in COMMANDS[words] if not item.option_strings].index(action.dest)
            arguments[len(words) + position] = value
        if words[0] == "train" and action.dest == "source":
            arguments += ["--step=1", "--new"]
        try:
            code = main(arguments)
        except SystemExit as refused:
            code = int(str(refused.code))
        told = capsys.readouterr()
        assert code in (2, 4, 6), (arguments, told)
        assert {root: eh.tree(root) for root in two} == before, arguments


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "../x", "/abs", "a\0b"])
def test_a_plain_name_leads_nowhere(name: str, two: tuple[Path, Path]) -> None:
    assert not is_plain_name(name)
    if name:
        with pytest.raises(Problem):
            eh.workspace_of(two[0]).run_folder(name)


def test_nothing_behind_a_link_is_deleted(two: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    mine, theirs = two
    workspace = eh.workspace_of(mine)
    kept = eh.tree(theirs)
    run = eh.last_run(mine).name
    # the checkpoints of a run, and a run, are links into the other workspace
    os.rename(workspace.checkpoints(run), mine / "aside")
    workspace.checkpoints(run).symlink_to(eh.checkpoint_folder(theirs))
    (workspace.runs / "20990101-000000-step9-x-0000").symlink_to(eh.last_run(theirs))
    assert main(["checkpoints", "prune", "--yes", "-w", str(mine)]) == 0
    assert main(["note", "hello", "-w", str(mine), "--run", "20990101-000000-step9-x-0000"]) == 6
    assert eh.tree(theirs) == kept
    with pytest.raises(StorageProblem, match="behind a link"):
        folders.remove(workspace.checkpoints(run) / "checkpoint-30")
    assert eh.tree(theirs) == kept
    assert "20990101" not in capsys.readouterr().out


def test_a_checkpoint_that_is_being_read_is_kept(two: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    mine, _ = two
    first = folders.list_folders(eh.checkpoint_folder(mine))[0]
    with folders.in_use(first):
        assert main(["checkpoints", "prune", "--yes", "-w", str(mine)]) == 0
        told = " ".join(capsys.readouterr().out.split())
        assert f"kept: {first.parent.name}/{first.name} (another process is reading it)" in told
        assert folders.problems_of(first) == []
    assert main(["checkpoints", "prune", "--yes", "-w", str(mine)]) == 0
    assert not first.exists()


def test_two_may_read_and_whoever_comes_too_late_is_told(two: tuple[Path, Path]) -> None:
    first = folders.list_folders(eh.checkpoint_folder(two[0]))[0]
    with folders.in_use(first), folders.in_use(first):
        assert not folders.remove(first)
    assert folders.remove(first)
    # what is no checkpoint has no lock: the loader says what is wrong with it
    with folders.in_use(first):
        pass


def test_a_checkpoint_is_not_deleted_while_a_command_loads_it(
    two: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """``checkpoints generate`` holds it for as long as it reads its files."""
    from opeddev_tui.models import loading

    mine, _ = two
    first = folders.list_folders(eh.checkpoint_folder(mine))[0]
    load = loading.load_model
    removed: list[bool] = []

    def slow(source: str, *rest: object) -> object:
        pruning = threading.Thread(target=lambda: removed.append(folders.remove(first)), daemon=True)
        pruning.start()
        pruning.join(20)
        return load(source, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(loading, "load_model", slow)
    name = f"{first.parent.name}/{first.name}"
    assert main(["checkpoints", "generate", name, "hello", "-w", str(mine)]) == 0
    assert removed == [False]
    assert main(["checkpoints", "export", name, str(mine / "export"), "-w", str(mine)]) == 0
    assert removed == [False, False]


def test_the_rotation_keeps_what_is_being_read(two: tuple[Path, Path]) -> None:
    store = eh.checkpoint_folder(two[0])
    first, *rest = folders.list_folders(store)
    with folders.in_use(first):
        assert folders.rotate(store, keep=1, protected=[]) == rest[:-1]
    assert folders.rotate(store, keep=1, protected=[]) == [first]
