"""Make a workspace: its folders and a commented configuration. Nothing that exists is changed.

And tell a workspace from another folder.
"""

from itertools import islice
from pathlib import Path

from opeddev_tui.config.loading import CONFIG_NAME, load, render_default
from opeddev_tui.config.settings import HUB_PREFIX
from opeddev_tui.files import storage_errors, write_atomic
from opeddev_tui.workspace.paths import SPECS, Workspace

# of a folder with more entries than this, the later ones are not looked at
_MOST_ENTRIES = 500


def is_workspace(root: Path) -> bool:
    """Return True if ``root`` was set up by ``init`` or ``demo``, or holds data in the default layout."""
    return any((root / name).exists() for name in (CONFIG_NAME, SPECS, "datasets"))


def workspaces_below(root: Path) -> list[Path]:
    """Return the folders right in ``root`` that were set up as workspaces, by name; none where it cannot be read."""
    try:
        folders = [entry for entry in islice(root.iterdir(), _MOST_ENTRIES) if not entry.name.startswith(".")]
        return sorted(at for at in folders if (at / CONFIG_NAME).is_file() and (at / "datasets").is_dir())
    except OSError:
        return []


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
