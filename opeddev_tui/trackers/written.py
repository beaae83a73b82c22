"""What a tracker has been given of a run, on disk beside its journal, so that nothing is given twice.

It is kept before the tracker is given anything: a process that is killed in between leaves a point out, and never
writes one twice. A point is known by its name and optimizer step: what a resumed run trains again is not new.
"""

import contextlib
import os
from pathlib import Path

import msgspec
from msgspec import Struct, field

from opeddev_tui.files import open_file, read_record, write_atomic
from opeddev_tui.reports.scalars import Scalar
from opeddev_tui.trackers.facts import Fact
from opeddev_tui.workspace.lock import locked


class Written(Struct):
    """The tracker's own ``id`` of the run, the last optimizer step per figure, and the facts with their texts."""

    id: str = ""
    steps: dict[str, int] = field(default_factory=dict)
    facts: dict[str, str] = field(default_factory=dict)

    def new_figures(self, figures: list[Scalar]) -> list[Scalar]:
        """Return those of ``figures`` that were not written, and count them as written."""
        new = []
        for item in figures:
            if item.global_step > self.steps.get(item.name, -1):
                self.steps[item.name] = item.global_step
                new.append(item)
        return new

    def new_facts(self, facts: list[Fact]) -> list[Fact]:
        """Return those of ``facts`` that were not written, and count them as written."""
        new = [item for item in facts if self.facts.get(item.name) != item.text]
        self.facts |= {item.name: item.text for item in new}
        return new


class WrittenFile:
    """The record of one tracker in a run's folder; one process at a time holds it."""

    def __init__(self, run_folder: Path, tracker: str) -> None:
        folder = run_folder / "trackers"
        folder.mkdir(exist_ok=True)
        self._path = folder / f"{tracker}.json"
        self._descriptor = open_file(folder / f"{tracker}.lock", os.O_RDWR | os.O_CREAT)

    def held(self) -> bool:
        """Take the record; False while another process, which follows the same run, has it."""
        try:
            return locked(self._descriptor)
        except OSError:
            # a file system without locks
            return True

    def read(self) -> Written:
        """Return the record; an empty one where there is none, or none that can be read."""
        with contextlib.suppress(OSError, ValueError):
            return read_record(self._path, Written)
        return Written()

    def keep(self, written: Written) -> None:
        """Replace the record; raises ``OSError``."""
        write_atomic(self._path, msgspec.json.encode(written) + b"\n")
