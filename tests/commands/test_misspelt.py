"""A misspelt command, sub-command or option is answered with the full name of what was meant."""

from __future__ import annotations

from pathlib import Path

import pytest

from opeddev_tui import cli
from opeddev_tui.commands.checkpoints import ACTIONS


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("action", [name for name in ACTIONS if name not in cli.COMMANDS])
def test_the_bare_word_of_a_sub_command_names_its_full_command(action: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([action]) == 2
    assert f"Did you mean opeddev-tui checkpoints {action}?" in capsys.readouterr().err


@pytest.mark.parametrize("command", [name for name in cli.COMMANDS if len(name) > 3])
def test_a_misspelt_command_names_the_nearest(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([command[:-2] + command[-1] + command[-2]]) == 2
    assert f"Did you mean opeddev-tui {command}?" in capsys.readouterr().err


@pytest.mark.parametrize(("arguments", "meant"), [
    (["train", "--polcy", "rule"], "--policy"), (["grade", "x", "--fail-belw", "3"], "--fail-below"),
    (["checkpoints", "exprt"], "export"), (["checkpoints", "export", "best", "x", "--verfy"], "--verify"),
])  # fmt: skip
def test_a_misspelt_option_names_the_nearest(
    arguments: list[str], meant: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        cli.main(arguments)
    assert f"Did you mean {meant}?" in capsys.readouterr().err


def test_a_folder_of_that_name_is_opened_and_not_taken_for_a_mistake(tmp_path: Path) -> None:
    (tmp_path / "export").mkdir()
    assert cli._with_command(["export"]) == ["open", "export"]
    assert cli._with_command(["./exprt"]) == ["open", "./exprt"]
