"""Make a workspace: its folders and a commented configuration. Nothing that exists is changed.

And tell a workspace from another folder.
"""

from itertools import islice
from pathlib import Path

from opeddev_tui.config.loading import CONFIG_NAME, load, render_default
from opeddev_tui.config.settings import HUB_PREFIX, Paths
from opeddev_tui.files import storage_errors, write_atomic
from opeddev_tui.workspace.paths import SPECS, Workspace

# of a folder with more entries than this, the later ones are not looked at
_MOST_ENTRIES = 500


def is_workspace(root: Path, paths: Paths) -> bool:
    """Return whether ``root`` was set up as a workspace, or can be trained in as it is: its data or runs are there.

    Locks alone make none: commands of earlier versions left them in any folder.
    """
    if paths.base.startswith(HUB_PREFIX):
        return True
    workspace = Workspace(root, paths)
    signs = (CONFIG_NAME, "datasets", paths.base, paths.increments, paths.runs)
    return any(workspace.path(sign).exists() for sign in signs) or _has_records(root / SPECS)


def _has_records(specs: Path) -> bool:
    return specs.is_dir() and any(entry.suffix != ".lock" for entry in specs.iterdir())


def workspaces_near(root: Path) -> list[Path]:
    """Return the workspaces that may have been meant where ``root`` is none.

    Those right in it, else the one around it, else those beside it.
    """
    around = (at for at in root.parents if _was_set_up(at))
    return workspaces_below(root) or list(islice(around, 1)) or workspaces_below(root.parent)


def _was_set_up(folder: Path) -> bool:
    return (folder / CONFIG_NAME).is_file() and (folder / "datasets").is_dir()


def workspaces_below(root: Path) -> list[Path]:
    """Return the folders right in ``root`` that were set up as workspaces, by name; none where it cannot be read."""
    try:
        folders = [entry for entry in islice(root.iterdir(), _MOST_ENTRIES) if not entry.name.startswith(".")]
        return sorted(at for at in folders if _was_set_up(at))
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
