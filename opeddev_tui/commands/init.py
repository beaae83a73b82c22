"""``init``: make a workspace."""

import argparse
from pathlib import Path

from rich.console import Console

from opeddev_tui.config import CONFIG_NAME, load, render_default
from opeddev_tui.hub_source import is_hub
from opeddev_tui.storage import told_clearly, write_atomic
from opeddev_tui.workspace import Workspace


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("folder", nargs="?", type=Path, default=Path(), help="default: this folder")


def make_workspace(root: Path) -> list[Path]:
    """Make the folders and a commented config.toml; return what was made. Nothing that exists is changed."""
    made: list[Path] = []
    with told_clearly(root):
        root.mkdir(parents=True, exist_ok=True)
    if not (root / CONFIG_NAME).exists():
        write_atomic(root / CONFIG_NAME, render_default(commented_out=True).encode())
        made.append(root / CONFIG_NAME)
    paths = load(root).settings.paths
    workspace = Workspace(root, paths)
    for name in (paths.base, paths.increments, paths.holdout, paths.logs):
        if is_hub(name):
            continue
        folder = workspace.path(name)
        if not folder.exists():
            with told_clearly(folder):
                folder.mkdir(parents=True)
            made.append(folder)
    return made


def run(options: argparse.Namespace) -> int:
    """Make the workspace and say what to put where."""
    root = options.folder.expanduser().resolve()
    made = make_workspace(root)
    console = Console()
    console.print(f"Workspace: {root}", markup=False)
    for path in made:
        console.print(f"  made {path.relative_to(root) if path.is_relative_to(root) else path}", markup=False)
    paths = load(root).settings.paths
    console.print(
        f"Next: put the first rows into {paths.base}, the validation rows into {paths.holdout}, "
        "then: opeddev-tui check, and opeddev-tui to open the app.",
        markup=False,
    )
    return 0
