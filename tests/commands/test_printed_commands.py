"""Every command that a command prints can be typed where the person stands; a folder without a workspace is told."""

import json
import re
import shlex
from pathlib import Path

import pytest

from opeddev_tui import cli
from opeddev_tui.config.loading import load
from opeddev_tui.config.settings import Grading, Paths
from opeddev_tui.data.example_row import example_row
from opeddev_tui.workspace.setup import make_workspace
from opeddev_tui.workspace.typed_commands import IN_A_WORKSPACE

ROW = json.loads(example_row(Grading()))
# of each command a call that comes to an end without a model
CALLS = (
    *("status", "train --step 7", "train --step next --from nothing", "decide continue", "decide stop --run nothing"),
    *("checkpoints list", "checkpoints show latest", "checkpoints take nothing", "race --from latest", "regrade"),
    *("regrade --undo", "regrade nothing --show", "propose", "correct", "grade", "grade rows --from best"),
    *("note text", "note text --run nothing", "report", "plot", "repeat nothing", "test", "push you/it"),
    *("tune training.learning_rate=1,2 --step 7", "serve --from latest", "export-logs --jsonl out.jsonl"),
)
_PRINTED = re.compile(r"(?<![\w./-])opeddev-tui (?:checkpoints )?([a-z-]+)(?! -w mine\b)")


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("with_rows", [False, True], ids=["no rows", "rows"])
def test_what_a_command_prints_is_complete_outside_of_the_workspace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], call: str, with_rows: bool
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "2000")
    make_workspace(tmp_path / "mine")
    command, *more = shlex.split(call)
    if with_rows:
        write_rows(tmp_path / "mine")
    place = [command, more.pop(0)] if command == "checkpoints" else [command]
    cli.main([*place, "-w", "mine", *more])
    assert_complete("".join(capsys.readouterr()))


def write_rows(root: Path) -> None:
    """Write some graded rows into the workspace ``root``."""
    paths = make_and_load(root)
    for folder in (paths.base, paths.holdout):
        rows = [{**ROW, "submission": f"<p>{at} of {folder}</p>" * 9, "grade": at} for at in range(1, 6)]
        (root / folder / "rows.jsonl").write_text("\n".join(json.dumps(row) for row in rows))


def make_and_load(root: Path) -> Paths:
    """Make the workspace and return its paths."""
    make_workspace(root)
    return load(root).settings.paths


def assert_complete(told: str) -> None:
    """Assert that every command in ``told`` that works on a workspace names it."""
    assert [found for found in re.finditer(_PRINTED, told) if found[1] in IN_A_WORKSPACE] == []


def test_what_status_tells_to_type_is_complete(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    write_rows(tmp_path / "mine")
    assert cli.main(["status", "-w", "mine"]) == 0
    assert "opeddev-tui train -w mine" in capsys.readouterr().out
    monkeypatch.chdir(tmp_path / "mine")
    assert cli.main(["status"]) == 0
    assert "opeddev-tui train\n" in capsys.readouterr().out


def test_where_no_workspace_is_status_says_so_and_names_those_that_are_near(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "2000")
    assert cli.main(["status"]) == 0
    assert "Make one: opeddev-tui init." in capsys.readouterr().out
    make_workspace(tmp_path / "my grader")
    (tmp_path / "other" / "datasets").mkdir(parents=True)
    assert cli.main(["status"]) == 0
    told = capsys.readouterr().out
    assert "No workspace here yet" in told
    assert "opeddev-tui status -w 'my grader'" in told
    assert "other" not in told
    monkeypatch.chdir("my grader")
    assert cli.main(["status"]) == 0
    assert "No data yet" in capsys.readouterr().out
