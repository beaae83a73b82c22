"""Corrected grades of a workspace: an append-only file beside the data, one JSON object per line.

A correction names its row by content, not by place. Must never change a person's data files, nor lose a line that
cannot be read.
"""

import hashlib
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
from msgspec import Struct

from opeddev_tui.config.settings import Grading
from opeddev_tui.data.byte_order import BOM
from opeddev_tui.data.rows import Example
from opeddev_tui.errors import StorageProblem
from opeddev_tui.files import append_line, decoded, read_file, reason_of
from opeddev_tui.text import clean_line
from opeddev_tui.workspace.lock import hold_lock
from opeddev_tui.workspace.paths import corrections_file


class Correction(Struct, frozen=True, kw_only=True):
    """The grade ``now`` of a row that had the grade ``was``, both as they are written on the scale.

    ``row`` is ``row_hash``, ``submission`` the hash of the submission alone, ``template`` that of the setting that made
    the prompt of both. ``copy`` of ``copies`` tells rows of ``set`` with equal hash and id apart, in their order;
    ``where`` is the row's place at that time. ``undone``: the row has its own grade again. ``at`` is in Unix seconds.
    """

    row: str
    submission: str = ""
    template: str = ""
    id: str = ""
    set: str
    where: str = ""
    copy: int = 1
    copies: int = 1
    was: str
    now: str
    rater: str = ""
    note: str = ""
    undone: bool = False
    at: float = 0.0

    @property
    def of_row(self) -> tuple[str, str, str, int]:
        """What two corrections of one row have in common."""
        return self.set, self.row, self.id, self.copy


class Overlay(Struct, frozen=True):
    """The newest correction of each row that is not undone, oldest first, and a sentence for each damaged line."""

    corrections: tuple[Correction, ...] = ()
    damaged: tuple[str, ...] = ()


def row_hash(example: Example) -> str:
    """Return the SHA-256 of what is judged: the prompt without its system message, and the submission."""
    turns = [[message.role, plain(message.content)] for message in example.prompt if message.role != "system"]
    return _hash([turns, plain(example.submission)])


def submission_hash(example: Example) -> str:
    """Return the SHA-256 of the submission alone, which another prompt template does not change."""
    return _hash(plain(example.submission))


def template_hash(grading: Grading) -> str:
    """Return the SHA-256 of the setting that makes prompts of rows."""
    return _hash(grading.prompt_template)


def plain(text: str) -> str:
    """Return ``text`` without what an export of the same row may change: line ends, and blanks around it."""
    return text.replace("\r\n", "\n").strip()


def _hash(value: object) -> str:
    return hashlib.sha256(json.dumps(value, separators=(",", ":")).encode("ascii")).hexdigest()


def read_overlay(workspace: Path) -> Overlay:
    """Return the corrections of ``workspace``; raises ``StorageProblem`` if there is a file that cannot be read."""
    path = corrections_file(workspace)
    try:
        content = read_file(path)
    except (FileNotFoundError, NotADirectoryError):
        return Overlay()
    except OSError as error:
        cure = "Give yourself read permission: without it rows would be trained on with their old grades."
        raise StorageProblem(f"cannot be read: {reason_of(error)}.", where=str(path), cure=cure) from error
    newest: dict[tuple[str, str, str, int], Correction] = {}
    damaged: list[str] = []
    for number, line in enumerate(content.removeprefix(BOM).split(b"\n"), 1):
        if not line.strip():
            continue
        try:
            correction = _decoded(line)
        except ValueError as error:
            reason = clean_line(str(error), max_chars=100)
            damaged.append(f"{path}:{number}: the correction cannot be read and is skipped ({reason}).")
            continue
        newest.pop(correction.of_row, None)
        newest[correction.of_row] = correction
    return Overlay(tuple(item for item in newest.values() if not item.undone), tuple(damaged))


def _decoded(line: bytes) -> Correction:
    """Return the correction in ``line``; raises ``ValueError``."""
    correction = decoded(line, Correction)
    if not correction.row or not correction.set or not 1 <= correction.copy <= correction.copies:
        raise ValueError("it names no row")
    return correction


def correct(workspace: Path, make: Callable[[Overlay], Sequence[Correction]]) -> list[Correction]:
    """Append what ``make`` returns for the present corrections, while no other process can; return it with its time.

    Raises ``BusyProblem``, ``StorageProblem`` or what ``make`` raises; nothing is written then.
    """
    path = corrections_file(workspace)
    with hold_lock(path.with_suffix(".lock"), "another process corrects grades here."):
        made = [msgspec.structs.replace(item, at=time.time()) for item in make(read_overlay(workspace))]
        if made:
            append_line(path, b"\n".join(msgspec.json.encode(item) for item in made))
        return made
