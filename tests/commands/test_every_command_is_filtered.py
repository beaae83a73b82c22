"""No command, present or to come, prints control characters: the parser says which commands there are."""

import argparse
import json
import re
import unicodedata
from collections.abc import Iterator
from pathlib import Path

import engine_helpers as eh
import pytest
import tomli_w
from hostile import hostile_events

import opeddev_tui
from opeddev_tui.cli import build_parser
from opeddev_tui.commands.printing import json_text
from opeddev_tui.runs.journal import Journal
from opeddev_tui.text import clean, escaped

# what a terminal answers, obeys or hides, as far as it can stand in a file's name
EVIL = "x\x1b]0;title\x07\x1b[31m\x9b2J\x1bPq\x1b\\\u202egpj\u2066\r\x08[bold red]\x05\x7f"
SHORT = "\x1b]52;c;eA==\x07\x9d"
HARMFUL = {"Cc", "Cf", "Cs", "Zl", "Zp"}
# what an option needs so that its command gets further than its first check
VALID = {
    "what": "test",
    "choice": "stop",
    "checkpoint": "latest",
    "checkpoints": "latest",
    "one": "step0",
    "two": "latest",
    "run": "RUN",
    "epoch": "1",
    "step": "next",
    "source": "latest",
    "against": "step0",
    "count": "3",
    "seed": "1",
    "grade": "3",
    "seeds": "",
    "choose": "",
    "at_once": "0",
    "folds": "2",
    "hours": "1",
    "member": "",
    "seed_run": "RUN",
    "fail_below": "3",
    "repository": "someone/grader",
}
# places of a person's choice: inside the workspace, so that no test writes anywhere else
PLACES = {"jsonl", "tensorboard", "target", "out", "take"}


def commands(parser: argparse.ArgumentParser, words: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], list]]:
    """Yield every command of ``parser`` with its actions: (("checkpoints", "list"), …)."""
    subs = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    if not subs:
        yield words, [action for action in parser._actions if not isinstance(action, argparse._HelpAction)]
    for sub in subs:
        for name, inner in sub.choices.items():
            yield from commands(inner, (*words, name))


COMMANDS = dict(commands(build_parser()))


def call(words: tuple[str, ...], root: Path, *, evil: bool, flags: bool) -> list[str]:
    """Return a call of a command: every option is given, with an ``evil`` value or one that leads further."""
    given: list[str] = list(words)
    options: list[str] = []
    excluded: set[str] = set()
    parser = build_parser()
    for name in words:
        (sub,) = (action for action in parser._actions if isinstance(action, argparse._SubParsersAction))
        parser = sub.choices[name]
    for group in parser._mutually_exclusive_groups:
        excluded |= {action.dest for action in group._group_actions[1:]}
    for action in COMMANDS[words]:
        if action.dest in excluded or action.dest in ("version", "headless", "detach", "view", "overrides"):
            continue
        if action.dest == "workspace" or (action.dest == "folder"):
            value = str(root)
        elif action.nargs == 0:
            options += [action.option_strings[0]] if flags else []
            continue
        else:
            value = EVIL if evil and not action.choices else VALID.get(action.dest, SHORT)
            if value == "RUN":
                value = run_of(root)
            if action.dest in PLACES:
                value = str(root / f"{action.dest}{SHORT}")
            if action.choices:
                value = next(iter(action.choices))
        options += [f"{action.option_strings[-1]}={value}"] if action.option_strings else []
        given += [] if action.option_strings else [value]
    return given + options


def run_of(root: Path) -> str:
    return sorted(path.name for path in (root / "logs/runs").iterdir())[0]


@pytest.fixture(scope="module")
def hostile_workspace(trained_workspace: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A trained workspace in whose every name and text stands something that a terminal must not get."""
    root = eh.copy_workspace(trained_workspace, tmp_path_factory.mktemp("evil") / f"work{EVIL}")
    run = root / "logs/runs/99990101-000000-step1-evil-0000"
    journal = Journal(run)
    for event in hostile_events(EVIL, 1.0):
        journal.emit(event)
    journal.close()
    eh.write_rows(root / f"datasets/incremental/batch_100_02{SHORT}/rows.jsonl", [{"id": EVIL, "task": EVIL}])
    (root / f"datasets/incremental/{SHORT}").mkdir()
    text = (root / "config.toml").read_text()
    named = f"name = {_toml(EVIL)}"
    (root / "config.toml").write_text(re.sub(r"(?m)^name = .*$", lambda _: named, text, count=1))
    return root


def _toml(text: str) -> str:
    return tomli_w.dumps({"a": text}).removeprefix("a = ").strip()


def harm_in(text: str) -> set[str]:
    return {repr(char) for char in text if char not in "\n\t" and unicodedata.category(char) in HARMFUL}


def told_by(words: list[str], place: Path) -> tuple[int, str]:
    process = eh.Command(words, place)
    return process.code(), place.read_bytes().decode(errors="surrogateescape")


@pytest.mark.parametrize("evil", [True, False], ids=["evil values", "evil workspace"])
@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_a_command_prints_no_control_character(
    hostile_workspace: Path, words: tuple[str, ...], tmp_path: Path, evil: bool
) -> None:
    root = hostile_workspace
    if words[0] in ("init", "demo"):
        # a folder that cannot be made: what was asked for is said, and nothing is trained
        (tmp_path / f"file{SHORT}").touch()
        root = tmp_path / f"file{SHORT}" / f"folder{EVIL}"
    arguments = (
        call(words, root, evil=evil, flags=not evil) if words[0] not in ("init", "demo") else [*words, str(root)]
    )
    code, told = told_by([*arguments, *(["--headless"] if words[0] == "demo" else [])], tmp_path / "told")
    assert harm_in(told) == set(), (arguments, told)
    assert "Traceback" not in told, (arguments, told)
    assert code in range(9), told


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_what_a_command_does_not_know_is_said_without_control_characters(
    words: tuple[str, ...], tmp_path: Path
) -> None:
    more = (EVIL, f"--set=ui.theme={EVIL}", f"--set={EVIL}=1") if words == ("status",) else ()
    for extra in (f"--{EVIL}", f"--set={EVIL}", *more):
        _, told = told_by([*words, extra, EVIL, EVIL, EVIL], tmp_path / "told")
        assert harm_in(told) == set(), told
        assert "Traceback" not in told


def test_commands_make_no_console_of_their_own() -> None:
    folder = Path(opeddev_tui.__file__).parent / "commands"
    made = [path.name for path in folder.glob("*.py") if re.search(r"import .*\bConsole\b", path.read_text())]
    assert made == ["printing.py"]


def test_json_keeps_every_character_without_showing_it() -> None:
    value = {"name": EVIL, "half": "\ud83d", "far": "\U000e0041", "marks": "o" + "\u0300" * 9, "nan": float("nan")}
    text = json_text(value)
    assert harm_in(text) == set()
    assert json.loads(text) == {**value, "nan": None}
    assert escaped("plain\n") == "plain\n"
    assert clean("plain ünïcode") == "plain ünïcode"
