"""Remember what is known of base models, so that their features are found in the cache without loading the weights."""

from pathlib import Path

import msgspec
from msgspec import Struct

from opeddev_tui.files import read_record, storage_errors, write_atomic


class KnownBase(Struct, frozen=True):
    """What is known of a base model without its weights: their fingerprint and the layers that are read."""

    fingerprint: str
    layers: tuple[int, ...]


class KnownBases:
    """The record in ``folder``; a damaged one is as none, and is written anew."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "bases.json"

    def get(self, name: str) -> KnownBase | None:
        """Return what is known of the base model that ``name`` stands for."""
        return self._read().get(name)

    def put(self, name: str, known: KnownBase) -> None:
        """Remember ``known``; raises ``StorageProblem``."""
        every = {**self._read(), name: known}
        with storage_errors(self._path):
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_atomic(self._path, msgspec.json.format(msgspec.json.encode(every), indent=1), mode=0o600)

    def _read(self) -> dict[str, KnownBase]:
        try:
            return read_record(self._path, dict[str, KnownBase])
        except (OSError, ValueError):
            return {}
