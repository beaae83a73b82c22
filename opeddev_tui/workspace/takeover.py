"""Take over the folder of checkpoints of a workspace that was moved to another disk, when a person says that it was."""

import os
from pathlib import Path

from opeddev_tui.errors import StorageProblem
from opeddev_tui.files import changing
from opeddev_tui.workspace.store import (
    OWNER,
    Owner,
    Record,
    home_of,
    mark_of,
    read_or_none,
    record_of,
    same_folder,
    write_claim,
)


def take(root: Path, store: Path) -> Path:
    """Make the folder of the original that is not there any more the own one of the workspace at ``root``.

    Returns that folder. Raises ``StorageProblem`` if there is no such folder, or if the original is still there.
    """
    record, own = record_of(root), home_of(root, store).folder
    paths = [store / record.folder, *(Path(path) for path in (record.path, *record.earlier))] if record else []
    for folder in dict.fromkeys(path for path in paths if path != own):
        owner = read_or_none(folder / OWNER, Owner)
        if owner is None or same_folder(Path(owner.root), root):
            continue
        if record_of(Path(owner.root)) is not None:
            raise StorageProblem(
                f"belongs to the workspace at {owner.root}, which is still there.",
                where=str(folder),
                cure="This workspace is a copy of it: its checkpoints are kept apart.",
            )
        with changing(folder / OWNER):
            earlier = tuple(dict.fromkeys(path for path in (str(own), *(record.earlier if record else ()))))
            identity = owner.id or os.urandom(8).hex()
            write_claim(
                root,
                Record(folder.name, str(folder), identity, tuple(path for path in earlier if path != str(folder))),
                Owner(str(root), identity, (*owner.before, owner.root), mark_of(root)),
            )
        return folder
    raise StorageProblem(
        "there are no checkpoints of another place to take over.", where=str(root), cure="See: checkpoints list."
    )
