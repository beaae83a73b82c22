"""Rows as they are written in a file, and the result of reading one file."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct, field

from opeddev_tui.errors import DataProblem


def bad(where: Path | str, message: str, cure: str) -> DataProblem:
    """Return a problem with its place and cure."""
    return DataProblem(message, where=str(where), cure=cure)


class RawRow(Struct, frozen=True):
    """One row as it is written; ``where`` is file:line, or file and row number."""

    fields: dict[str, Any]
    where: str

    def bad(self, message: str, cure: str) -> DataProblem:
        """Return a problem of this row."""
        return bad(self.where, message, cure)


def identity(rows: Sequence[RawRow]) -> str:
    """Return the SHA-256 of ``rows`` as they are written, in order; no setting changes it. Empty without rows."""
    if not rows:
        return ""
    digest = hashlib.sha256()
    for row in rows:
        text = json.dumps(row.fields, sort_keys=True, separators=(",", ":"), default=repr)
        digest.update(text.encode("ascii") + b"\n")
    return digest.hexdigest()


class FileRows(Struct):
    """The rows of a file, all problems in it, and notes on what was not read."""

    rows: list[RawRow] = field(default_factory=list)
    problems: list[DataProblem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
