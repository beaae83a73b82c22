"""The options that commands share: the workspace, ``--set``, ``--json``, ``--from``."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from opeddev_tui.config.loading import LoadedSettings, load
from opeddev_tui.errors import SettingsProblem
from opeddev_tui.text import clean_line, is_text
from opeddev_tui.workspace.paths import Workspace
from opeddev_tui.workspace.setup import is_workspace, workspaces_near
from opeddev_tui.workspace.typed_commands import named_from_here

# said instead of a number of rows
ALL = "all"
# workspaces that a cure names
_MOST_NEAR = 3
# of the commands that grade with a checkpoint
WHAT_GRADES = "what grades (default: the best checkpoint of the newest run; before any training the base model)"


def add_workspace(parser: argparse.ArgumentParser, *, positional: bool = False) -> None:
    """Add the workspace (default: the folder you are in) and ``--set``; ``positional``: also as a bare word."""
    named: dict[str, Any] = {"dest": "workspace", "help": "default: this folder"}
    if positional:
        parser.add_argument("place", nargs="?", type=Path, metavar="WORKSPACE", help="default: this folder")
        named["help"] = "the same, as for other commands"
    parser.add_argument("-w", "--workspace", type=Path, metavar="WORKSPACE", **named)
    parser.add_argument(
        "--set",
        dest="overrides",
        action="append",
        default=[],
        metavar="SECTION.KEY=VALUE",
        help="a setting for this call; may be given more than once",
    )


def add_json(parser: argparse.ArgumentParser) -> None:
    """Add ``--json``."""
    parser.add_argument("--json", action="store_true", help="for scripts; the fields are in docs/json.md")


def add_count(parser: argparse.ArgumentParser, words: str, default: int | None = None, *, least: int = 1) -> None:
    """Add ``--count``: a whole number from ``least`` on, ``ALL``, or ``default``; ``words`` say of what."""

    def count(text: str) -> int | str:
        if text == ALL or (text.isascii() and text.isdecimal() and int(text) >= least):
            return text if text == ALL else int(text)
        raise argparse.ArgumentTypeError(f"{clean_line(text)!r} is neither a whole number from {least} on nor all")

    parser.add_argument("--count", type=count, default=default, metavar="N|all", help=words)


def named_workspace(options: argparse.Namespace) -> Path | None:
    """Return the workspace that was named; raises ``SettingsProblem`` where two were."""
    place: Path | None = getattr(options, "place", None)
    named: Path | None = options.workspace
    if place and named and place != named:
        raise SettingsProblem(f"two workspaces are named: {place} and {named}.", cure="Name one.")
    return place or named


def add_from(parser: argparse.ArgumentParser, words: str, *, default: str = "", base: bool = True) -> None:
    """Add ``--from``, read as ``options.source``: a checkpoint or, where ``base`` is set, the base model.

    ``words`` say what it is for and what is taken without it.
    """
    names = "base|latest|best|CHECKPOINT" if base else "latest|best|CHECKPOINT"
    parser.add_argument("--from", dest="source", default=default, metavar=names, help=words)


def find_workspace(options: argparse.Namespace) -> Path:
    """Return the folder of the workspace; raises ``SettingsProblem`` if there is no such folder."""
    root: Path = (named_workspace(options) or Path.cwd()).expanduser()
    if not root.is_dir():
        if root.exists():
            raise SettingsProblem("it is a file.", where=str(root), cure="A workspace is a folder: name that.")
        import shlex  # the app opens without it

        cure = f"Make a workspace: opeddev-tui init {shlex.quote(str(root))}"
        raise SettingsProblem("there is no such folder.", where=str(root), cure=cure)
    return named_in_text(root.resolve())


def named_in_text(root: Path) -> Path:
    """Return ``root``; raises ``SettingsProblem`` where its path is no text, which no record could hold."""
    if not is_text(str(root)):
        raise SettingsProblem("the folder's path is not UTF-8 text.", where=str(root), cure="Rename that folder.")
    return root


def open_workspace(options: argparse.Namespace, extra: Sequence[str] = ()) -> tuple[Workspace, LoadedSettings]:
    """Return the workspace and its settings; ``extra`` are further overrides, as for ``--set``.

    Raises ``SettingsProblem`` where the folder is no workspace: nothing is written into any other folder.
    """
    workspace, loaded = open_folder(options, extra)
    if not is_workspace(workspace.root, workspace.paths):
        raise no_workspace(workspace.root)
    return workspace, loaded


def open_folder(options: argparse.Namespace, extra: Sequence[str] = ()) -> tuple[Workspace, LoadedSettings]:
    """Return what ``open_workspace`` does, also of a folder that is no workspace: for commands that only look."""
    root = find_workspace(options)
    loaded = load(root, overrides=[*options.overrides, *extra])
    return Workspace(root, loaded.settings.paths), loaded


def no_workspace(root: Path) -> SettingsProblem:
    """Return the problem of a folder that is no workspace: its cure names those near it, or how one is made."""
    near = [named_from_here(at) for at in workspaces_near(root)[:_MOST_NEAR]]
    if not near:
        cure = f"Make one: {f'opeddev-tui init {named_from_here(root)}'.rstrip()}; or name yours with -w."
    elif near == [""]:
        cure = "The folder that you are in is one: leave -w away."
    else:
        cure = f"There is one in {near[0]}: add " if len(near) == 1 else "There are some near it: add "
        cure += f"{' or '.join(f'-w {name}' for name in near if name)}."
    return SettingsProblem("no workspace here yet.", where=str(root), cure=cure)
