"""Find where a model is: a folder of this machine, the hub's cache, or the hub. Reads no weights.

Must not import the training stack: the screen asks here too.
"""

import os
import re
from pathlib import Path

from opeddev_tui.errors import ModelProblem

# owner/name, or a name alone
_HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]{0,95}(/[A-Za-z0-9][\w.-]{0,95})?")
_CURE = "Set model.name to the folder of a model, or to a name on the hub such as Qwen/Qwen3-0.6B."


def source_of(root: Path, name: str) -> str:
    """Return the folder that ``name`` is (relative to the workspace), else the hub name that it can be.

    Raises ``ModelProblem`` for a folder that is missing: it is no hub name.
    """
    try:
        folder = root / Path(name).expanduser()
    except RuntimeError:
        raise ModelProblem(f"{name}: there is no such home folder.", where="model.name", cure=_CURE) from None
    if folder.is_dir():
        return str(folder)
    if folder.exists():
        raise ModelProblem(f"{folder} is a file.", where="model.name", cure="Name the folder that the model is in.")
    first = name.partition("/")[0]
    if not _HUB_NAME.fullmatch(name) or ("/" in name and (root / first).is_dir()):
        raise ModelProblem(
            f"the model of {name} cannot be loaded: there is no folder {folder}.", where="model.name", cure=_CURE
        )
    return name


def cache_folder(name: str) -> Path:
    """Return where the hub's library keeps the model ``name``, by the variables that it reads."""
    home = os.environ.get("HF_HOME") or Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "huggingface"
    cache = Path(os.environ.get("HF_HUB_CACHE") or Path(home) / "hub").expanduser()
    return cache / f"models--{name.replace('/', '--')}"


def cached_folder(name: str, revision: str) -> Path | None:
    """Return the folder of a hub model's files in the local cache, None where they were not fetched."""
    model = cache_folder(name)
    try:
        commit = (model / "refs" / revision).read_text().strip()
    except OSError:
        commit = revision
    folder = model / "snapshots" / commit
    return folder if folder.is_dir() else None
