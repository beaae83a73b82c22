"""A misspelt command, sub-command or option is answered with the full name of what was meant."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
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


@dataclass(frozen=True)
class Command:
    """A command with the words that lead to its parser, and its options as its help lists them."""

    words: tuple[str, ...]
    options: tuple[str, ...]
    hidden: tuple[str, ...] = ()


def commands(parser: argparse.ArgumentParser, words: tuple[str, ...] = ()) -> Iterator[Command]:
    below = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    of_help: dict[bool, list[str]] = {True: [], False: []}
    for action in parser._actions:
        of_help[action.help != argparse.SUPPRESS] += [name for name in action.option_strings if name[:2] == "--"]
    yield Command(words, tuple(of_help[True]), tuple(of_help[False]))
    for action in below:
        for name, sub in action.choices.items():
            yield from commands(sub, (*words, name))


EVERY = list(commands(cli.build_parser()))


def beginnings(name: str, others: Iterable[str]) -> list[str]:
    """Return what stands for ``name`` alone when it is cut: from the third character to the last but one."""
    return [name[:end] for end in range(3, len(name)) if name[:end] not in others]


def told(words: Sequence[str], capsys: pytest.CaptureFixture[str]) -> str:
    """Return what is said of a command that must be refused."""
    with pytest.raises(SystemExit) as left:
        cli.main(words)
    assert left.value.code == 2
    return capsys.readouterr().err


@pytest.mark.parametrize("command", EVERY, ids=lambda command: " ".join(command.words) or "opeddev-tui")
def test_the_beginning_of_an_option_is_refused_and_names_the_full_one(
    command: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in command.options:
        for cut in beginnings(name, command.options):
            for words in ([cut], [cut, "1"], [f"{cut}=1"]):
                said = told([*command.words, *words], capsys)
                assert f"unrecognized arguments: {cut}" in said
                cure = re.search(r"Did you mean (.*)\?", said)
                assert cure is not None, said
                assert name in cure[1].split(" or ")


@pytest.mark.parametrize("command", [each for each in EVERY if each.hidden], ids=lambda each: " ".join(each.words))
def test_an_option_that_only_the_app_uses_is_neither_taken_cut_nor_named(
    command: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in command.hidden:
        for cut in beginnings(name, (*command.options, *command.hidden)):
            assert name not in told([*command.words, cut, "1"], capsys).replace(f"{cut} ", "")


def test_an_option_with_one_dash_names_the_one_with_two(capsys: pytest.CaptureFixture[str]) -> None:
    assert "Did you mean --json?" in told(["status", "-json"], capsys)
    assert "Did you mean --seeds?" in told(["train", "-seeds=3"], capsys)
    assert cli.build_parser("status").parse_args(["status", "-wworkspace"]).workspace == Path("workspace")


@pytest.mark.parametrize("words", [
    ["decide", "--resul", "best"], ["checkpoints", "export", "--verif"], ["train", "--seeds", "--polic", "rule"],
    ["grade", "--fail", "3"],
])  # fmt: skip
def test_an_unknown_option_is_told_before_what_follows_from_it(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    said = told(words, capsys)
    cut = next(word for word in words if word.startswith("--") and word != "--seeds")
    assert f"error: unrecognized arguments: {cut}" in said
    assert f"Did you mean {cut}" in said
    assert "required" not in said
    assert "invalid choice" not in said


def test_after_two_dashes_alone_nothing_is_an_option(capsys: pytest.CaptureFixture[str]) -> None:
    assert "Did you mean" not in told(["note", "a", "--", "--epoc"], capsys)


def test_no_parser_of_the_project_takes_the_beginning_of_an_option() -> None:
    root = Path(cli.__file__).parents[1]
    made = []
    for path in (path for room in ("opeddev_tui", "benchmarks", "tools") for path in (root / room).rglob("*")):
        if path.suffix in (".py", ".jinja"):
            made += re.findall(r"argparse\.ArgumentParser\((.*?\)?)\)\n", path.read_text(encoding="utf-8"), re.DOTALL)
    assert len(made) > 20
    assert not [call for call in made if "allow_abbrev=False" not in call]


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
