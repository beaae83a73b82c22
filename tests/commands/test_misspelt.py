"""A misspelt command, sub-command or option is answered with the full name of what was meant."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from opeddev_tui import cli
from opeddev_tui.commands import misspelt
from opeddev_tui.commands.checkpoints import ACTIONS
from opeddev_tui.config.loading import load
from opeddev_tui.config.settings import Settings
from opeddev_tui.errors import DataProblem
from opeddev_tui.serving.submissions import Submissions
from opeddev_tui.workspace.setup import make_workspace


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


@pytest.mark.parametrize(("word", "does"), [
    ("runs", "opeddev-tui status"), ("compare", "In the app C"),
    ("undo", "In the app u"), ("resume", "opeddev-tui train"),
    ("logs", "logs/train.log"), ("settings", "config.toml"),
    ("predict", "opeddev-tui grade"), ("new", "opeddev-tui init"),
    ("delete", "opeddev-tui checkpoints prune"), ("export", "opeddev-tui checkpoints export"),
    ("pause", "In the app p"), ("eval", "opeddev-tui grade"),
    ("stop", "opeddev-tui decide"), ("frobnicate", "Commands: open, demo, "),
    ("banana", "Commands: open, demo, "), ("helo", "Commands: open, demo, "),
    ("gen", "opeddev-tui checkpoints generate"),
])  # fmt: skip
def test_another_word_names_what_does_it_or_all_commands(
    word: str, does: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main([word]) == 2
    told = capsys.readouterr().err
    assert told.startswith(f"{word} is no command and no folder. ")
    assert does in told


def test_a_misspelt_workspace_names_the_one_that_is_here(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_workspace(tmp_path / "opeddev-demo")
    assert cli.main(["opedev-demo"]) == 2
    assert "Did you mean opeddev-tui opeddev-demo?" in capsys.readouterr().err


def test_every_command_that_is_named_for_a_word_is_there_and_no_word_is_one() -> None:
    assert not set(misspelt._MEANT) & set(cli.COMMANDS)
    for sentence in misspelt._MEANT.values():
        for name, action in re.findall(r"opeddev-tui ([a-z-]+)(?: (?:(?<=checkpoints )([a-z]+)))?", sentence):
            assert name in ("alone", *cli.COMMANDS) or name.startswith("--")
            assert not action or action in ACTIONS


@pytest.mark.parametrize(("words", "setting"), [
    (["--epochs", "3"], "training.num_train_epochs=3"), (["--lr=1e-5"], "training.learning_rate=1e-5"),
    (["--batch-size", "4"], "training.per_device_train_batch_size=4"),
    (["--model", "Qwen/Qwen3-0.6B"], "model.name=Qwen/Qwen3-0.6B"), (["--lora"], "lora.enabled=VALUE"),
    (["--max-length", "512", "--new"], "data.max_length=512"), (["--gpus", "2"], "training.num_processes=2"),
    (["--weight-decay", "0.1"], "training.weight_decay=0.1"), (["--warmup-steps", "5"], "training.warmup_steps=5"),
])  # fmt: skip
def test_an_option_that_is_a_setting_is_told_as_one(
    words: list[str], setting: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        cli.main(["train", *words])
    told = capsys.readouterr().err
    assert f"That is a setting: --set {setting}" in told
    key, _, value = setting.partition("=")
    if value != "VALUE":
        load(Path.cwd(), overrides=[f"{key}={value}"])


@pytest.mark.parametrize("option", ["--frobnicate", "--banana", "--quiet", "--colour", "--dry-run"])
def test_for_an_option_of_no_meaning_here_nothing_is_guessed(option: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(["train", option])
    told = capsys.readouterr().err
    assert "Did you mean" not in told
    assert "That is a setting" not in told


@pytest.mark.parametrize("missing", ["nofile.html", "page.css", "src"])
def test_a_file_of_another_name_is_not_suggested(missing: str, tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text("")
    with pytest.raises(DataProblem, match=r"does not exist\. .* holds config\.toml\."):
        list(Submissions([str(tmp_path / missing)], Settings().data).items())
