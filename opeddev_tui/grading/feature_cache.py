"""Keep features on disk, so that a row of one base and one prompt template is read once.

One folder per base, template and layers; one safetensors file per extraction, its tensors named by row hash. Files are
only ever added, whole or not at all, and readable by their owner alone: features tell about the rows.
"""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from opeddev_tui.files import storage_errors, write_atomic

Floats = NDArray[np.float32]


def short_hash(*parts: object) -> str:
    """Return 16 hex digits of ``parts``, such as the chat template, the prompt template and the longest prompt."""
    return hashlib.sha256("\0".join(str(part) for part in parts).encode()).hexdigest()[:16]


class FeatureCache:
    """Features of one base model (``base``: hash of its weights), prompt template (``prompt``: its hash) and layers."""

    def __init__(self, root: Path, *, base: str, prompt: str, layers: Sequence[int]) -> None:
        self.folder = root / short_hash(base, prompt, *layers)

    def load(self, keys: Sequence[str]) -> dict[str, Floats]:
        """Return the features that are known of ``keys``; a damaged file counts as not there."""
        wanted = set(keys)
        found: dict[str, Floats] = {}
        for path in sorted(self.folder.glob("*.safetensors")):
            if not path.is_file():
                continue
            try:
                with safe_open(path, framework="numpy") as file:
                    # a file is read as a whole mapping; only the rows asked for are copied
                    found.update({key: file.get_tensor(key) for key in wanted.intersection(file.keys())})
            except (SafetensorError, OSError, ValueError):
                continue
        return found

    def holds(self, keys: Sequence[str]) -> bool:
        """Return whether the features of all ``keys`` are known."""
        wanted = set(keys)
        for path in sorted(self.folder.glob("*.safetensors")):
            try:
                with safe_open(path, framework="numpy") as file:
                    wanted.difference_update(file.keys())
            except (SafetensorError, OSError, ValueError):
                continue
        return not wanted

    def add(self, features: Mapping[str, Floats]) -> None:
        """Write ``features`` (row hash to vector) as one new file; raises ``StorageProblem``."""
        if not features:
            return
        name = short_hash(*sorted(features))
        with storage_errors(self.folder):
            for folder in (self.folder.parent, self.folder):
                folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        content = save({key: np.ascontiguousarray(value, dtype=np.float32) for key, value in features.items()})
        write_atomic(self.folder / f"{name}.safetensors", content, mode=0o600)
