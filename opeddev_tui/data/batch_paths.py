"""Find the sets of a workspace: the places that settings name, and the increments in their folder."""

from pathlib import Path

from opeddev_tui.config import settings
from opeddev_tui.data import folder_files, hub_source, split_names
from opeddev_tui.data.batch_names import corrections_number, natural
from opeddev_tui.errors import DataProblem, SettingsProblem
from opeddev_tui.workspace.paths import expand


def resolve(workspace: Path, text_path: str) -> Path:
    """Return the place that a setting names; one of a data set of the hub that was not fetched does not exist.

    Raises ``SettingsProblem`` for an unknown home folder (~name) or hub source.
    """
    if hub_source.is_hub(text_path):
        source = hub_source.parse(text_path)
        return hub_source.cached(workspace, source) or workspace / text_path
    try:
        return expand(workspace, text_path)
    except RuntimeError:
        cure = "Write the path without ~."
        raise SettingsProblem(f"{text_path}: there is no such home folder.", cure=cure) from None


def source_of(workspace: Path, text_path: str, *, fetch: bool) -> tuple[Path, str | None]:
    """Return the place and split that a setting names; a data set of the hub is fetched first, if ``fetch`` is on."""
    if not hub_source.is_hub(text_path):
        return resolve(workspace, text_path), None
    source = hub_source.parse(text_path)
    if not fetch and hub_source.cached(workspace, source) is None:
        raise DataProblem("is not fetched yet.", where=text_path, cure="Fetch it: opeddev-tui check.")
    return hub_source.fetch(workspace, source), source.split or None


def folder_of_increments(workspace: Path, paths: settings.Paths) -> Path:
    """Return the folder of the increments; raises ``SettingsProblem`` for one on the hub."""
    if hub_source.is_hub(paths.increments):
        cure = "Name a folder of this machine; paths.base and paths.holdout may be on the hub."
        raise SettingsProblem("paths.increments cannot be on the hub.", where=paths.increments, cure=cure)
    return resolve(workspace, paths.increments)


def increments(folder: Path) -> tuple[list[Path], list[str]]:
    """Return the increments in ``folder``, and a sentence for everything else in it; raises ``DataProblem``."""
    paths: list[Path] = []
    notes: list[str] = []
    try:
        for path in sorted(folder.iterdir()) if folder.exists() else []:
            if path.name.startswith("."):
                continue
            if not path.is_dir() and not folder_files.data_suffix(path):
                notes += folder_files.not_read(path)
            elif (split := split_names.split_of(batch_name(path))) in split_names.HELD_OUT:
                notes.append(f"{path}: is a {split} split by its name, and is not trained on.")
            else:
                paths.append(path)
    except OSError as error:
        cure = "paths.increments must be a folder that you may read."
        raise DataProblem(f"cannot be listed: {error.strerror}.", where=str(folder), cure=cure) from error
    return paths, notes


def batch_name(path: Path) -> str:
    """Return the name of the batch at ``path``: that of the folder, or of the file without its ending."""
    return path.name if path.is_dir() else path.name.removesuffix(folder_files.data_suffix(path))


def in_order(path: Path) -> tuple[bool, list[tuple[int, int, str]], str]:
    """Return the key that sorts increments: by their numbers, batches of corrected answers after all others.

    Whatever a person calls the batches, one of corrections is never put before one that is added later.
    """
    return corrections_number(batch_name(path)) is not None, natural(path.name), path.name
