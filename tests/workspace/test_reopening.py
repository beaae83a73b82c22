"""The command that opens a workspace again, from the folder where a person is."""

from pathlib import Path

import pytest

from opeddev_tui.workspace.paths import reopening


def test_the_workspace_is_named_unless_it_is_the_folder_of_now(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inside = tmp_path / "my grader"
    inside.mkdir()
    monkeypatch.chdir(inside)
    assert reopening(inside) == "opeddev-tui"
    monkeypatch.chdir(tmp_path)
    assert reopening(inside) == "opeddev-tui 'my grader'"
    assert reopening(Path("/elsewhere/grader")) == "opeddev-tui /elsewhere/grader"
