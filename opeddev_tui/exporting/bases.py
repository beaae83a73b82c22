"""Say which model lies below adapters or below a grade head, as another machine can find it: hub name and commit.

A place of this machine is never a name: what has no hub name is known by its folder's own.
"""

import hashlib
import os
import re
from pathlib import Path

from msgspec import Struct

from opeddev_tui.checkpoints.base_model import shown
from opeddev_tui.checkpoints.catalog import Entry
from opeddev_tui.checkpoints.folders import manifest_of
from opeddev_tui.config import settings as st
from opeddev_tui.errors import Problem
from opeddev_tui.files import open_file
from opeddev_tui.models.place import source_of

_HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+|[A-Za-z0-9][\w.-]*")
# a model in the hub's local cache: its name and commit are in its path
_CACHED = re.compile(r"models--([^/]+)/snapshots/([0-9a-f]{40})/?$")


class KnownBase(Struct, frozen=True):
    """A base model: its ``name`` for people, ``hub`` name and ``revision`` where it has them.

    ``source`` is where it is on this machine; it must not be written into an export.
    """

    name: str
    source: str
    hub: str = ""
    revision: str = ""

    @property
    def words(self) -> str:
        """The name, with its commit where one is known."""
        return f"{self.name} ({self.revision[:12]})" if self.hub and self.revision else self.name

    @property
    def weights(self) -> str:
        """The first file of its weights on this machine with its SHA-256, as ``sha256sum`` prints it; "" for none."""
        folder = Path(self.source)
        files = sorted(folder.glob("*.safetensors")) or sorted(folder.glob("*.bin"))
        if not files:
            return ""
        with os.fdopen(open_file(files[0]), "rb") as file:
            return f"{files[0].name}, SHA-256 {hashlib.file_digest(file, 'sha256').hexdigest()}"


def known_base(source: str, identity: str, revision: str) -> KnownBase:
    """Return the model at ``source``.

    ``identity`` is what a checkpoint recorded of it; without one, ``revision`` is that of a hub name.
    """
    folder = Path(source)
    if not folder.exists():
        if folder.is_absolute() or not _HUB_NAME.fullmatch(source):
            return KnownBase(shown(source), source)
        commit = identity.removeprefix("commit:") if identity.startswith("commit:") else ""
        return KnownBase(source, source, source, commit or revision)
    cached = _CACHED.search(str(folder.absolute()))
    if cached is not None:
        name = cached[1].replace("--", "/")
        return KnownBase(name, source, name, cached[2])
    return KnownBase(shown(str(folder.absolute())), source)


def adapter_base(entry: Entry, settings: st.Settings) -> KnownBase:
    """Return the model below the adapters of ``entry``."""
    return known_base(entry.base, manifest_of(entry.folder).base_identity, settings.model.revision)


def first_base(root: Path, settings: st.Settings) -> KnownBase:
    """Return the base model of ``settings``, those of a run, which its base head reads; ``root``: the workspace."""
    from opeddev_tui.models.loading import commit_of

    name = settings.model.name
    try:
        source = source_of(root, name)
        commit = commit_of(source, settings.model)
    except (Problem, OSError):
        # it is not here any more: an export names it all the same
        source, commit = name, ""
    return known_base(source, f"commit:{commit}" if commit else "", settings.model.revision)
