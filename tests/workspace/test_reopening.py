"""Commands that are printed to be typed are complete for the folder where a person is."""

import argparse
from pathlib import Path

import pytest

from opeddev_tui.cli import COMMANDS, build_parser
from opeddev_tui.workspace.typed_commands import IN_A_WORKSPACE, for_here, reopening


def test_the_workspace_is_named_unless_it_is_the_folder_of_now(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inside = tmp_path / "my grader"
    inside.mkdir()
    monkeypatch.chdir(inside)
    assert reopening(inside) == "opeddev-tui"
    monkeypatch.chdir(tmp_path)
    assert reopening(inside) == "opeddev-tui 'my grader'"
    assert reopening(Path("/elsewhere/grader")) == "opeddev-tui /elsewhere/grader"
    # a folder that is called like a command
    assert reopening(tmp_path / "check") == "opeddev-tui ./check"


@pytest.mark.parametrize(
    ("text", "complete"),
    [
        ("opeddev-tui decide continue, or stop", "opeddev-tui decide -w mine continue, or stop"),
        ("See: opeddev-tui status.", "See: opeddev-tui status -w mine."),
        ("Choose: opeddev-tui checkpoints take RUN.", "Choose: opeddev-tui checkpoints take -w mine RUN."),
        ("Follow it with: opeddev-tui; or go", "Follow it with: opeddev-tui mine; or go"),
        ("opeddev-tui export-logs --jsonl x", "opeddev-tui export-logs -w mine --jsonl x"),
        ("a: opeddev-tui check, and opeddev-tui to open the app.",
         "a: opeddev-tui check -w mine, and opeddev-tui mine to open the app."),
        ("opeddev-tui train -w there", "opeddev-tui train -w there"),
        ("opeddev-tui demo", "opeddev-tui demo"),
        ("opeddev-tui init 'my grader'", "opeddev-tui init 'my grader'"),
        ("~/.config/opeddev-tui/apprise.txt", "~/.config/opeddev-tui/apprise.txt"),
        ("opeddev-tui serve-like words", "opeddev-tui serve-like words"),
    ],
)  # fmt: skip
def test_every_command_of_a_text_names_the_workspace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, complete: str
) -> None:
    root = tmp_path / "mine"
    root.mkdir()
    monkeypatch.chdir(tmp_path)
    assert for_here(text, root) == complete
    assert for_here(complete, root) == complete
    monkeypatch.chdir(root)
    assert for_here(text, root) == text


def test_the_commands_that_work_on_a_workspace_are_those_that_take_one() -> None:
    assert set(COMMANDS) - set(IN_A_WORKSPACE) == {"open", "attach", "demo", "init"}
    for command in IN_A_WORKSPACE:
        parsers = parsers_of(build_parser(command), command)
        assert parsers
        assert all("-w" in parser._option_string_actions for parser in parsers)


def parsers_of(parser: argparse.ArgumentParser, name: str) -> list[argparse.ArgumentParser]:
    """Return the parsers below ``parser`` that read the options of the command ``name``."""
    found = []
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            below = [action.choices[name]] if name in action.choices else action.choices.values()
            for sub in below:
                found += parsers_of(sub, "") or [sub]
    return found
