"""Owns the options that commands share: the workspace and ``--set``."""

import argparse
from pathlib import Path

from opeddev_tui.config.loading import CONFIG_NAME, LoadedSettings, load
from opeddev_tui.errors import SettingsProblem


def add_workspace(parser: argparse.ArgumentParser, *, positional: bool = False) -> None:
    """Add the workspace (default: the folder you are in) and ``--set``."""
    name = ["workspace"] if positional else ["-w", "--workspace"]
    extra = {"nargs": "?"} if positional else {}
    parser.add_argument(*name, type=Path, default=None, metavar="WORKSPACE", help="default: this folder", **extra)  # type: ignore[arg-type]
    parser.add_argument(
        "--set",
        dest="overrides",
        action="append",
        default=[],
        metavar="SECTION.KEY=VALUE",
        help="a setting for this call; may be given more than once",
    )


def find_workspace(options: argparse.Namespace) -> Path:
    """Return the workspace of ``options``; raise ``SettingsProblem`` if there is none."""
    root: Path = (options.workspace or Path.cwd()).expanduser()
    if not root.is_dir():
        raise SettingsProblem(
            "there is no such folder.", where=str(root), cure=f"Make a workspace: opeddev-tui init {root}"
        )
    return root.resolve()


def load_settings(options: argparse.Namespace, extra: list[str] | None = None) -> tuple[Path, LoadedSettings]:
    """Return (workspace, its settings)."""
    root = find_workspace(options)
    return root, load(root, overrides=[*options.overrides, *(extra or [])])


def is_workspace(root: Path) -> bool:
    """True when ``root`` has been set up by ``init`` or ``demo``, or holds data in the default layout."""
    return any((root / name).exists() for name in (CONFIG_NAME, ".specs", "datasets"))
