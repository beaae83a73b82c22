"""Tell whether the model below adapters is still the one they were trained on. Adapters on other weights are noise.

A base is recorded as ``files:`` with a SHA-256 over its weights and configuration, or as ``commit:`` of the hub.
Checkpoints of version 0.1 recorded nothing: their base is taken as it is, and called unverified. Loads no model.
"""

import functools
import hashlib
import os
from pathlib import Path

from opeddev_tui.checkpoints.folders import Manifest, read_manifest
from opeddev_tui.errors import ModelProblem
from opeddev_tui.files import open_file
from opeddev_tui.runs.events import checkpoint_name
from opeddev_tui.workspace.store import located

_PARTS = ("*.safetensors", "*.bin", "config.json", "adapter_config.json")


def identity_of(source: str, commit: str = "") -> str:
    """Return what tells the model at ``source`` from another one; ``commit`` is that of a hub name, if it is known."""
    folder = Path(source)
    if not folder.is_dir():
        return f"commit:{commit}" if commit else ""
    digest = hashlib.sha256()
    found = {path for pattern in _PARTS for path in folder.glob(pattern) if path.is_file()}
    for path in sorted(found):
        status = path.stat()
        digest.update(path.name.encode())
        digest.update(_file_digest(path, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns))
    return f"files:{digest.hexdigest()}"


@functools.lru_cache(maxsize=256)
def _file_digest(path: Path, *_stamp: int) -> bytes:
    """Return the SHA-256 of a file; a file of the same stamp is not read twice in one process."""
    with os.fdopen(open_file(path), "rb") as file:
        return hashlib.file_digest(file, "sha256").digest()


def base_of(folder: Path, manifest: Manifest) -> str:
    """Return the present place of the model that the adapters in ``folder`` need (a checkpoint in the store)."""
    return located(folder.parent.parent, manifest.base)


def base_problem(folder: Path, manifest: Manifest, commit: str = "") -> str:
    """Return why the adapters in ``folder`` must not be put on their base, "" if nothing speaks against it.

    ``commit`` is the present one of a base on the hub; without it such a base is not compared.
    """
    source = base_of(folder, manifest)
    now = identity_of(source, commit)
    if not manifest.lora or not manifest.base_identity or not now or now == manifest.base_identity:
        return ""
    if manifest.base_identity.startswith("files:") and now.startswith("commit:"):
        return f"the model below its adapters, {shown(source)}, is not there any more"
    return f"the model below its adapters, {shown(source)}, has changed since they were trained"


def require_base(folder: Path, manifest: Manifest, commit: str = "") -> None:
    """Raise ``ModelProblem`` if the model below the adapters in ``folder`` is another one than they were trained on."""
    problem = base_problem(folder, manifest, commit)
    if problem:
        raise ModelProblem(
            f"{checkpoint_name(folder)} cannot be used: {problem}.",
            where=base_of(folder, manifest),
            cure="Put that model back, or begin a new run from another checkpoint: "
            "opeddev-tui train --new --from CHECKPOINT.",
        )


def unverified(source: str) -> list[str]:
    """Return a sentence for each set of adapters in the lineage of ``source`` whose base has no recorded hash."""
    folder = Path(source)
    manifest = read_manifest(folder) if folder.is_dir() else None
    if manifest is None or not manifest.lora:
        return []
    base = base_of(folder, manifest)
    name = checkpoint_name(folder)
    note = f"the base of {name}, {shown(base)}, is unverified: an older version recorded no hash of it."
    return [*([note] if not manifest.base_identity else []), *unverified(base)]


def shown(source: str) -> str:
    """Return a short name of a model: that of the hub, of a checkpoint, or of the folder."""
    path = Path(source)
    return checkpoint_name(path) if path.name.startswith("checkpoint-") else path.name if path.is_absolute() else source
