"""A folder that is no workspace: every command says so with the cure, and leaves the folder as it was."""

import argparse
from collections.abc import Callable, Iterator
from pathlib import Path

import engine_helpers as eh
import pytest

from opeddev_tui import cli
from opeddev_tui.cli import build_parser
from opeddev_tui.config.settings import Paths
from opeddev_tui.workspace.setup import is_workspace, make_workspace

# what a command needs so that it is not refused for its options
VALUES = {"what": "test", "choice": "stop", "repository": "someone/grader", "format": "gguf", "epoch": "1", "step": "1"}
# made for folders that are none, or only looking
NOT_REFUSED = {"init", "demo", "open", "attach", "status", "doctor", "notify"}


def _commands(parser: argparse.ArgumentParser, words: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Yield every command as its words, with a value for each that it cannot do without."""
    subs = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    for sub in subs:
        for name, inner in sub.choices.items():
            yield from _commands(inner, (*words, name))
    if not subs:
        needed = [action for action in parser._actions if action.required or action.nargs == "+"]
        needed += [group._group_actions[0] for group in parser._mutually_exclusive_groups if group.required]
        yield (*words, *(part for action in needed for part in _given(action)))


def _given(action: argparse.Action) -> list[str]:
    value = str(next(iter(action.choices))) if action.choices else VALUES.get(action.dest, "latest")
    return [*action.option_strings[-1:], value]


REFUSED = [words for words in _commands(build_parser()) if words[0] not in NOT_REFUSED]


def _with_files(folder: Path) -> None:
    (folder / "index.html").write_text("<p>Hello")
    (folder / "logs").mkdir()


def _read_only(folder: Path) -> None:
    folder.chmod(0o555)


def _left_by_an_earlier_version(folder: Path) -> None:
    (folder / ".specs").mkdir()
    (folder / ".specs" / "plots.lock").touch()


FOLDERS: dict[str, Callable[[Path], None]] = {
    "empty": lambda _: None,
    "with files": _with_files,
    "read-only": _read_only,
    "left by an earlier version": _left_by_an_earlier_version,
}


@pytest.mark.parametrize("kind", FOLDERS)
@pytest.mark.parametrize("words", REFUSED, ids=" ".join)
def test_a_command_leaves_a_folder_that_is_no_workspace_as_it_was(
    words: tuple[str, ...], kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    FOLDERS[kind](folder)
    before = sorted(folder.rglob("*"))
    code = cli.main([*words, "-w", str(folder)])
    told = capsys.readouterr()
    assert code == 2, told
    assert told.err.startswith(f"{folder}: no workspace here yet. Make one: opeddev-tui init {folder}; or name yours")
    assert told.err.count("\n") == 1
    assert told.out == ""
    assert sorted(folder.rglob("*")) == before


@pytest.mark.parametrize("words", [("status",), ("status", "--json"), ("doctor",), ("notify", "test")], ids=" ".join)
def test_what_looks_at_any_folder_writes_nothing_into_it(words: tuple[str, ...], tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    cli.main([*words, "-w", str(folder)])
    assert list(folder.rglob("*")) == []


def test_status_after_an_earlier_versions_lock_still_says_that_there_is_no_workspace(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _left_by_an_earlier_version(tmp_path)
    assert cli.main(["status", "-w", str(tmp_path)]) == 0
    assert "No workspace here yet" in capsys.readouterr().out


def test_a_forgotten_w_is_named_as_the_cause(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    make_workspace(tmp_path / "mine")
    (tmp_path / "other").mkdir()
    for place, words, cure in (
        (tmp_path, ["grade", "mine/index.html"], "There is one in mine: add -w mine."),
        (tmp_path, ["plot", "-w", "other"], "There is one in mine: add -w mine."),
        (tmp_path / "mine" / "datasets", ["correct"], f"There is one in {tmp_path / 'mine'}: add -w"),
        (tmp_path / "mine", ["check", "-w", "datasets"], "The folder that you are in is one: leave -w away."),
    ):
        monkeypatch.chdir(place)
        assert cli.main(words) == 2
        assert cure in capsys.readouterr().err
    make_workspace(tmp_path / "my grader")
    monkeypatch.chdir(tmp_path)
    assert cli.main(["train"]) == 2
    assert "There are some near it: add -w mine or -w 'my grader'." in capsys.readouterr().err


@pytest.mark.parametrize("sign", ["config.toml", "datasets", ".specs/settings.toml", "logs/runs", "rows"])
def test_what_makes_a_workspace(sign: str, tmp_path: Path) -> None:
    paths = Paths(base="rows")
    assert not is_workspace(tmp_path, paths)
    place = tmp_path / sign
    place.parent.mkdir(exist_ok=True)
    place.touch() if place.suffix else place.mkdir()
    assert is_workspace(tmp_path, paths)


def test_data_of_the_hub_need_no_file_here(tmp_path: Path) -> None:
    assert is_workspace(tmp_path, Paths(base="hub:someone/rows"))


def test_a_demo_is_not_made_where_a_persons_workspace_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_workspace(tmp_path / "mine")
    before = sorted(tmp_path.rglob("*"))
    for folder, words in ((tmp_path, "it holds a workspace, mine."), (tmp_path / "mine", "it is a workspace of yours")):
        assert cli.main(["demo", str(folder), "--headless"]) == 2
        told = capsys.readouterr().err
        assert words in told
        assert "Name a new folder: opeddev-tui demo FOLDER." in told
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("words", [["demo"], ["open"]], ids=" ".join)
def test_without_a_terminal_nothing_is_made(words: list[str], tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    process = eh.Command([*words, str(folder)], tmp_path / "told")
    assert process.code() == 1
    assert "the app needs a terminal" in (tmp_path / "told").read_text()
    assert list(folder.rglob("*")) == []
