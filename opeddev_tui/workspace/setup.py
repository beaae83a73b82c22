"""Make a workspace: its folders and a commented configuration. Nothing that exists is changed."""

from pathlib import Path

from opeddev_tui.config.loading import CONFIG_NAME, load, render_default
from opeddev_tui.config.settings import HUB_PREFIX
from opeddev_tui.files import storage_errors, write_atomic
from opeddev_tui.workspace.paths import Workspace


def make_workspace(root: Path) -> list[Path]:
    """Make the folders and a commented config.toml; return what was made. Raises ``StorageProblem``."""
    made: list[Path] = []
    with storage_errors(root):
        root.mkdir(parents=True, exist_ok=True)
    if not (root / CONFIG_NAME).exists():
        write_atomic(root / CONFIG_NAME, render_default(commented_out=True).encode())
        made.append(root / CONFIG_NAME)
    paths = load(root).settings.paths
    workspace = Workspace(root, paths)
    for name in (paths.base, paths.increments, paths.holdout, paths.logs):
        if name.startswith(HUB_PREFIX):
            continue
        folder = workspace.path(name)
        if not folder.exists():
            with storage_errors(folder):
                folder.mkdir(parents=True)
            made.append(folder)
    return made
